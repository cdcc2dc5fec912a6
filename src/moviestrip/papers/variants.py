"""The variants that are defined: which rows of the papers' tables each fills, what it is, and how far a run has it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from moviestrip.config import Config, ScaleSettings, VariantSettings, load_variant, variant_files, variant_names
from moviestrip.layout import RunFolder
from moviestrip.papers.printed import PAPERS, table_names
from moviestrip.papers.table import cells_of
from moviestrip.papers.worlds import variant_of

# Length of phi, known before any is computed. tests/test_variants.py holds it against the networks.
FEATURE_SIZES = {
    "blazepose-lite": 768,
    "blazepose-full": 1152,
    "blazepose-heavy": 1152,
    "efficientnet-lite0": 1280,
    "efficientnet-lite0-random": 1280,
    "resnet50-random": 2048,
    "resnet50-spin": 2048,
    "resnet50-hmr": 2048,
}
DEFAULT_FILE = "default"


def rows_of_variants() -> dict[str, list[str]]:
    """For each variant the table rows it fills, such as `vibe-2 g-only-spin`, in the order of the papers."""
    found: dict[str, list[str]] = {}
    for table in table_names():
        cells = cells_of(*table.split("-")).drop_duplicates("row_id")
        for paper, row_id, kind in zip(cells["paper"], cells["row_id"], cells["kind"], strict=True):
            variant = variant_of(paper, row_id, kind) if kind else None
            if variant is not None:
                found.setdefault(variant, []).append(f"{table} {row_id}")
    return found


def in_short(rows: list[str]) -> str:
    """The tables of some rows: 'hmmr-2,6 tcmr-4'."""
    numbers: dict[str, list[str]] = {}
    for row in rows:
        paper, number = row.split(" ")[0].split("-")
        if number not in numbers.setdefault(paper, []):
            numbers[paper].append(number)
    return " ".join(f"{paper}-{','.join(found)}" for paper, found in numbers.items())


def variant_list(config: Config, folder: Path, run: RunFolder | None = None) -> pd.DataFrame:
    """One row a variant: variant, paper, title, tables, rows, backbone, weights, and with a run its state."""
    rows = rows_of_variants()
    variants = {name: load_variant(name, folder) for name in variant_names(folder)}
    found = pd.DataFrame(
        {
            "variant": name,
            "paper": variant.paper,
            "title": variant.title,
            "tables": in_short(rows.get(name, [])),
            "rows": ", ".join(rows.get(name, [])),
            "backbone": backbone_of(variant, config),
            "weights": weights_of(variant),
        }
        | ({} if run is None else {"state": state_of(name, variant, config, run)})
        for name, variant in variants.items()
    )
    order = found["paper"].map(PAPERS.index)
    return found.assign(order=order).sort_values(["order", "variant"], kind="stable").drop(columns="order")


def backbone_of(variant: VariantSettings, config: Config) -> str:
    return variant.backbone or config.features.backbone


def weights_of(variant: VariantSettings) -> str:
    """Whether a variant is trained, and from where."""
    if variant.weights_of:
        return f"of {variant.weights_of}"
    return f"from {variant.start_from}" if variant.start_from else "own"


def state_of(name: str, variant: VariantSettings, config: Config, run: RunFolder) -> str:
    """`predicted` or `trained` when that is done for every training seed, else `no`."""
    seeds = config.training_seeds
    if all(any(run.predictions(name, seed, "any").parent.glob("*.parquet")) for seed in seeds):
        return "predicted"
    trained = all(run.checkpoint(variant.weights_of or name, seed).is_file() for seed in seeds)
    return "trained" if trained else "no"


def variant_page(name: str, config: Config, folder: Path) -> pd.DataFrame:
    """Every key of a variant with everything it extends: (key, value, file that says so)."""
    values = flat(load_variant(name, folder).model_dump(mode="json"))
    origins = key_origins(name, folder)
    origin = [next((origins[known] for known in above(key) if known in origins), DEFAULT_FILE) for key in values]
    return pd.DataFrame({"key": list(values), "value": [shown(value) for value in values.values()], "file": origin})


def key_origins(name: str, folder: Path) -> dict[str, str]:
    """From a key as written, `loss_weights.shape`, to the last file that says it."""
    origins: dict[str, str] = {}
    for file, values in variant_files(name, folder):
        origins |= dict.fromkeys(flat(values), f"{file}.yaml")
    return origins


def above(key: str) -> list[str]:
    """A key and the sections it lies in: the nearest that a file mentions decides where it comes from."""
    parts = key.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def flat(values: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        inner = flat(value, f"{section}{key}.") if isinstance(value, Mapping) else {f"{section}{key}": value}
        result |= inner
    return result


def shown(value: Any) -> str:
    """A value as its YAML file would say it."""
    if value is None:
        return "empty"
    if isinstance(value, list):
        return f"[{', '.join(str(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def input_frames(variant: VariantSettings, scale: ScaleSettings) -> int:
    """How many frames a model is shown at once, as TCMR's Table 4 counts them: a window of its training."""
    from moviestrip.models.pose_forecast import WINDOW_FRAMES

    if variant.encoder == "none":
        return 1
    return WINDOW_FRAMES if variant.encoder == "pose-forecast" else variant.clip_frames or scale.clip_frames


def parameters_of(variant: VariantSettings, scale: ScaleSettings, backbone: str) -> dict[str, int]:
    """How many numbers each part of a variant's model learns at a scale."""
    import torch  # takes seconds, and every start of the workflow reads this module

    from moviestrip.models.model import MotionModel, design_of, parameter_count

    with torch.device("meta"):  # shapes only: at the papers' width a model is hundreds of megabytes
        model = MotionModel(design_of(variant, scale, FEATURE_SIZES[backbone]))
    counts = {part: parameter_count(module) for part, module in model.named_children()}
    return {part: count for part, count in counts.items() if count}
