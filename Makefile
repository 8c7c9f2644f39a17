# Every command of the README. A fresh clone needs python3 >= 3.11 with venv, and make.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Two lists of pinned packages, the second a superset of the first: to run, and to develop.
.venv/run: functions/requirements.txt infra/layer/requirements.txt infra/requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r infra/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
.venv/dev: .venv/run tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

run: .venv/run  ## the whole stack on this machine; PORT, S3_PORT and MODEL=FILE.json change it
	@$(BIN)/thimble run

lock:  ## pin the newest versions of everything but the functions' own list
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header -c functions/requirements.txt \
	  --extra tools --extra test pyproject.toml -o tests/requirements.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header -c tests/requirements.txt \
	  --extra tools pyproject.toml -o infra/requirements.txt

.PHONY: help run lock
