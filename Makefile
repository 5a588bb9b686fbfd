# `make app` and `make test` need Python 3.11 or newer, and nothing else.
PYTHON ?= python3
BIN := .venv/bin
# Two threads that fight over two cores are slower than one each.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 HF_HUB_OFFLINE=1

.PHONY: app test lint unit browser slow fuzz bench screenshots clean

app: .venv/app  ## the explorer, in the browser
	@$(BIN)/modgap fetch || echo "Going on without: the explorer opens, and what needs no model works."
	$(BIN)/modgap app

.venv/app: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "modgap needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@

.venv/dev: .venv/app requirements-dev.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

test: lint unit browser  ## what must pass before every commit: about 20 minutes on two cores

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A worker that dies ends the run: xdist may wait for its tests for ever otherwise.
PARALLEL := -n 2 --max-worker-restart 0

unit: .venv/dev
	$(TEST_ENV) $(BIN)/python -m pytest -m "not browser and not slow" $(PARALLEL) --dist loadgroup

browser: .venv/dev
	$(TEST_ENV) $(BIN)/python -m pytest -m "browser and not slow" $(PARALLEL) --dist loadfile

slow: .venv/dev  ## runs ended by kill -9 again and again, a Ray cluster of two nodes
	$(TEST_ENV) $(BIN)/python -m pytest -m slow $(PARALLEL) --dist loadgroup

fuzz: .venv/dev  ## inputs at random for ten minutes: sounds, then tables and answers
	$(TEST_ENV) $(BIN)/python -m tests.fuzz audio --minutes 6
	$(TEST_ENV) $(BIN)/python -m tests.fuzz scoring --minutes 4

bench: .venv/dev  ## ratios against what one would write by hand; keep the machine quiet
	$(BIN)/python -m benchmarks

screenshots: .venv/dev  ## the pictures of the README
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache artifacts
