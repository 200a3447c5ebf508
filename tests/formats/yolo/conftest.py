"""Conversions keep splits, so the dataset of these tests has some."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def voc(parted_voc) -> Path:
    return parted_voc
