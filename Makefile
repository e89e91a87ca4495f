# make up      everything on one machine, against the real USGS feed
# make demo    the same with a simulated sequence, for a machine without internet
# make test    check, and all tests with a real Kafka broker and a real Redis
# make suite   all tests without the check
# make unit    the tests that need no server, in seconds
# make bench   speed, latency and memory, each beside a rival in the same run
# make fuzz    inputs that nobody expects, for every parser and every endpoint (SEED, INPUTS, WORKERS, EXAMPLES); an hour of one core
# make skill   the forecaster trained on the benchmark catalogues, three seeds, beside ETAS; an hour or two
# make chaos   random faults in real processes (SEED, FAULTS, MINUTES, DEPLOYMENT: embedded, kafka or cluster)
# make page    the operations page, by npm; part of make install where npm is there
# make check   formatting, lint, types
# make sbom    what is installed, as CycloneDX: build/sbom-python.json, build/sbom-page.json
# make audit   known weaknesses in what is pinned, by services that must be reachable
#
# PyTorch comes from PyPI, on Linux its CUDA build. For the small CPU build name its package index: make up TORCH_INDEX=<url>

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
PORT ?= 8080
FAULTS ?= 30
MINUTES ?= 60
DEPLOYMENT ?= kafka
INPUTS ?= 1000000
WORKERS ?= 2
EXAMPLES ?= 20
# processes that run tests: one more than two cores, as most of them wait for servers; with their servers each needs up to 4 GB
TESTERS ?= $(shell awk '/^MemTotal/ { print ($$2 > 12e6) ? 3 : 2 }' /proc/meminfo 2>/dev/null || echo 2)
PAGE := stream/serve/page
NPM := $(shell command -v npm)
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)

AUDIT := .venv-audit
SBOM_FOLDER ?= build
ADVISORIES ?= -s osv

.PHONY: install page up demo test suite unit bench fuzz skill chaos check sbom audit clean

install: $(VENV)/.compiled
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

$(VENV)/.compiled: $(VENV)/.installed $(shell find models -name '*.py')
	$(BIN)/python -m stream.cli.compile_step
	@touch $@

up: install
	$(BIN)/quakecast up --port $(PORT)

demo: install
	$(BIN)/python -m stream.demo --port $(PORT)

# both at once: the tests often wait for servers. They run in the order of their files, so that the short ones of tests/unit come last:
# xdist by itself begins with the files of most tests, and leaves those of few, which take minutes, to one worker at the end
test: install
	$(MAKE) --jobs 2 check suite

suite: export OMP_NUM_THREADS = 1
suite: export NUMBA_NUM_THREADS = 1
suite: install
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder

unit: install
	$(BIN)/python -m pytest tests/unit -q

bench: install
	$(BIN)/python -m tests.measurements.bench

fuzz: install
	$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --workers $(WORKERS) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.fuzz.openapi --examples $(EXAMPLES) $(if $(SEED),--seed $(SEED))

chaos: install
	$(BIN)/python -m tests.chaos --deployment $(DEPLOYMENT) --faults $(FAULTS) --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

skill: install
	$(BIN)/python -m tests.measurements.skill

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(NPM),$(NPM) --prefix $(PAGE) run --silent check,@echo "npm is not here: the page is not checked")
	$(if $(NPM),$(NPM) --prefix $(PAGE) run --silent test)

# tools that the program does not need, so in an environment of their own
$(AUDIT)/.installed: Makefile
	test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install -q cyclonedx-bom==7.5.0 pip-audit==2.10.1
	@touch $@

sbom: $(AUDIT)/.installed
	@test -x $(BIN)/python || { echo "there is nothing to describe: make install"; exit 1; }
	@mkdir -p $(SBOM_FOLDER)
	$(AUDIT)/bin/cyclonedx-py environment --validate --pyproject pyproject.toml -o $(SBOM_FOLDER)/sbom-python.json $(BIN)/python
	npm --prefix $(PAGE) sbom --sbom-format cyclonedx --package-lock-only > $(SBOM_FOLDER)/sbom-page.json

# an exception is a --ignore-vuln here, with its reason beside it; there is none
audit: $(AUDIT)/.installed
	$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps -r constraints.txt $(ADVISORIES)
	npm --prefix $(PAGE) audit

clean:
	rm -rf $(VENV) $(AUDIT) build $(PAGE)/node_modules $(PAGE)/dist $(PAGE)/build-tests tests/kafka/target .mypy_cache .ruff_cache .pytest_cache .hypothesis
