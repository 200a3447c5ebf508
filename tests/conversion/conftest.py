"""Sets and folders that several tests of conversion look at."""

from __future__ import annotations

import shutil
from pathlib import Path

import datasets
import pytest
from dataset_folders import made


@pytest.fixture(scope="session")
def voc(parted_voc) -> Path:
    """Conversions keep splits, so the dataset of these tests has some."""
    return parted_voc


@pytest.fixture(scope="session")
def unsplit(tmp_path_factory) -> Path:
    """VOC without lists, hence without splits."""
    root = datasets.make_voc(tmp_path_factory.mktemp("unsplit") / "voc", 4)
    shutil.rmtree(root / "ImageSets")
    return root


@pytest.fixture(scope="session")
def yolo(unsplit, tmp_path_factory) -> Path:
    """A finished dataset of it; tests that change one work on copies."""
    folder = tmp_path_factory.mktemp("yolo") / "set"
    made(unsplit, folder, "yolo")
    return folder
