"""VisDrone: rows, ignored regions, odd rows, splits."""

from __future__ import annotations

import pytest
from annotated import check_commands, coco_rows, files_of, make_visdrone
from builders import keys, opened, read_all, said

from augpipe.formats.registry import recognised


def test_every_command_takes_it(tmp_path):
    source = make_visdrone(tmp_path / "set")
    check_commands(source, "visdrone", tmp_path)
    expected = [("car", [40, 30, 80, 60], 0), ("ignored regions", [150, 100, 110, 100], 1)]
    assert coco_rows(source, tmp_path / "again") == {"a.jpg": expected}


def test_rows(tmp_path):
    text = "40,30,80,60,1,4,1,2\r\n1,2,3,4,0,11,0,0,\n5,6,7,8,0,0,0,0\n"
    dataset = opened(files_of(tmp_path / "set", {"annotations/a.txt": text}, ["images/a.jpg"]))
    (found,) = read_all(dataset)
    assert [c.name for c in dataset.categories][:4] == ["pedestrian", "people", "bicycle", "car"]
    assert [c.id for c in dataset.categories] == [*range(1, 13)]
    assert found.objects.category_id.tolist() == [4, 11, 12]
    assert found.objects.boxes_xyxy.tolist() == [[40, 30, 120, 90], [1, 2, 4, 6], [5, 6, 12, 14]]
    assert found.objects.iscrowd.tolist() == [0, 0, 1]
    assert [(f.truncated, f.occluded, f.attributes) for f in found.objects.facts] == [
        (1, 1, {"occlusion": 2}),
        (0, 0, {"score": 0}),
        (0, 0, {}),
    ]
    assert dataset.remarks == ("read as crowds, to be ignored: 1 region of the category 0",)


@pytest.mark.parametrize(
    ("row", "note", "dropped"),
    [
        ("1,2,3,4,1,4,0", "row-of-other-length", 0),
        ("1,2,3,4,1,4,0,0,0,0", "row-of-other-length", 0),
        ("1,2,3,4,1,12,0,0", "row-not-numbers", 0),
        ("1,2,x,4,1,4,0,0", "row-not-numbers", 1),
        ("1,2,nan,4,1,4,0,0", "row-not-numbers", 1),
        ("1,2,0,4,1,4,0,0", None, 1),
        ("1,2,3,-4,1,4,0,0", None, 1),
    ],
)
def test_a_row_that_is_no_object(row, note, dropped, tmp_path):
    text = f"40,30,80,60,1,4,0,0\n{row}\n"
    dataset = opened(files_of(tmp_path / "set", {"annotations/a.txt": text}, ["images/a.jpg"]))
    (found,) = read_all(dataset)
    assert len(found.objects) == 1
    assert found.notes == (() if note is None else (note,))
    assert len(found.dropped) == dropped
    told = [r for r in dataset.remarks if r.endswith("of no category, as annotations/a.txt:2")]
    assert len(told) == (0 if dropped else 1)


def test_splits_and_what_is_something_else(tmp_path):
    files = {f"VisDrone2019-DET-{s}/annotations/{s}.txt": "40,30,80,60,1,4,0,0\n" for s in ("train", "val")}
    source = files_of(tmp_path / "set", files, [f"VisDrone2019-DET-{s}/images/{s}.jpg" for s in ("train", "val")])
    assert list(opened(source).splits) == ["train", "val"]
    assert keys(opened(source, split="val")) == ["VisDrone2019-DET-val/images/val.jpg"]
    video = files_of(tmp_path / "vid", {"annotations/a.txt": "1,0,593,43,174,190,1,4,0,0\n"}, ["images/a.jpg"])
    assert recognised(str(video)) == []
    assert "no VisDrone data; expected images/ beside annotations/*.txt" in said(video, format="visdrone")
