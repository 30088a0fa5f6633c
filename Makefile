# Two commands do everything, installs included: `make demo` runs it, `make test` tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
HOSTS ?= 3
SEEDS ?= 10000

.PHONY: demo test soak check format bench lab lab-down clean
.DEFAULT_GOAL := test

demo: $(INSTALLED)  ## a day of the example shop, on real Docker hosts where this machine allows it
	$(BIN)/python -m tests.lab run 3 --name demo --or-without -- $(BIN)/rota demo

test: $(INSTALLED)  ## every test; those that need the lab say why where it cannot be had
	$(BIN)/python -m tests

soak: $(INSTALLED)  ## random fleets through random days, on every core: make soak SEEDS=200
	$(BIN)/python -m tests.simulation.soak $(SEEDS)

check: $(INSTALLED)  ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)  ## the figures of docs/performance.md
	$(BIN)/python -m benchmarks

lab: $(INSTALLED)  ## real Docker hosts by hand: make lab HOSTS=3, then python -m tests.lab status
	$(BIN)/python -m tests.lab up $(HOSTS)

lab-down: $(INSTALLED)
	$(BIN)/python -m tests.lab down

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
