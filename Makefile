# The two commands of a newcomer: `make study` and `make test`. Everything runs in .venv, which the first one makes.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export LLMINI_ROOT := $(CURDIR)
export PYTHONWARNINGS := ignore
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup study study-all publish report lab test test-all test-slurm rehearse lint browser bench pocket-models pocket-tasks acai acai-serve clean cards site site-serve

help:            ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 18

setup: $(READY)  ## the environment

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: Python 3.11 or later is needed" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "setup: venv is missing: apt install python3-venv" >&2; exit 2; }
	@echo "setting up $(VENV) (some minutes, once)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $(READY)

study: setup     ## measure the core of the pocket grid and write its report to runs/pocket
	@$(BIN)/python workflow/study.py

study-all: setup ## every pocket run
	@$(BIN)/python workflow/study.py --all

publish: setup   ## promote the last study to data/results, figures and the committed notebooks
	@$(BIN)/python workflow/publish.py

report: setup    ## rebuild the report from the committed results
	@$(BIN)/python -m llmini.report.render

cards: setup     ## a model card for every measured checkpoint, in runs/cards
	@$(BIN)/python -m llmini.report.cards runs/cards

.venv-site/.ready: docs/site/requirements.lock
	$(PYTHON) -m venv .venv-site
	.venv-site/bin/python -m pip install --quiet -r docs/site/requirements.lock
	touch .venv-site/.ready

site: .venv-site/.ready  ## the notebooks as a static site in two languages, in runs/site/html (ACAI in it after make acai)
	@.venv-site/bin/python docs/site/build.py

site-serve: .venv-site/.ready  ## serve the site on localhost
	@echo "http://127.0.0.1:8000/"; .venv-site/bin/python -m http.server 8000 --bind 127.0.0.1 --directory runs/site/html

lab: setup       ## open JupyterLab
	$(BIN)/jupyter lab

lint: setup
	$(BIN)/ruff check .

browser:         ## Chrome or Chromium and node for the browser's tests: found, installed by apt-get, or asked for
	@sh acai/scripts/browser.sh

test: lint browser  ## lint and the fast tests (under 25 minutes, installation included)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: lint browser  ## the slow suites too
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow or not slow"

test-slurm: setup ## a small grid through a SLURM of one node, started here (root on Debian), with kills
	$(BIN)/python -m pytest -rs -m "slow or not slow" tests/test_slurm.py

rehearse: setup  ## the full tier's whole grid on made-up models of the real ids: no hub, no GPU
	$(BIN)/python workflow/rehearse.py

bench: setup     ## ratios against peers, written to benchmarks/RESULTS.md
	$(BIN)/python benchmarks/compress.py
	$(BIN)/python benchmarks/evaluate.py
	$(BIN)/python benchmarks/distill.py
	node benchmarks/retrieval.mjs | $(BIN)/python benchmarks/results.py
	$(BIN)/python benchmarks/browser.py

pocket-models: setup  ## train the pocket models again from nothing, into runs/pocket/pretrained
	@mkdir -p runs/pocket
	$(BIN)/python -m llmini.pocket.pretrain --output runs/pocket/pretrained

pocket-tasks: setup   ## write the pocket benchmarks again
	$(BIN)/python -m llmini.pocket.tasks

acai: setup      ## make the browser application ready: third-party code by its lock file, and the model that ships
	@$(BIN)/python -m llmini.browser.ship

acai-serve: acai setup  ## serve the browser application on localhost
	$(BIN)/python acai/serve.py

clean:           ## remove what was measured on this machine
	rm -rf runs .snakemake
