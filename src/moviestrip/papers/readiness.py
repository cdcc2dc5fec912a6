"""What a configuration asks for that a user has to bring and that is not there, told once and before any job.

For each missing part: where it is looked for and by which key, where it can be got, and which of the 25 tables wait
for it: those that print numbers on it, and those whose models learn from it or read it.
"""

import os
import shlex
import shutil
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from moviestrip.config import (
    BackboneName,
    Config,
    DatasetSettings,
    FolderSource,
    LinksSource,
    OfficialSource,
    PackageSource,
    PreparedSource,
    RenderedSource,
    VariantSettings,
    in_world,
    load_variant,
    variant_names,
)
from moviestrip.datasets.official import release_named
from moviestrip.errors import ConfigError
from moviestrip.papers.printed import table_names
from moviestrip.papers.states import table_states
from moviestrip.papers.table import cells_of
from moviestrip.papers.variants import in_short, rows_of_variants
from moviestrip.papers.worlds import BASELINES, MOTIONS, PAPER_DATASETS, kind_of, stand_in, variant_of

WIDTH = 79  # of a terminal of 80 columns
BROUGHT: dict[str, str] = {  # checkpoints that nothing can fetch, and where they come from
    "resnet50-spin": "https://github.com/nkolot/SPIN (its fetch_data.sh)",
    "resnet50-hmr": "https://github.com/akanazawa/hmr; then `moviestrip import-checkpoint`",
}
SMPL_SITE = "https://smpl.is.tue.mpg.de"
REGRESSOR_SITE = "https://github.com/nkolot/SPIN (its fetch_data.sh)"
MEAN_PARAMETERS_SITE = "https://github.com/nkolot/SPIN or https://github.com/akanazawa/hmr"
OPENPOSE_SITE = "https://github.com/CMU-Perceptual-Computing-Lab/openpose"
MOTION_SITES = {
    "amass": "https://amass.is.tue.mpg.de",
    "cmu": "http://mocap.cs.cmu.edu",
    "bvh": "cgspeed's conversion of CMU; docs/motion-capture.md",
}

EVERYWHERE = ("path", "joint_regressor")  # body files without which no stage runs

Kind = Literal["dataset", "motions", "body", "checkpoint", "program"]
HEADINGS: dict[Kind, str] = {
    "dataset": "Datasets", "motions": "Motion capture", "body": "Bodies", "checkpoint": "Checkpoints",
    "program": "Programs",
}  # fmt: skip


@dataclass(frozen=True)
class Uses:
    """The tables that wait for something: those that print numbers on it, and those that need it to make theirs."""

    printed: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """All of them, in the order of the papers."""
        return tuple(name for name in table_names() if name in {*self.printed, *self.needed})


@dataclass(frozen=True)
class Missing:
    """One thing that a configuration names and that is not where it says.

    Attributes:
        place: the path or program that is looked for; empty where the configuration gives none.
        key: of the configuration, which says where to look.
        problem: what is wrong with the place.
    """

    kind: Kind
    name: str
    title: str
    place: str
    key: str
    problem: str
    source: str
    uses: Uses


def require_ready(
    config: Config, datasets: Mapping[str, DatasetSettings], variants: Mapping[str, VariantSettings], folder: Path
) -> None:
    """Stop with one message where something is missing that only a user can bring.

    Args:
        variants: as `load_variants` gives them.
        folder: config/.
    """
    found = missing_parts(config, datasets, variants, folder)
    if found:
        raise ConfigError(message(config, datasets, folder, found))


def missing_parts(
    config: Config, datasets: Mapping[str, DatasetSettings], variants: Mapping[str, VariantSettings], folder: Path
) -> list[Missing]:
    """Everything that is missing, datasets first. Looks at whether files are there, never into them."""
    plain = [
        *_missing_datasets(datasets),
        *_missing_motions(config, datasets, variants),
        *_missing_bodies(config, datasets),
        *_missing_checkpoints(config, datasets, variants),
        *_missing_programs(config, datasets),
    ]
    if not plain:
        return []
    needs = table_needs(config, folder)
    return [Missing(*facts, uses=uses_of(facts[0], facts[1], needs, datasets)) for facts in plain]


Facts = tuple[Kind, str, str, str, str, str, str]  # the fields of Missing before `uses`


def _missing_datasets(datasets: Mapping[str, DatasetSettings]) -> Iterator[Facts]:
    for name, dataset in datasets.items():
        key = f"data_folders.{name}"
        if isinstance(dataset.source, OfficialSource):
            problem = _no_folder(dataset.source.path)
            homepage = release_named(dataset.source.release).homepage
            if problem:
                yield "dataset", name, dataset.title, _shown(dataset.source.path), key, problem, homepage
        elif isinstance(dataset.source, PreparedSource):
            problems = {file: _no_file(file) for file in dataset.source.files.values()}
            if not dataset.source.files:
                problems = {dataset.source.path: _no_folder(dataset.source.path)}  # type: ignore[dict-item]
            for place, problem in [found for found in problems.items() if found[1]][:1]:
                yield "dataset", name, dataset.title, _shown(place), key, problem, "see docs/import-features.md"


def _missing_motions(
    config: Config, datasets: Mapping[str, DatasetSettings], variants: Mapping[str, VariantSettings]
) -> Iterator[Facts]:
    """Folders of motion capture that are named, or whose source is asked for, where something is made of motions."""
    is_read = any(variant.motion_discriminator or variant.motion_prior for variant in variants.values())
    is_rendered = any(isinstance(dataset.source, RenderedSource) for dataset in datasets.values())
    if not (is_read or is_rendered or config.motion_priors):
        return
    for kind, source in MOTION_SITES.items():
        place = getattr(config.motions, f"{kind}_folder")
        is_asked = kind in config.motions.sources
        if (place is None and not is_asked) or (config.motions.sources and not is_asked):
            continue
        problem = _no_folder(place)
        if problem:
            yield "motions", kind, kind.upper(), _shown(place), f"motions.{kind}_folder", problem, source


def _missing_bodies(config: Config, datasets: Mapping[str, DatasetSettings]) -> Iterator[Facts]:
    body = config.body
    if body.kind == "free":
        return
    files = {
        "path": ("SMPL, neutral", body.path, SMPL_SITE),
        "joint_regressor": ("Human3.6M's joint regressor", body.joint_regressor, REGRESSOR_SITE),
    }
    if body.mean_parameters is not None:
        files["mean_parameters"] = ("mean parameters", body.mean_parameters, MEAN_PARAMETERS_SITE)
    for sex in ("male", "female") if needs_sexes(datasets) else ():
        files[f"{sex}_path"] = (f"SMPL, {sex}", getattr(body, f"{sex}_path"), SMPL_SITE)
    for key, (title, place, source) in files.items():
        problem = _no_file(place)
        if problem:
            yield "body", key, title, _shown(place), f"body.{key}", problem, source


def needs_sexes(datasets: Mapping[str, DatasetSettings]) -> list[str]:
    """Datasets whose bodies are those of men and women: 3DPW alone."""
    return [name for name, dataset in datasets.items() if getattr(dataset.source, "release", "") == "3dpw"]


def _missing_checkpoints(
    config: Config, datasets: Mapping[str, DatasetSettings], variants: Mapping[str, VariantSettings]
) -> Iterator[Facts]:
    if all(isinstance(dataset.source, PreparedSource) for dataset in datasets.values()):
        return  # features come ready
    read = {variant.backbone or config.features.backbone for variant in variants.values()}
    for name, source in BROUGHT.items():
        place = config.features.checkpoints.get(name)  # type: ignore[call-overload]
        problem = _no_file(place) if name in read else ""
        if problem:
            yield "checkpoint", name, name, _shown(place), f"features.checkpoints.{name}", problem, source


def _missing_programs(config: Config, datasets: Mapping[str, DatasetSettings]) -> Iterator[Facts]:
    """The detector, where something has to be detected."""
    if config.detector.command == "embedded" or not any(each.tube == "tracks" for each in datasets.values()):
        return
    program = shlex.split(config.detector.command)[:1]
    if not program or shutil.which(program[0]) is None:
        place = program[0] if program else ""
        is_file = bool(place) and Path(place).is_file() and not os.access(place, os.X_OK)
        problem = "it may not be run (chmod +x)" if is_file else "there is no such program"
        yield "program", "detector", "OpenPose", place, "detector.command", problem, OPENPOSE_SITE


def _no_folder(place: Path | None) -> str:
    if place is None:
        return "no path is given"
    return "" if place.is_dir() else "there is no such folder"


def _no_file(place: Path | None) -> str:
    if place is None:
        return "no path is given"
    return "" if place.is_file() else "there is no such file"


def _shown(place: Path | None) -> str:
    return "" if place is None else str(place)


@dataclass(frozen=True)
class TableNeeds:
    """What one of the 25 tables is made of, in the names of config/."""

    printed_on: frozenset[str]
    trained_on: frozenset[str]
    backbones: frozenset[str]
    has_models: bool


def table_needs(config: Config, folder: Path) -> dict[str, TableNeeds]:
    """What each of the 25 tables needs in the papers' world, whether the configuration asks for it or not."""
    variants = _defined_variants(folder)
    return {table: _needs_of(table, variants, config) for table in table_names()}


@cache
def _defined_variants(folder: Path) -> Mapping[str, VariantSettings]:
    return {name: load_variant(name, folder) for name in variant_names(folder)}


def _needs_of(table: str, variants: Mapping[str, VariantSettings], config: Config) -> TableNeeds:
    printed: set[str] = set()
    models: dict[str, None] = {}
    rows = cells_of(*table.split("-")).drop_duplicates(["row_id", "dataset"])
    for paper, row_id, dataset, kind in zip(rows["paper"], rows["row_id"], rows["dataset"], rows["kind"], strict=True):
        row = variant_of(paper, row_id, kind) if kind else None
        if kind and row is None:
            continue  # only cited
        if dataset in PAPER_DATASETS:
            printed.add(stand_in(dataset, "papers"))
        models |= dict.fromkeys(model for model in [BASELINES.get(row, row) if row else None] if model)
    learnt = [variants[name] for model in models for name in lineage(model, variants)]
    trained = {name for variant in learnt for name in variant.datasets}
    reads_motions = any(variant.motion_discriminator or variant.motion_prior for variant in learnt)
    reads_motions |= any(kind_of(model) == "motion prior" for model in models)
    return TableNeeds(
        printed_on=frozenset(printed),
        trained_on=frozenset(trained | ({MOTIONS} if reads_motions else set())),
        backbones=frozenset(backbone_of(variant, config) for variant in learnt),
        has_models=bool(models),
    )


def lineage(model: str, variants: Mapping[str, VariantSettings]) -> list[str]:
    """A variant with all whose weights it starts from or uses; nothing of what is no variant."""
    found: list[str] = []
    waiting = [model]
    while waiting:
        name = waiting.pop()
        if name in variants and name not in found:
            found.append(name)
            waiting += [other for other in (variants[name].start_from, variants[name].weights_of) if other]
    return found


def backbone_of(variant: VariantSettings, config: Config) -> BackboneName:
    """The backbone that a variant reads under a configuration."""
    named = variant.backbone
    return config.features.stand_ins.get(named, named) if named else config.features.backbone


def uses_of(kind: Kind, name: str, needs: Mapping[str, TableNeeds], datasets: Mapping[str, DatasetSettings]) -> Uses:
    """Which tables wait for one missing thing."""
    if kind in ("dataset", "motions"):
        played = datasets[name].stands_for if name in datasets else None
        wanted = MOTIONS if kind == "motions" else played or name
        return Uses(
            tuple(table for table, need in needs.items() if wanted in need.printed_on),
            tuple(table for table, need in needs.items() if wanted in need.trained_on),
        )
    if kind == "checkpoint":
        return Uses(needed=tuple(table for table, need in needs.items() if name in need.backbones))
    if kind == "body" and name == "mean_parameters":
        return Uses(needed=tuple(table for table, need in needs.items() if need.has_models))
    if kind == "body" and name in EVERYWHERE:
        return Uses(needed=tuple(needs))
    tracked = [each for each, dataset in datasets.items() if dataset.tube == "tracks"]
    read = set(tracked if kind == "program" else needs_sexes(datasets))
    return Uses(needed=tuple(table for table, need in needs.items() if read & (need.printed_on | need.trained_on)))


def message(config: Config, datasets: Mapping[str, DatasetSettings], folder: Path, found: Sequence[Missing]) -> str:
    """Everything that is missing and what to do, in lines of at most 80 columns."""
    lines = _wrapped(
        f"{config.name}: {counted(found)} missing. Nothing has been run. Put them where it says, or change the key; "
        f"docs/datasets.md and docs/papers-data.md show what each must look like."
    )
    for kind, heading in HEADINGS.items():
        of_kind = [each for each in found if each.kind == kind]
        if of_kind:
            lines += ["", f"{heading}"]
            lines += [line for each in of_kind for line in _paragraph(each)]
    return "\n".join(["", *lines, "", *suggestion(config, datasets, folder, found)])


def counted(found: Sequence[Missing]) -> str:
    """'7 datasets, 1 program': how many of each kind."""
    names = {"dataset": "dataset", "motions": "set of motions", "body": "body file", "checkpoint": "checkpoint"}
    counts = {kind: sum(each.kind == kind for each in found) for kind in HEADINGS}
    words = [
        f"{count} {names.get(kind, 'program').replace('set of', 'sets of' if count > 1 else 'set of')}"
        + ("s" if count > 1 and kind != "motions" else "")
        for kind, count in counts.items()
        if count
    ]
    return f"{', '.join(words)} {'is' if len(found) == 1 else 'are'}"


def _paragraph(missing: Missing) -> list[str]:
    name = missing.name if missing.kind == "dataset" else missing.title
    title = f": {missing.title}" if name != missing.title else ""
    facts = {
        "put it at": missing.place or "a place of your choice",
        "key": f"{missing.key} ({missing.problem})",
        "get it from": missing.source,
    }
    lines = [f"  {name}{title}", *(line for label, value in facts.items() for line in _entry(label, value))]
    uses = missing.uses
    if uses.printed:
        lines += _entry("printed in", _tables(uses.printed))
    if uses.needed:
        label = "trained with in" if missing.kind in ("dataset", "motions") else "needed by"
        lines += _entry(label, _tables(uses.needed))
    if not uses.tables:
        lines += _entry("unlocks", "no table: no variant as defined reads it")
    return lines


def _tables(names: Sequence[str]) -> str:
    return "all 25 tables" if len(names) == len(table_names()) else in_short(list(names))


def _entry(label: str, value: str) -> list[str]:
    """A fact under its label; an address too long to stand beside it has a line of its own, to be copied whole."""
    if max(map(len, value.split())) > WIDTH - 20:
        return [f"    {label}", *_wrapped(value, "  ", "  ")]
    return _wrapped(value, f"    {label:16}", " " * 20)


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )


def suggestion(
    config: Config, datasets: Mapping[str, DatasetSettings], folder: Path, found: Sequence[Missing]
) -> list[str]:
    """The lines of a configuration that would run with what is there; nothing is left out unless a user says so."""
    partial = what_would_run(config, datasets, folder, found)
    if partial is None:
        return [
            *_wrapped("What is there does not suffice for any table. Without any of this, the miniature world runs:"),
            "  snakemake --cores 2",
        ]
    tables = in_short([table for table in table_names() if table in partial.tables])
    return [
        *_wrapped(f"With what is there, these lines in a file of yours after this one would run (for {tables}):"),
        *_list_line("datasets", partial.datasets),
        *_list_line("train_without", partial.train_without),
        *(_list_line("variants", partial.variants) if partial.variants != config.variants else []),
        *(_list_line("motion_priors", partial.motion_priors) if partial.motion_priors != config.motion_priors else []),
        *_list_line("tables", partial.tables),
    ]


def _list_line(key: str, values: Iterable[str]) -> list[str]:
    return _wrapped(f"{key}: [{', '.join(values)}]", "  ", "    ")


def what_would_run(
    config: Config, datasets: Mapping[str, DatasetSettings], folder: Path, found: Sequence[Missing]
) -> Config | None:
    """The configuration less what is missing and less what cannot do without it; None where no table is left."""
    absent = {each.name for each in found if each.kind == "dataset"}
    if any(each.kind == "body" and each.name in (*EVERYWHERE, "mean_parameters") for each in found):
        return None
    if any(each.kind == "body" for each in found):
        absent |= set(needs_sexes(datasets))
    if any(each.kind == "program" for each in found):
        absent |= {name for name, dataset in datasets.items() if dataset.tube == "tracks"}
    there = {name: dataset for name, dataset in datasets.items() if name not in absent}
    dropped = (datasets[name].stands_for or name for name in datasets if name in absent)
    without = tuple(dict.fromkeys([*config.train_without, *dropped]))
    reduced = config.model_copy(update={"datasets": tuple(there), "train_without": without})
    has_motions = not any(each.kind == "motions" for each in found)
    lost = {each.name for each in found if each.kind == "checkpoint"}
    variants = _trainable(reduced, there, folder, lost, has_motions)
    priors = config.motion_priors if has_motions else ()
    reduced = reduced.model_copy(update={"variants": variants, "motion_priors": priors})
    states = table_states(reduced)
    filled = set(states["table"][states["state"] != "pending"])
    tables = tuple(table for table in config.tables if table in filled)
    return reduced.model_copy(update={"tables": tables}) if there and tables else None


def _trainable(
    config: Config,
    there: Mapping[str, DatasetSettings],
    folder: Path,
    lost_backbones: Collection[str],
    has_motions: bool,
) -> tuple[str, ...]:
    """Variants whose whole lineage still has 3D truth to learn from, its backbone, and motions where it judges them."""
    raw = {name: load_variant(name, folder) for name in config.variants}

    def learns(name: str) -> bool:
        variant = raw.get(name)
        if variant is None or backbone_of(variant, config) in lost_backbones:
            return False
        if (variant.motion_discriminator or variant.motion_prior) and not has_motions:
            return False
        try:
            named = in_world(name, variant, config, there).datasets
        except ConfigError:
            return False
        learnt = named or tuple(name for name, dataset in there.items() if dataset.is_trained_on)
        return any(there[each].supervision == "full_3d" and "train" in there[each].splits for each in learnt)

    kept = [name for name in config.variants if all(map(learns, lineage(name, raw)))]
    rows = {BASELINES.get(row, row) for row in rows_of_variants()}
    shown = {name for row in kept if row in rows for name in lineage(row, raw)}  # or they only serve to start others
    return tuple(name for name in kept if name in shown)


def tables_of_dataset(name: str, dataset: DatasetSettings, config: Config, folder: Path) -> Uses:
    """The tables that print numbers on a dataset, or on what it stands for, and those whose models learn from it."""
    return uses_of("dataset", name, table_needs(config, folder), {name: dataset})


def source_state(name: str, dataset: DatasetSettings) -> str:
    """Where a dataset comes from, and of one that a user brings whether it is there."""
    source = dataset.source
    if isinstance(source, RenderedSource):
        return "made here"
    if isinstance(source, PackageSource):
        return f"fetched: {source.requirement}"
    if isinstance(source, FolderSource):
        return f"{_no_folder(source.path) or 'found'}: {source.path}"
    if isinstance(source, LinksSource):
        return f"fetched: {len(source.lists)} list{'s' * (len(source.lists) > 1)} of links"
    problem, place = next(((facts[5], facts[3]) for facts in _missing_datasets({name: dataset})), ("found", ""))
    files = list(source.files.values()) if isinstance(source, PreparedSource) else []
    place = place or _shown(files[0].parent if files else source.path)
    return f"{problem}: {place}" if place else f"{problem}: data_folders.{name}"
