"""Videos and pictures as data URIs, so that the page holds all it shows."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from moviestrip.errors import StorageError


@dataclass(frozen=True)
class Embedded:
    """A picture or a video in the page; `poster` is a video's middle frame."""

    uri: str
    width_px: int
    height_px: int
    poster: str = ""

    @property
    def n_bytes(self) -> int:
        return len(self.uri) + len(self.poster)


def data_uri(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def embed_video(path: Path) -> Embedded:
    """An MP4 and its middle frame."""
    frame = _middle_frame(path)
    poster = data_uri(_as_webp(Image.fromarray(frame), quality=78), "image/webp")
    return Embedded(data_uri(path.read_bytes(), "video/mp4"), frame.shape[1], frame.shape[0], poster)


def embed_picture(path: Path, maximum_width_px: int = 1400, quality: int = 80) -> Embedded:
    """A picture, no wider than asked, as WebP: a contact sheet of PNG frames is ten times the size."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except OSError as error:
        raise StorageError(f"{path}: not a readable picture ({error}); delete it and run the stage again") from error
    if picture.width > maximum_width_px:
        height_px = round(picture.height * maximum_width_px / picture.width)
        picture = picture.resize((maximum_width_px, height_px), Image.Resampling.LANCZOS)
    return Embedded(data_uri(_as_webp(picture, quality), "image/webp"), picture.width, picture.height)


def read_svg(path: Path) -> str:
    """An SVG element as text to stand in the page."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path}: not a readable SVG ({error}); delete it and run the stage again") from error
    if not text.startswith("<svg") or not text.endswith("</svg>"):
        raise StorageError(f"{path}: not one <svg> element; delete it and run the stage again")
    return text


def _middle_frame(path: Path) -> np.ndarray:
    try:
        with av.open(str(path)) as file:
            file.streams.video[0].thread_type = "NONE"
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    except (OSError, av.FFmpegError, IndexError) as error:
        raise StorageError(f"{path}: not a readable video ({error}); delete it and run the stage again") from error
    if not frames:
        raise StorageError(f"{path}: a video without frames; delete it and run the stage again")
    return frames[len(frames) // 2]


def _as_webp(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()
