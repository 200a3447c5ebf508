"""Records read back, and records that somebody has edited."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from builders import decode, rle_json

from augpipe.core.annotations import (
    Annotations,
    Category,
    ObjectAttributes,
    ObjectPart,
    ObjectRow,
    Rings,
    Rle,
    objects_of,
)
from augpipe.core.canvas import follow
from augpipe.core.errors import Reject
from augpipe.core.plan import Plan
from augpipe.formats.coco.json_fields import category_json
from augpipe.formats.webdataset import record as records
from augpipe.formats.webdataset.record import annotations_of_record
from augpipe.labels.transform import LabelRules, apply

CATEGORIES = {7: Category(7, 1, "cat"), 9: Category(9, 2, "dog", keypoints=("nose",))}
SOURCE = records.SourceFacts("x/a.jpg", "0" * 64, (20, 10), 6, "val")


def mask() -> np.ndarray:
    out = np.zeros((10, 20), np.uint8)
    out[2:5, 3:9] = 1
    return out


def labels() -> Annotations:
    code = rle_json(mask())
    rows = [
        ObjectRow(0, 7, (1.0, 2.0, 8.123456, 9.0), segmentation=Rings((np.array([[1, 2], [8.5, 2], [8, 9]]),)),
                  parts=(ObjectPart("head", (1.0, 2.0, 3.0, 4.0)),),
                  facts=ObjectAttributes(5, 1, 0, None, "Left", {"free": {"x": [1, 2]}})),
        ObjectRow(2, 9, (3.0, 2.0, 9.0, 5.0), 1, 4, Rle((10, 20), code["counts"].encode()),
                  np.array([[4.5, 3.25, 2.0]]), np.array([[3, 2], [9, 2], [9, 5], [3, 5.0]]),
                  facts=ObjectAttributes("abc")),
    ]  # fmt: skip
    instance = np.zeros((10, 20), np.uint8)
    instance[mask() == 1] = 4
    return Annotations(objects_of(rows), instance=instance, tags=("t",), captions=("c",), image_id=3,
                       attributes={"license": 2})  # fmt: skip


def record() -> dict:
    labelled = apply(labels(), follow((), (20, 10)), LabelRules(), CATEGORIES)
    made = records.record_of("a-0-orig", -1, labelled, SOURCE, Plan(0, (), ()), CATEGORIES)
    return json.loads(json.dumps(made, sort_keys=True, allow_nan=False))


def read(value: dict, **rasters) -> Annotations:
    return annotations_of_record(value, rasters, CATEGORIES, "x.tar/a")


def test_a_record_reads_back_as_it_was():
    before, value = labels(), record()
    after = read(value, **{"instance.png": before.instance})
    one, two = before.objects, after.objects
    assert two.index.tolist() == [0, 1]
    assert two.category_id.tolist() == one.category_id.tolist()
    assert two.boxes_xyxy.tolist() == np.round(one.boxes_xyxy, 3).tolist()
    assert two.iscrowd.tolist() == [0, 1]
    assert two.instance.tolist() == [0, 4]
    assert two.segmentation[0].rings[0].tolist() == one.segmentation[0].rings[0].tolist()
    assert np.array_equal(decode(two.segmentation[1]), mask())
    assert two.keypoints[0] is None
    assert two.keypoints[1].tolist() == [[4.5, 3.25, 2]]
    assert two.obb[1].tolist() == one.obb[1].tolist()
    assert (two.parts, two.facts) == (one.parts, one.facts)
    assert (after.tags, after.captions, after.image_id, after.attributes) == (("t",), ("c",), 3, {"license": 2})
    assert after.size_wh == (20, 10)
    assert np.array_equal(after.instance, before.instance)


def test_what_is_not_known_is_absent():
    text = json.dumps(record())
    assert "null" not in text
    first, second = record()["objects"]
    assert "occluded" not in first
    assert "pose" not in second
    assert record()["source"] == {
        "key": "x/a.jpg", "sha256": "0" * 64, "width": 20, "height": 10, "orientation": 6, "split": "val",
        "attributes": {"license": 2},
    }  # fmt: skip


def test_fields_of_a_later_minor_version_are_ignored():
    value = record()
    value["news"], value["objects"][0]["news"] = [1], {"x": 1}
    assert len(read(value).objects) == 2


@pytest.mark.parametrize("schema", ["augpipe/2", "augpipe/10", "other", None, 5])
def test_another_schema_is_a_reject(schema):
    with pytest.raises(Reject, match="this version reads augpipe/1") as caught:
        read({**record(), "schema": schema})
    assert (caught.value.stage, caught.value.code, caught.value.file) == ("labels", "unsupported", "x.tar/a")


EDITS = {
    "no objects list": lambda r: r.update(objects=5),
    "object is text": lambda r: r["objects"].append("x"),
    "object is a list": lambda r: r["objects"].append([1]),
    "no category": lambda r: r["objects"][0].pop("category_id"),
    "category true": lambda r: r["objects"][0].update(category_id=True),
    "category text": lambda r: r["objects"][0].update(category_id="7"),
    "unknown category": lambda r: r["objects"][0].update(category_id=1),
    "no box": lambda r: r["objects"][0].pop("box_xyxy"),
    "short box": lambda r: r["objects"][0].update(box_xyxy=[1, 2, 3]),
    "box of texts": lambda r: r["objects"][0].update(box_xyxy=["1", 2, 3, 4]),
    "huge box": lambda r: r["objects"][0].update(box_xyxy=[1, 2, 3, 10**400]),
    "empty ring": lambda r: r["objects"][0].update(segmentation=[[]]),
    "no rings": lambda r: r["objects"][0].update(segmentation=[]),
    "short ring": lambda r: r["objects"][0].update(segmentation=[[1, 2, 3, 4]]),
    "odd ring": lambda r: r["objects"][0].update(segmentation=[[1, 2, 3, 4, 5, 6, 7]]),
    "segmentation a number": lambda r: r["objects"][0].update(segmentation=5),
    "bad code": lambda r: r["objects"][1]["segmentation"].update(counts="zzz"),
    "no counts": lambda r: r["objects"][1]["segmentation"].pop("counts"),
    "keypoints odd": lambda r: r["objects"][1].update(keypoints=[1, 2]),
    "keypoints text": lambda r: r["objects"][1].update(keypoints="abc"),
    "obb short": lambda r: r["objects"][1].update(obb=[[1, 2]]),
    "flag a list": lambda r: r["objects"][0].update(truncated=[1]),
    "instance text": lambda r: r["objects"][1].update(instance="x"),
    "attributes a list": lambda r: r["objects"][0].update(attributes=[1]),
    "tags numbers": lambda r: r.update(tags=[1]),
    "captions a number": lambda r: r.update(captions=3),
    "no width": lambda r: r.pop("width"),
    "height text": lambda r: r.update(height="tall"),
    "source a list": lambda r: r.update(source=[]),
    "source attributes a list": lambda r: r["source"].update(attributes=[]),
    "segments a number": lambda r: r.update(segments_info=5),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_record_that_was_edited_is_a_reject(edit):
    value = copy.deepcopy(record())
    EDITS[edit](value)
    with pytest.raises(Reject) as caught:
        read(value)
    assert (caught.value.code, caught.value.message.partition(": ")[0]) == ("bad-json", "x.tar/a")


def test_categories_there_and_back():
    before = (Category(3, 1, "cat", "animal", ("a", "left_b", "right_b"), ((1, 2),), ((1, 2),)), Category(5, 2, "dog"))
    written = json.loads(json.dumps([category_json(c) for c in before]))
    assert tuple(map(records.category_from_json, written)) == before


def test_nulls_are_left_out_at_every_depth():
    value = {"a": None, "b": [1, None, {"c": None, "d": 0}], "e": ""}
    assert records.known(value) == {"b": [1, {"d": 0}], "e": ""}
