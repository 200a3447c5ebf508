"""torchvision's own datasets read what we write: COCO made of Pascal VOC, and Pascal VOC made of COCO, of real sets."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from conversions import coco_boxes, done, loaded, mask_of, voc_boxes
from oracles import import_torchvision, oracle
from real_sets import real

oracle(import_torchvision)

from torchvision.datasets import CocoDetection, VOCDetection, VOCSegmentation  # noqa: E402

PEOPLE = "coco_permissive_kpt"


@pytest.mark.parametrize("path", ["raccoon", "bccd/BCCD"])
def test_coco_detection_reads_boxes_of_voc(path, tmp_path):
    source = real(path)
    done("voc-to-coco", source, tmp_path / "coco")
    expected = voc_boxes(source)
    found = {}
    for path_of in sorted((tmp_path / "coco" / "annotations").iterdir()):
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools says how long it takes
            dataset = CocoDetection(str(tmp_path / "coco" / "images"), str(path_of))
        for number, (picture, target) in zip(dataset.ids, dataset, strict=True):
            image = dataset.coco.imgs[number]
            assert picture.size == (image["width"], image["height"])
            names = [dataset.coco.cats[row["category_id"]]["name"] for row in target]
            rows = [(name, *row["bbox"]) for name, row in zip(names, target, strict=True)]
            found[os.path.splitext(image["file_name"])[0]] = rows
    assert found == expected


@pytest.fixture(scope="module")
def devkit(tmp_path_factory) -> Path:
    """A real COCO set as VOC2012; torchvision knows no other lists than train, val and trainval."""
    root = tmp_path_factory.mktemp("devkit")
    voc = root / "VOCdevkit" / "VOC2012"
    done("coco-to-voc", real(PEOPLE), voc)
    for kind in ("Main", "Segmentation"):
        (voc / "ImageSets" / kind / "all.txt").rename(voc / "ImageSets" / kind / "val.txt")
    return root


def test_voc_detection_reads_boxes_of_coco(devkit):
    expected = coco_boxes(real(f"{PEOPLE}/annotations/instances.json"), 6)
    dataset = VOCDetection(devkit, image_set="val")
    assert len(dataset) == len(expected)
    for picture, target in dataset:
        annotation = target["annotation"]
        assert picture.size == tuple(int(annotation["size"][side]) for side in ("width", "height"))
        rows = []
        for thing in annotation.get("object", []):
            x0, y0, x1, y1 = (float(thing["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax"))
            rows.append((thing["name"], *(round(v, 6) for v in (x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1))))
        assert rows == expected[os.path.splitext(annotation["filename"])[0]]


def test_voc_segmentation_reads_classes_of_coco(devkit):
    """Every pixel is of the class that pycocotools paints last there."""
    file = real(f"{PEOPLE}/annotations/instances.json")
    annotations, document = loaded(file), json.loads(file.read_text())
    label = {c["id"]: i for i, c in enumerate(sorted(document["categories"], key=lambda c: c["id"]), start=1)}
    stems = {os.path.splitext(i["file_name"])[0]: i["id"] for i in document["images"]}
    dataset = VOCSegmentation(devkit, image_set="val")
    assert len(dataset) > 10
    for path, (picture, mask) in zip(dataset.masks, dataset, strict=True):
        expected = np.zeros(picture.size[::-1], np.uint8)
        for row in annotations.imgToAnns[stems[Path(path).stem]]:
            if row.get("segmentation"):
                expected[mask_of(annotations, row).astype(bool)] = label[row["category_id"]]
        assert np.array_equal(np.array(mask), expected), path
