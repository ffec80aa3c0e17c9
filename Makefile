# SPDX-License-Identifier: Apache-2.0
# `make help` lists what there is.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SCENARIO ?= three-hospitals
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.DEFAULT_GOAL := help
.PHONY: help setup demo ner test test-slow check bench-demo bench-rounds bench-patterns bench-medquad bench-mtsamples bench-anonymize bench-dp bench-leakage gpu-check bench-utility bench-mutants bench-hostile bench-house figures clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 22

setup: $(VENV)/.installed ## create .venv and install collab with everything pinned in constraints.txt

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || (echo 'collab needs Python 3.11: make setup PYTHON=/path/to/python3.11' >&2; exit 2)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	touch $@

demo: setup ## three simulated hospitals, four rounds, one verified log
	$(BIN)/collab-sim run $(SCENARIO) --out out/demo --fresh

test: setup ## the quick suite: three and a half minutes on two idle cores, no GPU, no network
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow"

test-slow: setup ## the loopback deployment, the commands in the docs, long properties: some twelve minutes
	$(BIN)/pytest -q -n 2 --dist loadfile -m slow

check: setup ## lint, strict types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-demo: setup ## the demo on three seeds -> out/bench-demo.json
	$(BIN)/python -m simulations.benchmarks.demo

bench-rounds: setup ## time and memory of a round, by payload -> out/bench-rounds.json
	$(BIN)/python -m simulations.benchmarks.rounds

ner: setup ## train the built-in name model and its student anew, beside the packaged ones -> out/bench-ner.json
	$(BIN)/python -m simulations.benchmarks.ner --seeds 1 2 3

bench-patterns: setup ## the pattern half against stock Presidio, span for span -> out/bench-patterns.json
	$(BIN)/python -m simulations.benchmarks.patterns

bench-medquad: setup ## nine NIH sources: what federation gains and privacy costs -> out/bench-medquad.json
	$(BIN)/python -m simulations.benchmarks.corpora medquad

bench-mtsamples: setup ## real dictated notes, at smaller scale -> out/bench-mtsamples.json
	$(BIN)/python -m simulations.benchmarks.corpora mtsamples

bench-anonymize: setup ## what anonymization masks, keeps and costs, beside stock Presidio -> out/bench-anonymize.json
	$(BIN)/python -m simulations.benchmarks.anonymize

bench-dp: setup ## what private training costs beside ordinary training -> out/bench-dp.json
	$(BIN)/python -m simulations.benchmarks.dp

bench-leakage: setup ## what leaks: noise, a bound of epsilon, inversion, membership -> out/bench-leakage.json
	$(BIN)/python -m simulations.benchmarks.leakage

gpu-check: setup ## one private step on a GPU against the CPU's; skips where there is no CUDA
	$(BIN)/python -m simulations.benchmarks.gpu_check

bench-utility: setup ## four corpora at epsilon 8, 3 and 1: what privacy costs -> out/bench-utility.json and .svg
	$(BIN)/python -m simulations.benchmarks.utility

bench-mutants: setup ## our own faults, one at a time in a copy: do the tests find them? -> out/bench-mutants.json
	$(BIN)/python -m simulations.benchmarks.mutants

bench-hostile: setup ## every claim under attack: neighbours, sketches, strangers, a hostile site -> out/bench-hostile.json
	$(BIN)/python -m simulations.benchmarks.hostile

bench-house: setup ## rooms, floors and arrows, long functions, words, start times -> out/bench-house.json
	$(BIN)/python -m simulations.benchmarks.house

figures: setup ## write the tables of the docs anew from docs/figures/*.json
	$(BIN)/python -m simulations.benchmarks.figures --write

clean: ## remove results and caches, keep .venv
	rm -rf out .pytest_cache .mypy_cache .ruff_cache .hypothesis
