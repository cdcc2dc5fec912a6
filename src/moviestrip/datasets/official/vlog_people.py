"""VLOG-people: the videos of VLOG that HMMR trained on, listed by HMMR and distributed by VLOG's authors.

Where each part's layout is taken from, all of it public:

- vlog_ids.txt, a line such as 'X_I_4_v_mozQXWErXI4_016_': doc/vlog_people.md and datasets/vlog of HMMR's repository
  (akanazawa/human_dynamics); it is a path of VLOG with its slashes written as '_'
- X/I/4/v_mozQXWErXI4/016/clip.mp4, the 16th clip of a video under the last three characters of its id: README.txt of
  VLOG's meta data ("ID(-3)/ID(-2)/ID(-1)/ID/Y/"), and clip.mp4 in the sample code beside it
- 26 of the 798 have '_' among their id's last three characters; the list's folders skip it (1/o/w for DpHpjH61_ow).
  Whether VLOG's do is not confirmed by anything public: both places are looked at
- all for training: HMMR evaluates on none of them, and released no other list

HMMR released the keypoints of VLOG-people only within its TFRecords (moviestrip.datasets.prepared.hmmr_records reads
them), never as one file a frame. Who has tracks in InstaVariety's layout, which HMMR's script for videos in the wild
reads, may put them in VLOG_tracks/ under the names of vlog_ids.txt; without them there is no annotation, and people
have to be detected and tracked.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.datasets.official.instavariety import AS_THE_FILE_SAYS_FPS, Listed, read_ids, read_tracks

_LIST, _TRACKS = "vlog_ids.txt", "VLOG_tracks"
NAME = re.compile(r"(?P<folders>[\w-]_[\w-]_[\w-])_(?P<video>v_[\w-]{11})_(?P<clip>\d{3})_")
EXAMPLE = "X_I_4_v_mozQXWErXI4_016_"


class VlogPeople(Release):
    name = "vlog-people"
    title = "VLOG-people"
    homepage = "https://github.com/akanazawa/human_dynamics/blob/master/doc/vlog_people.md"
    licence = "The VLOG agreement of VLOG's authors; each video is its YouTube uploader's."
    expected: ClassVar[Mapping[str, int]] = {"train videos": 798}  # lines of vlog_ids.txt
    tree = """
vlog-people/
  vlog_ids.txt                                  from datasets/vlog of HMMR's repository
  X/I/4/v_mozQXWErXI4/016/clip.mp4              as VLOG's authors distribute their clips
  VLOG_tracks/X_I_4_v_mozQXWErXI4_016_/0/       only for those who have tracks in InstaVariety's layout
""".strip("\n")

    def videos(self) -> Iterator[ReleasedVideo]:
        for listed in self._listed():
            if not listed.reason:
                yield ReleasedVideo(
                    name=listed.name, split=listed.split, file=listed.file, fps=AS_THE_FILE_SAYS_FPS,
                    subject=NAME.fullmatch(listed.name)["video"],  # type: ignore[index]
                )  # fmt: skip

    def missing(self) -> Iterator[tuple[str, str]]:
        """Name of each listed video that `videos` leaves out, and why."""
        return ((listed.name, listed.reason) for listed in self._listed() if listed.reason)

    def people(self, video: ReleasedVideo) -> People:
        """The tracks, where a user has them; no rows otherwise."""
        return read_tracks(self.folder / _TRACKS / video.name)

    def _listed(self) -> Iterator[Listed]:
        for name in read_ids(self.require(_LIST), NAME, EXAMPLE):
            found = {file: size for file in clip_files(name) if (size := _size(self.folder / file)) is not None}
            file = next((file for file, size in found.items() if size), "")
            why = f"{next(iter(found))}: empty, its download failed" if found else f"{clip_files(name)[0]}: not there"
            yield Listed(name, "train", file, "" if file else why)


def clip_files(name: str) -> tuple[str, ...]:
    """Where VLOG may keep the clip of a line of vlog_ids.txt: under its folders, or its id's last characters."""
    match = NAME.fullmatch(name)
    assert match is not None  # read_ids gives no other
    folders = dict.fromkeys(["/".join(match["folders"][::2]), "/".join(match["video"][-3:])])
    return tuple(f"{folder}/{match['video']}/{match['clip']}/clip.mp4" for folder in folders)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
