# make run, make test, make lint, make bench: each sets itself up (Python 3.11 or newer is all it needs)
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
FUZZ ?= 20000
SEED ?= 0

.PHONY: help run test test-processes lint bench drill audit fuzz lock
.DEFAULT_GOAL := run

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## a panel with example data at http://127.0.0.1:8000 (PORT=8080 HOST=...)
	$(BIN)/python wsgi.py --demo --host $(HOST) --port $(PORT)

# files in their order, the long ones first; what is compiled is kept, for the tests start many processes
test: $(VENV)/.test ## all tests (PYTEST_ARGS=...)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# the endpoints again, each panel being two processes that answer in turn
test-processes: $(VENV)/.test ## the endpoints again, each panel being two processes
	SHOWBOX_TEST_PROCESSES=2 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile \
		--no-loadscope-reorder tests/routes tests/legacy_database $(PYTEST_ARGS)

lint: $(VENV)/.lint ## ruff, format, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.run ## measures the server beside a bare application (BENCH_ARGS=...)
	$(BIN)/python -m bench $(BENCH_ARGS)

drill: $(VENV)/.run ## work while servers, databases and portal are killed (DRILL_ARGS="--rounds 40")
	$(BIN)/python -m drill $(DRILL_ARGS)

# what is known of faults in the versions of requirements.lock
audit: $(VENV)/.audit requirements.lock ## what is known of faults in requirements.lock
	$(BIN)/python -m tests.audit requirements.lock

# requests of every kind to every endpoint; FUZZ=20000 of them by default, SEED=0
fuzz: $(VENV)/.test ## requests of every kind to every endpoint (FUZZ=20000 SEED=0)
	FUZZ_REQUESTS=$(FUZZ) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/routes/test_fuzz.py

# the versions that are deployed, with the hashes of their files
lock: $(VENV)/.audit ## renews requirements.lock
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
		--resolver=backtracking --output-file requirements.lock pyproject.toml

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "on Debian: apt install python3-venv" >&2; exit 1; }

# each in one go with what it needs of the others
$(VENV)/.run: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $(VENV)/.run $@

$(VENV)/.audit: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[audit]'
	touch $(VENV)/.run $@

$(VENV)/.lint: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	touch $(VENV)/.run $(VENV)/.test $@
