"""Released checkpoints become files of ours that answer as the release does."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from moviestrip.checksum import masked_crc32c
from moviestrip.cli import app
from moviestrip.errors import FatalError, StorageError
from moviestrip.features import backbones, residual_v2
from moviestrip.imports import by_scope, import_checkpoint
from moviestrip.models.official import build
from moviestrip.models.official.releases import theta_85
from moviestrip.training.checkpoint import read_checkpoint
from tests.models.checkpoints import bundle_writer
from tests.models.official import seeded


def torch_tensors(tensors: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(values)) for name, values in tensors.items()}


def pth_tar(path: Path, generator: dict[str, np.ndarray], **others) -> Path:
    """A file with the top-level keys of VIBE's and TCMR's."""
    torch.save({"gen_state_dict": torch_tensors(generator), "gen_optimizer": {"state": {}}, **others}, path)
    return path


def as_released(kind: str, tensors: dict[str, np.ndarray], phi: torch.Tensor) -> torch.Tensor:
    return build(kind, tensors)(phi)["theta"]


def test_vibe_answers_as_released_after_its_file_was_imported(tmp_path: Path):
    """Golden: the stored output of VIBE's release, at its real size."""
    tensors = seeded.golden_tensors("vibe_generator")
    judge = torch_tensors(seeded.seeded(seeded.vibe_discriminator("last", 8)))
    others = {"epoch": 23, "performance": np.float64(56.5), "disc_motion_state_dict": judge}
    body = {"regressor.smpl.betas": np.zeros((1, 10), np.float32), "regressor.smpl.v_template": np.zeros((9, 3))}
    file = pth_tar(tmp_path / "vibe_model.pth.tar", tensors | body, **others)
    found = import_checkpoint(file, tmp_path / "vibe.pt")
    assert (found.kind, found.tensors, found.parameters) == ("vibe", 23, sum(v.size for v in tensors.values()))
    assert found.left_aside == {"regressor.smpl": 2, "disc_motion_state_dict": len(judge)} and found.features is None
    checkpoint = read_checkpoint(found.model)
    assert (checkpoint.variant, checkpoint.backbone, checkpoint.projection) == ("vibe", "resnet50-spin", "perspective")
    assert checkpoint.validation_pa_mpjpe_mm == 56.5
    model = checkpoint.model()
    with torch.inference_mode():
        theta = model.present(torch.from_numpy(seeded.golden_input("vibe_generator"))).theta
    golden = np.load(seeded.GOLDEN / "vibe_generator.npz")["theta"]
    np.testing.assert_allclose(theta_85(model.layout, theta).numpy(), golden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["hmmr", "phd", "hmr"])
def test_tensorflow_models_answer_as_released_after_import(tmp_path: Path, kind: str):
    """With a discriminator, an optimiser's memory and a counter in the same file, as training leaves them."""
    tensors = seeded.seeded({"hmmr": seeded.hmmr, "phd": seeded.phd, "hmr": seeded.hmr}[kind](32, 8))
    judge = seeded.seeded(seeded.hmr_discriminator(hidden=4))
    training = {"mean_param/Adam": np.zeros((1, 85), np.float32), "beta1_power_1": np.ones((), np.float32)}
    counter = {"global_step": np.array(642561)}
    prefix = bundle_writer.write_bundle(tmp_path / "model.ckpt-1", tensors | judge | training | counter, shards=2)
    found = import_checkpoint(prefix, tmp_path / "ours" / "model.pt")
    assert (found.kind, found.backbone, found.features) == (kind, "resnet50-hmr", None)
    assert (found.tensors, found.left_aside) == (len(tensors), {"D_pose": len(judge)})
    checkpoint = read_checkpoint(found.model)
    assert (checkpoint.step, checkpoint.projection) == (642561, "weak-perspective")
    assert math.isnan(checkpoint.validation_pa_mpjpe_mm)
    phi = torch.from_numpy(seeded.features("phi", 2, 20, 32))
    with torch.inference_mode():
        torch.testing.assert_close(checkpoint.model().present(phi).theta, as_released(kind, tensors, phi))


def test_tcmr_answers_as_released_after_import(tmp_path: Path):
    tensors = seeded.seeded(seeded.tcmr(32, 8))
    found = import_checkpoint(pth_tar(tmp_path / "tcmr.pth.tar", tensors), tmp_path / "tcmr.pt")
    model = read_checkpoint(found.model).model()
    phi = torch.from_numpy(seeded.features("phi", 1, 16, 32))
    with torch.inference_mode():
        theta = theta_85(model.layout, model(phi).contextual.theta)[:, 0]
    assert found.kind == "tcmr"
    torch.testing.assert_close(theta, as_released("tcmr", tensors, phi))


@pytest.mark.slow
def test_spin_becomes_a_backbone_and_a_single_view_model(tmp_path: Path):
    tensors = seeded.seeded(seeded.spin())
    torch.save({"model": torch_tensors(tensors)}, tmp_path / "spin.pth.tar")
    found = import_checkpoint(tmp_path / "spin.pth.tar", tmp_path / "spin.pt")
    assert (found.kind, found.tensors, found.features) == ("spin", 331, tmp_path / "spin-features.pt")
    crops = np.random.default_rng(2).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    phi, of_original = (
        backbones.load_backbone("resnet50-spin", path)(crops) for path in (found.features, tmp_path / "spin.pth.tar")
    )
    assert phi.tobytes() == of_original.tobytes()
    mean, deviation = (torch.tensor(values).reshape(3, 1, 1) for values in backbones.IMAGENET)
    images = (torch.from_numpy(crops).permute(0, 3, 1, 2) / 255 - mean) / deviation
    model = read_checkpoint(found.model).model()
    with torch.inference_mode():
        released = build("spin", tensors)(images)
        theta = theta_85(model.layout, model.present(torch.from_numpy(phi)[:, None]).theta)[:, 0]
    torch.testing.assert_close(theta, released["theta"], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_hmr_becomes_a_backbone_and_a_single_view_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with torch.device("meta"):
        state = residual_v2.ResNet50V2().state_dict()
    shapes = {theirs: tuple(state[ours].shape) for ours, theirs in residual_v2.names()}
    network = {name: np.zeros((*shape[2:], *shape[1::-1]), np.float32) for name, shape in shapes.items()}
    network["resnet_v2_50/postnorm/beta"] = np.arange(-1024, 1024, dtype=np.float32)  # all that is left of a picture
    monkeypatch.setattr(bundle_writer, "masked", masked_crc32c)  # 94 MB: too many for the plain one
    file = bundle_writer.write_bundle(tmp_path / "hmr_noS5.ckpt-642561", network | seeded.seeded(seeded.hmr(2048, 8)))
    found = import_checkpoint(file, tmp_path / "hmr.pt")
    assert (found.kind, found.tensors, found.left_aside, found.facts) == ("hmr", 270 + 7, {}, {"steps": 642561})
    backbone = backbones.load_backbone("resnet50-hmr", found.features)
    phi = backbone(np.zeros((1, 64, 64, 3), np.uint8))
    np.testing.assert_array_equal(phi[0], np.arange(-1024, 1024).clip(0))
    assert read_checkpoint(found.model).design.feature_size == 2048


def test_two_imports_of_a_file_agree_to_the_byte(tmp_path: Path):
    file = pth_tar(tmp_path / "vibe.pth.tar", seeded.seeded(seeded.vibe(32, 8)))
    first, second = (import_checkpoint(file, tmp_path / name).model for name in ("first.pt", "second.pt"))
    assert first.read_bytes() == second.read_bytes()


def test_what_cannot_be_imported_says_why(tmp_path: Path):
    judge = torch_tensors(seeded.seeded(seeded.vibe_discriminator("last", 8)))
    for values, said in (
        ({"disc_motion_state_dict": judge}, r"x\.pth\.tar: holds only disc_motion_state_dict, which predicts nothing"),
        ({"model": judge}, r"x\.pth\.tar: holds only vibe-discriminator, which predicts nothing"),
        ({"model": {"a": torch.ones(1)}}, r"x\.pth\.tar: none of the released models has these 1 names"),
    ):
        torch.save(values, tmp_path / "x.pth.tar")
        with pytest.raises(FatalError, match=said):
            import_checkpoint(tmp_path / "x.pth.tar", tmp_path / "x.pt")
    incomplete = seeded.seeded(seeded.vibe(32, 8))
    del incomplete["encoder.linear.bias"]
    with pytest.raises(FatalError, match=r"encoder\.linear\.bias"):
        import_checkpoint(pth_tar(tmp_path / "y.pth.tar", incomplete), tmp_path / "y.pt")
    with pytest.raises(StorageError, match=r"there is no such checkpoint \(none\.ckpt-1\.index is not there\)"):
        import_checkpoint(tmp_path / "none.ckpt-1")
    assert not list(tmp_path.glob("?.pt"))


def test_names_left_aside_are_counted_by_their_scope():
    names = ["D/fc1/weights", "D/fc1/biases", "count", "regressor.smpl.betas", "regressor.smpl.faces", "a.b"]
    assert by_scope(names) == {"D": 2, "a.b": 1, "count": 1, "regressor.smpl": 2}


def test_the_command_says_what_it_found_and_how_to_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    tensors = seeded.seeded(seeded.vibe(32, 8))
    pth_tar(tmp_path / "vibe.pth.tar", tensors, epoch=23, performance=np.float64(56.5))
    result = CliRunner().invoke(app, ["import-checkpoint", "vibe.pth.tar"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"vibe: VIBE, 23 tensors, {sum(values.size for values in tensors.values()):,} parameters",
        "trained: epoch 23, 56.5 mm on its validation data (PA-MPJPE)",
        "model: imported/vibe.pt",
        "reads: features of the backbone resnet50-spin; features.checkpoints names its weights",
        "use it: moviestrip demo VIDEO --model imported/vibe.pt",
    ]
    assert Path("imported/vibe.pt").is_file()
