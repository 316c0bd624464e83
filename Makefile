# Every target does its own set-up. `make` alone lists the targets.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
WORKERS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
RUNTIME := $(VENV)/.runtime-ready
DEV := $(VENV)/.dev-ready
SOURCES := pyproject.toml requirements/runtime.lock

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check campaign bench bench-twin truth docs conformance requirements format lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## Bring the Madrid network up and print how to fetch a key (ARGS=--check: verify and exit)
	@$(BIN)/qstrata demo $(ARGS)

test: check ## Run every check and the test suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(DEV) ## Lint, format, types, import contracts, ratchets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src tools
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python tools/ratchets.py

campaign: $(DEV) ## Run the long campaigns: full crash sweep, kills, lateness
	$(BIN)/python -m pytest -m campaign -s $(ARGS)

bench: $(DEV) ## Measure speed against the budgets
	@$(BIN)/python -m benchmarks $(ARGS)

bench-twin: $(DEV) ## Measure the twin beside SeQUeNCe, QuNetSim and SimQN, each installed in build/peers if absent (ARGS=--docs: the page too)
	@$(BIN)/python -m benchmarks.twin $(ARGS)

truth: $(DEV) ## Hold the twin against closed forms and independent tools: build/truth/truth.html (ARGS=--docs: the page too)
	$(BIN)/python -m truth --workers $(WORKERS) $(ARGS)

docs: $(DEV) ## Build the documentation into build/docs, to be opened in any browser
	$(BIN)/python -m tools.reference --check
	$(BIN)/mkdocs build --strict
	@echo "built: open build/docs/index.html"

conformance: $(DEV) ## Report for each API which rows of its conformance tests hold
	@$(BIN)/python -m tools.conformance

requirements: $(DEV) ## List which requirements a named test shows, and which none does
	@$(BIN)/python tools/requirements.py $(ARGS)

format: $(DEV) ## Format the code and fix what the linter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url

lock: ## Resolve the dependencies anew (needs uv; ARGS=--upgrade for newer releases)
	$(UV_COMPILE) $(ARGS) pyproject.toml requirements/build.in -o requirements/runtime.lock
	$(UV_COMPILE) $(ARGS) --extra dev --extra docs -c requirements/runtime.lock pyproject.toml requirements/build.in \
		-o requirements/dev.lock

clean: ## Remove the virtual environment, caches and builds
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the last file that venv writes, so a set-up cut short is done again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "qstrata needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv" >&2; \
		exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): $(SOURCES) | $(BIN)/pip
	@echo "installing the locked dependencies into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/runtime.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(DEV): $(SOURCES) requirements/dev.lock | $(BIN)/pip
	@echo "installing the locked development tools into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $(RUNTIME) $@
