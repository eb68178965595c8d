# Everything a checkout can do. It needs python3 (3.11 or newer); the rest it makes for itself in .venv.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.complete
# The tool that fills the environment is locked like everything else.
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"/\1/p;}' uv.lock)
export UV_PYTHON_DOWNLOADS := never
# One that was interrupted while it was made has neither, and is made anew.
HAS_INSTALLER := test -x $(BIN)/uv -o -x $(BIN)/pip
# An environment that happens to be active is none of our business.
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT

.PHONY: help env demo run test lint types imports format schemas docs bench clean

help: ## show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## make the environment (.venv) from the lock file
	@:

$(STAMP): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is missing or older than 3.11. Install Python 3.11 or newer, or: make PYTHON=/path/to/python3"; exit 1; }
	@$(HAS_INSTALLER) || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This python3 cannot make environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(HAS_INSTALLER) || $(PYTHON) -m venv --clear .venv
	@$(BIN)/uv --version 2>/dev/null | grep -qF "uv $(UV_VERSION)" || \
	  { echo "Making the environment in .venv ..."; $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION); }
	@$(BIN)/uv sync -q --frozen --extra embedded
	@touch $@

demo: env ## everything from nothing, with samples; ONCE=1 ends by itself and says whether all arrived
	@$(BIN)/metriport-streams demo $(if $(ONCE),--once)

run: env ## the service, empty, ready for real webhooks
	@$(BIN)/metriport-streams run

test: lint types imports ## everything a change must pass
	@$(BIN)/pytest

lint: env ## style and likely mistakes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: env ## every type, strictly
	@$(BIN)/mypy

imports: env ## data flows one way, imports the other
	@$(BIN)/lint-imports

format: env ## put the code in shape
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

schemas: env ## write the published schemas anew, from the models
	@$(BIN)/python -m models.schemas

docs: env schemas ## write the schemas and the generated parts of docs/, from the code
	@$(BIN)/python -m cli.settings_page
	@$(BIN)/python -m cli.reference

bench: env ## speed, as ratios to simpler programs on this machine
	@$(BIN)/python -m bench

clean: ## remove what this file made; var/ holds data and stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
