"""Masks that a conversion writes as Pascal VOC's: read by Pillow, painted again by pycocotools, and back in COCO."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from conversions import coco_of, done, image, loaded, mask_of, row
from oracles import import_torchvision, oracle
from PIL import Image
from pycocotools import mask as api
from real_sets import is_real, real

from augpipe.core.annotations import Annotations, ObjectRow, Rings, objects_of
from augpipe.formats.voc.write_masks import masks_of
from augpipe.labels.rle import rle_of

CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]


def rle(*box: int) -> dict:
    bitmap = np.zeros((30, 40), np.uint8)
    bitmap[box[1] : box[3], box[0] : box[2]] = 1
    code = api.encode(np.asfortranarray(bitmap))
    return {"size": code["size"], "counts": code["counts"].decode()}


def source_of(folder, rows, pictures=1, categories=CATEGORIES):
    folder.mkdir(parents=True)
    names = [f"p{i}.png" for i in range(pictures)]
    for name in names:
        cv2.imwrite(str(folder / name), np.full((30, 40, 3), 90, np.uint8))
    coco_of(folder / "set.json", [image(i + 1, n) for i, n in enumerate(names)], rows, categories)
    return folder / "set.json"


def indexes(path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.mode == "P"
        return np.array(picture)


def test_masks_are_positions_of_objects_and_classes_in_the_devkits_colors(tmp_path):
    rows = [
        row(1, 1, [2, 3, 10, 10], 7, segmentation=[SQUARE]),
        row(2, 1, [20, 5, 6, 9], 3, segmentation=rle(20, 5, 26, 14)),
    ]
    source = source_of(tmp_path / "set", rows, pictures=2)
    out = done("coco-to-voc", source, tmp_path / "voc")
    objects = indexes(tmp_path / "voc" / "SegmentationObject" / "p0.png")
    classes = indexes(tmp_path / "voc" / "SegmentationClass" / "p0.png")
    painted = [mask_of(loaded(source), r).astype(bool) for r in loaded(source).anns.values()]
    assert np.array_equal(objects, np.select(painted, [1, 2]))
    assert np.array_equal(classes, np.select(painted, [2, 1]))  # by id: dog, cat
    with Image.open(tmp_path / "voc" / "SegmentationClass" / "p0.png") as picture:
        assert picture.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        assert picture.getpalette()[-3:] == [224, 224, 192]
    assert (tmp_path / "voc" / "labelmap.txt").read_text() == "background:0,0,0::\ndog:128,0,0::\ncat:0,128,0::\n"
    assert (tmp_path / "voc" / "ImageSets" / "Segmentation" / "all.txt").read_text() == "p0\n"
    assert not (tmp_path / "voc" / "SegmentationObject" / "p1.png").exists()
    assert "<segmented>1<" in (tmp_path / "voc" / "Annotations" / "p0.xml").read_text()
    assert "<segmented>0<" in (tmp_path / "voc" / "Annotations" / "p1.xml").read_text()
    assert "polygons, written as pixels 1, as in p0.png, object 1" in out


def test_nothing_of_the_kind_is_written_where_there_are_no_masks(tmp_path):
    source = source_of(tmp_path / "set", [row(1, 1, [2, 3, 10, 10], 7)])
    done("coco-to-voc", source, tmp_path / "voc")
    assert sorted(p.name for p in (tmp_path / "voc").iterdir()) == ["Annotations", "ImageSets", "JPEGImages"]


def test_masks_that_do_not_overlap_come_back_to_the_pixel(tmp_path):
    rows = [
        row(i + 1, 1, [x, 4, 5, 6], (7, 3)[i % 2], segmentation=rle(x, 4, x + 5, 10)) for i, x in enumerate((0, 8, 30))
    ]
    source = source_of(tmp_path / "set", rows)
    done("coco-to-voc", source, tmp_path / "voc")
    out = done("voc-to-coco", tmp_path / "voc", tmp_path / "back.json")
    before, after = (json.loads(p.read_text()) for p in (source, tmp_path / "back.json"))
    names = [{c["id"]: c["name"] for c in document["categories"]} for document in (before, after)]
    for one, other in zip(before["annotations"], after["annotations"], strict=True):
        assert names[0][one["category_id"]] == names[1][other["category_id"]]
        assert (one["bbox"], one["segmentation"]) == (other["bbox"], other["segmentation"])
    assert "labelmap.txt is not used" not in out


def test_of_masks_that_overlap_the_later_is_whole_and_the_other_is_told(tmp_path):
    rows = [
        row(1, 1, [0, 0, 10, 10], 7, segmentation=rle(0, 0, 10, 10)),
        row(2, 1, [5, 5, 10, 10], 3, segmentation=rle(5, 5, 15, 15)),
    ]
    out = done("coco-to-voc", source_of(tmp_path / "set", rows), tmp_path / "voc")
    counts = np.bincount(indexes(tmp_path / "voc" / "SegmentationObject" / "p0.png").reshape(-1))
    assert counts.tolist() == [1200 - 175, 75, 100]
    assert "masks that others overlap 1, as in p0.png, object 1" in out


def test_a_value_has_eight_bits(tmp_path):
    rows = [
        row(i + 1, 1, [i % 40, i // 40, 1, 1], 7, segmentation=rle(i % 40, i // 40, i % 40 + 1, i // 40 + 1))
        for i in range(256)
    ]
    out = done("coco-to-voc", source_of(tmp_path / "set", rows), tmp_path / "voc")
    objects = indexes(tmp_path / "voc" / "SegmentationObject" / "p0.png")
    assert sorted(np.unique(objects)) == list(range(255))
    assert "masks beyond the 254th object 2, as in p0.png, object 255" in out


def test_rasters_of_the_source_keep_their_void(tmp_path):
    instance = np.array([[0, 4, 255], [9, 4, 5]], np.uint8)
    semantic = np.array([[0, 7, 255], [3, 7, 8]], np.uint8)
    square = Rings((np.array([[0.0, 0], [1, 0], [1, 1]]),))
    rows = [ObjectRow(0, 7, (1, 0, 2, 2), instance=4, segmentation=square), ObjectRow(3, 3, (0, 1, 1, 2), instance=9)]
    labels = Annotations(objects=objects_of(rows), instance=instance, semantic=semantic)
    masks, losses = masks_of(labels, (3, 2), {3: 1, 7: 2})
    assert masks.objects.tolist() == [[0, 1, 255], [2, 1, 255]]  # 5 is an object that is not written: void
    assert masks.classes.tolist() == [[0, 2, 255], [1, 2, 255]]
    assert [(loss.what, loss.count) for loss in losses] == [("values of semantic masks that are no class", 1)]


@pytest.mark.parametrize("size", [None, (10**6, 10**6)])
def test_a_mask_for_which_there_is_no_room_is_told_and_not_made(size):
    labels = Annotations(
        objects=objects_of([ObjectRow(0, 7, (0, 0, 1, 1), segmentation=rle_of(np.ones((1, 1), np.uint8)))])
    )
    masks, losses = masks_of(labels, size, {7: 1})
    assert masks is None
    assert [loss.what for loss in losses] == ["masks of pictures of unknown size, or of too many pixels"]


def test_a_mask_of_another_size_cannot_be_painted():
    labels = Annotations(
        objects=objects_of([ObjectRow(0, 7, (0, 0, 1, 1), segmentation=rle_of(np.ones((3, 2), np.uint8)))])
    )
    masks, losses = masks_of(labels, (40, 30), {7: 1})
    assert not masks.objects.any()
    assert [loss.what for loss in losses] == ["masks that cannot be painted"]


@pytest.mark.parametrize("path", ["teacher_occlusion/valid", "coco_permissive_kpt"])
def test_masks_of_real_sets_are_what_pycocotools_paints(path, tmp_path):
    source = real(path)
    done("coco-to-voc", source, tmp_path / "voc")
    annotations = loaded(next(p for p in sorted(source.rglob("*.json")) if b'"segmentation"' in p.read_bytes()))
    checked = 0
    for picture in annotations.imgs.values():
        rows = annotations.imgToAnns[picture["id"]]
        png = tmp_path / "voc" / "SegmentationObject" / f"{picture['file_name'].rpartition('.')[0]}.png"
        expected = np.zeros((picture["height"], picture["width"]), np.uint8)
        for i, one in enumerate(rows):
            if one.get("segmentation"):
                expected[mask_of(annotations, one).astype(bool)] = i + 1
        assert np.array_equal(indexes(png) if png.exists() else np.zeros_like(expected), expected), png
        checked += png.exists()
    assert checked > (10 if is_real(source) else 5)


def test_torchvision_reads_boxes_and_masks(tmp_path):
    oracle(import_torchvision)
    from torchvision.datasets import VOCDetection, VOCSegmentation

    rows = [
        row(1, 1, [2, 3, 10, 10], 7, segmentation=rle(2, 3, 12, 13)),
        row(2, 2, [0, 0, 4, 4], 3, segmentation=rle(0, 0, 4, 4)),
    ]
    source = source_of(tmp_path / "set", rows, pictures=2)
    done("coco-to-voc", source, tmp_path / "VOCdevkit" / "VOC2012")
    for kind in ("Main", "Segmentation"):
        (tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / kind / "all.txt").rename(
            tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / kind / "val.txt"
        )
    for name in ("p0", "p1"):  # torchvision knows pictures by .jpg alone
        pictures = tmp_path / "VOCdevkit" / "VOC2012" / "JPEGImages"
        (pictures / f"{name}.png").rename(pictures / f"{name}.jpg")
    boxes = [target["annotation"]["object"][0] for _, target in VOCDetection(tmp_path, image_set="val")]
    assert [(o["name"], o["bndbox"]["xmin"], o["bndbox"]["ymax"]) for o in boxes] == [
        ("cat", "3", "13"),
        ("dog", "1", "4"),
    ]
    masks = [np.array(target) for _, target in VOCSegmentation(tmp_path, image_set="val")]
    assert [int((m == v).sum()) for m, v in zip(masks, (2, 1), strict=True)] == [100, 16]
