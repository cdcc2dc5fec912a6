"""Sets for the miniature world: rooms, halls, fields and streets, built in three dimensions.

Everything stands in the world (y up, floor at 0, the followed person around the origin), so a moving camera
sees parallax and the z-buffer decides what hides what. Things are put only where they neither hide the
followed person nor stand in the camera's or the person's way, unless an occluder is wanted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

from moviestrip.world.rasterise import NO_TEXTURE, Canvas, Light
from moviestrip.world.shapes import Mesh, Vector, blob, box, join, post, sheet
from moviestrip.world.textures import paint

SUN_ELEVATION = (0.9, 1.6)  # of the light's rise to its run: shadows stay within reach of their person
SOFT_LIGHT = {"key": (0.40, 0.39, 0.37), "sky": (0.74, 0.74, 0.75), "ground": (0.52, 0.51, 0.49)}
SUNLIGHT = {"key": (0.66, 0.62, 0.55), "sky": (0.60, 0.64, 0.70), "ground": (0.50, 0.48, 0.45)}


@dataclass(frozen=True)
class Scene:
    """A lit set, ready to draw."""

    meshes: list[Mesh]
    textures: dict[str, UInt8[np.ndarray, "texels 3"]]
    light: Light
    shadow: float  # how much of the floor's light a shadow takes

    def draw(
        self,
        canvas: Canvas,
        rotation: Float[np.ndarray, "3 3"],
        translation_m: Float[np.ndarray, "3"],
        intrinsics_px: Float[np.ndarray, "4"],
    ) -> None:
        for mesh in self.meshes:
            camera = mesh.vertices @ rotation.T + translation_m
            texture = self.textures[mesh.texture] if mesh.texture else NO_TEXTURE
            canvas.draw(camera, mesh.faces, mesh.attributes, intrinsics_px, owner=0, texture=texture)


@dataclass
class Builder:
    """Collects what a set consists of and knows where things may stand."""

    rng: np.random.Generator
    light: Light
    people_m: Float[np.ndarray, "points 2"]  # x, z of everyone's way
    eyes_m: Float[np.ndarray, "frames 2"]  # x, z of the camera's way
    meshes: list[Mesh] = field(default_factory=list)
    textures: dict[str, np.ndarray] = field(default_factory=dict)
    behind_all: list[Mesh] = field(default_factory=list)  # drawn last, where nothing else is

    def add(self, *meshes: Mesh) -> None:
        self.meshes.extend(meshes)

    def texture(self, name: str, colour: Vector) -> str:
        key = f"{name}-{len(self.textures)}"
        self.textures[key] = paint(name, colour, self.rng)
        return key

    def pick(self, *colours: Vector) -> Float[np.ndarray, "3"]:
        return np.clip(np.asarray(colours[self.rng.integers(len(colours))]) * self.rng.uniform(0.88, 1.1), 0, 1)

    def is_free(self, x: float, z: float, radius_m: float, view: bool = True) -> bool:
        """Whether a thing there leaves people and camera their way and, with `view`, the line between them."""
        place = np.array([x, z])
        if np.linalg.norm(self.people_m - place, axis=1).min() < radius_m + 0.5:
            return False
        if np.linalg.norm(self.eyes_m - place, axis=1).min() < radius_m + 0.8:
            return False
        return not view or not self._hides(place, radius_m)

    def _hides(self, place: np.ndarray, radius_m: float) -> bool:
        eyes = self.eyes_m[:: max(1, len(self.eyes_m) // 8)]
        people = self.people_m[:: max(1, len(self.people_m) // 16)]
        rays = people[None] - eyes[:, None]
        along = ((place - eyes[:, None]) * rays).sum(-1) / np.maximum((rays**2).sum(-1), 1e-6)
        nearest = eyes[:, None] + along.clip(0, 1)[..., None] * rays
        return bool(np.linalg.norm(nearest - place, axis=-1).min() < radius_m + 0.45)

    def floor(self, half_m: float, name: str, colour: Vector) -> None:
        self.add(sheet((-half_m, 0, half_m), (2 * half_m, 0, 0), (0, 0, -2 * half_m), self.light,
                       self.texture(name, colour)))  # fmt: skip

    def walls(self, half_m: float, height_m: float, name: str, colour: Vector) -> None:
        """Four walls facing inwards."""
        texture, h = self.texture(name, colour), half_m
        for corner, along in (((-h, 0, -h), (2 * h, 0, 0)), ((h, 0, -h), (0, 0, 2 * h)),
                              ((h, 0, h), (-2 * h, 0, 0)), ((-h, 0, h), (0, 0, -2 * h))):  # fmt: skip
            self.add(sheet(corner, along, (0, height_m, 0), self.light, texture))

    def ceiling(self, half_m: float, height_m: float, colour: Vector) -> None:
        corner = (-half_m, height_m, -half_m)
        self.add(sheet(corner, (2 * half_m, 0, 0), (0, 0, 2 * half_m), _lamplight(), colour=colour))

    def sky(self, horizon: Vector, zenith: Vector) -> None:
        """A dome of colour far away; not lit."""
        azimuth = np.linspace(0, 2 * np.pi, 25)[:-1]
        rings = [(0.9 * np.sin(e), np.cos(e)) for e in np.linspace(-0.15, np.pi / 2 - 0.01, 7)]
        vertices = np.array([(70 * r * np.cos(a), 70 * h, 70 * r * np.sin(a)) for h, r in rings for a in azimuth])
        amount = np.repeat(np.linspace(0, 1, 7) ** 0.7, 24)[:, None]
        colours = (1 - amount) * np.asarray(horizon) + amount * np.asarray(zenith)
        ring, step = np.divmod(np.arange(6 * 24), 24)
        a, b = ring * 24 + step, ring * 24 + (step + 1) % 24
        faces = np.concatenate([np.stack([a, b, a + 24], 1), np.stack([b, b + 24, a + 24], 1)])
        self.behind_all.append(Mesh(vertices, np.concatenate([faces, faces[:, ::-1]]), colours))

    def scatter(
        self,
        count: int,
        near_m: float,
        far_m: float,
        radius_m: float,
        make: Callable[[float, float], Sequence[Mesh]],
        view: bool = True,
    ) -> None:
        """Up to `count` things at random places of a ring around the origin, where they are not in the way."""
        for _ in range(count):
            angle, distance = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(near_m, far_m)
            x, z = distance * np.sin(angle), distance * np.cos(angle)
            if self.is_free(x, z, radius_m, view):
                self.add(*make(x, z))

    def done(self, shadow: float) -> Scene:
        return Scene([*join(self.meshes), *self.behind_all], self.textures, self.light, shadow)


def build_scene(
    kind: str,
    action: str,
    people_m: Float[np.ndarray, "points 2"],
    eyes_m: Float[np.ndarray, "frames 2"],
    rng: np.random.Generator,
    props: Callable[[Light], Sequence[Mesh]] = lambda light: (),
) -> Scene:
    """The set of one video, around the ways of its people and its camera (world x and z), with their props."""
    if kind == "insta":
        kind = str(rng.choice(["street", "sports_field", "living_room", "gym_hall"]))
    if kind == "gym":
        kind = "sports_field" if action.startswith(("baseball", "golf", "tennis")) else "gym_hall"
    if kind == "vlog":
        kind = "living_room"
    outdoors = kind in ("street", "sports_field")
    angle = rng.uniform(0, 2 * np.pi)
    towards = (np.sin(angle), rng.uniform(*SUN_ELEVATION) if outdoors else rng.uniform(1.6, 3), np.cos(angle))
    light = Light(towards=towards, **(SUNLIGHT if outdoors else SOFT_LIGHT))
    builder = Builder(rng, light, people_m, eyes_m)
    builder.add(*props(light))
    return BUILDERS[kind](builder)


def _lamplight() -> Light:
    """Even light, for what is itself lit from all sides, such as ceilings and lamps."""
    return Light(key=(0, 0, 0), sky=(0.95, 0.95, 0.95), ground=(0.95, 0.95, 0.95))


def _reach(builder: Builder, margin_m: float) -> float:
    """Half a room's side, so that the camera and everyone fit in."""
    return float(max(np.abs(builder.eyes_m).max(), np.abs(builder.people_m).max()) + margin_m)


def studio(builder: Builder) -> Scene:
    """A motion-capture laboratory: dark drapes, a carpet with taped marks, cameras on stands in the corners."""
    half = _reach(builder, 1.6)
    builder.floor(half, "carpet", builder.pick((0.46, 0.27, 0.22), (0.42, 0.30, 0.26)))
    builder.walls(half, 3.4, "curtain", builder.pick((0.24, 0.25, 0.29), (0.29, 0.27, 0.28)))
    builder.ceiling(half, 3.4, (0.30, 0.30, 0.32))
    for side in (-2.0, 2.0):
        builder.add(_mark(builder, (side, 0), (0.06, 4.06)), _mark(builder, (0, side), (4.06, 0.06)))
    builder.add(_mark(builder, (0, 0), (0.5, 0.06)), _mark(builder, (0, 0), (0.06, 0.5)))
    corner = half - 0.7
    for x, z in ((-corner, -corner), (-corner, corner), (corner, -corner), (corner, corner)):
        if builder.is_free(x, z, 0.3):
            builder.add(post((x, 0, z), 1.5, 0.03, builder.light, (0.15, 0.15, 0.16)))
            builder.add(*box((x, 1.5, z), (0.14, 0.16, 0.24), builder.light, (0.2, 0.2, 0.22)))
    return builder.done(shadow=0.40)


def _mark(
    builder: Builder, centre: tuple[float, float], size: tuple[float, float], colour: Vector = (0.85, 0.84, 0.78)
) -> Mesh:
    """A strip of tape or paint on the floor."""
    x, z = centre[0] - size[0] / 2, centre[1] + size[1] / 2
    return sheet((x, 0.004, z), (size[0], 0, 0), (0, 0, -size[1]), builder.light, colour=colour)


def hall(builder: Builder) -> Scene:
    """A capture hall with green drapes on two sides, mats, tripods and lamps."""
    half = _reach(builder, 2.5)
    builder.floor(half, "carpet", builder.pick((0.30, 0.44, 0.30), (0.42, 0.45, 0.42)))
    builder.walls(half, 4.0, "curtain", builder.pick((0.24, 0.50, 0.28), (0.30, 0.52, 0.36), (0.52, 0.55, 0.54)))
    builder.ceiling(half, 4.0, (0.62, 0.63, 0.62))
    builder.scatter(6, 3.2, half - 0.6, 0.3, lambda x, z: _tripod(builder, x, z))
    builder.scatter(4, 3.0, half - 0.8, 0.6, lambda x, z: _crate(builder, x, z))
    return builder.done(shadow=0.38)


def _tripod(builder: Builder, x: float, z: float) -> list[Mesh]:
    dark = (0.12, 0.12, 0.13)
    return [post((x, 0, z), 1.6, 0.025, builder.light, dark),
            *box((x, 1.6, z), (0.3, 0.22, 0.2), builder.light, dark, builder.rng.uniform(0, 6))]  # fmt: skip


def _crate(builder: Builder, x: float, z: float) -> list[Mesh]:
    size = builder.rng.uniform((0.4, 0.35, 0.4), (0.9, 0.8, 0.7))
    colour = builder.pick((0.55, 0.42, 0.28), (0.25, 0.27, 0.32), (0.62, 0.60, 0.55), (0.30, 0.38, 0.50))
    return box((x, 0, z), size, builder.light, colour, builder.rng.uniform(0, np.pi))


def gym_hall(builder: Builder) -> Scene:
    """A school gymnasium: boards with lines, wooden dado, wall bars, benches, mats."""
    half = _reach(builder, 2.2)
    builder.floor(half, "boards", builder.pick((0.66, 0.48, 0.30), (0.60, 0.45, 0.31), (0.58, 0.50, 0.40)))
    builder.walls(half, 4.5, "plaster", builder.pick((0.80, 0.78, 0.70), (0.70, 0.76, 0.78), (0.78, 0.72, 0.64)))
    builder.ceiling(half, 4.5, (0.75, 0.74, 0.70))
    _dado(builder, half, 1.5, builder.pick((0.52, 0.38, 0.24), (0.30, 0.42, 0.52), (0.36, 0.48, 0.40)))
    for offset, colour in ((-2.2, (0.85, 0.30, 0.22)), (2.8, (0.20, 0.35, 0.65)), (half - 1.2, (0.9, 0.9, 0.86))):
        builder.add(_mark(builder, (offset, 0), (0.05, 2 * half), colour))
        builder.add(_mark(builder, (0, offset), (2 * half, 0.05), colour))
    for x in np.arange(-half + 1, half - 1, 2.2):
        builder.add(*_wall_bars(builder, x, -half + 0.12))
    builder.scatter(5, 2.4, half - 0.8, 0.8, lambda x, z: _bench(builder, x, z))
    builder.scatter(4, 2.4, half - 0.8, 0.9, lambda x, z: _mat(builder, x, z))
    return builder.done(shadow=0.36)


def _dado(builder: Builder, half_m: float, height_m: float, colour: Vector) -> None:
    h = half_m - 0.02
    for corner, along in (((-h, 0, -h), (2 * h, 0, 0)), ((h, 0, -h), (0, 0, 2 * h)),
                          ((h, 0, h), (-2 * h, 0, 0)), ((-h, 0, h), (0, 0, -2 * h))):  # fmt: skip
        builder.add(sheet(corner, along, (0, height_m, 0), builder.light, colour=colour))


def _wall_bars(builder: Builder, x: float, z: float) -> list[Mesh]:
    wood = (0.70, 0.53, 0.33)
    bars = [box((x, y, z), (1.0, 0.04, 0.05), builder.light, wood) for y in np.arange(0.3, 2.5, 0.22)]
    uprights = [box((x + side, 0, z), (0.06, 2.6, 0.09), builder.light, wood) for side in (-0.5, 0.5)]
    return [mesh for parts in (*bars, *uprights) for mesh in parts]


def _bench(builder: Builder, x: float, z: float) -> list[Mesh]:
    heading, wood = builder.rng.uniform(0, np.pi), (0.62, 0.46, 0.30)
    forward = np.array([np.cos(heading), 0, -np.sin(heading)])
    seat = box((x, 0.38, z), (1.5, 0.06, 0.28), builder.light, wood, heading)
    legs = [box(np.array([x, 0, z]) + side * forward, (0.06, 0.38, 0.24), builder.light, wood, heading)
            for side in (-0.6, 0.6)]  # fmt: skip
    return [*seat, *legs[0], *legs[1]]


def _mat(builder: Builder, x: float, z: float) -> list[Mesh]:
    colour = builder.pick((0.20, 0.36, 0.62), (0.62, 0.22, 0.20), (0.24, 0.48, 0.38))
    return box((x, 0, z), (1.9, 0.08, 1.0), builder.light, colour, builder.rng.uniform(0, np.pi))


def court(builder: Builder) -> Scene:
    """A ball court: lacquered boards, painted lines, hoops, boards around it and full stands behind."""
    half = _reach(builder, 3.0)
    builder.floor(half, "boards", builder.pick((0.72, 0.54, 0.33), (0.68, 0.52, 0.36)))
    builder.walls(half, 7.0, "seats", builder.pick((0.4, 0.2, 0.2), (0.2, 0.25, 0.45), (0.45, 0.40, 0.2)))
    builder.ceiling(half, 7.0, (0.16, 0.16, 0.18))
    paint_colour = builder.pick((0.62, 0.18, 0.18), (0.18, 0.28, 0.58), (0.20, 0.42, 0.34))
    builder.add(_mark(builder, (0, 0), (3.6, 5.8), paint_colour))
    for offset in (-4.5, 4.5):
        builder.add(_mark(builder, (offset, 0), (0.06, 2 * half)), _mark(builder, (0, offset), (2 * half, 0.06)))
    for side in (-1.8, 1.8):
        builder.add(_mark(builder, (side, 0), (0.05, 5.8)), _mark(builder, (0, 1.6 * side), (3.6, 0.05)))
    _dado(builder, half, 1.1, builder.pick((0.12, 0.14, 0.2), (0.55, 0.12, 0.14), (0.85, 0.85, 0.82)))
    for z in (-half + 0.9, half - 0.9):
        builder.add(*_hoop(builder, 0.0, z))
    return builder.done(shadow=0.34)


def _hoop(builder: Builder, x: float, z: float) -> list[Mesh]:
    board = box((x, 2.9, z * 0.94), (1.8, 1.05, 0.05), builder.light, (0.92, 0.92, 0.92))
    rim = box((x, 3.05, z * 0.94 - np.sign(z) * 0.3), (0.45, 0.03, 0.45), builder.light, (0.85, 0.35, 0.15))
    return [post((x, 0, z), 3.3, 0.10, builder.light, (0.25, 0.27, 0.32)), *board, *rim]


def sports_field(builder: Builder) -> Scene:
    """A sports field: grass, a chalk line, hedges and trees around, a fence."""
    builder.sky((0.78, 0.84, 0.90), builder.pick((0.34, 0.54, 0.82), (0.52, 0.66, 0.84)))
    builder.floor(40, "grass", builder.pick((0.30, 0.44, 0.20), (0.36, 0.47, 0.22), (0.42, 0.46, 0.26)))
    for offset in (-2.6, 3.4):
        builder.add(_mark(builder, (offset, 0), (0.08, 30), (0.9, 0.9, 0.86)))
    for _ in range(26):
        angle, distance = builder.rng.uniform(0, 2 * np.pi), builder.rng.uniform(13, 26)
        builder.add(*_tree(builder, distance * np.sin(angle), distance * np.cos(angle)))
    reach = _reach(builder, 2.5)
    for x, z, size in ((0, -reach - 8, (60, 1.1, 0.6)), (-reach - 9, 0, (0.6, 1.1, 60)), (reach + 9, 0, (0.6, 1.1, 60)),
                       (0, reach + 8, (60, 1.1, 0.6))):  # fmt: skip
        builder.add(*box((x, 0, z), size, builder.light, (0.20, 0.32, 0.15)))
    builder.scatter(3, 3.5, 8, 0.8, lambda x, z: _bench(builder, x, z))
    return builder.done(shadow=0.50)


def _tree(builder: Builder, x: float, z: float) -> list[Mesh]:
    height, rng = builder.rng.uniform(2.2, 4.0), builder.rng
    crown = rng.uniform(1.0, 2.0)
    green = builder.pick((0.22, 0.36, 0.16), (0.30, 0.42, 0.18), (0.38, 0.40, 0.18), (0.18, 0.30, 0.20))
    beside = (x + 0.5 * crown, height + 0.2 * crown, z)
    return [post((x, 0, z), height, 0.16, builder.light, (0.33, 0.25, 0.18), top=0.6),
            blob((x, height + 0.6 * crown, z), (crown, 1.15 * crown, crown), builder.light, green, rng),
            blob(beside, (0.7 * crown,) * 3, builder.light, green, rng)]  # fmt: skip


def street(builder: Builder) -> Scene:
    """A road between house fronts: pavements, parked cars, trees, lamps, bins, and posts that may hide people."""
    rng = builder.rng
    builder.sky((0.84, 0.87, 0.90), builder.pick((0.42, 0.60, 0.84), (0.62, 0.70, 0.80), (0.74, 0.77, 0.80)))
    builder.floor(40, "asphalt", builder.pick((0.36, 0.36, 0.37), (0.42, 0.41, 0.40)))
    reach = _reach(builder, 1.0)
    kerb, front = max(3.4, 0.5 * reach), max(7.5, reach + 1.5)
    slabs = builder.texture("tiles", builder.pick((0.60, 0.58, 0.54), (0.54, 0.52, 0.50)))
    for sign in (-1, 1):
        inner, outer = sorted((sign * kerb, sign * front))
        builder.add(sheet((inner, 0.006, 40), (outer - inner, 0, 0), (0, 0, -80), builder.light, slabs))
        builder.add(*_house_fronts(builder, sign, front))
    for z in np.arange(-30, 30, 4.0):
        builder.add(_mark(builder, (0, z), (0.12, 1.8), (0.82, 0.81, 0.76)))
    for z in (-38, 38):
        builder.add(*box((0, 0, z), (30, rng.uniform(7, 13), 4), builder.light, texture=builder.texture(
            "facade", builder.pick((0.60, 0.52, 0.44), (0.55, 0.56, 0.58)))))  # fmt: skip
    for z in np.arange(-28, 29, 5.4):
        for sign in (-1, 1):
            _kerbside(builder, sign * (kerb - 1.0), sign * (kerb + 0.7), z + rng.uniform(-0.6, 0.6))
    builder.scatter(5, 1.6, 4.5, 0.12, lambda x, z: _bollard(builder, x, z), view=False)
    return builder.done(shadow=0.52)


def _house_fronts(builder: Builder, sign: int, front_m: float) -> list[Mesh]:
    """Houses of different colours and heights side by side along the street."""
    meshes: list[Mesh] = []
    walls = ((0.66, 0.55, 0.44), (0.74, 0.70, 0.62), (0.56, 0.42, 0.36), (0.60, 0.62, 0.62), (0.70, 0.62, 0.42))
    textures = [builder.texture("facade", builder.pick(*walls)) for _ in range(2)]
    textures.append(builder.texture("bricks", builder.pick((0.55, 0.32, 0.26), (0.48, 0.36, 0.30))))
    z = -34.0
    while z < 34:
        width = builder.rng.uniform(6, 11)
        height = builder.rng.uniform(6, 12)
        texture = textures[builder.rng.integers(len(textures))]
        meshes += box((sign * (front_m + 2), 0, z + width / 2), (4, height, width), builder.light, texture=texture)
        z += width
    return meshes


def _kerbside(builder: Builder, road_m: float, pavement_m: float, z: float) -> None:
    """What stands at one stretch of kerb: a parked car, a tree, a lamp or a bin."""
    rng = builder.rng
    if rng.random() < 0.55 and builder.is_free(road_m, z, 2.0):
        builder.add(*_car(builder, road_m, z))
    kind = rng.integers(4)
    if not builder.is_free(pavement_m, z, 0.4, view=bool(rng.random() < 0.7)):
        return
    if kind == 0:
        builder.add(*_tree(builder, pavement_m, z))
    elif kind == 1:
        builder.add(post((pavement_m, 0, z), 5, 0.07, builder.light, (0.22, 0.25, 0.24)))
    elif kind == 2:
        builder.add(*box((pavement_m, 0, z), (0.5, 0.95, 0.5), builder.light, (0.20, 0.32, 0.26)))


def _bollard(builder: Builder, x: float, z: float) -> list[Mesh]:
    return [post((x, 0, z), 0.9, 0.07, builder.light, builder.pick((0.25, 0.25, 0.26), (0.75, 0.72, 0.66)))]


def _car(builder: Builder, x: float, z: float) -> list[Mesh]:
    paintwork = builder.pick((0.62, 0.12, 0.12), (0.16, 0.24, 0.42), (0.70, 0.71, 0.72), (0.14, 0.14, 0.15),
                             (0.52, 0.54, 0.50), (0.82, 0.80, 0.74))  # fmt: skip
    tyre = (0.06, 0.06, 0.06)
    wheels = [box((x + side, 0, z + end), (0.2, 0.6, 0.62), builder.light, tyre)
              for side in (-0.76, 0.76) for end in (-1.3, 1.3)]  # fmt: skip
    return [*box((x, 0.28, z), (1.7, 0.58, 4.1), builder.light, paintwork),
            *box((x, 0.86, z - 0.2), (1.5, 0.50, 2.1), builder.light, (0.14, 0.17, 0.20)),
            *box((x, 1.36, z - 0.2), (1.46, 0.06, 1.9), builder.light, paintwork),
            *(mesh for wheel in wheels for mesh in wheel)]  # fmt: skip


def living_room(builder: Builder) -> Scene:
    """Someone's room: boards and a rug, painted walls, window, pictures, sofa, shelf, table, plant."""
    half = _reach(builder, 0.6)
    builder.floor(half, "boards", builder.pick((0.50, 0.36, 0.24), (0.62, 0.50, 0.36), (0.40, 0.30, 0.24)))
    builder.walls(half, 2.6, "plaster", builder.pick((0.82, 0.79, 0.72), (0.66, 0.72, 0.74), (0.76, 0.66, 0.58),
                                                     (0.72, 0.74, 0.64)))  # fmt: skip
    builder.ceiling(half, 2.6, (0.85, 0.84, 0.82))
    rug = builder.pick((0.52, 0.24, 0.22), (0.26, 0.34, 0.46), (0.60, 0.55, 0.46))
    builder.add(_mark(builder, (0, 0), (2.4, 1.7), rug))
    _dado(builder, half, 0.10, (0.90, 0.89, 0.86))
    for turn in range(4):
        _furnish_wall(builder, turn * np.pi / 2, half)
    return builder.done(shadow=0.34)


def _furnish_wall(builder: Builder, azimuth: float, half_m: float) -> None:
    """A window or pictures on a wall, and furniture in front of it where the camera's view allows."""
    rng, out = builder.rng, np.array([np.sin(azimuth), 0, np.cos(azimuth)])
    aside = np.array([np.cos(azimuth), 0, -np.sin(azimuth)])
    hang = box if rng.random() < 0.6 else None
    at_wall = out * (half_m - 0.03)
    if hang is None:
        sill, pane = at_wall + np.array([0, 0.9, 0]), at_wall - 0.02 * out + np.array([0, 0.97, 0])
        builder.add(*box(sill, (1.5, 1.2, 0.06), builder.light, (0.92, 0.92, 0.90), azimuth))
        builder.add(*box(pane, (1.36, 1.06, 0.06), _lamplight(), (0.72, 0.84, 0.95), azimuth))
    else:
        for offset in rng.uniform(-1, 1, 2) * (half_m - 0.8):
            size = (rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.6), 0.04)
            place = at_wall + offset * aside + np.array([0, 1.3, 0])
            colour = builder.pick((0.3, 0.4, 0.5), (0.7, 0.5, 0.3), (0.25, 0.3, 0.2), (0.8, 0.75, 0.6))
            builder.add(*box(place, size, builder.light, colour, azimuth))
    for offset in rng.uniform(-1, 1, 3) * (half_m - 0.9):
        x, _, z = out * (half_m - 0.5) + offset * aside
        if builder.is_free(x, z, 0.75):
            builder.add(*_furniture(builder, x, z, azimuth))


def _furniture(builder: Builder, x: float, z: float, azimuth: float) -> list[Mesh]:
    rng, light = builder.rng, builder.light
    wood = builder.pick((0.45, 0.31, 0.20), (0.65, 0.52, 0.36), (0.85, 0.84, 0.80), (0.28, 0.22, 0.18))
    cloth = builder.pick((0.40, 0.44, 0.50), (0.52, 0.30, 0.26), (0.36, 0.44, 0.36), (0.66, 0.60, 0.52))
    back = np.array([np.sin(azimuth), 0, np.cos(azimuth)])
    match rng.integers(4):
        case 0:  # sofa
            behind = np.array([x, 0, z]) + 0.32 * back
            return [*box((x, 0.1, z), (1.5, 0.34, 0.8), light, cloth, azimuth),
                    *box(behind, (1.5, 0.85, 0.2), light, cloth * 0.9, azimuth)]  # fmt: skip
        case 1:  # shelf
            shelf = box((x, 0, z), (0.9, 1.8, 0.32), light, wood, azimuth)
            books = [box(np.array([x, y, z]) - 0.1 * back, (0.78, 0.24, 0.2), light, builder.pick(
                (0.5, 0.2, 0.2), (0.2, 0.3, 0.5), (0.6, 0.55, 0.4)), azimuth) for y in (0.3, 0.8, 1.3)]  # fmt: skip
            return [*shelf, *(mesh for book in books for mesh in book)]
        case 2:  # table with a lamp
            top = box((x, 0.7, z), (1.0, 0.05, 0.6), light, wood, azimuth)
            lamp = blob((x, 1.15, z), (0.16, 0.14, 0.16), _lamplight(), (0.95, 0.88, 0.7), rng, 0.0)
            return [*top, post((x, 0, z), 0.7, 0.06, light, wood), post((x, 0.75, z), 0.3, 0.02, light, wood), lamp]
        case _:  # plant
            return [post((x, 0, z), 0.35, 0.16, light, (0.60, 0.36, 0.26), top=1.25),
                    blob((x, 0.85, z), (0.36, 0.55, 0.36), light, (0.22, 0.38, 0.18), rng, 0.25)]  # fmt: skip


BUILDERS: dict[str, Callable[[Builder], Scene]] = {
    builder.__name__: builder for builder in (studio, hall, gym_hall, court, sports_field, street, living_room)
}
