"""Load a body model in SMPL's layout, the free one or an official file, behind one small class.

smplx reads pickles only by path and by running them, so the fields are read here, checked, and handed
to its layer as data. Everything above depends on `Body` alone and never on which body it is.
"""

import contextlib
import io
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import smplx
import torch
from jaxtyping import Float, Int
from smplx.utils import Struct

from moviestrip.body.cached import ensure_free_body
from moviestrip.config import BodySettings
from moviestrip.errors import ConfigError
from moviestrip.geometry import pose_to_matrices
from moviestrip.skeleton import H36M_17, SMPL_24, SMPL_PARENTS
from moviestrip.storage import digest_file

MAXIMUM_BODY_BYTES = 2**30  # official files have at most 250 MB
FIELDS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table")
HOW_TO_GET = "download {} from smpl.is.tue.mpg.de, or set `body.kind: free` to build the free body"

# Some copies of the released regressor have the right leg first; the body's left, at +x, tells which.
_RIGHT_LEG_FIRST = [0, 4, 5, 6, 1, 2, 3, *range(7, 17)]


@dataclass(frozen=True, eq=False)
class Body:
    """A body model: its mesh, its skeleton, and how it moves."""

    name: str
    digest: str
    v_template: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    weights: Float[np.ndarray, "vertices 24"]
    parents: Int[np.ndarray, "24"]
    joint_regressor_h36m: Float[np.ndarray, "17 vertices"]
    layer: smplx.SMPLLayer = field(repr=False)

    @property
    def n_vertices(self) -> int:
        return len(self.v_template)

    @cached_property
    def has_pose_blend_shapes(self) -> bool:
        """Whether bending changes the mesh beyond what its bones move: not so of the free body."""
        return bool(self.layer.posedirs.any())

    @overload
    def forward(
        self, pose: np.ndarray, betas: np.ndarray, translation: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @overload
    def forward(
        self, pose: torch.Tensor, betas: torch.Tensor, translation: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]: ...
    def forward(self, pose: Any, betas: Any, translation: Any = None) -> tuple[Any, Any]:
        """Pose the mesh.

        Args:
            pose: (..., 72) axis-angle, or (..., 24, 3, 3) rotation matrices.
            betas: (..., 10), or (10,) for one shape throughout.
            translation: (..., 3) metres, or nothing.
        Returns vertices (..., V, 3) and SMPL's joints (..., 24, 3) in metres, of the kind that came in:
        arrays (without gradients) or tensors.
        """
        if not isinstance(pose, torch.Tensor):
            given = [None if part is None else torch.from_numpy(np.array(part)) for part in (pose, betas, translation)]
            with torch.no_grad():
                vertices, joints = self.forward(*given)  # type: ignore[arg-type]
            return vertices.numpy(), joints.numpy()
        rotations = pose if pose.shape[-2:] == (3, 3) else pose_to_matrices(pose)
        batch = rotations.shape[:-3]
        flat = rotations.float().reshape(-1, 24, 3, 3)
        output = self.layer(
            global_orient=flat[:, :1],
            body_pose=flat[:, 1:],
            betas=betas.float().expand(*batch, -1).reshape(len(flat), -1),
            transl=flat.new_zeros(len(flat), 3) if translation is None else translation.float().reshape(-1, 3),
            pose2rot=False,
        )
        return output.vertices.reshape(*batch, -1, 3), output.joints[:, :24].reshape(*batch, 24, 3)


def load_body(settings: BodySettings, cache: Path) -> Body:
    """The body that the configuration asks for; the free one is built in `cache` when it is not there yet."""
    if settings.kind == "free":
        if settings.path is not None:
            raise ConfigError(
                f"body.path: {settings.path} is set, but `body.kind: free` reads no file; set kind to smpl"
            )
        path = ensure_free_body(cache)
        fields = read_body_file(path)
        return _body("free", digest_file(path), fields, fields["joint_regressor_h36m"], path, "body.path")
    key = _key_of(settings)
    path = _existing(settings.path, key, way_out(key))
    fields = read_body_file(path, key)
    regressor_path = _existing(
        settings.joint_regressor,
        "body.joint_regressor",
        "it is J_regressor_h36m.npy in the data of SPIN or VIBE, (17, 6890)",
    )
    regressor = _read_regressor(regressor_path, np.asarray(fields["v_template"]))
    return _body("smpl", digest_file(path) + digest_file(regressor_path), fields, regressor, path, key)


def _key_of(settings: BodySettings) -> str:
    """The key that names `settings.path`, where settings of one sex have that sex's file there."""
    of_a_sex = settings.model_dump(include={"male_path", "female_path"})
    named = [f"body.{name}" for name, path in of_a_sex.items() if path is not None and path == settings.path]
    return named[0] if named else "body.path"


def way_out(key: str) -> str:
    names = {"body.male_path": "SMPL_MALE.pkl", "body.female_path": "SMPL_FEMALE.pkl"}
    return HOW_TO_GET.format(names.get(key, "SMPL_NEUTRAL.pkl"))


def read_body_file(path: Path, key: str = "body.path") -> dict[str, np.ndarray]:
    """The fields of a .npz or .pkl body, as plain numeric arrays of the right shapes; `key` named the file."""
    if path.suffix not in (".npz", ".pkl"):
        raise ConfigError(f"{key}: {path} is neither .pkl nor .npz; {way_out(key)}")
    if path.stat().st_size > MAXIMUM_BODY_BYTES:
        raise ConfigError(f"{key}: {path} has {path.stat().st_size:,} bytes; no body is above 1 GiB")
    fields = _read_npz(path, key) if path.suffix == ".npz" else _unpickle(path, key)
    missing = [name for name in FIELDS if name not in fields]
    if missing:
        raise ConfigError(f"{key}: {path} is not in SMPL's layout: it lacks {', '.join(missing)}; {way_out(key)}")
    _require_shapes(path, fields, key)
    return fields


def _existing(path: Path | None, key: str, advice: str) -> Path:
    if path is None:
        raise ConfigError(f"{key}: `body.kind: smpl` needs this file; {advice}")
    if not path.is_file():
        raise ConfigError(f"{key}: {path} is not a file; {advice}")
    return path


def _read_npz(path: Path, key: str) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            promised = sum(member.file_size for member in archive.infolist())
        if promised > MAXIMUM_BODY_BYTES:
            raise ConfigError(f"{key}: {path} would unpack to {promised:,} bytes; no body is above 1 GiB")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError) as error:
        raise ConfigError(f"{key}: {path} is not a readable .npz of plain arrays ({error}); {way_out(key)}") from error


def _unpickle(path: Path, key: str) -> dict[str, np.ndarray]:
    from moviestrip.body.unpickle import unpickle_body  # brings sparse matrices along, for official files only

    return unpickle_body(path, key)


def _require_shapes(path: Path, fields: dict[str, Any], key: str) -> None:
    vertices = np.shape(fields["v_template"])[:1]
    expected: dict[str, tuple[int | None, ...]] = {
        "v_template": (*vertices, 3),
        "shapedirs": (*vertices, 3, None),
        "posedirs": (*vertices, 3, 207),
        "J_regressor": (24, *vertices),
        "weights": (*vertices, 24),
        "f": (None, 3),
        "kintree_table": (2, 24),
    }
    for name, shape in expected.items():
        found = np.asarray(fields[name])
        fits = len(found.shape) == len(shape) and all(
            want in (None, have) for want, have in zip(shape, found.shape, strict=True)
        )
        if not fits or found.dtype.kind not in "fiu":
            raise ConfigError(
                f"{key}: {path}: {name} is {found.dtype} {found.shape}, SMPL's is {shape}; "
                f"SMPL+H, SMPL-X and MANO files do not serve; {way_out(key)}"
            )
    if np.asarray(fields["shapedirs"]).shape[2] < 10:
        raise ConfigError(f"{key}: {path}: shapedirs has fewer than 10 directions; {way_out(key)}")
    parents = _parents(fields)
    if tuple(parents) != SMPL_PARENTS:
        raise ConfigError(f"{key}: {path}: its tree of {len(SMPL_24)} joints is not SMPL's: {parents.tolist()}")


def _parents(fields: dict[str, Any]) -> np.ndarray:
    parents = np.asarray(fields["kintree_table"])[0].astype(np.int64)
    parents[0] = -1  # stored as 2^32 - 1
    return parents


def _read_regressor(path: Path, template: np.ndarray) -> np.ndarray:
    try:
        regressor = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ConfigError(f"body.joint_regressor: {path} is not a plain .npy array ({error})") from error
    expected = (len(H36M_17), len(template))
    if not isinstance(regressor, np.ndarray) or regressor.shape != expected or regressor.dtype.kind != "f":
        raise ConfigError(
            f"body.joint_regressor: {path} is {getattr(regressor, 'shape', 'no array')}, this body needs {expected}"
        )
    sides = (regressor @ template)[:, 0]
    return regressor if sides[1] > sides[4] else regressor[_RIGHT_LEG_FIRST]


def _body(name: str, digest: str, fields: dict[str, Any], regressor: np.ndarray, path: Path, key: str) -> Body:
    data = {field_name: np.asarray(fields[field_name]) for field_name in FIELDS}
    data["f"] = data["f"].astype(np.int64)
    if data["f"].min() < 0 or data["f"].max() >= len(data["v_template"]):
        raise ConfigError(f"{key}: {path}: a face names a vertex outside 0..{len(data['v_template']) - 1}")
    data["kintree_table"] = data["kintree_table"].astype(np.int64)
    data["shapedirs"] = data["shapedirs"][:, :, :10]
    with contextlib.redirect_stdout(io.StringIO()):  # smplx prints that ten shape directions are few
        layer = smplx.SMPLLayer("", data_struct=Struct(**data))
    return Body(
        name=name,
        digest=digest,
        v_template=data["v_template"].astype(np.float32),
        faces=data["f"],
        weights=data["weights"].astype(np.float32),
        parents=_parents(data),
        joint_regressor_h36m=np.asarray(regressor, np.float32),
        layer=layer.requires_grad_(False).eval(),
    )
