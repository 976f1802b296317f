# What people type. `make demo` and `make test` work on a machine with Python 3.11+ and make.
# The rest of what happens is in the commands below: nothing is downloaded at run time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA_DIR ?= var
PORT ?= 8000
MLFLOW_PORT ?= 5050
export DATA_DIR PORT MLFLOW_PORT

.PHONY: help install demo run test check bench soak lock clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

install: $(VENV)/.installed  ## create .venv with everything pinned

$(VENV)/.installed: requirements/dev.txt requirements/installer.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing: on Debian, apt-get install python3-venv." >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "VerifyWise needs Python 3.11 or newer: make PYTHON=python3.11 …" >&2; exit 1; }
	@echo "Installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.txt
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt requirements/installer.txt
	@touch $@

demo: install  ## sample MLflow servers, synced, and the console at PORT
	@exec $(BIN)/python -m verifywise.demo.serve

run: install  ## the console and a worker, with your own data under DATA_DIR
	@exec $(BIN)/python -m verifywise.serve

test: install  ## all tests
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python -m pytest -n auto $(ARGS)

check: install  ## format, lint, types, settings, migrations
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python manage.py check --fail-level WARNING
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python manage.py makemigrations --check --dry-run

bench: install  ## each speed target beside its ratio
	@DATA_DIR=$(DATA_DIR)/bench $(BIN)/python -m bench

soak: install  ## the long seeded suites
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python -m pytest -n auto -m soak \
	  --least-faulty-syncs 200 10 $(ARGS)

lock: install  ## pin requirements/*.txt anew
	@for name in installer base demo dev; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
	    --python-version 3.11 --upgrade requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean:  ## remove .venv; data under DATA_DIR stays
	@rm -rf $(VENV)
