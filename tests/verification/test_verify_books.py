"""Masks, segments, whole copies and books changed behind the back of the others: each is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import panoptic_set
from forge import Samples, forged, read_samples, resign, write_samples
from runs import recipe_of, run
from verifying import (
    CUTTING,
    a_copy,
    first,
    problems,
    told,
    verified,
)

# --- rasters ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_masks(layered, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("masks") / "out"
    run(layered, out, recipe_of(CUTTING), copies=1, seed=3)
    return out


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
def test_a_wrong_mask_is_noticed(layered, with_masks, tmp_path, change, expected):
    alone, found = told(layered, with_masks, tmp_path / "forged", change)
    assert alone == []
    assert [line for line in found if expected in line] != [], found


PANOPTIC = """
version: 1
labels: {erased: cut, min_side: 0, min_area: 0}
steps:
- affine: {rotate: [-25, 25], scale: [0.8, 1.2]}
- erase: {count: 1, area: 0.05}
"""


@pytest.fixture(scope="module")
def with_segments(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("segments")
    source, out = folder / "src", folder / "out"
    panoptic_set(source)
    run(source, out, recipe_of(PANOPTIC), copies=2, seed=1, originals=True)
    assert problems(verified(out, source)) == []
    return source, out


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
def test_a_wrong_segment_is_noticed(with_segments, tmp_path, change, expected):
    source, out = with_segments
    alone, found = told(source, out, tmp_path / "forged", change)
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


def test_a_copy_under_the_name_of_another_is_noticed(coco, full, tmp_path):
    for number, change in enumerate((one_twice, another_copy_number)):
        found = problems(verified(forged(full, tmp_path / str(number), change)))
        assert [line for line in found if "its record is of augpipe/1" in line] != [], found


def test_a_sample_in_the_wrong_shard_or_missing_is_noticed(full, tmp_path):
    """The tar's first sample is written a second time in the place of the last: the counts fit."""
    target = tmp_path / "out"
    shutil.copytree(full, target)
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


def test_copies_that_have_changed_places_are_noticed(coco, full, tmp_path):
    """Labels, picture and plan of each fit each other: only drawing them again can tell."""
    alone, found = told(coco, full, tmp_path / "forged", all_of_another_copy)
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
        ("manifest.json", lambda m: m["totals"].update(pictures=9), "9 pictures, the shards have 4"),
        ("manifest.json", lambda m: m["config"].update(seed=7), "its digest is not that of its config"),
        ("manifest.json", lambda m: m["shards"].append(m["shards"][0]), "names a shard twice"),
        ("manifest.json", lambda m: m["shards"].pop(), "the manifest does not know this shard"),
        ("run.json", lambda m: m["config"].update(seed=7), "its config is not the manifest's"),
        ("all-000001.json", lambda m: m.update(objects=m["objects"] + 1), "objects, its record says"),
        ("all-000001.json", lambda m: m.update(dropped={"outside": 99}), "its samples dropped"),
        ("all-000001.json", lambda m: m.update(rejected=1), "1 samples rejected, its rows say 0"),
        ("all-000001.json", lambda m: m["task"].update(sources=["x.jpg"]), "belongs to no task of this shard"),
        ("all-000001.json", lambda m: m.update(samples=2), "samples is 2, in the manifest 3"),
    ],
)
def test_books_that_do_not_fit_are_noticed(full, tmp_path, name, change, expected):
    found = books(full, tmp_path / "out", name, change)
    assert [line for line in found if expected in line] != [], found


@pytest.mark.parametrize("name", ["run.json", "all-000001.json", "rejects.jsonl"])
@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", '{"a": NaN}', "3", "null", '{"schema": 1}'])
def test_books_that_are_none_are_noticed(full, tmp_path, name, text):
    shutil.copytree(full, tmp_path / "out")
    (tmp_path / "out" / name).write_text(text)
    found = problems(verified(tmp_path / "out"))
    assert [line for line in found if line.startswith(name)] != [], found
