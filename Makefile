# `make demo` and `make test` need only Python 3.10+ and make; the first call makes .venv.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
AUDIO ?=
TAG ?=
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -c $(CONSTRAINTS)
INSTALLED := $(VENV)/.installed
METRICS := $(VENV)/.metrics
PLAYWRIGHT := $(VENV)/.playwright
DOCS := $(VENV)/.docs

.PHONY: help venv demo test slow browser attack lint bench bench-gpu notebooks demo-page docs dist
.DEFAULT_GOAL := help

help:
	@echo "make demo [AUDIO=file.wav]  invert the mel of a recording or of a synthetic signal; writes demo_output/"
	@echo "make test                   all tests except those marked slow or browser"
	@echo "make slow                   the tests marked slow"
	@echo "make browser                the tests of HTML pages, in Chromium; installs it where apt-get can"
	@echo "make attack                 ten thousand damaged files for each reader, kills, full disks"
	@echo "make lint                   format, style, docstrings, types and layers"
	@echo "make demo-page              the live demo with its models, for the site; takes some minutes, needs npm"
	@echo "make docs [AUDIO=folder]    the site, with sounds of the recordings in a folder; writes docs/_build/html"
	@echo "make dist [TAG=v1.2.3]      wheel and sdist of a clean checkout in dist/, as a release of that tag"
	@echo "make bench                  measure speed and quality; writes benchmarks/results/ and tables"
	@echo "make bench-gpu              check and measure on a CUDA device; writes benchmarks/results/"
	@echo "make notebooks              run the notebooks and store their outputs"
	@echo "PYTHON=python3.12 chooses the Python of .venv (now: $(PYTHON)), and"
	@echo "CONSTRAINTS=constraints-lowest.txt the versions in it (now: $(CONSTRAINTS))"

# Runs again only if the pins or pyproject.toml changed; pip then updates an existing .venv.
$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed; name one: make PYTHON=python3.12")'
	@echo "Making $(VENV): takes some minutes and about 5 GB of disk"
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e ".[plot,dev]"
	@touch $@

# pesq builds from source, with numpy and Cython; only the benchmarks need these packages.
$(METRICS): $(INSTALLED)
	$(PIP_INSTALL) Cython setuptools wheel
	$(PIP_INSTALL) --no-build-isolation pesq
	$(PIP_INSTALL) -e ".[metrics,mos]"
	@touch $@

# Playwright drives the system's Chromium and downloads no browser of its own.
$(PLAYWRIGHT): $(INSTALLED)
	$(PIP_INSTALL) playwright
	@touch $@

$(DOCS): $(INSTALLED)
	$(PIP_INSTALL) -e ".[docs]"
	@touch $@

venv: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/python -m torchmelinv.demo $(if $(AUDIO),"$(AUDIO)") --out demo_output

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow and not browser"

slow: $(INSTALLED)
	$(BIN)/python -m pytest -m "slow and not browser"

browser: $(PLAYWRIGHT)
	chromium=$$(tests/browser/chromium.sh) && TORCHMELINV_CHROMIUM="$$chromium" $(BIN)/python -m pytest -m browser tests/browser

attack: $(INSTALLED)
	TORCHMELINV_ATTACK=5 $(BIN)/python -m pytest tests/fuzz tests/guarantees/test_corpus.py tests/cli/test_disks.py tests/cli/test_large_files.py tests/cli/test_interruption.py

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pydoclint --quiet torchmelinv
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

demo-page: $(INSTALLED)
	$(BIN)/python docs/demo/build.py

docs: $(DOCS)
	TORCHMELINV_DOCS_AUDIO="$(AUDIO)" $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	$(BIN)/python docs/check_site.py docs/_build/html

dist: $(INSTALLED)
	$(if $(TAG),test "$(TAG)" = "v$$($(BIN)/hatchling version)")
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/python -m twine check --strict dist/*

bench: $(METRICS)
	$(BIN)/python -m benchmarks.cpu
	$(BIN)/python -m benchmarks.corpus
	$(BIN)/python -m benchmarks.gradients
	$(BIN)/python -m benchmarks.launches
	$(BIN)/python -m benchmarks.predicted
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.sounds
	$(BIN)/python -m benchmarks.training

bench-gpu: $(INSTALLED)
	$(BIN)/python -m benchmarks.gpu_doctor
	$(BIN)/python -m benchmarks.gpu

notebooks: $(INSTALLED)
	$(BIN)/python -m tests.notebooks
