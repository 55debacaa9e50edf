# Every task a contributor needs. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.runtime-ready
DEV    := $(VENV)/.development-ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the tasks
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: $(RUN) ## set everything up and run Doorward on this machine (Ctrl-C stops it)
	@exec $(BIN)/doorward up $(ARGS)

.PHONY: test
test: $(DEV) ## run every test, against SQLite and PostgreSQL, in a real browser
	@$(BIN)/python -m pytest $(or $(ARGS),-n auto --dist loadgroup --no-loadscope-reorder)

.PHONY: pictures
pictures: $(DEV) ## leave a picture of every page and state in build/screenshots
	@DOORWARD_PICTURES=1 $(BIN)/python -m pytest -q $(or $(ARGS),-n auto --dist loadgroup --no-loadscope-reorder tests/web tests/identity_pages tests/identity_console tests/environment_pages)

.PHONY: check
check: $(DEV) ## lint, types, import contract, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml
	$(BIN)/codespell src tests docs bench examples README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md

.PHONY: format
format: $(DEV) ## format the code and sort its imports
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

.PHONY: bench
bench: $(DEV) ## measure speed and memory (ARGS=verify: one suite; ARGS=--help lists them); writes build/bench.json
	@$(BIN)/python -m bench $(ARGS)

.PHONY: soak
soak: $(DEV) ## break it for an hour and a half (SCALE=0.05: for some minutes) and show what each fault cost
	@DOORWARD_SOAK=$(or $(SCALE),1) $(BIN)/python -m pytest -n 0 tests/faults $(ARGS)

.PHONY: lock
lock: $(DEV) ## renew the lock files in requirements/
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --extra server pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --extra server --extra otel --group dev pyproject.toml -o requirements/dev.txt

.PHONY: clean
clean: ## remove the virtual environment and everything built
	rm -rf $(VENV) build dist .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Doorward needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12 up" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUN): requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Doorward into $(VENV) (once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(DEV): requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the development tools into $(VENV) (once) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(RUN)
