# `make help` lists the targets. PYTHON chooses the interpreter that .venv is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO := demo
FACTOR := 50

# Other libraries that tests and benchmarks compare with. They lie beside the environment, without what they ask for:
# torchvision would bring another build of torch, and Ultralytics that, opencv-python, whose files replace those of the
# headless build, and much else. What they need of it is there, and augpipe itself is tested where they cannot be
# imported.
ORACLES := albumentations albucore simsimd stringzilla torchvision ultralytics

# What an extra for GPUs brings, beside the environment too: `unit` is without it, `gpu` with it, and neither needs a GPU.
GPU_LIBRARIES := cupy-cuda12x cuda-pathfinder nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12 nvidia-nvimgcodec-cu12
GPU_TESTS := $(addprefix tests/pixels/cuda/test_,nvrtc.py nvimgcodec.py probe.py cupy_device.py select.py)

# A process a core takes one file after the other, in the order of tests/conftest.py.
SHARED_OUT := --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

LOWEST := $(VENV)/lowest
LOWEST_TESTS := tests/house/test_lowest.py tests/house/test_docs.py tests/cli/test_cli.py tests/cli/test_recipes_cli.py \
	tests/run/test_run.py tests/run/engine/test_engines.py tests/formats/voc/test_voc.py tests/formats/coco/test_coco.py \
	tests/formats/yolo/test_yolo.py tests/conversion/test_convert.py tests/pixels/codec/test_codec.py \
	$(addprefix tests/labels/test_,shapes.py rle.py polygons.py) $(addprefix tests/recipe/test_,schema.py compile.py) \
	tests/train/test_loader.py tests/train/test_nodes.py tests/verification/test_verify.py tests/storage/test_archives.py

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format unit gpu lowest slim fuzz chaos peers bench bench-test clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 12

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.installed: $(VENV)/.demo
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.oracles: $(VENV)/.installed
	$(PIP) --no-deps --upgrade --target $(VENV)/oracles $(ORACLES)
	@touch $@

$(VENV)/.gpu: $(VENV)/.installed
	$(PIP) --no-deps --upgrade --target $(VENV)/gpu $(GPU_LIBRARIES)
	@touch $@

install: $(VENV)/.installed  ## make .venv with everything that is needed here

demo: $(VENV)/.demo  ## from photographs to a training DataLoader, in about a minute
	$(BIN)/python examples/demo.py $(DEMO)

test: lint unit gpu lowest slim  ## lint and all tests

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install  ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: $(VENV)/.oracles  ## all tests but those of bench-test, a process a core
	$(BIN)/python -m pytest -m "not bench" $(SHARED_OUT) $(MORE)

gpu: $(VENV)/.oracles $(VENV)/.gpu  ## tests of what uses CuPy, NVRTC and nvImageCodec, with them, on any machine
	PYTHONPATH=$(CURDIR)/$(VENV)/gpu LD_LIBRARY_PATH=$(CURDIR)/$(VENV)/gpu/nvidia/cuda_nvrtc/lib \
		$(BIN)/python -m pytest $(SHARED_OUT) $(GPU_TESTS)

# The lowest versions that pyproject.toml declares; what only tests need, and torch, is that of .venv.
$(LOWEST)/.installed: $(VENV)/.oracles tests/helpers/lowest.py
	$(PYTHON) -m venv $(LOWEST)
	$(BIN)/python tests/helpers/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(LOWEST)/constraints.txt --editable .
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(LOWEST)/constraints.txt --no-deps torchdata webdataset
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$($(LOWEST)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/zz_rest.pth"
	@touch $@

lowest: $(LOWEST)/.installed  ## tests with the lowest versions of everything that is declared
	$(LOWEST)/bin/python -m pytest $(SHARED_OUT) $(LOWEST_TESTS)

slim: install  ## what README says, as an ordinary user of a minimal Debian (as root, with mmdebstrap)
	$(BIN)/python tests/helpers/slim.py

fuzz: $(VENV)/.oracles  ## every parser and every conversion with FACTOR times as many files as make test
	AUGPIPE_FUZZ=$(FACTOR) $(BIN)/python -m pytest $(shell find tests -name 'test_fuzz_*.py') tests/conversion/test_convert_trips.py

chaos: install  ## 500 disturbed runs, 500 real processes, 100 from servers that fail: all come to the same bytes
	$(BIN)/python tests/helpers/chaos.py --runs 500 --seed 1
	$(BIN)/python tests/helpers/chaos_real.py --runs 500 --seed 1
	$(BIN)/python tests/helpers/chaos_servers.py --runs 100 --seed 1

$(VENV)/.peers: $(VENV)/.installed benchmarks/peers/requirements.txt benchmarks/peers/requirements-dali.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/peers \
		-r benchmarks/peers/requirements.txt -r benchmarks/peers/requirements-dali.txt
	@touch $@

peers: $(VENV)/.peers  ## bring the libraries that make bench compares with: 1.1 GB, most of it NVIDIA DALI

bench: peers  ## beside the peers on the CPU, operations and scaling: half an hour on a quiet machine
	$(BIN)/python benchmarks/cpu.py
	$(BIN)/python benchmarks/operations.py
	$(BIN)/python benchmarks/scaling.py

bench-test: $(VENV)/.oracles  ## tests that run the benchmarks and their peers, three minutes
	$(BIN)/python -m pytest -m bench tests/benchmarks

clean:  ## remove what the targets made
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
