# The interpreter that .venv is made from, and what pytest gets besides: make test PYTHON=python3.12 ARGS="-k wire"
PYTHON ?= python3
ARGS ?=
VENV := .venv/bin
export PYTHON

.PHONY: help setup demo test check docs bench agents clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Wine, compilers, .venv, agents, the Wine prefix
	@scripts/setup.sh

demo: setup ## Set up, then run examples/demo.py
	$(VENV)/python examples/demo.py

test: setup ## Set up, then run the tests
	$(VENV)/python -m pytest $(ARGS)

check: setup ## Lint, formatting, types, the agents without a warning, the generated header
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy winbridge
	$(VENV)/python setup.py -q build_agents --force --build-lib build/check
	$(VENV)/python scripts/wire_header.py --check

docs: setup ## Build the documentation; a warning is an error
	$(VENV)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: setup ## Measure
	$(VENV)/python benchmarks/run.py

agents: setup ## Build both agents into winbridge/agents, where a source is newer
	$(VENV)/python setup.py -q build_agents --inplace

clean: ## Remove what was built; .venv and the downloads in .cache stay
	rm -rf build dist *.egg-info docs/_build winbridge/agents/*.exe .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find winbridge tests examples benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
