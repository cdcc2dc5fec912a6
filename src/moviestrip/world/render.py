"""Film one planned video: cast, camera, set, picture by picture into a file, and the truth beside it.

Two runs give the same bytes: every random draw comes from the video's own seed, the z-buffer and the encoder
use one thread, and nothing depends on the clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from numba import njit
from scipy.ndimage import gaussian_filter

from moviestrip.body.load import Body
from moviestrip.body.points import joints_14_regressor, keypoint_regressor
from moviestrip.progress import track
from moviestrip.storage import atomic_path
from moviestrip.tables import TRUTH, empty, unstack, with_defaults
from moviestrip.world.filming import Film, film
from moviestrip.world.motions import MotionLibrary, draw_motion
from moviestrip.world.performers import Performer, in_camera, perform
from moviestrip.world.plan import VideoSpec, child_generator, plan_videos
from moviestrip.world.props import props_for
from moviestrip.world.rasterise import Canvas, Light, cast_shadow, shade, vertex_normals
from moviestrip.world.scene import Scene, build_scene
from moviestrip.world.shapes import Mesh, blob, box, join, post
from moviestrip.world.wear import Burst, Wear, burst_labels

__all__ = ["VideoSpec", "plan_videos", "prepare", "render_frames", "render_video", "render_videos"]

OWN_FLESH_M = 0.12  # a joint lies inside its own body; deeper than this it is behind another part of it
OTHER_GAP_M = 0.03
OCCLUDER = 1000
OCCLUDER_COLOURS = ((0.28, 0.29, 0.31), (0.46, 0.38, 0.30), (0.62, 0.61, 0.58), (0.24, 0.30, 0.40), (0.44, 0.22, 0.20))
SHADOW_CELL_M = 0.035
SHADOW_CELLS = 96
TOUCHING_M = 0.10
SPARSE = 16  # every so many vertices tell where a body's middle is
PLACING_ATTEMPTS = 12
CAMERA_ROOM_M = 2.2  # nearer than this, a bystander fills the picture
FEWEST_KEYPOINTS = 4  # of a bystander, for a row in the truth


@dataclass(frozen=True)
class Take:
    """Everything of one video that is settled before the first picture is drawn."""

    spec: VideoSpec
    size_px: int
    people: list[Performer]
    film: Film
    scene: Scene
    wear: Wear
    occluders: dict[Burst, tuple[Mesh, np.ndarray]]


def render_video(spec: VideoSpec, library: MotionLibrary, body: Body, path: Path) -> pd.DataFrame:
    """Write the video as H.264 and return its truth, the rows of all people (person 0 is followed)."""
    take = prepare(spec, library, body)
    keypoint_rows, joint_rows = keypoint_regressor(body), joints_14_regressor(body)
    points_m = [_points(keypoint_rows, person, take.film) for person in take.people]
    joints_m = [_points(joint_rows, person, take.film) for person in take.people]
    visible = np.zeros((len(take.people), spec.n_frames, len(keypoint_rows)), bool)
    with atomic_path(path) as partial:
        encoder = _Encoder(partial, spec.fps, take.size_px, take.wear.crf)
        for frame, (picture, canvas) in enumerate(render_frames(take)):
            encoder.write(picture)
            for index, points in enumerate(points_m):
                visible[index, frame] = _visible(canvas, points[frame], take.film.intrinsics_px[frame], index + 1)
        encoder.close()
    return _truth(take, points_m, joints_m, visible)


def render_videos(specs: Sequence[VideoSpec], library: MotionLibrary, body: Body, folder: Path) -> pd.DataFrame:
    """Write each video as <video_id>.mp4 into `folder` and return the truth of all of them."""
    rows = [
        render_video(spec, library, body, folder / f"{spec.video_id}.mp4")
        for spec in track(specs, "render videos", len(specs))
    ]
    return pd.concat(rows, ignore_index=True) if rows else empty(TRUTH)


def prepare(spec: VideoSpec, library: MotionLibrary, body: Body) -> Take:
    """Cast, camera, set and faults of a video."""
    size_px = spec.image_size_px // 2 * 2  # H.264 halves its colour planes
    hero = _hero(spec, library, body)
    filmed = film(spec.scene, hero.joints_m, size_px, spec.camera, child_generator(spec.seed, "camera"))
    people = [hero, *_bystanders(spec, library, body, hero, filmed)]
    ways = np.concatenate([person.way_m for person in people])
    scene = build_scene(
        spec.scene,
        spec.action,
        ways,
        filmed.eyes_m[:, [0, 2]],
        child_generator(spec.seed, "set"),
        props=lambda light: [mesh for person in people for mesh in props_for(person, light)],
    )
    wear = Wear(spec.scene, size_px, spec.n_frames, child_generator(spec.seed, "wear"))
    return Take(spec, size_px, people, filmed, scene, wear, _occluders(wear, scene.light, spec.seed))


def render_frames(take: Take) -> Iterator[tuple[UInt8[np.ndarray, "height width 3"], Canvas]]:
    """Each picture as the camera delivers it, and the z-buffer behind it (valid until the next one)."""
    canvas, backdrop = Canvas(take.size_px, take.size_px), Canvas(take.size_px, take.size_px)
    still = take.film.is_still
    for frame in range(take.spec.n_frames):
        if frame == 0 or not still:
            backdrop.clear()
            take.scene.draw(backdrop, *_view(take.film, frame))
        canvas.copy_from(backdrop)
        _draw_people(canvas, take, frame)
        _draw_occluders(canvas, take, frame)
        yield take.wear.apply(canvas.resolve()[0], frame), canvas


def _view(filmed: Film, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return filmed.rotations[frame], filmed.translations_m[frame], filmed.intrinsics_px[frame]


def _hero(spec: VideoSpec, library: MotionLibrary, body: Body) -> Performer:
    rng = child_generator(spec.seed, "hero")
    motion = draw_motion(library, spec.action or None, spec.split, spec.n_frames, rng)
    return perform(spec.subject, motion, body, rng.uniform(0, 2 * np.pi))


def _bystanders(spec: VideoSpec, library: MotionLibrary, body: Body, hero: Performer, filmed: Film) -> list[Performer]:
    """Other people beside the followed one, out of each other's and the camera's way."""
    taken, eyes, others = [hero.way_m], filmed.eyes_m[:, [0, 2]], []
    for number in range(1, spec.people):
        rng = child_generator(spec.seed, "bystander", str(number))
        name = f"{spec.dataset}-{spec.split}-bystander-{rng.integers(12)}"
        motion = draw_motion(library, "walking" if rng.random() < 0.6 else None, spec.split, spec.n_frames, rng)
        person = perform(name, motion, body, rng.uniform(0, 2 * np.pi))
        for _ in range(PLACING_ATTEMPTS):
            angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(1.1, 3.0)
            place = distance * np.array([np.sin(angle), np.cos(angle)])
            way = person.way_m + place
            if _apart(way, np.concatenate(taken)) > 0.45 and _apart(way, eyes) > CAMERA_ROOM_M:
                others.append(person.moved(place))
                taken.append(way)
                break
    return others


def _apart(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(first[:, None] - second[None], axis=-1).min())


def _draw_people(canvas: Canvas, take: Take, frame: int) -> None:
    rotation, translation, intrinsics = _view(take.film, frame)
    for person in take.people:
        shadow, origin = _shadow_of(person.vertices_m[frame], take.scene)
        cast_shadow(canvas, shadow, origin, SHADOW_CELL_M, rotation, translation, intrinsics)
    for owner, person in enumerate(take.people, start=1):
        vertices = person.vertices_m[frame].astype(np.float64) @ rotation.T + translation
        lit = shade(vertex_normals(vertices, person.faces), person.colours, take.scene.light, rotation)
        canvas.draw(vertices, person.faces, lit, intrinsics, owner=owner)


def _shadow_of(vertices_m: Float[np.ndarray, "vertices 3"], scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """What a body takes from the floor's light: the key light's shadow, and the dark under what touches."""
    towards = scene.light.direction
    slope = towards[[0, 2]] / towards[1]
    middle = vertices_m[::SPARSE].mean(0)
    origin = middle[[0, 2]] - slope * middle[1] - SHADOW_CELL_M * SHADOW_CELLS / 2
    cast, touch = np.zeros((2, SHADOW_CELLS, SHADOW_CELLS))
    _mark_shadow(vertices_m, slope, origin, cast, touch)
    cast, touch = gaussian_filter(cast, 1.2, truncate=3), gaussian_filter(touch, 1.6, truncate=3)
    return np.minimum(scene.shadow * np.minimum(1.15 * cast, 1) + 0.55 * touch, 0.85), origin


@njit(cache=True, fastmath=False)
def _mark_shadow(vertices, slope, origin, cast, touch):
    rows, columns = cast.shape
    for i in range(vertices.shape[0]):
        x, y, z = vertices[i]
        column = int(np.floor((x - slope[0] * y - origin[0]) / SHADOW_CELL_M))
        row = int(np.floor((z - slope[1] * y - origin[1]) / SHADOW_CELL_M))
        if 0 <= column < columns and 0 <= row < rows:
            cast[row, column] = 1
        if y < TOUCHING_M:
            column, row = int(np.floor((x - origin[0]) / SHADOW_CELL_M)), int(np.floor((z - origin[1]) / SHADOW_CELL_M))
            if 0 <= column < columns and 0 <= row < rows:
                touch[row, column] = 1


def _occluders(wear: Wear, light: Light, seed: int) -> dict[Burst, tuple[Mesh, np.ndarray]]:
    """For each occlusion burst something that passes close to the camera, and its lateral and upward offsets."""
    things = {}
    for number, burst in enumerate(wear.bursts):
        if burst.kind != "occlusion":
            continue
        rng = child_generator(seed, "occluder", str(number))
        colour, width = OCCLUDER_COLOURS[rng.integers(len(OCCLUDER_COLOURS))], rng.uniform(0.18, 0.30)
        match rng.integers(3):
            case 0:  # a board or a door
                parts = box((0, -0.35, 0), (width, rng.uniform(0.4, 2.0), 0.05), light, colour, rng.uniform(-0.4, 0.4))
            case 1:  # a column
                parts = [post((0, -2, 0), 4, width / 2.2, light, colour)]
            case _:  # someone close to the camera
                parts = [blob((0, -0.42, 0), (width, 0.5, 0.12), light, colour, rng, 0.01),
                         blob((0, 0.16, 0), (0.09, 0.12, 0.10), light, (0.30, 0.22, 0.18), rng, 0.01)]  # fmt: skip
        things[burst] = join(parts)[0], rng.uniform((-0.16, -0.12), (0.16, 0.18))
    return things


def _draw_occluders(canvas: Canvas, take: Take, frame: int) -> None:
    rotation, translation, intrinsics = _view(take.film, frame)
    for burst, (mesh, offset) in take.occluders.items():
        if frame not in burst:
            continue
        joints = take.people[0].joints_m[frame] @ rotation.T + translation
        middle = 0.45 * (joints.min(0) + joints.max(0)) / 2
        passing = 0.22 * (2 * (frame - burst.start + 0.5) / burst.frames - 1) * (1 if offset[0] > 0 else -1)
        place = middle + np.array([0.5 * offset[0] + passing, -offset[1], 0])
        canvas.draw(mesh.vertices @ rotation.T + place, mesh.faces, mesh.attributes, intrinsics, owner=OCCLUDER)


def _points(
    rows: Float[np.ndarray, "points vertices"], person: Performer, filmed: Film
) -> Float[np.ndarray, "frames points 3"]:
    """Weighted sums of vertices, in the camera frame."""
    used = np.flatnonzero(rows.any(0))
    return filmed.to_camera(np.einsum("kv,tvc->tkc", rows[:, used], person.vertices_m[:, used], optimize=True))


def _project(points_m: Float[np.ndarray, "points 3"], intrinsics_px: Float[np.ndarray, "4"]) -> np.ndarray:
    depth = np.maximum(points_m[:, 2:], 1e-6)
    return points_m[:, :2] / depth * intrinsics_px[:2] + intrinsics_px[2:]


def _visible(
    canvas: Canvas, points_m: Float[np.ndarray, "points 3"], intrinsics_px: Float[np.ndarray, "4"], owner: int
) -> Bool[np.ndarray, " points"]:
    """Inside the picture, and hidden neither by something else nor by another part of the person."""
    row, column, inside = canvas.sample_of(_project(points_m, intrinsics_px))
    in_front = points_m[:, 2] - canvas.depth_m[row, column]
    allowed = np.where(canvas.owner[row, column] == owner, OWN_FLESH_M, OTHER_GAP_M)
    return inside & (points_m[:, 2] > 0) & (in_front <= allowed)


def _truth(
    take: Take,
    points_m: list[np.ndarray],
    joints_m: list[np.ndarray],
    visible: Bool[np.ndarray, "people frames points"],
) -> pd.DataFrame:
    """Rows of the truth table: the followed person in every frame, others where enough of them shows."""
    bursts = burst_labels(take.wear.bursts, take.spec.n_frames)
    frames = []
    for index, person in enumerate(take.people):
        pixels = np.stack([_project(*pair) for pair in zip(points_m[index], take.film.intrinsics_px, strict=True)])
        keypoints = np.concatenate([pixels, visible[index][..., None]], -1)
        pose, translation = in_camera(person, take.film.rotations, take.film.translations_m)
        rows = pd.DataFrame(
            {
                "video_id": take.spec.video_id,
                "frame": np.arange(take.spec.n_frames, dtype=np.int32),
                "person": np.int32(index),
                "subject": person.subject,
                "action": take.spec.action if index == 0 and take.spec.action else person.motion.action,
                "motion_id": person.motion.motion_id,
                "keypoints_2d": unstack(keypoints),
                "joints_3d_m": unstack(joints_m[index]),
                "pose": unstack(pose),
                "betas": unstack(np.tile(person.betas, (take.spec.n_frames, 1))),
                "translation_m": unstack(translation),
                "intrinsics_px": unstack(take.film.intrinsics_px),
                "burst": bursts,
            }
        )
        shown = (visible[index].sum(1) >= FEWEST_KEYPOINTS) | (index == 0)
        frames.append(rows[shown])
    return with_defaults(pd.concat(frames, ignore_index=True), TRUTH)


# x264's macroblock tree once gave the last macroblock of a small frame another quantiser in another process.
REPEATABLE: dict[str, object] = {"x264-params": "mbtree=0"}


class _Encoder:
    """H.264 by one thread, so that the bytes depend on nothing but the pictures."""

    def __init__(self, path: Path, fps: float, size_px: int, crf: int):
        self._container = av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"})
        self._stream = self._container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        self._stream.width = self._stream.height = size_px
        self._stream.pix_fmt = "yuv420p"
        self._stream.thread_count = 1
        self._stream.options = {
            "crf": str(crf), "preset": "veryfast", "threads": "1", "flags": "+bitexact", **REPEATABLE
        }  # fmt: skip

    def write(self, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        self._container.mux(self._stream.encode(frame.reformat(format="yuv420p", threads=1)))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
