"""The benchmark of a recipe in memory runs, and both pipelines do the like."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from oracles import oracle_is_there
from places import ROOT

pytestmark = pytest.mark.bench


@oracle_is_there("albumentations")
def test_it_measures_both(tmp_path):
    command = [
        sys.executable,
        "benchmarks/pipeline.py",
        "--rounds",
        "1",
        "--calls",
        "2",
        "--out",
        str(tmp_path / "out.json"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found) == {"augpipe", "albumentations", "ratio"}
    assert all(value > 0 for value in found.values())
