"""The smallest dataset with splits train, valid and test, a picture each, as each format and tool lays it out.

A picture is called like its split: train.jpg, valid.jpg, test.jpg.
"""

from __future__ import annotations

from pathlib import Path

from builders import coco as document
from builders import image, object_xml, row, voc_xml, write_json, write_picture

MEANT = {"train": "train", "valid": "val", "test": "test"}
"""Name of a picture → its split."""


def yolo_by_yaml(root: Path) -> None:
    for split in ("train", "valid", "test"):
        write_picture(root / split / "images" / f"{split}.jpg")
        (root / split / "labels").mkdir()
        (root / split / "labels" / f"{split}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: [cat]\n"
    )


def yolo_by_folders(root: Path) -> None:
    for split in ("train", "valid", "test"):
        write_picture(root / "images" / split / f"{split}.jpg")
        (root / "labels" / split).mkdir(parents=True)
        (root / "labels" / split / f"{split}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "classes.txt").write_text("cat\n")


def yolo_by_lists(root: Path) -> None:
    for split in ("train", "valid", "test"):
        write_picture(root / "images" / f"{split}.jpg")
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{split}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (root / f"{split}.txt").write_text(f"./images/{split}.jpg\n")
    (root / "classes.txt").write_text("cat\n")


def coco_2017(root: Path) -> None:
    for number, split in enumerate(("train2017", "val2017", "test2017"), start=1):
        name = {"train2017": "train", "val2017": "valid", "test2017": "test"}[split]
        write_picture(root / split / f"{name}.jpg")
        write_json(root / "annotations" / f"instances_{split}.json", document([image(number, f"{name}.jpg")],
                                                                               [row(number, number)]))  # fmt: skip


def coco_of_roboflow(root: Path) -> None:
    for split in ("train", "valid", "test"):
        write_picture(root / split / f"{split}.jpg")
        write_json(root / split / "_annotations.coco.json", document([image(1, f"{split}.jpg")], [row()]))


def voc_by_lists(root: Path) -> None:
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for split, own in (("train", "train"), ("val", "valid"), ("test", "test")):
        write_picture(root / "JPEGImages" / f"{own}.jpg")
        (root / "Annotations" / f"{own}.xml").write_text(voc_xml(object_xml()))
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{own}\n")
        (root / "ImageSets" / "Main" / f"cat_{split}.txt").write_text(f"{own} 1\n")
    (root / "ImageSets" / "Main" / "trainval.txt").write_text("train\nvalid\n")


def voc_of_roboflow(root: Path) -> None:
    for split in ("train", "valid", "test"):
        write_picture(root / split / f"{split}.jpg")
        (root / split / f"{split}.xml").write_text(voc_xml(object_xml()))


def dota(root: Path) -> None:
    for split in ("train", "valid", "test"):
        write_picture(root / split / "images" / f"{split}.jpg")
        (root / split / "labelTxt").mkdir()
        (root / split / "labelTxt" / f"{split}.txt").write_text("1 1 9 1 9 8 1 8 cat 0\n")


def class_folders(root: Path) -> None:
    for split in ("train", "valid", "test"):
        for name in ("cat", "dog"):
            write_picture(root / split / name / (f"{split}.jpg" if name == "cat" else f"{split}_2.jpg"))


LAYOUTS = [yolo_by_yaml, yolo_by_folders, yolo_by_lists, coco_2017, coco_of_roboflow, voc_by_lists, voc_of_roboflow,
           dota, class_folders]  # fmt: skip
