"""One recording as CMU's ASF/AMC and as cgspeed's BVH, from the same bones and angles, and where its joints then are.

The formats are written from their public descriptions: in ASF/AMC a bone starts where the bone above ends and turns
with its own angles about its own axes; in BVH a joint's offset is the bone above it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

# CMU's bone: the bone above, its rest direction times its length, what it may turn about, cgspeed's joint of that name.
BONES: dict[str, tuple[str, tuple[float, float, float], str, str]] = {
    "lowerback": ("root", (0, 2.0, -0.2), "xyz", "LowerBack"),
    "upperback": ("lowerback", (0, 2.0, 0.1), "xyz", "Spine"),
    "thorax": ("upperback", (0, 2.0, 0.1), "xyz", "Spine1"),
    "lowerneck": ("thorax", (0, 1.7, 0.2), "xyz", "Neck"),
    "upperneck": ("lowerneck", (0, 1.7, 0.1), "xyz", "Neck1"),
    "head": ("upperneck", (0, 1.7, 0.0), "xyz", "Head"),
}
for _side, _sign, _short, _long in (("l", 1, "L", "Left"), ("r", -1, "R", "Right")):
    BONES |= {
        f"{_side}hipjoint": ("root", (1.4 * _sign, -1.8, 0.8), "", f"{_short}HipJoint"),
        f"{_side}femur": (f"{_side}hipjoint", (2.5 * _sign, -6.9, 0), "xyz", f"{_long}UpLeg"),
        f"{_side}tibia": (f"{_side}femur", (2.6 * _sign, -7.1, 0), "x", f"{_long}Leg"),
        f"{_side}foot": (f"{_side}tibia", (0.2 * _sign, -0.5, 2.3), "xz", f"{_long}Foot"),
        f"{_side}toes": (f"{_side}foot", (0, 0, 1.2), "x", f"{_long}ToeBase"),
        f"{_side}clavicle": ("thorax", (3.0 * _sign, 1.0, 0), "yz", f"{_long}Shoulder"),
        f"{_side}humerus": (f"{_side}clavicle", (5.0 * _sign, 0, 0), "xyz", f"{_long}Arm"),
        f"{_side}radius": (f"{_side}humerus", (3.3 * _sign, 0, 0), "x", f"{_long}ForeArm"),
        f"{_side}wrist": (f"{_side}radius", (1.7 * _sign, 0, 0), "y", f"{_long}Hand"),
        f"{_side}hand": (f"{_side}wrist", (0.7 * _sign, 0, 0), "xz", f"{_long}FingerBase"),
        f"{_side}fingers": (f"{_side}hand", (0.6 * _sign, 0, 0), "x", f"{_short}Fingers"),
        f"{_side}thumb": (f"{_side}wrist", (0.6 * _sign, 0, 0.6), "xz", f"{_short}Thumb"),
    }


@dataclass(frozen=True)
class Written:
    asf: Path
    amc: Path
    bvh: Path
    starts: dict[str, np.ndarray]  # where each bone starts, (frames, 3), in the files' unit
    turned: dict[str, np.ndarray]  # how it is turned in the room, (frames, 3, 3)


def write_cmu(folder: Path, frames: int = 61, seed: int = 0) -> Written:
    """Subject 07's recording 02: walking on with every bone swinging a little."""
    draw = np.random.default_rng(seed)
    seconds = np.arange(frames)[:, None] / 120
    axes = {name: np.round(draw.uniform(-40, 40, 3), 3) for name in BONES}
    angles = {
        name: np.round(draw.uniform(-25, 25, (1, 3)) * np.sin(4 * seconds + draw.uniform(0, 6, (1, 3))), 4)
        * [axis in freedoms for axis in "xyz"]
        for name, (_, _, freedoms, _) in BONES.items()
    }
    root = np.concatenate([0 * seconds, 16 + np.sin(9 * seconds), 20 * seconds], axis=1).round(4)
    root_angles = np.round(8 * np.sin(3 * seconds + np.arange(3)), 4)
    local = {
        name: (turn := Rotation.from_euler("xyz", axes[name], degrees=True))
        * Rotation.from_euler("xyz", angles[name], degrees=True)
        * turn.inv()
        for name in BONES
    }
    local["root"] = Rotation.from_euler("xyz", root_angles, degrees=True)
    cmu, bvh = folder / "asf" / "07", folder / "bvh" / "07"
    cmu.mkdir(parents=True)
    bvh.mkdir(parents=True)
    (cmu / "07.asf").write_text(asf_text(axes))
    (cmu / "07_02.amc").write_text(amc_text(root, root_angles, angles))
    (bvh / "07_02.bvh").write_text(bvh_text(root, local))
    starts, turned = placed(root, local)
    return Written(cmu / "07.asf", cmu / "07_02.amc", bvh / "07_02.bvh", starts, turned)


def placed(root: np.ndarray, local: dict[str, Rotation]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    starts, turned, ends = {}, {"root": local["root"]}, {"root": root}
    for name, (above, bone, _, _) in BONES.items():
        starts[name], turned[name] = ends[above], turned[above] * local[name]
        ends[name] = starts[name] + turned[name].apply(bone)
    return starts, {name: turn.as_matrix() for name, turn in turned.items()}


def asf_text(axes: dict[str, np.ndarray]) -> str:
    lines = [
        "# made for a test",
        ":version 1.10",
        ":name VICON",
        ":units",
        "  mass 1.0",
        "  length 0.45",
        "  angle deg",
    ]
    lines += [":root", "   order TX TY TZ RX RY RZ", "   axis XYZ", "   position 0 0 0", "   orientation 0 0 0"]
    lines += [":bonedata"]
    for number, (name, (_, bone, freedoms, _)) in enumerate(BONES.items(), start=1):
        length = float(np.linalg.norm(bone))
        lines += ["  begin", f"     id {number}", f"     name {name}"]
        lines += ["     direction " + " ".join(f"{value / length:.9f}" for value in bone), f"     length {length:.9f}"]
        lines += ["     axis " + " ".join(f"{value:.3f}" for value in axes[name]) + "  XYZ"]
        if freedoms:
            lines += ["    dof " + " ".join(f"r{axis}" for axis in freedoms)]
            lines += ["    limits (-180.0 180.0)"] + ["           (-180.0 180.0)"] * (len(freedoms) - 1)
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    for parent in ["root", *BONES]:
        below = [name for name, (above, _, _, _) in BONES.items() if above == parent]
        lines += [f"    {parent} {' '.join(below)}"] if below else []
    return "\r\n".join([*lines, "  end"]) + "\r\n"


def amc_text(root: np.ndarray, root_angles: np.ndarray, angles: dict[str, np.ndarray]) -> str:
    lines = ["#!OML:ASF H:\\made\\for\\a\\test.ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(len(root)):
        lines += [str(frame + 1), "root " + " ".join(f"{value:.4f}" for value in (*root[frame], *root_angles[frame]))]
        for name, (_, _, freedoms, _) in BONES.items():
            if freedoms:
                lines += [f"{name} " + " ".join(f"{angles[name][frame]['xyz'.index(axis)]:.4f}" for axis in freedoms)]
    return "\r\n".join(lines) + "\r\n"


def bvh_text(root: np.ndarray, local: dict[str, Rotation]) -> str:
    """With the T-pose that cgspeed puts before the first frame, at the first frame's place."""
    order: list[str] = []
    hierarchy = ["HIERARCHY", *_joint("root", (0, 0, 0), order)]
    angles = [local[name].as_euler("ZYX", degrees=True) for name in order]
    rows = np.concatenate([root, *angles], axis=1)
    rows = np.concatenate([[[*root[0], *[0.0] * (3 * len(order))]], rows])
    lines = [*hierarchy, "MOTION", f"Frames: {len(rows)}", "Frame Time: .0083333"]
    return "\n".join([*lines, *(" ".join(f"{value:.7f}" for value in row) for row in rows)]) + "\n"


def _joint(name: str, offset: tuple[float, float, float], order: list[str]) -> list[str]:
    order.append(name)
    kind, theirs = ("ROOT", "Hips") if name == "root" else ("JOINT", BONES[name][3])
    places = "6 Xposition Yposition Zposition" if name == "root" else "3"
    lines = [f"{kind} {theirs}", "{", "  OFFSET " + " ".join(f"{value:.7f}" for value in offset)]
    lines += [f"  CHANNELS {places} Zrotation Yrotation Xrotation "]
    below = [bone for bone, (above, _, _, _) in BONES.items() if above == name]
    end = (0.0, 0.0, 0.0) if name == "root" else BONES[name][1]
    for bone in below:
        lines += _joint(bone, end, order)
    if not below:
        lines += ["  End Site", "  {", "    OFFSET " + " ".join(f"{value:.7f}" for value in end), "  }"]
    return [*lines, "}"]
