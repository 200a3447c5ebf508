"""Pascal VOC as it is written: elements, corners, what has no place; read back by xml.etree and by the reader."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from augpipe.core.annotations import Annotations, Category, ObjectAttributes, ObjectPart, ObjectRow, Rings, objects_of
from augpipe.formats.base import Dataset, SourceOptions
from augpipe.formats.voc import write
from augpipe.formats.voc.read import VocReader
from augpipe.formats.voc.write import ImageSetRows, VocEncoder, VocWriter, xml_of
from augpipe.formats.writer import Stage

CATEGORIES = {1: Category(1, 1, "cat"), 5: Category(5, 2, "a <b> & c"), 9: Category(9, 3, "")}


def written(*rows: ObjectRow, **more) -> ElementTree.Element:
    return ElementTree.fromstring(bytes_of(*rows, **more))


def bytes_of(*rows: ObjectRow, **more) -> bytes:
    return xml_of("x.jpg", (40, 30), 3, Annotations(objects=objects_of(rows), **more), CATEGORIES)


def read(data: bytes) -> Annotations:
    return VocReader({c.name: c.id for c in CATEGORIES.values()}).parse(data, "x.xml")


def a_row(box=(1, 2, 11, 12), category=1, **more) -> ObjectRow:
    return ObjectRow(index=0, category_id=category, box_xyxy=box, **more)


def corners(element: ElementTree.Element) -> list[str]:
    return [element.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]


ENCODER = VocEncoder(Path(), CATEGORIES, {c.id: c.label for c in CATEGORIES.values()})
cannot_hold = ENCODER.cannot_hold
OTHER_TEXT = "fields with values that are other text in XML"


def test_the_order_of_elements_is_the_devkits():
    facts = ObjectAttributes(pose="Left", truncated=1, difficult=0, occluded=1, attributes={"colour": "red"})
    root = written(a_row(facts=facts, parts=(ObjectPart("head", (2, 3, 4, 5)),)))
    assert [e.tag for e in root] == ["folder", "filename", "source", "size", "segmented", "object"]
    assert [e.tag for e in root.find("object")] == [
        "name", "pose", "truncated", "difficult", "occluded", "bndbox", "part", "colour",
    ]  # fmt: skip
    assert [e.text for e in root.find("size")] == ["40", "30", "3"]


def test_what_is_not_known_is_not_written():
    assert [e.tag for e in written(a_row()).find("object")] == ["name", "bndbox"]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 10, 10), ["1", "1", "10", "10"]),
        ((-5, 3, -4, 99), ["-4", "4", "-4", "99"]),
        ((1.25, 2, 11.75, 10), ["2.25", "3", "11.75", "10"]),
        ((0.1, 0.2, 0.1 + 1.1, 3.2), ["1.1", "1.2", "1.2", "3.2"]),  # the noise of a sum is not written
        ((1 / 3, 0, 2, 1), ["1.333333333", "1", "2", "1"]),
    ],
)
def test_corners_count_from_1_and_are_inclusive(box, expected):
    assert corners(written(a_row(box)).find("object")) == expected
    assert read(bytes_of(a_row(box))).objects.boxes_xyxy[0] == pytest.approx(box, abs=1e-9)


def test_a_thin_box_has_no_place_because_its_corners_would_be_swapped():
    def reason(*box):
        return ENCODER.unwritable(objects_of([a_row(box)]))[0]

    assert reason(10, 2, 10.5, 8) == "objects thinner than a pixel"
    assert reason(10, 2, 15, 2.999) == "objects thinner than a pixel"
    assert reason(10, 2, 11, 3) is None
    assert reason(10, 2, 11 - 1e-12, 3) is None  # a pixel, but for the noise of a sum
    assert reason(10, 2, 1e9, 3) == "objects too far from the picture"


def test_a_class_without_a_name_has_no_place():
    assert ENCODER.unwritable(objects_of([a_row(category=9)])) == ["objects whose class has no name"]


def test_thin_parts_are_left_out_and_counted():
    parts = (ObjectPart("head", (2, 3, 4, 5)), ObjectPart("hand", (2, 3, 2.5, 5)))
    assert [p.findtext("name") for p in written(a_row(parts=parts)).iter("part")] == ["head"]
    assert cannot_hold(Annotations(objects=objects_of([a_row(parts=parts)]))) == {"parts thinner than a pixel": 1}


def test_text_is_escaped_and_what_xml_cannot_hold_is_replaced():
    attributes = {"note": "a<b>&\"'\n\x00\x1b\ud800\uffff", "ok": "größe 日本 🐈"}
    root = written(a_row(category=5), attributes=attributes)
    assert root.findtext("object/name") == "a <b> & c"
    assert root.findtext("note") == "a<b>&\"'\n\ufffd\ufffd\ufffd\ufffd"
    assert root.findtext("ok") == "größe 日本 🐈"


def test_free_fields_are_elements_and_come_back_as_text():
    """Mappings nest and lists repeat. Numbers become text, a list of one its item, lists in lists one list."""
    attributes = {
        "source": {"database": "d", "image": "flickr"},
        "folder": "f",
        "segmented": 1,
        "license": 3,
        "sure": True,
        "many": ["a", 2, 0.5],
        "one": ["a"],
        "deep": {"x": {"y": [1, 2]}},
        "nested": [[1, 2], [3]],
        "nothing": None,
        "empty": "",
    }
    back = read(bytes_of(attributes=attributes)).attributes
    assert back == {
        "source": {"database": "d", "image": "flickr"},
        "folder": "f",
        "segmented": "1",
        "license": "3",
        "sure": "1",
        "many": ["a", "2", "0.5"],
        "one": "a",
        "deep": {"x": {"y": ["1", "2"]}},
        "nested": ["1", "2", "3"],
    }


def test_a_free_field_never_takes_the_place_of_an_element():
    attributes = {"filename": "evil.jpg", "size": {"width": 1}, "object": "x", "folder": {"a": 1}}
    facts = ObjectAttributes(attributes={"name": "dog", "bndbox": {"xmin": 0}, "part": "x"})
    root = written(a_row(facts=facts), attributes=attributes)
    assert [e.text for e in root.iter("filename")] == ["x.jpg"]
    assert [len(list(root.iter(name))) for name in ("size", "object", "name", "bndbox")] == [1, 1, 1, 1]
    assert root.findtext("folder/a") == "1"
    labels = Annotations(objects=objects_of([a_row(facts=facts)]), attributes=attributes)
    assert cannot_hold(labels) == {"fields with names that XML cannot hold": 6, OTHER_TEXT: 1}


def test_names_that_are_no_elements_are_left_out_and_counted():
    attributes = {"two words": 1, "1st": 2, "ok": {"": 3, "a:b": 4, "fine": 5}, "größe": 6}
    root = written(attributes=attributes)
    assert [e.tag for e in root.find("ok")] == ["fine"]
    told = cannot_hold(Annotations(attributes=attributes))
    assert told == {"fields with names that XML cannot hold": 5, OTHER_TEXT: 1}


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        ("red", 0), (["a", "b"], 0), ({"by": "me", "at": {"x": "y"}}, 0), (None, 0), (3, 1), (0.5, 1), (True, 1),
        ("", 1), (" red", 1), ("a\x01", 1), (["a"], 1), ([["a"], ["b"]], 1), ([], 1), ({}, 1), ({"n": 1}, 1),
    ],
)  # fmt: skip
def test_values_that_come_back_as_others_are_counted(value, changes):
    rows = [a_row(facts=ObjectAttributes(attributes={"field": value}))]
    labels = Annotations(objects=objects_of(rows), attributes={"field": value})
    assert cannot_hold(labels).get(OTHER_TEXT, 0) == 2 * changes
    back = read(bytes_of(*rows, attributes={"field": value}))
    found = [back.attributes.get("field"), back.objects.facts[0].attributes.get("field")]
    assert (found == [value, value]) != bool(changes)


def test_what_has_no_place_is_counted_once_an_object():
    rings = Rings((np.array([[0.0, 0], [4, 0], [4, 4]]),))
    rows = [
        a_row(segmentation=rings, keypoints=np.zeros((1, 3)), iscrowd=1, facts=ObjectAttributes(id=7)),
        a_row(segmentation=rings, obb=np.zeros((4, 2)), facts=ObjectAttributes(id="x")),
        a_row(),
    ]
    labels = Annotations(
        objects=objects_of(rows), image_id=0, captions=("a", "b"), tags=("t",), panoptic=np.zeros((1, 1))
    )
    assert cannot_hold(labels) == {
        "object ids": 2, "crowd flags": 1, "keypoints": 1, "oriented boxes": 1, "panoptic masks": 1,
        "image ids": 1, "captions": 2, "tags": 1,
    }  # fmt: skip


def test_what_classes_have_beyond_a_name_is_counted(tmp_path):
    categories = [
        Category(1, 1, "cat", supercategory="animal", keypoints=("nose",)),
        Category(4, 2, "cat", supercategory="animal", skeleton=((1, 2),)),
        Category(9, 3, " dog"),
    ]
    dataset = Dataset("voc", tmp_path, tuple(categories), (), None, SourceOptions())
    writer = VocWriter(dataset, Stage(tmp_path, tmp_path))
    writer.take([ImageSetRows("a", {1, 9}, 0, True, False)])
    assert writer.close().losses == {
        "class ids": 3,
        "classes without objects": 1,
        "classes with the name of another": 1,
        "class names with spaces around or control characters": 1,
        "supercategories": 2,
        "keypoint names and skeletons": 2,
    }


def test_fractional_counts_boxes():
    rows = [a_row((0, 0, 5, 5)), a_row((0.5, 0, 5, 5)), a_row((0, 0, 5, 5.000001)), a_row((0, 0, 0.1 + 0.9, 5))]
    assert write.fractional(objects_of(rows)) == 2
