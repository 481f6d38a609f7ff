# `make help` lists the targets. Everything happens in .venv; nothing outside this folder is changed,
# but by `make servers` and `make cluster-up`, which fill a cache.
PYTHON ?=
ARGS ?=
PYTEST_ARGS ?=
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup runtime up test servers cluster-up cluster-down test-cluster lint bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 14

setup: ## make .venv with pinned versions (PYTHON=python3.13 takes another Python)
	@sh tools/setup.sh dev

runtime:
	@sh tools/setup.sh runtime

up: runtime ## run the main job on the demo and serve its report; Ctrl-C stops (ARGS="--port 8080")
	@exec .venv/bin/stellwerk up $(ARGS)

lint: setup ## ruff, mypy and the import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

test: lint ## the whole suite (PYTEST_ARGS="-k money" takes a part)
	.venv/bin/pytest $(PYTEST_ARGS)

servers: ## Prometheus and VictoriaMetrics for the tests that read from them, into ~/.cache/stellwerk
	@sh tools/servers/bring.sh

cluster-up: setup ## a real Kubernetes with Kueue, Karpenter and KWOK on loopback (built with Go, once 20 minutes)
	@.venv/bin/python -m tools.cluster up

cluster-down: setup ## stop it
	@.venv/bin/python -m tools.cluster down

test-cluster: setup ## the tests that need it, on clusters of their own
	@.venv/bin/python -m tools.cluster build
	.venv/bin/pytest tests/cluster $(PYTEST_ARGS)

bench: setup ## figures as ratios
	.venv/bin/python -m benchmarks $(ARGS)

lock: ## write requirements*.txt anew from pyproject.toml (ARGS=--upgrade takes newer versions)
	@sh tools/lock.sh $(ARGS)

clean: ## remove .venv, caches and build output
	rm -rf .venv build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
