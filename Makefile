# `make demo` and `make test` require only Python 3.11+ and make. All packages are installed into .venv, pinned with
# hashes in requirements.lock. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
STAMP := $(VENV)/installed

EVENTS ?= 200000
DAYS ?= 60
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test slow chaos fuzz notebooks render lint format types docs check lock secrets certs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## fill a warehouse and show it: EVENTS=200000 DAYS=60, ARGS=--fresh to start over
	@$(RUN) animeverse demo --events $(EVENTS) --days $(DAYS) $(ARGS)

test: $(STAMP) ## run the tests; ARGS='-k watermark' selects some of them
	@$(RUN) pytest -n auto -m 'not slow' $(ARGS)

slow: $(STAMP) ## run the slow tests: kill -9, brokers, stores, Prefect, real data
	@$(RUN) pytest -n auto -m slow $(ARGS)

chaos: $(STAMP) ## kill a running pipeline N=100 times at random, then account for every record; SEED=7 repeats a run
	@$(RUN) tests.promises.chaos $(or $(N),100) $(SEED)

fuzz: $(STAMP) ## parse N=1000000 damaged records with the fast and the exact path and compare
	@$(RUN) tests.pipelines.parsing.fuzz_parse $(or $(N),1000000)

# Kernels start in this folder, not in notebooks/, so that .env, animeverse.toml and ./data resolve as everywhere else.
notebooks: $(STAMP) ## open the notebooks in JupyterLab, on 127.0.0.1; ARGS=--no-browser to open it yourself
	@$(RUN) jupyterlab --config=notebooks/lab.json $(ARGS)

render: $(STAMP) ## run the notebooks on your lakehouse, into docs/notebooks
	@$(RUN) notebooks.render

lint: $(STAMP) ## lint the code, check its format and its import layers
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(VENV)/bin/lint-imports --no-cache

format: $(STAMP) ## format the code and apply lint fixes
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

types: $(STAMP) ## check the types, strictly
	@$(RUN) mypy

docs: $(STAMP) ## generate the data dictionary from the models
	@$(RUN) warehouse.data_dictionary > docs/data_model.md

check: lint types test slow ## lint, types and all tests

lock: $(STAMP) ## update requirements.lock to the newest versions that pyproject.toml allows
	@$(RUN) uv pip compile pyproject.toml --extra dev --extra notebooks --generate-hashes \
		--no-emit-index-url --universal --python-version 3.11 --custom-compile-command 'make lock' --upgrade --quiet -o requirements.lock

install: $(STAMP) ## create .venv and install the locked packages

secrets: ## write random passwords for docker-compose.yml into .env; existing ones stay
	@sh deploy/secrets.sh

certs: ## create the certificates of docker-compose.secure.yml in deploy/certs
	@sh deploy/certs.sh

clean: ## remove build and installation files, never data
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip installs uv, verified by its hashes in the lock; then uv installs all other packages, which takes seconds.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, \
	$(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "installing into $(VENV) ..." >&2
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ { on = 1; print; next } /^[^ ]/ { on = 0 } on' requirements.lock > $(VENV)/uv.lock
	@$(RUN) uv --version > /dev/null 2>&1 || $(RUN) pip install --quiet --require-hashes --no-deps -r $(VENV)/uv.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(RUN) uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(RUN) uv pip install --quiet --no-deps --no-build-isolation --editable .
	@env -u PYTHONDONTWRITEBYTECODE $(RUN) animeverse.precompile  # byte-compile now instead of at each start
	@touch $@
