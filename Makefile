# The interpreter that .venv is made from, and what pytest gets besides: make test PYTHON=python3.12 ARGS="-k wire"
PYTHON ?= python3
ARGS ?=
VENV := .venv/bin
export PYTHON

.PHONY: help setup demo test test-python test-pythons test-wine10 check docs bench soak fuzz race agents extension clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Wine, compilers, .venv, agents, the Wine prefix
	@scripts/setup.sh

demo: setup ## Set up, then run examples/demo.py
	$(VENV)/python examples/demo.py

# Two at a time: most tests wait for a program on Wine. A file's tests share what is expensive to make.
JOBS ?= 2
test: setup ## Set up, then run the tests, JOBS=2 at a time
	$(VENV)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

# What goes through the hot steps; make test runs all with the C extension, this again in Python alone.
CORE := calls faults callbacks_core dropin impl
test-python: setup ## The tests of calls and channels once more, without the C extension
	WINBRIDGE_IMPL=python $(VENV)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(CORE:%=tests/test_%.py) $(ARGS)

test-pythons: setup ## The end-to-end tests on every CPython 3.10 to 3.13 found here, with and without the C extension
	$(VENV)/python scripts/test_pythons.py -- $(ARGS)

test-wine10: setup ## The end-to-end tests on Wine 10, that of Debian 13 in a chroot (root; 5 GB in .cache/wine10)
	$(VENV)/python scripts/wine10.py $(ARGS)

check: setup ## Lint, formatting, types, the agents without a warning, the generated header
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy winbridge
	$(VENV)/python setup.py -q build_agents --force --build-lib build/check
	WINBRIDGE_BUILD_EXTENSION=1 CFLAGS=-Werror $(VENV)/python setup.py -q build_ext --force --build-lib build/check
	$(VENV)/python scripts/wire_header.py --check

docs: setup ## Build the documentation; a warning is an error
	$(VENV)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: setup ## Measure DLL calls and remote Python against peers; ARGS="--quick" or ARGS="--only a,j" for less
	$(VENV)/python -m benchmarks $(ARGS)

soak: setup ## A million calls and more, all flat; five minutes; writes the figures of docs/soak.rst
	$(VENV)/python -m soak

fuzz: setup ## Fuzz the parsers of both sides, each for SECONDS (60); needs clang for the agent's
	SECONDS_EACH=$(or $(SECONDS),60) $(VENV)/python -m fuzz

race: setup ## The shared slot under ThreadSanitizer, hammered from both sides; needs clang
	$(VENV)/python -m fuzz.race

agents: setup ## Build both agents into winbridge/agents, where a source is newer
	$(VENV)/python setup.py -q build_agents --inplace

extension: setup ## Build the C extension into winbridge/, where a source is newer
	WINBRIDGE_BUILD_EXTENSION=1 $(VENV)/python setup.py -q build_ext --inplace

clean: ## Remove what was built; .venv and the downloads in .cache stay
	rm -rf build dist *.egg-info docs/_build winbridge/agents/*.exe winbridge/_native*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find winbridge tests examples benchmarks scripts soak fuzz -name __pycache__ -type d -prune -exec rm -rf {} +
