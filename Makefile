# Everything starts from python3, pip and make. `make run` and `make test` are all a newcomer needs.

PYTHON ?= python3
UV := .tools/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

.PHONY: run test check bench faults docs lock clean

run: .venv/.run
	$(BIN)/pillarbox serve

test: .venv/.develop
	sh scripts/install-test-peers
	$(BIN)/pytest -n 2 --dist loadgroup

check: .venv/.develop
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python scripts/reference.py --check
	$(BIN)/pytest -q -p no:randomly tests/architecture

bench: .venv/.bench
	sh scripts/install-test-peers
	$(BIN)/python -m bench

faults: .venv/.develop
	sh scripts/install-test-peers
	$(BIN)/python scripts/faults.py $(ARGS)

docs: .venv/.develop
	$(BIN)/python scripts/reference.py

# Resolve the dependencies again; the files carry hashes and no addresses.
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock: .tools/.ready
	$(COMPILE) --upgrade pyproject.toml -o requirements/run.txt
	printf 'hatchling\neditables\n' | $(COMPILE) --upgrade - -o requirements/build.txt
	$(COMPILE) --upgrade pyproject.toml --group test --group dev -c requirements/run.txt -o requirements/develop.txt
	$(COMPILE) --upgrade --group bench -c requirements/develop.txt -o requirements/bench.txt

.tools/.ready: requirements/uv.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --upgrade --target .tools -r requirements/uv.txt
	touch $@

.venv/.python: .tools/.ready
	$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv
	touch $@

.venv/.run: .venv/.python requirements/run.txt requirements/build.txt pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/run.txt -r requirements/build.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.venv/.develop: .venv/.run requirements/develop.txt
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/develop.txt
	touch $@

.venv/.bench: .venv/.develop requirements/bench.txt
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.txt
	touch $@

clean:
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache node_modules
