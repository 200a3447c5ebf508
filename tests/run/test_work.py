"""A guard against slowness that a busy machine cannot disturb: what a sample takes, counted and not timed.

The budget is what it took when it was written down; a tenth more fails. So does much less, as a budget that is too wide
guards nothing: then the new numbers belong here. What is counted is told in ``work_probe.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from places import HELPERS

PROBE = HELPERS / "work_probe.py"
TOLERANCE = 0.10
WIDEST = 0.75
"""A measure below that share of its budget has outgrown it."""

BUDGET = {
    "decodes": 0.25,  # one for four copies
    "encodes": 1.0,
    "remaps": 15.0,  # one warp, in blocks of rows
    "opencv": 24.2,
    "python": 498.0,
    "pictures": 3.35,
    "pages": 12.0,  # of 225 that a picture has: none, on most systems
}
MAY_BE_NOTHING = ("pages",)

CAUGHT = {
    "a second decode": "decodes",
    "a second encode": "encodes",
    "a second warp": "remaps",
    "a copy of the picture": "pictures",
    "labels moved twice": "python",
    "memory asked of the system": "pages",
}


def beyond(counts, budgets=BUDGET):
    """The measures that are over their budget."""
    return {name for name, budget in budgets.items() if counts[name] > budget * (1.0 + TOLERANCE)}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    command = [sys.executable, str(PROBE), str(tmp_path_factory.mktemp("work"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_sample_takes_no_more_than_its_budget(found):
    assert found["as it is"].keys() == BUDGET.keys()
    assert not beyond(found["as it is"]), found["as it is"]


def test_the_budget_is_not_too_wide(found):
    outgrown = {
        name: found["as it is"][name] for name, budget in BUDGET.items() if found["as it is"][name] < WIDEST * budget
    }
    assert not outgrown.keys() - {*MAY_BE_NOTHING}, f"write down what it takes now: {outgrown}"


def test_counting_twice_gives_the_same(found):
    first, again = (dict(found[name]) for name in ("as it is", "again"))
    assert abs(first.pop("pages") - again.pop("pages")) <= BUDGET["pages"]
    assert first == pytest.approx(again, rel=0.002)


@pytest.mark.parametrize(("change", "measure"), CAUGHT.items())
def test_a_careless_change_is_caught(found, change, measure):
    """By a budget that has just been written down."""
    exact = {**found["as it is"], "pages": BUDGET["pages"]}
    assert not beyond(found["as it is"], exact)
    assert measure in beyond(found[change], exact), found[change]


def test_every_change_is_looked_for(found):
    assert found.keys() - {"as it is", "again"} == CAUGHT.keys()
    assert {*CAUGHT.values()} | {"opencv"} == BUDGET.keys()
