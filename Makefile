# The commands of the project; CI runs exactly these. Needs Python >= 3.11, git and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Stages run the `python` of .venv, also where another one is on the path.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := true

.DEFAULT_GOAL := help
.PHONY: help install repro test test-slow lint docs results tour serve bento container ui plots compare families ablation bundle bench soak pipeline-small changes retrain retrain-plan retrain-pull retrain-repro retrain-save retrain-restore retrain-promote retrain-branch retrain-bento retrain-report rehearse audit params lock

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
	@$(BIN)/python -m huebands.data.readiness
	$(BIN)/dvc repro

# One worker per core, at most four: each needs one or two gigabytes.
WORKERS ?= --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: install ## run the tests, a worker per core; list files of which they cover less than 90%
	$(BIN)/python -m pytest $(WORKERS) --cov --cov-report=
	@$(BIN)/coverage report --sort=cover | awk '/^(Name|TOTAL)/ || /%$$/ && $$NF + 0 < 90'

test-slow: install ## run the slow tests: the promise in simulations, whole pipelines and services
	$(BIN)/python -m pytest -m slow

audit: install ## look up the pinned packages in a database of vulnerabilities; needs the network
	$(BIN)/pip-audit --strict --disable-pip --no-deps $(addprefix --requirement=,$(wildcard requirements*.lock))

lint: install ## ruff, mypy and the workflows
	$(BIN)/ruff check src tests benchmarks studies
	$(BIN)/ruff format --check src tests benchmarks studies
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github/workflows

docs: install ## build the documents into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

results: install ## write docs/results.md, and the figures in other pages, from reports/
	$(BIN)/python docs/results.py

tour: install ## run docs/tour.ipynb, and write its outputs into it
	$(BIN)/python docs/tour.py

serve: install ## serve the model on http://localhost:3000
	$(BIN)/bentoml serve huebands.service:Huebands --host 127.0.0.1 --port 3000

# FOLLOW=yes adds the registry's client, with which the service can follow an alias.
bento: install ## pack the service and MODEL, a folder or models:/NAME/VERSION, by default the best, into a bento
	$(if $(MODEL),HUEBANDS_MODEL='$(MODEL)' )$(BIN)/python -m huebands.serving.bento_build$(if $(filter yes,$(FOLLOW)), --follow)

TAG = huebands:$(if $(filter yes,$(FOLLOW)),follow,latest)
container: bento ## make an image of the newest bento; needs Docker
	@mkdir -p build # BentoML takes no template from outside the current folder, not even its own copy
	TMPDIR=$(CURDIR)/build $(BIN)/bentoml containerize huebands:latest --image-tag $(TAG)

ui: install ## show runs and models on http://localhost:5000
	MLFLOW_TRACKING_URI= $(BIN)/python -m huebands.registry.connection
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --backend-store-uri sqlite:///mlflow.db \
		--artifacts-destination ./mlartifacts --workers 1 --host localhost --port 5000

plots: install ## write dvc_plots/index.html, a page of all plots that needs no network; REVS="main NAME" compares
	@$(BIN)/python -m huebands.comparison.plots_page $(REVS)

compare: install ## compare the model with the baselines on the test split
	$(BIN)/huebands compare

families: install ## train, calibrate and compare every family of conf/model on photos, or those of FAMILIES
	$(BIN)/python -m huebands.comparison.families

ablation: install ## train and compare what conf/ablation.yaml lists, on photos
	$(BIN)/python -m huebands.comparison.ablation

bundle: install ## export a training of params.yaml to a machine that only trains: bundle.tar
	$(BIN)/python -m huebands.training.offsite.export_job

bench: install ## run the benchmarks
	@for benchmark in $(filter-out benchmarks/plain_pix2pix.py benchmarks/bento_workers.py benchmarks/measurement.py benchmarks/soak.py,$(wildcard benchmarks/*.py)); do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

MINUTES ?= 10
soak: install ## overload the service for MINUTES; fails when an accepted photo is lost or memory grows
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

# In a copy of the tree, with a registry of its own: neither this tree nor the real registry is touched.
# DVC stores an experiment as a commit, and git on a fresh machine has no author's name for it.
SOMEBODY := $(foreach role,AUTHOR COMMITTER,GIT_$(role)_NAME=huebands GIT_$(role)_EMAIL=huebands@localhost)
pipeline-small: install ## run the whole pipeline with MODEL, by default cgan-unet, at small size, in a copy of the tree
	-@$(BIN)/dvc exp remove --quiet small 2>/dev/null
	MLFLOW_TRACKING_URI=sqlite:///mlflow.db $(SOMEBODY) $(BIN)/dvc exp run --temp --force --name small \
		--set-param experiment=small --set-param model=$(or $(MODEL),cgan-unet)

# Without dvc.lock and run cache every stage runs. When it was stopped, `make repro` goes on with the stage that was cut off.
retrain: install ## run every stage anew
	@$(BIN)/python -m huebands.data.readiness
	rm -f dvc.lock
	$(BIN)/dvc repro --no-run-cache

# The file of a step's outputs on GitHub, elsewhere the terminal.
OUTPUT := $(or $(GITHUB_OUTPUT),/dev/stdout)
retrain-plan: install ## print whether `make repro` would run a stage; needs no data
	@.ci/retrain-plan >> $(OUTPUT)

# What `dvc add` and `dvc import` keep, from DVC's remote or the imported repository.
retrain-pull: install ## fetch the photos that DVC keeps
	$(if $(shell git ls-files '*.dvc'),$(BIN)/dvc pull $(shell git ls-files '*.dvc'),@echo 'DVC keeps no photos.')

# FRESH=yes runs every stage anew.
LIMIT ?= 300
retrain-repro: install ## run the pipeline for at most LIMIT minutes, and print whether it has finished
	@.ci/within $(LIMIT) $(MAKE) --no-print-directory $(if $(filter yes,$(FRESH)),retrain,repro) >> $(OUTPUT)

# What a stopped pipeline needs to go on: the outputs of its stages, what an interrupted stage has made, the checkpoint,
# and a registry of its own, with the journal of a write that was cut off.
STATE := dvc.lock data/raw data/prepared data/splits $(wildcard data/.*.unfinished) reports mlflow.db mlflow.db-journal \
	mlartifacts $(filter-out models/release,$(wildcard models/*))
retrain-save: ## pack the state of a stopped pipeline into build/unfinished.tar
	mkdir -p build
	tar --create --file build/unfinished.tar $(wildcard $(STATE))

retrain-restore: ## unpack the state of a stopped pipeline from build/unfinished.tar
	rm -rf $(STATE)
	tar --extract --file build/unfinished.tar

# Since the registration others may have registered, so the challenger may be another version. Exit code 3: not better.
VERDICT := reports/register/verdict.txt
retrain-promote: install ## judge what was registered, make it champion if it is better; fails when it cannot be judged
	$(BIN)/huebands promote --version "$$(cat reports/register/version.txt)" > $(VERDICT) || [ $$? = 3 ]
	@cat $(VERDICT)

REMOTE ?= origin
retrain-branch: results ## push what a training changed in git, pages too, to BRANCH of REMOTE, if it changed anything
	@.ci/retrain-branch '$(REMOTE)' '$(BRANCH)' >> $(OUTPUT)

# The bento has the model that was trained, whether it is champion or not.
retrain-bento: install ## pack the service with the trained model into build/huebands.bento
	HUEBANDS_MODEL=models/generator $(BIN)/python -m huebands.serving.bento_build
	rm -f build/huebands.bento
	$(BIN)/bentoml export huebands:latest $(CURDIR)/build/huebands.bento

# The file of a step's summary on GitHub, elsewhere the terminal. BASE is the commit to compare with, RAW the address of
# the repository's files by commit.
BASE ?= HEAD
RAW ?=
SUMMARY := $(or $(GITHUB_STEP_SUMMARY),/dev/stdout)
changes: install ## show what differs from BASE: certificate, metrics, pictures
	@$(BIN)/python -m huebands.comparison.changes '$(BASE)' '$(RAW)' >> $(SUMMARY)

retrain-report: install ## show what a training gave: registered version, verdict, and what differs from BASE
	@{ printf '## Registered\n\n'; sed 's/^/- /' reports/register/registration.txt; \
		if [ -s $(VERDICT) ]; then printf '\n## Verdict\n\n'; sed 's/^ */&- /' $(VERDICT); fi; \
		printf '\n'; $(BIN)/python -m huebands.comparison.changes '$(BASE)' '$(RAW)'; } >> $(SUMMARY)

rehearse: install ## run what the retraining does in clones of this tree, after changes of its photos
	$(BIN)/python -m pytest --numprocesses 0 tests/test_rehearsal.py

# `make params CHOICES="data=folder train.epochs=3"` composes other choices than the default ones.
CHOICES ?=
params: install ## compose conf/ into params.yaml, as `dvc exp run` does, with CHOICES
	@$(BIN)/python -c 'import sys; from dvc.utils.hydra import compose_and_dump; \
		compose_and_dump("params.yaml", "$(CURDIR)/conf", None, "config", "$(CURDIR)/conf", sys.argv[1:])' $(CHOICES)

# `make lock TORCH=torch==2.13.0` keeps a release of torch that a local index has.
TORCH ?= torch
lock: ## pin the newest releases that pyproject.toml allows, in a fresh environment
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet $(TORCH) '.[dev]'
	.venv-lock/bin/python -m pip freeze --exclude huebands | sed 's/+cpu//' > requirements.lock
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --constraint requirements.lock --requirement requirements-serve.in
	.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude openvino-telemetry | sed 's/+cpu//' \
		> requirements-serve.lock
	.venv-lock/bin/python -m pip install --quiet --constraint requirements.lock mlflow-skinny
	.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude openvino-telemetry | sed 's/+cpu//' \
		| grep --invert-match --line-regexp --fixed-strings --file requirements-serve.lock > requirements-follow.lock
	rm -rf .venv-lock
