"""Two categories of one name, as exports with a root category have them, in formats where a name is the class."""

from __future__ import annotations

import yaml
from conversions import coco_of, done, image, row

CATEGORIES = [
    {"id": 0, "name": "Vehicles"},
    {"id": 1, "name": "Vehicles", "supercategory": "Vehicles"},
    {"id": 2, "name": "bus"},
]


def a_set(path):
    rows = [row(1, 1, [1, 1, 8, 8], 0), row(2, 1, [2, 2, 8, 8], 1), row(3, 1, [3, 3, 8, 8], 2)]
    return coco_of(path, [image(1, "a.jpg")], rows, CATEGORIES)


def test_yolo_has_one_number_for_one_name(tmp_path):
    said = done("coco-to-yolo", a_set(tmp_path / "in.json"), tmp_path / "out")
    data = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert data["names"] == {0: "Vehicles", 1: "bus"}
    assert data["nc"] == 2
    (labels,) = (tmp_path / "out" / "labels").rglob("*.txt")
    assert [line.split()[0] for line in labels.read_text().splitlines()] == ["0", "0", "1"]
    assert "classes of a name that another has, written as one 1" in said


def test_dota_says_that_they_are_one(tmp_path):
    said = done("coco-to-dota", a_set(tmp_path / "in.json"), tmp_path / "out")
    (labels,) = (tmp_path / "out" / "labelTxt").rglob("*.txt")
    assert [line.split()[8] for line in labels.read_text().splitlines()] == ["Vehicles", "Vehicles", "bus"]
    assert "classes of a name that another has, written as one 1" in said
