# The few commands people type. Each step says what it does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

WORKERS := 3  # on two cores: tests of deployments mostly wait
PROGRAMS := redis-server chromium docker-compose pgbouncer prometheus

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-all docs pictures fuzz soup proof check bench bench-scale clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: $(READY)  ## from nothing to green partitions: embedded PostgreSQL, simulated vendors, Dagster
	@$(BIN)/ingest-assets demo

dev: $(READY)  ## Dagster on your own DATABASE_URL
	@$(BIN)/ingest-assets migrate > /dev/null
	@$(BIN)/ingest-assets dev

test: $(READY)  ## the whole suite, on an embedded PostgreSQL and simulated vendors
	@echo "Running the tests ..."
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-all: $(READY)  ## the same, and what needs Redis, a browser, docker-compose, PgBouncer and promtool, which it installs (Debian)
	@PATH="$$PATH:/usr/sbin"; for program in $(PROGRAMS); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing$$missing ..."; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -q && $$sudo apt-get install -y -q --no-install-recommends $$missing && \
	  case "$$missing" in *prometheus*) $$sudo systemctl disable --now -q prometheus 2>/dev/null || true;; esac; \
	fi
	@echo "Running all tests ..."
	@TEST_ALL=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

docs: $(READY)  ## the documents as a site with a search, on http://127.0.0.1:8000
	@$(SITE) serve --quiet

pictures: $(READY)  ## the pages of the web UI that the documents show, as the browser test sees them
	@PICTURES=docs/pictures TEST_ALL=1 $(BIN)/python -m pytest -q tests/dagster/test_web.py

fuzz: $(READY)  ## N mutated payloads for every parser (SEED=1), or ONLY=slack_messages; KEEP=index AS=name makes one a test
	@$(BIN)/python -m tests.fuzz $(if $(N),--count $(N)) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(KEEP),--keep $(KEEP) --as $(AS))

soup: $(READY)  ## SECONDS of random life, faults, kills and races at every source, from SEED on; each claim is checked
	@$(BIN)/python -m tests.proof soup --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

proof: $(READY)  ## a kill at each commit of each operation, then the soup; writes docs/reliability.md
	@$(BIN)/python -m tests.proof write --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

check: $(READY)  ## all static checks
	@echo "Checking format and style ..."
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@echo "Checking sizes ..."
	@$(BIN)/python -m tests.sizes
	@echo "Checking types ..."
	@$(BIN)/mypy
	@echo "Checking who imports whom ..."
	@$(BIN)/lint-imports --no-cache
	@echo "Checking that migrations and tables agree ..."
	@$(BIN)/python -m tests.migrations_in_step
	@echo "Checking the documents and their links ..."
	@$(SITE) build --strict -d build/site
	@echo "Checking that Dagster loads the definitions without any credential ..."
	@mkdir -p build/dg && printf 'telemetry:\n  enabled: false\n' > build/dg/dagster.yaml
	@env -u DATABASE_URL DAGSTER_HOME="$$PWD/build/dg" PYTHONWARNINGS=ignore $(BIN)/dg check defs

bench: $(READY)  ## measure; ONLY=slack runs one part; writes build/bench.json
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

bench-scale: $(READY)  ## how many workspaces one machine serves (about half an hour); ONLY=failing runs one part
	@$(BIN)/python -m benchmarks.scale $(if $(ONLY),--only $(ONLY))

$(READY): requirements-dev.lock pyproject.toml
	@echo "Creating $(VENV) and installing the pinned packages (a minute or two) ..."
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 14) else f"Python 3.11 to 3.14 is needed, this is {v[0]}.{v[1]}; set PYTHON=python3.12, say.")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:  ## remove everything that these commands made
	rm -rf $(VENV) .demo .dagster build
