"""COCO JSON that is almost right, or not at all: rows are rejects, whole files are errors, nothing else comes out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import coco, encoded, image, photo, rle_json, row
from fuzzing import as_json, damaged, fuzzed, mutated, only_our_errors, turn, use
from hypothesis import given
from hypothesis import strategies as st

PICTURE = encoded(photo((20, 10)))
MASK = np.zeros((10, 20), np.uint8)
MASK[2:7, 3:9] = 1
CATEGORIES = [
    {"id": 1, "name": "cat", "supercategory": "animal", "keypoints": ["left_ear", "right_ear"], "skeleton": [[1, 2]]},
    {"id": 7, "name": "dog"},
]
ROWS = [
    row(1, segmentation=[[2, 1, 7, 1, 7, 5, 2, 5]], keypoints=[3, 2, 2, 0, 0, 0], num_keypoints=1, area=20, score=0.5),
    row(2, segmentation=rle_json(MASK), iscrowd=1, category_id=7, truncated="1", pose="Left", nested={"a": [1, None]}),
    row(3, segmentation={"size": [10, 20], "counts": [10, 5, 185]}, bbox=None, difficult=True, occluded=0),
    row(4, image_id=2, bbox=[1.5, 2.5, 100, 3], parts=[{"name": "head", "box_xyxy": [1, 2, 3, 4]}]),
    {"id": 5, "image_id": 2, "caption": "a cat"},
    {"id": 6, "image_id": 2, "category_id": 1},
    {"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 3, "category_id": 1, "bbox": [0, 0, 2, 2]}]},
]
VALID = coco([image(1, license=3), image(2, "b.jpg")], ROWS, CATEGORIES)
FILES = tuple(as_json(VALID if i == 0 else {**VALID, "annotations": [r]}) for i, r in enumerate(ROWS))


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.jpg", "b.jpg"):
            (Path(folder) / name).write_bytes(PICTURE)
        yield Path(folder)


def test_the_document_that_is_changed_is_read(place):
    (place / "x.json").write_bytes(as_json(VALID))
    assert use(place / "x.json") == ["read", "read"]


@given(document=mutated(VALID))
@fuzzed(180)
def test_documents_of_which_a_little_is_changed(place, document: Any):
    (place / "x.json").write_bytes(as_json(document))
    only_our_errors(lambda: use(place / "x.json"))


@given(document=mutated({"annotations": ROWS}, most=6))
@fuzzed(150)
def test_objects_of_which_more_is_changed(place, document: Any):
    """The rest of the file stays valid, so that every change is looked at."""
    (place / "x.json").write_bytes(as_json({**VALID, **document} if isinstance(document, dict) else document))
    only_our_errors(lambda: use(place / "x.json"))


@given(document=mutated(VALID))
@fuzzed(40)
def test_conversions_of_documents_of_which_a_little_is_changed(place, document: Any):
    (place / "x.json").write_bytes(as_json(document))
    with tempfile.TemporaryDirectory() as folder:
        only_our_errors(lambda: turn(place / "x.json", Path(folder) / "sub" / "voc", "coco", "voc"))
        assert {p.name for p in Path(folder).iterdir()} <= {"sub"}
    with tempfile.TemporaryDirectory() as folder:
        only_our_errors(lambda: turn(place / "x.json", Path(folder) / "coco", "coco", "coco"))
        assert {p.name for p in Path(folder).iterdir()} <= {"coco"}


@given(data=damaged(FILES))
@fuzzed(90)
def test_files_of_which_bytes_are_changed(place, data: bytes):
    (place / "x.json").write_bytes(data)
    only_our_errors(lambda: use(place / "x.json", format="coco"))


@given(data=st.binary(max_size=300))
@fuzzed(25)
def test_any_bytes(place, data: bytes):
    (place / "x.json").write_bytes(data)
    only_our_errors(lambda: use(place / "x.json"))
