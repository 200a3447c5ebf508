"""A guard against slowness that a busy machine cannot disturb: what a run takes, counted and not timed.

The numbers are exact, and are of work on whole pictures; calls of functions are no business of a test. What is counted
is told in ``work_probe.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from places import HELPERS

PROBE = HELPERS / "work_probe.py"
EXPECTED = {
    "decodes": 4,  # a picture is decoded once for its four copies
    "encodes": 16,
    "warps": 16,  # one interpolation a sample
    "labels": 16,
    "copies": 24,  # a decoded picture and what is made of it
}
CAUGHT = {
    "a second decode": "decodes",
    "a second encode": "encodes",
    "a second warp": "warps",
    "a copy of the picture": "copies",
    "labels moved twice": "labels",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    command = [sys.executable, str(PROBE), str(tmp_path_factory.mktemp("work"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: {k: v for k, v in counts.items() if k != "calls"} for name, counts in json.loads(done.stdout).items()}


def test_a_run_takes_this_much_and_no_more(found):
    assert found["as it is"] == EXPECTED
    assert found["again"] == EXPECTED


@pytest.mark.parametrize(("change", "measure"), CAUGHT.items())
def test_a_careless_change_is_caught(found, change, measure):
    assert found[change][measure] > EXPECTED[measure]


def test_every_change_is_looked_for(found):
    assert found.keys() - {"as it is", "again"} == CAUGHT.keys()
    assert {*CAUGHT.values()} == EXPECTED.keys()
