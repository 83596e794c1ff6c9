# Everything from a fresh clone: `make demo`, `make test`. `make` alone prints the list.
# The environment lives in .venv and comes from the hash lock; nothing is installed outside it but mosquitto, and
# libmodbus with a C compiler for the tests of its bench.

PYTHON ?= python3
DEB_PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
DEB_ARGS ?=
PYTEST_ARGS ?=
PROOF_ARGS ?=
MUTATION_ARGS ?=
TEETH_ARGS ?=
COVERING := tests/core $(addprefix tests/agent/test_,gate.py gate_edges.py fence.py) -m "not slow" --timeout 600
CLUSTERED := tests/cluster tests/hil/test_brokers.py tests/hil/test_live_aggregator.py tests/runtime/test_mqtt.py -m slow
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Stamps carry the hash of what they were made from, so a re-run, a checkout or a deleted file needs no clock.
BASE := $(shell $(PYTHON) -c 'import sys; print(sys.executable, *sys.version_info[:2])' 2>&1)
PRODUCT := pyproject.toml $(sort $(shell find agent drivers -type f ! -path '*/__pycache__/*'))
LOCKED := $(shell echo '$(BASE)' | cat - requirements/dev.txt | sha256sum | cut -c 1-16)
DEPENDENCIES := $(VENV)/dependencies-$(LOCKED)
INSTALLED := $(VENV)/installed-$(shell { echo $(LOCKED); sha256sum $(PRODUCT); } | sha256sum | cut -c 1-16)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help env mosquitto libmodbus rabbitmq demo cluster test quick proof mutation teeth hazards coverage lint format lock sbom deb deb-check clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(INSTALLED) ## build .venv from the hash lock and install the compiled product into it

mosquitto: ## install the MQTT broker that demo and tests start for themselves, if it is missing
	@scripts/mosquitto.sh

libmodbus: ## install libmodbus and a C compiler, the peer that `hil bench wire` builds, if they are missing
	@scripts/libmodbus.sh

rabbitmq: ## install RabbitMQ, of which `make cluster` starts three nodes for itself, if it is missing
	@scripts/rabbitmq.sh

demo: env mosquitto ## the whole system in simulation, told as a story; DEMO_ARGS="--seconds 180 --json demo.json"
	@$(BIN)/python -m hil demo --report out/demo $(DEMO_ARGS)

test: env mosquitto libmodbus lint ## linters, types, import rules, all tests
	@$(BIN)/python scripts/tests.py $(PYTEST_ARGS)

cluster: env rabbitmq ## what needs a real broker, on three nodes of RabbitMQ: the same tests, and nodes that are killed
	@$(BIN)/python -m pytest --brokers cluster $(CLUSTERED) $(PYTEST_ARGS)

quick: env mosquitto libmodbus lint ## the same without the slow parts
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

proof: env ## each theorem of the safety core in words, proved by z3 on the shipped source; PROOF_ARGS="I3 --json"
	@$(BIN)/python -m tests.proof $(PROOF_ARGS)

mutation: env ## small mistakes in what decides, one at a time: how many do tests and theorems find; MUTATION_ARGS="agent.gate"
	@$(BIN)/python -m tests.mutation $(MUTATION_ARGS)

teeth: env ## plant defects in a copy of the source and show which check of the bench finds each; TEETH_ARGS="reserve_ignored"
	@$(BIN)/python -m hil teeth $(TEETH_ARGS)

hazards: env ## every hazard row measured anew, at the worst of eight instants, and kept in hil/results
	@$(BIN)/python -m hil coverage --backend virtual --backend process --keep

coverage: env ## the tests of agent.core and the gate alone must take every line and branch of them
	@$(BIN)/python -m coverage run -m pytest -q $(COVERING)
	@$(BIN)/python -m coverage report

lint: env ## ruff, mypy --strict, import rules
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check || { echo 'hint: make format' >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --cache-dir .import_linter_cache >$(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@tail -n 1 $(VENV)/imports.log

format: env ## sort imports and format the source
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format

lock: env ## renew requirements/*.txt to the newest versions that pyproject.toml allows
	@$(PYTHON) -m venv $(VENV)/lock
	@$(VENV)/lock/bin/pip install -qq --require-hashes --only-binary=:all: -r requirements/lock.txt
	@scripts/lock.sh $(VENV)/lock/bin/uv $(BIN)/pip

sbom: env ## write dist/batteryd_VERSION.cdx.json: every package of a gateway, with hashes and licences (CycloneDX)
	@$(BIN)/python scripts/sbom.py

deb: ## build dist/batteryd_VERSION_amd64.deb, on Debian 12; the same commit gives the same bytes
	@$(DEB_PYTHON) scripts/deb.py $(DEB_ARGS)

deb-check: ## prove the package in a booted Debian 12 container; needs root, debootstrap, systemd-container
	@scripts/deb-check.sh

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) build dist out *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find agent drivers hil tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(DEPENDENCIES): requirements/dev.txt
	@scripts/venv.sh $(PYTHON) $(VENV)
	@echo 'env: installing the locked dependencies'
	@$(BIN)/pip install -qq --require-hashes --only-binary=:all: -r requirements/dev.txt
	@rm -f $(VENV)/dependencies-* && touch $@

# The demo and the benches start what a gateway runs: installed and compiled, not the source tree.
$(INSTALLED): $(DEPENDENCIES)
	@echo 'env: installing batteryd, batteryctl'
	@rm -rf build *.egg-info
	@$(BIN)/pip install -qq --no-deps --no-index --no-build-isolation --force-reinstall --no-compile .
	@rm -rf build *.egg-info
	@$(BIN)/python -m compileall -q $(VENV)/lib
	@rm -f $(VENV)/installed-* && touch $@
