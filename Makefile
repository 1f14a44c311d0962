# `make demo` and `make test` need only Python >= 3.11, git and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints/cpu.txt
# More options for pip, e.g. an index with other torch builds: README, "Install".
PIP_OPTIONS ?=
SEED ?= 1
# For `make bench` and `make bench-quality`: a folder in BEIR layout, a Python with FlagEmbedding, and
# the folder `scripts` of FlagEmbedding's repository, which its package does not have.
DATA ?=
PEERS ?= build/peers/bin/python
SCRIPTS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1

# pip compiles one file after the other, and compileall on every core; some files are templates.
pip_install = $(BIN)/python -m pip install --quiet --no-compile $(PIP_OPTIONS) --constraint $(CONSTRAINTS) $(1) \
  && { $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true; }

.PHONY: install develop demo test test-slow lint lock clean peers bench bench-quick bench-quality

install: $(VENV)/.installed
develop: $(VENV)/.developed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("strop needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "Installing strop into $(VENV) (a minute or two)"
	@$(call pip_install,--editable .)
	@touch $@

$(VENV)/.developed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "Installing strop and the development tools into $(VENV) (two minutes or three)"
	@$(call pip_install,--editable '.[dev]')
	@touch $(VENV)/.installed $@

demo: install
	@$(BIN)/strop demo --seed $(SEED)

lint: develop
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: develop
	$(BIN)/pytest -m slow

# The peers' own environment: FlagEmbedding does not run with transformers 5. Torch is strop's.
peers:
	@test -x build/peers/bin/python || $(PYTHON) -m venv build/peers
	@echo "Installing FlagEmbedding and Tevatron into build/peers"
	@build/peers/bin/python -m pip install --quiet $(PIP_OPTIONS) 'FlagEmbedding==1.4.2' 'transformers<5' datasets faiss-cpu peft $(shell grep '^torch==' $(CONSTRAINTS))
	@build/peers/bin/python -m pip install --quiet $(PIP_OPTIONS) --no-deps 'tevatron==0.1.0'

bench bench-quick: develop
	$(BIN)/python -m benchmarks.speed $(DATA) --peers $(PEERS) $(if $(SCRIPTS),--scripts $(SCRIPTS)) $(if $(filter bench-quick,$@),--quick)

# Are the rerankers better? QUICK=1 is a look of some minutes; what was made is kept and goes on.
bench-quality: develop
	$(BIN)/python benchmarks/quality/run.py $(DATA) --peers $(PEERS) --scripts $(SCRIPTS) --out build/quality/$(notdir $(DATA:/=)) $(if $(QUICK),--quick)

clean:
	rm -rf $(VENV) build dist *.egg-info

# Renews the lock file from what is installed now.
lock: develop
	@{ echo '# The versions that strop is developed and tested with: Linux and macOS, CPU. Made by `make lock`.'; \
	  $(BIN)/python -m pip list --format=freeze --exclude strop --exclude pip --exclude setuptools --exclude wheel \
	  | sed 's/+cpu$$//' | LC_ALL=C sort -f; } > $(CONSTRAINTS).new && mv $(CONSTRAINTS).new $(CONSTRAINTS)
