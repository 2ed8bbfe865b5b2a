# Everything a person types. `make help` lists it; the work itself is done by `plm` and pytest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

UV_VERSION := 0.13.8
UV := .venv/bin/uv
PLM := .venv/bin/plm
PYTEST := .venv/bin/python -m pytest
# What an image installs: the lock, cut down to its extras.
EXPORT := $(UV) export --frozen --quiet --no-dev --no-emit-project --no-header --no-annotate

.PHONY: help up down status demo test check bench images generate fmt clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: .venv/.synced ## From nothing to a running platform and its first rerouted payment
	@$(PLM) up
	@$(PLM) demo

down: .venv/.synced ## Stop everything, keep the data (plm down --purge removes that too)
	@$(PLM) down

status: .venv/.synced ## What runs, what is wrong, what to do next
	@$(PLM) status

demo: .venv/.synced ## Kill a node while it holds a payment; see it settle once, over another route
	@$(PLM) demo

check: .venv/.synced ## All that needs no cluster: lint, types, layers, generated files, manifests, unit and property tests
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy .
	@.venv/bin/lint-imports
	@.venv/bin/codespell
	@$(UV) lock --check --quiet
	@$(PLM) tools helm > /dev/null
	@$(PYTEST) -q -n auto --dist loadfile --max-worker-restart=0 -m "not stores and not cluster"

test: check ## All that must hold, from unit tests to kills on a running cluster
	@$(PLM) tools --with-test-servers
	@$(PYTEST) -m stores
	@$(PYTEST) -m cluster

bench: .venv/.synced ## Side-by-side timings against named peers: a table, JSON, ratios (ONLY=router, ledger, payments)
	@$(UV) sync --frozen --quiet --group bench
	@trap '$(UV) sync --frozen --quiet' EXIT; .venv/bin/python -m bench $(ONLY)

images: .venv/.synced ## Build the container images, without registry or daemon
	@$(PLM) images

generate: .venv/.synced ## Write all generated files anew
	@cd services && ../.venv/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. plm/wire/plm.proto
	@.venv/bin/python -m plmkit.mesh_values
	@.venv/bin/python -m plmop.crds
	@.venv/bin/python -m plm.gateway.openapi
	@$(EXPORT) --extra migrate --extra ledger --extra node --extra gateway -o images/services/requirements.txt
	@$(EXPORT) --extra operator -o images/operator/requirements.txt

fmt: .venv/.synced ## Format the code
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

clean: ## Remove what was made inside the checkout (caches and state elsewhere stay)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.synced: pyproject.toml uv.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "plm needs Python 3.11 or newer as python3: apt-get update && apt-get install python3"; exit 3; }
	@python3 -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv; } \
	  || { echo "python3 has no venv module: apt-get update && apt-get install python3-venv"; exit 3; }
	@test -x $(UV) || { python3 -m venv .venv && .venv/bin/python -m pip install --quiet uv==$(UV_VERSION); }
	@$(UV) sync --frozen --quiet
	@touch $@
