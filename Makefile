# One vocabulary for work: demo, test, check, fuzz, bench, docs, clean. Each does all its set-up; a Python >= 3.11 is enough.

PYTHON ?= $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
WORKERS ?= auto

# NumPy and SciPy each bring an OpenBLAS with a thread per core; test workers side by side would fight over the cores.
test check fuzz bench: export OPENBLAS_NUM_THREADS = 1

.PHONY: demo test check fuzz bench peers processors docs format clean
.DEFAULT_GOAL := demo

demo: .venv/package.stamp          ## train on the hand-written digits, with live progress
	$(BIN)/fallline train digits

test: .venv/dev.stamp              ## every test
	$(BIN)/pytest -q -n $(WORKERS)

check: .venv/dev.stamp             ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_architecture.py

fuzz: .venv/dev.stamp              ## a minute of random wrong calls: each has to end in an error of ours
	$(BIN)/python tools/bad_calls.py --calls 4000 --seed 1

bench: .venv/package.stamp         ## a training step compared with the installed peers, quality on real tables; writes docs/benchmarks.md, docs/tables.md and the README's table
	$(BIN)/python -m benchmarks --write docs/benchmarks.md --readme README.md
	$(BIN)/python -m benchmarks.quality --preset fast,default --keep docs/tables.json --write docs/tables.md

peers: .venv/package.stamp         ## install the benchmark's peers: PyTorch, JAX, and JAX 0.4.31 where it installs (large)
	$(BIN)/pip install -q -e '.[bench]'
	$(BIN)/python -m venv .venv/peers/jax-0.4.31
	.venv/peers/jax-0.4.31/bin/pip install -q jax==0.4.31 jaxlib==0.4.31 || rm -r .venv/peers/jax-0.4.31

processors: .venv/dev.stamp        ## tests and bits as on other processors: x86-64 levels, and Arm emulated (Debian; slow)
	$(BIN)/python tools/processors.py

docs: .venv/package.stamp          ## the README and the pages of docs/: generated parts and outputs
	$(BIN)/python tools/docs.py
	$(BIN)/python tools/transcripts.py README.md docs/command-line.md docs/how-it-works.md docs/numpy-gradients.md \
		docs/noise.md docs/extending.md docs/own-loop.md docs/own-loop-examples.md docs/adding.md docs/serving.md \
		docs/scikit-learn.md docs/raw-files.md docs/tables-in-python.md docs/curvature.md docs/gauges.md docs/plots.md \
		docs/diagnosis.md docs/report.md

format: .venv/dev.stamp            ## put the sources in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:                             ## remove everything that can be made again; saved runs stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Fallline needs Python 3.11 or later; try: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# Made again when pyproject.toml changes; the venv itself is made once, whatever its date.
.venv/package.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

.venv/dev.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch .venv/package.stamp $@
