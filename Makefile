# What people type. `make demo` and `make test` work on a machine with Python 3.11+ and make.
# The rest of what happens is in the commands below: nothing is downloaded at run time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MLFLOW2 := .venv-mlflow2
DATA_DIR ?= var
PORT ?= 8000
MLFLOW_PORT ?= 5050
export DATA_DIR PORT MLFLOW_PORT
# Where it is set, as in many containers, each process would compile MLflow anew: 10 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo run test test-mlflow2 check bench soak lock clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/'

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
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

test-mlflow2: install $(MLFLOW2)/.installed  ## a sync from a real MLflow 2, of an environment of its own
	@DATA_DIR=$(DATA_DIR)/test MLFLOW_PYTHON=$(CURDIR)/$(MLFLOW2)/bin/python $(BIN)/python -m pytest \
	  -m 'not mlflow3 and not soak' tests/mlflow_sync/test_mlflow2.py tests/mlflow_sync/test_sync.py $(ARGS)

$(MLFLOW2)/.installed: requirements/mlflow-2.22.txt | install
	@echo "Installing into $(MLFLOW2) …"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(MLFLOW2)
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(MLFLOW2)/bin/python requirements/mlflow-2.22.txt
	@touch $@

check: install  ## format, lint, types, settings, migrations
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python manage.py check --fail-level WARNING
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python manage.py makemigrations --check --dry-run

bench: install  ## each speed target beside its ratio
	@DATA_DIR=$(DATA_DIR)/bench $(BIN)/python -m bench $(ARGS)

soak: install  ## the long seeded suites
	@DATA_DIR=$(DATA_DIR)/test $(BIN)/python -m pytest -n auto -m soak \
	  --least-faulty-syncs 200 10 $(ARGS)

lock: install  ## pin requirements/*.txt anew
	@for name in installer base demo dev mlflow-2.9 mlflow-2.22; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
	    --python-version 3.11 --upgrade requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean:  ## remove the environments; data under DATA_DIR stays
	@rm -rf $(VENV) $(MLFLOW2)
