"""A serial z-buffer: the one thing here that turns triangles into pixels.

It draws the miniature world and the overlays of the report. It needs neither a GPU nor a screen nor a
system library, and because it is serial and never reorders arithmetic it gives the same bits every time.
Vertices are in the camera frame (x right, y down, z forward, metres); pixel (0, 0) is the centre of the
first pixel, and with supersampling s the centre of sample i lies at pixel (i + 0.5) / s - 0.5.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8
from numba import njit

from moviestrip.errors import FatalError

NEAR_M = 0.1
TEXELS_PER_M = 128
WIDE = 12  # samples: from here on a row's span is worth computing
NO_TEXTURE = np.zeros((0, 3), np.uint8)


@dataclass(frozen=True)
class Light:
    """A sun or lamp, a sky above and the floor's reflection below; colours are RGB, 1 leaves a surface as it is."""

    towards: tuple[float, float, float] = (0.4, 0.8, 0.45)
    key: tuple[float, float, float] = (0.62, 0.60, 0.56)
    sky: tuple[float, float, float] = (0.34, 0.36, 0.40)
    ground: tuple[float, float, float] = (0.20, 0.19, 0.18)

    @property
    def direction(self) -> np.ndarray:
        towards = np.asarray(self.towards, np.float64)
        return towards / np.linalg.norm(towards)


@dataclass
class Canvas:
    """Supersampled colour, depth and owner of every sample; draw into it, then `resolve` it to pixels."""

    width_px: int
    height_px: int
    supersample: int = 2
    colour: np.ndarray = field(init=False)
    depth_m: np.ndarray = field(init=False)
    owner: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.height_px * self.supersample, self.width_px * self.supersample)
        self.colour = np.zeros((*shape, 3), np.uint8)
        self.depth_m = np.full(shape, np.inf, np.float32)
        self.owner = np.full(shape, -1, np.int16)

    def copy_from(self, other: "Canvas") -> None:
        np.copyto(self.colour, other.colour)
        np.copyto(self.depth_m, other.depth_m)
        np.copyto(self.owner, other.owner)

    def clear(self) -> None:
        self.colour[:] = 0
        self.depth_m[:] = np.inf
        self.owner[:] = -1

    def draw(
        self,
        vertices_camera: Float[np.ndarray, "vertices 3"],
        faces: Int[np.ndarray, "faces 3"],
        attributes: Float[np.ndarray, "vertices 3"],
        intrinsics_px: Float[np.ndarray, "4"],
        owner: int = 0,
        texture: UInt8[np.ndarray, "texels 3"] = NO_TEXTURE,
        cull: bool = True,
    ) -> None:
        """Draw one mesh. `attributes` are lit RGB 0..1, or with a texture (u, v, light) with u, v in texels.

        `texture` is a square power-of-two image followed by its halved copies (see `mip_chain`), repeated endlessly.
        `cull` leaves out faces seen from behind; switch it off for open sheets.
        """
        if vertices_camera.shape != attributes.shape or vertices_camera.shape[-1:] != (3,):
            raise FatalError(
                f"draw: vertices {vertices_camera.shape} and attributes {attributes.shape} must both be (vertices, 3)"
            )
        _draw(
            np.ascontiguousarray(vertices_camera, np.float64),
            np.ascontiguousarray(faces, np.int64),
            np.ascontiguousarray(attributes, np.float64),
            np.asarray(intrinsics_px, np.float64),
            self.supersample,
            texture,
            _side_of(texture),
            cull,
            owner,
            self.colour,
            self.depth_m,
            self.owner,
        )

    def resolve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Average the samples of each pixel: rgb (H, W, 3) uint8 premultiplied, coverage 0..1, depth (inf = empty)."""
        rgb = np.empty((self.height_px, self.width_px, 3), np.uint8)
        coverage = np.empty((self.height_px, self.width_px), np.float32)
        depth_m = np.empty((self.height_px, self.width_px), np.float32)
        _resolve(self.colour, self.depth_m, self.supersample, rgb, coverage, depth_m)
        return rgb, coverage, depth_m

    def sample_of(self, points_px: Float[np.ndarray, "points 2"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, column and 'is inside the picture' of the sample that each point falls on."""
        index = np.floor((np.nan_to_num(points_px, nan=-1e6) + 0.5) * self.supersample).astype(np.int64)
        height, width = self.depth_m.shape
        inside = (index[:, 0] >= 0) & (index[:, 0] < width) & (index[:, 1] >= 0) & (index[:, 1] < height)
        return index[:, 1].clip(0, height - 1), index[:, 0].clip(0, width - 1), inside


def render_mesh(
    vertices_camera: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    colours: Float[np.ndarray, "vertices 3"],
    intrinsics_px: Float[np.ndarray, "4"],
    width_px: int,
    height_px: int,
    supersample: int = 2,
) -> tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
    """One lit mesh on nothing: premultiplied rgb, coverage 0..1 and depth in metres (inf = empty).

    Lay it over a picture with `rgb + picture * (1 - coverage[..., None])`.
    """
    canvas = Canvas(width_px, height_px, supersample)
    canvas.draw(vertices_camera, faces, colours, intrinsics_px)
    return canvas.resolve()


def shade(
    normals: Float[np.ndarray, "vertices 3"],
    colours: Float[np.ndarray, "vertices 3"],
    light: Light,
    world_to_camera: Float[np.ndarray, "3 3"] | None = None,
) -> Float[np.ndarray, "vertices 3"]:
    """Colours as lit: sky light from above, the floor's from below, and one key light.

    The light lives in the world (y up); for normals in the camera frame give the camera's rotation. Without it
    the normals are taken as world normals.
    """
    rotation = np.eye(3) if world_to_camera is None else np.asarray(world_to_camera, np.float64)
    up, direction = rotation[:, 1], rotation @ light.direction
    return _shade(
        np.ascontiguousarray(normals, np.float64),
        np.ascontiguousarray(colours, np.float64),
        np.ascontiguousarray(up),
        np.ascontiguousarray(direction),
        np.asarray(light.key, np.float64),
        np.asarray(light.sky, np.float64),
        np.asarray(light.ground, np.float64),
    )


def vertex_normals(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Area-weighted unit normals; zero where no face has an area."""
    return _vertex_normals(np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int64))


def mip_chain(image: UInt8[np.ndarray, "side side 3"]) -> UInt8[np.ndarray, "texels 3"]:
    """A square power-of-two picture and its halved copies down to one texel, one after another."""
    side = image.shape[0]
    if image.shape != (side, side, 3) or side & (side - 1):
        raise FatalError(f"a texture must be (side, side, 3) with side a power of two, got {image.shape}")
    levels = [image.reshape(-1, 3)]
    current: np.ndarray = image.astype(np.float32)
    while len(current) > 1:
        current = (current[::2, ::2] + current[1::2, ::2] + current[::2, 1::2] + current[1::2, 1::2]) / 4
        levels.append(np.rint(current).astype(np.uint8).reshape(-1, 3))
    return np.concatenate(levels)


def cast_shadow(
    canvas: Canvas,
    shadow: Float[np.ndarray, "rows columns"],
    origin_m: Float[np.ndarray, "2"],
    cell_m: float,
    camera_rotation: Float[np.ndarray, "3 3"],
    camera_translation_m: Float[np.ndarray, "3"],
    intrinsics_px: Float[np.ndarray, "4"],
) -> None:
    """Darken the floor (samples whose world height is 0) by `shadow`, a grid over world x (columns) and z (rows)."""
    shadow, origin_m = _dark_part(np.ascontiguousarray(shadow, np.float64), np.asarray(origin_m, np.float64), cell_m)
    rows, columns = shadow.shape
    corners = [(0, 0), (columns, 0), (columns, rows), (0, rows)]
    ground = np.array([(origin_m[0] + x * cell_m, 0.0, origin_m[1] + z * cell_m) for x, z in corners])
    corners_camera = ground @ camera_rotation.T + camera_translation_m
    height, width = canvas.depth_m.shape
    left, top, right, bottom = 0, 0, width, height
    if (corners_camera[:, 2] > NEAR_M).all():
        pixels = corners_camera[:, :2] / corners_camera[:, 2:] * intrinsics_px[:2] + intrinsics_px[2:]
        samples = (pixels + 0.5) * canvas.supersample
        left, top = np.floor(samples.min(0)).astype(int).clip(0, (width, height))
        right, bottom = np.ceil(samples.max(0)).astype(int).clip(0, (width, height))
    _cast_shadow(
        canvas.colour,
        canvas.depth_m,
        canvas.supersample,
        shadow,
        origin_m,
        cell_m,
        np.ascontiguousarray(camera_rotation, np.float64),
        np.asarray(camera_translation_m, np.float64),
        np.asarray(intrinsics_px, np.float64),
        (left, top, right, bottom),
    )


def _dark_part(shadow: np.ndarray, origin_m: np.ndarray, cell_m: float) -> tuple[np.ndarray, np.ndarray]:
    """The grid without its empty margins, and where that begins."""
    rows, columns = np.flatnonzero(shadow.any(1)), np.flatnonzero(shadow.any(0))
    if len(rows) == 0:
        return np.zeros((0, 0)), origin_m
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    part = np.ascontiguousarray(shadow[top : rows[-1] + 2, left : columns[-1] + 2])
    return part, origin_m + np.array([left, top]) * cell_m


def _side_of(texture: np.ndarray) -> int:
    """Side of the first level of a mip chain: its length is (4 side^2 - 1) / 3."""
    return round(((3 * len(texture) + 1) / 4) ** 0.5) if len(texture) else 0


@njit(cache=True, fastmath=False, error_model="numpy")
def _vertex_normals(vertices, faces):
    normals = np.zeros_like(vertices)
    for k in range(faces.shape[0]):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += x
            normals[i, 1] += y
            normals[i, 2] += z
    for i in range(normals.shape[0]):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
        if length > 0:
            normals[i] /= length
    return normals


@njit(cache=True, fastmath=False, error_model="numpy")
def _shade(normals, colours, up, direction, key, sky, ground):
    lit = np.empty_like(colours)
    for i in range(normals.shape[0]):
        upward = normals[i, 0] * up[0] + normals[i, 1] * up[1] + normals[i, 2] * up[2]
        facing = normals[i, 0] * direction[0] + normals[i, 1] * direction[1] + normals[i, 2] * direction[2]
        above, facing = 0.5 + 0.5 * upward, max(facing, 0.0)
        for channel in range(3):
            strength = sky[channel] * above + ground[channel] * (1 - above) + key[channel] * facing
            lit[i, channel] = min(max(colours[i, channel] * strength, 0.0), 1.0)
    return lit


@njit(cache=True, fastmath=False, error_model="numpy")
def _draw(
    vertices, faces, attributes, intrinsics, supersample, texture, side, cull, owner, colour, depth, owners
):  # numba: positional only
    corners = np.empty((vertices.shape[0], 6))
    for i in range(vertices.shape[0]):
        if vertices[i, 2] >= NEAR_M:
            _project(vertices[i], attributes[i], intrinsics, supersample, corners[i])
    clipped = np.empty((4, 6))
    texel_scale = 1.0 / (intrinsics[0] * supersample)
    for k in range(faces.shape[0]):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        behind = (vertices[a, 2] < NEAR_M) + (vertices[b, 2] < NEAR_M) + (vertices[c, 2] < NEAR_M)
        if behind == 0:
            _fill(corners, a, b, c, texture, side, texel_scale, cull, owner, colour, depth, owners)
        elif behind < 3:
            n = _clip(vertices, attributes, faces[k], intrinsics, supersample, clipped)
            for i in range(2, n):
                _fill(clipped, 0, i - 1, i, texture, side, texel_scale, cull, owner, colour, depth, owners)


@njit(cache=True, fastmath=False, error_model="numpy")
def _project(point, attribute, intrinsics, supersample, corner):
    """Sample coordinates, inverse depth, and attributes divided by depth (which is what is linear on screen)."""
    inverse = 1.0 / point[2]
    corner[0] = (intrinsics[0] * point[0] * inverse + intrinsics[2] + 0.5) * supersample - 0.5
    corner[1] = (intrinsics[1] * point[1] * inverse + intrinsics[3] + 0.5) * supersample - 0.5
    corner[2] = inverse
    for i in range(3):
        corner[3 + i] = attribute[i] * inverse


@njit(cache=True, fastmath=False, error_model="numpy")
def _clip(vertices, attributes, face, intrinsics, supersample, clipped):
    """Cut a triangle at the near plane into a polygon of 3 or 4 corners; returns how many."""
    n = 0
    for i in range(3):
        p, q = face[i], face[(i + 1) % 3]
        if vertices[p, 2] >= NEAR_M:
            _project(vertices[p], attributes[p], intrinsics, supersample, clipped[n])
            n += 1
        if (vertices[p, 2] >= NEAR_M) != (vertices[q, 2] >= NEAR_M):
            t = (NEAR_M - vertices[p, 2]) / (vertices[q, 2] - vertices[p, 2])
            point = vertices[p] + t * (vertices[q] - vertices[p])
            point[2] = NEAR_M
            attribute = attributes[p] + t * (attributes[q] - attributes[p])
            _project(point, attribute, intrinsics, supersample, clipped[n])
            n += 1
    return n


@njit(cache=True, fastmath=False, error_model="numpy")
def _fill(corners, a, b, c, texture, side, texel_scale, cull, owner, colour, depth, owners):
    ax, ay, bx, by, cx, cy = corners[a, 0], corners[a, 1], corners[b, 0], corners[b, 1], corners[c, 0], corners[c, 1]
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    if area == 0 or (cull and area > 0):  # y points down: a front face turns clockwise on screen
        return
    height, width = depth.shape
    x0, x1 = max(0.0, np.ceil(min(ax, bx, cx))), min(width - 1.0, np.floor(max(ax, bx, cx)))
    y0, y1 = max(0.0, np.ceil(min(ay, by, cy))), min(height - 1.0, np.floor(max(ay, by, cy)))
    if x1 < x0 or y1 < y0:
        return
    step_a, step_b = (by - cy) / area, (cy - ay) / area
    inverse_a, inverse_b, inverse_c = corners[a, 2], corners[b, 2], corners[c, 2]
    for y in range(int(y0), int(y1) + 1):
        row_a = ((bx - x0) * (cy - y) - (cx - x0) * (by - y)) / area
        row_b = ((cx - x0) * (ay - y) - (ax - x0) * (cy - y)) / area
        first_x, last_x = x0, x1
        if x1 - x0 > WIDE:
            first_x, last_x = _span(x0, x1, row_a, step_a, row_b, step_b)
        for x in range(int(first_x), int(last_x) + 1):
            share_a, share_b = row_a + (x - x0) * step_a, row_b + (x - x0) * step_b
            share_c = 1.0 - share_a - share_b
            if share_a < -1e-9 or share_b < -1e-9 or share_c < -1e-9:
                continue
            z = 1.0 / (share_a * inverse_a + share_b * inverse_b + share_c * inverse_c)
            if z >= depth[y, x]:
                continue
            depth[y, x] = z
            owners[y, x] = owner
            first = (share_a * corners[a, 3] + share_b * corners[b, 3] + share_c * corners[c, 3]) * z
            second = (share_a * corners[a, 4] + share_b * corners[b, 4] + share_c * corners[c, 4]) * z
            third = (share_a * corners[a, 5] + share_b * corners[b, 5] + share_c * corners[c, 5]) * z
            if side > 0:
                texel = _texel(first, second, z * texel_scale, side)
                for channel in range(3):
                    colour[y, x, channel] = np.uint8(min(max(texture[texel, channel] * third, 0.0), 255.0))
            else:
                colour[y, x, 0] = np.uint8(min(max(first * 255.0 + 0.5, 0.0), 255.0))
                colour[y, x, 1] = np.uint8(min(max(second * 255.0 + 0.5, 0.0), 255.0))
                colour[y, x, 2] = np.uint8(min(max(third * 255.0 + 0.5, 0.0), 255.0))


@njit(cache=True, fastmath=False, error_model="numpy")
def _span(x0, x1, row_a, step_a, row_b, step_b):
    """The part of a row that may lie inside, a sample to spare on either side: large triangles are mostly outside."""
    first, last = x0, x1
    for row, step in ((row_a, step_a), (row_b, step_b), (1.0 - row_a - row_b, -step_a - step_b)):
        if step > 1e-12:
            first = max(first, np.floor(x0 - row / step) - 1)
        elif step < -1e-12:
            last = min(last, np.ceil(x0 - row / step) + 1)
    return first, last


@njit(cache=True, fastmath=False, error_model="numpy")
def _texel(u, v, sample_m, side):
    """Where in the mip chain to read: coarser levels where one sample covers more than one texel."""
    footprint, start, level_side = 2.0 * TEXELS_PER_M * sample_m, 0, side
    while footprint > 1.5 and level_side > 1:
        start += level_side * level_side
        level_side //= 2
        footprint *= 0.5
        u *= 0.5
        v *= 0.5
    column, row = int(np.floor(u)) & (level_side - 1), int(np.floor(v)) & (level_side - 1)
    return start + row * level_side + column


@njit(cache=True, fastmath=False, error_model="numpy")
def _resolve(colour, depth, supersample, rgb, coverage, nearest):
    count = supersample * supersample
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            red, green, blue, covered, z = 0, 0, 0, 0, np.float32(np.inf)
            for j in range(y * supersample, (y + 1) * supersample):
                for i in range(x * supersample, (x + 1) * supersample):
                    red += colour[j, i, 0]
                    green += colour[j, i, 1]
                    blue += colour[j, i, 2]
                    if depth[j, i] < np.inf:
                        covered += 1
                        z = min(z, depth[j, i])
            rgb[y, x, 0] = (red + count // 2) // count
            rgb[y, x, 1] = (green + count // 2) // count
            rgb[y, x, 2] = (blue + count // 2) // count
            coverage[y, x] = covered / count
            nearest[y, x] = z


@njit(cache=True, fastmath=False, error_model="numpy")
def _cast_shadow(colour, depth, supersample, shadow, origin, cell, rotation, translation, intrinsics, window):
    rows, columns = shadow.shape
    left, top, right, bottom = window
    for y in range(top, bottom):
        ray_y = ((y + 0.5) / supersample - 0.5 - intrinsics[3]) / intrinsics[1]
        for x in range(left, right):
            z = depth[y, x]
            if z == np.inf:
                continue
            ray_x = ((x + 0.5) / supersample - 0.5 - intrinsics[2]) / intrinsics[0]
            px, py, pz = ray_x * z - translation[0], ray_y * z - translation[1], z - translation[2]
            height = rotation[0, 1] * px + rotation[1, 1] * py + rotation[2, 1] * pz
            if abs(height) > 0.02:
                continue
            u = (rotation[0, 0] * px + rotation[1, 0] * py + rotation[2, 0] * pz - origin[0]) / cell - 0.5
            v = (rotation[0, 2] * px + rotation[1, 2] * py + rotation[2, 2] * pz - origin[1]) / cell - 0.5
            if u < 0 or v < 0 or u >= columns - 1 or v >= rows - 1:
                continue
            i, j = int(u), int(v)
            s, t = u - i, v - j
            above = (1 - s) * shadow[j, i] + s * shadow[j, i + 1]
            below = (1 - s) * shadow[j + 1, i] + s * shadow[j + 1, i + 1]
            kept = 1.0 - min((1 - t) * above + t * below, 1.0)
            for channel in range(3):
                colour[y, x, channel] = np.uint8(colour[y, x, channel] * kept)
