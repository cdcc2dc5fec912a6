"""What a drawing stage hands over: a picture, a sentence on what is in it, and the numbers behind a plot."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from moviestrip.figures.contact_sheet import write_picture
from moviestrip.figures.draw import Picture
from moviestrip.storage import write_json, write_text


@dataclass(frozen=True)
class Drawn:
    """A finished figure.

    Attributes:
        picture: SVG text, or RGB pixels, which become a PNG.
        note: what was drawn: of which clips, how many, which seeds.
        data: the numbers of a plot, one row a point.
    """

    picture: "str | Picture"
    note: str
    data: pd.DataFrame | None = None

    @property
    def file_name(self) -> str:
        return "picture.svg" if isinstance(self.picture, str) else "picture.png"

    def write(self, folder: Path, caption: dict[str, str]) -> None:
        """picture.svg or picture.png, caption.json, and data.csv where there are numbers."""
        if isinstance(self.picture, str):
            write_text(folder / self.file_name, self.picture)
        else:
            write_picture(folder / self.file_name, self.picture)
        if self.data is not None:
            write_text(folder / "data.csv", self.data.to_csv(index=False, float_format="%.6g"))
        write_json(folder / "caption.json", {**caption, "note": self.note, "picture": self.file_name})
