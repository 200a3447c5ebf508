"""Rows of KITTI and VisDrone that are almost right, or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from builders import encoded, photo
from fuzzing import ODD_NUMBERS, ODD_TEXTS, damaged, fuzzed, only_our_errors, turn, use
from hypothesis import given
from hypothesis import strategies as st

ROWS = {
    "kitti": (
        b"Car 0.00 0 -1.57 1 2 12 9 1.5 1.6 3.9 1.0 1.5 8.0 -1.4\nDontCare -1 -1 -10 1 2 5 6 -1 -1 -1 -1 -1 -1 -1\n",
    ),
    "visdrone": (b"1,2,8,7,1,4,0,0\n1,2,8,7,0,0,0,2,\n",),
}
words = st.sampled_from(tuple(map(str, (*ODD_NUMBERS, *ODD_TEXTS, "Car", "4", "1"))))


def rows(between: str):
    lines = st.lists(words, max_size=17).map(between.join)
    return st.lists(lines, max_size=4).map(lambda r: "\n".join(r).encode("utf-8", "replace"))


@pytest.fixture(scope="module", params=["kitti", "visdrone"])
def place(request):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        (root / "images" / "a.jpg").write_bytes(encoded(photo((20, 10))))
        labels = root / {"kitti": "labels", "visdrone": "annotations"}[request.param]
        labels.mkdir()
        (labels / "b.txt").write_bytes(ROWS[request.param][0])
        yield request.param, root, labels / "a.txt"


def test_the_rows_that_are_changed_are_read(place):
    name, root, file = place
    file.write_bytes(ROWS[name][0])
    assert use(root) == ["read", "missing-picture"]


@given(data=st.data())
@fuzzed(200)
def test_files_of_which_bytes_are_changed(place, data):
    name, root, file = place
    file.write_bytes(data.draw(damaged(ROWS[name]) | rows(" " if name == "kitti" else ",")))
    only_our_errors(lambda: use(root, format=name))


@given(data=st.data())
@fuzzed(20)
def test_conversions(place, data):
    name, root, file = place
    file.write_bytes(data.draw(damaged(ROWS[name])))
    for after in ("coco", "voc", "dota", "yolo"):
        with tempfile.TemporaryDirectory() as folder:
            only_our_errors(lambda after=after, folder=folder: turn(root, Path(folder) / "sub" / after, name, after))
