"""The filters that look at pictures: a clip is left out when it is blurred, or shows what an earlier video shows.

Found videos are posted again and again, resized, recompressed, mirrored. A few key frames of every clip carry a
perceptual hash (PDQ) of the whole frame; a clip is a near-duplicate when most of those of its key frames that can be
told apart at all are within a few bits of key frames of one earlier video. Earlier means: of an earlier shard, or of
the same shard and first by its id. The first wins, so shards added later change no verdict, and what is left out is
no original of anything. People of one video share its frames and are never duplicates of each other.
"""

import binascii
import math
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt64
from numba import njit
from numba.extending import intrinsic

from moviestrip.config import CurationSettings
from moviestrip.curate.filters import APPEARANCE, Verdict
from moviestrip.errors import FatalError
from moviestrip.tables import ATTRIBUTES, KEY_FRAMES, empty

MINIMUM_QUALITY = 50  # of PDQ: its authors discard hashes of plainer frames
MIRROR = np.uint64(0x5555555555555555)  # the cosines that change sign with left and right: every other bit

Hashes = UInt64[np.ndarray, "frames 4"]


def judge_appearance(
    clips: pd.DataFrame, key_frames: pd.DataFrame, originals: pd.DataFrame, settings: CurationSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Blur and near-duplicates of a shard's clips: (tables.ATTRIBUTES, tables.KEY_FRAMES).

    `key_frames` are this shard's, `originals` what this returned of all shards before, together. Only the given clips
    are judged and become originals: give those that all other filters passed.
    """
    frames_of = {str(clip_id): rows for clip_id, rows in key_frames.groupby("clip_id", sort=False)}
    seen = Originals(originals)
    verdicts: dict[str, tuple[Verdict, Verdict]] = {}
    kept = []
    for video_id, of_video in clips.groupby("video_id", sort=True):
        accepted = []
        for clip_id in of_video["clip_id"]:
            if clip_id not in frames_of:
                raise FatalError(f"clip {clip_id}: has no key frames; run the stage that looks at key frames again")
            looks = frames_of[clip_id]
            verdicts[clip_id] = sharpness(looks, settings), near_duplicate(looks, str(video_id), seen, settings)
            if all(verdict.passed for verdict in verdicts[clip_id]):
                accepted.append(usable(looks))
        new = pd.concat(accepted).drop_duplicates("hash") if accepted else empty(KEY_FRAMES)
        seen.add(str(video_id), hashes_of(new))
        kept.append(new)
    rows = [
        {"clip_id": clip_id, "filter": name, **vars(verdict)}
        for clip_id in clips["clip_id"]
        for name, verdict in zip(APPEARANCE, verdicts[clip_id], strict=True)
    ]
    known = [part for part in kept if len(part)]
    return (
        pd.DataFrame(rows, columns=empty(ATTRIBUTES).columns),
        pd.concat(known, ignore_index=True) if known else empty(KEY_FRAMES),
    )


def sharpness(key_frames: pd.DataFrame, settings: CurationSettings) -> Verdict:
    """Median sharpness of the person's picture; not measured where nobody is seen."""
    known = key_frames["sharpness"].dropna()
    value = float(known.median()) if len(known) else math.nan
    return Verdict(value, settings.minimum_sharpness, not value < settings.minimum_sharpness)


def near_duplicate(
    key_frames: pd.DataFrame, video_id: str, originals: "Originals", settings: CurationSettings
) -> Verdict:
    """The bits within which most usable key frames lie of one earlier video's; not measured without either."""
    bits, _ = originals.nearest(hashes_of(usable(key_frames)), video_id)
    return Verdict(bits, settings.duplicate_bits, not bits <= settings.duplicate_bits)


def original_of(
    clip_id: str, key_frames: pd.DataFrame, earlier: pd.DataFrame, own: pd.DataFrame
) -> tuple[str, int] | None:
    """The video that a near-duplicate repeats, and the bits between them; None if there is nothing to compare.

    `earlier` are the originals of all shards before, `own` those of the clip's shard.
    """
    rows = key_frames[key_frames["clip_id"] == clip_id]
    if rows.empty:
        return None
    video_id = str(rows["video_id"].iloc[0])
    before = pd.concat([earlier, own[own["video_id"] < video_id]])
    bits, original = Originals(before).nearest(hashes_of(usable(rows)), video_id)
    return None if math.isnan(bits) else (original, int(bits))


def usable(key_frames: pd.DataFrame) -> pd.DataFrame:
    """The key frames that are not too plain to be told apart."""
    return key_frames[key_frames["quality"] >= MINIMUM_QUALITY]


def hashes_of(key_frames: pd.DataFrame) -> Hashes:
    """PDQ's 64 hexadecimal digits as four words a frame."""
    digits = key_frames["hash"].to_numpy(str)
    try:
        words = np.frombuffer(binascii.unhexlify("".join(digits)), ">u8")
    except ValueError:  # not hexadecimal, or not whole words
        words = np.zeros(0)
    if len(words) != 4 * len(digits) or (np.char.str_len(digits) != 64).any():
        raise FatalError("key frames: a hash is not PDQ's 64 hexadecimal digits; run the stage that makes them again")
    return words.astype(np.uint64).reshape(-1, 4)


class Originals:
    """Hashes of videos that are nobody's duplicates, one video after another, and which video comes near a clip."""

    def __init__(self, key_frames: pd.DataFrame) -> None:
        ordered = key_frames.sort_values("video_id", kind="stable")
        hashes = hashes_of(ordered)
        names, starts = np.unique(ordered["video_id"].to_numpy(str), return_index=True)
        self._videos = list(names)
        self._groups = {name: group for group, name in enumerate(self._videos)}
        self._ends = np.append(starts[1:], len(hashes)).astype(np.int64) if len(names) else np.zeros(0, np.int64)
        self._hashes = hashes

    def add(self, video_id: str, hashes: Hashes) -> None:
        """One more video; nothing is added of one without hashes."""
        if len(hashes) == 0:
            return
        self._groups[video_id] = len(self._videos)
        self._videos.append(video_id)
        self._hashes = np.concatenate([self._hashes, hashes])
        self._ends = np.append(self._ends, len(self._hashes))

    def nearest(self, hashes: Hashes, own_video: str) -> tuple[float, str]:
        """Of the other videos the one that is near most of the frames, as it is or mirrored: its bits and its id.

        (NaN, "") when there are no frames or no other video.
        """
        own = self._groups.get(own_video, -1)
        if len(hashes) == 0 or len(self._videos) - (own >= 0) == 0:
            return math.nan, ""
        found = [_nearest(each, self._hashes, self._ends, own) for each in (hashes, hashes ^ MIRROR)]
        bits, group = min(found)
        return float(bits), self._videos[group]


def _count_ones(typing_context, word):
    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return word(word), code


_ones: Any = intrinsic(_count_ones)


@njit(cache=True, error_model="numpy", nogil=True)
def _nearest(hashes, originals, ends, own):  # numba: positional only
    """Smallest number of bits within which more than half of `hashes` lie of one video's, and which video's.

    Video v holds the originals [ends[v - 1], ends[v]).
    """
    closest = np.empty(len(hashes), np.uint64)
    best, best_video = np.uint64(257), -1
    for video in range(len(ends)):
        if video == own:
            continue
        first, nearer = ends[video - 1] if video else np.int64(0), np.int64(0)
        for frame in range(len(hashes)):
            a, b, c, d = hashes[frame, 0], hashes[frame, 1], hashes[frame, 2], hashes[frame, 3]
            least = np.uint64(256)
            for row in range(first, ends[video]):
                differing = _ones(a ^ originals[row, 0]) + _ones(b ^ originals[row, 1])
                least = min(least, differing + _ones(c ^ originals[row, 2]) + _ones(d ^ originals[row, 3]))
            closest[frame] = least
            nearer += least < best
        if nearer > len(hashes) // 2:
            best, best_video = np.sort(closest)[len(hashes) // 2], video
    return best, best_video
