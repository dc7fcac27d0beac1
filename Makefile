# Everything sets itself up: `make demo` and `make test` work on a fresh clone.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
export OMP_NUM_THREADS := 1

.PHONY: demo test lint docs docs-check evidence clean

demo: .venv/installed  ## read an example digest, run three claims on data that needs no download, write the site
	@$(BIN)/python examples/demo.py

test: .venv/installed-dev  ## all tests, two workers
	@$(BIN)/python tools/browser.py
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: .venv/installed-dev  ## style, layers, and generated pages in step with the code
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/docs.py --check

docs: .venv/installed  ## write the generated parts of README.md and docs/
	@$(BIN)/python tools/docs.py

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bakeoff needs Python 3.11 or newer; name one with: make PYTHON=...")'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/torch: .venv/python constraints.txt
	@echo "installing torch ..." && $(INSTALL) torch==2.13.0
	@touch $@

.venv/installed: .venv/torch pyproject.toml
	@echo "installing bakeoff ..." && $(INSTALL) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "installing what the tests need ..." && $(INSTALL) --editable '.[dev]'
	@touch $@

clean:  ## remove the environment and everything made by the tools
	rm -rf .venv build dist site
