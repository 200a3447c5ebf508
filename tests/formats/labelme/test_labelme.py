"""labelme: shapes, groups, masks, pictures in their places and in the JSON itself, splits, and what is left out."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import SIZE, approx, check_commands, coco_rows, files_of
from builders import decode, encoded, keys, opened, photo, read_all, rejected, said
from PIL import Image

from augpipe.core.annotations import Rings
from augpipe.core.errors import Reject
from augpipe.formats.base import read_picture
from augpipe.formats.registry import recognised


def shape(label: Any, kind: str | None, *points: Any, **more: Any) -> dict[str, Any]:
    return {"label": label, "points": list(points), "shape_type": kind, "group_id": None, "flags": {}, **more}


TREE = shape("tree", "rectangle", [120.0, 90.0], [40.0, 30.0])
HOUSE = shape("house", "polygon", [150, 100], [260, 100], [200, 200])


def document(*shapes: Any, path: str = "a.jpg", data: str | None = None, **more: Any) -> str:
    head = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": path, "imageData": data}
    return json.dumps({**head, "imageHeight": 240, "imageWidth": 320, **more})


def one(folder: Path, *shapes: Any, **more: Any) -> Any:
    dataset = opened(files_of(folder / "set", {"a.json": document(*shapes, **more)}, ["a.jpg"]))
    return dataset, dataset.reader.annotations(dataset.entries[0])


def test_every_command_takes_it(tmp_path):
    source = files_of(
        tmp_path / "set", {"a.json": document(TREE, HOUSE), "b.json": document(TREE, path="b.jpg")}, ["a.jpg", "b.jpg"]
    )
    check_commands(source, "labelme", tmp_path)
    found = coco_rows(source, tmp_path / "again")
    assert found["a.jpg"] == [("house", [150, 100, 110, 100], 0), ("tree", [40, 30, 80, 60], 0)]
    assert recognised(str(source / "a.json")) == ["labelme"]
    assert keys(opened(source / "a.json")) == ["a.jpg"]


def test_types_of_shapes(tmp_path):
    circle = shape("wheel", "circle", [100, 100], [103, 104])
    turned = shape("ship", "rotation", [100, 50], [150, 100], [100, 150], [50, 100], direction=0.785)
    old = {"label": "house", "points": [[0, 0], [10, 0], [10, 10]], "line_color": None, "fill_color": None}
    dataset, found = one(tmp_path, TREE, HOUSE, circle, turned, old)
    assert [c.name for c in dataset.categories] == ["house", "ship", "tree", "wheel"]
    assert found.objects.boxes_xyxy.tolist() == [
        [40, 30, 120, 90],
        [150, 100, 260, 200],
        approx(95, 95, 105, 105),  # a radius of 5
        [50, 50, 150, 150],
        [0, 0, 10, 10],
    ]
    segmentation = found.objects.segmentation
    assert segmentation[0] is None
    assert segmentation[1].rings[0].tolist() == [[150, 100], [260, 100], [200, 200]]
    x, y = segmentation[2].rings[0].T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == pytest.approx(math.pi * 25, rel=0.003)
    assert found.objects.obb[3].tolist() == [[100, 50], [150, 100], [100, 150], [50, 100]]
    assert found.objects.facts[3].attributes == {"direction": 0.785}
    assert (found.size_wh, found.notes, found.dropped) == (SIZE, (), ())


def test_shapes_of_a_group_are_one_object_and_its_points_keypoints(tmp_path):
    shapes = [
        shape("person", "polygon", [10, 10], [30, 10], [30, 40], group_id=1),
        shape("nose", "point", [20, 15], group_id=1),
        shape("person", "polygon", [40, 10], [60, 10], [60, 40], group_id=1),
        shape("left_eye", "point", [18, 12], group_id=1),
        shape("person", "rectangle", [100, 100], [150, 150], group_id=2),
        shape("left_eye", "point", [110, 110], group_id=2),
        shape("right_eye", "point", [130, 110], group_id=2),
        shape("person", "rectangle", [200, 100], [250, 150]),
    ]
    dataset, found = one(tmp_path, *shapes)
    assert found.objects.boxes_xyxy.tolist() == [[10, 10, 60, 40], [100, 100, 150, 150], [200, 100, 250, 150]]
    assert len(found.objects.segmentation[0].rings) == 2
    person = dataset.categories[0]
    assert person.keypoints == ("nose", "left_eye", "right_eye")
    assert person.flip_pairs == ((1, 2),)
    assert found.objects.keypoints[0].tolist() == [[20, 15, 2], [18, 12, 2], [0, 0, 0]]
    assert found.objects.keypoints[1].tolist() == [[0, 0, 0], [110, 110, 2], [130, 110, 2]]
    assert found.objects.keypoints[2] is None
    assert found.objects.facts[0].attributes["group_id"] == 1


def test_rectangles_of_a_group_and_labels_that_differ_in_one(tmp_path):
    shapes = [
        shape("car", "rectangle", [10, 10], [30, 30], group_id=5),
        shape("car", "rectangle", [50, 10], [80, 30], group_id=5),
        shape("plate", "rectangle", [12, 20], [18, 24], group_id=5),
    ]
    _, found = one(tmp_path, *shapes)
    assert found.objects.boxes_xyxy.tolist() == [[10, 10, 80, 30], [12, 20, 18, 24]]
    assert isinstance(found.objects.segmentation[0], Rings)
    assert len(found.objects.segmentation[0].rings) == 2


def test_a_mask_is_a_png_between_two_corners(tmp_path):
    bitmap = np.zeros((4, 6), bool)
    bitmap[1:3, 2:6] = True
    file = io.BytesIO()
    Image.fromarray(bitmap).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    _, found = one(tmp_path, shape("cat", "mask", [100, 50], [105, 53], mask=text))
    expected = np.zeros((240, 320), np.uint8)
    expected[51:53, 102:106] = 1
    assert np.array_equal(decode(found.objects.segmentation[0]), expected)
    assert found.objects.boxes_xyxy.tolist() == [[102, 51, 106, 53]]


@pytest.mark.parametrize("text", [None, "", "AAAA", "%%%"])
def test_a_mask_that_is_none_leaves_its_box(text, tmp_path):
    _, found = one(tmp_path, shape("cat", "mask", [100, 50], [105, 53], mask=text))
    assert found.objects.boxes_xyxy.tolist() == [[100, 50, 105, 53]]
    assert found.notes == ("mask-left-out",)


def test_lines_and_lone_points_are_left_out_and_told(tmp_path):
    shapes = [
        TREE,
        shape("road", "line", [0, 0], [10, 10]),
        shape("road", "linestrip", [0, 0], [10, 10], [20, 0]),
        shape("eye", "point", [5, 5]),
        shape("eye", "point", [5, 5], group_id=9),
        shape("x", "cuboid", [5, 5], [6, 6]),
    ]
    dataset, found = one(tmp_path, *shapes)
    assert [c.name for c in dataset.categories] == ["tree"]
    assert found.notes == ("shape-left-out",)
    assert len(found.objects) == 1
    (remark,) = dataset.remarks
    assert remark.startswith("left out: 5 shapes of types that enclose no area, or points without an object of their ")
    assert remark.endswith("group (cuboid 1, line 1, linestrip 1, point 2), as 'road' in a.json")


@pytest.mark.parametrize(
    "points", [[], [[1, 1]], [[1, 1], [2, 2]], [[1, 1], [1, 5], [1, 9]], "x", None, [[1, 2, 3]] * 3, [[1, 1e9]] * 3]
)
def test_a_polygon_that_is_none_is_dropped_with_its_reason(points, tmp_path):
    _, found = one(tmp_path, shape("house", "polygon") | {"points": points}, TREE)
    assert [d.reason for d in found.dropped] == ["degenerate"]
    assert len(found.objects) == 1


def test_fields_travel(tmp_path):
    rich = TREE | {"description": "big", "flags": {"odd": True}, "difficult": True, "score": 0.5}
    _, found = one(tmp_path, rich, flags={"night": True}, text="x")
    assert found.objects.facts[0].attributes == {"description": "big", "flags": {"odd": True}, "score": 0.5}
    assert found.objects.facts[0].difficult == 1
    assert found.attributes == {"flags": {"night": True}, "text": "x"}


@pytest.mark.parametrize(
    ("json_at", "path", "picture_at"),
    [
        ("a.json", "a.jpg", "a.jpg"),
        ("labels/a.json", "..\\images\\b.jpg", "images/b.jpg"),
        ("labels/a.json", "../images/b.jpg", "images/b.jpg"),
        ("a.json", "C:\\Users\\me\\b.jpg", "images/b.jpg"),
        ("a.json", "/home/me/set/b.jpg", "images/b.jpg"),
        ("annotations/x/a.json", "gone.jpg", "images/x/a.png"),
        ("a.json", "", "a.png"),
    ],
)
def test_where_pictures_are(json_at, path, picture_at, tmp_path):
    source = files_of(tmp_path / "set", {json_at: document(TREE, path=path)}, [picture_at])
    dataset = opened(source)
    assert keys(dataset) == [picture_at]
    assert read_picture(dataset.entries[0]) == (source / picture_at).read_bytes()


def test_pictures_elsewhere_missing_and_without_a_json(tmp_path):
    source = files_of(tmp_path / "set", {"a.json": document(TREE)})
    files_of(tmp_path / "apart", {}, ["a.jpg"])
    assert opened(source).entries[0].picture is None
    assert opened(source, images=tmp_path / "apart").entries[0].picture is not None
    files_of(source, {}, ["a.jpg", "b.jpg"])
    assert opened(source).remarks == ("left out: 1 picture without a JSON",)


def test_two_pictures_of_one_name_are_told_apart_by_their_folders(tmp_path):
    source = files_of(
        tmp_path / "set",
        {"x/a.json": document(TREE), "y/a.json": document(HOUSE)},
        ["images/x/a.jpg", "images/y/a.jpg", "x/a.jpg"],
    )
    assert keys(opened(source)) == ["x/a.jpg", "y/a.jpg"]
    assert [e.picture is None for e in opened(source).entries] == [False, True]


def test_two_pictures_that_agree_equally_are_none(tmp_path):
    source = files_of(tmp_path / "set", {"labels/a.json": document(TREE)}, ["x/a.jpg", "y/a.jpg"])
    with pytest.raises(Reject, match="no picture"):
        read_picture(opened(source).entries[0])


def test_the_picture_in_the_json_is_taken_where_there_is_no_other(tmp_path):
    data = encoded(photo(SIZE))
    text = base64.b64encode(data).decode()
    source = files_of(tmp_path / "set", {"a.json": document(TREE, data=text), "b.json": document(HOUSE, data="%")})
    dataset = opened(source)
    assert read_picture(dataset.entries[0]) == data
    assert dataset.entries[1].picture is None
    assert "1 picture taken from the JSONs themselves (imageData)" in dataset.remarks
    (source / "b.json").unlink()
    check_commands(source, "labelme", tmp_path)


def test_splits(tmp_path):
    source = files_of(
        tmp_path / "set",
        {"train/a.json": document(TREE), "val/b.json": document(HOUSE, path="b.jpg")},
        ["train/a.jpg", "val/b.jpg"],
    )
    assert list(opened(source).splits) == ["train", "val"]
    dataset = opened(source, split="val")
    assert keys(dataset) == ["val/b.jpg"]
    assert [c.name for c in dataset.categories] == ["house", "tree"]
    assert said(source, split="x").endswith("no split 'x'; there are train, val")


def test_files_that_are_damaged_or_something_else(tmp_path):
    files = {
        "a.json": document(TREE),
        "bad.json": "{",
        "list.json": "[]",
        "nameless.json": document(TREE | {"label": None}, path="n.jpg"),
        "bom.json": b"\xef\xbb\xbf" + document(TREE, path="bom.jpg").encode(),
    }
    dataset = opened(files_of(tmp_path / "set", files, ["a.jpg", "bad.jpg", "n.jpg", "bom.jpg"]))
    assert rejected(dataset, "bad.jpg").code == "bad-json"
    assert keys(dataset) == ["a.jpg", "bad.jpg", "bom.jpg", "nameless.jpg"]
    assert rejected(dataset, "nameless.jpg").code == "bad-json"
    assert "left out: 1 JSON without 'shapes'" in dataset.remarks
    (tmp_path / "set" / "a.json").write_text(document(TREE | {"label": "new"}))
    assert rejected(dataset, "a.jpg").code == "unknown-class"
    assert "no labelme JSON" in said(files_of(tmp_path / "none", {"x.json": "{}"}), format="labelme")


def test_an_empty_picture_is_background(tmp_path):
    dataset = opened(files_of(tmp_path / "set", {"a.json": document()}, ["a.jpg"]))
    assert [len(labels.objects) for labels in read_all(dataset)] == [0]
