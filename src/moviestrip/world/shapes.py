"""Boxes, posts, crowns and sheets: the few shapes that rooms and streets are built from.

A `Mesh` is lit once, when the scene is built, because neither it nor the light moves. Colour is either per
vertex or from a repeated texture, whose coordinates are metres on the surface times `TEXELS_PER_M`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from moviestrip.world.rasterise import TEXELS_PER_M, Light, shade, vertex_normals

Vector = Sequence[float] | np.ndarray
SHEET_FACES = np.array([(0, 1, 2), (0, 2, 3)], np.int64)


@dataclass(frozen=True)
class Mesh:
    """Triangles in the world with lit colours, or (u, v, light) when `texture` names one."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    attributes: Float[np.ndarray, "vertices 3"]
    texture: str = ""


def join(meshes: Sequence[Mesh]) -> list[Mesh]:
    """One mesh for each texture, then one for plain colours: few large draws instead of many small ones."""
    joined = []
    for texture in sorted({mesh.texture for mesh in meshes}, reverse=True):
        alike = [mesh for mesh in meshes if mesh.texture == texture]
        starts = np.cumsum([0, *(len(mesh.vertices) for mesh in alike[:-1])])
        joined.append(
            Mesh(
                np.concatenate([mesh.vertices for mesh in alike]),
                np.concatenate([mesh.faces + start for mesh, start in zip(alike, starts, strict=True)]),
                np.concatenate([mesh.attributes for mesh in alike]),
                texture,
            )
        )
    return joined


def sheet(
    corner: Vector,
    along: Vector,
    across: Vector,
    light: Light,
    texture: str = "",
    colour: Vector = (1, 1, 1),
) -> Mesh:
    """A flat rectangle from `corner` along two edges; it faces along x across.

    A plain `colour` is lit in full; a texture takes only the light's brightness.
    """
    origin, first, second = (np.asarray(vector, np.float64) for vector in (corner, along, across))
    vertices = np.stack([origin, origin + first, origin + first + second, origin + second])
    normal = np.array(
        [
            first[1] * second[2] - first[2] * second[1],
            first[2] * second[0] - first[0] * second[2],
            first[0] * second[1] - first[1] * second[0],
        ]
    )
    lit = shade((normal / np.sqrt(normal @ normal))[None], np.asarray([colour], np.float64), light)
    attributes = np.repeat(lit, 4, 0)
    if texture:
        length, width = np.sqrt(first @ first) * TEXELS_PER_M, np.sqrt(second @ second) * TEXELS_PER_M
        attributes = np.array([(0, 0, 0), (length, 0, 0), (length, width, 0), (0, width, 0)], np.float64)
        attributes[:, 2] = lit.mean()
    return Mesh(vertices, SHEET_FACES, attributes, texture)


def box(
    centre: Vector,
    size: Vector,
    light: Light,
    colour: Vector = (1, 1, 1),
    heading_rad: float = 0.0,
    texture: str = "",
) -> list[Mesh]:
    """Six sheets; `centre` is the middle of its underside, so a box stands where it is put."""
    half = np.asarray(size, np.float64) / 2
    turn = np.array(
        [[np.cos(heading_rad), 0, np.sin(heading_rad)], [0, 1, 0], [-np.sin(heading_rad), 0, np.cos(heading_rad)]]
    )
    middle = np.asarray(centre, np.float64) + np.array([0, half[1], 0])
    x, y, z = turn[:, 0] * half[0], turn[:, 1] * half[1], turn[:, 2] * half[2]
    # Each side: outward, then the two edges whose cross product points outward; the second is upright on walls.
    sides = [(x, -z, y), (-x, z, y), (z, x, y), (-z, -x, y), (y, z, x), (-y, x, z)]
    return [sheet(middle + out - a - b, 2 * a, 2 * b, light, texture, colour) for out, a, b in sides]


def post(base: Vector, height_m: float, radius_m: float, light: Light, colour: Vector, top: float = 1.0) -> Mesh:
    """An upright round post, `top` times as thick at its upper end."""
    angle = np.linspace(0, 2 * np.pi, 13)[:-1]
    ring = np.stack([np.cos(angle), np.zeros(12), np.sin(angle)], 1)
    vertices = np.asarray(base, np.float64) + np.concatenate(
        [ring * radius_m, ring * radius_m * top + [0, height_m, 0], [[0, height_m, 0]]]
    )
    i = np.arange(12)
    j = (i + 1) % 12
    faces = np.concatenate([np.stack([i, i + 12, j], 1), np.stack([j, i + 12, j + 12], 1),
                            np.stack([i + 12, np.full(12, 24), j + 12], 1)])  # fmt: skip
    return _rounded(vertices, faces, light, colour)


def blob(
    centre: Vector,
    radii_m: Vector,
    light: Light,
    colour: Vector,
    rng: np.random.Generator,
    roughness: float = 0.15,
) -> Mesh:
    """A lumpy ellipsoid: a tree's crown, a bush, a ball (roughness 0)."""
    rows, columns = 8, 12
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)[:, None]
    longitude = np.linspace(0, 2 * np.pi, columns + 1)[None, :-1]
    directions = np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.sin(latitude) + 0 * longitude,
            np.cos(latitude) * np.sin(longitude),
        ],
        -1,
    )
    lumps = 1 + roughness * rng.normal(size=(rows + 1, columns, 1))
    lumps[[0, -1]] = 1
    vertices = np.asarray(centre) + (directions * lumps * np.asarray(radii_m)).reshape(-1, 3)
    row, column = np.divmod(np.arange(rows * columns), columns)
    a, b = row * columns + column, row * columns + (column + 1) % columns
    faces = np.concatenate([np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)])
    tint = np.clip(np.asarray(colour) * (1 + roughness * rng.normal(size=(len(vertices), 1))), 0, 1)
    return _rounded(vertices, faces, light, tint)


def _rounded(vertices: np.ndarray, faces: np.ndarray, light: Light, colour: Vector) -> Mesh:
    colours = np.broadcast_to(np.asarray(colour, np.float64), vertices.shape)
    return Mesh(vertices, faces.astype(np.int64), shade(vertex_normals(vertices, faces), colours, light))
