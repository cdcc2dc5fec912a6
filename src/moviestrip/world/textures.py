"""Repeating surfaces painted by rule: floors, walls and facades that look like what they are.

Each is a square picture of `side` texels at `TEXELS_PER_M`, seamless when repeated, with its mip chain.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter, zoom

from moviestrip.world.rasterise import TEXELS_PER_M, mip_chain

SIDE = 256  # two metres
COARSE_SIGMA = 8
Picture = Float[np.ndarray, "side side 3"]


def paint(name: str, colour: Sequence[float] | np.ndarray, rng: np.random.Generator) -> UInt8[np.ndarray, "texels 3"]:
    """The mip chain of one named texture around one colour."""
    picture = PAINTERS[name](np.asarray(colour, np.float64), rng)
    return mip_chain(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))


def _noise(rng: np.random.Generator, sigma: float | tuple[float, float], side: int = SIDE) -> np.ndarray:
    """Seamless smooth noise of unit deviation; coarse noise is made small and enlarged."""
    enlarge = 8 if np.min(sigma) >= COARSE_SIGMA else 1
    small = side // enlarge
    values = rng.standard_normal((small, small), np.float32)
    values = gaussian_filter(values, np.divide(sigma, enlarge), mode="wrap", truncate=2.5)
    if enlarge > 1:
        values = zoom(values, enlarge, order=1, mode="grid-wrap", grid_mode=True)
    return values / values.std()


def _tinted(colour: np.ndarray, brightness: np.ndarray) -> Picture:
    return colour * (1 + brightness)[..., None]


def _speckled(colour: np.ndarray, rng: np.random.Generator, fine: float, coarse: float) -> Picture:
    return _tinted(colour, fine * _noise(rng, 0.7) + coarse * _noise(rng, 12))


def asphalt(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    return _speckled(colour, rng, 0.10, 0.05)


def carpet(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    return _speckled(colour, rng, 0.07, 0.03)


def plaster(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    return _speckled(colour, rng, 0.012, 0.02)


def grass(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    blades = 0.22 * _noise(rng, (2.0, 0.6)) + 0.10 * _noise(rng, 14)
    dry = np.clip(_noise(rng, 18), 0, 2)[..., None] * np.array([0.05, 0.03, 0.0])
    return _tinted(colour, blades) + dry


def boards(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    """Planks 12.5 cm wide and one metre long, each row shifted."""
    row, column = np.divmod(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), SIDE)
    plank_row = row // 16
    along = (column + rng.integers(0, SIDE, 16)[plank_row]) % SIDE
    shade = 0.10 * rng.standard_normal((16, 2))[plank_row, along // 128]
    seam = (row % 16 == 0) | (along % 128 == 0)
    return _tinted(colour, shade + 0.05 * _noise(rng, (0.6, 14)) - 0.35 * seam)


def tiles(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    """Square slabs of half a metre with joints."""
    row, column = np.divmod(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), SIDE)
    shade = 0.06 * rng.standard_normal((4, 4))[row // 64, column // 64]
    joint = (row % 64 < 2) | (column % 64 < 2)
    return _tinted(colour, shade + 0.03 * _noise(rng, 1.0) + 0.03 * _noise(rng, 10) - 0.28 * joint)


def bricks(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    """Courses of 12.5 cm with bricks of 25 cm in running bond."""
    row, column = np.divmod(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), SIDE)
    course = row // 16
    along = (column + 16 * (course % 2)) % SIDE
    shade = 0.12 * rng.standard_normal((16, 8))[course, along // 32]
    mortar = (row % 16 < 2) | (along % 32 < 2)
    body = _tinted(colour, shade + 0.05 * _noise(rng, 0.8))
    return np.where(mortar[..., None], np.array([0.62, 0.60, 0.56]), body)


def curtain(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    """Cloth hanging in folds of uneven width."""
    warped = 2 * np.pi * np.arange(SIDE) / SIDE
    folds = np.sin(7 * warped + 1.2 * np.sin(2 * warped + rng.uniform(0, 6))) + 0.4 * np.sin(19 * warped)
    return _tinted(colour, 0.16 * folds[None, :] + 0.02 * _noise(rng, 1.0))


def facade(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    """One storey of a house front, four metres a period: wall, two windows, a ledge."""
    side = 4 * TEXELS_PER_M
    picture = _tinted(colour, 0.03 * _noise(rng, 1.0, side) + 0.03 * _noise(rng, 20, side))
    glass = np.array([0.26, 0.32, 0.38]) * rng.uniform(0.7, 1.2)
    frame = np.clip(colour * 1.25, 0, 0.95)
    for left in (60, 316):
        picture[128:352, left : left + 136] = frame
        picture[138:342, left + 10 : left + 126] = glass
        picture[238:244, left + 10 : left + 126] = frame
        picture[138:342, left + 64 : left + 72] = frame
        picture[138:342, left + 10 : left + 40] += 0.10 * rng.random()
    picture[8:24] = colour * 0.75
    return picture


def seats(colour: np.ndarray, rng: np.random.Generator) -> Picture:
    """Rows of spectators seen from afar: shirts and heads over darkness."""
    picture = np.full((SIDE, SIDE, 3), 0.12) + 0.01 * _noise(rng, 1)[..., None]
    for row in range(8, SIDE, 128):
        for column in range(0, SIDE, 64):
            if rng.random() < 0.85:
                shirt, skin = rng.uniform(0.1, 0.8, 3) * 0.6 + colour * 0.3, rng.uniform(0.4, 0.85)
                picture[row : row + 66, column + 8 : column + 58] = shirt
                picture[row + 66 : row + 98, column + 22 : column + 46] = skin * np.array([1, 0.78, 0.64])
    return picture


PAINTERS: dict[str, Callable[[np.ndarray, np.random.Generator], Picture]] = {
    painter.__name__: painter
    for painter in (asphalt, carpet, plaster, grass, boards, tiles, bricks, curtain, facade, seats)
}
