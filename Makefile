# Every command of the README. A fresh clone needs python3 >= 3.11 with venv, and make.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# A .venv that has no pip, or an older Python, is what a failed try left: it is made anew.
FIT := import sys, venv; sys.exit(sys.version_info < (3, 11))
NOT_FIT = Thimble needs Python 3.11 or newer with venv, and $(PYTHON) is $$($(PYTHON) --version 2>&1)
ANOTHER = PYTHON=python3.13 chooses another, for example: make $(MAKECMDGOALS) PYTHON=python3.13

# Two lists of pinned packages, the second a superset of the first: to run, and to develop.
.venv/run: functions/requirements.txt infra/layer/requirements.txt infra/requirements.txt pyproject.toml
	@$(PYTHON) -c "$(FIT)" 2>/dev/null || { echo "$(NOT_FIT). $(ANOTHER)"; exit 1; }
	@$(BIN)/python -c "import pip; $(FIT)" 2>/dev/null || { rm -rf .venv && $(PYTHON) -m venv .venv; } || \
	  { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv). $(ANOTHER)"; exit 1; }
	@echo "Installing what Thimble runs on into .venv (about a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r infra/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
.venv/dev: .venv/run tests/requirements.txt
	@echo "Installing the developers' tools into .venv (about a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@
.venv/sklearn-%/done: tests/sklearn-%.txt | .venv/dev
	@echo "Installing tests/sklearn-$*.txt into $(@D) (half a minute, once)"
	@test -x $(@D)/bin/python || $(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

SKLEARN := older oldest

CLIENTS := .venv/clients
$(CLIENTS)/done: .venv/dev tests/clients/requirements.txt tests/clients/description.txt
	@echo "Installing other people's clients into $(CLIENTS) (a minute, once)"
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@$(BIN)/uv pip install --quiet --python $(CLIENTS)/bin/python -r tests/clients/requirements.txt
	@$(BIN)/uv pip install --quiet --python $(CLIENTS)/bin/python --no-deps -r tests/clients/description.txt
	@touch $@

# ministack's Python is the functions', which it runs.
REHEARSAL := .venv/rehearsal
$(REHEARSAL)/done: .venv/dev tests/rehearsal/requirements.txt
	@echo "Installing ministack, an imitation of AWS, into $(REHEARSAL) (half a minute, once)"
	@test -x $(REHEARSAL)/bin/python || $$($(BIN)/python -c "from thimble_infra import build; print(build.lambda_python())") -m venv $(REHEARSAL)
	@$(BIN)/uv pip install --quiet --python $(REHEARSAL)/bin/python -r tests/rehearsal/requirements.txt
	@touch $@

run: ports .venv/run  ## the whole stack on this machine; PORT, S3_PORT and MODEL=FILE.json change it
	@$(BIN)/thimble run
ports:
	@$(PYTHON) infra/thimble_infra/ports.py

test: .venv/dev  ## the suite, on every core; make test ARGS="-k promise" for a part of it
	$(BIN)/pytest -n auto --dist worksteal $(ARGS)

test-wide: .venv/dev  ## the tests that take long, and more examples of the generated ones
	$(BIN)/pytest -n auto --dist worksteal -m "wide or hypothesis" --hypothesis-profile wide $(ARGS)

test-sklearn-older: $(SKLEARN:%=.venv/sklearn-%/done)  ## export and parity over the scikit-learn and the boosters before the newest, and the oldest admitted
	$(foreach version,$(SKLEARN),PYTHONPATH=functions:model:infra:. .venv/sklearn-$(version)/bin/python -m pytest \
	  -p no:cacheprovider -m "" $(PARITY) $(PARITY-$(version)) $(ARGS) &&) true
PARITY = $(addprefix tests/test_,export.py parity.py preprocessing.py preprocessing_parity.py text_export.py)
PARITY-older = $(addprefix tests/test_,boosters.py forests.py)

test-clients: $(CLIENTS)/done  ## the protocols' own clients against the running stack, and schemathesis
	cd tests/clients && $(CURDIR)/$(CLIENTS)/bin/python -m pytest -c pytest.ini -p no:cacheprovider $(ARGS)

# Chromium is Debian's; CHROMIUM=/a/path names another.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
test-page: .venv/dev  ## the page at / in headless Chromium, used as a person would; installs it by apt-get where there is none
	@test -n "$(CHROMIUM)" || { echo "Installing chromium (a minute, once)"; apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }
	$(BIN)/pytest $(ARGS) tests/page/test_*.py

NODE := .venv/node
$(NODE)/done: tests/policies/package.json
	@command -v npm >/dev/null || { echo "make test-policies needs Node.js 20 or newer with npm on the PATH"; exit 1; }
	@mkdir -p $(NODE) && cp $< $(NODE)/
	@npm install --silent --no-package-lock --no-audit --no-fund --prefix $(NODE)
	@touch $@

test-policies: .venv/dev $(NODE)/done  ## policies and state machine by other people's readers; needs Node.js
	$(BIN)/pytest $(ARGS) tests/policies/test_policies.py

rehearse: .aws-sam/packaged $(REHEARSAL)/done  ## the package deployed by sam into an imitation of AWS, used, changed, rolled back
	cd tests/rehearsal && $(CURDIR)/$(BIN)/python -m pytest -c pytest.ini -p no:cacheprovider $(ARGS)

check: export AWS_DEFAULT_REGION ?= us-east-1
check: .venv/dev  ## format, lint, strict types, the template
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml infra/monitoring.yaml infra/deploy-role.yaml
	SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint

# atheris comes for some versions of Python only, so it has an environment of its own.
.venv/fuzz/done: functions/requirements.txt infra/layer/requirements.txt | .venv/dev
	@test -x .venv/fuzz/bin/python || $(BIN)/python -m venv .venv/fuzz
	@.venv/fuzz/bin/python -m pip install --quiet --disable-pip-version-check -r functions/requirements.txt \
	  -r infra/layer/requirements.txt atheris==3.0.0
	@touch $@
FUZZ_SECONDS ?= 60
fuzz: .venv/fuzz/done  ## strangers' bytes by atheris, FUZZ_SECONDS (60) a target; findings are left in .fuzz
	@for target in document request file key packed alone; do echo "fuzzing $$target"; \
	  PYTHONPATH=functions:model:infra .venv/fuzz/bin/python -m tests.fuzz.run $$target $(FUZZ_SECONDS) .fuzz 2>&1 \
	  | grep -E "^Done|Error|SUMMARY|Test unit" ; done; ! ls .fuzz/*-crash-* .fuzz/*-timeout-* .fuzz/*-oom-* 2>/dev/null

# checkov's pins clash with ours, so it has an environment of its own.
.venv/checkov/done: tests/checkov.txt | .venv/dev
	@echo "Installing checkov into .venv/checkov (a minute, once)"
	@test -x .venv/checkov/bin/python || $(BIN)/python -m venv .venv/checkov
	@.venv/checkov/bin/python -m pip install --quiet --disable-pip-version-check -r tests/checkov.txt
	@touch $@
check-security: .venv/checkov/done  ## checkov on the templates; its exceptions, each with a reason, are in tests/checkov.yaml
	@$(BIN)/python -m tests.cloudformation >.venv/checkov/transformed.json
	@.venv/checkov/bin/checkov --config-file tests/checkov.yaml \
	  --file template.yaml infra/monitoring.yaml infra/deploy-role.yaml .venv/checkov/transformed.json

# Folders are listed too: their times tell of files that are gone.
SHIPPED = $(shell find functions infra/layer ! -name __pycache__ ! -path '*/__pycache__/*')
ARCHITECTURE ?= x86_64
build: .aws-sam/built  ## what is deployed, in .aws-sam/build: sam build, and the bytecode that it leaves out; ARCHITECTURE=arm64
	@echo "next           make deploy, or make package for the archives alone"
.aws-sam/built: template.yaml infra/monitoring.yaml samconfig.toml infra/thimble_infra/build.py .aws-sam/for-$(ARCHITECTURE) $(SHIPPED) | .venv/dev
	$(BIN)/python -m thimble_infra.build $(ARCHITECTURE)
	@touch $@
.aws-sam/for-%:
	@mkdir -p .aws-sam && rm -f .aws-sam/for-* && touch $@

package: .aws-sam/packaged  ## what is uploaded, in .aws-sam/package: the same commit gives the same bytes
.aws-sam/packaged: .aws-sam/built infra/thimble_infra/packaging.py
	@$(BIN)/python -m thimble_infra.packaging
	@touch $@

# Questions are asked the first time, and kept in samconfig.toml; never where CI is set.
ENV ?= dev
GUIDED = $(if $(or $(CI),$(wildcard .aws-sam/deployed-$(ENV))),,--guided)
deploy: .aws-sam/packaged  ## to AWS; make deploy ENV=prod for production
	SAM_CLI_TELEMETRY=0 $(BIN)/sam deploy --template-file .aws-sam/package/template.yaml --config-file $(CURDIR)/samconfig.toml \
	  --config-env $(ENV) $(GUIDED) $(DEPLOY_OPTIONS)
	@touch .aws-sam/deployed-$(ENV)

bench: .venv/dev  ## Thimble beside the usual ways, in one run; ARGS=--write keeps what it says
	@$(BIN)/python -m tests.benchmarks.bench $(ARGS)

# evidently and nannyml, which want an older pandas than ours; gigabytes of packages, for this alone.
ORACLE := numpy scikit-learn orjson palmerpenguins pytest setuptools evidently==0.7.23 nannyml==0.13.1 "pandas<3"
.venv/oracle:
	@$(PYTHON) -m venv .venv/oracle-making
	@.venv/oracle-making/bin/python -m pip install --quiet --disable-pip-version-check $(ORACLE)
	@mv .venv/oracle-making $@
oracle: .venv/oracle  ## drift beside evidently and nannyml
	@PYTHONPATH=functions:model:infra .venv/oracle/bin/python -W ignore -m tests.drift_oracle

clean:  ## away with what building and testing left behind; .venv stays
	rm -rf .aws-sam .fuzz dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find functions infra model tests -name __pycache__ -prune -exec rm -rf {} +

dist: .venv/dev  ## the wheel and the source archive, in dist: the same commit gives the same bytes
	@rm -rf dist
	@$(BIN)/python -m hatchling build -d dist
	@$(BIN)/python -m twine check --strict dist/*

lock:  ## pin the newest versions of everything but the functions' own list
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header -c functions/requirements.txt \
	  --extra cli --extra tools --extra test pyproject.toml -o tests/requirements.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header -c tests/requirements.txt \
	  --extra cli --extra tools pyproject.toml -o infra/requirements.txt
	for version in $(SKLEARN); do $(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header \
	  tests/sklearn-$$version.in -o tests/sklearn-$$version.txt || exit 1; done
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header \
	  tests/clients/requirements.in -o tests/clients/requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.13 --no-header \
	  tests/rehearsal/requirements.in -o tests/rehearsal/requirements.txt

.PHONY: help run ports test test-wide test-sklearn-older test-clients test-page test-policies rehearse check check-security fuzz build package deploy bench oracle clean dist lock
