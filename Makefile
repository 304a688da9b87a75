# Everything a person or CI does with this project. Needs python3 (3.11 or newer, with venv), make, git.
# `make test` compares with the real Supabase CLI where npm exists; CI must have it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
PYTEST_ARGS ?=
UV_VERSION := 0.13.9

.PHONY: help
help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/dev.installed  ## Create .venv with everything that development needs, hash-locked

.PHONY: demo
demo: .venv/base.installed  ## Run a good and a faulty deploy on a real Postgres, and show everything
	$(BIN)/deploy-agent demo

.PHONY: test
test: .venv/dev.installed tools  ## Run all tests
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

.PHONY: lint
lint: .venv/dev.installed  ## Check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check
check: lint test  ## Run lint and test

.PHONY: bench
bench: .venv/dev.installed tools  ## Measure against the real Supabase CLI and pg_dump
	$(BIN)/python -m benchmarks

# docker or podman or buildah; the last two need to be told to keep HEALTHCHECK, which OCI's own format has no place for.
BUILDER ?= docker
IMAGE ?= supabase-deploy-agent
IMAGE_ARGS ?=
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

.PHONY: image
image:  ## Build the container image with docker (or BUILDER=podman, BUILDER=buildah)
	version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' agent/__init__.py); \
	$(BUILDER) build $(if $(filter-out docker,$(BUILDER)),--format docker --timestamp $(SOURCE_DATE_EPOCH)) \
	  --tag $(IMAGE):$$version --tag $(IMAGE):latest --build-arg VERSION=$$version \
	  --build-arg COMMIT=$$(git describe --always --exclude='*' --abbrev=40 --dirty=-changed) \
	  --build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(IMAGE_ARGS) .

.PHONY: format
format: .venv/dev.installed  ## Let ruff format and repair what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: tools
tools: .tools/chart/installed .tools/schemathesis/installed  ## Install Helm, schemathesis and, where npm exists, the real Supabase CLI into .tools
ifneq ($(shell command -v npm),)
tools: .tools/installed
else
	@echo "npm is not installed, so the real Supabase CLI is not either: tests and benchmarks that need it are left out."
endif

.PHONY: policy
policy: .venv/dev.installed .tools/chart/installed .tools/checkov/installed  ## Look at the chart with checkov
	CHECKOV=$(CURDIR)/.tools/checkov/bin/checkov $(BIN)/pytest tests/chart/test_checkov.py

.PHONY: lock
lock: .venv/dev.installed  ## Renew the locked requirements from pyproject.toml and requirements/npm
	$(PIP) install uv==$(UV_VERSION)
	for set in "base.txt --group build" "image.txt --extra otel --extra api --group build --constraint requirements/base.txt" \
	    "dev.txt --extra otel --extra api --group build --group dev --constraint requirements/base.txt"; do \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --quiet --universal --upgrade \
	    --python-version 3.11 --extra embedded --generate-hashes --no-emit-index-url --no-annotate \
	    --output-file requirements/$$set; \
	done
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile requirements/chart.in --quiet --universal --no-deps \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --output-file requirements/chart.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile requirements/checkov.in --quiet --universal --upgrade \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --output-file requirements/checkov.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile requirements/schemathesis.in --quiet --universal --upgrade \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --output-file requirements/schemathesis.txt
	cd requirements/npm && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

.PHONY: sbom
sbom: .venv/base.installed  ## Write dist/sbom.cdx.json: what an installation of this holds (an image: docker build --target sbom)
	rm -rf .sbom && $(PYTHON) -m venv --without-pip .sbom
	$(PIP) --python .sbom/bin/python install --require-hashes --requirement requirements/image.txt
	$(PIP) --python .sbom/bin/python install --no-deps --no-build-isolation .
	mkdir -p dist && .sbom/bin/python config/image/sbom.py --python >dist/sbom.cdx.json
	rm -rf .sbom

.PHONY: clean
clean:  ## Remove everything that was generated
	rm -rf .venv .sbom .tools .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: made again only when what they depend on has changed.
.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/base.installed: requirements/base.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv; this happens once and takes a minute or two."
	$(PIP) install --require-hashes --requirement requirements/base.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

.venv/dev.installed: requirements/dev.txt .venv/base.installed
	$(PIP) install --require-hashes --requirement requirements/dev.txt
	touch $@

.tools/chart/installed: requirements/chart.txt tests/support/chart_tools.py | .venv/dev.installed
	rm -rf .tools/chart
	mkdir -p .tools/chart
	$(PIP) install --require-hashes --no-deps --target .tools/chart/python --requirement requirements/chart.txt
	$(BIN)/python -m tests.support.chart_tools
	touch $@

.tools/checkov/installed: requirements/checkov.txt
	$(PYTHON) -m venv --clear .tools/checkov
	.tools/checkov/bin/python -m pip --disable-pip-version-check --no-input --quiet install --require-hashes --requirement $<
	touch $@

.tools/schemathesis/installed: requirements/schemathesis.txt
	$(PYTHON) -m venv --clear .tools/schemathesis
	.tools/schemathesis/bin/python -m pip --disable-pip-version-check --no-input --quiet install --require-hashes --requirement $<
	touch $@

.tools/installed: requirements/npm/package.json requirements/npm/package-lock.json
	mkdir -p .tools
	cp $^ .tools/
	# not "npm ci": it insists on an entry for every platform's package, and a mirror may have only its own
	cd .tools && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@
