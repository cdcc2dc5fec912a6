"""The demo from end to end: footage, people, features, bodies, files; what it did, and how long each part took."""

import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings, Config, CurationSettings, DetectorSettings, TrackingSettings
from moviestrip.demo.bodies import Wanted, backbone_of, estimates_of_person, require_able
from moviestrip.demo.footage import Footage, open_footage
from moviestrip.demo.people import detect, features, follow
from moviestrip.errors import ConfigError
from moviestrip.exports.amass import amass_fields, write_amass
from moviestrip.exports.bvh import bvh_text
from moviestrip.exports.motion import PersonMotion, bodies, default_focal_px
from moviestrip.exports.people_table import PEOPLE, Estimates, people_table
from moviestrip.exports.vibe import write_vibe
from moviestrip.figures.people_video import DrawnBody, DrawnKind, PeoplePainter, with_frames_beyond
from moviestrip.figures.video import open_video
from moviestrip.models.model import CONDITION_FRAMES
from moviestrip.parts import cache_folder
from moviestrip.progress import track
from moviestrip.storage import atomic_directory, write_text
from moviestrip.tables import write_table
from moviestrip.training.checkpoint import read_checkpoint
from moviestrip.training.compute import device_named

ExportName = Literal["parquet", "vibe", "amass", "bvh"]
TrackerName = Literal["moviestrip", "detect-and-track"]
EXPORTS: tuple[ExportName, ...] = get_args(ExportName)
COLUMNS = 80


@dataclass(frozen=True)
class Pipeline:
    """The settings of every part that the demo shares with the pipeline."""

    body: BodySettings = field(default_factory=BodySettings)
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    curation: CurationSettings = field(default_factory=CurationSettings)
    backbone_weights: Mapping[str, Path] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """One call of the demo."""

    source: Path
    checkpoint: Path
    out: Path
    wanted: Wanted = field(default_factory=Wanted)
    exports: tuple[ExportName, ...] = EXPORTS
    video: bool = True
    fps: float | None = None
    focal_px: float | None = None
    minimum_detections: int = 25
    maximum_people: int = 8
    smallest_person_px: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass
class Summary:
    """What was found and written."""

    footage: Footage
    folder: Path
    frames_of_people: dict[int, int] = field(default_factory=dict)
    without_forecast: list[int] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """What a person at a terminal wants to know, at most 80 columns wide (a longer path stands alone)."""
        film = self.footage
        yield f"{film.n_frames} frames at {film.fps:g} a second, {film.width_px} x {film.height_px} px"
        yield from _wrapped("people: ", (f"{one} ({count} frames)" for one, count in self.frames_of_people.items()))
        if self.without_forecast:
            yield from _wrapped(f"under {CONDITION_FRAMES} frames, no forecast: ", map(str, self.without_forecast))
        yield from _wrapped("seconds: ", (f"{stage} {taken:.1f}" for stage, taken in self.seconds.items()))
        parts = Counter(file.relative_to(self.folder).parts[0] for file in self.files)
        names = [f"{name}/ ({count})" if (self.folder / name).is_dir() else name for name, count in parts.items()]
        yield f"{self.folder}:"
        yield from _wrapped("  ", names)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - start


def _wrapped(title: str, items: Iterable[str]) -> list[str]:
    """A title and items with commas between, broken between items only."""
    glued = ", ".join(item.replace(" ", "\0") for item in items)
    lines = textwrap.wrap(f"{title}{glued}", COLUMNS, subsequent_indent="  ", break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def export_names(text: str) -> tuple[ExportName, ...]:
    """`vibe,bvh` as names; an empty text is none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in EXPORTS]
    if unknown:
        raise ConfigError(f"--export: '{unknown[0]}' is not known; choose from {', '.join(EXPORTS)}")
    return tuple(name for name in EXPORTS if name in names)


def pipeline_of(config: Config | None, tracker: TrackerName | None) -> Pipeline:
    """The pipeline's settings under a configuration, or its defaults; `tracker` replaces the configured one."""
    tracking = config.tracking if config else TrackingSettings()
    if tracker is not None:
        tracking = tracking.model_copy(update={"tracker": tracker})
    if config is None:
        return Pipeline(tracking=tracking)
    weights, seed = {str(name): path for name, path in config.features.checkpoints.items()}, config.seed
    return Pipeline(config.body, config.detector, tracking, config.curation, weights, seed)


def run_demo(request: Request, pipeline: Pipeline) -> Summary:
    """Find everyone in a video, estimate their bodies, and write them down and draw them."""
    checkpoint = read_checkpoint(request.checkpoint)
    require_able(checkpoint, request.wanted)
    device = device_named(request.device)
    model = checkpoint.model().to(device)
    backbone = backbone_of(checkpoint, pipeline.backbone_weights, pipeline.seed)
    body = load_body(pipeline.body, cache_folder())
    footage = open_footage(request.source, request.fps)
    summary = Summary(footage, _output_folder(request, footage))
    with summary.timed("detect"):
        detections = detect(footage, pipeline.detector, request.maximum_people, request.smallest_person_px)
    with summary.timed("track"):
        people = follow(detections, pipeline.tracking, pipeline.curation, request.minimum_detections)
    with summary.timed("features"):
        phi = features(footage, people, backbone)
    with summary.timed("bodies"):
        found = [
            one
            for person in people
            for one in estimates_of_person(model, person, phi[person.identity], request.wanted, footage.fps)
        ]
    summary.frames_of_people = {person.identity: person.n_frames for person in people}
    if request.wanted.forecast_frames:
        forecast = {one.motion.identity for one in found if one.kind == "forecast"}
        summary.without_forecast = [person.identity for person in people if person.identity not in forecast]
    with summary.timed("exports"):
        summary.files += write_exports(request, summary, found, body)
    if request.video:
        with summary.timed("video"):
            summary.files += write_videos(summary, found, body)
    return summary


def _output_folder(request: Request, footage: Footage) -> Path:
    folder = request.out / footage.name
    if folder.resolve() == request.source.resolve():
        raise ConfigError(f"--out {request.out}: would write into the folder of images itself; choose another")
    return folder


def write_exports(request: Request, summary: Summary, found: list[Estimates], body: Body) -> list[Path]:
    """The files asked for; an AMASS-like file and a BVH for each person, in a folder replaced as a whole."""
    footage, folder = summary.footage, summary.folder
    focal_px = request.focal_px or default_focal_px(footage.size_px)
    seen = [one.motion for one in found if one.kind == "seen"]
    files = []
    if "parquet" in request.exports:
        files.append(folder / "people.parquet")
        write_table(files[-1], people_table(found, body, footage.size_px, focal_px), PEOPLE)
    if "vibe" in request.exports:
        files.append(folder / "vibe_output.pkl")
        write_vibe(files[-1], seen, body, footage.size_px)
    for name, suffix in (("amass", "npz"), ("bvh", "bvh")):
        if name in request.exports:
            with atomic_directory(folder / name) as partial:
                for motion in seen:
                    translation_m = motion.place.translation_m(footage.size_px, focal_px)
                    path = partial / f"person-{motion.identity:03d}.{suffix}"
                    if name == "amass":
                        write_amass(path, amass_fields(motion, body, translation_m, footage.fps))
                    else:
                        write_text(path, bvh_text(motion, body, translation_m, footage.fps))
                    files.append(folder / name / path.name)
    return files


def write_videos(summary: Summary, found: list[Estimates], body: Body) -> list[Path]:
    """`overlay.mp4`, and `side_view.mp4` with the same bodies from their side next to it."""
    footage = summary.footage
    paths = [summary.folder / "overlay.mp4", summary.folder / "side_view.mp4"]
    drawn = [one for one in found if one.kind != "hallucinated" or one.step_frames]
    end = max(one.motion.first_frame + len(one.motion) for one in drawn)
    beyond = max(0, end - footage.n_frames)
    painter = PeoplePainter(*footage.size_px, body.faces)
    frames = with_frames_beyond(footage.frames(), beyond)
    with ExitStack() as stack:
        overlay, side_view = (stack.enter_context(open_video(path, footage.fps)) for path in paths)
        shown = zip(frames, bodies_by_frame(drawn, body, footage.n_frames + beyond), strict=True)
        for (frame, exists), there in track(shown, "video", footage.n_frames + beyond):
            alone, beside = painter(frame, there, exists)
            overlay(alone)
            side_view(beside)
    return paths


def bodies_by_frame(found: list[Estimates], body: Body, n_frames: int) -> Iterator[list[DrawnBody]]:
    """Everyone to be drawn in each frame of the video; meshes are made as they are needed."""
    meshes = [bodies(one.motion, body) for one in found]
    for frame in range(n_frames):
        yield [
            _drawn(one, frame - one.motion.first_frame, *next(mesh))
            for one, mesh in zip(found, meshes, strict=True)
            if frame in _span(one.motion)
        ]


def _span(motion: PersonMotion) -> range:
    return range(motion.first_frame, motion.first_frame + len(motion))


def _drawn(
    one: Estimates, row: int, vertices_m: Float[np.ndarray, "vertices 3"], joints_m: Float[np.ndarray, "24 3"]
) -> DrawnBody:
    place = one.motion.place
    pixels_per_metre = float(place.pixels_per_metre[row])
    origin_px = place.box_center_px[row] + pixels_per_metre * place.camera[row, 1:]
    kind: DrawnKind = "seen" if one.kind == "seen" else "forecast"
    if one.kind == "hallucinated":
        kind = "past" if one.step_frames < 0 else "future"
    return DrawnBody(one.motion.identity, kind, vertices_m, joints_m, origin_px, pixels_per_metre)
