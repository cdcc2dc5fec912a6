"""A miniature VLOG-people: HMMR's list, and clips in the folders of VLOG."""

from pathlib import Path

import numpy as np

from tests.datasets.official.filmed import film
from tests.datasets.official.write_instavariety import Written, scored, write_tracks

CLIPS = {  # a line of the list, where VLOG keeps the clip
    "X_I_4_v_mozQXWErXI4_016_": "X/I/4/v_mozQXWErXI4/016/clip.mp4",
    "a_b_c_v_0123456ab_c_007_": "a/b/c/v_0123456ab_c/007/clip.mp4",  # its id ends in b_c
    "0_8_-_v_ABCDEFGH08-_123_": "0/8/-/v_ABCDEFGH08-/123/clip.mp4",  # gone from YouTube
    "k_l_m_v_-_CDEFGHklm_001_": "k/l/m/v_-_CDEFGHklm/001/clip.mp4",  # its download failed
}


def write_vlog_people(folder: Path, seed: int = 0, tracked: bool = False) -> Written:
    """Two clips of 48 frames, and two that are gone; with tracks, which HMMR did not release, if asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vlog_ids.txt").write_text("".join(f"{name}\n" for name in CLIPS))
    draw, people = np.random.default_rng(seed), {}
    for number, (name, file) in enumerate(list(CLIPS.items())[:2]):
        (folder / file).parent.mkdir(parents=True)
        filmed = film(number, seed)
        (folder / file).write_bytes(filmed.video)
        if tracked:
            tracks = {str(person): scored(points, draw) for person, points in enumerate(filmed.keypoints_px)}
            people[name] = write_tracks(folder / "VLOG_tracks" / name, tracks)
    empty = folder / CLIPS["k_l_m_v_-_CDEFGHklm_001_"]
    empty.parent.mkdir(parents=True)
    empty.write_bytes(b"")
    return Written(folder, people, tuple(CLIPS)[2:])
