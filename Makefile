# make demo   set up and run the main job: raw files -> pre-training -> VQA -> answers and a table
# make test   set up and pass the tests (and the linters)
# make setup  only the set-up, into .venv inside this checkout

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
OUT ?= demo-out
RAW ?=

.PHONY: demo test lint setup bench clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/python examples/demo/run.py --out $(OUT) $(if $(RAW),--raw $(RAW))

test: $(STAMP) lint
	@echo "== tests"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP)
	@echo "== ruff and mypy"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks all

setup: $(STAMP)

# fairseq is compiled here, so torch, NumPy and Cython come first and its build runs without
# isolation: an isolated one would fetch another torch of several gigabytes. setup.py says why it
# comes without its requirements, and why a torchaudio that cannot be loaded is removed.
$(STAMP): setup.py constraints.txt
	@echo "== set-up 1/4: virtual environment in $(VENV)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "error: Python >= 3.10 is needed; name one: make PYTHON=python3.11"; exit 1; }
	$(PIP) install -q -c constraints.txt 'setuptools<81' wheel
	@echo "== set-up 2/4: torch"
	$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install -q -c constraints.txt torch
	@echo "== set-up 3/4: this package, its tests and tools"
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[dev]'
	@echo "== set-up 4/4: fairseq (compiles C++ extensions, about 3 minutes)"
	$(PIP) install -q -c constraints.txt --no-build-isolation --no-deps fairseq-fixed
	$(BIN)/python -c 'import torchaudio' 2>/dev/null || $(PIP) uninstall -qq -y torchaudio
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(OUT)
