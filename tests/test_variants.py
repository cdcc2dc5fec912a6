"""Every row of the papers' tables has its variant, every variant is a model that runs, and the lists tell the truth."""

from pathlib import Path

import pytest
import torch

from moviestrip.config import Config, ScaleSettings, VariantSettings, check_variants, load_config, load_variant
from moviestrip.config import variant_names as names_in
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.models.model import CONDITION_FRAMES, MotionModel, design_of
from moviestrip.papers.printed import printed_tables
from moviestrip.papers.variants import (
    FEATURE_SIZES,
    in_short,
    parameters_of,
    rows_of_variants,
    variant_list,
    variant_page,
)
from moviestrip.papers.worlds import BASELINES, variant_of

FOLDER = Path(__file__).resolve().parents[1] / "config"
NAMES = names_in(FOLDER)
SCALE = ScaleSettings(width=32, regressor_width=16)
FEATURES = 24


@pytest.fixture(scope="module")
def everything() -> Config:
    return load_config([FOLDER.parent / "config.yaml"])


@pytest.fixture(scope="module")
def variants() -> dict[str, VariantSettings]:
    return {name: load_variant(name, FOLDER) for name in NAMES}


def test_every_row_that_is_not_only_cited_has_a_variant_or_is_a_baseline():
    cells = printed_tables()
    numbered = cells[(cells["table"] != "text") & (cells["kind"] != "")]
    for paper, row_id, kind in numbered[["paper", "row_id", "kind"]].drop_duplicates().itertuples(index=False):
        variant = variant_of(paper, row_id, kind)
        if kind != "external" or variant is not None:
            assert variant in NAMES or variant in BASELINES, f"{paper} {row_id}: {variant}"


def test_every_variant_fills_a_row_or_starts_one_that_does(variants):
    filled = set(rows_of_variants())
    starts = {variant.start_from for variant in variants.values()}
    assert set(NAMES) - filled == {"imagenet-backbone", "random-backbone"}
    assert {"imagenet-backbone", "random-backbone"} <= starts


def test_all_variants_names_all_and_they_agree_with_each_other(everything, variants):
    assert sorted(everything.variants) == NAMES
    check_variants(variants, everything.features.backbone)


@pytest.mark.parametrize("name", NAMES)
def test_each_variant_is_a_model_that_runs(name: str, variants):
    torch.manual_seed(0)
    variant = variants[name]
    model = MotionModel(design_of(variant, SCALE, FEATURES)).eval()
    steps = 5 if variant.autoregressor != "none" else 0
    with torch.no_grad():
        output = model(torch.randn(2, CONDITION_FRAMES + 5, FEATURES), forecast_steps=steps)
        whole = model.present(torch.randn(1, 20, FEATURES))
    assert whole.theta.shape == (1, 20, model.layout.size)
    found = {branch.name for branch in output.branches}
    assert ("hallucinated" in found) == variant.hallucinator
    assert ("forecast" in found) == (variant.autoregressor != "none")
    assert ({"past", "future"} <= found) == (variant.pose_forecast != "none")
    assert set(output.contextual.deltas) == set(variant.delta_frames)
    for branch in output.branches:
        assert branch.theta.isfinite().all() and branch.theta.shape[-1] == model.layout.size


@pytest.mark.parametrize("name", NAMES)
def test_a_start_gives_every_weight_that_both_have(name: str, variants):
    variant = variants[name]
    if variant.start_from is None:
        return
    size = FEATURE_SIZES[variant.backbone or "blazepose-full"]
    with torch.device("meta"):
        start = MotionModel(design_of(variants[variant.start_from], SCALE, size)).state_dict()
        own = MotionModel(design_of(variant, SCALE, size)).state_dict()
    shared = {key for key in own if key in start}
    assert {"regressor.feedback.fc1.weight", "projection.weight", "standardiser.mean"} <= shared
    assert all(own[key].shape == start[key].shape for key in shared)


def test_families_share_what_their_tables_hold_fixed(variants):
    """A row of an ablation differs from the row it is compared with in what the table says, and in nothing else."""

    def differing(name: str, other: str) -> set[str]:
        return {key for key, value in variants[name] if value != getattr(variants[other], key)} - {"title", "extends"}

    assert differing("contextual-no-dynamics", "contextual") == {"delta_frames"}
    assert differing("contextual-no-const-shape", "contextual") == {"loss_weights"}
    assert differing("contextual-vlog", "contextual") == {"datasets"}
    assert differing("g-only-spin", "vibe") == {"motion_discriminator"}
    assert differing("g-mposer-spin", "g-only-spin") == {"motion_prior"}
    assert differing("g-only-hmr", "g-dm-hmr") == {"motion_discriminator"}
    assert differing("dm-concat", "vibe") == {"motion_discriminator"}
    assert differing("vibe-direct-comp", "vibe") == {"datasets"}
    assert differing("ar-phi-no-movie-strip", "ar-phi") == {"loss_weights"}
    assert differing("ar-theta", "ar-phi") == {"autoregressor", "loss_weights"}
    assert differing("residual-poseforecast", "tcmr-ablation") == {"residual"}
    assert differing("no-residual-no-poseforecast", "tcmr-ablation") == {"pose_forecast"}
    assert differing("tcmr-baseline", "tcmr-ablation") == {"residual", "pose_forecast"}
    assert differing("poseforecast-with-current", "tcmr-ablation") == {"pose_forecast"}
    assert differing("poseforecast-gt-past-future", "tcmr-ablation") == {"pose_forecast_target"}
    assert differing("baseline-resnet-random", "tcmr-baseline") == {"backbone", "start_from"}
    assert differing("tcmr-3dpw-train-15fps", "tcmr-3dpw-train") == {"frame_stride"}
    assert set(variants["vibe-3dpw-train"].datasets) == set(variants["tcmr-3dpw-train"].datasets)


def test_wild3d_is_trained_on_only_where_the_paper_says_so(variants):
    without = {"vibe-direct-comp", "tcmr-no-3dpw", "spin-backbone", "hmr-backbone", "imagenet-backbone"}
    without |= {"random-backbone", "spin-backbone-gaussian", "spin-backbone-one-euro"}
    for name, variant in variants.items():
        expected = variant.paper in ("vibe", "tcmr") and name not in without
        assert ("3dpw" in variant.datasets) == expected, name


def test_static_starters_never_see_what_their_followers_are_tested_on(variants):
    for name in ("spin-backbone", "hmr-backbone", "imagenet-backbone", "random-backbone", "single-view"):
        assert variants[name].encoder == "none" and "street" not in variants[name].datasets


@pytest.mark.parametrize("backbone", ["blazepose-lite", "blazepose-full", "efficientnet-lite0"])
def test_the_length_of_phi_is_the_networks(backbone: str, cache: Path):
    from moviestrip.features.backbones import load_backbone

    assert load_backbone(backbone, None, 0).dimension == FEATURE_SIZES[backbone]


def test_parameters_at_the_papers_width_are_the_papers():
    """HMMR: 3 blocks of two kernel-3 convolutions of 2048; VIBE: a GRU of 2 layers of 1024 and a linear layer."""
    papers = load_config([FOLDER.parent / "config.yaml", FOLDER / "papers-scale.yaml"]).scale
    convolutions, norms = 6 * (3 * 2048 * 2048 + 2048), 6 * 2 * 2048
    counts = parameters_of(load_variant("contextual", FOLDER), papers, "resnet50-spin")
    assert counts["encoder"] == convolutions + norms and "projection" not in counts
    gru = 3 * 1024 * (2048 + 1024 + 2) + 3 * 1024 * (1024 + 1024 + 2)
    counts = parameters_of(load_variant("vibe", FOLDER), papers, "resnet50-spin")
    assert counts["encoder"] == gru + 1024 * 2048 + 2048
    regressor = (2048 + 157) * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 157 + 157
    assert counts["regressor"] == regressor + 157  # and the mean parameters


def test_a_page_says_where_each_key_comes_from(everything):
    page = variant_page("dm-attention-3x512", everything, FOLDER).set_index("key")
    assert page.loc["motion_discriminator.attention_layers"].tolist() == ["3", "dm-attention-3x512.yaml"]
    assert page.loc["motion_discriminator.pooling"].tolist() == ["attention", "vibe.yaml"]
    assert page.loc["loss_weights.keypoints"].tolist() == ["300.0", "spin-backbone.yaml"]
    assert page.loc["causal"].tolist() == ["false", "default"]
    gone = variant_page("g-only-spin", everything, FOLDER).set_index("key")
    assert gone.loc["motion_discriminator"].tolist() == ["empty", "g-only-spin.yaml"]


def test_the_list_names_rows_weights_and_how_far_a_run_is(everything, tmp_path: Path):
    run = RunFolder(tmp_path)
    run.checkpoint("contextual", 0).parent.mkdir(parents=True)
    run.checkpoint("contextual", 0).touch()
    run.predictions("vibe", 0, "street").parent.mkdir(parents=True)
    run.predictions("vibe", 0, "street").touch()
    found = variant_list(everything, FOLDER, run).set_index("variant")
    assert list(found.index[:1]) == ["contextual"] and set(found.index) == set(NAMES)
    assert found.loc["g-only-spin", "rows"] == "vibe-2 g-only-spin"
    assert found.loc["hallucinator", ["tables", "weights", "state"]].tolist() == [
        "hmmr-5 phd-3", "of contextual", "trained",
    ]  # fmt: skip
    assert found.loc[["vibe", "ar-phi"], "state"].tolist() == ["predicted", "no"]
    assert found.loc["g-only-hmr", ["backbone", "weights"]].tolist() == ["blazepose-lite", "from hmr-backbone"]
    assert in_short(["hmmr-2 a", "hmmr-6 a", "hmmr-6 b", "tcmr-4 c"]) == "hmmr-2,6 tcmr-4"


def test_the_page_about_models_lists_them_as_they_are(everything):
    page = (FOLDER.parent / "docs/models.md").read_text()
    for row in variant_list(everything, FOLDER).itertuples():
        assert f"| `{row.variant}` | {row.tables or '-'} | {row.weights} | {row.backbone} |\n" in page


MODEL = {"title": "A", "paper": "phd", "encoder": "movie-strip"}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights_of": "x", "start_from": "y"}, "weights_of: nothing is trained, so nothing starts"),
        ({"frozen": ["regressor"]}, "frozen: these parts keep the weights they start with"),
        ({"autoregressor": "strip"}, "autoregressor: a forecast may not have seen the future"),
        ({"encoder": "none", "hallucinator": True}, "hallucinator: without an encoder there is no strip to guess"),
        ({"reads": "hallucination"}, "reads: there is no hallucination to read; add `hallucinator: true`"),
        ({"pose_forecast": "with-current"}, "pose_forecast: only `encoder: pose-forecast` has it"),
        ({"datasets": ["a"], "joints_only": ["a", "b"]}, "joints_only: b is not among this variant's datasets"),
    ],
)
def test_fault_24_contradicting_keys_are_one_line(tmp_path: Path, change: dict, message: str):
    import yaml

    (tmp_path / "variants").mkdir()
    (tmp_path / "variants" / "x.yaml").write_text(yaml.safe_dump(MODEL | change))
    with pytest.raises(ConfigError) as caught:
        load_variant("x", tmp_path)
    assert str(caught.value).startswith(f"config/variants/x.yaml: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": {"start_from": "c"}}, "'b' starts from 'c', which is not listed in `variants`"),
        ({"b": {"weights_of": "c"}}, "'b' uses the weights of 'c', which is not listed in `variants`"),
        ({"b": {"start_from": "a", "regressor": "spin"}}, "'b' starts from 'a', whose regressor is hmr, not spin"),
        (
            {"b": {"start_from": "a", "backbone": "blazepose-lite"}},
            "'b' starts from 'a', whose backbone is blazepose-full, not blazepose-lite",
        ),
        ({"b": {"weights_of": "a", "causal": True}}, "'b' uses the weights of 'a', whose causal is False, not True"),
        (
            {"a": {"weights_of": "b"}, "b": {"weights_of": "a"}},
            "'a' uses the weights of 'b', which has none of its own",
        ),
        ({"a": {"start_from": "b"}, "b": {"start_from": "a"}}, "start_from: goes round in a circle: a -> b -> a"),
    ],
)
def test_fault_24_variants_that_do_not_fit_together_are_one_line(changes: dict, message: str):
    found = {name: VariantSettings.model_validate(MODEL | changes.get(name, {})) for name in ("a", "b")}
    with pytest.raises(ConfigError) as caught:
        check_variants(found, "blazepose-full")
    assert str(caught.value).startswith(f"variants: {message}")
    assert "\n" not in str(caught.value)
