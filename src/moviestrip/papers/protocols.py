"""Which evaluation protocol each of the 25 tables is measured by, and so what has to be scored on which dataset."""

from moviestrip.evaluation.protocols import Protocol, protocol_named
from moviestrip.papers.printed import printed_tables, table_names
from moviestrip.papers.worlds import PAPER_DATASETS

PAPERS_OWN = "papers"  # the value of evaluation.protocol that leaves it to the tables

# HMMR's first table counts data: its protocol measures nothing.
PROTOCOL_OF_TABLE = {name: name.split("-")[0] for name in table_names()} | {"tcmr-6": "tcmr-table6"}

# What a motion prior gives back is measured in one way: no frames, joints or root to choose among.
PROTOCOL_OF_MOTIONS = "vibe"

# VIBE and TCMR evaluate on this dataset as its own test set asks.
PROTOCOL_OF_DATASET = {"mpi_inf_3dhp": "mpi-inf-3dhp"}


def protocol_of(table: str, paper_dataset: str, chosen: str) -> str:
    """The protocol of a table's cells on one of the papers' datasets, under a run's `evaluation.protocol`."""
    if paper_dataset in PAPER_DATASETS and PAPER_DATASETS[paper_dataset].role == "motions":
        return PROTOCOL_OF_MOTIONS
    if chosen != PAPERS_OWN:
        return chosen
    return PROTOCOL_OF_DATASET.get(paper_dataset, PROTOCOL_OF_TABLE[table])


def protocols_on(role: str, chosen: str) -> tuple[Protocol, ...]:
    """The protocols that some table needs on the datasets of a role; HMMR's where no paper has such a dataset."""
    if chosen != PAPERS_OWN:
        return (protocol_named(chosen),)
    found = {
        protocol_of(f"{paper}-{number}", dataset, chosen): None for paper, number, dataset, _ in _printed_places(role)
    }
    return tuple(protocol_named(name) for name in found) or (protocol_named("hmmr"),)


def metrics_on(role: str) -> frozenset[str]:
    """The metrics that some table prints on the datasets of a role."""
    return frozenset(metric for *_, metric in _printed_places(role))


def _printed_places(role: str) -> list[tuple[str, str, str, str]]:
    """Paper, table, dataset and metric of every cell of a method on the datasets of a role."""
    cells = printed_tables()
    named = {name for name, dataset in PAPER_DATASETS.items() if dataset.role == role}
    cells = cells[(cells["table"] != "text") & (cells["kind"] != "") & cells["dataset"].isin(named)]
    places = cells[["paper", "table", "dataset", "metric"]].drop_duplicates()
    return list(places.itertuples(index=False, name=None))
