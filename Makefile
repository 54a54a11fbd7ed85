# The console's commands. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
PYTHON := $(VENV)/bin/python
BASE_PYTHON ?= python3
ENGINE_LOCKS := $(wildcard requirements/engines/*.txt)
ENGINES := $(patsubst requirements/engines/%.txt,$(VENV)/engines/%/stamp,$(ENGINE_LOCKS))
TESTS ?= tests

.PHONY: help run test test-milvus test-sdks bench torture example protos
.PHONY: check check-types check-style check-imports check-django check-tests
.DEFAULT_GOAL := help

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/console.stamp ## start everything; Ctrl-C stops it
	@exec $(PYTHON) -m vbase_console.supervisor

test: $(VENV)/dev.stamp ## the whole suite, on SQLite and on PostgreSQL
	@$(PYTHON) -m tests.both_databases $(TESTS)

check: check-types check-style check-imports check-django check-tests ## format, lint, types, imports, Django checks, missing migrations, tests that can be collected

check-style: $(VENV)/dev.stamp
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

check-types: $(VENV)/dev.stamp
	$(VENV)/bin/mypy

check-imports: $(VENV)/dev.stamp
	$(VENV)/bin/lint-imports

check-django: $(VENV)/dev.stamp
	$(PYTHON) manage.py check --fail-level WARNING
	$(PYTHON) manage.py makemigrations --check --dry-run
	@$(PYTHON) -m tests.check_deploy

# Also compiles the imports of the tests once; otherwise several processes compile them concurrently.
check-tests: $(VENV)/dev.stamp
	@output=$$($(PYTHON) -m pytest --collect-only -qq tests 2>&1) || { echo "$$output"; exit 1; }

bench: $(VENV)/bench.stamp ## run the measurements of docs/benchmarks.md
	$(PYTHON) -m benchmarks

test-milvus: $(VENV)/dev.stamp ## the tests against a full Milvus, alone; MILVUS_SERVER names another server program
	$(PYTHON) -m pytest tests/full_milvus

test-sdks: $(VENV)/dev.stamp .venv-sdks/stamp ## the vector stores of LangChain and LlamaIndex, on an embedded cluster
	SDKS_PYTHON=.venv-sdks/bin/python $(PYTHON) -m pytest -m vector_stores tests/sdk

torture: $(VENV)/dev.stamp ## the long trials, on SQLite and on PostgreSQL
	@$(PYTHON) -m tests.both_databases --torture $(TESTS)

example: $(VENV)/dev.stamp ## examples/digits.py against the console that runs here
	@key=$$($(PYTHON) manage.py issue_api_key --organization demo --name digits); \
	  VBASE_API_KEY=$$key $(PYTHON) examples/digits.py

screenshots: $(VENV)/dev.stamp ## take the pictures of docs/tour.md from a console with sample data
	$(PYTHON) docs/screenshots.py

protos: $(VENV)/dev.stamp ## compile the proto files of the gRPC interface
	$(PYTHON) -m grpc_tools.protoc -I vbase_console/rpc/proto \
	  --descriptor_set_out=vbase_console/rpc/proto/descriptors.binpb \
	  common/msg_resp.proto dodil/vbase/v1/vbase.proto dodil/vbase/v1/console.proto

# A stamp is as new as the installed lock file, so that the next call installs nothing.
$(VENV)/console.stamp: requirements/console.txt | $(PYTHON) $(VENV)/engines.stamp
	@echo "Installing the dependencies of the console."
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

# --no-compile: half of the time would be spent on modules that no test imports.
$(VENV)/dev.stamp: requirements/dev.txt requirements/console.txt | $(PYTHON) $(VENV)/engines.stamp
	@echo "Installing the dependencies of the console and its tests."
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r $<
	@touch $@ $(VENV)/console.stamp

# All at once, because each waits for the index most of its time.
$(VENV)/engines.stamp: $(ENGINE_LOCKS) | $(PYTHON)
	@MAKEFLAGS= $(MAKE) --no-print-directory --jobs=4 $(ENGINES)
	@touch $@

# Only the processes of a version's clusters read its directory. It stays when its lock file is gone,
# because clusters may have the version. The launcher compiles it at its first start.
$(VENV)/engines/%/stamp: requirements/engines/%.txt | $(PYTHON)
	@rm -rf $(@D).partial
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --no-compile --no-deps --require-hashes --target $(@D).partial -r $<
	@rm -rf $(@D) && mv $(@D).partial $(@D) && touch $@

$(VENV)/bench.stamp: requirements/bench.txt requirements/dev.txt requirements/console.txt | $(PYTHON)
	@echo "Installing the dependencies of the benchmarks."
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@ $(VENV)/dev.stamp $(VENV)/console.stamp

# The lock file is complete; pip would miss the hashes of "pymilvus[milvus-lite]", which is pymilvus.
.venv-sdks/stamp: requirements/sdks.txt
	@$(BASE_PYTHON) -m venv .venv-sdks
	@.venv-sdks/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

$(PYTHON):
	@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed as $(BASE_PYTHON) (Debian: apt-get install python3)." >&2; exit 1; }
	@$(BASE_PYTHON) -c 'import ensurepip, venv' || \
	  { echo "Python's venv is missing (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Creating the virtual environment."
	@$(BASE_PYTHON) -m venv $(VENV)
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/pip.txt
