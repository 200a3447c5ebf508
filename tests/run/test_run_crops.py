"""Tiles that are refused or become another format, and crops: each object a picture with its class."""

from __future__ import annotations

import gc
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import webdataset as wds
from builders import write_json
from command_line import call
from forge import forged
from PIL import Image
from runs import records, samples
from verifying import problems, verified
from windowed import BOXES, SIZES, TILES, by_number, made, manifest, pixels, succeeds

from augpipe.core.errors import UsageError
from augpipe.recipe.load import load, without_steps
from augpipe.run.augment import RunOptions, augment
from augpipe.windows.spec import tiles_of


def test_a_recipe_with_steps_or_copies_is_refused(tmp_path):
    source, window = made(tmp_path / "coco"), tiles_of("100")
    with pytest.raises(UsageError, match="steps"):
        augment(source, tmp_path / "out", load("detection"), RunOptions(window=window))
    for options in (RunOptions(window=window, copies=2), RunOptions(window=window, originals=True)):
        with pytest.raises(UsageError, match="windows"):
            augment(source, tmp_path / "out", without_steps("tile", {}), options)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_tiles_become_a_dataset_of_another_format(tmp_path):
    """YOLO's rows are the boxes of the shards by their tile; a second call finds all done, and verify agrees."""
    source, options = made(tmp_path / "coco"), (*TILES, "--keep-empty", 0, "-w", 0)
    succeeds("tile", source, tmp_path / "shards", *options)
    succeeds("tile", source, tmp_path / "yolo", *options, "--to", "yolo", "--kind", "detect")
    for key, record in records(tmp_path / "shards").items():
        (label,) = (tmp_path / "yolo" / "labels").rglob(f"{key}.txt")
        got = [[float(v) for v in line.split()] for line in label.read_text().splitlines()]
        w, h = record["width"], record["height"]
        assert len(got) == len(record["objects"])
        for values, kept in zip(got, record["objects"], strict=True):
            x0, y0, x1, y1 = kept["box_xyxy"]
            by_hand = [kept["label"] - 1, (x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h]
            assert values == pytest.approx(by_hand, abs=1e-5)
    assert "nothing to do" in succeeds("tile", source, tmp_path / "yolo", *options, "--to", "yolo", "--kind", "detect")
    succeeds("verify", tmp_path / "yolo", "-w", 0)
    succeeds("tile", source, tmp_path / "kept", *options, "--to", "coco", "--ids", "sequential")
    (document,) = (tmp_path / "kept" / "annotations").glob("*.json")
    objects = sum(len(record["objects"]) for record in records(tmp_path / "shards").values())
    assert [row["id"] for row in json.loads(document.read_bytes())["annotations"]] == list(range(1, objects + 1))
    refused = call("tile", source, tmp_path / "no", *options, "--to", "coco", "--kind", "detect")
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tile", "--size", "big"), "--size big: expected pixels such as 1024"),
        (("tile", "--size", 100, "--min-visibility", 2), "min_visibility"),
        (("tile", "--size", 100, "--set", "steps.x=1"), "expected labels.NAME=VALUE"),
        (("tile", "--size", 100, "--picture", "gif"), "--picture gif: expected auto or jpg"),
        (("crops", "--margin", "wide"), "--margin wide: expected 0.1, 10% or 16px"),
        (("crops", "--min-side", -1), "--min-side -1: expected"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(tmp_path, arguments, told):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    command, *rest = arguments
    result = call(command, source, out, *rest, "-w", 0)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert not out.exists() or not list(out.iterdir())


# --- crops -----------------------------------------------------------------------------------------------------------


def test_each_object_is_a_picture_with_its_class(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    assert "5 samples of 3 pictures" in succeeds("crops", source, out, "--margin", "10%", "-w", 0)
    windows = {  # by hand: a tenth of the width and height on each side, inside the picture
        ("a.png", 0): (8, 8, 32, 32),
        ("a.png", 1): (81, 68, 129, 92),
        ("a.png", 2): (0, 0, 250, 180),
        ("a.png", 3): (195, 147, 250, 180),
        ("b.png", 0): (2, 3, 38, 27),
    }
    found = samples(out)
    assert len(found) == 5
    for files in found.values():
        record = json.loads(files["json"])
        place = (record["source"]["key"], record["copy"])
        x0, y0, _x1, _y1 = window = windows.pop(place)
        with Image.open(source / place[0]) as picture:
            np.testing.assert_array_equal(pixels(files["png"]), np.asarray(picture.crop(window)))
        (kept,) = record["objects"]
        x, y, w, h = BOXES[place[0]][place[1]]
        assert kept["box_xyxy"] == [x - x0, y - y0, x + w - x0, y + h - y0]
        assert record["tags"] == [kept["category"]]
        assert kept["index"] == record["copy"]
        assert record["dropped"] == []
        assert files["cls"] == str(kept["label"] - 1).encode()
    assert not windows
    assert manifest(out)["totals"]["windows"] == {"objects": 5, "lost": {}, "left_out": 0}
    assert problems(verified(out, source)) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_plain_webdataset_reads_crops_as_classes(tmp_path):
    succeeds("crops", made(tmp_path / "coco"), tmp_path / "out", "-w", 0, "--sources-per-shard", 9)
    pairs = wds.WebDataset(str(tmp_path / "out" / "all-000000.tar"), shardshuffle=False, empty_check=False)
    labels = Counter(label for _, label in pairs.decode("rgb8").to_tuple("png", "cls"))
    assert labels == {0: 3, 1: 2}
    del pairs
    gc.collect()  # webdataset leaves its files open, which must not be blamed on a later test


def test_crops_are_read_with_all_their_labels(tmp_path):
    """Their member cls repeats what their record says, and takes nothing from it."""
    succeeds("crops", made(tmp_path / "coco"), tmp_path / "crops", "-w", 0)
    succeeds("augment", tmp_path / "crops", tmp_path / "out", "-r", "gentle", "-w", 0)
    assert manifest(tmp_path / "out")["totals"]["objects"] == 5
    names = [row["name"] for row in manifest(tmp_path / "out")["config"]["categories"]]
    assert names == ["ship", "plane"]
    for record in records(tmp_path / "out").values():
        assert record["tags"] == [record["objects"][0]["category"]]


def test_crops_of_a_picture_without_objects_are_none_and_nothing_is_said_to_be_lost(tmp_path):
    source = made(tmp_path / "coco", {key: [] for key in SIZES})
    result = call("crops", source, tmp_path / "out", "-w", 0)
    assert result.exit_code == 1
    assert "nothing was written: no picture has an object to cut out" in result.output


def test_crowds_and_what_is_small_are_counted(tmp_path):
    source = made(tmp_path / "coco")
    document = json.loads((source / "instances.json").read_bytes())
    document["annotations"][1]["iscrowd"] = 1
    document["annotations"][1]["segmentation"] = {"size": [180, 250], "counts": [85 * 180 + 70, 20, 29590]}
    write_json(source / "instances.json", document)
    printed = succeeds("crops", source, tmp_path / "out", "--min-side", 25, "-w", 0)
    assert "in no sample 3: min_side 2, crowd 1" in printed
    assert manifest(tmp_path / "out")["totals"]["windows"]["lost"] == {"crowd": 1, "min_side": 2}
    assert problems(verified(tmp_path / "out", source)) == []


def test_squares_with_other_objects(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    succeeds("crops", source, out, "--margin", "5px", "--square", "--others", "-w", 0)
    found = by_number(out, "a.png")
    assert {n: (r["width"], r["height"]) for n, r in found.items()} == {
        0: (30, 30),
        1: (50, 50),
        2: (250, 180),
        3: (55, 55),
    }
    assert [r["index"] for r in found[0]["objects"]] == [0, 2]
    assert problems(verified(out, source)) == []


def _half_a_pixel(found: Any) -> None:
    for record, _ in found.values():
        for kept in record["objects"]:
            kept["box_xyxy"] = [v + 0.5 if i < 2 else v for i, v in enumerate(kept["box_xyxy"])]


def test_books_that_do_not_know_every_object_are_told(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    succeeds("tile", source, out, *TILES, "--min-visibility", "0.5", "-w", 0, "--sources-per-shard", 9)
    assert problems(verified(out)) == []
    record, book = json.loads((out / "all-000000.json").read_bytes()), manifest(out)
    for lost, told in (
        ([], "its sources have 5 objects by its record, 4 are in samples and 0 in none"),
        ([{**record["windows"]["lost"][0], "index": 0}], "object 0 of a.png is in a sample, its record says in none"),
    ):
        changed = {**record, "windows": {**record["windows"], "lost": lost}}
        (out / "all-000000.json").write_text(json.dumps(changed))
        assert any(told in problem for problem in problems(verified(out)))
    (out / "all-000000.json").write_text(json.dumps({**record, "windows": {"lost": 7}}))
    assert any("all-000000.json" in problem for problem in problems(verified(out)))
    (out / "all-000000.json").write_text(json.dumps(record))
    book["totals"]["windows"]["objects"] += 1
    (out / "manifest.json").write_text(json.dumps(book))
    assert any("totals.windows" in problem for problem in problems(verified(out)))


def _another_window(found: Any) -> None:
    for record, _ in found.values():
        for drawn in record["plan"]["drawn"]:
            drawn["parameters"]["window_xyxy"][0] += 1


def _moved_pixels(found: Any) -> None:
    for record, _ in found.values():
        for step in record["plan"]["steps"]:
            step["matrix"][2] -= 1.0


def _an_object_less(found: Any) -> None:
    for record, _ in found.values():
        del record["objects"][:1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_half_a_pixel, "boxes"),
        (_another_window, "does not name window"),
        (_moved_pixels, "does not lead to window"),
        (_an_object_less, "was dropped as outside, but"),
    ],
)
def test_what_is_not_as_the_window_shows_it_is_told(tmp_path, change, told):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    succeeds("tile", source, out, *TILES, "-w", 0)
    assert any(told in problem for problem in problems(verified(forged(out, tmp_path / "forged", change), source)))
