"""KITTI: rows, regions to be ignored, odd rows, and the folders in which it lies."""

from __future__ import annotations

import pytest
from annotated import check_commands, coco_rows, files_of, make_kitti
from builders import keys, opened, read_all, rejected, said

from augpipe.formats.registry import recognised

CAR = "Car 0.00 0 -1.57 40.00 30.00 120.00 90.00 1.5 1.6 3.9 1.0 1.5 8.0 -1.4\n"
IGNORED = "DontCare -1 -1 -10 150.00 100.00 260.00 200.00 -1 -1 -1 -1000 -1000 -1000 -10\n"


def test_every_command_takes_it(tmp_path):
    source = make_kitti(tmp_path / "set")
    check_commands(source, "kitti", tmp_path)
    expected = [("Car", [40, 30, 80, 60], 0), ("DontCare", [150, 100, 110, 100], 1)]
    assert coco_rows(source, tmp_path / "again") == {"training/image_2/000000.png": expected}


def test_a_row(tmp_path):
    truncated = "Van 0.35 2 1.5 0.5 10.25 20 30 -1 -1 -1 -1000 -1000 -1000 -10 0.75\n"
    dataset = opened(files_of(tmp_path / "set", {"label_2/1.txt": truncated + CAR + IGNORED}, ["image_2/1.png"]))
    assert [c.name for c in dataset.categories] == ["Car", "Van", "DontCare"]
    assert dataset.remarks == ("read as crowds, to be ignored: 1 region of the class DontCare",)
    (found,) = read_all(dataset)
    assert found.objects.boxes_xyxy.tolist() == [[0.5, 10.25, 20, 30], [40, 30, 120, 90], [150, 100, 260, 200]]
    assert found.objects.iscrowd.tolist() == [0, 0, 1]
    van, car, ignored = found.objects.facts
    assert (van.truncated, van.occluded) == (1, 1)
    assert van.attributes == {"truncation": 0.35, "occlusion": 2, "alpha": 1.5, "score": 0.75}
    assert (car.truncated, car.occluded) == (0, 0)
    space = {"alpha": -1.57, "dimensions": [1.5, 1.6, 3.9], "location": [1.0, 1.5, 8.0], "rotation_y": -1.4}
    assert car.attributes == space
    assert (ignored.truncated, ignored.occluded, ignored.attributes) == (None, None, {})


def test_rows_that_are_none(tmp_path):
    rows = (
        CAR
        + "Car 0 0 0 1 2 3\n\n"
        + CAR.replace("40.00", "nan")
        + CAR.replace("40.00", "1e9")
        + CAR.replace("40.00", "120")
        + CAR.replace("120.00", "x")
    )
    dataset = opened(files_of(tmp_path / "set", {"label_2/1.txt": rows}, ["image_2/1.png"]))
    (found,) = read_all(dataset)
    assert found.objects.index.tolist() == [0]
    assert [d.index for d in found.dropped] == [2, 3, 4, 5]
    assert found.notes == ("row-not-numbers", "row-of-other-length")
    assert dataset.remarks == ("left out: 1 row of other than fifteen or sixteen words, as in label_2/1.txt",)


@pytest.mark.parametrize(
    ("labels", "pictures"), [("label_02", "image_02"), ("labels", "images"), ("label", "image"), ("Labels", "data")]
)
def test_folders_of_other_names(labels, pictures, tmp_path):
    source = files_of(tmp_path / "set", {f"{labels}/1.txt": CAR, f"{labels}/2.txt": ""}, [f"{pictures}/1.png"])
    assert recognised(str(source)) == ["kitti"]
    dataset = opened(source)
    assert keys(dataset) == ["1.png", "2.jpg"]
    assert [entry.picture is None for entry in dataset.entries] == [False, True]


def test_rows_of_yolo_and_of_other_texts_are_not_kittis(tmp_path):
    yolo = files_of(tmp_path / "yolo", {"labels/1.txt": "0 .5 .5 .2 .2\n"}, ["images/1.png"])
    assert recognised(str(yolo)) == ["yolo"]
    pose = "0 " + " ".join(["0.5"] * 14) + "\n"
    assert recognised(str(files_of(tmp_path / "pose", {"labels/1.txt": pose}, ["images/1.png"]))) == ["yolo"]
    assert recognised(str(files_of(tmp_path / "x", {"label_2/1.txt": "a b\n"}, ["image_2/1.png"]))) == []
    assert "no KITTI data; expected image_2/ beside label_2/*.txt" in said(tmp_path / "x", format="kitti")


def test_splits_pictures_elsewhere_and_without_labels(tmp_path):
    files = {"training/label_2/1.txt": CAR, "val/label_2/1.txt": IGNORED}
    pictures = ["training/image_2/1.png", "training/image_2/2.png", "val/image_2/1.png", "testing/image_2/9.png"]
    source = files_of(tmp_path / "set", files, pictures)
    assert list(opened(source).splits) == ["train", "val"]
    dataset = opened(source, split="training")
    assert keys(dataset) == ["training/image_2/1.png"]
    assert "left out: 1 picture without a label file, as 2.png" in dataset.remarks
    assert [c.name for c in dataset.categories] == ["Car", "DontCare"]
    apart = files_of(tmp_path / "apart", {}, ["1.png"])
    assert keys(opened(source, split="val", images=apart)) == ["1.png"]
    assert "no such folder (--images)" in said(source, split="val", images=tmp_path / "no")


def test_a_class_that_came_later_rejects_the_picture(tmp_path):
    source = files_of(tmp_path / "set", {"label_2/1.txt": CAR}, ["image_2/1.png"])
    dataset = opened(source)
    (source / "label_2" / "1.txt").write_text(CAR.replace("Car", "Tram"))
    assert rejected(dataset).code == "unknown-class"
