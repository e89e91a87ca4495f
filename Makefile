# make up      everything on one machine, against the real USGS feed
# make demo    the same with a simulated sequence, for a machine without internet
# make test    all tests, with a real Kafka broker and a real Redis
# make unit    the tests that need no server, in seconds
# make bench   throughput beside a bare Kafka loop
# make skill   the forecaster trained on the benchmark catalogues, three seeds, beside ETAS; an hour or two
# make page    the operations page, by npm; part of make install where npm is there
# make check   formatting, lint, types
#
# PyTorch comes from PyPI, on Linux its CUDA build. For the small CPU build name its package index: make up TORCH_INDEX=<url>

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
PORT ?= 8080
PAGE := stream/serve/page
NPM := $(shell command -v npm)
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)

.PHONY: install page up demo test unit bench skill check clean

install: $(VENV)/.installed
ifneq ($(NPM),)
install: page
endif

page: $(PAGE)/dist/index.html

$(PAGE)/dist/index.html: $(PAGE)/node_modules/.installed $(PAGE)/index.html $(PAGE)/build.mjs $(wildcard $(PAGE)/src/*.ts $(PAGE)/style/*.css)
	$(NPM) --prefix $(PAGE) run --silent build

$(PAGE)/node_modules/.installed: $(PAGE)/package.json $(PAGE)/package-lock.json
	@test -n "$(NPM)" || { echo "npm is needed for the page: apt-get install nodejs npm, or from nodejs.org"; exit 1; }
	$(NPM) --prefix $(PAGE) ci --silent
	@touch $@

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
	$(BIN)/python -m pytest -n 2 --dist loadfile

unit: install
	$(BIN)/python -m pytest tests/unit -q

bench: install
	$(BIN)/python -m tests.measurements.bench

skill: install
	$(BIN)/python -m tests.measurements.skill

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(NPM),$(NPM) --prefix $(PAGE) run --silent check,@echo "npm is not here: the page is not checked")
	$(if $(NPM),$(NPM) --prefix $(PAGE) run --silent test)

clean:
	rm -rf $(VENV) $(PAGE)/node_modules $(PAGE)/dist $(PAGE)/build-tests tests/kafka/target .mypy_cache .ruff_cache .pytest_cache .hypothesis
