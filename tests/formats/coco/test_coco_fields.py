"""COCO objects and categories, from what tools write into JSON."""

from __future__ import annotations

import numpy as np
import pytest
from builders import coco as document
from builders import decode, read_coco, rle_json, row

from augpipe.core.annotations import Category, Dropped, ObjectPart, ObjectRow, Rings, Rle
from augpipe.formats.coco import fields as made
from augpipe.formats.coco.fields import object_of

CAT = Category(1, 1, "cat")
SIZE = (20, 10)


def one(**fields) -> tuple[ObjectRow | Dropped, set[str]]:
    """An object and the notes on the way."""
    notes: set[str] = set()
    return object_of(row(**fields), 0, CAT, SIZE, notes), notes


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (3.0, 3), (-1, -1), (2**63 - 1, 2**63 - 1), (2**63, None), (-(2**63) - 1, None), (10**30, None),
     (1e15, 10**15), (1e17, None), (True, None), (False, None), (3.5, None), ("3", None), (None, None),
     ([3], None), (float("inf"), None), (float("nan"), None)],
)  # fmt: skip
def test_whole_numbers(value, expected):
    assert made.whole_number(value) == expected
    assert type(made.whole_number(value)) in (int, type(None))


def test_true_is_no_id():
    assert [made.identity_of(v) for v in (True, "x", 4, 4.0, None, {})] == [None, "x", 4, 4, None, None]


@pytest.mark.parametrize(
    ("values", "count", "expected"),
    [([1, 2.5], 2, [1.0, 2.5]), ((1, 2), 2, [1.0, 2.0]), ([1], 2, None), ([1, True], 2, None), ([1, "2"], 2, None),
     ([1, None], 2, None), ([1, 10**400], 2, None), ([1, float("nan")], 2, None), ("12", 2, None), (None, 2, None)],
)  # fmt: skip
def test_lists_of_numbers(values, count, expected):
    assert made.numbers_of(values, count) == expected


# --- boxes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bbox",
    [[1, 1, 0, 4], [1, 1, 4, 0], [1, 1, -3, 4], [1, 1, 4], [1, 1, 4, 4, 4], ["1", 1, 4, 4], [True, 1, 4, 4],
     [None, 1, 4, 4], [10**400, 1, 4, 4], [1e308, 1, 1e308, 4], [1e300, 1, 1, 4], "1,1,4,4", {"x": 1}, 5],
)  # fmt: skip
def test_a_box_that_is_none_drops_the_object(bbox):
    found, notes = one(bbox=bbox)
    assert (found.index, found.category_id, found.reason, found.id) == (0, 1, "degenerate", 1)
    assert notes == set()


def test_a_box_that_is_none_is_taken_from_what_else_there_is():
    ring = [[2, 1, 8, 1.5, 8, 7]]
    found, notes = one(bbox=[1, 1, 0, 0], segmentation=ring)
    assert (found.box_xyxy, notes) == ((2, 1, 8, 7), {"box-remade"})
    mask = np.zeros((10, 20), np.uint8)
    mask[3:7, 4:9] = 1
    assert one(bbox=None, segmentation=rle_json(mask))[0].box_xyxy == (4, 3, 9, 7)
    assert one(bbox=None, keypoints=[1, 2, 2, 5, 9, 1, 99, 99, 0])[0].box_xyxy == (1, 2, 5, 9)
    assert one(bbox=None, keypoints=[1, 2, 2])[0].reason == "degenerate"
    assert one(bbox=None, segmentation=[[1, 1, 5, 1, 9, 1]])[0].reason == "degenerate"


def test_a_box_that_disagrees_with_its_mask_is_kept():
    found, notes = one(bbox=[0, 0, 3, 3], segmentation=[[5, 5, 9, 5, 9, 9]])
    assert (found.box_xyxy, notes) == ((0, 0, 3, 3), set())


# --- segmentation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "rings", "noted"),
    [
        ([[1, 1, 5, 1, 5, 5]], 1, False),
        ([[1, 1, 5, 1, 5, 5], [2, 2, 3, 2, 3, 3.5]], 2, False),
        ([[1, 1, 5, 1, 5, 5], [2, 2]], 1, True),
        ([[1, 1, 5, 1]], 0, True),
        ([[1, 1, 5, 1, 5, 5, 7]], 0, True),
        ([1, 1, 5, 1, 5, True], 0, True),
        ([[1, 1, 5, 1, 5, None]], 0, True),
        ([[1, 1, 5, 1, 5, 10**400]], 0, True),
        ([[1, 1, 5, 1, 5, 1e9]], 0, True),
        ([[]], 0, True),
        ([], 0, False),
        (None, 0, False),
        ("x", 0, False),
    ],
)
def test_polygons(value, rings, noted):
    found, notes = one(segmentation=value)
    got = found.segmentation
    assert (len(got.rings) if isinstance(got, Rings) else 0) == rings
    assert ("ring-left-out" in notes) == noted
    for ring, expected in zip(got.rings if got else (), value or (), strict=False):
        assert ring.dtype == np.float64
        assert ring.reshape(-1).tolist() == expected


def mask() -> np.ndarray:
    out = np.zeros((10, 20), np.uint8)
    out[2:9, 3:11] = 1
    out[4, 5] = 0
    return out


def plain_counts(bitmap: np.ndarray) -> list[int]:
    """Run lengths down the columns, zeros first, by counting."""
    runs, value = [0], 0
    for pixel in bitmap.T.reshape(-1).tolist():
        if pixel == value:
            runs[-1] += 1
        else:
            runs.append(1)
            value = pixel
    return runs


@pytest.mark.parametrize("crowd", [0, 1])
@pytest.mark.parametrize("plain", [False, True])
def test_run_lengths_compressed_or_not(plain, crowd):
    value = {"size": [10, 20], "counts": plain_counts(mask())} if plain else rle_json(mask())
    found, notes = one(segmentation=value, iscrowd=crowd)
    assert isinstance(found.segmentation, Rle)
    assert np.array_equal(decode(found.segmentation), mask())
    assert (found.iscrowd, notes) == (crowd, set())


@pytest.mark.parametrize(
    "value",
    [
        {"size": [10, 20]},
        {"counts": "x"},
        {"size": [10, 20], "counts": None},
        {"size": [10, 20], "counts": 5},
        {"size": [10, 20], "counts": ""},
        {"size": [10, 20], "counts": "b'PPYo0'"},
        {"size": [10, 20], "counts": "é"},
        {"size": [10, 20], "counts": "zzzz"},
        {"size": [10, 20], "counts": [200, 1]},
        {"size": [10, 20], "counts": [-1, 201]},
        {"size": [10, 20], "counts": [10**30]},
        {"size": [10, 20], "counts": ["200"] * 2},
        {"size": [10, 20], "counts": [[200]]},
        {"size": [9, 20], "counts": [180]},
        {"size": [10], "counts": [10]},
        {"size": ["10", "20"], "counts": [200]},
        {"size": [True, True], "counts": [1]},
        {"size": [-10, -20], "counts": [200]},
        {"size": 200, "counts": [200]},
        {"size": [0, 0], "counts": []},
        {},
    ],
)
def test_a_code_that_is_none_is_left_out_and_noted(value):
    found, notes = one(segmentation=value)
    assert found.segmentation is None
    assert found.box_xyxy == (2, 1, 7, 5)
    assert notes == {"mask-left-out"}


def test_a_code_needs_no_stated_picture_size():
    assert isinstance(object_of(row(segmentation=rle_json(mask())), 0, CAT, None, set()).segmentation, Rle)


# --- keypoints -------------------------------------------------------------------------------------------------------

PERSON = Category(1, 1, "person", keypoints=("nose", "left_eye", "right_eye"))


@pytest.mark.parametrize(
    ("value", "expected", "noted"),
    [
        ([1, 2, 2, 3, 4, 1, 0, 0, 0], [[1, 2, 2], [3, 4, 1], [0, 0, 0]], set()),
        ([1, 2, 0, 3, 4, 1, 0, 0, 0], [[1, 2, 0], [3, 4, 1], [0, 0, 0]], set()),
        ([1, 2, 0.4, 3, 4, 3, 5, 6, -1], [[1, 2, 1], [3, 4, 2], [5, 6, 0]], {"keypoint-visibility-mended"}),
        ([1, 2, 2], None, {"keypoints-left-out"}),
        ([1, 2, 2, 3, 4, 1, 0, 0], None, {"keypoints-left-out"}),
        ([1, 2, 2, 3, 4, 1, 0, 0, None], None, {"keypoints-left-out"}),
        ([1, 2, True, 3, 4, 1, 0, 0, 0], None, {"keypoints-left-out"}),
        ([], None, set()),
        (None, None, set()),
        ("x", None, set()),
    ],
)
def test_keypoints(value, expected, noted):
    notes: set[str] = set()
    found = object_of(row(keypoints=value, num_keypoints=99), 0, PERSON, SIZE, notes)
    assert (None if found.keypoints is None else found.keypoints.tolist()) == expected
    assert notes == noted


def test_keypoints_of_a_category_that_names_none():
    assert one(keypoints=[1, 2, 2, 3, 4, 1])[0].keypoints.shape == (2, 3)
    assert one(keypoints=[1, 2, 2, 3])[1] == {"keypoints-left-out"}


# --- other fields ----------------------------------------------------------------------------------------------------


def test_unknown_fields_travel_untouched():
    free = {"score": 0.5, "tags": ["a", None], "nested": {"x": [1, {"y": 2}]}, "nothing": None, "truth": True}
    found, _ = one(**{k: v for k, v in free.items() if v is not None}, area=7, iscrowd=0, num_keypoints=0)
    assert found.facts.attributes == {k: v for k, v in free.items() if v is not None}


def test_fields_of_pascal_voc_are_understood():
    parts = [{"name": "head", "box_xyxy": [1, 1, 2.5, 2]}]
    found, _ = one(truncated=1, difficult=False, occluded="true", pose="Left", parts=parts)
    facts = found.facts
    assert (facts.truncated, facts.difficult, facts.occluded, facts.pose) == (1, 0, 1, "Left")
    assert found.parts == (ObjectPart("head", (1, 1, 2.5, 2)),)
    assert facts.attributes == {}


def test_fields_of_these_names_that_mean_something_else_are_free_fields():
    free = {"truncated": "perhaps", "difficult": [1], "occluded": {"by": "a tree"}, "pose": [1, 2], "parts": ["head"]}
    found, _ = one(**free)
    assert found.facts.attributes == free
    assert found.parts == ()
    assert (found.facts.truncated, found.facts.difficult, found.facts.occluded, found.facts.pose) == (None,) * 4


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 1), (True, 1), ("0", 0), ("1", 1), (1.0, 1), ([], 0)])
def test_crowds(value, expected):
    assert one(iscrowd=value)[0].iscrowd == expected


# --- categories ------------------------------------------------------------------------------------------------------


def test_a_category():
    value = {"id": 3, "name": "person", "supercategory": "animal", "keypoints": ["nose", "left_ear", "right_ear"],
             "skeleton": [[1, 2], [1, 3.0], "no", [1]]}  # fmt: skip
    found = made.category_of(value, "x.json")
    assert found == Category(3, 0, "person", "animal", ("nose", "left_ear", "right_ear"), ((1, 2), (1, 3)), ((1, 2),))


@pytest.mark.parametrize("more", [{"skeleton": 5}, {"skeleton": None}, {"keypoints": "nose"}, {"supercategory": ""}])
def test_a_category_with_fields_that_are_none(more):
    assert made.category_of({"id": 0, "name": "cat", **more}, "x.json") == Category(0, 0, "cat")


@pytest.mark.parametrize("value", [{"id": True, "name": "a"}, {"id": "1", "name": "a"}, {"id": 1}, {"name": "a"},
                                   {"id": 1, "name": 5}, "cat", None, 5])  # fmt: skip
def test_a_category_that_is_none(value):
    with pytest.raises(ValueError, match=r"x.json: a category needs an integer 'id' and a 'name', got "):
        made.category_of(value, "x.json")


def test_objects_are_numbered_as_they_stand(tmp_path):
    rows = [row(5, bbox=[1, 1, 0, 0]), row(6), row(7, bbox=None), row(8)]
    labels = read_coco(tmp_path, document(rows=rows))
    assert labels.objects.index.tolist() == [1, 2]
    assert [(d.index, d.id) for d in labels.dropped] == [(0, 5)]
    assert [f.id for f in labels.objects.facts] == [6, 8]
    assert labels.tags == ("cat",)


def test_a_mask_too_large_for_any_memory_has_a_box():
    side = 10**6
    notes: set[str] = set()
    code = {"size": [side, side], "counts": [side, side * side - side]}
    made = object_of({"segmentation": code}, 0, Category(1, 1, "cat"), (side, side), notes)
    assert made.box_xyxy == (1, 0, side, side)
    assert notes == {"box-remade"}


def test_a_polygon_that_crosses_itself_thousands_of_times_is_left_out():
    notes: set[str] = set()
    points = np.random.default_rng(0).random(2000) * 100
    assert made.segmentation_of([points.tolist()], (100, 100), notes) is None
    assert notes == {"ring-left-out"}


@pytest.mark.parametrize("value", [None, [1, 2], "x", [1, 2, 3, 4, 5, 6, 7, float("nan")], [0, 0, 1e9, 0, 1, 1, 0, 1]])
def test_oriented_boxes_as_we_write_them(value):
    from augpipe.formats.coco.fields import obb_of

    assert obb_of([0, 0, 4, 0, 4, 4, 0, 4]).tolist() == [[0, 0], [4, 0], [4, 4], [0, 4]]
    assert obb_of(value) is None
