# make up      everything on one machine, against the real USGS feed
# make demo    the same with a simulated sequence, for a machine without internet
# make test    all tests, with a real Kafka broker and a real Redis
# make unit    the tests that need no server, in seconds
# make bench   throughput beside a bare Kafka loop
# make skill   the forecaster trained on the benchmark catalogues, three seeds, beside ETAS; an hour or two
# make check   formatting, lint, types
#
# PyTorch comes from PyPI, on Linux its CUDA build. For the small CPU build name its package index: make up TORCH_INDEX=<url>

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
PORT ?= 8080
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)

.PHONY: install up demo test unit bench skill check clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install -q --index-url $(TORCH_INDEX) $(TORCH))
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	@touch $@

up: install
	$(BIN)/quakecast up --port $(PORT)

demo: install
	$(BIN)/python -m stream.demo --port $(PORT)

test: install check
	$(BIN)/python -m pytest

unit: install
	$(BIN)/python -m pytest tests/unit -q

bench: install
	$(BIN)/python -m tests.bench

skill: install
	$(BIN)/python -m tests.skill

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) tests/kafka/target .mypy_cache .ruff_cache .pytest_cache .hypothesis
