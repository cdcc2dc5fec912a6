"""Every protocol explains each of its choices, differs from the others where the papers do, and serves its tables."""

from typing import get_args

import pytest

from moviestrip.config import EvaluationSettings
from moviestrip.datasets.official import h36m
from moviestrip.errors import ConfigError
from moviestrip.evaluation.protocols import (
    CAMERAS_OF_H36M,
    HMMR,
    MPI_INF_3DHP,
    PHD,
    PROTOCOLS,
    SPIN,
    TCMR,
    TCMR_TABLE6,
    VIBE,
    VIBE_OFFICIAL,
    describe,
    protocol_named,
)
from moviestrip.papers.printed import printed_tables, table_names
from moviestrip.papers.protocols import PROTOCOL_OF_TABLE, metrics_on, protocol_of, protocols_on
from moviestrip.papers.worlds import PAPER_DATASETS
from moviestrip.skeleton import H36M_17, JOINT_SETS, MPI_INF_3DHP_17


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_choice_has_a_source(name):
    protocol = PROTOCOLS[name]
    title, *lines = describe(protocol).splitlines()
    assert title.startswith(f"{name}: ") and protocol.name == name
    assert max(map(len, (title, *lines))) <= 80
    begun = [line for line in lines if not line.startswith("   ")]
    assert len(begun) == len(protocol.choices()) + len(protocol.not_here)
    words = " ".join(" ".join(lines).split())
    for choice_name in protocol.choices():
        assert f"{choice_name} = " in words and f": {protocol.source_of(choice_name)}" in words
        assert len(protocol.source_of(choice_name)) > 20
    assert all(f"not here: {line}" in words for line in protocol.not_here)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_sources_are_of_choices_that_exist(protocol):
    assert {name for name, _ in protocol.sources} <= set(protocol.choices())


def test_a_choice_that_differs_has_its_own_source():
    for protocol in PROTOCOLS.values():
        own = dict(protocol.sources)
        changed = [name for name in HMMR.choices() if getattr(protocol, name) != getattr(HMMR, name)]
        assert set(changed) <= set(own), protocol.name


def test_what_tells_the_protocols_apart():
    assert HMMR.pck_threshold_px == pytest.approx(11.2)
    assert HMMR.video_weights == "equal" and VIBE.video_weights == TCMR.video_weights == "frames"
    assert VIBE.sequences == "clips" and VIBE_OFFICIAL.sequences == "chunks_of_16"
    assert PHD.horizons_frames == (1, 5, 10, 20, 30) and PHD.condition_frames == 15
    assert MPI_INF_3DHP_17.index("pelvis") == 14 and set(MPI_INF_3DHP_17) == set(H36M_17)
    assert all(protocol.joints in JOINT_SETS for protocol in PROTOCOLS.values())


def test_who_counts_which_cameras_frames_and_bodies():
    assert CAMERAS_OF_H36M[0] == h36m.CAMERAS
    for protocol in PROTOCOLS.values():
        chooses = protocol in (HMMR, TCMR_TABLE6)
        assert [camera for camera in h36m.CAMERAS if protocol.counts_camera(camera)] == (
            [h36m.FRONTAL_CAMERA] if chooses else list(h36m.CAMERAS)
        )
        assert all(protocol.counts_camera(camera) for camera in ("", "0", "1", "2", "3", "8"))
    assert {name for name, protocol in PROTOCOLS.items() if protocol.trusted == "ignored"} == {
        "hmmr", "vibe", "vibe-official", "phd"
    }  # fmt: skip
    assert TCMR.trusted == SPIN.trusted == "positions and accelerations"
    assert MPI_INF_3DHP.trusted == "positions and middle frames"
    assert {name for name, protocol in PROTOCOLS.items() if protocol.truth_body == "own"} == {"hmmr", "spin", "phd"}


def test_names_are_those_of_the_configuration():
    assert protocol_named("hmmr") is HMMR
    with pytest.raises(ConfigError, match=r"evaluation.protocol: 'hmr' is not known; known: hmmr, vibe"):
        protocol_named("hmr")
    known = get_args(EvaluationSettings.model_fields["protocol"].annotation)
    assert set(known) == {"papers", *PROTOCOLS}


def test_every_table_has_a_protocol_and_a_chosen_one_overrules_it():
    assert set(PROTOCOL_OF_TABLE) == set(table_names()) and set(PROTOCOL_OF_TABLE.values()) <= set(PROTOCOLS)
    assert protocol_of("tcmr-6", "3dpw", "papers") == "tcmr-table6"
    assert protocol_of("vibe-1", "mpi_inf_3dhp", "papers") == "mpi-inf-3dhp"
    assert protocol_of("vibe-1", "mpi_inf_3dhp", "vibe-official") == "vibe-official"


def test_every_printed_metric_is_measured_by_the_protocol_of_its_table():
    cells = printed_tables()
    cells = cells[(cells["table"] != "text") & (cells["kind"] != "") & (cells["metric"] != "input_frames")]
    places = cells[["paper", "table", "dataset", "metric"]].drop_duplicates()
    for paper, number, dataset, metric in places.itertuples(index=False):
        protocol = protocol_named(protocol_of(f"{paper}-{number}", dataset, "papers"))
        name = "pck_3d" if (dataset, metric) == ("mpi_inf_3dhp", "pck") else metric
        assert name in protocol.metrics, (paper, number, dataset, metric)
        assert protocol in protocols_on(PAPER_DATASETS[dataset].role, "papers")


def test_a_dataset_is_scored_by_what_its_tables_need():
    assert [protocol.name for protocol in protocols_on("lab3d", "papers")] == ["mpi-inf-3dhp"]
    assert [protocol.name for protocol in protocols_on("sports2d", "papers")] == ["hmmr", "phd"]
    assert [protocol.name for protocol in protocols_on("real_check", "papers")] == ["hmmr"]
    assert [protocol.name for protocol in protocols_on("wild3d", "vibe-official")] == ["vibe-official"]
    assert {"pve", "mesh_posed", "mesh_unposed"} <= metrics_on("wild3d")
    assert not {"pve", "mesh_posed"} & metrics_on("mocap3d")
