# Every target sets up what it needs in a virtual environment of the project's own.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# uv installs in a quarter of pip's time; where it cannot (an index that only pip is set up for), pip does.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check uv && \
  { VIRTUAL_ENV=$(VENV) UV_NATIVE_TLS=1 $(BIN)/python -m uv pip install --quiet $(1) || \
    $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check $(1); }

# What the benchmarks measure against.
PEERS = torch==2.13.0 timm==1.0.31

# In CI a skipped test fails the run, unless it lacks a GPU, a TPU and the like (tests/no_skips.py).
PYTEST = -m pytest -n auto --maxprocesses=4 --dist=loadfile $(if $(CI),--fail-on-skips)

LONG_TOO = -m "not slow and not network"

# Coverage is measured by sys.monitoring, which Python has from 3.12 on. Below, the tracer takes a third longer: only with COVERAGE=1.
SYSMON = $(shell $(BIN)/python -c 'import sys; print("COVERAGE_CORE=sysmon" * (sys.version_info >= (3, 12)))')
MEASURED = $(if $(SYSMON)$(COVERAGE),--cov=tl_keras --cov-report=term:skip-covered)

# What a few tests need beside `dev`: JAX, a TPU's compiler, KerasHub, TensorFlow Serving's messages, Apache Beam. KerasHub and the two
# after it name TensorFlow as what they need, which would lie upon tensorflow-cpu; Beam and proto-plus want an older protobuf, pyarrow and
# Pillow than all else is tested with, and run with these: they come alone, and what else KerasHub and Beam need is named.
CI_EXTRAS = --editable '.[jax,tpu-check]' kagglehub regex rich sentencepiece tokenizers \
  beartype dnspython fastavro fasteners httplib2 jsonpickle objsize pymongo pytz sortedcontainers zstandard
CI_EXTRAS_ALONE = keras-hub 'tensorflow-text>=2.21,<2.22' 'tensorflow-serving-api>=2.21,<2.22' 'apache-beam>=2.77,<2.78' proto-plus

# Where it is set, as in many images of containers, and uv has installed, every process compiles TensorFlow's Python again: 15 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo ci-extras test test-long test-notebooks test-slow test-oldest test-keras-versions bench check format audit-packages docs gallery clean

demo: $(VENV)/installed  ## trains, compares the three methods and exports, with no download
	$(BIN)/python -m tl_keras.demo --workdir=demo_run

ci-extras: $(VENV)/installed-ci  ## all that the tests can use, so that none is skipped; Chromium where apt may install it
	@command -v chromium google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update --quiet=2 && \
	    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends chromium >/dev/null; } || \
	  { echo "error: Chromium is needed, and only root on Debian can install it here. Install it, so that chromium or google-chrome" \
	    "is found."; exit 2; }

test: $(VENV)/installed-dev  ## the default suite, offline; in CI the long tests too
	$(SYSMON) $(BIN)/python $(PYTEST) $(MEASURED) $(if $(CI),$(LONG_TOO))

test-long: $(VENV)/installed-dev  ## the tests that train, export and serve whole runs
	$(BIN)/python $(PYTEST) -m "long and not slow and not network"

test-notebooks: $(VENV)/installed-dev  ## the notebooks from top to bottom
	$(BIN)/python $(PYTEST) -m slow tests/colab

test-slow: $(VENV)/installed-dev  ## every backbone, and what takes minutes
	$(BIN)/python -m pytest -m slow

test-oldest:  ## the default suite on the oldest supported TensorFlow and Keras
	$(MAKE) VENV=.venv-oldest .venv-oldest/installed-oldest
	.venv-oldest/bin/python $(PYTEST) $(LONG_TOO)

# The last patch of each minor version. EfficientNet is refused on 3.11, which does not load its weights.
KERAS_VERSIONS ?= 3.10 3.11 3.12 3.13 3.14 3.15

test-keras-versions: $(KERAS_VERSIONS:%=test-keras-%)  ## import, build, one epoch and the private parts on each minor version

test-keras-%:
	$(MAKE) VENV=.venv-keras-$* .venv-keras-$*/installed-keras-$*
	.venv-keras-$*/bin/python -m pytest -m "slow or not slow" tests/test_keras_internals.py tests/test_keras_versions.py

bench: $(VENV)/installed-bench  ## the parts of docs/benchmarks.md, against peers; two to three hours
	$(BIN)/python -m benchmarks --torch_python=$(VENV)-peers/bin/python
	$(BIN)/python -m benchmarks.table

check: $(VENV)/installed-dev  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# pip-audit lies in an environment of its own, so that it is no part of what it looks at.
audit-packages: $(VENV)/installed  ## known vulnerabilities of the installed packages; needs the network
	@[ -x $(VENV)-audit/bin/pip-audit ] || { $(PYTHON) -m venv $(VENV)-audit && \
	  $(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; } >$(VENV)/audit.log 2>&1 || \
	  { echo "error: pip-audit could not be installed: $$(tail -n 1 $(VENV)/audit.log). Run it where there is a network."; exit 2; }
	@$(BIN)/python -c 'import importlib.metadata as m; print(*sorted({f"{d.name}=={d.version}" for d in m.distributions() \
	  if d.name != "tl_keras"}), sep="\n")' >$(VENV)/audit.txt
	@$(VENV)-audit/bin/pip-audit --no-deps --disable-pip --progress-spinner=off --requirement $(VENV)/audit.txt >$(VENV)/audit.out \
	  2>$(VENV)/audit.log; status=$$?; all=$$(wc -l <$(VENV)/audit.txt); \
	  unknown=$$(grep -c 'could not be audited' $(VENV)/audit.out); \
	  if [ $$unknown -ge $$all ] || ! grep -qi 'known vulnerabilit' $(VENV)/audit.log; then \
	  echo "error: the vulnerability service answered for no package, nothing was checked. Run it where there is a network."; exit 2; fi; \
	  grep -v 'could not be audited' $(VENV)/audit.out; tail -n 1 $(VENV)/audit.log; \
	  echo "$$unknown of $$all packages could not be looked up"; exit $$status

docs: $(VENV)/installed-docs  ## the pages and docstrings as a site, in site/
	$(BIN)/python tools/list_errors.py
	$(BIN)/mkdocs build

gallery: $(VENV)/installed-dev  ## three real reports as pictures in docs/images; needs TL_KERAS_TEST_DATA and Chromium
	$(BIN)/python tools/gallery.py

clean:
	rm -rf .venv .venv-audit .venv-oldest .venv-keras-* .venv-peers demo_run gallery site

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "error: Python 3.10 or newer is needed. Received: $$($(PYTHON) --version). Use: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: setup.cfg | $(VENV)/bin/python
	$(call INSTALL,--editable '.[cpu]')
	@touch $@

$(VENV)/installed-dev: setup.cfg | $(VENV)/bin/python
	$(call INSTALL,--editable '.[dev]')
	@touch $@ $(VENV)/installed

$(VENV)/installed-ci: $(VENV)/installed-dev
	$(call INSTALL,$(CI_EXTRAS))
	$(call INSTALL,--no-deps $(CI_EXTRAS_ALONE))
	@touch $@

$(VENV)/installed-docs: setup.cfg | $(VENV)/bin/python
	$(call INSTALL,--editable '.[docs]')
	@touch $@

$(VENV)/installed-oldest: setup.cfg requirements-oldest.txt | $(VENV)/bin/python
	$(call INSTALL,--editable '.[dev]' --constraint requirements-oldest.txt)
	@touch $@

$(VENV)/installed-keras-%: setup.cfg | $(VENV)/bin/python
	$(call INSTALL,--editable '.[cpu]' pytest==9.2.0 pytest-xdist==3.8.0 'keras==$*.*')
	@touch $@

$(VENV)/installed-bench: setup.cfg | $(VENV)/bin/python
	$(call INSTALL,--editable '.[dev]')
	$(MAKE) VENV=$(VENV)-peers $(VENV)-peers/bin/python
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check $(PEERS)
	@touch $@ $(VENV)/installed-dev $(VENV)/installed
