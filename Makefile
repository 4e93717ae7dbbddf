# make run    start the proxy on http://127.0.0.1:8000 (with the simulator if there are no AWS credentials)
# make test   the whole test suite
# make check  format, lint, types, tests, coverage
# make dist   wheel, sdist and SBOM into dist/, the same bytes of the same commit
# make audit  known faults of dependencies, and of our code
# make docs   the documentation as a site, in site/

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Hard, pure, and held to every branch.
SRC := src/anthropic_bedrock_proxy
SERVER := $(SRC)/http/server
WHOLLY_COVERED := $(SRC)/protocol/*,$(SRC)/turn/*,$(SRC)/limits/gcra.py,$(SERVER)/head.py,$(SERVER)/head_reader.py,$(SERVER)/chunked.py,$(SERVER)/body_reader.py,$(SERVER)/request_reader.py,$(SERVER)/connection.py

.PHONY: run test lint check dist audit docs bench bench-peers format requirements clean

run: $(VENV)/.runtime
	$(BIN)/anthropic-bedrock-proxy serve --demo-without-aws

# Two processes: a good part of the tests waits for other processes. Tests of a file stay together.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint
	$(BIN)/python -m coverage erase
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(BIN)/python -m coverage run -m pytest
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report --fail-under=90
	$(BIN)/python -m coverage report --fail-under=100 --include='$(WHOLLY_COVERED)'

dist: $(VENV)/.dev .venv-deploy/.done
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation --outdir dist
	.venv-deploy/bin/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml \
	  --output-reproducible --of JSON -o dist/anthropic-bedrock-proxy.cdx.json

audit: $(VENV)/.dev .venv-deploy/.done
	scripts/audit.sh $(BIN) .venv-deploy/bin

docs: .venv-docs/.done
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

bench: $(VENV)/.dev
	$(BIN)/python -m bench

bench-peers: $(VENV)/.dev
	$(BIN)/python -m bench.peers

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Pins every dependency with its hashes; run it after a change of pyproject.toml or requirements/*.in.
requirements: $(VENV)/.dev
	cd requirements && for name in runtime migration providers redis sandbox terminal tracing web dev old-sdk api-docs clients deploy cdk infrastructure installers sbom docs aws; do \
	  ../$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --allow-unsafe \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --output-file=$$name.txt $$name.in || exit 1; \
	done

# A PYTHON that is named makes the environment anew if that stands on another interpreter.
BASE := import os, sys; print(os.path.realpath(sys._base_executable), sys.version_info)
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) -c '$(BASE)'),$(shell $(BIN)/python -c '$(BASE)' 2>/dev/null))
.PHONY: $(BIN)/python
endif
endif

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=/path/to/python3)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh requirements/install-venv.sh
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.runtime: requirements/runtime.txt requirements/sandbox.txt requirements/terminal.txt requirements/tracing.txt requirements/web.txt pyproject.toml $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt -r requirements/sandbox.txt -r requirements/terminal.txt -r requirements/tracing.txt -r requirements/web.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.venv-%/.done: requirements/%.txt $(BIN)/python
	$(BIN)/python -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@touch $@

clean:
	rm -rf $(VENV) .venv-old .venv-api-docs .venv-clients .venv-deploy .venv-infrastructure .venv-installers .venv-docs .venv-aws site tests/e2e/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
