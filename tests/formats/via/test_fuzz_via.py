"""VIA JSONs that are almost right, or not at all."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from builders import encoded, photo
from fuzzing import as_json, damaged, fuzzed, mutated, only_our_errors, turn, use
from hypothesis import given

SHAPES = (
    {"name": "rect", "x": 1, "y": 2, "width": 8, "height": 6},
    {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [2, 2, 8]},
    {"name": "circle", "cx": 5, "cy": 5, "r": 3},
    {"name": "ellipse", "cx": 5, "cy": 5, "rx": 3, "ry": 2, "theta": 0.5},
    {"name": "point", "cx": 5, "cy": 5},
)
REGIONS = [{"shape_attributes": shape, "region_attributes": {"name": "b", "x": {"y": True}}} for shape in SHAPES]
DOCUMENT = {"a.jpg9": {"filename": "a.jpg", "size": 9, "regions": REGIONS, "file_attributes": {"k": "v"}}}


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jpg").write_bytes(encoded(photo((20, 10))))
        yield Path(folder)


def test_the_document_that_is_changed_is_read(place):
    (place / "via.json").write_text(json.dumps(DOCUMENT))
    assert use(place) == ["read"]


@given(document=mutated(DOCUMENT))
@fuzzed(250)
def test_documents_of_which_values_are_changed(place, document):
    (place / "via.json").write_bytes(as_json(document))
    only_our_errors(lambda: use(place, format="via"))


@given(data=damaged((json.dumps(DOCUMENT).encode(),)))
@fuzzed(100)
def test_files_of_which_bytes_are_changed(place, data: bytes):
    (place / "via.json").write_bytes(data)
    only_our_errors(lambda: use(place, format="via"))


@given(document=mutated(DOCUMENT))
@fuzzed(20)
def test_conversions(place, document):
    (place / "via.json").write_bytes(as_json(document))
    for after in ("coco", "voc", "dota", "yolo"):
        with tempfile.TemporaryDirectory() as folder:
            only_our_errors(lambda after=after, folder=folder: turn(place, Path(folder) / "sub" / after, "via", after))
