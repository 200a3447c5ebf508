"""COCO as it is written: ids, numbers, areas, what has no place; read back by json and pycocotools."""

from __future__ import annotations

import hashlib
import json
import math
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from augpipe.core.annotations import Annotations, Category, ObjectAttributes, ObjectPart, ObjectRow, Rings, objects_of
from augpipe.formats.base import Dataset, SourceOptions
from augpipe.formats.coco import document
from augpipe.formats.coco.ids import IdGiver, stable_id
from augpipe.formats.coco.rows import whole
from augpipe.formats.coco.write import CocoEncoder, CocoWriter
from augpipe.formats.writer import Picture, Stage
from augpipe.labels.rle import rle_of

SQUARE = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])


def a_row(box=(1, 2, 11, 12), index=0, **more) -> ObjectRow:
    return ObjectRow(index=index, category_id=3, box_xyxy=box, **more)


def document_of(*pictures: tuple[str, Annotations], categories: tuple[Category, ...] = ()) -> dict:
    return written(pictures, categories)[0]


def written(pictures, categories=(), rule="keep", batches=None) -> tuple[dict, tuple[str, ...]]:
    """(the document, the writer's remarks) of pictures that are taken in batches of such sizes, else one by one."""
    with TemporaryDirectory() as folder:
        writer = CocoWriter(
            Dataset("coco", Path(folder), tuple(categories), (), None, SourceOptions()),
            Stage(Path(folder), Path(folder), "a.json"),
            {"": rule},
        )
        rests = [writer.encoder.make(Picture(name, labels, None, (40, 30))).rest for name, labels in pictures]
        for size in batches or [1] * len(rests):
            writer.take(writer.encoder.pack(rests[:size]))
            del rests[:size]
        remarks = writer.close().remarks
        return json.loads((Path(folder) / "a.json").read_bytes()), remarks


def cannot_hold(labels: Annotations) -> dict[str, int]:
    return CocoEncoder().cannot_hold(labels)


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


def given(giver: IdGiver, own: int | str | None, *names: str | int) -> int | str:
    return giver.settle(stable_id(*names) if own is None or giver.rule == "new" else own, *names)


def test_a_taken_id_is_changed_and_counted():
    giver = IdGiver()
    assert [given(giver, 1, "a"), given(giver, 1, "b"), given(giver, None, "c")] == [1, stable_id("b"), stable_id("c")]
    assert given(giver, stable_id("d"), "d") == stable_id("d")
    assert given(giver, None, "d") == stable_id("d") + 1
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
        image_id = given(images, labels.image_id, name)
        rows = zip(labels.objects.facts, labels.objects.index.tolist(), strict=True)
        expected.append((name, image_id, [given(objects, facts.id, name, index) for facts, index in rows]))
    batches, left = [], len(pictures)
    while left:
        batches.append(rng.randint(1, left))
        left -= batches[-1]
    document, remarks = written(pictures, rule=rule, batches=batches)
    assert [(i["file_name"], i["id"]) for i in document["images"]] == [(name, n) for name, n, _ in expected]
    found = [(row["image_id"], row["id"]) for row in document["annotations"]]
    assert found == [(image_id, number) for _, image_id, numbers in expected for number in numbers]
    changed = images.collisions + objects.collisions
    assert any("came twice" in remark for remark in remarks) == bool(changed and rule == "keep")


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
        assert CocoEncoder().unwritable(rows) == ["objects too far from the picture"]
    assert CocoEncoder().unwritable(objects_of([a_row((-9e6, 0, 9e6, 5))])) == [None]


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
    small = row_of(a_row(segmentation=Rings((SQUARE * 0.1234,))))
    assert small["area"] == 0.244, "of 0.24364544, in three decimals"


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
    monkeypatch.setattr(document, "HELD_BYTES", 100)
    labels = Annotations(objects=objects_of([a_row(index=i) for i in range(50)]))
    assert len(document_of(("a.jpg", labels), ("b.jpg", labels))["annotations"]) == 100


def test_an_error_on_the_way_finishes_no_document(tmp_path):
    unfinished = document.CocoDocument(tmp_path / "a.json", [])
    unfinished.add(b"{}", b"{}")
    unfinished.discard()
    with pytest.raises(ValueError, match="Expecting"):
        json.loads((tmp_path / "a.json").read_bytes())


def test_oriented_boxes_are_a_field_of_their_own():
    """COCO has none, and as a polygon of four corners they would come back as polygons."""
    corners = np.array([[1.5, 2], [11, 3], [10, 12], [0, 11]])
    written = row_of(a_row(obb=corners))
    assert written["obb"] == [1.5, 2, 11, 3, 10, 12, 0, 11]
    assert "segmentation" not in written
