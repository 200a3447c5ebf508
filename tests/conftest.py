"""What the tests share: a dataset of each kind and finished runs of them, made once a session."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import datasets
import devices
import pytest
from hypothesis.internal.conjecture import providers
from processor_time import pytest_addoption, pytest_runtest_call, pytest_runtest_setup, pytest_terminal_summary

__all__ = ["pytest_addoption", "pytest_runtest_call", "pytest_runtest_setup", "pytest_terminal_summary"]

# Progress and help must not depend on the terminal that runs the tests.
os.environ["COLUMNS"] = "100"
os.environ["NO_COLOR"] = "1"

# Where Python is told not to keep what it compiles, each of the many processes would compile augpipe anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if "AUGPIPE_FUZZ" not in os.environ and hasattr(providers, "_get_local_constants"):
    # Hypothesis also draws constants that stand in the modules which happen to be loaded: examples would depend on
    # what runs beside them, and on every number in the code.
    nothing = providers.Constants(**{name: type(values)() for name, values in vars(providers.GLOBAL_CONSTANTS).items()})
    providers._get_local_constants = lambda: nothing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that the processes among which files are dealt out end at the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def voc(tmp_path_factory) -> Path:
    return datasets.make_voc(tmp_path_factory.mktemp("voc") / "voc")


@pytest.fixture(scope="session")
def parted_voc(tmp_path_factory) -> Path:
    """Its lists are the splits train and val."""
    return datasets.make_voc(tmp_path_factory.mktemp("parted") / "voc", lists=("train", "val"))


@pytest.fixture(scope="session")
def coco(tmp_path_factory) -> Path:
    return datasets.make_coco(tmp_path_factory.mktemp("coco") / "coco")


@pytest.fixture(scope="session")
def masks_folder(tmp_path_factory) -> Path:
    return datasets.make_masks(tmp_path_factory.mktemp("masks") / "set")


@pytest.fixture(scope="session")
def classes_folder(tmp_path_factory) -> Path:
    return datasets.make_classes(tmp_path_factory.mktemp("classes") / "set")


@pytest.fixture(scope="session", params=devices.NAMES)
def _accelerator(request):
    return devices.make(request.param)


@pytest.fixture
def accelerator(_accelerator):
    """What runs the kernels: the C++ build everywhere, a CUDA device where there is one."""
    yield _accelerator
    assert not getattr(_accelerator, "damaged", None), "a kernel wrote beside its memory"
