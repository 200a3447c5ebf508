"""The smallest export of each annotation tool, laid out as the tool does it: what the docs run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import annotated
import split_layouts
from builders import coco as document
from builders import image, object_xml, row, voc_xml, write_json, write_picture

_BOX = "0 0.5 0.5 0.4 0.6\n"


def make_labelimg(root: Path) -> None:
    """An XML beside each picture, and the list of classes that the tool offers."""
    for stem in ("a", "b"):
        write_picture(root / f"{stem}.jpg")
        (root / f"{stem}.xml").write_text(voc_xml(object_xml(), filename=f"{stem}.jpg"))
    (root / "classes.txt").write_text("cat\n")


def make_label_studio(root: Path) -> None:
    """The export as COCO; pictures have the prefix of an upload."""
    write_picture(root / "images" / "0a1b2c3d-a.jpg")
    write_json(root / "result.json", document([image(0, "images/0a1b2c3d-a.jpg")], [row(0, 0)]))


def make_label_studio_yolo(root: Path) -> None:
    """The export as YOLO: no data.yaml, classes in a file of their own."""
    write_picture(root / "images" / "0a1b2c3d-a.jpg")
    (root / "labels").mkdir()
    (root / "labels" / "0a1b2c3d-a.txt").write_text(_BOX)
    (root / "classes.txt").write_text("cat\n")
    (root / "notes.json").write_text('{"categories": [{"id": 0, "name": "cat"}]}')


EXPORTS: dict[str, Callable[[Path], object]] = {
    "roboflow": split_layouts.yolo_by_yaml,
    "labelimg": make_labelimg,
    "cvat": annotated.make_cvat,
    "label-studio": make_label_studio,
    "label-studio-yolo": make_label_studio_yolo,
    "labelme": annotated.make_labelme,
    "coco2017": split_layouts.coco_2017,
    "VOC2012": split_layouts.voc_by_lists,
}
"""Name of a folder → what makes the export in it."""


def make_exports(root: Path) -> None:
    """A folder for each."""
    for name, make in EXPORTS.items():
        if not (root / name).exists():
            (root / name).mkdir(parents=True)
            make(root / name)
