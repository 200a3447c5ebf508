"""Single facts of a sample changed behind the books' back: each is told, by name, with the sample that it is in."""

from __future__ import annotations

import pytest
from forge import forged
from verifying import (
    a_copy,
    any_object,
    first,
    is_mask,
    problems,
    records,
    told,
    verified,
    with_keypoints,
)

# --- who and where from ----------------------------------------------------------------------------------------------


def image_id(samples):
    a_copy(samples)["image_id"] += 1


def object_id(samples):
    any_object(samples)["id"] += 1000


def no_attributes(samples):
    any_object(samples).pop("attributes")


def other_attributes(samples):
    any_object(samples)["attributes"]["score_of_annotator"] = 0.25


def label(samples):
    any_object(samples)["label"] = 7


def name(samples):
    any_object(samples)["category"] = "lion"


def crowd(samples):
    first(samples, lambda row: row["iscrowd"] == 0)[1]["iscrowd"] = 1


def not_truncated(samples):
    first(samples, lambda row: row.get("truncated") == 1 and row["visible"] < 0.8)[1].pop("truncated")


def truncated(samples):
    def whole(row):
        x0, y0, x1, y1 = row["box_xyxy"]
        inside = min(x0, y0) > 3 and max(x1, y1) < 55
        return row["box_from"] != "source" and "truncated" not in row and row["visible"] == 1 and inside

    first(samples, whole)[1]["truncated"] = 1


def an_original_truncated(samples):
    next(r for r in records(samples) if r["copy"] == -1)["objects"][0]["truncated"] = 1


def source_sha256(samples):
    a_copy(samples)["source"]["sha256"] = "0" * 64


def source_width(samples):
    a_copy(samples)["source"]["width"] += 1


def orientation(samples):
    a_copy(samples)["source"]["orientation"] = 6


def source_attributes(samples):
    a_copy(samples)["source"].pop("attributes")


def source_split(samples):
    a_copy(samples)["source"]["split"] = "train"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (image_id, "image_id is 10"),
        (object_id, "id is 10"),
        (no_attributes, "attributes is None, in the source {'score_of_annotator': "),
        (other_attributes, "attributes is {'score_of_annotator': 0.25}, in the source"),
        (name, "category is 'lion', in the source"),
        (crowd, "iscrowd is 1, in the source 0"),
        (not_truncated, "is not truncated, but only 0."),
        (truncated, "truncated is 1, but it lies inside the frame as a whole"),
        (an_original_truncated, "truncated is 1, in the source None"),
        (source_sha256, "its source picture has changed since: another sha256"),
        (source_width, "source.width is "),
        (orientation, "source.orientation is 6, in the source 1"),
        (source_attributes, "source.attributes is None, in the source {'license': 3}"),
        (source_split, "source.split is 'train', in the source None"),
    ],
)
def test_a_wrong_fact_is_noticed(coco, full, tmp_path, change, expected):
    alone, found = told(coco, full, tmp_path / "forged", change)
    assert alone == []  # only the source can tell
    assert [line for line in found if expected in line and line.startswith("0000")] != [], found
    assert len(found) == 1, found


# --- numbers that the record itself contradicts ----------------------------------------------------------------------


def num_keypoints(samples):
    with_keypoints(samples, 2)["num_keypoints"] += 1


def place_of_nothing(samples):
    row = with_keypoints(samples, 0)
    at = row["keypoints"][2::3].index(0) * 3
    row["keypoints"][at : at + 2] = [5, 5]


def visibility_of_three(samples):
    row = with_keypoints(samples, 2)
    row["keypoints"][row["keypoints"].index(2, 2)] = 3


def area_of_mask(samples):
    first(samples, is_mask)[1]["area"] += 1


def share_of_more(samples):
    any_object(samples)["visible"] = 1.5


def flag_of_two(samples):
    any_object(samples)["iscrowd"] = 2


def far_label(samples):
    any_object(samples)["label"] = 10**12


def image_id_of_text(samples):
    a_copy(samples)["image_id"] = "x"


def another_seed(samples):
    a_copy(samples)["plan"]["seed"] = 99


def steps_of_an_original(samples):
    original = next(r for r in records(samples) if r["copy"] == -1)
    original["plan"]["steps"] = a_copy(samples)["plan"]["steps"]


def no_plan(samples):
    a_copy(samples).pop("plan")


def a_mask_of_another_size(samples):
    first(samples, is_mask)[1]["segmentation"]["size"] = [10**9, 10**9]


def a_stray_member(samples):
    next(iter(samples.values()))[1]["txt"] = b"hello"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (num_keypoints, "num_keypoints is"),
        (place_of_nothing, "has the keypoint [5.0, 5.0, 0.0]"),
        (visibility_of_three, "expected v 0, 1 or 2"),
        (area_of_mask, "pixels"),
        (share_of_more, "visible is 1.5, expected 0 to 1"),
        (flag_of_two, "iscrowd is 2, expected 0 or 1"),
        (label, "label 7 is not among the manifest's categories"),
        (far_label, "label 1000000000000 is not among the manifest's categories"),
        (image_id_of_text, "its record is not as docs/format.md has it: ValueError: Expected `int | null`"),
        (another_seed, "its plan is of the seed 99, the run of 5"),
        (steps_of_an_original, "is the picture as it is, but its plan has steps"),
        (no_plan, "its record is not as docs/format.md has it: KeyError: 'plan'"),
        (a_mask_of_another_size, "its mask has the size [1000000000, 1000000000]"),
        (a_stray_member, "has txt, which no sample has"),
    ],
)
def test_what_contradicts_itself_is_noticed_without_the_source(coco, full, tmp_path, change, expected):
    forged(full, tmp_path / "forged", change)
    found = problems(verified(tmp_path / "forged"))
    assert [line for line in found if expected in line and line.startswith("0000")] != [], found
    assert len(found) == 1, found
