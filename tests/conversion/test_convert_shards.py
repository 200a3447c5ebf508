"""Augmented shards go back to every trainer's format, told by the records themselves and read by other tools."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from command_line import call
from conversions import average_precision, check_with_pycocotools, done, refused, voc_boxes, yolo_boxes
from real_sets import real
from runs import samples


@pytest.fixture(scope="module")
def shards(coco, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "run"
    result = call(
        "augment", coco, folder, "-r", "segmentation", "--copies", 2, "--originals", "-w", 0, "--max-rejects", "0"
    )
    assert result.exit_code == 0, result.output
    return folder


def boxes_of_records(shards, digits=3) -> dict[str, list[tuple]]:
    """KEY → (name, x, y, w, h), straight from the tars."""
    out = {}
    for key, members in samples(shards).items():
        rows = json.loads(members["json"])["objects"]
        boxes = [(r["category"], r["box_xyxy"]) for r in rows]
        out[key] = [(n, *(round(v, digits) for v in (b[0], b[1], b[2] - b[0], b[3] - b[1]))) for n, b in boxes]
    return out


def test_shards_to_coco(shards, tmp_path):
    out = done("shards-to-coco", shards, tmp_path / "out")
    path = tmp_path / "out" / "annotations" / "instances_all.json"
    document = json.loads(path.read_text())
    expected = boxes_of_records(shards)
    assert len(expected) == 24
    assert "ids of pictures and objects are new ones: copies share those of their source" in out
    assert "plans, visible shares and what was dropped stay in the shards" in out
    names = {c["id"]: c["name"] for c in document["categories"]}
    found = {i["file_name"].removesuffix(".jpg"): [] for i in document["images"]}
    files = {i["id"]: i["file_name"].removesuffix(".jpg") for i in document["images"]}
    for r in document["annotations"]:
        found[files[r["image_id"]]].append((names[r["category_id"]], *(round(v, 3) for v in r["bbox"])))
    assert found == expected
    ids = [i["id"] for i in document["images"]] + [r["id"] for r in document["annotations"]]
    assert len(files) == 24
    assert all(1000 < i < 2**53 for i in ids)
    check_with_pycocotools(path, sum(map(len, expected.values())))
    assert average_precision(path, ("bbox", "segm")) == [pytest.approx(1.0)] * 2
    for key, members in samples(shards).items():
        assert (tmp_path / "out" / "images" / f"{key}.jpg").read_bytes() == members["jpg"]


def test_ids_of_copies_do_not_move_when_copies_are_added(coco, tmp_path):
    found = []
    for copies in (1, 2):
        call("augment", coco, tmp_path / f"run{copies}", "-r", "gentle", "--copies", copies, "-w", 0)
        done("shards-to-coco", tmp_path / f"run{copies}", tmp_path / f"{copies}.json")
        images = json.loads((tmp_path / f"{copies}.json").read_text())["images"]
        found.append({(i["file_name"], i["id"]) for i in images})
    assert found[0] < found[1]


def test_a_json_alone_says_that_the_pictures_are_elsewhere(shards, tmp_path):
    out = done("shards-to-coco", shards, tmp_path / "out.json")
    assert "give a folder as DST to copy them" in out


def test_shards_to_voc(shards, tmp_path):
    out = done("shards-to-voc", shards, tmp_path / "voc")
    expected = boxes_of_records(shards)
    thin = sum(min(b[3:]) < 1 for rows in expected.values() for b in rows)
    found = voc_boxes(tmp_path / "voc")
    assert {k: [(n, *(round(v, 3) for v in b)) for n, *b in r] for k, r in found.items()} == {
        k: [b for b in rows if min(b[3:]) >= 1] for k, rows in expected.items()
    }
    assert ("objects thinner than a pixel" in out) == bool(thin)
    assert cv2.imread(str(next((tmp_path / "voc" / "JPEGImages").iterdir()))) is not None


def test_shards_to_yolo(shards, tmp_path):
    out = done("shards-to-yolo", shards, tmp_path / "boxes", "--kind", "detect")
    assert "crowds" in out
    records = {k: json.loads(m["json"])["objects"] for k, m in samples(shards).items()}
    crowds = {k: [r["iscrowd"] for r in rows] for k, rows in records.items()}
    expected = {k: [b for b, crowd in zip(rows, crowds[k], strict=True) if not crowd]
                for k, rows in boxes_of_records(shards).items()}  # fmt: skip
    found = yolo_boxes(tmp_path / "boxes")
    assert found.keys() == expected.keys()
    for key, rows in expected.items():
        assert [b[0] for b in found[key]] == [b[0] for b in rows]
        assert np.allclose([b[1:] for b in found[key]], [b[1:] for b in rows], atol=2e-3)
    done("yolo-to-coco", tmp_path / "boxes", tmp_path / "back.json")
    assert average_precision(tmp_path / "back.json") == [pytest.approx(1.0)]


def test_a_yolo_set_goes_all_the_way_round(coco, tmp_path):
    """YOLO is a source of augment, preview, inspect and verify like any other, and its copies are YOLO again."""
    done("coco-to-yolo", coco, tmp_path / "yolo", "--kind", "segment")
    source = tmp_path / "yolo"
    assert '"format": "yolo"' in call("inspect", source, "--json").stdout
    result = call("preview", source, "-r", "segmentation", "-o", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    result = call("augment", source, tmp_path / "run", "-r", "segmentation", "--copies", 2, "-w", 0)
    assert result.exit_code == 0, result.output
    result = call("verify", tmp_path / "run", "--against", source)
    assert result.exit_code == 0, result.output
    out = done("shards-to-yolo", tmp_path / "run", tmp_path / "back")
    assert "16 pictures" in out
    assert "polygons  " in call("inspect", tmp_path / "back").stdout


@pytest.mark.parametrize(("kind", "recipe"), [("pose", "keypoints"), ("obb", "detection")])
def test_other_kinds_go_round_too(kind, recipe, coco, tmp_path):
    done("coco-to-yolo", coco, tmp_path / "yolo", "--kind", kind)
    result = call("augment", tmp_path / "yolo", tmp_path / "run", "-r", recipe, "-w", 0)
    assert result.exit_code == 0, result.output
    result = call("verify", tmp_path / "run", "--against", tmp_path / "yolo")
    assert result.exit_code == 0, result.output
    out = done("shards-to-yolo", tmp_path / "run", tmp_path / "back")
    assert f"rows hold {kind}" in out


def test_an_unfinished_run_is_no_source(shards, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_bytes((shards / "run.json").read_bytes())
    assert "unfinished" in refused("shards-to-coco", tmp_path / "run", tmp_path / "out")


def test_real_shards_of_a_real_set(tmp_path):
    source = real("bccd/BCCD")
    result = call(
        "augment",
        source,
        tmp_path / "run",
        "-r",
        "detection",
        "--split",
        "train",
        "--limit",
        20,
        "--copies",
        3,
        "-w",
        0,
    )
    assert result.exit_code == 0, result.output
    done("shards-to-coco", tmp_path / "run", tmp_path / "coco")
    done("shards-to-yolo", tmp_path / "run", tmp_path / "yolo")
    done("yolo-to-coco", tmp_path / "yolo", tmp_path / "back.json")
    path = tmp_path / "coco" / "annotations" / "instances_train.json"
    one, other = (json.loads(p.read_text()) for p in (path, tmp_path / "back.json"))
    assert len(one["images"]) == len(other["images"]) == 3 * min(20, len(voc_boxes(source)))
    for a, b in zip(one["annotations"], other["annotations"], strict=True):
        assert b["bbox"] == pytest.approx(a["bbox"], abs=1e-6)
    assert average_precision(path) == [pytest.approx(1.0)]
