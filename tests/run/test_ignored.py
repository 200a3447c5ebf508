"""Crowds and regions to ignore from end to end: in records, books and other formats, decoded by pycocotools."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from builders import decode, rle_json, write_picture
from conversions import coco_of, done, row
from format_checker import check_folder
from runs import recipe_of, run

from augpipe.formats.webdataset.record import annotations_of_record, category_from_json

CROP = "version: 1\nlabels: {min_visibility: 0.6%s}\nsteps:\n  - random_crop: {size: [100, 200]}\n"


@pytest.fixture
def source(tmp_path) -> Path:
    """A crowd 360 wide and a person 60 wide, of which a window of 100 shows a part."""
    crowd = np.zeros((200, 400), np.uint8)
    crowd[50:150, 20:380] = 1
    rows = [row(1, 1, [20, 50, 360, 100], iscrowd=1, segmentation=rle_json(crowd), area=36000),
            row(2, 1, [170, 20, 60, 20])]  # fmt: skip
    image = {"id": 1, "file_name": "a.jpg", "width": 400, "height": 200}
    write_picture(tmp_path / "a.jpg", (400, 200))
    return coco_of(tmp_path / "a.json", [image], rows)


def records(folder: Path) -> list[dict]:
    (tar,) = folder.glob("*.tar")
    with tarfile.open(tar) as file:
        return [json.loads(file.extractfile(m).read()) for m in file if m.name.endswith("json")]


def shown(record: dict, box_xywh: list[int]) -> float:
    """The share of a box of the source that the window of a record shows, by its plan."""
    (step,) = record["plan"]["steps"]
    left = -step["matrix"][2]
    x, _, w, _ = box_xywh
    return max(0.0, min(x + w, left + 100) - max(x, left)) / w


def test_a_crowd_that_fills_a_window_stays(source, tmp_path):
    run(source, tmp_path / "out", recipe_of(CROP % ""), copies=30, seed=1)
    for record in records(tmp_path / "out"):
        (crowd,) = [o for o in record["objects"] if o["iscrowd"]]
        assert decode(crowd["segmentation"]).sum() == round(shown(record, [20, 50, 360, 100]) * 360) * 100
        assert "ignored" not in crowd
        assert crowd["visible"] < 0.6
    assert check_folder(tmp_path / "out") == []


def test_what_is_below_a_limit_is_a_region_to_ignore(source, tmp_path):
    plain = run(source, tmp_path / "plain", recipe_of(CROP % ""), copies=30, seed=1)
    out = run(source, tmp_path / "out", recipe_of(CROP % ", below: ignore"), copies=30, seed=1)
    ignored = 0
    for record in records(tmp_path / "out"):
        people = [o for o in record["objects"] if o["id"] == 2]
        share = shown(record, [170, 20, 60, 20])
        assert bool(people) == (share > 0.0)
        for person in people:
            below = round(share, 3) < 0.6
            assert (person["iscrowd"], person.get("ignored")) == ((1, "min_visibility") if below else (0, None))
            ignored += below
        assert [d["reason"] for d in record["dropped"]] == ["outside"] * (not people)
    assert 0 < ignored == plain.dropped["min_visibility"]
    assert "min_visibility" not in out.dropped
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["totals"]["label_kinds"]["ignored"] == ignored
    assert check_folder(tmp_path / "out") == []
    assert "ignored" not in (tmp_path / "plain" / "manifest.json").read_text()

    said = done("shards-to-coco", tmp_path / "out", tmp_path / "again.json")
    rows = json.loads((tmp_path / "again.json").read_text())["annotations"]
    assert sum(r.get("ignored") == "min_visibility" and r["iscrowd"] == 1 for r in rows) == ignored
    said = done("shards-to-yolo", tmp_path / "out", tmp_path / "yolo", "--kind", "detect")
    assert f"crowds {30 + ignored}" in said


def test_a_record_comes_back_with_what_is_ignored(source, tmp_path):
    run(source, tmp_path / "out", recipe_of(CROP % ", below: ignore"), copies=30, seed=1)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    categories = {c.id: c for c in map(category_from_json, manifest["config"]["categories"])}
    for record in records(tmp_path / "out"):
        facts = annotations_of_record(record, {}, categories, "a").objects.facts
        assert [f.ignored for f in facts] == [o.get("ignored") for o in record["objects"]]
