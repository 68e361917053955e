# Everything a developer or CI runs. `make` lists it. The first use makes .venv; nothing else is changed on the machine.
SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=
ROUNDS ?=
SEED ?=
MINUTES ?= 30
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links
# uv installs in a second. Where it cannot reach the registry (it does not read pip.conf), pip does it.
install = $(BIN)/uv pip install -q --python $(BIN)/python $(1) || $(BIN)/python -m pip install -q $(1)
# A command that the tests need, and the Debian package that brings it.
debian = command -v $(1) >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -qqy --no-install-recommends $(2); }
# The faults that take longest go first, so that none of them is left alone in the end.
LONGEST := $(patsubst %,tests/fault/test_%.py,crash_points store clocks kills)
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Processes start by the hundred in the tests: each would compile a thousand modules anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: docs help install run demo check lint fmt test test-system fault soak bench screenshots lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed ## make .venv from the lock, hashes checked (PYTHON=... picks the interpreter)

.venv/installed: requirements-build.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and sys.version)' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv || $(PYTHON) -m virtualenv -q --clear .venv || { echo "Python's venv module is needed (on Debian: apt install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install -q --require-hashes -r requirements-build.txt
	$(call install,--require-hashes -r requirements-dev.txt)
	$(call install,--no-deps --no-build-isolation -e .)
	@touch $@

run: install ## the whole relay in one process, with nothing to configure
	@$(BIN)/relay run $(ARGS)

demo: install ## the whole way once, told as a timeline
	@$(BIN)/relay demo $(ARGS)

check: lint test ## lint and test

lint: install ## format, style, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: install ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: install ## unit, property, integration and end-to-end tests: no root, no system package (ARGS="-k name")
	$(BIN)/pytest -n 4 --dist worksteal tests/unit tests/property tests/integration tests/e2e $(ARGS)

test-system: install ## tests with Debian's tools, which it installs first
	$(call debian,promtool,prometheus)
	$(call debian,systemd-analyze,systemd)
	$(call debian,npm,npm)
	$(call debian,ip,iproute2)
	$(call debian,chromium,chromium)
	$(BIN)/pytest -n 3 --dist worksteal tests/system $(ARGS)

fault: install ## kill, freeze, starve and cut everything; histories are checked (ROUNDS=100 SEED=7 ARGS="-k worker")
	printf '%s\n' $(LONGEST) $(filter-out $(LONGEST),$(wildcard tests/fault/test_*.py)) | \
		ROUNDS=$(ROUNDS) SEED=$(SEED) xargs -P 4 -I % $(BIN)/pytest -q % $(ARGS)

soak: install ## a steady load for MINUTES=30: memory, files, tasks, keys and AOF must come back to where they were
	$(BIN)/python -m tests.support.soak $(MINUTES)

bench: install ## benchmarks: tables of ratios within one run
	$(BIN)/python -m tests.bench.bench_lanes $(ARGS)
	$(BIN)/python -m tests.bench.bench_api $(ARGS)
	$(BIN)/python -m tests.bench.bench_receivers $(ARGS)
	$(BIN)/python -m tests.bench.bench_polling --quick $(ARGS)
	$(BIN)/python -m tests.bench.bench_reality $(ARGS)

screenshots: install ## take the pictures of the console anew (needs Debian's chromium)
	SCREENSHOTS=deploy/screenshots $(BIN)/pytest -q tests/system/test_console.py

lock: install ## solve the dependencies anew (ARGS=--upgrade for the newest versions)
	$(LOCK) $(ARGS) requirements.in -o requirements-build.txt
	$(LOCK) $(ARGS) pyproject.toml -o requirements.txt
	$(LOCK) $(ARGS) pyproject.toml --extra dev -c requirements.txt -o requirements-dev.txt

clean: ## remove .venv and every cache
	rm -rf .venv .*_cache .hypothesis dist
	find . -name __pycache__ -prune -exec rm -rf {} +

docs: install ## draw the state diagrams of ARCHITECTURE.md anew
	$(BIN)/python -m tests.support.diagrams
