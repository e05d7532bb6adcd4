# `make` alone lists the targets; ARGS="…" is passed on to the command of a target.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Stands while packages are being installed: found at the start, the last attempt was interrupted.
UNFINISHED := $(VENV)/.installing
# Not compiled ahead: most modules of the dependencies are never imported.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --no-compile --no-deps
# What `make faults` does beyond `make test`; an option in ARGS counts more than the same one here.
LONG := --long --figures --timeout 3600 --seeds 1000 --answers 100000 --days 365 --rounds 200
ARGS ?=
# Modules are compiled on first import and kept: without, each of the many processes of a test run
# or a demo spends seven seconds of CPU on compiling the same ones again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench faults .venv

help: ## List the targets
	@grep -hE '^[a-z.]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

.venv: $(STAMP) ## Create the environment with .venv/bin/thirdsentry

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name it with make PYTHON=/path/to/python3.11." >&2; exit 1; }
	@echo "Installing pinned dependencies into $(VENV) (about a minute the first time) ..." >&2
	@if [ -e $(UNFINISHED) ]; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(UNFINISHED)
	@test -x $(BIN)/thirdsentry || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes --only-binary :all: --requirement requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@rm $(UNFINISHED) && touch $(STAMP)

demo: $(STAMP) ## Collect evidence from a loopback AWS sandbox into Postgres and show coverage
	@exec $(BIN)/thirdsentry demo $(ARGS)

test: $(STAMP) ## Lint, types, dbt parse, unit, integration and end-to-end tests
	@BIN=$(BIN) bash .ci/test $(ARGS)

lint: $(STAMP) ## Lint and types alone
	@BIN=$(BIN) bash .ci/lint

bench: $(STAMP) ## Speed ratios, printed as a table
	@exec $(BIN)/python -m benchmarks $(ARGS)

faults: $(STAMP) ## The long part of the fault matrix
	@THIRDSENTRY_TEST_ROUNDS=20 exec $(BIN)/python -m pytest -n 2 --dist worksteal $(LONG) \
	  tests/faults tests/integration/isolation $(ARGS)
