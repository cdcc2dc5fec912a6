"""Named evaluation protocols: every choice that changes a number, with the reason for it.

The papers evaluate in slightly different ways, and several choices are in their code alone. A protocol is
therefore data that a table's caption can name and a user can print, never a default hidden in a function.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from moviestrip.errors import ConfigError


def choice(value: Any, source: str) -> Any:
    """A field whose metadata says where the choice comes from."""
    return field(default=value, metadata={"source": source})


@dataclass(frozen=True)
class Protocol:
    """How predictions become scores; the values here are HMMR's."""

    name: str
    title: str
    joints: Literal["common_14"] = choice(
        "common_14", "HMMR's released evaluation: the 14 joints that LSP and Human3.6M share"
    )
    regressor: Literal["h36m_17"] = choice(
        "h36m_17", "HMMR's released evaluation: joints are regressed from the mesh's vertices"
    )
    root: Literal["hip_midpoint", "as_given"] = choice(
        "hip_midpoint", "HMMR's released evaluation: both poses move the midpoint of the hips to 0"
    )
    alignment: Literal["similarity"] = choice(
        "similarity", "HMMR section 5: Procrustes with scale, of each frame by itself"
    )
    minimum_visible_3d: int = choice(
        7, "HMMR's released evaluation: a frame needs more than six of the 14 keypoints visible for 3D metrics"
    )
    minimum_visible_2d: int = choice(6, "HMMR section 5: frames with fewer than six visible keypoints are skipped")
    pck_share: float = choice(0.05, "HMMR section 6.1: alpha = 0.05")
    pck_reference_px: float = choice(224, "HMMR's released evaluation: alpha is of the crop's side, not of the person")
    pck_camera: Literal["hmmr"] = choice(
        "hmmr", "HMMR's released evaluation: PCK follows the best scale and translation of each frame"
    )
    acceleration_root: Literal["hip_midpoint", "as_given"] = choice(
        "hip_midpoint",
        "ours: predictions have no translation in the room, so both sides are measured from the hips; "
        "the release takes joints as they are stored, which there also have none",
    )
    acceleration_unit: Literal["mm/frame^2"] = choice(
        "mm/frame^2", "HMMR's released evaluation: never divided by the frame time, though the papers print mm/s^2"
    )
    video_weights: Literal["equal"] = choice("equal", "HMMR's released evaluation: the mean of the videos' means")

    @property
    def pck_threshold_px(self) -> float:
        return self.pck_share * self.pck_reference_px


HMMR = Protocol(name="hmmr", title="HMMR (sections 5 and 6)")
PROTOCOLS = {protocol.name: protocol for protocol in (HMMR,)}


def protocol_named(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise ConfigError(f"evaluation.protocol: '{name}' is not known; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def describe(protocol: Protocol) -> str:
    """One line a choice: its name, its value, where it comes from."""
    chosen = [item for item in fields(protocol) if "source" in item.metadata]
    lines = [f"  {item.name} = {getattr(protocol, item.name)}: {item.metadata['source']}" for item in chosen]
    return "\n".join([f"{protocol.name}: {protocol.title}", *lines])
