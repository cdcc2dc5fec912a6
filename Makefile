# make tables | hmmr | seeds | test | browser | cluster | smoke | lint | bench | setup.  PYTHON and CORES may be set: make tables CORES=8
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
# On a terminal: bars with the time that is left. In a log: one line a job.
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) $$([ -t 2 ] && echo --logger rich)
# After hundreds of jobs Snakemake's own wake-ups, one a job and timespan, would take half a core.
MANY_JOBS := --max-jobs-per-timespan 1000/15s
.PHONY: setup tables hmmr seeds smoke test faults slow browser cluster lint format bench clean

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "moviestrip needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

tables: setup
	$(SNAKEMAKE) $(MANY_JOBS)
	@$(BIN)/moviestrip tables show hmmr-2 --config config.yaml

hmmr: setup
	$(SNAKEMAKE) --configfile config.yaml config/hmmr.yaml
	@$(BIN)/moviestrip tables show hmmr-2 --config config.yaml --config config/hmmr.yaml

# The same under other seeds, and how far their verdicts agree.
SEEDS ?= 1 2
seeds: tables
	for seed in $(SEEDS); do $(SNAKEMAKE) $(MANY_JOBS) --config seed=$$seed name=miniature-seed-$$seed || exit; done
	$(BIN)/moviestrip claims compare results/miniature $(SEEDS:%=results/miniature-seed-%) --pooled \
		--csv results/agreement.csv

smoke: setup
	$(SNAKEMAKE) --configfile config.yaml config/smoke.yaml

test: setup
	$(BIN)/pytest

faults: setup
	$(BIN)/pytest -m faults

slow: setup
	$(BIN)/pytest -m 'slow and not slurm'

# The report in a real Chromium (Debian's, or any on the PATH), at full size too; look at the screenshots it leaves.
SCREENSHOTS ?= results/screenshots
browser: setup
	MOVIESTRIP_SCREENSHOTS=$(SCREENSHOTS) $(BIN)/pytest -m browser -rs tests/report
	@echo "look at $(SCREENSHOTS)"

# A real Slurm on this machine (root and apt); CLUSTER='slurm and not slow' leaves out what is killed in the middle.
CLUSTER ?= slurm
cluster: setup
	$(BIN)/pytest -m "$(CLUSTER)" -rs tests/cluster

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

bench: setup
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.dtw
	$(BIN)/python -m benchmarks.labels
	$(BIN)/python -m benchmarks.fetch
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.detect

clean:
	rm -rf results
