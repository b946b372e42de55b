# The commands of the project; CI runs exactly these. Needs Python >= 3.11, git and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Stages find `python` here, whatever else is on the machine.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := true

.DEFAULT_GOAL := help
.PHONY: help install repro test lint serve ui bench params lock

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

install: $(INSTALLED) ## make .venv from the lock

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

repro: install ## run the pipeline to a registered model; only what has changed runs
	$(BIN)/dvc repro

test: install ## run the tests
	$(BIN)/python -m pytest

lint: install ## ruff, mypy and the workflows
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

serve: install ## serve the model on http://localhost:3000
	$(BIN)/bentoml serve huebands.service:Huebands --host localhost --port 3000

ui: install ## show runs and models in MLflow's pages on http://localhost:5000
	$(BIN)/mlflow ui --host localhost --port 5000

bench: install ## run the benchmarks
	@for benchmark in benchmarks/*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

params: install ## compose conf/ into params.yaml, as `dvc exp run` does
	$(BIN)/python -c 'from dvc.utils.hydra import compose_and_dump; \
		compose_and_dump("params.yaml", "$(CURDIR)/conf", None, "config", "", [])'

# `make lock TORCH=torch==2.13.0` keeps a release of torch that a local index has.
TORCH ?= torch
lock: ## pin the newest releases that pyproject.toml allows, in a fresh environment
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet $(TORCH) '.[dev]'
	.venv-lock/bin/python -m pip freeze --exclude huebands | sed 's/+cpu//' > requirements.lock
	rm -rf .venv-lock
