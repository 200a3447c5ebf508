"""Objects painted as semantic masks: pycocotools paints, a plain loop lays smaller over larger."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import (
    coco,
    decode,
    image,
    object_xml,
    opened,
    read_all,
    row,
    voc_xml,
    write_json,
    write_mask,
    write_picture,
    write_voc,
)
from command_line import call
from PIL import Image
from pycocotools import mask as coco_mask

SIZE = (40, 30)
CATS = [{"id": 7, "name": "table"}, {"id": 3, "name": "plate"}, {"id": 90, "name": "cup"}]


def square(x0, y0, x1, y1):
    return [[x0, y0, x1, y0, x1, y1, x0, y1]]


def rle(bitmap) -> dict:
    code = coco_mask.encode(np.asfortranarray(bitmap.astype(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


def disc(cx, cy, r):
    ys, xs = np.mgrid[: SIZE[1], : SIZE[0]]
    return (xs - cx) ** 2 + (ys - cy) ** 2 <= r * r


def objects():
    """(category id, segmentation, crowd) of objects that lie over each other, small ones first."""
    return [
        (90, rle(disc(14, 12, 2)), 0),
        (3, square(8.5, 6.2, 20, 18), 0),
        (7, square(2, 3, 36, 27), 0),
        (3, rle(disc(38, 2, 6)), 1),
        (90, square(30, 0, 40, 6), 0),
    ]


def source_of(root, rows, sizes=(SIZE,)):
    images = [image(i, f"{'ab'[i - 1]}.jpg", size) for i, size in enumerate(sizes, start=1)]
    for one in images:
        write_picture(root / "images" / one["file_name"], (one["width"], one["height"]))
    made = [
        row(i, category_id=c, segmentation=s, bbox=[0, 0, 40, 30], iscrowd=crowd)
        for i, (c, s, crowd) in enumerate(rows, start=1)
    ]
    return write_json(root / "x.json", coco(images, made, CATS))


def painted(rows, numbers) -> np.ndarray:
    """Crowds first as void, then the largest."""
    bitmaps = []
    for category, segmentation, crowd in rows:
        code = segmentation
        if isinstance(segmentation, list):
            code = coco_mask.merge(coco_mask.frPyObjects(segmentation, SIZE[1], SIZE[0]))
        area = int(coco_mask.area(code))
        bitmaps.append((not crowd, -area, 255 if crowd else numbers[category], code))
    out = np.zeros(SIZE[::-1], np.uint8)
    for _, _, value, code in sorted(bitmaps, key=lambda one: one[:2]):
        out[decode(code) != 0] = value
    return out


def test_smaller_objects_lie_over_larger_ones_and_crowds_are_void(tmp_path):
    source, out = source_of(tmp_path / "src", objects()), tmp_path / "out"
    result = call("convert", "coco-to-masks", source, out, "-w", 0)
    assert result.exit_code == 0, result.output
    mask = Image.open(out / "masks" / "a.png")
    assert mask.mode == "P"
    # By id: plate 3, table 7, cup 90.
    assert np.array_equal(np.array(mask), painted(objects(), {3: 1, 7: 2, 90: 3}))
    assert {0, 1, 2, 3, 255} == set(np.unique(np.array(mask)).tolist())
    assert (out / "classes.txt").read_text() == "background\nplate\ntable\ncup\n"
    # VOC's color map, as everybody has it: 1 dark red, 2 dark green, 255 cream.
    colors = np.array(mask.getpalette()).reshape(-1, 3)
    assert (colors[1].tolist(), colors[2].tolist(), colors[255].tolist()) == ([128, 0, 0], [0, 128, 0], [224, 224, 192])
    assert (out / "images" / "a.jpg").read_bytes() == (tmp_path / "src" / "images" / "a.jpg").read_bytes()
    assert "objects 5 → 5" in result.stdout
    assert "polygons, written as pixels 3" in result.stdout
    assert "masks that others overlap 3" in result.stdout  # the plate, the table and the crowd


def test_the_mask_that_comes_back_is_the_one_that_was_written(tmp_path):
    source, out = source_of(tmp_path / "src", objects()), tmp_path / "out"
    assert call("convert", "coco-to-masks", source, out, "-w", 0).exit_code == 0
    back = opened(out)
    assert [(c.id, c.name) for c in back.categories] == [(1, "plate"), (2, "table"), (3, "cup")]
    assert np.array_equal(read_all(back)[0].semantic, np.array(Image.open(out / "masks" / "a.png")))


def test_what_has_no_mask_is_counted_and_alone_is_an_error(tmp_path):
    boxes = [row(i, category_id=3, bbox=[i, 1, 5, 5]) for i in (1, 2)]
    write_picture(tmp_path / "images" / "a.jpg", SIZE)
    source = write_json(tmp_path / "x.json", coco([image(1, "a.jpg", SIZE)], boxes, CATS))
    result = call("convert", "coco-to-masks", source, tmp_path / "out", "-w", 0)
    assert result.exit_code == 1
    assert "none of 2 objects can be written, so nothing was written" in result.stderr
    assert "objects without a mask or polygon 2" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_picture_without_objects_is_background(tmp_path):
    source = source_of(tmp_path / "src", objects(), (SIZE, (10, 12)))
    assert call("convert", "coco-to-masks", source, tmp_path / "out", "-w", 0).exit_code == 0
    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "masks" / "b.png")), np.zeros((12, 10), np.uint8))


def test_semantic_masks_stay_with_their_void(tmp_path):
    """Boxes beside a mask are told, and no reason to refuse it."""
    root = write_voc(tmp_path / "voc", {"a": voc_xml(object_xml("car", (1, 1, 5, 5)))})
    values = np.zeros((10, 20), np.uint8)
    values[2:6, 3:9], values[7, :] = 2, 255
    write_mask(root / "SegmentationClass" / "a.png", values, "P")
    (root / "class_names.txt").write_text("background\nroad\ncar\n")
    result = call("convert", "voc-to-masks", root, tmp_path / "out", "-w", 0)
    assert result.exit_code == 0, result.output
    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "masks" / "a.png")), values)
    assert (tmp_path / "out" / "classes.txt").read_text() == "background\nroad\ncar\n"
    assert "objects 1 → 0, semantic masks 1 → 1" in result.stdout
    assert "objects without a mask or polygon 1" in result.stdout


def test_masks_of_instances_in_shards_are_painted_with_their_void(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": voc_xml(object_xml("car", (4, 3, 9, 6)))})
    values = np.zeros((10, 20), np.uint8)
    values[2:6, 3:9], values[6, 3:9] = 1, 255
    write_mask(root / "SegmentationObject" / "a.png", values, "P")
    assert call("convert", "voc-to-shards", root, tmp_path / "shards", "-w", 0).exit_code == 0
    result = call("convert", "shards-to-masks", tmp_path / "shards", tmp_path / "out", "-w", 0)
    assert result.exit_code == 0, result.output
    (mask,) = (tmp_path / "out" / "masks").iterdir()
    assert np.array_equal(np.array(Image.open(mask)), values)


def test_splits_are_folders_of_both(tmp_path):
    for split, name in (("train", "a.jpg"), ("val", "b.jpg")):
        write_picture(tmp_path / "src" / split / name, SIZE)
        rows = [row(1, category_id=3, bbox=[1, 1, 5, 5], segmentation=square(1, 1, 6, 6))]
        write_json(tmp_path / "src" / split / "_annotations.coco.json", coco([image(1, name, SIZE)], rows, CATS))
    assert call("convert", "coco-to-masks", tmp_path / "src", tmp_path / "out", "-w", 0).exit_code == 0
    there = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert there == ["classes.txt", "images/train/a.jpg", "images/val/b.jpg", "masks/train/a.png", "masks/val/b.png"]
    assert opened(tmp_path / "out").splits == {"train": 1, "val": 1}


def test_more_classes_than_values_are_refused_with_the_way_out(tmp_path):
    many = [{"id": i, "name": f"c{i}"} for i in range(1, 256)]
    write_picture(tmp_path / "images" / "a.jpg", SIZE)
    rows = [row(1, category_id=255, bbox=[1, 1, 5, 5], segmentation=square(1, 1, 6, 6))]
    source = write_json(tmp_path / "x.json", coco([image(1, "a.jpg", SIZE)], rows, many))
    result = call("convert", "coco-to-masks", source, tmp_path / "out", "-w", 0)
    assert (result.exit_code, "255 classes; masks of 8 bits hold 254" in result.stderr) == (2, True)
    result = call("convert", "coco-to-masks", source, tmp_path / "out", "-w", 0, "--classes", "c255,c1")
    assert result.exit_code == 0, result.output
    assert set(np.unique(np.array(Image.open(tmp_path / "out" / "masks" / "a.png"))).tolist()) == {0, 1}


@pytest.mark.parametrize("to", ["masks"])
def test_an_augmented_set_of_masks_is_written_in_one_command(to, tmp_path):
    source, out = source_of(tmp_path / "src", objects()), tmp_path / "out"
    result = call("augment", source, out, "-r", "gentle", "-n", 2, "--to", to, "-w", 0)
    assert result.exit_code == 0, result.output
    names = sorted(p.stem for p in (out / "masks").iterdir())
    assert len(names) == 2
    assert names == sorted(p.stem for p in (out / "images").iterdir())
    assert call("verify", out, "-w", 0).exit_code == 0
    assert json.loads((out / ".augpipe-run" / "dataset.json").read_text())["to"] == to


def test_names_that_a_list_cannot_hold_leave_the_others_their_values(tmp_path):
    names = ["background", "road", " ", "a  b", "a b"]
    rows = [
        row(k, bbox=[2 * k, 2, 2, 2], category_id=k, segmentation=square(2 * k, 2, 2 * k + 2, 4))
        for k in range(1, len(names) + 1)
    ]
    (tmp_path / "src" / "images").mkdir(parents=True)
    write_picture(tmp_path / "src" / "images" / "a.jpg", SIZE)
    cats = [{"id": k, "name": name} for k, name in enumerate(names, start=1)]
    source = write_json(tmp_path / "src" / "x.json", coco([image(1, "a.jpg", SIZE)], rows, cats))
    result = call("convert", "coco-to-masks", source, tmp_path / "out", "-w", 0)
    assert "class names that a list cannot hold 4" in result.output
    back = opened(tmp_path / "out")
    assert [(c.id, c.name) for c in back.categories] == [
        (1, "background-1"), (2, "road"), (3, "class-3"), (4, "a b"), (5, "a b-5"),
    ]  # fmt: skip
    assert [read_all(back)[0].semantic[3, 2 * k] for k in range(1, 6)] == [1, 2, 3, 4, 5]
