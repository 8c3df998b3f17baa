# make help lists what there is. Everything happens in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV   ?= .venv
# Another torch build: make clean, then make TORCH="torch>=2.11" demo (PyPI's wheel for your machine; on Linux it brings
# CUDA); TORCH_ARGS="--index-url URL" takes it from somewhere else.
TORCH  ?= torch==2.13.0
TORCH_ARGS ?=
# The paper's experiments: make sweep FIG=fig2_curves, make paper SCALE=mini SEEDS=3, make sweep FIG=all ARGS=--dry-run,
# and as much of it as two hours allow: make paper SCALE=paper HOURS=2
SCALE    ?= mini
SEEDS    ?= 1
ifdef HOURS
LAUNCHER ?= local
PAPER    := campaign.py paper --hours $(HOURS)
else
LAUNCHER ?= joblib
PAPER    := sweep.py paper
endif
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install demo docs bench test test-long test-all mutants audit torture lint format run sweep paper collect figures report clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt Makefile
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q $(TORCH_ARGS) "$(TORCH)"
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

install: $(VENV)/.installed ## make .venv and install into it

demo: $(VENV)/.installed ## fill in a picture of which four pixels in five are missing: two minutes on two CPU cores
	$(BIN)/python examples/demo.py $(ARGS)

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	touch $@

docs: $(VENV)/.docs ## build the documentation into site/; a broken link fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

run: $(VENV)/.installed ## any run: make run ARGS="task=inpaint image=chelsea scale=mini"
	$(BIN)/python run.py $(ARGS)

sweep: $(VENV)/.installed ## one experiment's missing runs, then its tables: make sweep FIG=fig2_curves SCALE=mini SEEDS=1
	$(if $(FIG),,$(error FIG=... names an experiment; FIG=paper is every one of the paper, FIG=all every one))
	$(BIN)/python scripts/sweep.py $(FIG) --scale $(SCALE) --seeds $(SEEDS) --launcher $(LAUNCHER) $(ARGS)

paper: $(VENV)/.installed ## the paper's missing runs, tables, figures; those that fit into HOURS: make paper SCALE=paper HOURS=2
	$(BIN)/python scripts/$(PAPER) --scale $(SCALE) --seeds $(SEEDS) --launcher $(LAUNCHER) $(ARGS); \
	status=$$?; $(BIN)/python scripts/figures.py && exit $$status

collect: $(VENV)/.installed ## fold finished runs into results/tables
	$(BIN)/python scripts/collect.py --scale $(SCALE)

figures: $(VENV)/.installed ## every figure and table from what is committed, in seconds
	$(BIN)/python scripts/figures.py

report: $(VENV)/.installed ## a page on which all runs can be filtered, sorted and compared: results/report/index.html
	$(BIN)/python scripts/report.py $(ARGS)

bench: $(VENV)/.installed ## what a step costs beside the paper's loop: a quarter of an hour, on an idle machine
	$(BIN)/python scripts/bench/steps.py $(ARGS)

test: $(VENV)/.installed ## the default test suite: offline, on a CPU, about four minutes on two cores
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

test-long: $(VENV)/.installed ## those that start whole programs: five minutes more, before a change is merged
	$(BIN)/python -m pytest -q -n auto --dist loadgroup -m 'long and not slow and not gpu and not network'

test-all: $(VENV)/.installed ## every test: the slow, gpu and network ones too
	$(BIN)/python -m pytest -q -n auto --dist loadgroup -m ''

torture: $(VENV)/.installed ## kill runs at every write and at random moments, and compare the bits: ten minutes of one core
	$(BIN)/python scripts/torture.py $(ARGS)

mutants: $(VENV)/.installed ## change the code in one place at a time, and list what no test notices: half an hour of one core
	nice -n 10 $(BIN)/python scripts/mutants.py $(ARGS)

$(VENV)/.audit: $(VENV)/.installed
	$(BIN)/python -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install -q 'pip-audit>=2.7,<3'
	touch $@

audit: $(VENV)/.audit ## known vulnerabilities of what is installed, by PyPI's database, and a bill of materials: sbom.json
	SITE=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	$(VENV)/audit/bin/pip-audit --path "$$SITE" --progress-spinner off -f cyclonedx-json -o sbom.json; \
	$(VENV)/audit/bin/pip-audit --path "$$SITE" --progress-spinner off --strict

lint: $(VENV)/.installed ## format check, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(VENV)/.installed ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and caches; results stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build *.egg-info
