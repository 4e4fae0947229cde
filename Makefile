# Every command that a developer or CI runs. `make demo` and `make test` work on a machine with nothing but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint reports bench corpus scorecard clean

demo: $(READY) ## install, then audit an example in the terminal and as files
	$(BIN)/gradscope demo

test: $(READY) ## the test suite
	$(BIN)/pytest -n auto

lint: $(READY) ## formatting, style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

reports: $(READY) ## regenerate the sample audits under reports/
	$(BIN)/python reports/make_reports.py

bench: $(READY) ## the long measurements: tables under reports/
	$(BIN)/python -m tests.benchmarks

corpus: $(READY) ## train what the corpus lacks (all of it: an hour on two cores), then label and report
	$(BIN)/python -m tests.corpus

scorecard: $(READY) ## fit the verdict to the corpus, judge it on families that it has not seen, and write the page
	$(BIN)/python -m tests.scorecard

clean:
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed; set PYTHON=python3.x"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
