"""YOLO folders that are written: splits, names of classes, and round trips."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from builders import encoded, photo
from conversions import (
    coco_boxes,
    coco_of,
    done,
    failed,
    image,
    refused,
    row,
    voc_boxes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.core.annotations import Rings
from augpipe.labels.polygons import areas_of
from augpipe.labels.rle import area_of, bitmap_of_rings, rasterise, rle_of
from augpipe.labels.single_ring import joined, one_ring, outlines_of

# --- the folder ------------------------------------------------------------------------------------------------------


def test_splits_of_the_source_become_those_of_data_yaml(tmp_path):
    images = [image(1, "train/a.jpg"), image(2, "val/b.jpg")]
    done("coco-to-yolo", coco_of(tmp_path / "a.json", images=images), tmp_path / "yolo")
    document = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())
    assert {k: document[k] for k in ("train", "val")} == {"train": "images/train", "val": "images/val"}
    assert sorted(p.relative_to(tmp_path / "yolo").as_posix() for p in (tmp_path / "yolo").rglob("*.txt")) == [
        "labels/train/a.txt",
        "labels/val/b.txt",
    ]


def test_splits_are_converted_one_after_the_other_into_one_folder(voc, tmp_path):
    out = done("voc-to-yolo", voc, tmp_path / "yolo", "--split", "train")
    assert "data.yaml names images/train for val too, as there is no other split" in out
    done("voc-to-yolo", voc, tmp_path / "yolo", "--split", "val", "--overwrite")
    document = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())
    assert {k: document[k] for k in ("train", "val")} == {"train": "images/train", "val": "images/val"}
    out = done("yolo-to-voc", tmp_path / "yolo", tmp_path / "back")
    assert "9 pictures, 27 objects" in out
    assert {Path(s).name: rows for s, rows in voc_boxes(tmp_path / "back").items()} == {
        s: [(n, *map(pytest.approx, b)) for n, *b in rows] for s, rows in voc_boxes(voc).items()
    }


def test_a_folder_called_images_within_the_names_does_not_mislead(tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(1, "x/images/a.jpg")])
    done("coco-to-yolo", source, tmp_path / "yolo")
    assert (tmp_path / "yolo" / "images" / "x" / "labels" / "a.txt").is_file()


def test_names_of_classes_come_back(tmp_path):
    names = ["yes", "1", "größe: 1", "a\nb", "'", "😀", "#x", ""]
    categories = [{"id": i, "name": n} for i, n in enumerate(names, start=1)]
    done("coco-to-yolo", coco_of(tmp_path / "a.json", categories=categories), tmp_path / "yolo")
    assert list(yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text("utf-8"))["names"].values()) == names
    (tmp_path / "yolo" / "images").mkdir()
    cv2.imwrite(str(tmp_path / "yolo" / "images" / "a.jpg"), np.zeros((30, 40)))
    done("yolo-to-coco", tmp_path / "yolo", tmp_path / "b.json")
    assert [c["name"] for c in json.loads((tmp_path / "b.json").read_text())["categories"]] == names


def test_pictures_that_cannot_have_a_label_file(tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(1, "a.jpg"), image(2, "a.png")])
    assert "would share one label file; rename one" in refused("coco-to-yolo", source, tmp_path / "out")
    source = coco_of(tmp_path / "b.json", images=[image(1, "a.jpg"), image(2, "frame.12")])
    assert "frame.12: the name has no ending of a picture" in failed("coco-to-yolo", source, tmp_path / "out")
    assert "give a folder as DST" in refused("coco-to-yolo", source, tmp_path / "out.json")


def test_what_yolo_cannot_hold_is_told(coco, voc, tmp_path):
    out = done("coco-to-yolo", coco, tmp_path / "a")
    assert "captions 8" in out
    assert "supercategories 2" in out
    out = done("voc-to-yolo", voc, tmp_path / "b")
    assert "poses 27, truncated, difficult and occluded flags 27, fields of pictures 9" in out


# --- round trips -----------------------------------------------------------------------------------------------------

coordinates = st.floats(0, 1).map(lambda v: round(v, 12))


@settings(max_examples=30, deadline=None)
@given(
    boxes=st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), min_size=1, max_size=6),
    size_wh=st.sampled_from([(40, 30), (1000, 7), (9999, 12345)]),
)
def test_boxes_come_back_within_a_millionth_of_a_pixel(boxes, size_wh, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trip")
    w, h = size_wh
    rows = []
    for i, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        x, y, bw, bh = min(x0, x1) * w, min(y0, y1) * h, abs(x1 - x0) * w, abs(y1 - y0) * h
        if bw > 0.01 and bh > 0.01:
            rows.append(row(i, 1, [x, y, bw, bh]))
    source = coco_of(folder / "a.json", images=[{"id": 1, "file_name": "a.png", "width": w, "height": h}], rows=rows)
    done("coco-to-yolo", source, folder / "yolo")
    (folder / "yolo" / "images").mkdir()
    header = encoded(photo((1, 1)), "PNG")
    size = w.to_bytes(4, "big") + h.to_bytes(4, "big")
    ihdr = b"IHDR" + size + header[24:29]
    (folder / "yolo" / "images" / "a.png").write_bytes(
        header[:12] + ihdr + zlib.crc32(ihdr).to_bytes(4, "big") + header[33:]
    )
    done("yolo-to-coco", folder / "yolo", folder / "b.json")
    for (_, *before), (_, *after) in zip(coco_boxes(source)["a"], coco_boxes(folder / "b.json")["a"], strict=True):
        assert after == pytest.approx(before, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(0.2, 0.9))
def test_a_mask_becomes_one_ring_that_fills_its_pixels(seed, w, h, share):
    bitmap = (np.random.default_rng(seed).random((h, w)) < share).astype(np.uint8)
    rle = rle_of(bitmap, (2, 3), (w + 4, h + 5))
    ring = one_ring(rle)
    if not bitmap.any():
        assert ring is None
        return
    assert areas_of([[ring]])[0] == pytest.approx(area_of(rle), abs=1e-6)
    assert ring.min() >= 2
    middle = ring * 1.0
    ys, xs = np.mgrid[0 : h + 5, 0 : w + 4] + 0.5
    inside = np.zeros(xs.shape, bool)
    for (x0, y0), (x1, y1) in zip(middle, np.roll(middle, -1, axis=0), strict=True):  # even-odd, by hand
        over = (y0 > ys) != (y1 > ys)
        if y0 != y1:
            inside ^= over & (xs < x0 + (ys - y0) / (y1 - y0) * (x1 - x0))
    assert (inside == rasterise(rle, (w + 4, h + 5)).astype(bool)).all()


def test_rings_that_overlap_are_united_before_they_are_joined():
    one = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    other, apart = one + 5, one + 30
    assert areas_of([[one_ring(Rings((one, other)))]])[0] == pytest.approx(175)
    assert areas_of([[one_ring(Rings((one, apart)))]])[0] == pytest.approx(200)
    assert one_ring(Rings((one,))) is one
    ring = one_ring(Rings((one, apart, other)))
    assert areas_of([[ring]])[0] == pytest.approx(275)
    assert (bitmap_of_rings([ring], (50, 50)) != bitmap_of_rings([one, apart, other], (50, 50))).sum() < 30


def test_parts_and_holes_of_a_mask():
    bitmap = np.ones((5, 5), np.uint8)
    bitmap[1:4, 1:4] = 0
    bitmap[2, 2] = 1
    outlines = outlines_of(rle_of(bitmap))
    assert sorted(map(len, outlines)) == [4, 4, 4]
    assert joined([]) is None
    assert areas_of([[joined(outlines)]])[0] == pytest.approx(17)


def test_a_mask_of_very_many_parts_takes_seconds():
    """Half of the pixels by chance have thousands of parts; a mask of more runs than any outline has is no outline."""
    begin = time.process_time()
    bitmap = (np.random.default_rng(0).random((150, 150)) < 0.3).astype(np.uint8)
    ring = one_ring(rle_of(bitmap))
    twice = float((ring[:, 0] * np.roll(ring[:, 1], -1) - ring[:, 1] * np.roll(ring[:, 0], -1)).sum())
    assert abs(twice) / 2 == pytest.approx(bitmap.sum())
    checkers = (np.indices((800, 800)).sum(axis=0) % 2).astype(np.uint8)
    assert one_ring(rle_of(checkers)) is None
    assert time.process_time() - begin < 30
