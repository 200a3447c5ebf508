"""The lowest versions are declared, and where ``make lowest`` runs the tests they are what is there."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from installing import names_of
from lowest import lowest


def test_every_requirement_has_one():
    assert "numpy==2" in lowest()
    assert [line for line in lowest() if not re.fullmatch(r"[\w-]+==\d[\d.]*", line)] == []
    assert {line.partition("==")[0] for line in lowest()} == {*names_of(), *names_of("train")} - {"torch"}


@pytest.mark.skipif(Path(sys.prefix).name != "lowest", reason="is for make lowest, whose environment has them")
@pytest.mark.parametrize("line", lowest())
def test_they_are_installed(line):
    name, _, version = line.partition("==")
    found = metadata.version(name)
    assert f"{found}.0.0".startswith(f"{version}.") or f"{version}.0.0".startswith(f"{found}.")
