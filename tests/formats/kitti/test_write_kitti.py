"""Rows of KITTI as a plain split reads them, by the columns of the devkit's readme, and there and back."""

from __future__ import annotations

import pytest
from builders import coco, image, object_xml, opened, read_all, row, voc_xml, write_json, write_picture, write_voc
from command_line import call

ROWS = (
    "Car 0.35 2 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56",
    "Person_sitting 0.00 0 0.20 1.00 2.00 30.50 40.00 1.50 0.60 0.80 1.00 2.00 3.00 0.01",
    "Cyclist 1.00 1 -10.00 10.00 20.00 30.00 40.00 -1.00 -1.00 -1.00 -1000.00 -1000.00 -1000.00 -10.00 0.91",
    "DontCare -1.00 -1 -10.00 503.89 169.71 590.61 190.13 -1.00 -1.00 -1.00 -1000.00 -1000.00 -1000.00 -10.00",
)


def converted(pair, source, out, *options):
    result = call("convert", pair, source, out, "-w", 0, *options)
    assert result.exit_code == 0, result.output
    return result


def test_a_row_an_object(tmp_path):
    """Columns: type, truncated, occluded, alpha, left, top, right, bottom, 3 of size, 3 of place, rotation."""
    xml = object_xml("traffic light", (1, 1, 10, 8), "<truncated>1</truncated><difficult>1</difficult>")
    root = write_voc(tmp_path / "voc", {"a": voc_xml(xml, object_xml("7", (3, 2.5, 18, 9))), "b": voc_xml()})
    result = converted("voc-to-kitti", root, tmp_path / "out")
    words = [line.split() for line in (tmp_path / "out" / "label_2" / "a.txt").read_text().splitlines()]
    assert [len(w) for w in words] == [15, 15]
    assert [w[0] for w in words] == ["traffic-light", "class-7"]
    assert [w[1:4] for w in words] == [["1.00", "-1", "-10.00"], ["-1.00", "-1", "-10.00"]]
    assert [list(map(float, w[4:8])) for w in words] == [[0, 0, 10, 8], [2, 1.5, 18, 9]]
    assert [list(map(float, w[8:])) for w in words] == [[-1, -1, -1, -1000, -1000, -1000, -10]] * 2
    assert (tmp_path / "out" / "label_2" / "b.txt").read_text() == ""
    assert sorted(p.name for p in (tmp_path / "out" / "image_2").iterdir()) == ["a.jpg", "b.jpg"]
    assert "difficult flags 1" in result.stdout
    assert "class names that are no word, written as one 2" in result.stdout


def kitti(root):
    (root / "label_2").mkdir(parents=True)
    (root / "label_2" / "000000.txt").write_text("".join(f"{line}\n" for line in ROWS))
    write_picture(root / "image_2" / "000000.png", (1242, 375))
    return root


def test_there_and_back_by_coco(tmp_path):
    """All that KITTI says of an object comes back, to the letter."""
    converted("kitti-to-coco", kitti(tmp_path / "kitti"), tmp_path / "coco")
    converted("coco-to-kitti", tmp_path / "coco", tmp_path / "back")
    text = next((tmp_path / "back" / "label_2").rglob("*.txt")).read_text()
    assert text.splitlines() == list(ROWS)


def test_crowds_are_regions_to_ignore(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg")
    source = write_json(tmp_path / "x.json", coco([image()], [row(1), row(2, iscrowd=1)]))
    result = converted("coco-to-kitti", source, tmp_path / "out")
    lines = (tmp_path / "out" / "label_2" / "a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["cat", "DontCare"]
    assert "crowds, written as DontCare without their class 1" in result.stdout
    assert read_all(opened(tmp_path / "out"))[0].objects.iscrowd.tolist() == [0, 1]


def test_fields_that_are_not_kittis_are_counted(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg")
    rows = [row(1, alpha=0.5), row(2, alpha="left"), row(3, colour="red"), row(4, location=[1, 2]), row(5)]
    result = converted("coco-to-kitti", write_json(tmp_path / "x.json", coco([image()], rows)), tmp_path / "out")
    assert "fields of objects 3" in result.stdout
    words = [line.split() for line in (tmp_path / "out" / "label_2" / "a.txt").read_text().splitlines()]
    assert [w[3] for w in words] == ["0.50", *["-10.00"] * 4]


@pytest.mark.parametrize("split", [None, "val"])
def test_splits_are_folders_of_both(tmp_path, split):
    for name, file in (("train", "a.jpg"), ("valid", "b.jpg")):
        write_picture(tmp_path / "src" / name / file)
        write_json(
            tmp_path / "src" / name / "_annotations.coco.json", coco([image(1, file)], [row(1)] * (file == "a.jpg"))
        )
    converted("coco-to-kitti", tmp_path / "src", tmp_path / "out")
    there = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert there == ["image_2/train/a.jpg", "image_2/val/b.jpg", "label_2/train/a.txt", "label_2/val/b.txt"]
    back = opened(tmp_path / "out", split=split)
    expected = {"train/a.jpg": "train", "val/b.jpg": "val"}
    assert {e.key: e.split for e in back.entries} == {k: v for k, v in expected.items() if split in (None, v)}


def test_classes_that_would_be_one_are_refused(tmp_path):
    cats = [{"id": 1, "name": "a b"}, {"id": 2, "name": "a-b"}]
    source = write_json(tmp_path / "x.json", coco([image()], [row(1)], cats))
    result = call("convert", "coco-to-kitti", source, tmp_path / "out", "-w", 0)
    assert (result.exit_code, "'a b' and 'a-b' would both be 'a-b' in KITTI" in result.stderr) == (2, True)
