# What CI runs, one command each. Elsewhere than in an active environment: make test PYTHON=.venv/bin/python
# More arguments go on, as in: make test ARGS="tests/test_contract.py -k Nesterov"; make figures ARGS="S1-4 --size smoke"
PYTHON ?= python
OUT ?= results
ARGS ?=

.PHONY: help all test slow lint format types docs gallery notebooks figures

help:
	@echo "make test     the default tests, on two processes"
	@echo "make slow     the tests that take minutes each"
	@echo "make lint     ruff: rules and format; make format mends what it can"
	@echo "make types    basedpyright over rfm, theory and experiments"
	@echo "make docs     the pages as HTML in $(OUT)/docs; a warning is an error"
	@echo "make gallery  the pictures of docs/gallery.md, made by its commands (a quarter of an hour)"
	@echo "make notebooks  the notebooks run in full size, outputs kept (a quarter of an hour)"
	@echo "make figures  every published figure in full size, into $(OUT)/figures (half an hour)"
	@echo "make all      lint, types, docs and test"

all: lint types docs test

test:
	$(PYTHON) -m pytest $(ARGS)

slow:
	$(PYTHON) -m pytest -m slow $(ARGS)

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

types:
	$(PYTHON) -m basedpyright --pythonpath $(shell command -v $(PYTHON)) $(ARGS)

docs:
	$(PYTHON) -m sphinx -W --keep-going -q -c docs . $(OUT)/docs

gallery:
	$(PYTHON) docs/make_gallery.py $(ARGS)

notebooks:
	$(PYTHON) docs/make_notebooks.py $(ARGS)

figures:
	$(PYTHON) -m experiments.cli figures $(or $(ARGS),--all) --out $(OUT)/figures
