"""COCO as it is written: ids, numbers, areas, what has no place; read back by json and pycocotools."""

from __future__ import annotations

import hashlib
import io
import json
import math
import random

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from augpipe.core.annotations import Annotations, Category, ObjectAttributes, ObjectPart, ObjectRow, Rings, objects_of
from augpipe.formats.coco import write
from augpipe.formats.coco.ids import IdGiver, stable_id
from augpipe.formats.coco.write import CocoWriter, annotation_json, batch_of, cannot_hold, rows_of, whole
from augpipe.labels.rle import rle_of

SQUARE = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])


def a_row(box=(1, 2, 11, 12), index=0, **more) -> ObjectRow:
    return ObjectRow(index=index, category_id=3, box_xyxy=box, **more)


def document_of(*pictures: tuple[str, Annotations], categories: tuple[Category, ...] = ()) -> dict:
    file = io.BytesIO()
    with CocoWriter(file, categories) as writer:
        for name, annotations in pictures:
            writer.add(name, (40, 30), annotations)
    return json.loads(file.getvalue().decode("utf-8"))


def row_of(row: ObjectRow) -> dict:
    return document_of(("a.jpg", Annotations(objects=objects_of([row]))))["annotations"][0]


def test_a_document_has_what_coco_asks_for_even_when_empty():
    assert document_of() == {
        "info": {"description": "converted by augpipe"},
        "licenses": [],
        "categories": [],
        "images": [],
        "annotations": [],
    }


def test_categories_are_as_they_came():
    category = Category(7, 1, "cat", "animal", ("left_eye", "right_eye"), ((1, 2),), ((0, 1),))
    assert document_of(categories=(category, Category(90, 2, "dog")))["categories"] == [
        {
            "id": 7,
            "name": "cat",
            "supercategory": "animal",
            "keypoints": ["left_eye", "right_eye"],
            "skeleton": [[1, 2]],
        },
        {"id": 90, "name": "dog"},
    ]


def test_own_ids_are_kept_and_new_ones_name_picture_and_position():
    labels = Annotations(
        objects=objects_of([a_row(facts=ObjectAttributes(id=8)), a_row(index=1), a_row(facts=ObjectAttributes(id="x"))])
    )
    document = document_of(("a.jpg", labels), ("b.jpg", Annotations(image_id=5)))
    assert [i["id"] for i in document["images"]] == [stable_id("a.jpg"), 5]
    assert [r["id"] for r in document["annotations"]] == [8, stable_id("a.jpg", 1), "x"]
    assert {r["image_id"] for r in document["annotations"]} == {stable_id("a.jpg")}


def test_stable_ids_are_pinned_and_apart():
    digest = hashlib.blake2b(b"5:a.jpg,1:7,", digest_size=8).hexdigest()
    assert stable_id("a.jpg", 7) == int(digest, 16) >> 11
    assert stable_id("a.jpg") == 3127137622489990
    many = {stable_id(f"{i}.jpg", k) for i in range(200) for k in range(50)}
    assert len(many) == 10_000
    assert all(0 < n < 2**53 and float(n) == n for n in many)
    assert stable_id("a", "bc") != stable_id("ab", "c")


def test_a_taken_id_is_changed_and_counted():
    giver = IdGiver()
    assert [giver.give(1, "a"), giver.give(1, "b"), giver.give(None, "c")] == [1, stable_id("b"), stable_id("c")]
    assert giver.give(stable_id("d"), "d") == stable_id("d")
    assert giver.give(None, "d") == stable_id("d") + 1
    assert giver.collisions == 2


def random_pictures(rng: random.Random, count: int) -> list[tuple[str, Annotations]]:
    """Pictures with few ids to choose from, so that many are taken; texts that hold what stands between rows."""
    ids = [None, *range(1, 9), "x", '",\n{', stable_id("3.jpg"), stable_id("5.jpg", 1)]
    return [
        (
            rng.choice([f"{i}.jpg", f'{i}",\n.jpg']),
            Annotations(
                objects=objects_of(
                    [
                        a_row(
                            index=k * 2,
                            facts=ObjectAttributes(id=rng.choice(ids), attributes={"a": ",\n"} if k else {}),
                        )
                        for k in range(rng.randrange(4))
                    ]
                ),
                image_id=rng.choice([None, None, 1, 2, 3, 4]),
            ),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("rule", ["keep", "new", "sequential"])
@pytest.mark.parametrize("seed", range(40))
def test_ids_are_those_that_one_after_the_other_would_get(rule, seed):
    """However pictures are put together in batches; of all objects the ids are given one by one here."""
    rng = random.Random(seed)
    pictures = random_pictures(rng, rng.choice([1, 3, 12]))
    images, objects = IdGiver(rule=rule), IdGiver(rule=rule)
    expected = []
    for name, labels in pictures:
        image_id = images.give(labels.image_id, name)
        rows = zip(labels.objects.facts, labels.objects.index.tolist(), strict=True)
        expected.append((name, image_id, [objects.give(facts.id, name, index) for facts, index in rows]))
    file = io.BytesIO()
    with CocoWriter(file, (), rule) as writer:
        rest = [rows_of(name, (40, 30), labels, rule) for name, labels in pictures]
        while rest:
            size = rng.randint(1, len(rest))
            writer.write(batch_of(rest[:size]))
            rest = rest[size:]
    document = json.loads(file.getvalue().decode("utf-8"))
    assert [(i["file_name"], i["id"]) for i in document["images"]] == [(name, n) for name, n, _ in expected]
    found = [(row["image_id"], row["id"]) for row in document["annotations"]]
    assert found == [(image_id, number) for _, image_id, numbers in expected for number in numbers]
    assert writer.id_collisions == images.collisions + objects.collisions


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.0, 3),
        (3.25, 3.25),
        (0.1 + 0.2, 0.3),
        (-0.0, 0),
        (1e-12, 0),
        (2 / 3, 0.666666667),
        (1e15, 10**15),
        (1e300, 1e300),
    ],
)
def test_whole_numbers_are_integers_and_noise_is_gone(value, expected):
    assert whole(value) == expected
    assert type(whole(value)) is type(expected)
    json.loads(json.dumps(whole(value)))


def test_boxes_are_corner_and_size():
    assert row_of(a_row((1, 2, 11, 12)))["bbox"] == [1, 2, 10, 10]
    assert row_of(a_row((0.1, 0.2, 0.3, 5)))["bbox"] == [0.1, 0.2, 0.2, 4.8]
    assert row_of(a_row((-3, -4, 60, 90)))["bbox"] == [-3, -4, 63, 94]


def test_boxes_that_are_nowhere_have_no_place():
    for far in (1e7, -1e20, math.inf, math.nan):
        rows = objects_of([a_row((far, 0, 5, 5))])
        assert write.unwritable(rows, 0, {}) == "objects too far from the picture"
    assert write.unwritable(objects_of([a_row((-9e6, 0, 9e6, 5))]), 0, {}) is None


def test_areas_are_of_mask_else_polygon_else_box():
    bitmap = np.zeros((30, 40), np.uint8)
    bitmap[3:9, 4:6] = 1
    rle = rle_of(bitmap, (0, 0), (40, 30))
    masked = row_of(a_row(segmentation=rle, iscrowd=1))
    assert masked["area"] == 12
    assert coco_mask.area(masked["segmentation"]) == 12
    assert (masked["iscrowd"], masked["segmentation"]["size"]) == (1, [30, 40])
    drawn = row_of(a_row(segmentation=Rings((SQUARE, SQUARE + 8.0))))
    assert (drawn["area"], drawn["segmentation"][0]) == (32, [0, 0, 4, 0, 4, 4, 0, 4])
    assert row_of(a_row())["area"] == 100


def test_keypoints_are_counted_again():
    points = np.array([[1, 2, 2], [0, 0, 0], [3.5, 4, 1]], np.float64)
    found = row_of(a_row(keypoints=points))
    assert (found["keypoints"], found["num_keypoints"]) == ([1, 2, 2, 0, 0, 0, 3.5, 4, 1], 2)


def test_facts_parts_and_free_fields_are_fields():
    facts = ObjectAttributes(
        pose="Left", truncated=1, difficult=0, attributes={"colour": "red", "nothing": None, "deep": {"a": [1]}}
    )
    found = row_of(a_row(facts=facts, parts=(ObjectPart("head", (2, 3, 6.5, 7)),)))
    assert {k: found[k] for k in ("pose", "truncated", "difficult", "colour", "deep")} == {
        "pose": "Left", "truncated": 1, "difficult": 0, "colour": "red", "deep": {"a": [1]},
    }  # fmt: skip
    assert found["parts"] == [{"name": "head", "box_xyxy": [2, 3, 6.5, 7]}]
    assert not {"occluded", "nothing", "segmentation", "keypoints"} & set(found)


def test_a_free_field_never_takes_the_place_of_cocos_own():
    facts = ObjectAttributes(attributes={"bbox": [0, 0, 0, 0], "id": 3, "image_id": 4, "fine": 1})
    labels = Annotations(
        objects=objects_of([a_row(facts=facts)]), attributes={"file_name": "evil", "width": 1, "folder": "f"}
    )
    document = document_of(("a.jpg", labels))
    assert document["images"] == [
        {"id": stable_id("a.jpg"), "file_name": "a.jpg", "width": 40, "height": 30, "folder": "f"}
    ]
    assert document["annotations"][0]["bbox"] == [1, 2, 10, 10]
    assert document["annotations"][0]["fine"] == 1
    assert cannot_hold(labels) == {"fields with names that COCO uses": 5}


def test_what_has_no_place_is_counted():
    raster = np.zeros((3, 3), np.uint8)
    labels = Annotations(
        objects=objects_of([a_row(obb=np.zeros((4, 2)))]), semantic=raster, instance=raster, tags=("t",),
        captions=("a", "b"), segments_info=({"id": 1},),
    )  # fmt: skip
    assert cannot_hold(labels) == {
        "semantic masks": 1, "instance masks": 1, "panoptic masks": 1, "captions": 2, "tags": 1,
    }  # fmt: skip
    assert cannot_hold(Annotations(objects=objects_of([a_row()]))) == {}


def test_annotations_wait_on_disk_when_there_are_many(monkeypatch):
    monkeypatch.setattr(write, "_HELD_BYTES", 100)
    labels = Annotations(objects=objects_of([a_row(index=i) for i in range(50)]))
    document = document_of(("a.jpg", labels), ("b.jpg", labels))
    assert len(document["annotations"]) == 100
    assert annotation_json(labels.objects, 0, 5.5)["area"] == 5.5


def test_an_error_on_the_way_finishes_no_document():
    file = io.BytesIO()
    with pytest.raises(KeyError), CocoWriter(file, ()):
        raise KeyError
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(file.getvalue())


def test_oriented_boxes_are_a_field_of_their_own():
    """COCO has none, and as a polygon of four corners they would come back as polygons."""
    corners = np.array([[1.5, 2], [11, 3], [10, 12], [0, 11]])
    written = row_of(a_row(obb=corners))
    assert written["obb"] == [1.5, 2, 11, 3, 10, 12, 0, 11]
    assert "segmentation" not in written
