import numpy as np
import pandas as pd
import pytest
from PIL import Image

from moviestrip import tables
from moviestrip.errors import FatalError
from moviestrip.figures import contact_sheet as sheets
from moviestrip.figures.draw import RIGHT


def test_pictures_lie_row_by_row_in_square_cells():
    images = [np.full((40, 40, 3), 40 * shade, np.uint8) for shade in range(5)]
    sheet = sheets.contact_sheet(images, columns=3, cell_px=20, gap_px=2)
    assert sheet.shape == (2 * 22 + 2, 3 * 22 + 2, 3)
    assert sheet[12, 12 + 22, 0] == 40
    assert sheet[12 + 22, 12 + 22, 0] == 160
    assert sheet[12 + 22, 12 + 44, 0] == sheets.PAPER_WHITE


def test_a_wide_picture_keeps_its_shape():
    image = np.full((50, 100, 3), 200, np.uint8)
    square = sheets.fit(image, 40)
    assert (square[10:30] == 200).all()
    assert (square[:10] == 24).all() and (square[30:] == 24).all()


def test_captions_must_match():
    with pytest.raises(FatalError, match="2 for 1"):
        sheets.contact_sheet([np.zeros((4, 4, 3), np.uint8)], ["a", "b"])


def test_written_pictures_read_back(tmp_path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    sheets.write_picture(tmp_path / "a.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), image)
    sheets.write_picture(tmp_path / "a.webp", image)
    assert Image.open(tmp_path / "a.webp").size == (4, 4)
    with pytest.raises(FatalError, match=r"a\.bmp"):
        sheets.write_picture(tmp_path / "a.bmp", image)


def test_spread_takes_first_and_last():
    rows = pd.DataFrame({"n": range(10)})
    assert sheets.spread(rows, 4).n.to_list() == [0, 3, 6, 9]
    assert len(sheets.spread(rows, 20)) == 10


def test_frames_at_reads_no_further_than_needed():
    read = []

    def numbered():
        for index in range(100):
            read.append(index)
            yield np.full((1, 1, 3), index, np.uint8)

    assert [frame[0, 0, 0] for frame in sheets.frames_at(numbered(), [2, 2, 5])] == [2, 2, 5]
    assert read[-1] == 5
    with pytest.raises(FatalError, match="frame 120"):
        list(sheets.frames_at(numbered(), [3, 120]))


def test_a_dataset_sheet_has_two_labelled_frames_a_clip():
    keypoints = np.zeros((64, 25, 3), np.float32)
    keypoints[:, 6] = (80, 80, 1)  # right wrist
    labels = pd.DataFrame(
        {"clip_id": "a", "frame": range(64), "video_frame": range(64), "keypoints_2d": tables.unstack(keypoints)}
    )
    clips = pd.DataFrame(
        [{"clip_id": name, "video_id": name, "split": "test", "subject": "", "action": "walk"} for name in "ab"]
    )
    sheet = sheets.dataset_sheet(clips, labels, lambda _: iter(np.zeros((64, 160, 160, 3), np.uint8)), columns=2)
    assert sheet.shape[0] < sheet.shape[1]  # one row: the clip without labels is passed over
    orange = (sheet == RIGHT).all(-1)
    assert orange[:, : sheet.shape[1] // 2].any() and orange[:, sheet.shape[1] // 2 :].any()
