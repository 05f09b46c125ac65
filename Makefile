# `make app` serves the studio, `make test` runs the tests; both make .venv first.
# PYTHON: a Python 3.11 or 3.12.   PIP_ARGS: more words for pip, for instance an index.
PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
PORT ?= 7860

bin := $(VENV)/bin
sources := pyproject.toml requirements.txt

.PHONY: app test lint clean

app: $(VENV)/.app
	$(bin)/python app.py --port $(PORT)

test: $(VENV)/.test
	$(bin)/python -m pytest

lint: $(VENV)/.test
	$(bin)/ruff check .
	$(bin)/ruff format --check .

$(VENV)/.app: $(sources) | $(bin)/python
	$(bin)/python -m pip install $(PIP_ARGS) -e .
	touch $@

$(VENV)/.test: $(sources) | $(bin)/python
	$(bin)/python -m pip install $(PIP_ARGS) -e '.[train,notebooks,dev]'
	touch $@ $(VENV)/.app

$(bin)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	  || { echo "Python 3.11 or 3.12 is needed; say which one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

clean:
	rm -rf $(VENV) build dist *.egg-info
