"""A dataset with every layer of Pascal VOC."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import object_xml, voc_xml, write_mask, write_picture, write_voc
from runs import recipe_of, run

_RECIPE = """
version: 1
labels: {min_visibility: 0.3, min_side: 4}
steps:
- horizontal_flip: {p: 0.5}
- affine: {rotate: [-25, 25], scale: [0.6, 1.3], translate: 0.3}
- erase: {count: [0, 2], area: [0.02, 0.2], p: 0.5}
"""


@pytest.fixture(scope="module")
def layered(tmp_path_factory) -> Path:
    """VOC with parts, class masks and object masks."""
    root = tmp_path_factory.mktemp("layered")
    part = "<part><name>head</name><bndbox><xmin>12</xmin><ymin>9</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></part>"
    xml = voc_xml(object_xml("cat", (11, 6, 50, 45), part), object_xml("dog", (40, 30, 76, 58)), size=(80, 60))
    write_voc(root, {f"p{i}": xml for i in range(3)}, pictures=None)
    objects = np.zeros((60, 80), np.uint8)
    cv2.ellipse(objects, (30, 25), (19, 18), 0, 0, 360, 1, -1)
    cv2.ellipse(objects, (58, 44), (17, 13), 0, 0, 360, 2, -1)
    for i in range(3):
        write_picture(root / "JPEGImages" / f"p{i}.jpg", (80, 60))
        write_mask(root / "SegmentationObject" / f"p{i}.png", objects, "P")
        write_mask(root / "SegmentationClass" / f"p{i}.png", np.where(objects > 0, objects, 0), "P")
    return root


@pytest.fixture(scope="module")
def full(coco, tmp_path_factory) -> Path:
    """A run with every kind of object, cut, dropped for four reasons, and kept; seed 5 has them in few samples."""
    out = tmp_path_factory.mktemp("full") / "out"
    run(coco, out, recipe_of(_RECIPE), copies=2, seed=5, limit=4, originals=True)
    return out
