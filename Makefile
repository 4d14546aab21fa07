# `make` alone lists the targets. Every target sets up what it needs; a second call repeats nothing.
.DEFAULT_GOAL := help
.PHONY: help setup lock demo test feast-suite lint bench bench-pit bench-online bench-encode soak clean FORCE
.DELETE_ON_ERROR:

VENV := .venv
CACHE := .cache
PYTHON := $(VENV)/bin/python
STAMP := $(CACHE)/setup.stamp
CODE := encoders pipelines feature_repo benchmarks tests

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Python packages, Java, Delta's jars and the bundled encoders, once

# A deleted environment is made again even though the stamp still stands.
ifeq ($(wildcard $(PYTHON)),)
$(STAMP): FORCE
endif
$(STAMP): requirements.lock pyproject.toml pipelines/environment/venv.sh pipelines/environment/java.py \
		pipelines/environment/jars.py $(wildcard encoders/bundled.py encoders/compact/* encoders/static/*)
	@mkdir -p $(CACHE)
	@sh pipelines/environment/venv.sh $(VENV)
	@$(PYTHON) -m pipelines.environment.java --cache $(CACHE)
	@$(PYTHON) -m pipelines.environment.jars --cache $(CACHE)
	@$(PYTHON) -m encoders prepare --cache $(CACHE)
	@touch $@

demo: setup ## The whole way on the sample shop, below .cache/demo
	@$(VENV)/bin/mmfs demo

test: setup ## All tests, in two processes; more arguments: make test ARGS="-k delta"
	@$(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

feast-suite: setup ## Feast's offline-store suite on ours: make feast-suite FEAST_SRC=<checkout of Feast>
	@$(PYTHON) -m tests.feast_suite.run "$(FEAST_SRC)" $(ARGS)

lint: setup ## ruff and mypy
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy $(CODE)

bench: setup ## Measure; results below .cache
	@$(PYTHON) -m benchmarks $(ARGS)

bench-pit: setup ## Point-in-time joins against stock Feast and DuckDB, and how large they may get
	@$(PYTHON) -m benchmarks point_in_time point_in_time_size

bench-online: setup ## Online reads and HTTP against stock Feast and the Redis floor
	@$(PYTHON) -m benchmarks online

bench-encode: setup ## Pictures and texts to vectors, against what one could write instead; frames of films
	@$(PYTHON) -m benchmarks picture_encoding text_encoding thumbnails

soak: setup ## The long tests: endurance, and many more random examples
	@MMFS_SOAK=1 $(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m soak $(ARGS)

lock: ## Choose package versions anew (needs uv)
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --no-header \
		--universal --python-version 3.11 --output-file requirements.lock

clean: ## Remove the environment and everything set-up made
	rm -rf $(VENV) $(CACHE)
