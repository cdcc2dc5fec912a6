"""A list as long as InstaVariety's in one configuration with every model and every table: planned in seconds.

Processor time is held against the limits, since a machine that does other work too says nothing by its clock.
"""

from pathlib import Path

import pytest

from benchmarks.scale import Planned, every_model, make_place, pretend_finished, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

LINKS = 28_272


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scale")
    make_place(folder, LINKS, every_model())
    return folder


def dry_run(place: Path) -> Planned:
    planned = snakemake(place, "-n", "--quiet", "rules")
    took = f"{planned.wall_s:.1f} s, {planned.processor_s:.1f} s of processor, {planned.peak_mb:.0f} MB"
    print(f"{planned.jobs} jobs, {took}")
    assert planned.returncode == 0, planned.output[-3000:]
    return planned


def test_all_of_it_is_planned_in_half_a_minute_and_less_than_a_gigabyte(place: Path):
    planned = dry_run(place)
    assert 4_000 < planned.jobs < 10_000
    assert planned.processor_s < 30
    assert planned.peak_mb < 1024


def test_a_run_with_nothing_to_do_says_so_in_a_minute(place: Path):
    pretend_finished(place)
    again = dry_run(place)
    assert again.jobs == 0 and "Nothing to be done" in again.output
    assert again.processor_s < 60
    assert again.peak_mb < 1024
