# Everything here starts from a fresh clone: the targets create .venv and install what they
# need into it. Stamp files in .venv remember what is installed, so a second run is fast.

PYTHON ?= python3
VENV ?= .venv
# The exact versions that are tested together; `make test CONSTRAINTS=` takes the newest.
CONSTRAINTS ?= constraints.txt
# More options for pytest: make test PYTEST="-k broker -x"
PYTEST ?=
# What to measure, instead of all for the documentation: make bench BENCH="--only serial,arrays"
BENCH ?= --docs docs/explanation

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	$(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
NEWEST := .venv-newest
# What the installation is made from; __init__.py has the version.
INSTALLED := pyproject.toml setup.py src/runmacs/roc/__init__.py $(CONSTRAINTS) \
	$(wildcard src/runmacs/roc/_c/*)
MADE := $(VENV)/.made-with-$(subst /,_,$(PYTHON))

.PHONY: help demo test check format bench constraints clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "PYTHON=python3.13 VENV=.venv-3.13 takes another Python, in a .venv of its own."

demo: $(VENV)/.demo ## Drive a simulated camera in another process through a broker
	@$(BIN)/python examples/vnir/demo.py

test: $(VENV)/.dev ## Run all checks and all tests
	@$(MAKE) --no-print-directory check; checked=$$?; \
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(PYTEST) && exit $$checked

check: $(VENV)/.dev ## Lint, format, types, layers
	@failed=0; \
	for tool in "ruff check" "ruff format --check" "mypy" "lint-imports --no-logo"; do \
		$(BIN)/$$tool || failed=1; \
	done; \
	exit $$failed

format: $(VENV)/.dev ## Let ruff put the code in order
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: ## Measure against other libraries, side by side in one run
	@$(MAKE) --no-print-directory $(VENV)-bench/.bench VENV=$(VENV)-bench
	@$(VENV)-bench/bin/python -m benchmarks $(BENCH)

constraints: ## Renew constraints.txt: what is newest today for the oldest Python we support
	@$(MAKE) --no-print-directory $(NEWEST)/.dev $(NEWEST)/.bench VENV=$(NEWEST) CONSTRAINTS=
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	   $(NEWEST)/bin/python -m pip freeze --exclude-editable; } > $(NEWEST)/constraints.txt
	@mv $(NEWEST)/constraints.txt constraints.txt
	@rm -rf $(NEWEST)

clean: ## Remove .venv and all that was built
	@rm -rf $(VENV) $(VENV)-bench build dist src/*.egg-info src/runmacs/roc/_native*.so
	@rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.demo: $(MADE) $(INSTALLED)
	@echo "Installing into $(VENV) ..."
	@$(PIP) --editable '.[numpy]'
	@touch $@

$(VENV)/.dev: $(MADE) $(INSTALLED)
	@echo "Installing the development tools into $(VENV) ..."
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

# A library that cannot be installed here is left out, and the results say so.
$(VENV)/.bench: $(MADE) $(INSTALLED)
	@echo "Installing the libraries to compare with into $(VENV) ..."
	@$(PIP) --editable '.[all]' psutil
	@$(PIP) --editable '.[bench]' || \
		$(BIN)/python -m benchmarks.wanted | while read -r one; do $(PIP) "$$one" || true; done
	@touch $@

# A .venv of another Python, or one whose Python is gone, is made anew; a good one is kept.
$(MADE):
	@$(PYTHON) --version >/dev/null 2>&1 || { \
		echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name the one to take: make PYTHON=/path/to/python3"; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version), and ROC needs Python 3.11 or newer. Name one: make PYTHON=python3.12"; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }
	@version='import sys; print(sys.version)'; \
	if [ "$$($(BIN)/python -c "$$version" 2>/dev/null)" != "$$($(PYTHON) -c "$$version")" ]; then \
		echo "Creating $(VENV) with $$($(PYTHON) --version) ..."; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@touch $@
