"""Shapes and drops changed behind the books' back: each is told, and nothing beside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builders import decode, rle_json
from verifying import (
    a_copy,
    a_drop,
    first,
    is_mask,
    is_polygon,
    records,
    told,
    with_keypoints,
)

# --- shapes ----------------------------------------------------------------------------------------------------------


def seen_as_guessed(samples):
    row = with_keypoints(samples, 2)
    row["keypoints"][row["keypoints"].index(2, 2)] = 1


def guessed_as_seen(samples):
    row = first(
        samples, lambda r: 1 in r.get("keypoints", ())[2::3] and r["visible"] == 1 and r["box_from"] != "source"
    )[1]
    at = row["keypoints"][2::3].index(1) * 3 + 2
    row["keypoints"][at] = 2


def ears_swapped(samples):
    row = first(samples, lambda r: r.get("num_keypoints", 0) == 3)[1]
    points = [row["keypoints"][i : i + 3] for i in range(0, 12, 3)]
    points[1], points[2] = points[2], points[1]
    row["keypoints"] = [v for point in points for v in point]


def a_tiny_ring(samples):
    """In that corner of a box that its outline leaves most free."""
    rows = [row for record in records(samples) for row in record["objects"] if is_polygon(row)]
    found = []
    for row in (row for row in rows if row["box_from"] == "polygon" and row["visible"] == 1):
        x0, y0, x1, y1 = row["box_xyxy"]
        for x, y in ((x0, y0), (x1 - 1, y0), (x0, y1 - 1), (x1 - 1, y1 - 1)):
            away = np.abs(np.array(row["segmentation"][0]).reshape(-1, 2) - (x + 0.5, y + 0.5)).max(axis=1).min()
            found.append((float(away), (x, y), row["segmentation"]))
    _, (x, y), rings = max(found, key=lambda one: one[0])
    rings.append([x, y, x + 1, y, x + 1, y + 1, x, y + 1])


def a_stray_pixel(samples):
    row = first(samples, lambda r: is_mask(r) and r["area"] > 300 and r["visible"] == 1 and r["box_from"] == "mask")[1]
    mask = decode(row["segmentation"])
    x0, y0, x1, y1 = (int(v) for v in row["box_xyxy"])
    mask[(y0 + y1) // 2, (x0 + x1) // 2] ^= 1
    row["segmentation"] = rle_json(mask)
    row["area"] = int(mask.sum())


def area_of_polygon(samples):
    row = first(samples, lambda r: is_polygon(r) and r["area"] > 300)[1]
    row["area"] *= 1.09


def two_points(samples):
    row = first(samples, is_polygon)[1]
    row["segmentation"].append(row["segmentation"][0][:4])


def ring_outside(samples):
    row = first(samples, is_polygon)[1]
    row["segmentation"][0][0] = -1e6


def too_small_to_keep(samples):
    _, row = first(samples, lambda r: is_polygon(r) and r["visible"] < 0.8)
    row["box_xyxy"][2] = row["box_xyxy"][0] + 2.0


def a_patch_of_the_picture(samples):
    _, members = next(iter(samples.values()))
    picture = cv2.imdecode(np.frombuffer(members["jpg"], np.uint8), cv2.IMREAD_COLOR)
    picture[20:28, 20:28] = 255 - picture[20:28, 20:28]
    members["jpg"] = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def a_plan_with_layers(samples):
    a_copy(samples)["plan"].update(version=2, layers=[{"key": "b.jpg", "steps": []}])


def a_plan_of_version_3(samples):
    a_copy(samples)["plan"]["version"] = 3


def a_gray_picture(samples):
    _, members = next(iter(samples.values()))
    picture = cv2.imdecode(np.frombuffer(members["jpg"], np.uint8), cv2.IMREAD_GRAYSCALE)
    members["jpg"] = cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (seen_as_guessed, "the visibility of a keypoint is not that of the source"),
        (guessed_as_seen, "the visibility of a keypoint is not that of the source"),
        (ears_swapped, "keypoint"),
        (a_tiny_ring, "away from its outline"),
        (a_stray_pixel, "away from its outline"),
        (area_of_polygon, "its polygon has"),
        (two_points, "its polygon has a ring that is not three points or more"),
        (ring_outside, "its polygon has a point outside the picture"),
        (too_small_to_keep, "was kept with a side of 2.0 pixels, 4 are asked for"),
        (a_patch_of_the_picture, "spot: "),
        (a_gray_picture, "its picture is ("),
        (a_plan_with_layers, "ValueError: it has layers of other pictures (b.jpg), which is not supported"),
        (a_plan_of_version_3, "ValueError: plan version 3, expected 1 or 2"),
    ],
)
def test_a_wrong_shape_is_noticed(coco, full, tmp_path, change, expected):
    alone, found = told(coco, full, tmp_path / "forged", change)
    assert alone == []
    assert [line for line in found if expected in line] != [], found


# --- what was dropped ------------------------------------------------------------------------------------------------


def drop_gone(samples):
    row = a_drop(samples)
    next(record for record in records(samples) if row in record["dropped"])["dropped"].remove(row)


def drop_of_another_class(samples):
    a_drop(samples)["category"] = "lion"


def drop_without_id(samples):
    a_drop(samples).pop("id")


def drop_for_another_reason(samples):
    a_drop(samples, "min_visibility").update(reason="min_area", value=1.0)


def drop_by_paint(samples):
    a_drop(samples, "min_visibility")["reason"] = "erased"


def drop_by_another_number(samples):
    a_drop(samples, "min_visibility")["value"] = 0.005


def drop_without_a_number(samples):
    a_drop(samples, "min_visibility").pop("value")


def drop_with_a_number(samples):
    a_drop(samples, "outside")["value"] = 0.2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop_gone, "vanished without a word"),
        (drop_of_another_class, "category is 'lion', in the source"),
        (drop_without_id, "id is None, in the source"),
        (drop_for_another_reason, "was dropped as min_area, but"),
        (drop_by_paint, "was dropped as erased, but"),
        (drop_by_another_number, "was dropped as min_visibility with the value 0.005, measured"),
        (drop_without_a_number, "was dropped as min_visibility with the value None, measured"),
        (drop_with_a_number, "was dropped as outside with the value 0.2, expected none"),
    ],
)
def test_a_wrong_drop_is_noticed(coco, full, tmp_path, change, expected):
    alone, found = told(coco, full, tmp_path / "forged", change)
    assert alone == []
    assert [line for line in found if expected in line] != [], found
    assert len(found) == 1, found
