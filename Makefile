# Everything runs on a machine with Python 3.11 or later, make and a package index. The rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Nothing here may reach anything but this machine, whatever the shell was set up for.
export AWS_EC2_METADATA_DISABLED := true
export SAM_CLI_TELEMETRY := 0

# The tests start hundreds of processes: what one of them has compiled the others need not compile again.
unexport PYTHONDONTWRITEBYTECODE

# uv reads neither pip's configuration nor, unless told so, the system's certificates: a mirror that pip knows must do for both.
export UV_SYSTEM_CERTS := true
PIPS_INDEX = index=$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}; \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index";

.DEFAULT_GOAL := help
.PHONY: help setup demo local test test-fast lint types validate build bench sim mutants pictures lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# What the command line loads, compiled at once: where Python is told to write no bytecode, each start would compile it anew.
STARTED := annotated_doc annotated_types boto3 botocore dateutil jmespath pydantic pydantic_core re2 rich s3transfer shellingham \
	six.py typer typing_extensions.py typing_inspection urllib3 yaml

setup: $(READY) ## Install everything into .venv

$(READY): requirements-bootstrap.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or later is needed, this is $$($(PYTHON) --version)"; echo "  do: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing into .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	@$(PIPS_INDEX) $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@$(BIN)/python -m compileall -q -j 2 cli layers/governor/python
	@cd "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && "$(CURDIR)/$(BIN)/python" -m compileall -q -j 2 $(STARTED)
	@touch $(READY)

demo: setup ## Tell the whole story on the embedded AWS: no account, no Docker
	@$(BIN)/ecr-governor demo

local: setup ## Run the deployed system on this machine until Ctrl+C; POLICY=policy.yaml for one of yours
	@$(BIN)/ecr-governor local up $(if $(POLICY),--policy $(POLICY))

# Three at a time on two cores, since they wait for one another's processes; in order, so that the long ones do not begin last.
test: setup lint types validate ## Everything that must hold, under 10 minutes on 2 cores
	@$(BIN)/python -m cli.build
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

test-fast: setup ## What needs neither build nor server, under a minute
	@$(BIN)/pytest -n 2 tests/unit tests/architecture

lint: setup ## Style, and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache

types: setup ## Strict types
	@$(BIN)/mypy layers/governor/python/ecr_governor cli local benchmarks
	@for function in functions/*/; do $(BIN)/mypy "$$function/app.py" || exit 1; done

validate: setup ## The template, as SAM and CloudFormation see it
	@AWS_DEFAULT_REGION=eu-west-1 AWS_ENDPOINT_URL=http://127.0.0.1:9 $(BIN)/sam validate --lint

ARCHITECTURE ?= arm64
build: export BUILD_PLATFORM = $(if $(filter x86_64,$(ARCHITECTURE)),x86_64,aarch64)-manylinux_2_28
build: setup ## Build for AWS into .aws-sam, without Docker; ARCHITECTURE=arm64 or x86_64, as it will be deployed
	@command -v python3.13 >/dev/null || { echo "error: no python3.13 on the PATH"; \
		echo "  why: Lambda runs Python 3.13, and only that version can compile the bytecode that makes cold starts quick"; \
		echo "  do:  install Python 3.13 and try again"; exit 1; }
	@PATH="$(CURDIR)/$(BIN):$$PATH" AWS_DEFAULT_REGION=eu-west-1 AWS_ENDPOINT_URL=http://127.0.0.1:9 \
		$(BIN)/sam build --parameter-overrides Architecture=$(ARCHITECTURE)

SCHEDULES ?= 100000
SEED ?= 0
sim: setup ## Play SCHEDULES schedules of retirement, from SEED on, against everybody who uses, changes and objects
	@$(BIN)/python -m tests.simulation.retirement --schedules $(SCHEDULES) --seed $(SEED)

mutants: setup ## Change core/retirement in all small ways, and see that a test notices; MODULE=decide for one module
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.mutation $(MODULE)

PEERS := .build/bench
DEPLOYED := .build/bench-deployed
bench: setup $(PEERS)/.ready $(DEPLOYED)/.ready ## What a check and an event cost, compared with Cloud Custodian; ARGS="--help" tells more
	@$(BIN)/python -m benchmarks.compare $(ARGS)

$(PEERS)/.ready: $(READY) benchmarks/requirements-peers.txt
	@echo "installing Cloud Custodian into $(PEERS)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS)
	@$(PIPS_INDEX) $(BIN)/uv pip sync --quiet --python $(PEERS)/bin/python --require-hashes --compile-bytecode benchmarks/requirements-peers.txt
	@touch $@

$(DEPLOYED)/.ready: $(READY) layers/dependencies/requirements.txt
	@echo "installing what is deployed into $(DEPLOYED)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(DEPLOYED)
	@$(PIPS_INDEX) $(BIN)/uv pip sync --quiet --python $(DEPLOYED)/bin/python --require-hashes --compile-bytecode layers/dependencies/requirements.txt
	@touch $@

pictures: demo ## The pictures of the Slack page, of reports, of the dashboard and of terminals, anew; needs Chromium
	@$(BIN)/python -m benchmarks.pictures docs/images out/demo/slack.html
	@$(BIN)/python -m benchmarks.terminals docs/images

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate
lock: ## Lock all requirements anew, with hashes
	$(LOCK) pyproject.toml --all-extras -o requirements-dev.txt
	$(LOCK) pyproject.toml -c requirements-dev.txt -o layers/dependencies/requirements.txt
	echo 'uv>=0.13' | $(LOCK) - -o requirements-bootstrap.txt
	printf 'awslambdaric>=4.2\ntime-machine>=3.6\n' | $(LOCK) - -c requirements-dev.txt -o local/lambdas/requirements.txt
	echo 'c7n==0.9.53' | $(LOCK) - -o benchmarks/requirements-peers.txt

clean: ## Remove all that was made
	rm -rf .venv .build .aws-sam out .mypy_cache .ruff_cache .pytest_cache .hypothesis
