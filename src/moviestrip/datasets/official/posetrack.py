"""PoseTrack18 as its authors distribute it: folders of pictures, and a JSON file of everyone in each.

Where each field's layout is taken from, all of it public:

- posetrack_data/annotations/{train,val}/*.json of posetrack18_v0.45_public_labels.tar.gz: VIBE
  (lib/data_utils/posetrack_utils.py), the installation notes of openpifpaf's tracker, which move what is in
  posetrack_data/ beside images/, where posetrack18_images.tar unpacks
- `images` (`id`, `file_name` such as images/val/000342_mpii_test/000000.jpg, `is_labeled`), `annotations` (`image_id`,
  `track_id`, `keypoints`), `categories`: the structure that DensePose-PoseTrack's DATA_FORMAT documents, the wiki of
  bonn-activity-maps/bam_annotation_tool (`track_id` is unique per frame; a keypoint's third value is 1 if it is
  annotated and 0 if not), VIBE
- 17 names of `categories` and the two ears that are never annotated: VIBE, MMPose (posetrack18.py)
- annotations without any joint (skipped by VIBE), and coordinates far from any picture (a public reader of the labels
  drops what is below -100 or above 10,000)
- 15 joints: PoseTrack's paper (CVPR 2018). `head_bottom` is the upper neck; VIBE takes it for the neck, and so does
  this reader: it is approximate
- labels on 30 frames in the middle of a training video, and on every fourth frame besides of the others: the paper

Not confirmed by anything public: whether x and y count pixels from 0 or from 1 (no reader takes 1 off, and neither does
this one), and how many frames a second the videos had; VIBE takes every labelled frame, as at 25. `bbox`, `bbox_head`,
`scores`, `frame_id`, `vid_id`, `nframes` and the regions whose people are not annotated (`ignore_regions_x`, `_y`) are
not read. VIBE means to leave 021133_mpii_train out, without saying why, and by a path that matches nothing: it is in.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from moviestrip.config import Split
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.datasets.official.pictures import pictures_in, require_within
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25, POSETRACK_15, convert

FPS = 25.0
SPLITS: dict[str, dict[str, Split]] = {
    "official": {"train": "train", "val": "validation"},
    "val-is-test": {"train": "train", "val": "test"},
    "vibe": {"train": "train"},
}
MAXIMUM_JSON_BYTES = 256 * 2**20
PLAUSIBLE_PX = (-100.0, 10_000.0)


class PoseTrack18(Release):
    """Everyone in crowded videos, by the numbers of their tracks.

    The annotation of the test videos is not public, so they are none here. VIBE and TCMR train on the training videos
    and use no others (rule 'vibe'); HMMR and PHD do not use PoseTrack. 'val-is-test' is for whoever evaluates on the
    validation videos, as most do.

    Rows are of labelled joints only: a frame that the release does not label has none, and people in the regions it
    ignores have none. A label in a video whose picture is missing is an error.
    """

    name = "posetrack18"
    title = "PoseTrack18"
    homepage = "https://posetrack.net"
    licence = "on the terms that its site states on registration; quoted by no public source"
    rules = tuple(SPLITS)
    # 593 is what the challenge of 2018 and papers since print. Of the videos for validation, version 0.45 of the labels
    # has 170 and version 0.2 had 74 (issue 33 of mks0601/TF-SimpleHumanPose, the same 593 being printed beside both).
    expected: ClassVar[Mapping[str, int]] = {"train videos": 593, "validation videos": 170}
    tree = """
posetrack18/
  images/train/000001_bonn_train/000000.jpg     and 000001.jpg, ...
  images/val/000342_mpii_test/000000.jpg
  posetrack_data/annotations/                   or annotations/
    train/000001_bonn_train.json
    val/000342_mpii_test.json
""".strip("\n")

    @cached_property
    def annotations(self) -> Path:
        inner = self.folder / "posetrack_data" / "annotations"
        return inner if inner.is_dir() else self.require("annotations")

    @cached_property
    def images(self) -> Path:
        inner = self.folder / "posetrack_data" / "images"
        return inner if inner.is_dir() else self.require("images")

    def videos(self) -> Iterator[ReleasedVideo]:
        for part, split in SPLITS[self.rule].items():
            folder = self.annotations / part
            files = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
            if not files:
                raise StorageError(f"{folder}: holds no annotation such as 000342_mpii_test.json; unpack it again")
            for path in files:
                pictures = self.images / part / path.stem
                if not pictures.is_dir():
                    raise StorageError(f"{pictures}: missing, though there is {path}; unpack the images again")
                file = pictures.relative_to(self.folder).as_posix()
                yield ReleasedVideo(name=f"{part}/{path.stem}", split=split, file=file, fps=FPS)

    def people(self, video: ReleasedVideo) -> People:
        path = self.annotations / f"{video.name}.json"
        found = read_annotation(path)
        labelled = [(_keypoints(path, label, found["names"]), label) for label in found["annotations"]]
        labelled = [(keypoints, label) for keypoints, label in labelled if keypoints[:, 2].any()]
        frame_of = _frames(path, found["images"], video, self.folder, {label["image_id"] for _, label in labelled})
        rows = sorted(
            ((label["track_id"], frame_of[label["image_id"]], keypoints) for keypoints, label in labelled),
            key=lambda row: row[:2],
        )
        keys = [row[:2] for row in rows]
        for first, second in pairwise(keys):
            if first == second:
                raise StorageError(f"{path}: track_id {first[0]} is twice in frame {first[1]}; extract it again")
        stacked = np.array([row[2] for row in rows]).reshape(-1, len(POSETRACK_15), 3)
        require_within(path, stacked, pictures_in(self.folder / video.file)[0])
        return People.of(
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1] for row in rows], np.int64),
            keypoints_px=_as_hmmr(stacked),
        )


def _as_hmmr(keypoints: Float[np.ndarray, "rows 15 3"]) -> Float[np.ndarray, "rows 25 3"]:
    result = convert(keypoints, POSETRACK_15, HMMR_25)
    result[:, HMMR_25.index("neck")] = keypoints[:, POSETRACK_15.index("head_bottom")]
    return result


def read_annotation(path: Path) -> dict[str, Any]:
    """`images`, `annotations` and the joints' `names` of one file, with the fields that are read."""
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    if path.stat().st_size > MAXIMUM_JSON_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_JSON_BYTES:,}")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path}: damaged, or not a JSON file ({error}); extract it again") from error
    if not isinstance(found, dict):
        raise StorageError(f"{path}: is a JSON {type(found).__name__}, expected an object with images and annotations")
    _require_fields(path, found, "images", {"id": int, "file_name": str})
    _require_fields(path, found, "annotations", {"image_id": int, "track_id": int, "keypoints": list})
    _require_fields(path, found, "categories", {"keypoints": list})
    names = found["categories"][0]["keypoints"] if found["categories"] else []
    missing = [name for name in POSETRACK_15 if name not in names]
    if missing:
        raise StorageError(f"{path}: categories name no joint {', '.join(missing)}; is it of another year's release?")
    return {"images": found["images"], "annotations": found["annotations"], "names": names}


def _require_fields(path: Path, found: dict[str, Any], name: str, fields: Mapping[str, type]) -> None:
    rows = found.get(name)
    if not isinstance(rows, list):
        raise StorageError(f"{path}: has no list '{name}'; it holds {', '.join(sorted(found)) or 'nothing'}")
    for number, row in enumerate(rows):
        for field, kind in fields.items():
            value = row.get(field) if isinstance(row, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                raise StorageError(f"{path}: {name}[{number}].{field} is {value!r:.60}, expected {kind.__name__}")


def _keypoints(path: Path, label: dict[str, Any], names: list[str]) -> Float[np.ndarray, "15 3"]:
    """x, y and confidence 0 or 1 of POSETRACK_15."""
    try:
        values = np.array(label["keypoints"], np.float64)
    except (TypeError, ValueError) as error:
        raise StorageError(f"{path}: keypoints of image {label['image_id']} are not numbers ({error})") from error
    if values.shape != (3 * len(names),):
        raise StorageError(
            f"{path}: keypoints of image {label['image_id']} have shape {values.shape}, expected ({3 * len(names)},): "
            f"x, y and whether it is annotated, of {len(names)} joints"
        )
    chosen = values.reshape(-1, 3)[[names.index(name) for name in POSETRACK_15]]
    points = chosen[:, :2]
    plausible = ((points > PLAUSIBLE_PX[0]) & (points < PLAUSIBLE_PX[1])).all(axis=-1)  # NaN is not
    known = (chosen[:, 2] > 0) & plausible & points.any(axis=-1)
    return np.concatenate([np.where(known[:, None], points, 0), known[:, None]], axis=-1)


def _frames(
    path: Path, images: list[dict[str, Any]], video: ReleasedVideo, folder: Path, labelled: set[int]
) -> dict[int, int]:
    """Where each labelled image stands among the video's pictures.

    Pictures after the last label may lack; before it, all those after would count too low.
    """
    part, stem = video.name.split("/")
    names = {image["id"]: PurePosixPath(image["file_name"]) for image in images}
    for file in names.values():
        if file.parts[-3:-1] != (part, stem):
            raise StorageError(f"{path}: file_name {file} is not in {part}/{stem}; the file is of another video")
    unknown = labelled - names.keys()
    if unknown:
        raise StorageError(f"{path}: annotations are of image {min(unknown)}, which is not among its images")
    there = {picture.name: place for place, picture in enumerate(pictures_in(folder / video.file))}
    last = max((names[image].name for image in labelled), default="")
    for name in sorted(image.name for image in names.values()):
        if name <= last and name not in there:
            picture = folder / video.file / name
            raise StorageError(f"{picture}: missing, though {path} names it; unpack the images again")
    return {image: there[names[image].name] for image in labelled}
