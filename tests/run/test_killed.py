"""`kill -9` of a whole run, and going on: the same bytes, and what was finished stays untouched.

`python tests/helpers/killed.py SRC` does the same with a real set.
"""

from __future__ import annotations

import random

import datasets
import pytest
from killed import Moment, drawn, kill_and_go_on, undisturbed

pytestmark = pytest.mark.slow

OPTIONS = ("--recipe", "detection", "--copies", "6", "--seed", "7", "--workers", "2")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return datasets.make_voc(tmp_path_factory.mktemp("killed") / "voc", 128)


@pytest.fixture(scope="module")
def wanted(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wanted") / "out"
    return folder, undisturbed(source, folder, OPTIONS)


def test_killed_at_records_and_at_random_it_goes_on_to_the_same_bytes(source, wanted, tmp_path):
    folder, seconds = wanted
    moments = [Moment(records=n) for n in (1, 4, 9)]
    moments += drawn(random.Random(), 3, 16, seconds / 8)
    killed = kill_and_go_on(source, tmp_path / "out", OPTIONS, moments, folder)
    assert killed.problems == [], f"{killed.problems}, killed at {', '.join(str(m) for m, _ in killed.kills)}"
    assert [there for _, there in killed.kills][:3] >= [1, 4, 9]
    assert killed.kept >= 9
