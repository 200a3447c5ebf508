"""Tables of boxes as Python's own csv module reads them, and there and back."""

from __future__ import annotations

import csv

import numpy as np
from builders import coco, image, object_xml, opened, read_all, row, voc_xml, write_json, write_picture, write_voc
from command_line import call

HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax,truncated,difficult,occluded,iscrowd"


def table(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def converted(pair, source, out, *options):
    result = call("convert", pair, source, out, "-w", 0, *options)
    assert result.exit_code == 0, result.output
    return result


def test_a_row_an_object(tmp_path):
    cats = [{"id": 5, "name": 'a "big", cat'}, {"id": 9, "name": "dog"}]
    rows = [
        row(1, category_id=5, bbox=[2, 1, 5, 4]),
        row(2, category_id=9, bbox=[0.5, 1.25, 3, 4], iscrowd=1, segmentation=[[0, 0, 5, 0, 5, 5]]),
    ]
    images = [image(1, "a.jpg"), image(2, "b, c.jpg")]
    for one in images:
        write_picture(tmp_path / "images" / one["file_name"])
    source = write_json(tmp_path / "x.json", coco(images, rows, cats))
    result = converted("coco-to-csv", source, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["annotations.csv", "images"]
    assert (tmp_path / "out" / "annotations.csv").read_text().splitlines()[0] == HEAD
    size = {"width": "20", "height": "10"}
    none = dict.fromkeys(("truncated", "difficult", "occluded"), "")
    assert table(tmp_path / "out" / "annotations.csv") == [
        {"filename": "a.jpg", **size, "class": 'a "big", cat', "xmin": "2", "ymin": "1", "xmax": "7", "ymax": "5",
         **none, "iscrowd": "0"},
        {"filename": "a.jpg", **size, "class": "dog", "xmin": "0.5", "ymin": "1.25", "xmax": "3.5", "ymax": "5.25",
         **none, "iscrowd": "1"},
        {"filename": "b, c.jpg", **size, **dict.fromkeys(HEAD.split(",")[3:], "")},
    ]  # fmt: skip
    assert "segmentations 1" in result.stdout
    assert "object ids 2" in result.stdout


def test_there_and_back(tmp_path):
    xml = object_xml("cat", (1, 1, 10, 8), "<truncated>1</truncated><difficult>0</difficult><occluded>1</occluded>")
    root = write_voc(tmp_path / "voc", {"a": voc_xml(xml, object_xml("dog", (3, 2.5, 18, 9))), "b": voc_xml()})
    converted("voc-to-csv", root, tmp_path / "csv")
    back = opened(tmp_path / "csv")
    assert back.format == "csv"
    first, second = read_all(back)
    assert first.objects.boxes_xyxy.tolist() == [[0, 0, 10, 8], [2, 1.5, 18, 9]]
    assert [(f.truncated, f.difficult, f.occluded) for f in first.objects.facts] == [(1, 0, 1), (None,) * 3]
    assert [c.name for c in back.categories] == ["cat", "dog"]
    assert (first.size_wh, len(second.objects), second.size_wh) == ((20, 10), 0, (20, 10))
    converted("csv-to-voc", tmp_path / "csv", tmp_path / "again")
    before = np.array([[1, 1, 10, 8], [3, 2.5, 18, 9]])
    text = next((tmp_path / "again" / "Annotations").rglob("a.xml")).read_text()
    found = [float(line.split(">")[1].split("<")[0]) for line in text.splitlines() if "<x" in line or "<y" in line]
    assert np.array_equal(np.array(found).reshape(2, 4), before)


def test_a_table_a_split(tmp_path):
    for split, name in (("train", "a.jpg"), ("valid", "a.jpg")):
        write_picture(tmp_path / "src" / split / name)
        rows = [row(1, bbox=[1, 1, 5, 5])]
        write_json(tmp_path / "src" / split / "_annotations.coco.json", coco([image(1, name)], rows))
    converted("coco-to-csv", tmp_path / "src", tmp_path / "out")
    there = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert there == ["images/train/a.jpg", "images/val/a.jpg", "train.csv", "val.csv"]
    assert [r["filename"] for r in table(tmp_path / "out" / "val.csv")] == ["val/a.jpg"]
    assert opened(tmp_path / "out").splits == {"train": 1, "val": 1}
    assert [len(labels.objects) for labels in read_all(opened(tmp_path / "out"))] == [1, 1]


def test_names_that_cannot_stand_in_a_row(tmp_path):
    """A line end in a quoted field is CSV, but few readers take it, ours neither."""
    write_picture(tmp_path / "images" / "a.jpg")
    images = [image(1, "a.jpg"), image(2, "b\nc.jpg")]
    source = write_json(tmp_path / "x.json", coco(images, [row(1)], [{"id": 1, "name": " two\nlines "}]))
    result = call("convert", "coco-to-csv", source, tmp_path / "out", "-w", 0)
    assert (result.exit_code, "cannot stand in a row" in result.stderr) == (1, True)
    assert [r["class"] for r in table(tmp_path / "out" / "annotations.csv")] == ["two lines"]
    assert "class names with spaces around or line ends 1" in result.stdout


def test_augmented_in_one_command(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": voc_xml(object_xml("cat", (4, 3, 15, 9)))})
    result = call("augment", root, tmp_path / "out", "-r", "gentle", "-n", 2, "--to", "csv", "-w", 0)
    assert result.exit_code == 0, result.output
    rows = table(next((tmp_path / "out").glob("*.csv")))
    assert len({r["filename"] for r in rows}) == 2
    assert call("verify", tmp_path / "out", "-w", 0).exit_code == 0
