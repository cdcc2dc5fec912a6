"""Named evaluation protocols: every choice that changes a number, with the reason for it.

The papers evaluate in slightly different ways, and several choices are in their code alone. A protocol is
therefore data that a table's caption can name and a user can print, never a default hidden in a function.
What a paper's evaluation also does and no clip of ours allows is listed as `not_here`, not left out in silence.
"""

import textwrap
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from moviestrip.errors import ConfigError

RELEASE = "HMMR's released evaluation"
UP_TO_HORIZON = "_up_to_horizon"  # ending of a forecast's metric in SCORES: its mean over the frames up to a horizon
TERMINAL_WIDTH = 80

# Human3.6M's four cameras by each of the names that its copies have: serial numbers in the release, numbers in the
# databases of VIBE and TCMR. The last is the frontal one.
CAMERAS_OF_H36M = (("54138969", "55011271", "58860488", "60457274"), ("01", "02", "03", "04"))
FRONTAL_CAMERA = tuple(names[-1] for names in CAMERAS_OF_H36M)


def choice(value: Any, source: str) -> Any:
    """A field whose metadata says where the choice comes from."""
    return field(default=value, metadata={"source": source})


@dataclass(frozen=True)
class Protocol:
    """How predictions become scores; the values here are HMMR's."""

    name: str
    title: str
    sources: tuple[tuple[str, str], ...] = ()  # (choice, source) where a protocol has another reason than HMMR
    not_here: tuple[str, ...] = ()
    metrics: tuple[str, ...] = choice(
        ("pck", "mpjpe", "pa_mpjpe", "accel", "accel_error", "mesh_posed", "mesh_unposed"),
        "HMMR sections 5, 6 and Table 6; mesh errors where the truth is a body",
    )
    joints: Literal["common_14", "mpi_inf_3dhp_17"] = choice(
        "common_14", f"{RELEASE}: the 14 joints that LSP and Human3.6M share"
    )
    regressor: Literal["h36m_17"] = choice("h36m_17", f"{RELEASE}: joints are regressed from the mesh's vertices")
    root: Literal["hip_midpoint", "pelvis", "as_given"] = choice(
        "hip_midpoint", f"{RELEASE}: both poses move the midpoint of the hips to 0"
    )
    alignment: Literal["similarity"] = choice(
        "similarity", "HMMR section 5: Procrustes with scale, of each frame by itself"
    )
    cameras: tuple[str, ...] = choice(
        FRONTAL_CAMERA,
        f"{RELEASE}: of Human3.6M its files *cam03*, counted from 0; a dataset that does not name cameras as "
        "Human3.6M does counts whole",
    )
    trusted: Literal["ignored", "positions and middle frames", "positions and accelerations"] = choice(
        "ignored", f"{RELEASE}: 3DPW's campose_valid is not read"
    )
    truth_body: Literal["own", "neutral"] = choice(
        "own", f"{RELEASE}: joints of 3DPW come from the body of the person's sex (compute_neutral_shape.py)"
    )
    minimum_visible_3d: int = choice(
        7, f"{RELEASE}: a frame needs more than six of the 14 keypoints visible for 3D metrics"
    )
    visible_above: float = choice(0.0, f"{RELEASE}: a keypoint is visible with any confidence above 0")
    minimum_visible_2d: int = choice(6, "HMMR section 5: frames with fewer than six visible keypoints are skipped")
    pck_share: float = choice(0.05, "HMMR section 6.1: alpha = 0.05")
    pck_reference_px: float = choice(224, f"{RELEASE}: alpha is of the crop's side, not of the person")
    pck_camera: Literal["hmmr"] = choice("hmmr", f"{RELEASE}: PCK follows the best scale and translation of each frame")
    mesh_root: Literal["as_given"] = choice(
        "as_given", f"{RELEASE}: vertices are compared where the body puts them without a translation, not aligned"
    )
    sequences: Literal["clips", "chunks_of_16"] = choice(
        "clips", f"{RELEASE}: each clip is a sequence; a triplet of frames lies within one clip"
    )
    acceleration_root: Literal["hip_midpoint", "pelvis", "as_given"] = choice(
        "hip_midpoint",
        "ours: predictions have no translation in the room, so both sides are measured from the hips; "
        "the release takes joints as they are stored, which there also have none",
    )
    acceleration_unit: Literal["mm/frame^2"] = choice(
        "mm/frame^2", f"{RELEASE}: never divided by the frame time, though the papers print mm/s^2"
    )
    video_weights: Literal["equal", "frames"] = choice("equal", f"{RELEASE}: the mean of the videos' means")

    @property
    def pck_threshold_px(self) -> float:
        return self.pck_share * self.pck_reference_px

    def counts_camera(self, camera: str) -> bool:
        """Whether clips of a camera count: all do but those of the other cameras of a dataset that is chosen from."""
        others = {name for names in CAMERAS_OF_H36M for name in names if not set(names).isdisjoint(self.cameras)}
        return camera in self.cameras or camera not in others

    def source_of(self, choice_name: str) -> str:
        own = dict(self.sources)
        return own.get(choice_name) or next(f.metadata["source"] for f in fields(self) if f.name == choice_name)

    def choices(self) -> list[str]:
        """Names of the choices, in order."""
        return [item.name for item in fields(self) if "source" in item.metadata]


@dataclass(frozen=True)
class ForecastProtocol(Protocol):
    """How forecasts are scored besides; the values are PHD's. Its time warping is `evaluation.dtw`'s."""

    condition_frames: int = choice(15, "PHD section 4: conditioned on 15 images, as many as the encoder sees")
    horizons_frames: tuple[int, ...] = choice((1, 5, 10, 20, 30), "PHD Tables 2 and 4 to 8")
    start_every_frames_3d: int = choice(25, "PHD section 4.2: on Human3.6M a forecast starts at every 25th frame")
    start_every_frames_2d: int = choice(1, "PHD section 4.2: on Penn Action a forecast starts at every frame")


def varied(
    base: Protocol, name: str, title: str, not_here: tuple[str, ...] = (), **changed: tuple[Any, str]
) -> Protocol:
    """A protocol that differs from another in some choices, each given as (value, source)."""
    values = {key: value for key, (value, _) in changed.items()}
    sources = dict(base.sources) | {key: source for key, (_, source) in changed.items()}
    return replace(base, name=name, title=title, not_here=not_here, sources=tuple(sources.items()), **values)


HMMR = Protocol(
    name="hmmr",
    title="HMMR (sections 5 and 6)",
    not_here=(
        "mesh errors on 3DPW against the neutral body of the shape that fits the person's own body best "
        "(compute_neutral_shape.py): here against their own body itself",
    ),
)
VIBE = varied(
    HMMR,
    "vibe",
    "VIBE, each video by itself",
    metrics=(("mpjpe", "pa_mpjpe", "pve", "accel", "accel_error"), "VIBE section 4 and Tables 1 to 3"),
    joints=("common_14", "VIBE's released evaluation: rows of the H36M regressor, its J14"),
    root=("hip_midpoint", "VIBE's released evaluation: the middle of joints 2 and 3, the hips"),
    cameras=((), "VIBE does not say that it leaves cameras out"),
    trusted=("ignored", "VIBE's released evaluation: 3DPW's campose_valid is stored and not read"),
    truth_body=("neutral", "VIBE's 3DPW preparation and evaluation: joints and vertices from the neutral body"),
    minimum_visible_3d=(7, "VIBE's 3DPW preparation: frames with more than six keypoints"),
    visible_above=(0.3, "VIBE's 3DPW preparation: ... of a confidence above 0.3"),
    mesh_root=("as_given", "VIBE's released evaluation: vertices are compared unaligned"),
    sequences=("clips", "ours: a triplet of frames never spans two videos; `vibe-official` does as the release"),
    acceleration_root=("hip_midpoint", "VIBE's released evaluation: from the centred joints"),
    acceleration_unit=("mm/frame^2", "VIBE's released evaluation: second differences times 1000, no frame time"),
    video_weights=("frames", "VIBE's released evaluation: the mean over all frames"),
)
VIBE_OFFICIAL = varied(
    VIBE,
    "vibe-official",
    "VIBE exactly as released, chunk joins included",
    sequences=(
        "chunks_of_16",
        "VIBE's released evaluation: frames come in chunks of 16 without overlap, the remainder of a video is "
        "dropped, and second differences run on across the joins of chunks and of videos",
    ),
)
SPIN = varied(
    VIBE,
    "spin",
    "SPIN",
    metrics=(("mpjpe", "pa_mpjpe"), "SPIN's released evaluation on 3DPW and Human3.6M"),
    joints=("common_14", "SPIN's released evaluation: rows of the H36M regressor, its J14"),
    root=("pelvis", "SPIN's released evaluation: row 0 of the H36M regressor, the pelvis, moves to 0"),
    acceleration_root=("pelvis", "as the positions; SPIN measures no acceleration"),
    trusted=("positions and accelerations", "SPIN's 3DPW preparation: frames with campose_valid alone"),
    truth_body=("own", "SPIN's released evaluation: 3DPW is posed with the male or female body"),
    minimum_visible_3d=(0, "SPIN's released evaluation: every frame of its lists"),
    visible_above=(0.0, "of no consequence where every frame counts"),
    video_weights=("frames", "SPIN's released evaluation: the mean over all frames"),
)
TCMR = varied(
    VIBE,
    "tcmr",
    "TCMR (Tables 1 to 5, 7 and 8)",
    not_here=(
        "accelerations across the gaps that 3DPW's frames without campose_valid leave: its release closes them, here "
        "such triplets of frames do not count",
    ),
    metrics=(("mpjpe", "pa_mpjpe", "pve", "accel", "accel_error"), "TCMR, 'Evaluation metrics', and its tables"),
    cameras=((), "TCMR's Table 4 and its released evaluation for it: every camera of Human3.6M"),
    trusted=("positions and accelerations", "TCMR's released evaluation: 3DPW's frames with campose_valid alone"),
    truth_body=("neutral", "TCMR's 3DPW preparation and evaluation: joints and vertices from the neutral body"),
    minimum_visible_3d=(0, "TCMR's released evaluation: every frame that its data hold"),
    visible_above=(0.0, "of no consequence where every frame counts"),
    mesh_root=("as_given", "TCMR's released evaluation: vertices unaligned, though the paper speaks of the root"),
    sequences=("clips", "TCMR's released evaluation: accelerations within each sequence"),
    video_weights=("frames", "TCMR's released evaluation: all frames of all sequences pooled"),
)
TCMR_TABLE6 = varied(
    TCMR,
    "tcmr-table6",
    "TCMR Table 6",
    not_here=TCMR.not_here,
    cameras=(FRONTAL_CAMERA, "TCMR's released evaluation of this table: Human3.6M's frontal camera"),
)
MPI_INF_3DHP = varied(
    TCMR,
    "mpi-inf-3dhp",
    "MPI-INF-3DHP's test set, as VIBE and TCMR use it",
    trusted=(
        "positions and middle frames",
        "TCMR's released evaluation: errors on the test set's valid frames; an acceleration's middle frame is valid, "
        "its neighbours need not be (VIBE's reads no such flag)",
    ),
    truth_body=("neutral", "of no consequence: the test set's truth is joints"),
    metrics=(
        ("mpjpe", "pa_mpjpe", "pck_3d", "auc_3d", "accel", "accel_error"),
        "VIBE Table 1, TCMR Table 4; PCK below 150 mm and its mean over 0, 5, ..., 150 mm as the dataset's own "
        "evaluation has them, on the 14 common joints",
    ),
    joints=("mpi_inf_3dhp_17", "the test set's annotation: the 14 common joints, pelvis, spine and head"),
    root=("pelvis", "TCMR's released evaluation: joint 14, the pelvis, moves to 0"),
    acceleration_root=("pelvis", "TCMR's released evaluation: from the centred joints of every frame"),
)
PHD = ForecastProtocol(
    name="phd",
    title="PHD (section 4; nothing of its evaluation is released)",
    metrics=("pck", "mpjpe", "pa_mpjpe", "accel", "accel_error"),
    cameras=(),
    sources=(
        ("metrics", "PHD section 4.1 and Table 1: PA-MPJPE ('Reconst.') and MPJPE on Human3.6M, PCK on Penn Action"),
        ("root", "assumed as in HMMR, whose data and baselines PHD shares"),
        ("cameras", "PHD does not say that it leaves cameras out"),
        ("trusted", "assumed as in HMMR; PHD does not evaluate on 3DPW"),
        ("truth_body", "assumed as in HMMR; PHD does not evaluate on 3DPW"),
        ("pck_share", "PHD section 4.2: PCK at alpha = 0.05"),
        ("pck_camera", "PHD section 4.2: assumed as in HMMR, since forecasts have no camera"),
    ),
)
PROTOCOLS = {
    protocol.name: protocol for protocol in (HMMR, VIBE, VIBE_OFFICIAL, SPIN, TCMR, TCMR_TABLE6, MPI_INF_3DHP, PHD)
}


def protocol_named(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise ConfigError(f"evaluation.protocol: '{name}' is not known; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def describe(protocol: Protocol) -> str:
    """Every choice with its value and where it comes from; then what the paper does and we cannot."""
    choices = [f"{name} = {_text(getattr(protocol, name))}: {protocol.source_of(name)}" for name in protocol.choices()]
    lines = [*choices, *(f"not here: {line}" for line in protocol.not_here)]
    return "\n".join([f"{protocol.name}: {protocol.title}", *map(_wrapped, lines)])


def _wrapped(line: str) -> str:
    return textwrap.fill(
        line, TERMINAL_WIDTH, initial_indent="  ", subsequent_indent="      ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _text(value: Any) -> str:
    return (", ".join(map(str, value)) or "all") if isinstance(value, tuple) else str(value)
