# Two commands need nothing but Python 3.11+ and make: `make demo` and `make test`. The first of either makes .venv.
PYTHON ?= python3
AUDIO ?=
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt
INSTALLED := $(VENV)/.installed
METRICS := $(VENV)/.metrics

.PHONY: help venv demo test slow lint bench bench-gpu notebooks
.DEFAULT_GOAL := help

help:
	@echo "make demo [AUDIO=file.wav]  invert the mel of a recording, or of a signal made here; writes demo_output/"
	@echo "make test                   the whole suite except what is marked slow"
	@echo "make slow                   the tests marked slow"
	@echo "make lint                   ruff, mypy and the floors of the house"
	@echo "make bench                  measure speed and quality; writes benchmarks/results/ and the tables of README.md"
	@echo "make bench-gpu              measure speed and accuracy on a CUDA device; writes benchmarks/results/gpu-*.json"
	@echo "make notebooks              run the notebooks and keep what they show"
	@echo "PYTHON=python3.12 chooses the Python that .venv is made of (now: $(PYTHON))"

# Made anew only where the pins or pyproject.toml changed; pip then moves an older .venv to the new pins.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	@echo "Making $(VENV): torch and its friends, some minutes and about 5 GB of disk"
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e ".[plot,dev]"
	@touch $@

# pesq builds from source, against numpy and with Cython; the rest of the house does without it.
$(METRICS): $(INSTALLED)
	$(PIP_INSTALL) Cython setuptools wheel
	$(PIP_INSTALL) --no-build-isolation pesq
	$(PIP_INSTALL) -e ".[metrics]"
	@touch $@

venv: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/python -m torchmelinv.demo $(if $(AUDIO),"$(AUDIO)") --out demo_output

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow"

slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(METRICS)
	$(BIN)/python -m benchmarks.cpu
	$(BIN)/python -m benchmarks.corpus
	$(BIN)/python -m benchmarks.gradients
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.training

bench-gpu: $(INSTALLED)
	$(BIN)/python -m benchmarks.gpu

notebooks: $(INSTALLED)
	$(BIN)/python -m tests.notebooks
