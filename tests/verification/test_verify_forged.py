"""Single facts of a sample changed behind the books' back: each is told, by name, with the sample that it is in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import decode, panoptic_set, rle_json
from forge import Samples, forged, read_samples, resign, write_samples
from runs import recipe_of, run
from verifying import CUTTING, first, is_mask, is_polygon, problems, verified

RECIPE = """
version: 1
labels: {min_visibility: 0.3, min_side: 4}
steps:
- horizontal_flip: {p: 0.5}
- affine: {rotate: [-25, 25], scale: [0.6, 1.3], translate: 0.3}
- erase: {count: [0, 2], area: [0.02, 0.2], p: 0.5}
"""


@pytest.fixture(scope="module")
def finished(coco, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("forged") / "out"
    run(coco, out, recipe_of(RECIPE), copies=4, seed=2, originals=True)
    return out


def told(source: Path, folder: Path, target: Path, change) -> tuple[list[str], list[str]]:
    """What is said of a forged folder without its source, and with it."""
    forged(folder, target, change)
    return problems(verified(target)), problems(verified(target, source))


def records(samples: Samples):
    return [record for record, _ in samples.values()]


def a_copy(samples: Samples, has=lambda record: record["objects"]):
    return next(record for record in records(samples) if record["copy"] >= 0 and has(record))


def any_object(samples: Samples):
    return a_copy(samples)["objects"][0]


def a_drop(samples: Samples, reason=None):
    rows = [row for record in records(samples) for row in record["dropped"]]
    return next(row for row in rows if reason in (None, row["reason"]))


def with_keypoints(samples: Samples, value: int):
    return first(samples, lambda row: value in row.get("keypoints", ())[2::3])[1]


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
def test_a_wrong_fact_is_noticed(coco, finished, tmp_path, change, expected):
    alone, found = told(coco, finished, tmp_path / "forged", change)
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
        (another_seed, "its plan is of the seed 99, the run of 2"),
        (steps_of_an_original, "is the picture as it is, but its plan has steps"),
        (no_plan, "its record is not as docs/format.md has it: KeyError: 'plan'"),
        (a_mask_of_another_size, "its mask has the size [1000000000, 1000000000]"),
        (a_stray_member, "has txt, which no sample has"),
    ],
)
def test_what_contradicts_itself_is_noticed_without_the_source(coco, finished, tmp_path, change, expected):
    forged(finished, tmp_path / "forged", change)
    found = problems(verified(tmp_path / "forged"))
    assert [line for line in found if expected in line and line.startswith("0000")] != [], found
    assert len(found) == 1, found


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
    row = first(samples, lambda r: is_polygon(r) and r["area"] > 300 and r["box_from"] == "polygon")[1]
    x0, y0, _, _ = row["box_xyxy"]
    row["segmentation"].append([x0, y0, x0 + 1.5, y0, x0 + 1.5, y0 + 1.5, x0, y0 + 1.5])


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
def test_a_wrong_shape_is_noticed(coco, finished, tmp_path, change, expected):
    alone, found = told(coco, finished, tmp_path / "forged", change)
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
def test_a_wrong_drop_is_noticed(coco, finished, tmp_path, change, expected):
    alone, found = told(coco, finished, tmp_path / "forged", change)
    assert alone == []
    assert [line for line in found if expected in line] != [], found
    assert len(found) == 1, found


# --- rasters ---------------------------------------------------------------------------------------------------------


def edited(name, change):
    def edit(samples):
        members = next(m for record, m in samples.values() if record["objects"] and record["copy"] >= 0)
        values = cv2.imdecode(np.frombuffer(members[name], np.uint8), cv2.IMREAD_UNCHANGED)
        members[name] = cv2.imencode(".png", change(values))[1].tobytes()

    return edit


def small_square(value):
    def change(values):
        y, x = np.argwhere(values == np.bincount(values[values > 0]).argmax()).mean(axis=0).astype(int)
        values[y - 3 : y + 3, x - 3 : x + 3] = value
        return values

    return change


def an_instance(samples):
    first(samples, lambda row: "instance" in row)[1]["instance"] = 9


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edited("semantic.png", lambda v: np.roll(v, 1, axis=1)), "semantic: "),
        (edited("semantic.png", lambda v: v[:-1]), "its semantic.png is ("),
        (edited("semantic.png", lambda v: np.dstack([v, v, v, v])), "pixels of the kind RGBA"),
        (edited("instance.png", lambda v: np.where(v == 2, 1, v).astype(np.uint8)), "value: "),
        (an_instance, "instance is 9, in the source"),
    ],
)
def test_a_wrong_mask_is_noticed(layered, tmp_path, change, expected):
    run(layered, tmp_path / "out", recipe_of(CUTTING), copies=2, seed=3)
    alone, found = told(layered, tmp_path / "out", tmp_path / "forged", change)
    assert alone == []
    assert [line for line in found if expected in line] != [], found


PANOPTIC = """
version: 1
labels: {erased: cut, min_side: 0, min_area: 0}
steps:
- affine: {rotate: [-25, 25], scale: [0.8, 1.2]}
- erase: {count: 1, area: 0.05}
"""


def a_segment(name, value):
    def change(samples):
        a_copy(samples, lambda r: r.get("segments_info"))["segments_info"][0][name] = value

    return change


def no_segment(samples):
    a_copy(samples, lambda r: r.get("segments_info"))["segments_info"].pop()


def a_segment_twice(samples):
    rows = a_copy(samples, lambda r: r.get("segments_info"))["segments_info"]
    rows.append(rows[0])


def a_segment_from_nowhere(samples):
    rows = a_copy(samples, lambda r: r.get("segments_info"))["segments_info"]
    rows.append(rows[0] | {"id": 77_777})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (a_segment("area", 3), "area is 3, expected"),
        (a_segment("bbox", [0, 0, 1, 1]), "bbox is [0, 0, 1, 1], expected"),
        (a_segment("category_id", 5), "category_id is 5, expected"),
        (a_segment("iscrowd", 1), "iscrowd is 1, expected"),
        (no_segment, "0 times, expected once"),
        (a_segment_twice, "2 times, expected once"),
        (a_segment_from_nowhere, "segments_info has segment 77777, which is not to be seen"),
    ],
)
def test_a_wrong_segment_is_noticed(tmp_path, change, expected):
    source = tmp_path / "src"
    panoptic_set(source)
    run(source, tmp_path / "out", recipe_of(PANOPTIC), copies=3, seed=1, originals=True)
    assert problems(verified(tmp_path / "out", source)) == []
    alone, found = told(source, tmp_path / "out", tmp_path / "forged", change)
    assert alone == []
    assert [line for line in found if expected in line] != [], found


# --- who is there ----------------------------------------------------------------------------------------------------


def copies_of_one(samples: Samples):
    """The keys of two copies of a picture."""
    one = next(key for key, (record, _) in samples.items() if record["copy"] == 0)
    return one, one.replace("-c000", "-c001")


def one_twice(samples):
    one, two = copies_of_one(samples)
    samples[two] = samples[one]


def another_copy_number(samples):
    one, _ = copies_of_one(samples)
    samples[one][0]["copy"] = 1


def test_a_copy_under_the_name_of_another_is_noticed(coco, finished, tmp_path):
    for number, change in enumerate((one_twice, another_copy_number)):
        found = problems(verified(forged(finished, tmp_path / str(number), change)))
        assert [line for line in found if "its record is of augpipe/1" in line] != [], found


def test_a_sample_in_the_wrong_shard_or_missing_is_noticed(finished, tmp_path):
    """The tar's first sample is written a second time in the place of the last: the counts fit."""
    target = tmp_path / "out"
    shutil.copytree(finished, target)
    manifest = json.loads((target / "manifest.json").read_text())
    a, b = (shard["name"] for shard in manifest["shards"][:2])
    one, two = read_samples(target / a), read_samples(target / b)
    moved, other = next(iter(one)), next(iter(two))
    write_samples(target / a, {**{k: v for k, v in one.items() if k != moved}, other: two[other]})
    resign(target)
    found = problems(verified(target))
    assert [line for line in found if "belongs to no task of this shard" in line] != [], found
    assert [line for line in found if "was neither written nor rejected" in line] != [], found


def all_of_another_copy(samples):
    one, two = copies_of_one(samples)
    (record, members), (other, others) = samples[one], samples[two]
    samples[one] = {**other, "key": one, "copy": 0}, others
    samples[two] = {**record, "key": two, "copy": 1}, members


def test_copies_that_have_changed_places_are_noticed(coco, finished, tmp_path):
    """Labels, picture and plan of each fit each other: only drawing them again can tell."""
    alone, found = told(coco, finished, tmp_path / "forged", all_of_another_copy)
    assert alone == []
    assert [line.partition(": ")[2] for line in found] == [
        "its plan is not the one that recipe and seed lead to for copy 0",
        "its plan is not the one that recipe and seed lead to for copy 1",
    ]


# --- books -----------------------------------------------------------------------------------------------------------


def books(folder: Path, target: Path, name: str, change) -> list[str]:
    shutil.copytree(folder, target)
    document = json.loads((target / name).read_text())
    change(document)
    (target / name).write_text(json.dumps(document))
    return problems(verified(target))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("manifest.json", lambda m: m["totals"].update(dropped={}), "totals.dropped is {}, the records come to"),
        ("manifest.json", lambda m: m["totals"].update(pictures=9), "9 pictures, the shards have 8"),
        ("manifest.json", lambda m: m["config"].update(seed=7), "its digest is not that of its config"),
        ("manifest.json", lambda m: m["shards"].append(m["shards"][0]), "names a shard twice"),
        ("manifest.json", lambda m: m["shards"].pop(), "the manifest does not know this shard"),
        ("run.json", lambda m: m["config"].update(seed=7), "its config is not the manifest's"),
        ("all-000001.json", lambda m: m.update(objects=m["objects"] + 1), "objects, its record says"),
        ("all-000001.json", lambda m: m.update(dropped={"outside": 99}), "its samples dropped"),
        ("all-000001.json", lambda m: m.update(rejected=1), "1 samples rejected, its rows say 0"),
        ("all-000001.json", lambda m: m["task"].update(sources=["x.jpg"]), "belongs to no task of this shard"),
        ("all-000001.json", lambda m: m.update(samples=2), "samples is 2, in the manifest 5"),
    ],
)
def test_books_that_do_not_fit_are_noticed(finished, tmp_path, name, change, expected):
    found = books(finished, tmp_path / "out", name, change)
    assert [line for line in found if expected in line] != [], found


@pytest.mark.parametrize("name", ["run.json", "all-000001.json", "rejects.jsonl"])
@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", '{"a": NaN}', "3", "null", '{"schema": 1}'])
def test_books_that_are_none_are_noticed(finished, tmp_path, name, text):
    shutil.copytree(finished, tmp_path / "out")
    (tmp_path / "out" / name).write_text(text)
    found = problems(verified(tmp_path / "out"))
    assert [line for line in found if line.startswith(name)] != [], found
