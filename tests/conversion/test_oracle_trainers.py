"""Trainers' own readers take what `augment --to` writes: the validation set is the one of before, training is more."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import datasets
import numpy as np
import pytest
from asking_ultralytics import by_ultralytics
from conversions import done, voc_boxes
from dataset_folders import made
from oracles import import_torchvision, oracle, oracle_is_there

oracle(import_torchvision)

from torchvision.datasets import CocoDetection, VOCDetection  # noqa: E402


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """VOC with the lists train, of five pictures, and val, of four."""
    root = datasets.make_voc(tmp_path_factory.mktemp("trained") / "voc")
    stems = sorted(path.stem for path in (root / "JPEGImages").iterdir())
    lists = root / "ImageSets" / "Main"
    for old in lists.iterdir():
        old.unlink()
    (lists / "train.txt").write_text("\n".join(stems[:5]) + "\n")
    (lists / "val.txt").write_text("\n".join(stems[5:]) + "\n")
    return root


def val_of(source: Path) -> list[str]:
    return (source / "ImageSets" / "Main" / "val.txt").read_text().split()


@pytest.mark.slow
@oracle_is_there("ultralytics")
def test_ultralytics_finds_its_val_untouched_and_train_augmented(source, tmp_path):
    """The source is YOLO of Roboflow's kind; what its reader makes of val is the same, to the bytes of the pictures."""
    done("voc-to-yolo", source, tmp_path / "in")
    made(tmp_path / "in", tmp_path / "out", "yolo")
    files = [tmp_path / name / "data.yaml" for name in ("in", "out")]
    before, after = by_ultralytics(files)
    assert after["names"] == before["names"]
    val = [
        {Path(name).name: label for name, label in read["splits"]["val"]["pictures"].items()}
        for read in (before, after)
    ]
    assert val[0].keys() == val[1].keys() == {f"{stem}.jpg" for stem in val_of(source)}
    for name, label in val[0].items():
        assert val[1][name]["classes"] == label["classes"]
        np.testing.assert_allclose(val[1][name]["boxes_xywh"], label["boxes_xywh"], atol=1e-6)
        one, two = (next((tmp_path / folder / "images").rglob(name)).read_bytes() for folder in ("in", "out"))
        assert one == two
    train = after["splits"]["train"]
    assert (train["total"], train["corrupt"], train["missing"]) == (10, 0, 0)
    assert after["splits"]["val"]["total"] == 4


def test_coco_detection_reads_every_split(source, tmp_path):
    made(source, tmp_path / "set", "coco")
    expected = voc_boxes(source)
    sizes = {}
    for split in ("train", "val"):
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools says how long it takes
            path = tmp_path / "set" / "annotations" / f"instances_{split}.json"
            dataset = CocoDetection(str(tmp_path / "set" / "images"), str(path))
        sizes[split] = len(dataset)
        for number, (picture, target) in zip(dataset.ids, dataset, strict=True):
            image = dataset.coco.imgs[number]
            assert picture.size == (image["width"], image["height"])
            if split == "val":
                rows = [(dataset.coco.cats[row["category_id"]]["name"], *row["bbox"]) for row in target]
                assert rows == expected[Path(image["file_name"]).stem]
    assert sizes == {"train": 10, "val": 4}


def test_voc_detection_reads_every_split(source, tmp_path):
    made(source, tmp_path / "VOCdevkit" / "VOC2012", "voc")
    assert len(VOCDetection(tmp_path, image_set="train")) == 10
    assert (tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main" / "val.txt").read_text().split() == val_of(source)
    for picture, target in VOCDetection(tmp_path, image_set="val"):
        annotation = target["annotation"]
        name = annotation["filename"]
        assert picture.size == tuple(int(annotation["size"][side]) for side in ("width", "height"))
        made_of = voc_boxes(source)[Path(name).stem]
        boxes = [[float(o["bndbox"][k]) for k in ("xmin", "ymin", "xmax", "ymax")] for o in annotation["object"]]
        assert boxes == [[x + 1, y + 1, x + w, y + h] for _, x, y, w, h in made_of]
        assert [o["name"] for o in annotation["object"]] == [row[0] for row in made_of]
        written = tmp_path / "VOCdevkit" / "VOC2012" / "JPEGImages" / name
        assert written.read_bytes() == (source / "JPEGImages" / name).read_bytes()
