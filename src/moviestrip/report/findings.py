"""What a run found out beside its tables, each in a file of its own and each optional.

- `smoothing.csv`: every learned model against the best smoothed static one
- `difficulty.csv`: whether what makes real video hard is there in this world
- `real_check.csv` and `figures/real/`: the trained models on real footage
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moviestrip.errors import StorageError
from moviestrip.layout import RunFolder
from moviestrip.papers.layout import METRIC_TITLES
from moviestrip.report.media import Embedded, embed_picture, embed_video

SMOOTHING_COLUMNS = (
    "table", "row", "title", "baseline", "dataset", "metric", "unit", "learned", "smoothed", "difference", "low",
    "high", "verdict", "clips", "seeds", "cell",
)  # fmt: skip
DIFFICULTY_COLUMNS = (
    "check", "question", "measured", "low", "high", "unit", "reference", "source", "expected", "verdict", "clips",
    "seeds", "note",
)  # fmt: skip
REAL_COLUMNS = (
    "dataset", "variant", "title", "view", "metric", "unit", "value", "low", "high", "uncertainty_mm", "clips",
    "people", "seeds", "note",
)  # fmt: skip
BETTER, WORSE, UNDECIDED = SMOOTHING_VERDICTS = "better", "worse", "undecided"
PRESENT, ABSENT, _ = DIFFICULTY_VERDICTS = "present", "absent", UNDECIDED
REAL_WIDTH_PX = 1600
MANY_ROWS = 4

Row = Mapping[str, str]


@dataclass(frozen=True)
class Exhibit:
    """A picture or a video of real footage, and what it shows."""

    name: str
    caption: str
    media: Embedded

    @property
    def is_video(self) -> bool:
        return bool(self.media.poster)


def read_rows(path: Path, columns: Sequence[str], remedy: str) -> list[dict[str, str]]:
    """Rows of a CSV file, blanks as empty texts; none when the run has no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise StorageError(f"{path}: lacks the columns {missing}; {remedy}")
        return [{name: record[name] or "" for name in columns} for record in reader]


def read_smoothing(run: RunFolder) -> list[dict[str, str]]:
    return read_rows(run.smoothing, SMOOTHING_COLUMNS, "delete it and compare with smoothing again")


def read_difficulty(run: RunFolder) -> list[dict[str, str]]:
    return read_rows(run.difficulty, DIFFICULTY_COLUMNS, "delete it and check the world again")


def read_real_check(run: RunFolder) -> list[dict[str, str]]:
    return read_rows(run.real_check, REAL_COLUMNS, "delete it and run the real check again")


def read_exhibits(run: RunFolder, maximum_bytes: int) -> tuple[list[Exhibit], int]:
    """Pictures and videos of real footage in the order of their captions, as many as fit, and how many did not."""
    folder = run.real_pictures
    if not folder.is_dir():
        return [], 0
    captions = _captions(folder / "captions.json")
    shown: list[Exhibit] = []
    used = 0
    for name, caption in captions.items():
        path = folder / name
        media = embed_video(path) if path.suffix == ".mp4" else embed_picture(path, REAL_WIDTH_PX)
        if used + media.n_bytes <= maximum_bytes:
            used += media.n_bytes
            shown.append(Exhibit(path.stem, caption, media))
    return shown, len(captions) - len(shown)


def _captions(path: Path) -> dict[str, str]:
    """From a file's name to what it shows."""
    remedy = "delete its folder and run the real check again"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: not readable JSON ({error}); {remedy}") from error
    if not isinstance(found, dict) or not all(isinstance(caption, str) for caption in found.values()):
        raise StorageError(f"{path}: must map each file to its caption; {remedy}")
    return found


def common_notes(rows: Sequence[Row]) -> list[str]:
    """Notes that many rows share, to be said once."""
    counts = Counter(f"{row['dataset']}: {row['note']}" for row in rows if row["note"])
    return [note for note, count in counts.items() if count >= MANY_ROWS]


def metric_title(name: str) -> str:
    """As the papers write it: `accel_error` reads `Accel error`, `pa_mpjpe_minus_single_view` `PA-MPJPE, less
    single-view's`."""
    of, minus, _ = name.partition("_minus_single_view")
    known = sorted(METRIC_TITLES, key=len, reverse=True)
    start = next((metric for metric in known if of == metric or of.startswith(f"{metric}_")), "")
    words = METRIC_TITLES.get(start, "") + of.removeprefix(start).replace("_", " ").replace(":", ", ")
    return words + (", less single-view's" if minus else "")
