"""MPI-INF-3DHP as its authors distribute it: the training videos and the test set, which are two downloads.

Where each field's layout is taken from, all of it public:

- folders, file names, cells and rows of annot.mat (x1,y1,z1,x2,..) in each camera's frame, `cameras` and `frames`, that
  annot3 projects onto annot2 and univ_annot3 does not, rows beyond a video's end: the release's README.txt; the same is
  read by HMR (src/datasets/mpi_inf_3dhp/read_mpi_inf_3dhp.py), SPIN (datasets/preprocess/mpi_inf_3dhp.py) and VIBE
  (lib/data_utils/mpii3d_utils.py), which divide by 1000 and take row i for frame i, both from 0
- joints: its util/mpii_get_joint_set.m (all 28; 'relevant', the 17 of the test set)
- frames a second and frames of each sequence: its util/mpii_get_sequence_info.m
- the eight cameras: its util/mpii_get_camera_set.m, 'vnect'; SPIN, VIBE and HMR take the same
- camera.calibration, "Skeletool Camera Calibration File V1.0", a block of lines a camera: SPIN, HMR
- imageFrames/video_0/frame_000001.jpg and video_0/frame_000001.jpg, as people unpack the videos: SPIN; HMR and VIBE
- annot_data.mat, HDF5-based, annot2 2x17x1xn, annot3 and univ_annot3 3x17x1xn, valid_frame, and the pictures
  imageSequence/img_000001.jpg: the test set's README.txt, SPIN, VIBE; where its archive unpacks to: get_testset.sh
- that univ_annot3 is annot3 times one number a sequence, once both are relative to a joint, and that the test set's
  cameras follow from annot2 and annot3: margipose (data/mpi_inf_3dhp/preprocess.py), which asserts the former

Not confirmed by anything public: the test set's frames a second, taken to be the 25 of most training sequences, and
whether annot2 counts pixels from 0 or from 1 (nobody who reads it takes 1 off, and neither does this reader). The
activity of every test frame (`activity_annotation`) is not read: none of the papers tells activities apart.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from moviestrip.config import Split
from moviestrip.datasets.official.base import TRUNK_3, People, Release, ReleasedVideo
from moviestrip.datasets.official.matlab import read_mat
from moviestrip.errors import StorageError
from moviestrip.skeleton import COMMON_14, HMMR_25, MPI_INF_3DHP_17, MPI_INF_3DHP_28, convert, indices_of

CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)  # of 14; the others look down from higher up
CHOSEN = indices_of(MPI_INF_3DHP_17, MPI_INF_3DHP_28)
SEQUENCES = {  # frames a second, frames
    "S1/Seq1": (25, 6416), "S1/Seq2": (50, 12430), "S2/Seq1": (25, 6502), "S2/Seq2": (25, 6081),
    "S3/Seq1": (50, 12488), "S3/Seq2": (50, 12283), "S4/Seq1": (25, 6171), "S4/Seq2": (25, 6675),
    "S5/Seq1": (50, 12820), "S5/Seq2": (50, 12312), "S6/Seq1": (25, 6188), "S6/Seq2": (25, 6145),
    "S7/Seq1": (25, 6239), "S7/Seq2": (25, 6320), "S8/Seq1": (25, 6468), "S8/Seq2": (25, 6054),
}  # fmt: skip
TEST_SEQUENCES = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
TEST_FPS = 25.0
VALIDATION: dict[str, tuple[str, ...]] = {
    "official": (),
    "hmr": ("S8/Seq1", "S8/Seq2"),
    "margipose": ("S4/Seq1", "S8/Seq2"),
}
TEST_FOLDER = "mpi_inf_3dhp_test_set"

_PELVIS, _NECK = (MPI_INF_3DHP_17.index(name) for name in ("pelvis", "neck"))
_FRAME_FOLDERS = ("imageFrames/video_{}", "video_{}")
_FRAME_NUMBER = re.compile(r"(\d+)\.(?:jpg|jpeg|png)", re.IGNORECASE)
_CALIBRATION_TITLE = "Skeletool Camera Calibration File"
MAXIMUM_CALIBRATION_BYTES = 2**20
MAXIMUM_REPROJECTION_FOCALS = 0.0175  # a degree, 26 px; the release's own is far below one pixel
TRUNK_LENGTH_M = (0.2, 1.0)
UNIVERSAL_SCALE = (0.5, 2.0)
MAXIMUM_UNIVERSAL_RESIDUAL_MM = 1.0


@dataclass(frozen=True)
class View:
    """A camera's lens, which distorts nothing, and the size of its pictures."""

    intrinsics_px: Float[np.ndarray, " 4"]
    width_px: int
    height_px: int


class MpiInf3dhp(Release):
    """Eight actors before 14 cameras, of which the papers take eight, and six test sequences of one camera each.

    SPIN, VIBE and TCMR train on all eight subjects and have no validation set here: VIBE's 'mpii3d_val_db' is the test
    set. HMR holds S8 out; margipose holds out S4/Seq1 and S8/Seq2. Training joints have their true size (annot3). Test
    joints have the universal skeleton's (univ_annot3), as the release's own evaluation and SPIN, VIBE and TCMR score
    them; the person is moved nearer or farther by the same factor, so that the joints still project onto annot2.

    A joint outside the picture has confidence 0 and keeps its place in 3D; SPIN and VIBE drop the frames that have one.
    A test frame is trusted where `valid_frame` says so. The video of S6/Seq2's camera 2 is shorter than its annotation
    (margipose leaves it out): its last rows have no frame. Subjects whom a user did not download are not missed, since
    the release's get_dataset.sh fetches chosen ones, and neither is one of the two parts.
    """

    name = "mpi-inf-3dhp"
    title = "MPI-INF-3DHP"
    homepage = "https://vcai.mpi-inf.mpg.de/3dhp-dataset/"
    licence = "for non-commercial scientific research only; no redistribution"
    rules = tuple(VALIDATION)
    # With the rule 'official'. Training: the frames of mpii_get_sequence_info.m, seen by eight cameras. Test: frames as
    # mmpose's preprocessing counts them; those that count in evaluation as the test set's README.txt does.
    expected: ClassVar[Mapping[str, int]] = {
        "train videos": 128, "test videos": 6, "train frames": 1_052_736, "test frames": 24_888,
        "trusted test frames": 2929,
    }  # fmt: skip
    tree = """
mpi_inf_3dhp/
  S1/  (to S8; those who were downloaded)
    Seq1/  (and Seq2)
      annot.mat
      camera.calibration
      imageSequence/video_0.avi                 and 1, 2, 4, 5, 6, 7, 8: vnect_cameras.zip unpacked
  mpi_inf_3dhp_test_set/                        or once more within itself, as get_testset.sh unpacks it
    TS1/  (to TS6)
      annot_data.mat
      imageSequence/img_000001.jpg
""".strip("\n")

    def videos(self) -> Iterator[ReleasedVideo]:
        subjects = sorted({sequence.split("/")[0] for sequence in SEQUENCES})
        subjects = [subject for subject in subjects if (self.folder / subject).is_dir()]
        test = self._test_folder()
        if not subjects and not test:
            raise StorageError(f"{self.folder}: holds neither S1 to S8 nor {TEST_FOLDER} of {self.title}")
        for sequence, (fps, _) in SEQUENCES.items():
            if sequence.split("/")[0] in subjects:
                yield from self._training_videos(sequence, float(fps))
        for sequence in TEST_SEQUENCES if test else ():
            folder = self.require(test, sequence, "imageSequence")
            file = folder.relative_to(self.folder).as_posix()
            yield ReleasedVideo(name=sequence, split="test", file=file, fps=TEST_FPS, subject=sequence)

    def _test_folder(self) -> str:
        """Where the test set lies, relative to the release; empty where it was not downloaded."""
        nested = f"{TEST_FOLDER}/{TEST_FOLDER}"
        places = (nested, TEST_FOLDER)
        return next((place for place in places if (self.folder / place).is_dir()), "")

    def _training_videos(self, sequence: str, fps: float) -> Iterator[ReleasedVideo]:
        folder, found = self.require(*sequence.split("/")), False
        split: Split = "validation" if sequence in VALIDATION[self.rule] else "train"
        for camera in CAMERAS:
            files = (f"imageSequence/video_{camera}.avi", *(name.format(camera) for name in _FRAME_FOLDERS))
            for file in [file for file in files if (folder / file).exists()][:1]:
                found = True
                yield ReleasedVideo(
                    name=f"{sequence}/video_{camera}", split=split, file=f"{sequence}/{file}", fps=fps,
                    subject=sequence.split("/")[0], camera=str(camera),
                )  # fmt: skip
        if not found:
            raise StorageError(
                f"{folder / 'imageSequence'}: holds no video_0.avi or of another camera; unpack its vnect_cameras.zip"
            )

    def people(self, video: ReleasedVideo) -> People:
        return self._tested(video) if video.split == "test" else self._trained(video)

    def _trained(self, video: ReleasedVideo) -> People:
        sequence = video.name.rsplit("/", 1)[0]
        folder = self.require(*sequence.split("/"))
        path, camera = folder / "annot.mat", int(video.camera)
        frames, pixels, points_m = read_training(path, camera)
        view = read_views(folder / "camera.calibration").get(camera)
        if view is None:
            raise StorageError(f"{folder / 'camera.calibration'}: has no camera {camera}")
        there = frames < SEQUENCES[sequence][1]
        frames, pixels, points_m = frames[there], pixels[there], points_m[there]
        if (self.folder / video.file).is_dir():
            _require_every_picture(self.folder / video.file, int(frames.max(initial=-1)) + 1)
        _require_metres(path, points_m)
        _require_projection(path, pixels, points_m, view.intrinsics_px, str(folder / "camera.calibration"))
        return _people(frames, pixels, points_m, view)

    def _tested(self, video: ReleasedVideo) -> People:
        pictures = self.folder / video.file
        path = pictures.parent / "annot_data.mat"
        pixels, points_m, universal_m, counts = read_test(path)
        _require_metres(path, points_m)
        intrinsics_px = _lens(path, pixels, points_m)
        _require_projection(path, pixels, points_m, intrinsics_px, "the camera that fits best")
        first = _require_every_picture(pictures, len(pixels))
        view = View(intrinsics_px, *_picture_size(first))
        placed_m = _placed(path, universal_m, points_m)
        return _people(np.arange(len(pixels)), pixels, placed_m, view, trusted=counts)


def read_training(
    path: Path, camera: int
) -> tuple[Int[np.ndarray, " frames"], Float[np.ndarray, "frames 17 2"], Float[np.ndarray, "frames 17 3"]]:
    """Frames, pixels and joints in metres that an annot.mat holds of one camera."""
    found = read_mat(path, "annot2", "annot3", "cameras", "frames")
    cameras = _counts(path, "cameras", found["cameras"])
    if camera not in cameras:
        raise StorageError(f"{path}: cameras has no {camera}; it holds {', '.join(map(str, cameras)) or 'none'}")
    place = cameras.tolist().index(camera)
    pixels, points_mm = (
        _cell(path, f"annot{dimensions}", found[f"annot{dimensions}"], place, len(cameras), dimensions)
        for dimensions in (2, 3)
    )
    frames = _counts(path, "frames", found["frames"])
    if not len(frames) == len(pixels) == len(points_mm):
        raise StorageError(
            f"{path}: {len(frames)} frames, but annot2 has {len(pixels)} rows and annot3 {len(points_mm)} of camera "
            f"{camera}; download it again"
        )
    if (np.diff(frames) <= 0).any():
        raise StorageError(f"{path}: frames do not rise; download it again")
    return frames, pixels, points_mm / 1000


def _counts(path: Path, name: str, value: Any) -> Int[np.ndarray, " values"]:
    """A row or column of whole numbers from 0, which MATLAB holds as doubles."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.size != max(array.shape, default=0):
        raise StorageError(f"{path}: {name} is {_kind(value)}, expected a row of numbers counted from 0")
    flat = array.ravel()
    whole = np.isfinite(flat).all() and (flat >= 0).all() and (flat == np.round(flat)).all()
    if not whole:
        raise StorageError(f"{path}: {name} has values that are not whole numbers from 0")
    return flat.astype(np.int64)


def _cell(
    path: Path, name: str, cells: Any, place: int, n_cameras: int, dimensions: int
) -> Float[np.ndarray, "frames 17 dimensions"]:
    if not isinstance(cells, list) or len(cells) != n_cameras:
        raise StorageError(f"{path}: {name} is {_kind(cells)}, expected a cell for each of {n_cameras} cameras")
    value, width = cells[place], len(MPI_INF_3DHP_28) * dimensions
    if not _is_measured(value) or value.ndim != 2 or value.shape[1] != width:
        raise StorageError(
            f"{path}: {name}{{{place + 1}}} is {_kind(value)}, expected double (frames, {width}): "
            f"{len(MPI_INF_3DHP_28)} joints of {dimensions} numbers"
        )
    return value.reshape(len(value), -1, dimensions)[:, CHOSEN].astype(np.float64)


def read_test(
    path: Path,
) -> tuple[
    Float[np.ndarray, "frames 17 2"],
    Float[np.ndarray, "frames 17 3"],
    Float[np.ndarray, "frames 17 3"],
    Bool[np.ndarray, " frames"],
]:
    """What an annot_data.mat holds: pixels, joints in metres, the universal skeleton's, and which frames count."""
    found = read_mat(path, "annot2", "annot3", "univ_annot3", "valid_frame")
    pixels, points_mm, universal_mm = (
        _stack(path, name, found[name], dimensions)
        for name, dimensions in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3))
    )
    counts = np.asarray(found["valid_frame"])
    if counts.dtype.kind not in "fiub" or not np.isin(counts, (0, 1)).all():
        raise StorageError(f"{path}: valid_frame is {_kind(found['valid_frame'])}, expected a row of 0 and 1")
    if not len(pixels) == len(points_mm) == len(universal_mm) == counts.size:
        raise StorageError(
            f"{path}: annot2, annot3, univ_annot3 and valid_frame are of {len(pixels)}, {len(points_mm)}, "
            f"{len(universal_mm)} and {counts.size} frames; unpack the test set again"
        )
    return pixels, points_mm / 1000, universal_mm / 1000, counts.ravel().astype(bool)


def _stack(path: Path, name: str, value: Any, dimensions: int) -> Float[np.ndarray, "frames 17 dimensions"]:
    joints = len(MPI_INF_3DHP_17)
    if not _is_measured(value) or value.shape[:-1] not in ((dimensions, joints, 1), (dimensions, joints)):
        raise StorageError(
            f"{path}: {name} is {_kind(value)}, expected double ({dimensions}, {joints}, 1, frames) in MATLAB's order"
        )
    return value.reshape(dimensions, joints, -1).transpose(2, 1, 0).astype(np.float64)


def _is_measured(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype in (np.float32, np.float64)


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"{len(value)} cells" if isinstance(value, list) else type(value).__name__


def read_views(path: Path) -> dict[int, View]:
    """The cameras of a camera.calibration by their number."""
    if not path.is_file():
        raise StorageError(f"{path}: missing; it is downloaded beside annot.mat")
    if path.stat().st_size > MAXIMUM_CALIBRATION_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_CALIBRATION_BYTES:,}")
    lines = path.read_text(errors="replace").splitlines()
    if not lines or not lines[0].startswith(_CALIBRATION_TITLE):
        raise StorageError(f"{path}: does not begin with '{_CALIBRATION_TITLE}'; download it again")
    views: dict[int, View] = {}
    block: dict[str, list[str]] = {}
    for number, line in enumerate(lines[1:], start=2):
        key, *values = line.split() or [""]
        block = {} if key == "name" else block
        block[key] = values
        if key == "intrinsic":
            try:
                views[int(block["name"][0])] = _view(block)
            except (KeyError, IndexError, ValueError) as error:
                raise StorageError(f"{path}: line {number} ends no camera ({type(error).__name__}: {error})") from error
    return views


def _view(block: Mapping[str, list[str]]) -> View:
    matrix = np.array([float(word) for word in block["intrinsic"]]).reshape(4, 4)
    lens = matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
    width_px, height_px = (int(word) for word in block["size"])
    if not np.isfinite(lens).all() or min(*lens[:2], width_px, height_px) <= 0:
        raise ValueError(f"focal lengths {lens[:2].tolist()} px of a picture of {width_px} x {height_px} px")
    return View(lens, width_px, height_px)


def _known(points: Float[np.ndarray, "frames joints axes"]) -> Bool[np.ndarray, " frames"]:
    """Frames in which every joint is annotated: what is not is NaN, or all zeros."""
    return np.isfinite(points).all(axis=(1, 2)) & points.any(axis=(1, 2))


def _lens(
    path: Path, pixels: Float[np.ndarray, "frames 17 2"], points_m: Float[np.ndarray, "frames 17 3"]
) -> Float[np.ndarray, " 4"]:
    """Focal lengths and centre with which the joints fall nearest to their pixels."""
    known = _known(pixels) & _known(points_m)
    if not known.any():
        raise StorageError(f"{path}: annot2 and annot3 have no frame in common")
    pairs = []
    for axis in (0, 1):
        places = points_m[known][..., [axis, 2]].reshape(-1, 2)
        seen = (pixels[known][..., axis] * points_m[known][..., 2]).ravel()
        pairs.append(np.linalg.lstsq(places, seen, rcond=None)[0])
    return np.stack(pairs, axis=1).ravel()


def _require_metres(path: Path, points_m: Float[np.ndarray, "frames 17 3"]) -> None:
    known = points_m[_known(points_m)]
    trunk_m = np.linalg.norm(known[:, _NECK] - known[:, _PELVIS], axis=-1)
    length_m = float(np.median(trunk_m)) if len(known) else TRUNK_LENGTH_M[1]
    if not TRUNK_LENGTH_M[0] < length_m <= TRUNK_LENGTH_M[1]:
        raise StorageError(
            f"{path}: annot3 has {1000 * length_m:.4g} mm from pelvis to neck; the release counts in millimetres"
        )


def _require_projection(
    path: Path,
    pixels: Float[np.ndarray, "frames 17 2"],
    points_m: Float[np.ndarray, "frames 17 3"],
    intrinsics_px: Float[np.ndarray, " 4"],
    by: str,
) -> None:
    """That annot2 is what the camera sees of annot3."""
    known = _known(pixels) & _known(points_m)
    if not known.any():
        return
    if (points_m[known][:, _PELVIS, 2] <= 0).any():
        raise StorageError(f"{path}: annot3 has people behind the camera; it is not in the camera's frame")
    seen = points_m[known][..., :2] / points_m[known][..., 2:] * intrinsics_px[:2] + intrinsics_px[2:]
    away_px = np.median(np.linalg.norm(seen - pixels[known], axis=-1))
    if not away_px <= MAXIMUM_REPROJECTION_FOCALS * abs(intrinsics_px[0]):
        raise StorageError(
            f"{path}: annot2 lies {away_px:.0f} px from annot3 as seen by {by}; one of them is of another sequence or "
            f"camera"
        )


def _placed(
    path: Path, universal_m: Float[np.ndarray, "frames 17 3"], points_m: Float[np.ndarray, "frames 17 3"]
) -> Float[np.ndarray, "frames 17 3"]:
    """The universal skeleton where the camera sees it as it sees the person: at a distance scaled as the person is."""
    known = _known(universal_m) & _known(points_m)
    universal, person = (points - points[:, [_PELVIS]] for points in (universal_m, points_m))
    scale = float((universal[known] * person[known]).sum() / (person[known] ** 2).sum()) if known.any() else 1.0
    away_mm = 1000 * float(np.abs(universal - scale * person)[known].max(initial=0))
    if not UNIVERSAL_SCALE[0] < scale < UNIVERSAL_SCALE[1] or away_mm > MAXIMUM_UNIVERSAL_RESIDUAL_MM:
        raise StorageError(
            f"{path}: univ_annot3 is not annot3 at another size (best at {scale:.3g} times, {away_mm:.3g} mm off); "
            f"unpack the test set again"
        )
    return np.where(known[:, None, None], universal + scale * points_m[:, [_PELVIS]], np.nan)


def _people(
    frames: Int[np.ndarray, " frames"],
    pixels: Float[np.ndarray, "frames 17 2"],
    points_m: Float[np.ndarray, "frames 17 3"],
    view: View,
    trusted: Bool[np.ndarray, " frames"] | None = None,
) -> People:
    has_3d = _known(points_m)
    everywhere = np.where(has_3d[:, None, None], points_m, 0)
    inside = ((pixels >= 0) & (pixels < (view.width_px, view.height_px))).all(axis=-1)
    seen = inside & np.any(pixels, axis=(1, 2))[:, None]
    keypoints = np.concatenate([np.where(seen[..., None], pixels, 0), seen[..., None]], axis=-1)
    return People.of(
        np.zeros(len(frames), np.int64), frames,
        keypoints_px=convert(keypoints, MPI_INF_3DHP_17, HMMR_25),
        has_3d=has_3d,
        joints_m=everywhere[:, indices_of(COMMON_14, MPI_INF_3DHP_17)],
        trunk_m=np.where(has_3d[:, None, None], points_m[:, indices_of(TRUNK_3, MPI_INF_3DHP_17)], np.nan),
        intrinsics_px=np.tile(view.intrinsics_px, (len(frames), 1)),
        trusted=np.ones(len(frames), bool) if trusted is None else trusted,
    )  # fmt: skip


def _require_every_picture(folder: Path, n_frames: int) -> Path:
    """The first picture of a folder that has one for every annotated frame, numbered from 1 without gaps."""
    named = {}
    for path in folder.iterdir():
        match = _FRAME_NUMBER.search(path.name)
        if match and not path.name.startswith("."):
            named[int(match[1])] = path
    missing = next((number for number in range(1, n_frames + 1) if number not in named), None)
    if missing is not None or 0 in named:
        state = "missing" if missing else "one too many"
        raise StorageError(
            f"{folder}: picture {missing or 0:06d} is {state}; {n_frames} frames are annotated, numbered from 000001"
        )
    return named[1]


def _picture_size(path: Path) -> tuple[int, int]:
    """Width and height, from the header alone."""
    try:
        with Image.open(path) as file:
            return file.size
    except Exception as error:  # a damaged picture may raise anything
        raise StorageError(f"{path}: is no picture that can be read ({type(error).__name__}: {error})") from error
