"""Small exports as tools and scripts leave them, from the folder to what is written of it: each as it is, whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from builders import coco as document
from builders import image, opened, read_all, row, write_json, write_picture
from conversions import done

RING = [[2, 1, 7, 1, 7, 5, 2, 5]]


def two_kinds(root: Path) -> None:
    """Polygons in train, boxes in valid."""
    for split, more in (("train", {"segmentation": RING}), ("valid", {})):
        write_picture(root / split / f"{split}.jpg")
        write_json(root / split / "_annotations.coco.json", document([image(1, f"{split}.jpg")], [row(1, 1, **more)]))


def root_category(root: Path) -> None:
    """Roboflow's first category is that of the project, which may be called like a class."""
    write_picture(root / "a.jpg")
    names = [{"id": 0, "name": "wall"}, {"id": 1, "name": "wall", "supercategory": "wall"}, {"id": 2, "name": "door"}]
    rows = [row(1, 1, category_id=1), row(2, 1, category_id=2)]
    write_json(root / "_annotations.coco.json", document([image(1, "a.jpg")], rows, names))


def rows_by_id(root: Path) -> None:
    write_picture(root / "a.jpg")
    found = document([image(1, "a.jpg")], [row(1), row(2)])
    write_json(root / "l.json", {**found, "annotations": {str(r["id"]): r for r in found["annotations"]}})


def row_twice(root: Path) -> None:
    for name in ("a", "b"):
        write_picture(root / f"{name}.jpg")
    images = [image(1, "a.jpg"), image(2, "b.jpg"), image(2, "b.jpg")]
    write_json(root / "l.json", document(images, [row(1, 1), row(2, 2)]))


def flat_segmentation(root: Path) -> None:
    write_picture(root / "images" / "a.jpg")
    write_json(root / "annotations" / "test_abc.json", document([image(1, "a.jpg")], [row(1, 1, segmentation=RING[0])]))


def nan_area(root: Path) -> None:
    write_picture(root / "a.jpg")
    text = json.dumps(document([image(1, "a.jpg")], [row(1, 1, area=float("nan"))]))
    (root / "a.json").write_text(text)


def darknet(root: Path) -> None:
    for split in ("train", "valid"):
        write_picture(root / split / f"{split}.jpg")
        (root / split / f"{split}.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.2 0.2\n")
        (root / split / "_darknet.labels").write_text("tree\nhouse\n")


def table(root: Path) -> None:
    """Roboflow's CSV for TensorFlow, a table a split."""
    for split in ("train", "valid"):
        write_picture(root / split / f"{split}.jpg")
        (root / split / "_annotations.csv").write_text(
            f"filename,width,height,class,xmin,ymin,xmax,ymax\n{split}.jpg,20,10,tree,2,1,7,5\n"
        )


def subsets(root: Path) -> None:
    """CVAT's, as it calls them."""
    images = ""
    for number, subset in enumerate(("Train", "Validation")):
        write_picture(root / "images" / subset / f"{number}.jpg")
        images += (
            f'<image id="{number}" name="{number}.jpg" subset="{subset}" width="20" height="10">'
            '<box label="cat" occluded="0" xtl="2" ytl="1" xbr="7" ybr="5" z_order="0"/></image>'
        )
    labels = "<meta><task><labels><label><name>cat</name></label></labels></task></meta>"
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{labels}{images}</annotations>")


EXPORTS: dict[str, tuple[Callable[[Path], None], dict[str, int], int, list[str]]] = {
    "two-kinds": (two_kinds, {"train": 1, "val": 1}, 2, ["cat"]),
    "root-category": (root_category, {"": 1}, 2, ["wall", "door"]),
    "rows-by-id": (rows_by_id, {"": 1}, 2, ["cat"]),
    "row-twice": (row_twice, {"": 2}, 2, ["cat"]),
    "flat-segmentation": (flat_segmentation, {"": 1}, 1, ["cat"]),
    "nan-area": (nan_area, {"": 1}, 1, ["cat"]),
    "darknet": (darknet, {"train": 1, "val": 1}, 4, ["tree", "house"]),
    "table": (table, {"train": 1, "val": 1}, 2, ["tree"]),
    "subsets": (subsets, {"train": 1, "val": 1}, 2, ["cat"]),
}
"""Name → (what draws it, pictures by split, objects, the classes of them)."""


@pytest.mark.parametrize("name", EXPORTS)
def test_all_of_it_comes_in_and_goes_out(name, tmp_path):
    make, splits, objects, classes = EXPORTS[name]
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    source = opened(tmp_path / "in")
    assert source.splits == splits
    for to in ("yolo", "dota", "voc", "coco"):
        if to == source.format:
            continue
        done(f"{source.format}-to-{to}", tmp_path / "in", tmp_path / to)
        again = opened(tmp_path / to)
        assert again.splits == splits
        assert sum(len(labels.objects) for labels in read_all(again)) == objects
        assert sorted(c.name for c in again.categories if to != "yolo" or c.name in classes) == sorted(classes)


def test_splits_of_two_kinds_are_rows_of_one(tmp_path):
    """By Ultralytics' rule a row of five words among polygons would be a polygon of two points."""
    two_kinds(tmp_path / "in")
    assert "boxes without a polygon, written as the corners of the box 1" in done(
        "coco-to-yolo", tmp_path / "in", tmp_path / "out"
    )
    assert {len(file.read_text().split()) for file in (tmp_path / "out" / "labels").rglob("*.txt")} == {9}
    data = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert (data["train"], data["val"], data["task"]) == ("images/train", "images/val", "segment")
