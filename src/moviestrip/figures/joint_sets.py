"""Every joint set on one body, as a picture and as tables: `python -m moviestrip.figures.joint_sets` writes both.

A dot lies where the free body has the joint: a row of its regressors, a vertex, or a joint of SMPL's skeleton. What the
body does not define is placed by `RULES` and drawn as a ring; a ring also marks the joints whose name means something
else in other sets. The body is at rest but for lowered arms, which keep the labels apart. It faces the reader, so its
left is on the right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import scipy.optimize
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from smplx.vertex_ids import vertex_ids

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import keypoint_regressor
from moviestrip.config import BodySettings
from moviestrip.figures.contact_sheet import write_picture
from moviestrip.figures.draw import LEFT, RIGHT, SUBPIXEL_BITS, Colour, Picture
from moviestrip.parts import cache_folder
from moviestrip.skeleton import (
    H36M_17,
    HMMR_25,
    JOINT_SETS,
    MIDWAY,
    NEAR,
    NEVER_LABELLED,
    OWN_SENSE,
    SMPL_24,
    Match,
    bone_indices,
    correspondence,
    indices_of,
)
from moviestrip.storage import write_text
from moviestrip.world.rasterise import Light, render_mesh, shade, vertex_normals

PICTURE, PAGE = Path("docs/pictures/joint-sets.webp"), Path("docs/joint-sets.md")
QUALITY = 80
GENERATED = "<!-- What follows is written by `python -m moviestrip.figures.joint_sets`. -->"

# What each panel shows besides its own set, in the order of the picture.
PANELS = {
    "smpl_24": "the joints of SMPL's skeleton",
    "h36m_17": "rows of the regressor SPIN, VIBE and TCMR share",
    "common_14": "what 3D errors are measured on",
    "hmmr_25": "hmmr_19 ends at 18, hmmr_14 at 13",
    "spin_24": "spin_49 is body_25, then these from 25 on",
    "body_25": "OpenPose's default model",
    "mpi_inf_3dhp_17": "MPI-INF-3DHP, test set",
    "mpi_inf_3dhp_28": "MPI-INF-3DHP, training set",
    "h36m_32": "Human3.6M's D3_Positions; 7 repeat another",
    "coco_17": "COCO",
    "coco_18": "OpenPose's COCO model",
    "posetrack_17": "posetrack_15 leaves out the ears, which hold zeros",
    "penn_13": "Penn Action",
    "blazepose_33": "the detector that runs here",
}
COLUMNS, PANEL_PX, GAP_PX, MARGIN_PX = 3, (760, 690), 24, 40
BODY_TOP_PX, METRES_TO_PX = 122, 305.0
ARMS_DOWN_RAD = 0.72
LABEL_GAP_PX, TITLE_PX, SMALL_PX, LABEL_PX = 27, 30, 18, 19
LABEL_EDGE_PX = 168  # where a column of labels ends and its leaders begin, from the panel's border
PAPER, CARD, INK, FAINT, RULE = (239, 241, 244), (255, 255, 255), (28, 30, 34), (118, 123, 132), (222, 225, 230)
TEXT_OF = {LEFT: (0, 98, 158), RIGHT: (172, 98, 0), INK: INK}  # dark enough to read on white
SKIN = (0.80, 0.83, 0.87)
LIGHT = Light(towards=(-0.35, 0.75, 0.6), key=(0.42, 0.42, 0.41), sky=(0.66, 0.67, 0.68), ground=(0.52, 0.52, 0.53))
FAR_M = 400.0  # so far away that a camera sees without perspective

# Where joints lie that the body does not define: weights on joints that it does (SMPL's own as `smpl_...`).
_SIDED_RULES = {
    "collar": {"smpl_{0}_collar": 1.0}, "clavicle": {"smpl_{0}_collar": 1.0}, "foot": {"smpl_{0}_foot": 1.0},
    "toe_base": {"smpl_{0}_foot": 1.0}, "toe": {"{0}_big_toe": 0.6, "{0}_small_toe": 0.4},
    "toe_end": {"{0}_big_toe": 0.6, "{0}_small_toe": 0.4}, "foot_index": {"{0}_big_toe": 0.8, "{0}_small_toe": 0.2},
    "hand": {"smpl_{0}_hand": 1.0}, "palm": {"smpl_{0}_hand": 1.0}, "palm_end": {"smpl_{0}_hand": 1.0},
    "index": {"{0}_wrist": 0.45, "{0}_index_tip": 0.55}, "pinky": {"{0}_wrist": 0.45, "{0}_pinky_tip": 0.55},
    "thumb": {"{0}_wrist": 0.3, "{0}_thumb_tip": 0.7}, "thumb_base": {"{0}_wrist": 1.0},
    "thumb_end": {"{0}_thumb_tip": 1.0}, "eye_inner": {"{0}_eye": 0.78, "{1}_eye": 0.22},
    "eye_outer": {"{0}_eye": 0.72, "{0}_ear": 0.28},
}  # fmt: skip
RULES: dict[str, dict[str, float]] = {
    f"{side}_{name}": {point.format(side, other): weight for point, weight in weights.items()}
    for side, other in (("left", "right"), ("right", "left"))
    for name, weights in _SIDED_RULES.items()
} | {
    "mouth_left": {"nose": 2.0, "right_eye": -1.0}, "mouth_right": {"nose": 2.0, "left_eye": -1.0},
    "mid_hip": {"left_hip": 0.5, "right_hip": 0.5}, "lower_spine": {"pelvis": 1.0},
    "thorax": {"smpl_left_collar": 0.5, "smpl_right_collar": 0.5}, "jaw": {"neck": 0.5, "head": 0.5},
    "head_bottom": {"smpl_head": 0.5, "smpl_neck": 0.5}, "spine2": {"spine": 0.75, "neck": 0.25},
    "spine3": {"spine": 0.5, "neck": 0.5}, "spine4": {"spine": 0.25, "neck": 0.75},
}  # fmt: skip
# ... and those that mean something else in one set.
RULES_OF_SET = {
    "body_25": {"neck": {"left_shoulder": 0.5, "right_shoulder": 0.5}},
    "coco_18": {"neck": {"left_shoulder": 0.5, "right_shoulder": 0.5}},
    "h36m_32": {"left_collar": {"neck": 1.0}, "right_collar": {"neck": 1.0}},
    "penn_13": {"head_top": {"head_top": 0.6, "head": 0.4}},
}


@dataclass(frozen=True)
class Dot:
    """A joint in a panel: its number in the set, where it is, and whether the body itself defines it."""

    number: int
    name: str
    place_px: Float[np.ndarray, "2"]
    defined: bool

    @property
    def side(self) -> Colour:
        parts = self.name.split("_")
        return LEFT if "left" in parts else RIGHT if "right" in parts else INK

    @property
    def label(self) -> str:
        return " ".join(part for part in self.name.split("_") if part not in ("left", "right"))


def stand(body: Body) -> tuple[Float[np.ndarray, "vertices 3"], Float[np.ndarray, "24 3"]]:
    """The mean person's vertices and SMPL joints in metres, arms lowered."""
    pose = np.zeros((24, 3))
    pose[indices_of(["left_shoulder", "right_shoulder"], SMPL_24), 2] = -ARMS_DOWN_RAD, ARMS_DOWN_RAD
    return body.forward(pose.ravel(), np.zeros(10))


def known_points_m(body: Body) -> dict[str, Float[np.ndarray, "3"]]:
    """What the body defines, by name; SMPL's own joints as `smpl_...`."""
    vertices, joints = stand(body)
    points = {f"smpl_{name}": place for name, place in zip(SMPL_24, joints, strict=True)}
    points |= dict(zip(HMMR_25, keypoint_regressor(body) @ vertices, strict=True))
    points |= dict(zip(H36M_17, body.joint_regressor_h36m @ vertices, strict=True))
    for side in ("left", "right"):
        for finger in ("thumb", "index", "pinky"):
            points[f"{side}_{finger}_tip"] = vertices[vertex_ids["smplh"][side[0] + finger]]
    return points


def place_joints_m(
    joint_set: str, points: dict[str, Float[np.ndarray, "3"]]
) -> dict[str, tuple[Float[np.ndarray, "3"], bool]]:
    """Each joint of a set: its place, and whether that is the body's own definition of it."""
    if joint_set == "smpl_24":
        return {name: (points[f"smpl_{name}"], True) for name in SMPL_24}
    own = OWN_SENSE.get(tuple(JOINT_SETS[joint_set]), {})
    never = NEVER_LABELLED.get(tuple(JOINT_SETS[joint_set]), ())
    placed = {}
    for name in JOINT_SETS[joint_set]:
        rule = RULES_OF_SET.get(joint_set, {}).get(name) or RULES.get(name) or {name: 1.0}
        place = np.sum([weight * points[point] for point, weight in rule.items()], axis=0)
        placed[name] = place, rule == {name: 1.0} and name not in own and name not in never
    return placed


def joint_sets_picture(body: Body) -> Picture:
    """All sets of `PANELS`, three panels a row, and how to read them."""
    vertices, _ = stand(body)
    top_m = float(vertices[:, 1].max())
    width, height = PANEL_PX
    person, points = _person(body, vertices, top_m), known_points_m(body)
    panels = [
        _panel(name, person, _dots(place_joints_m(name, points), top_m), subtitle) for name, subtitle in PANELS.items()
    ]
    panels.append(_legend())
    rows = -(-len(panels) // COLUMNS)
    canvas = np.full(
        (2 * MARGIN_PX + rows * (height + GAP_PX) - GAP_PX, 2 * MARGIN_PX + COLUMNS * (width + GAP_PX) - GAP_PX, 3),
        PAPER,
        np.uint8,
    )
    for index, panel in enumerate(panels):
        row, column = divmod(index, COLUMNS)
        y, x = MARGIN_PX + row * (height + GAP_PX), MARGIN_PX + column * (width + GAP_PX)
        canvas[y : y + height, x : x + width] = panel
    return canvas


def _person(body: Body, vertices: Float[np.ndarray, "vertices 3"], top_m: float) -> Picture:
    """The body alone on a card, as large as a panel."""
    width, height = PANEL_PX
    seen = vertices * np.array([1.0, -1.0, -1.0]) + np.array([0.0, 0.0, FAR_M])
    colours = np.broadcast_to(np.array(SKIN), seen.shape)
    lit = shade(vertex_normals(seen, body.faces), colours, LIGHT, np.diag([1.0, -1.0, -1.0]))
    focal = METRES_TO_PX * FAR_M
    camera = np.array([focal, focal, width / 2, BODY_TOP_PX + METRES_TO_PX * top_m])
    rgb, coverage, _ = render_mesh(seen, body.faces, lit, camera, width, height)
    laid = rgb.astype(np.float32) + np.array(CARD) * (1 - coverage[..., None])
    return np.round(laid).clip(0, 255).astype(np.uint8)


def _dots(placed: dict[str, tuple[Float[np.ndarray, "3"], bool]], top_m: float) -> list[Dot]:
    return [
        Dot(
            number,
            name,
            np.array([PANEL_PX[0] / 2 + METRES_TO_PX * x, BODY_TOP_PX + METRES_TO_PX * (top_m - y)]),
            defined,
        )
        for number, (name, ((x, y, _), defined)) in enumerate(placed.items())
    ]


def _panel(name: str, person: Picture, dots: Sequence[Dot], subtitle: str) -> Picture:
    canvas = person.copy()
    labels = list(_labels(dots))
    for dot, start_px in labels:
        _leader(canvas, start_px, dot)
    for a, b in bone_indices([dot.name for dot in dots]).tolist():
        sides = {dots[a].side, dots[b].side}
        _line(canvas, dots[a].place_px, dots[b].place_px, sides.pop() if len(sides) == 1 else (150, 155, 164), 3)
    for dot in sorted(dots, key=lambda dot: dot.side == INK):
        _mark(canvas, dot, _radius_px(dot, dots))
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    pen.text((24, 36), name.upper(), font=_font(TITLE_PX, bold=True), fill=INK, anchor="lm")
    pen.text((24, 70), subtitle, font=_font(SMALL_PX), fill=FAINT, anchor="lm")
    for dot, start_px in labels:
        _write_label(pen, dot, start_px)
    return np.asarray(picture).copy()


def _labels(dots: Sequence[Dot]) -> Iterator[tuple[Dot, Float[np.ndarray, "2"]]]:
    """Each dot with the point where its leader leaves the labels: the person's right to the left, their left right."""
    columns: dict[Colour, list[Dot]] = {RIGHT: [], LEFT: []}
    for dot in dots:
        if dot.side != INK:
            columns[dot.side].append(dot)
    for dot in sorted((dot for dot in dots if dot.side == INK), key=lambda dot: dot.place_px[1]):
        min(columns.values(), key=len).append(dot)
    for side, column in columns.items():
        x = LABEL_EDGE_PX if side == RIGHT else PANEL_PX[0] - LABEL_EDGE_PX
        places = np.array([dot.place_px for dot in column])
        starts = np.stack([np.full(len(column), float(x)), _slots(places[:, 1])], 1)
        # The shortest leaders in all do not cross each other.
        lengths = np.linalg.norm(places[:, None] - starts[None], axis=-1)
        for dot, slot in zip(*scipy.optimize.linear_sum_assignment(lengths), strict=True):
            yield column[dot], starts[slot]


def _slots(wanted_px: Float[np.ndarray, " labels"]) -> Float[np.ndarray, " labels"]:
    """Heights for labels, a line apart, near those of their joints and inside the panel."""
    top, bottom = 112.0, PANEL_PX[1] - 24.0
    slots = np.sort(wanted_px)
    for _ in range(400):  # push apart what is too close, and back inside what is beyond
        lack = np.maximum(0, LABEL_GAP_PX - np.diff(slots)) / 2
        slots[:-1] -= lack
        slots[1:] += lack
        slots += max(0.0, top - slots[0])
        slots[-1] = min(slots[-1], bottom)
    return slots


def _leader(canvas: np.ndarray, start_px: np.ndarray, dot: Dot) -> None:
    outward = np.array([-12.0 if start_px[0] > PANEL_PX[0] / 2 else 12.0, 0.0])
    red, green, blue = (round(0.45 * ink + 0.55 * white) for ink, white in zip(dot.side, CARD, strict=True))
    colour = red, green, blue
    _line(canvas, start_px, start_px + outward, colour, 1)
    _line(canvas, start_px + outward, dot.place_px, colour, 1)


def _radius_px(dot: Dot, dots: Sequence[Dot]) -> float:
    """Smaller where the next joint is so near that it would be covered; those in one place cannot be told apart."""
    apart = [float(np.linalg.norm(dot.place_px - other.place_px)) for other in dots]
    return float(np.clip(0.62 * min((gap for gap in apart if gap > 1), default=np.inf), 3.6, 6.5))


def _mark(canvas: np.ndarray, dot: Dot, radius_px: float = 6.5) -> None:
    centre = tuple(round(float(value) * 2**SUBPIXEL_BITS) for value in dot.place_px)
    for share, colour in ((1.0, INK), (0.77, dot.side), (0.0 if dot.defined else 0.43, CARD)):
        if share:
            radius = round(share * radius_px * 2**SUBPIXEL_BITS)
            cv2.circle(canvas, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def _line(canvas: np.ndarray, start_px: np.ndarray, end_px: np.ndarray, colour: Colour, thickness: int) -> None:
    start, end = (tuple(round(float(value) * 2**SUBPIXEL_BITS) for value in place) for place in (start_px, end_px))
    cv2.line(canvas, start, end, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _write_label(pen: ImageDraw.ImageDraw, dot: Dot, start_px: Float[np.ndarray, "2"]) -> None:
    on_left = start_px[0] < PANEL_PX[0] / 2
    number, name, ink = str(dot.number), dot.label, TEXT_OF[dot.side]
    bold, plain = _font(LABEL_PX, bold=True), _font(LABEL_PX)
    x, y = float(start_px[0]) + (-6 if on_left else 6), float(start_px[1])
    if on_left:
        pen.text((x, y), number, font=bold, fill=ink, anchor="rm")
        pen.text((x - bold.getlength(number) - 7, y), name, font=plain, fill=ink, anchor="rm")
    else:
        pen.text((x, y), number, font=bold, fill=ink, anchor="lm")
        pen.text((x + bold.getlength(number) + 7, y), name, font=plain, fill=ink, anchor="lm")


def _legend() -> Picture:
    width, height = PANEL_PX
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    lines = (
        (RIGHT, True, "the person's right, on the left: they face you"),
        (LEFT, True, "the person's left"),
        (INK, True, "between the two"),
        (INK, False, "a ring: placed by rule, because the free body"),
    )
    for row, (side, defined, _) in enumerate(lines):
        name = {LEFT: "left_", RIGHT: "right_", INK: ""}[side]
        _mark(canvas, Dot(0, name, np.array([60.0, 170.0 + 46 * row]), defined))
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    pen.text((48, 110), "How to read it", font=_font(TITLE_PX, bold=True), fill=INK, anchor="lm")
    for row, (_, _, text) in enumerate(lines):
        pen.text((86, 170 + 46 * row), text, font=_font(LABEL_PX), fill=INK, anchor="lm")
    more = (
        "does not define the joint, because its name means",
        "another point in other sets, or because the files",
        "hold nothing there.",
        "",
        "Numbers are rows, counted from 0. The body is the free",
        "one at rest, arms lowered; bones as overlays draw them.",
    )
    for row, text in enumerate(more):
        pen.text((86, 334 + 28 * row), text, font=_font(LABEL_PX), fill=INK, anchor="lm")
    return np.asarray(picture).copy()


@cache
def _font(size_px: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)


def tables() -> str:
    """The page's generated part: what each set gives of the project's labels, every pair of sets, and the reasons."""
    return "\n".join(
        [
            "## What each set gives of `hmmr_25`, the 2D labels\n",
            _reach_table("hmmr_25"),
            "## What each set gives of `mpi_inf_3dhp_17`, the 3D labels with pelvis, spine and head\n",
            _reach_table("mpi_inf_3dhp_17"),
            "## How many joints any set gives any other\n",
            "Exact, and after a plus the approximate ones; a row is the source, a column the target.\n",
            _pairs_table(),
            "## Why a joint is only approximate\n",
            _reasons(),
        ]
    )


def _reach_table(target: str) -> str:
    """Rows of the source that hold each joint of `target`: `7` exact, `≈ 7` approximate, nothing if absent."""
    sources = [name for name in JOINT_SETS if name != target]
    matches = {name: correspondence(JOINT_SETS[name], JOINT_SETS[target]) for name in sources}
    rows = [("joint", *(f"`{name}`" for name in sources)), ("---", *("---:" for _ in sources))]
    for index, joint in enumerate(JOINT_SETS[target]):
        rows.append((f"{index} {joint}", *(_cell(name, matches[name][index]) for name in sources)))
    return _markdown(rows)


def _cell(source: str, match: Match) -> str:
    numbers = ", ".join(str(list(JOINT_SETS[source]).index(joint)) for joint in match.sources)
    return f"≈ {numbers}" if match.kind == "approximate" else numbers


def _pairs_table() -> str:
    rows = [("", *(f"`{name}`" for name in JOINT_SETS)), ("---", *("---:" for _ in JOINT_SETS))]
    for source, names in JOINT_SETS.items():
        rows.append((f"`{source}`", *(_count(correspondence(names, target)) for target in JOINT_SETS.values())))
    return _markdown(rows)


def _count(matches: Sequence[Match]) -> str:
    exact, near = (sum(match.kind == kind for match in matches) for kind in ("exact", "approximate"))
    return f"{exact}+{near}" if near else str(exact)


def _reasons() -> str:
    """Each reason once, with the joints it is about; a right joint stands where its left one does."""
    lines: dict[str, list[str]] = {}
    set_names = {tuple(names): name for name, names in JOINT_SETS.items()}
    for names, own in OWN_SENSE.items():
        for joint, reason in own.items():
            lines.setdefault(reason, []).append(f"`{set_names[names]}` {_unsided(joint)}")
    for near in NEAR:
        lines.setdefault(near.reason, []).append(" ~ ".join(_unsided(name) for name in near.names))
    for targets, pair, reason in MIDWAY:
        joints = f"{', '.join(targets)} from {' and '.join(pair)}".replace("_", " ")
        lines.setdefault(reason, []).append(joints)
    return "\n".join(f"- {', '.join(dict.fromkeys(joints))}: {reason}." for reason, joints in lines.items()) + "\n"


def _unsided(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_").replace("_", " ")


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def page_with_tables(page: str) -> str:
    """The page, its generated part made anew."""
    return page[: page.index(GENERATED) + len(GENERATED)] + "\n\n" + tables()


def main(repository: Path = Path()) -> None:
    page = repository / PAGE
    write_text(page, page_with_tables(page.read_text()))
    picture = joint_sets_picture(load_body(BodySettings(), cache_folder()))
    write_picture(repository / PICTURE, picture, QUALITY)


if __name__ == "__main__":
    main()
