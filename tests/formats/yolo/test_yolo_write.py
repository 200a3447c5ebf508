"""Writing YOLO, judged by a few-line parser, by Ultralytics' checks as documented, and by reading it back."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from builders import encoded, exif, photo
from conversions import (
    average_precision,
    check_with_pycocotools,
    coco_of,
    done,
    loaded,
    mask_of,
    refused,
    row,
    voc_boxes,
    yolo_boxes,
    yolo_rows,
)
from real_sets import is_real, real

SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]
FAR_SQUARE = [20, 20, 26, 20, 26, 26, 20, 26]


def passes_ultralytics(root: Path) -> None:
    """What its dataset check asks of every file; one row that fails costs the picture (verify_image_label)."""
    document = yaml.safe_load((root / "data.yaml").read_text("utf-8"))
    assert {"train", "val", "names"} <= set(document)
    assert len(document["names"]) == document["nc"]
    for rows in yolo_rows(root).values():
        points = any(len(r) > 6 for r in rows) and "kpt_shape" not in document
        for index, *numbers in rows:
            assert index in document["names"]
            if points:
                xs, ys = numbers[0::2], numbers[1::2]
                assert len(numbers) >= 6
                numbers = [  # noqa: PLW2901
                    (min(xs) + max(xs)) / 2,
                    (min(ys) + max(ys)) / 2,
                    max(xs) - min(xs),
                    max(ys) - min(ys),
                ]
            elif "kpt_shape" in document:
                assert len(numbers) == 4 + np.prod(document["kpt_shape"])
                assert all(0 <= v <= 1 for k, v in enumerate(numbers[4:]) if k % 3 < 2)
                numbers = numbers[:4]  # noqa: PLW2901
            assert len(numbers) == 4
            assert all(0 <= v <= 1 for v in numbers)


# --- real sets -------------------------------------------------------------------------------------------------------


def by_name(boxes: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    """Boxes by the names of pictures, without the folders of their splits."""
    return {Path(stem).name: rows for stem, rows in boxes.items()}


@pytest.mark.parametrize("path", ["raccoon", "bccd/BCCD"])
def test_real_voc_sets_come_back_exactly(path, tmp_path):
    source = real(path)
    expected = voc_boxes(source)
    objects = sum(map(len, expected.values()))
    assert f"{objects:,} objects to" in done("voc-to-yolo", source, tmp_path / "yolo")
    passes_ultralytics(tmp_path / "yolo")
    assert by_name(yolo_boxes(tmp_path / "yolo")) == {
        s: [(n, *(round(v, 3) for v in b)) for n, *b in r] for s, r in expected.items()
    }
    out = done("yolo-to-voc", tmp_path / "yolo", tmp_path / "voc")
    assert by_name(voc_boxes(tmp_path / "voc")) == expected  # whole pixels are whole again
    assert "fractions" not in out
    done("yolo-to-coco", tmp_path / "yolo", tmp_path / "back.json")
    check_with_pycocotools(tmp_path / "back.json", objects)
    assert average_precision(tmp_path / "back.json") == [pytest.approx(1.0)]


@pytest.mark.parametrize(
    ("path", "json_name", "said"),
    [
        ("coco_permissive_kpt", "annotations/instances.json", ("crowds 9", "keypoints 160", "joined into one 47")),
        ("teacher_occlusion/valid", "_annotations.coco.json", ("masks, written as the outline of their pixels 72",)),
    ],
)
def test_real_coco_sets_keep_their_masks(path, json_name, said, tmp_path):
    """Every object that is no crowd comes back, with the same picture of it but for the pixels of its edge."""
    source = real(path)
    out = done("coco-to-yolo", source, tmp_path / "yolo")
    for loss in said if is_real(source) else ():
        assert loss in out
    passes_ultralytics(tmp_path / "yolo")
    done("yolo-to-coco", tmp_path / "yolo", tmp_path / "back.json")
    document = json.loads((source / json_name).read_text())
    kept = [r for r in document["annotations"] if not r["iscrowd"]]
    check_with_pycocotools(tmp_path / "back.json", len(kept))
    assert average_precision(tmp_path / "back.json", ("bbox", "segm")) == [pytest.approx(1.0)] * 2
    before, after = loaded(source / json_name), loaded(tmp_path / "back.json")
    names = {i["file_name"]: i["id"] for i in after.imgs.values()}
    overlaps = []
    for picture in before.imgs.values():
        rows = [r for r in before.imgToAnns[picture["id"]] if not r["iscrowd"]]
        others = after.imgToAnns[names[picture["file_name"]]]
        assert [before.cats[r["category_id"]]["name"] for r in rows] == [
            after.cats[r["category_id"]]["name"] for r in others
        ]
        for one, other in zip(rows, others, strict=True):
            if one.get("segmentation"):
                a, b = mask_of(before, one), mask_of(after, other)
                overlaps.append((a & b).sum() / max(1, (a | b).sum()))
    assert np.mean(overlaps) > 0.998
    assert np.quantile(overlaps, 0.02) > 0.97


def test_keypoints_of_a_real_set_come_back(tmp_path):
    source = real("coco_permissive_kpt/annotations/person_keypoints.json", itself=True)
    done("coco-to-yolo", source, tmp_path / "yolo", "--kind", "pose")
    passes_ultralytics(tmp_path / "yolo")
    document = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())
    assert document["kpt_shape"] == [17, 3]
    assert document["flip_idx"] == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    done("yolo-to-coco", tmp_path / "yolo", tmp_path / "back.json")
    before, after = json.loads(source.read_text()), json.loads((tmp_path / "back.json").read_text())
    assert after["categories"][0]["keypoints"] == before["categories"][0]["keypoints"]
    ids = {i["id"]: i["file_name"] for i in before["images"]}, {i["id"]: i["file_name"] for i in after["images"]}
    found = []
    for names, rows in zip(ids, (before["annotations"], after["annotations"]), strict=True):
        points: dict[str, list] = {}
        for r in rows:
            if not r["iscrowd"]:
                flat = np.array(r["keypoints"], float).reshape(-1, 3)
                flat[flat[:, 2] == 0] = 0
                points.setdefault(names[r["image_id"]], []).append(flat.round(3).tolist())
        found.append(points)
    assert found[0] == found[1]


# --- kinds -----------------------------------------------------------------------------------------------------------


def rows_of(source: Path, folder: Path, *more: str) -> tuple[list[list[float]], str]:
    out = done("coco-to-yolo", source, folder, *more)
    (rows,) = [
        [[float(v) for v in line.split()] for line in p.read_text().splitlines()]
        for p in (folder / "labels").rglob("*.txt")
    ]
    return rows, out


def test_the_kind_is_what_most_objects_have(tmp_path):
    rows = [row(1, 1, [4, 4, 8, 8], segmentation=[SQUARE]), row(2, 1, [20, 20, 6, 6])]
    written, out = rows_of(coco_of(tmp_path / "a.json", rows=rows), tmp_path / "yolo")
    assert [len(r) for r in written] == [9, 9]  # the second by the corners of its box
    assert "rows hold segment, as most objects have that; --kind chooses another" in out
    assert "boxes without a polygon, written as the corners of the box 1" in out
    written, out = rows_of(tmp_path / "a.json", tmp_path / "boxes", "--kind", "detect")
    assert written == [
        [0, 0.2, pytest.approx(8 / 30), 0.2, pytest.approx(8 / 30)],
        [0, 0.575, pytest.approx(23 / 30), 0.15, 0.2],
    ]
    assert "yolo has no place for: object ids 2, image ids 1, segmentations 1\n" in out
    (tmp_path / "yolo" / "images").mkdir()
    cv2.imwrite(str(tmp_path / "yolo" / "images" / "a.jpg"), np.zeros((30, 40)))
    done("yolo-to-coco", tmp_path / "yolo", tmp_path / "b.json")  # four corners everywhere, but data.yaml says the task
    assert all("segmentation" in r for r in json.loads((tmp_path / "b.json").read_text())["annotations"])


def test_crowds_are_left_out_and_counted(tmp_path):
    crowd = row(1, 1, [4, 4, 8, 8], segmentation=[SQUARE])
    rows = [{**crowd, "iscrowd": 1}, row(2, 1, [20, 20, 6, 6])]
    written, out = rows_of(coco_of(tmp_path / "a.json", rows=rows), tmp_path / "yolo")
    assert len(written) == 1
    assert "1 picture, 1 object to" in out
    assert "crowds 1" in out


def test_oriented_boxes_are_asked_for(tmp_path):
    written, out = rows_of(coco_of(tmp_path / "a.json"), tmp_path / "yolo", "--kind", "obb")
    assert written == [
        [
            0,
            0.025,
            pytest.approx(2 / 30),
            0.275,
            pytest.approx(2 / 30),
            0.275,
            pytest.approx(1 / 3),
            0.025,
            pytest.approx(1 / 3),
        ]
    ]
    assert "boxes that are not oriented, written as oriented ones 1" in out


def test_kinds_that_cannot_be(tmp_path):
    source = coco_of(tmp_path / "a.json")
    assert "has no keypoints to write" in refused("coco-to-yolo", source, tmp_path / "out", "--kind", "pose")
    assert "expected detect, segment, pose, obb" in refused("coco-to-yolo", source, tmp_path / "out", "--kind", "x")
    assert "--kind says what YOLO's rows hold" in refused("coco-to-voc", source, tmp_path / "out", "--kind", "obb")
    assert not (tmp_path / "out").exists()


# --- what is outside -------------------------------------------------------------------------------------------------


def test_what_ultralytics_would_refuse_a_picture_for_is_cut_and_counted(tmp_path):
    boxes = [[-4, 5, 20, 10], [-30, 5, 40, 10], [-10, -10, 80, 80], [50, 5, 10, 10]]
    source = coco_of(tmp_path / "a.json", rows=[row(i, 1, box) for i, box in enumerate(boxes, start=1)])
    written, out = rows_of(source, tmp_path / "yolo")
    assert len(written) == 3
    assert written[0] == pytest.approx([0, 6 / 40, 10 / 30, 20 / 40, 10 / 30])  # partly outside stays as it is
    assert written[1] == pytest.approx([0, 5 / 40, 10 / 30, 10 / 40, 10 / 30])
    assert written[2] == pytest.approx([0, 0.5, 0.5, 1, 1])
    assert "objects cut to the picture 2" in out
    assert "objects outside the picture 1" in out


def test_polygons_and_keypoints_outside(tmp_path):
    polygon = [-30, 5, 10, 5, 10, 15, -30, 15]
    categories = [{"id": 1, "name": "cat", "keypoints": ["a", "b"]}]
    rows = [row(1, 1, [-30, 5, 40, 10], segmentation=[polygon], keypoints=[5, 6, 2, 50, 6, 2], num_keypoints=2)]
    source = coco_of(tmp_path / "a.json", rows=rows, categories=categories)
    written, out = rows_of(source, tmp_path / "segment", "--kind", "segment")
    assert sorted(zip(written[0][1::2], written[0][2::2], strict=True)) == [
        pytest.approx(p) for p in [(0, 1 / 6), (0, 0.5), (0.25, 1 / 6), (0.25, 0.5)]
    ]
    assert "objects cut to the picture 1" in out
    written, out = rows_of(source, tmp_path / "pose")
    assert written[0][5:] == pytest.approx([5 / 40, 6 / 30, 2, 0, 0, 0])
    assert "objects with keypoints outside the picture 1" in out


def test_labels_in_stored_pixels_are_turned_with_their_picture(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(encoded(photo((40, 30)), exif=exif(6)))
    written, _ = rows_of(coco_of(tmp_path / "a.json", rows=[row(1, 1, [0, 0, 10, 6])]), tmp_path / "yolo")
    # A quarter turn clockwise: the corner at the top left goes to the top right of 30×40.
    assert written == [
        [0, pytest.approx(27 / 30), pytest.approx(5 / 40), pytest.approx(6 / 30), pytest.approx(10 / 40)]
    ]
