"""labelme's JSONs by plain JSON and Pillow, with labelme's own rules for shapes, and there and back."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from builders import coco, decode, image, opened, read_all, row, write_json, write_picture
from command_line import call
from PIL import Image
from pycocotools import mask as coco_mask

BITMAP = np.zeros((10, 20), np.uint8)
BITMAP[2:8, 3:12], BITMAP[4:6, 5:8] = 1, 0  # with a hole
TYPES = {"polygon", "rectangle", "circle", "line", "point", "linestrip", "points", "mask"}
"""What labelme's ``Shape.shape_type`` takes; anything else is an error when the file is opened."""


def code() -> dict:
    made = coco_mask.encode(np.asfortranarray(BITMAP))
    return {"size": made["size"], "counts": made["counts"].decode()}


def source_of(root, rows, cats=None):
    write_picture(root / "images" / "a.jpg")
    person = {"id": 2, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2]]}
    return write_json(root / "x.json", coco([image()], rows, cats or [{"id": 1, "name": "cat"}, person]))


ROWS = [
    row(1, bbox=[2, 1, 5.5, 4], colour="red"),
    row(2, bbox=[1, 1, 6, 5], segmentation=[[1, 1, 7, 1, 7, 6]]),
    row(3, bbox=[1, 1, 17, 8], segmentation=[[1, 1, 5, 1, 5, 6], [9, 2, 18, 2, 18, 9]]),
    row(4, bbox=[3, 2, 9, 6], segmentation=code()),
    row(5, category_id=2, bbox=[2, 2, 9, 7], keypoints=[3, 4, 2, 0, 0, 0, 8, 4.5, 1], num_keypoints=2),
    row(6, bbox=[0, 0, 9, 9], iscrowd=1),
    row(7, category_id=2, bbox=[1, 2, 3, 4], keypoints=[0] * 9, num_keypoints=0),
]


def converted(pair, source, out, *options):
    result = call("convert", pair, source, out, "-w", 0, *options)
    assert result.exit_code == 0, result.output
    return result


def test_shapes_as_labelme_has_them(tmp_path):
    result = converted("coco-to-labelme", source_of(tmp_path / "src", ROWS), tmp_path / "out")
    document = json.loads((tmp_path / "out" / "images" / "a.json").read_text())
    assert (document["imagePath"], document["imageData"]) == ("a.jpg", None)
    assert (document["imageWidth"], document["imageHeight"]) == (20, 10)
    shapes = document["shapes"]
    assert {"label", "points", "group_id", "shape_type", "flags", "description"} <= set.intersection(*map(set, shapes))
    assert {s["shape_type"] for s in shapes} <= TYPES
    told = [(s["label"], s["shape_type"], s["group_id"]) for s in shapes]
    assert told == [
        ("cat", "rectangle", None), ("cat", "polygon", None), ("cat", "polygon", 1), ("cat", "polygon", 1),
        ("cat", "mask", None), ("person", "rectangle", 2), ("nose", "point", 2), ("right_eye", "point", 2),
        ("person", "rectangle", None),
    ]  # fmt: skip
    assert shapes[0]["points"] == [[2, 1], [7.5, 5]]
    assert shapes[0]["colour"] == "red"
    assert shapes[1]["points"] == [[1, 1], [7, 1], [7, 6]]
    assert [s["points"] for s in shapes[6:8]] == [[[3, 4]], [[8, 4.5]]]
    # labelme/utils/shape.py: mask[y1 : y2 + 1, x1 : x2 + 1] = the picture in base64, as bool.
    (x1, y1), (x2, y2) = shapes[4]["points"]
    window = np.array(Image.open(io.BytesIO(base64.b64decode(shapes[4]["mask"])))).astype(bool)
    painted = np.zeros((10, 20), bool)
    painted[y1 : y2 + 1, x1 : x2 + 1] = window
    assert np.array_equal(painted, BITMAP.astype(bool))
    for said in (
        "crowds 1",
        "keypoints of which none is labelled 1",
        "keypoints that are hidden, written as seen 1",
        "object ids",
        "skeletons 1",
    ):
        assert said in result.stdout


def test_there_and_back(tmp_path):
    converted("coco-to-labelme", source_of(tmp_path / "src", ROWS), tmp_path / "out")
    back = opened(tmp_path / "out")
    assert [(c.name, c.keypoints) for c in back.categories] == [("cat", ()), ("person", ("nose", "right_eye"))]
    (labels,) = read_all(back)
    assert labels.notes == ()
    objects = labels.objects
    assert objects.boxes_xyxy.tolist() == [
        [2, 1, 7.5, 5], [1, 1, 7, 6], [1, 1, 18, 9], [3, 2, 12, 8], [2, 2, 11, 9], [1, 2, 4, 6],
    ]  # fmt: skip
    rings = objects.segmentation[2].rings
    assert [r.tolist() for r in rings] == [[[1, 1], [5, 1], [5, 6]], [[9, 2], [18, 2], [18, 9]]]
    assert np.array_equal(decode(objects.segmentation[3]), BITMAP)
    assert objects.keypoints[4].tolist() == [[3, 4, 2], [8, 4.5, 2]]
    assert objects.facts[0].attributes["colour"] == "red"


def test_what_labelme_says_comes_back_by_coco(tmp_path):
    """Groups of a labelme set keep their numbers where they still say the same."""

    def shape(label, points, kind, group, **more):
        return {"label": label, "points": points, "group_id": group, "description": "", "shape_type": kind,
                "flags": {}, "mask": None, **more}  # fmt: skip

    shapes = [
        shape("a", [[1, 1], [5, 1], [5, 6]], "polygon", 7),
        shape("a", [[9, 2], [18, 2], [18, 9]], "polygon", 7),
        shape("b", [[1, 1], [4, 5]], "rectangle", 7, flags={"checked": True}, description="torn"),
        shape("c", [[2, 2], [9, 9]], "rectangle", 3, difficult=True),
        shape("tip", [[3, 3]], "point", 3),
    ]
    document = {"version": "5.5.0", "flags": {"night": True}, "shapes": shapes, "imagePath": "a.jpg",
                "imageData": None, "imageHeight": 10, "imageWidth": 20}  # fmt: skip
    write_picture(tmp_path / "src" / "a.jpg")
    write_json(tmp_path / "src" / "a.json", document)
    converted("labelme-to-coco", tmp_path / "src", tmp_path / "coco")
    converted("coco-to-labelme", tmp_path / "coco", tmp_path / "out")
    back = json.loads(next((tmp_path / "out").rglob("*.json")).read_text())

    def known(one):
        return {k: v for k, v in one.items() if k != "mask"}

    assert [known(s) for s in back.pop("shapes")] == [known(s) for s in document.pop("shapes")]
    assert back == document


def test_groups_of_two_objects_with_points_are_told_apart(tmp_path):
    point = [3, 4, 2, 0, 0, 0, 0, 0, 0]
    rows = [row(i, category_id=2, bbox=[i, 2, 3, 3], keypoints=point, group_id=4) for i in (1, 2)]
    rows += [row(3, bbox=[1, 1, 3, 3], group_id=4)]
    converted("coco-to-labelme", source_of(tmp_path / "src", rows), tmp_path / "out")
    (labels,) = read_all(opened(tmp_path / "out"))
    assert (len(labels.objects), labels.notes) == (3, ())
    assert [None if k is None else k.tolist() for k in labels.objects.keypoints] == [[[3, 4, 2]], [[3, 4, 2]], None]


def test_splits_and_odd_names(tmp_path):
    for split, name in (("train", "ä b.v1.jpg"), ("valid", "c.jpg")):
        write_picture(tmp_path / "src" / split / name)
        write_json(tmp_path / "src" / split / "_annotations.coco.json", coco([image(1, name)], [row(1)]))
    converted("coco-to-labelme", tmp_path / "src", tmp_path / "out")
    there = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert there == ["images/train/ä b.v1.jpg", "images/train/ä b.v1.json", "images/val/c.jpg", "images/val/c.json"]
    assert opened(tmp_path / "out").splits == {"train": 1, "val": 1}


def test_oriented_boxes_are_polygons_and_counted(tmp_path):
    rows = [row(1, bbox=[2, 1, 5, 4], obb=[2, 3, 5, 1, 7, 3, 4, 5])]
    result = converted("coco-to-labelme", source_of(tmp_path / "src", rows), tmp_path / "out")
    (shape,) = json.loads((tmp_path / "out" / "images" / "a.json").read_text())["shapes"]
    assert (shape["shape_type"], shape["points"]) == ("polygon", [[2, 3], [5, 1], [7, 3], [4, 5]])
    assert "oriented boxes, written as polygons 1" in result.stdout
