# The two commands of this repository are `make demo` and `make test`.
# Each makes the environment in .venv first if it is missing or out of date with pyproject.toml and constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH := $(shell grep '^torch==' constraints.txt)
# Address of an index that holds torch's CPU build, as torch's installation page names it. The default build works too,
# but on Linux it brings gigabytes of CUDA along: make TORCH_INDEX=... avoids that.
TORCH_INDEX ?=
# Tests run side by side, each with one thread, unless it asks for more itself.
WORKERS ?= auto --maxprocesses 4

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs wheel clean

help:
	@echo 'make demo    the tour on a real clip; ends in demo/report.html'
	@echo 'make test    lint, types and tests, as in continuous integration'
	@echo 'make lint    ruff and mypy alone'
	@echo 'make format  let ruff rewrite what it can'
	@echo 'make docs    build the site into build/site; fails on any dead link'
	@echo 'make wheel   build dist/vivae-*.whl'
	@echo 'make clean   remove the environment and everything that was built'

demo: $(READY)
	$(BIN)/vivae demo demo --force

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo 'Read it with: $(BIN)/python -m http.server --directory build/site'

wheel: $(READY)
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls -l dist/*.whl

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Some distributions ship venv without ensurepip; there the system's own pip puts pip into the new environment.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'vivae needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) >/dev/null \
	  || { $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@echo 'Installing $(TORCH) (CPU build) and the rest into $(VENV) ...'
	@$(BIN)/pip install --quiet '$(TORCH)+cpu' 2>/dev/null \
	  || { test -n '$(TORCH_INDEX)' && $(BIN)/pip install --quiet --index-url '$(TORCH_INDEX)' '$(TORCH)+cpu'; } \
	  || $(BIN)/pip install --quiet '$(TORCH)'
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)
