"""labelme JSONs that are almost right, or not at all."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from builders import encoded, photo
from fuzzing import as_json, damaged, fuzzed, mutated, only_our_errors, turn, use
from hypothesis import given

DOCUMENT = {
    "version": "5.4.1",
    "flags": {"night": True},
    "shapes": [
        {"label": "b", "points": [[1, 2], [9, 2], [9, 8]], "shape_type": "polygon", "group_id": 1, "flags": {}},
        {"label": "nose", "points": [[3, 3]], "shape_type": "point", "group_id": 1},
        {"label": "b", "points": [[1, 2], [9, 8]], "shape_type": "rectangle", "group_id": None, "difficult": True},
        {"label": "c", "points": [[5, 5], [8, 5]], "shape_type": "circle", "group_id": None},
        {"label": "m", "points": [[5, 5], [8, 5]], "shape_type": "mask", "mask": "AAAA"},
        {"label": "r", "points": [[1, 1], [5, 1], [5, 5], [1, 5]], "shape_type": "rotation", "direction": 0.1},
        {"label": "l", "points": [[1, 1], [5, 1]], "shape_type": "line"},
    ],
    "imagePath": "a.jpg",
    "imageData": "AAAA",
    "imageHeight": 10,
    "imageWidth": 20,
}


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jpg").write_bytes(encoded(photo((20, 10))))
        yield Path(folder)


def test_the_document_that_is_changed_is_read(place):
    (place / "a.json").write_text(json.dumps(DOCUMENT))
    assert use(place) == ["read"]


@given(document=mutated(DOCUMENT))
@fuzzed(250)
def test_documents_of_which_values_are_changed(place, document):
    (place / "a.json").write_bytes(as_json(document))
    only_our_errors(lambda: use(place, format="labelme"))


@given(data=damaged((json.dumps(DOCUMENT).encode(),)))
@fuzzed(100)
def test_files_of_which_bytes_are_changed(place, data: bytes):
    (place / "a.json").write_bytes(data)
    only_our_errors(lambda: use(place, format="labelme"))


@given(document=mutated(DOCUMENT))
@fuzzed(30)
def test_conversions(place, document):
    (place / "a.json").write_bytes(as_json(document))
    for after in ("coco", "voc", "dota", "yolo"):
        with tempfile.TemporaryDirectory() as folder:
            only_our_errors(
                lambda after=after, folder=folder: turn(place, Path(folder) / "sub" / after, "labelme", after)
            )
