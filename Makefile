# Two commands need nothing set up by hand: `make bench` and `make test`.
SPEC ?= experiments/default.yaml
NAME ?= default
ARGS ?=
PYTHON ?= python3
# `newest` or `lowest`: which versions of the packages in pyproject.toml to install.
VERSIONS ?= newest
VENV := .venv$(if $(filter lowest,$(VERSIONS)),-lowest)
BIN := $(VENV)/bin
READY := $(VENV)/.installed
PERF := $(VENV)/.perf
FUZZ := $(VENV)/.fuzz
LOWEST := $(VENV)/lowest.txt
NEEDED := 'import sys; sys.exit(sys.version_info < (3, 11) and "noise-bench needs Python 3.11 or newer: make PYTHON=python3.12")'

# What the environment was made for. One made elsewhere, or for another PYTHON than one that is asked for, is made again.
FOR := [$(CURDIR)]$(if $(filter file,$(origin PYTHON)),, $(shell $(PYTHON) --version 2>&1))
MADE_FOR := $(shell cat $(READY) 2>/dev/null)
ifeq ($(findstring $(FOR),$(MADE_FOR)),)
.PHONY: $(READY)
CLEAR := $(if $(MADE_FOR),--clear)
endif

.DEFAULT_GOAL := help
.PHONY: help install bench test test-long lint perf data report clean

help: ## Show the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

$(READY): pyproject.toml
	@$(PYTHON) -c $(NEEDED)
	@echo 'Installing PyTorch and what else is needed into $(VENV): some minutes and up to 6 GB of disk, once.'
	$(PYTHON) -m venv $(CLEAR) $(VENV)
	@sed -nE 's/^    "([A-Za-z0-9-]+)>=([^"]+)",$$/\1==\2/p' pyproject.toml > $(LOWEST)
	$(BIN)/python -m pip install $(if $(filter lowest,$(VERSIONS)),--constraint $(LOWEST)) --editable '.[test]'
	@echo "[$(CURDIR)] $$($(BIN)/python --version)" > $@

install: $(READY) ## Make .venv and install there, some minutes and 6 GB; every other command does it on first use.

bench: $(READY) ## Train and compare: make bench [SPEC=experiments/smoke.yaml] [ARGS="--workers 2"].
	$(BIN)/bench run "$(SPEC)" $(ARGS)

test: $(READY) ## Lint, check types and run the tests, in minutes: make test [PYTHON=python3.13] [VERSIONS=lowest].
ifneq ($(VERSIONS),lowest)  # old type stubs and formatters disagree with today's
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
endif
	$(BIN)/python -m pytest -n auto -m "not long" $(ARGS)

$(FUZZ): $(READY)
	-$(BIN)/python -m pip install atheris  # not for every system; its tests are skipped without it
	@touch $@

test-long: $(FUZZ) ## The tests that take longer: interruptions, quality reached, simulations.
	$(BIN)/python -m pytest -m long $(ARGS)

lint: $(READY) ## Put the code in order and check it.
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	$(BIN)/mypy

$(PERF): $(READY)
	$(BIN)/python -m pip install --editable '.[test,perf]'
	@touch $@

perf: $(PERF) ## Measure speed side by side, about 20 minutes: make perf [DATA=FOLDER].
	$(BIN)/python -m tests.perf $(if $(DATA),--data "$(DATA)") $(ARGS)

data: $(READY) ## Fetch and verify CIFAR-10 now.
	$(BIN)/bench data cifar10

report: $(READY) ## Rebuild tables, figures and the report: make report [NAME=default].
	$(BIN)/bench report "results/$(NAME)"

clean: ## Remove the environment and caches; results stay.
	rm -rf .venv .venv-lowest .pytest_cache .ruff_cache .mypy_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
