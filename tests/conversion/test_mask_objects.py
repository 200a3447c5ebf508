"""Objects of semantic masks by their connected components, where they are asked for, against a flood fill."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import decode, opened, read_all, rejected, voc_xml, write_mask, write_picture, write_voc
from command_line import call

from augpipe.formats.wrappers import instances

VALUES = np.zeros((30, 40), np.uint8)
VALUES[2:12, 3:15] = 1  # with a hole
VALUES[5:8, 6:10] = 0
VALUES[12, 15] = 1  # touches it by a corner
VALUES[20:25, 3:9] = 1
VALUES[2:9, 20:33] = 2
VALUES[9, 20:33] = 255
VALUES[25:30, 30:40] = 255
BOXES = [(1, [3, 2, 13, 11]), (1, [3, 20, 6, 5]), (2, [20, 2, 13, 7])]
"""By hand: class, and x, y, width, height."""


def masked(root, values=VALUES, folders=("images", "masks"), name="a"):
    write_picture(root / folders[0] / f"{name}.jpg", values.shape[::-1])
    write_mask(root / folders[1] / f"{name}.png", values)
    return root


def test_objects_of_a_mask(tmp_path):
    source = opened(masked(tmp_path), instances="components")
    (labels,) = read_all(source)
    objects = labels.objects
    assert np.array_equal(labels.semantic, VALUES)
    found = zip(objects.category_id.tolist(), objects.boxes_xyxy.tolist(), strict=True)
    assert [(c, [x0, y0, x1 - x0, y1 - y0]) for c, (x0, y0, x1, y1) in found] == BOXES
    # Every pixel of a class is in one object of it, and nothing else is in any.
    total = np.zeros_like(VALUES)
    for category, mask in zip(objects.category_id.tolist(), objects.segmentation, strict=True):
        assert not total[decode(mask) != 0].any()
        total[decode(mask) != 0] = category
    assert np.array_equal(total, np.where(VALUES == 255, 0, VALUES))
    assert objects.iscrowd.tolist() == [0, 0, 0]


def test_without_being_asked_for_masks_stay_masks(tmp_path):
    (labels,) = read_all(opened(masked(tmp_path)))
    assert len(labels.objects) == 0


def document(path) -> dict:
    return json.loads(next(path.rglob("instances_*.json")).read_text())


@pytest.mark.parametrize("folders", [("images", "masks"), ("img_dir/train", "ann_dir/train"), ("train", "trainannot")])
def test_masks_to_coco(tmp_path, folders):
    masked(tmp_path / "src", folders=folders)
    result = call("convert", "masks-to-coco", tmp_path / "src", tmp_path / "out", "-w", 0, "--instances", "components")
    assert result.exit_code == 0, result.output
    rows = document(tmp_path / "out")["annotations"]
    assert [(r["category_id"], r["bbox"]) for r in rows] == BOXES
    areas = [int((decode(r["segmentation"]) != 0).sum()) for r in rows]
    assert areas == [r["area"] for r in rows] == [10 * 12 - 12 + 1, 30, 91]
    assert "objects 3 → 3" in result.stdout
    assert "void-left-out 1" in result.stdout


def test_masks_to_yolo_as_outlines_of_the_same_area(tmp_path):
    masked(tmp_path / "src")
    result = call("convert", "masks-to-yolo", tmp_path / "src", tmp_path / "out", "-w", 0, "--instances", "components")
    assert result.exit_code == 0, result.output
    areas = []
    for line in (tmp_path / "out" / "labels" / "a.txt").read_text().splitlines():
        xs, ys = np.array(line.split()[1:], float).reshape(-1, 2).T * [[40], [30]]
        areas.append(round(abs(float(xs @ np.roll(ys, -1) - ys @ np.roll(xs, -1))) / 2))
    assert areas == [109, 30, 91]  # by the shoelace formula, the hole taken off by the line back


def test_masks_to_voc_have_both_and_their_void(tmp_path):
    masked(tmp_path / "src")
    result = call("convert", "masks-to-voc", tmp_path / "src", tmp_path / "out", "-w", 0, "--instances", "components")
    assert result.exit_code == 0, result.output
    from PIL import Image

    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "SegmentationClass" / "a.png")), VALUES)
    inner = np.array(Image.open(tmp_path / "out" / "SegmentationObject" / "a.png"))
    assert sorted(np.unique(inner).tolist()) == [0, 1, 2, 3]
    assert (tmp_path / "out" / "Annotations" / "a.xml").read_text().count("<object>") == 3


@pytest.mark.parametrize("to", ["coco", "yolo", "dota"])
def test_masks_alone_say_the_way_out(tmp_path, to):
    masked(tmp_path / "src")
    result = call("convert", f"masks-to-{to}", tmp_path / "src", tmp_path / "out", "-w", 0)
    assert result.exit_code == 1
    assert f"{to} has no place for what masks holds, so nothing was written" in result.stderr
    assert "--instances components makes objects of semantic masks" in result.stderr
    assert not (tmp_path / "out").exists()


def test_masks_of_voc_alone_say_the_way_out(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": voc_xml(size=None)})
    write_mask(root / "SegmentationClass" / "a.png", VALUES[:10, :20])
    (root / "class_names.txt").write_text("background\ncrack\nrust\n")
    result = call("convert", "voc-to-coco", root, tmp_path / "out", "-w", 0)
    assert result.exit_code == 1
    assert "no label can be written, so nothing was written: semantic masks 1, which shards hold" in result.stderr
    assert "--instances components" in result.stderr
    assert not (tmp_path / "out").exists()
    result = call("convert", "voc-to-coco", root, tmp_path / "out", "-w", 0, "--instances", "components")
    assert (result.exit_code, len(document(tmp_path / "out")["annotations"])) == (0, 1)


def test_captions_alone_are_no_set_of_background(tmp_path):
    write_picture(tmp_path / "src" / "images" / "a.jpg")
    images = [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}]
    text = {"images": images, "annotations": [{"id": 1, "image_id": 1, "caption": "a cat"}]}
    (tmp_path / "src" / "captions_train.json").write_text(json.dumps(text))
    result = call("convert", "coco-to-yolo", tmp_path / "src", tmp_path / "out", "-w", 0)
    assert result.exit_code == 1
    assert "no label can be written, so nothing was written: captions 1, which shards hold" in result.stderr
    assert "--instances" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_pictures_that_state_objects_get_no_others(tmp_path):
    xml = "<object><name>crack</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"
    root = write_voc(tmp_path / "voc", {"a": voc_xml(xml)})
    write_mask(root / "SegmentationClass" / "a.png", VALUES[:10, :20])
    (root / "class_names.txt").write_text("background\ncrack\nrust\n")
    (labels,) = read_all(opened(root, instances="components"))
    assert (len(labels.objects), labels.notes) == (1, ("mask-beside-objects",))


def test_an_instance_mask_states_the_objects(tmp_path):
    """As CVAT exports it: two classes, two objects of one that touch, one in two parts, and no XML."""
    root = write_voc(tmp_path / "voc", {})
    write_picture(root / "JPEGImages" / "a.jpg")
    classes, objects = np.zeros((10, 20), np.uint8), np.zeros((10, 20), np.uint8)
    classes[1:5, 1:11], objects[1:5, 1:6], objects[1:5, 6:11] = 1, 1, 2
    classes[7:9, 2:5], classes[7:9, 12:15], objects[7:9, 2:5], objects[7:9, 12:15] = 2, 2, 3, 3
    classes[5, 1:11], objects[5, 1:11] = 255, 255
    write_mask(root / "SegmentationClass" / "a.png", classes, "P")
    write_mask(root / "SegmentationObject" / "a.png", objects, "P")
    (root / "labelmap.txt").write_text("background:0,0,0::\ncrack:128,0,0::\nrust:0,128,0::\n")
    (labels,) = read_all(opened(root, instances="components"))
    found = labels.objects
    assert found.boxes_xyxy.tolist() == [[1, 1, 6, 5], [2, 7, 15, 9], [6, 1, 11, 5]]
    assert (found.category_id.tolist(), found.instance.tolist()) == ([1, 2, 1], [1, 3, 2])
    for number, mask in zip(found.instance.tolist(), found.segmentation, strict=True):
        assert np.array_equal(decode(mask), objects == number)


@pytest.mark.parametrize(("value", "found"), [(0, 0), (1, 1)], ids=["background", "a-class"])
def test_an_instance_mask_of_background_alone_states_nothing(tmp_path, value, found):
    root = write_voc(tmp_path / "voc", {})
    write_picture(root / "JPEGImages" / "a.jpg")
    classes = np.zeros((10, 20), np.uint8)
    classes[2:5, 3:9] = value
    write_mask(root / "SegmentationClass" / "a.png", classes, "P")
    write_mask(root / "SegmentationObject" / "a.png", np.zeros((10, 20), np.uint8), "P")
    (root / "labelmap.txt").write_text("background:0,0,0::\ncrack:128,0,0::\n")
    (labels,) = read_all(opened(root, instances="components"))
    assert labels.objects.boxes_xyxy.tolist() == [[3, 2, 9, 5]] * found


def test_formats_without_masks_are_told(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": voc_xml()})
    assert call("convert", "voc-to-coco", root, tmp_path / "coco", "-w", 0).exit_code == 0
    result = call("inspect", tmp_path / "coco", "--instances", "components", "-w", 0)
    assert (result.exit_code, "--instances makes objects of semantic masks; coco has none" in result.stderr) == (
        2,
        True,
    )


def test_more_objects_than_a_picture_may_have_cost_that_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(instances, "MOST_OBJECTS", 2)
    reject = rejected(opened(masked(tmp_path), instances="components"), "a.jpg")
    assert (reject.code, "more than 2 connected components in the mask" in reject.message) == ("too-large", True)


def test_a_run_keeps_the_choice(tmp_path):
    masked(tmp_path / "src")
    out = tmp_path / "out"
    assert call("augment", tmp_path / "src", out, "-r", "gentle", "-w", 0, "--instances", "components").exit_code == 0
    assert json.loads((out / "run.json").read_text())["config"]["reading"]["instances"] == "components"
    for tar in out.glob("*.tar"):
        tar.unlink()
    assert call("retry", out, "-w", 0).exit_code == 0
    result = call("verify", out, "--against", tmp_path / "src", "-w", 0)
    assert result.exit_code == 0, result.output


def test_an_augmented_yolo_set_of_masks_in_one_command(tmp_path):
    masked(tmp_path / "src")
    options = ("-r", "gentle", "-n", 2, "-w", 0, "--to", "yolo")
    result = call("augment", tmp_path / "src", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert "--instances components makes objects of semantic masks" in result.stderr
    result = call("augment", tmp_path / "src", tmp_path / "out", *options, "--instances", "components")
    assert result.exit_code == 0, result.output
    assert all(p.read_text() for p in (tmp_path / "out" / "labels").rglob("*.txt"))
