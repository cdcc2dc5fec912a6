"""docs/datasets.md: every release as its adapter says it is, how to get it, and which tables need it."""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from sys import modules

from moviestrip.config import Config, DatasetSettings, OfficialSource, load_dataset
from moviestrip.datasets.official import RELEASES, release_named
from moviestrip.datasets.official.base import Release
from moviestrip.datasets.official.report import EXPECTED_FROM
from moviestrip.papers.printed import table_names
from moviestrip.papers.readiness import TableNeeds, Uses, source_state, table_needs, tables_of_dataset, uses_of
from moviestrip.papers.variants import in_short

WIDTH = 120

HOW_TO_GET: Mapping[str, str] = {
    "h36m": (
        "Register on its site. For each of S1, S5, S6, S7, S8, S9 and S11 download Videos and Poses (D2 "
        "Positions, and D3 Positions mono or D3 Positions), and once metadata.xml, which lies in the code "
        "archive. What the public downloader h36m-fetch unpacks is read too. The MoSh fits of SMPL are no longer "
        "distributed: who has them has bodies to learn from; all else, evaluation too, goes without."
    ),
    "3dpw": (
        "Accept the licence on its page, then download imageFiles.zip and sequenceFiles.zip and unpack both into "
        "one folder. SMPL's male and female files are needed with it: the bodies are of men and women."
    ),
    "mpi-inf-3dhp": (
        "Its page has a download with a script for the training videos (get_dataset.sh, whose configuration names "
        "the subjects) and another for the test set (get_testset.sh). Unpack each vnect_cameras.zip in place. "
        "Subjects that you do not download are not missed."
    ),
    "penn-action": "Download Penn_Action.tar.gz from its page and unpack it.",
    "posetrack18": "Register on its site; download the images' archives and posetrack18_v0.45_public_labels.tar.gz.",
    "nba": (
        "Nobody can: HMMR's authors do not have the right to pass it on. For those who have it, make records by "
        "HMMR's script for evaluation, of every split. Everybody else writes `train_without: [nba]`."
    ),
    "instavariety": (
        "Lists and tracks are in HMMR's repository or linked from its documentation; its script fetches the "
        "videos from Instagram, as far as they are still there. What is gone is named by `dataset check`."
    ),
    "vlog-people": (
        "The list is in HMMR's repository; the videos are VLOG's (David Fouhey and others, From Lifestyle VLOGs "
        "to Everyday Interactions), whose authors distribute them under an agreement. People are detected and "
        "tracked."
    ),
    "kinetics-400": (
        "A mirror (cvdfoundation/kinetics-dataset, with a script) has the videos and the lists; or fetch what is "
        "left on YouTube by ActivityNet's script. People are detected and tracked, which takes long: list a part "
        "of it."
    ),
}

HEAD = """# The papers' datasets

Every dataset of the four papers is read as its authors distribute it: you bring the folder and write where it lies.

```yaml
# my-data.yaml: snakemake --cores 8 --configfile config.yaml config/papers.yaml my-data.yaml
data_folders:
  h36m: /data/h36m
  3dpw: /data/3dpw
train_without: [nba] # what you cannot have
```

| command, each with `--config config/papers.yaml` or your own file | says |
| --- | --- |
| `moviestrip dataset list` | every dataset, and whether its folder is there |
| `moviestrip dataset show NAME` | the same as here, what is found, and a picture: labels over frames |
| `moviestrip dataset check NAME` | counts beside the printed totals, labels a split, every damaged file |
| `moviestrip dataset check NAME --all` | the same of every label, not of a few videos' |

`snakemake -n --configfile config.yaml config/papers.yaml` says in one message what is missing, which tables wait for
it, where to put it, and which lines would run with what is there.

Whatever a release counts in, its labels become pixels of the frame as released ((0, 0) is the centre of the first
pixel), metres in the camera's frame (x right, y down, z forward) and axis-angle radians, in float32. Joints are mapped
by name: [joint sets](joint-sets.md) says which are exact, approximate or absent. Nothing in a release is moved, changed
or copied. Motion capture without video (AMASS, CMU) is in [motion-capture.md](motion-capture.md); bodies, checkpoints
and OpenPose are in [papers-data.md](papers-data.md).
"""

UNREAD = (
    "no table: none prints numbers on it, and no variant as defined learns from it. Its file in config/datasets says "
    "which papers did; a variant that names it in its `datasets` does"
)
MOTION_ROW = "| [AMASS](motion-capture.md) | AMASS | `motions` | {} | {} |"


def document(config: Config, folder: Path) -> str:
    """docs/datasets.md as it should be; `config` is the papers' configuration and `folder` is config/."""
    needs = table_needs(config, folder)
    settings = {name: load_dataset(name, folder) for name in RELEASES}
    parts = [HEAD, _overview(settings, needs)]
    parts += [_section(name, settings[name], needs) for name in RELEASES]
    return "\n".join(parts)


def uses_of_release(name: str, config: Config, folder: Path) -> Uses:
    """The tables that print numbers on a dataset, and those whose models learn from it."""
    return uses_of("dataset", name, table_needs(config, folder), {})


def facts_of(name: str, dataset: DatasetSettings, config: Config, folder: Path) -> list[str]:
    """A dataset as a person reads it at 80 columns; of a release also its licence, files and rules."""
    uses = tables_of_dataset(name, dataset, config, folder)
    facts = {
        "role": f"{dataset.role}{f', plays {dataset.plays}' if dataset.plays else ''}",
        "state": source_state(name, dataset),
        "licence": dataset.licence,
        "supervision": f"{dataset.supervision}, boxes from {dataset.tube}, {dataset.fps:g} frames a second",
        "splits": ", ".join(split for split in ("train", "validation", "test") if split in dataset.splits),
    }
    if not isinstance(dataset.source, OfficialSource):
        return [dataset.title, *_facts(facts | _tables_of(uses))]
    release = release_named(dataset.source.release)
    facts |= {
        "licence": release.licence,
        "homepage": release.homepage,
        "how to get it": HOW_TO_GET[release.name],
        "key": f"data_folders.{name}",
        "rules": f"{', '.join(release.rules)}; here {dataset.source.rule or release.rules[0]}",
        "expected": ", ".join(f"{count:,} {what}" for what, count in release.expected.items()),
        "counted by": EXPECTED_FROM[release.name],
    }
    tree = [f"  {line}" for line in release.tree.splitlines()]
    return [release.title, *_facts(facts | _tables_of(uses)), "", "expected files", *tree, ""]


def _tables_of(uses: Uses) -> dict[str, str]:
    found = {"printed in": uses.printed, "trained with in": uses.needed}
    return {label: in_tables(tables) for label, tables in found.items() if tables} or {"needed by": UNREAD}


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [
        line
        for label, value in facts.items()
        for line in textwrap.wrap(
            value, 79, initial_indent=f"  {label:16}", subsequent_indent=" " * 18, break_long_words=False,
            break_on_hyphens=False,
        )
    ]  # fmt: skip


def in_words(uses: Uses) -> list[str]:
    """'printed in hmmr-1,2' and 'trained with in phd-1', or that it is neither."""
    found = {"printed in": uses.printed, "trained with in": uses.needed}
    lines = [f"{label} {in_tables(tables)}" for label, tables in found.items() if tables]
    return lines or [UNREAD]


def in_tables(tables: tuple[str, ...]) -> str:
    return "all 25 tables" if len(tables) == len(table_names()) else in_short(list(tables))


def _overview(settings: Mapping[str, DatasetSettings], needs: Mapping[str, TableNeeds]) -> str:
    lines = [
        "| name | dataset | role | printed in | models of these tables learn from it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, dataset in settings.items():
        uses = uses_of("dataset", name, needs, settings)
        cells = [in_short(list(tables)) or "-" for tables in (uses.printed, uses.needed)]
        lines.append(f"| [`{name}`](#{name}) | {dataset.title} | `{dataset.role}` | {cells[0]} | {cells[1]} |")
    uses = uses_of("motions", "amass", needs, settings)
    cells = [in_short(list(tables)) or "-" for tables in (uses.printed, uses.needed)]
    return "\n".join([*lines, MOTION_ROW.format(*cells), ""])


def _section(name: str, dataset: DatasetSettings, needs: Mapping[str, TableNeeds]) -> str:
    release = release_named(name)
    uses = uses_of("dataset", name, needs, {name: dataset})
    return "\n".join(
        [
            f"## {name}",
            "",
            _filled(f"{release.title[:1].upper()}{release.title[1:]}: <{release.homepage}>. {_class_words(release)}"),
            "",
            f"- Licence: {release.licence}",
            *_bullet(f"How to get it: {HOW_TO_GET[name]}"),
            *_bullet(f"Needed by: {'; '.join(in_words(uses))}"),
            *_bullet(f"Splits: {_rules(release, dataset)}"),
            *_bullet(_expected(release, name)),
            "",
            "```text",
            release.tree,
            "```",
            "",
            layout_sources(release),
            "",
        ]
    )


def _class_words(release: type[Release]) -> str:
    return " ".join((release.__doc__ or "").split())


def _rules(release: type[Release], dataset: DatasetSettings) -> str:
    assert isinstance(dataset.source, OfficialSource)
    rules = ", ".join(f"`{rule}`" for rule in release.rules)
    used = ", ".join(dataset.source.splits)
    return f"rules {rules}; config/datasets/{release.name}.yaml takes `{dataset.source.rule}` and uses {used}."


def _expected(release: type[Release], name: str) -> str:
    totals = ", ".join(f"{count:,} {what}" for what, count in release.expected.items())
    return f"Expected, under the rule `{release.rules[0]}`: {totals} ({EXPECTED_FROM[name]})."


def layout_sources(release: type[Release]) -> str:
    """What the adapter's module says about where its layout is taken from, as Markdown."""
    text = modules[release.__module__].__doc__ or ""
    body = text.partition("\n\n")[2].strip()
    outside_code = re.split(r"(`[^`]*`)", body)
    return "".join(part if part.startswith("`") else part.replace("*", r"\*") for part in outside_code)


def _bullet(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
