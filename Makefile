# One command for each thing to do; CI and pre-commit run these targets and nothing else.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
# Extra arguments: `make dev ARGS="--port 9000"`, `make test ARGS="-k feed"`.
ARGS ?=
# How many files of tests run side by side: most of them wait for other processes. Each worker has its own mongod and hubs.
WORKERS ?= 2

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: .venv/.installed ## Make .venv and install the project with its development extras
	@:

.venv/.installed: requirements-dev.lock pyproject.toml scripts/install.sh
	@scripts/install.sh
	@touch $@

.PHONY: dev
dev: install ## Run the hub here: embedded database, reload on change
	@.venv/bin/hub dev $(ARGS)

.PHONY: fmt
fmt: install ## Format, and fix what can be fixed
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

.PHONY: check
check: install ## Format, lint, types, layers
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports

.PHONY: packages
packages: ## Install the npm packages of the clients and of the tests
	@scripts/install-js.sh

.PHONY: test
test: install packages ## Everything, with a real mongod, the published clients and a browser
	@$(PY) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-fast
test-fast: install ## The pure part, in seconds
	@$(PY) -m pytest -m "not real" $(ARGS)

.PHONY: test-oldest
test-oldest: install packages ## As test, on the oldest packages that pyproject.toml allows
	@scripts/oldest.sh
	@.cache/oldest/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: cover
cover: install packages ## As test, in one process, with a report of what no test runs
	@$(PY) -m coverage run -m pytest $(ARGS)
	@$(PY) -m coverage report

.PHONY: bench
bench: .venv/.bench ## Compare with bare floors and a peer in about 12 minutes; writes docs/benchmarks.md
	@$(PY) -m bench $(ARGS)

.PHONY: bench-quick
bench-quick: .venv/.bench ## The same in 2 minutes, with fewer rounds and sizes
	@$(PY) -m bench --scale quick $(ARGS)

.venv/.bench: .venv/.installed pyproject.toml
	@$(PY) -m pip install --quiet --no-build-isolation --editable '.[bench]'
	@touch $@

.PHONY: lock
lock: install ## Choose newer versions of all packages, and write them down
	@$(PY) -m pip install --quiet uv
	@scripts/lock.sh

.PHONY: image
image: ## Build the container image
	@docker build --tag hub .
