# Two commands need nothing set up by hand: `make bench` and `make test`.
SPEC ?= experiments/default.yaml
NAME ?= default
ARGS ?=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
PERF := $(VENV)/.perf

.DEFAULT_GOAL := help
.PHONY: help install bench test test-long lint perf data report clean

help: ## Show the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "noise-bench needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

install: $(READY) ## Make .venv and install there; every other command does it on first use.

bench: $(READY) ## Train and compare: make bench [SPEC=experiments/smoke.yaml] [ARGS="--workers 2"].
	$(BIN)/bench run $(SPEC) $(ARGS)

test: $(READY) ## Lint, check types and run the tests, in minutes.
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto -m "not long" $(ARGS)

test-long: $(READY) ## The tests that take longer: interruptions, quality reached, simulations.
	$(BIN)/python -m pytest -m long $(ARGS)

lint: $(READY) ## Put the code in order and check it.
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	$(BIN)/mypy

$(PERF): $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[test,perf]'
	@touch $@

perf: $(PERF) ## Measure speed side by side, about 20 minutes: make perf [DATA=FOLDER].
	$(BIN)/python -m tests.perf $(if $(DATA),--data "$(DATA)") $(ARGS)

data: $(READY) ## Fetch and verify CIFAR-10 now.
	$(BIN)/bench data cifar10

report: $(READY) ## Rebuild tables, figures and the report: make report [NAME=default].
	$(BIN)/bench report results/$(NAME)

clean: ## Remove the environment and caches; results stay.
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
