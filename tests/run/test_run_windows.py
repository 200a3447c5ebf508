"""Runs of `tile` and `crops`, from a set to its shards, beside crops by Pillow and labels that were moved by hand."""

from __future__ import annotations

import gc
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
import webdataset as wds
from builders import coco, encoded, image, photo, row, write_json
from command_line import call
from forge import forged
from PIL import Image
from runs import promised, promised_manifest, records, samples
from verifying import problems, verified

from augpipe.cli.main import app
from augpipe.core.errors import UsageError
from augpipe.pixels import cpu
from augpipe.recipe.load import load, without_steps
from augpipe.run.augment import RunOptions, augment
from augpipe.windows.spec import tiles_of

TILES = ("--size", 100, "--overlap", 20)
SIZES = {"a.png": (250, 180), "b.png": (60, 40), "c.png": (110, 100)}
BOXES = {  # x, y, width, height, as COCO has them
    "a.png": [(10, 10, 20, 20), (85, 70, 40, 20), (0, 0, 250, 180), (200, 150, 50, 30)],
    "b.png": [(5, 5, 30, 20)],
    "c.png": [],
}
CLASSES = [{"id": 3, "name": "ship"}, {"id": 9, "name": "plane"}]


def write_pictures(folder: Path) -> None:
    for seed, (name, size) in enumerate(SIZES.items()):
        (folder / name).write_bytes(encoded(photo(size, seed), "PNG"))


def made(folder: Path, boxes: dict[str, list[tuple[float, ...]]] = BOXES, **more: Any) -> Path:
    """A COCO set of lossless pictures; even objects are ships with a polygon, odd ones planes."""
    folder.mkdir()
    write_pictures(folder)
    rows = []
    for number, name in enumerate(SIZES, start=1):
        for x, y, w, h in boxes[name]:
            plane = len(rows) % 2 == 1
            ring = None if plane else [[x, y, x + w, y, x + w, y + h, x, y + h]]
            kind = {"category_id": 9 if plane else 3, "segmentation": ring, "color": "red"}
            rows.append(row(len(rows) + 1, number, bbox=[x, y, w, h], **kind))
    images = [image(i, name, size) for i, (name, size) in enumerate(SIZES.items(), start=1)]
    write_json(folder / "instances.json", coco(images, rows, CLASSES, **more))
    return folder


def succeeds(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_bytes())


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def by_number(folder: Path, source: str) -> dict[int, dict[str, Any]]:
    return {r["copy"]: r for r in records(folder).values() if r["source"]["key"] == source}


# --- tiles -----------------------------------------------------------------------------------------------------------

WINDOWS = {  # by hand: 250 = 0, 80, 150; 180 = 0, 80
    "a.png": [(x, y, x + 100, y + 100) for y in (0, 80) for x in (0, 80, 150)],
    "b.png": [(0, 0, 60, 40)],
    "c.png": [(0, 0, 100, 100), (10, 0, 110, 100)],
}


def test_tiles_are_the_pictures_own_pixels_and_labels(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    printed = succeeds("tile", source, out, *TILES, "--min-visibility", 0, "-w", 0)
    assert "9 samples of 3 pictures" in printed
    assert "objects of the source: 5, each is in a sample" in printed
    found = samples(out)
    assert len(found) == 9
    for key, files in found.items():
        record = json.loads(files["json"])
        name, number = record["source"]["key"], record["copy"]
        window = WINDOWS[name][number]
        assert key.endswith(f"-c{number:03d}")
        assert record["plan"]["drawn"][0]["parameters"] == {"number": number, "window_xyxy": list(window)}
        with Image.open(source / name) as picture:
            np.testing.assert_array_equal(pixels(files["png"]), np.asarray(picture.crop(window)))
        expected = []
        for x, y, w, h in BOXES[name]:
            x0, y0 = max(x, window[0]) - window[0], max(y, window[1]) - window[1]
            x1, y1 = min(x + w, window[2]) - window[0], min(y + h, window[3]) - window[1]
            if x1 - x0 >= 2 and y1 - y0 >= 2 and (x1 - x0) * (y1 - y0) >= 4:
                expected.append([x0, y0, x1, y1])
        assert [r["box_xyxy"] for r in record["objects"]] == expected
        for kept in record["objects"]:
            x0, y0, x1, y1 = kept["box_xyxy"]
            assert kept["attributes"] == {"color": "red"}
            if kept["category"] == "ship":
                points = sorted(zip(*[iter(kept["segmentation"][0])] * 2, strict=True))
                assert points == [(x0, y0), (x0, y1), (x1, y0), (x1, y1)]
    book = manifest(out)
    assert book["config"]["window"] == {
        "kind": "tiles",
        "size": [100, 100],
        "overlap": [20, 20],
        "keep_empty": 1.0,
        "pad": False,
    }
    totals = book["totals"]
    assert (totals["expected"], totals["written"], totals["rejected"], totals["pictures"]) == (9, 9, 0, 3)
    assert totals["windows"] == {"objects": 5, "lost": {}, "left_out": 0}
    assert problems(verified(out, source)) == []


def test_objects_in_no_tile_are_counted_and_named(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    printed = succeeds("tile", source, out, *TILES, "--min-visibility", "0.5", "-w", 0)
    assert "objects of the source: 5, in no sample 1: min_visibility 1, such as object 2 of a.png" in printed
    assert manifest(out)["totals"]["windows"]["lost"] == {"min_visibility": 1}
    commits = [json.loads(p.read_bytes()) for p in out.glob("*-??????.json")]
    (lost,) = [entry for commit in commits for entry in commit["windows"]["lost"]]
    assert lost == {
        "source": "a.png", "index": 2, "id": 3, "category": "ship", "reason": "min_visibility",
        "value": round(10000 / (250 * 180), 3),
    }  # fmt: skip
    for record in records(out).values():
        assert all(entry["reason"] == "min_visibility" for entry in record["dropped"])
    assert problems(verified(out, source)) == []
    again = call("tile", source, tmp_path / "b", *TILES, "--min-visibility", "0.5", "--max-dropped", 0, "-w", 0)
    assert again.exit_code == 1
    assert "1 of 5 objects are in no sample; at most 0 were allowed" in again.output


def test_the_same_bytes_for_any_number_of_workers_and_after_a_loss(tmp_path):
    source, options = made(tmp_path / "coco"), (*TILES, "--keep-empty", "50%", "--sources-per-shard", 1)
    succeeds("tile", source, tmp_path / "one", *options, "-w", 0)
    succeeds("tile", source, tmp_path / "two", *options, "-w", 2)
    whole = promised(tmp_path / "one")
    assert promised(tmp_path / "two") == whole
    assert promised_manifest(tmp_path / "two") == promised_manifest(tmp_path / "one")
    for name in ("manifest.json", "all-000001.json", "all-000002.tar"):
        (tmp_path / "two" / name).unlink()
    assert "of them now" in succeeds("tile", source, tmp_path / "two", *options, "-w", 0)
    assert promised(tmp_path / "two") == whole
    for piece in ("0..1/3", "2..3/3", "1..2/3"):
        succeeds("tile", source, tmp_path / "parts", *options, "--tasks", piece, "-w", 0)
    assert promised(tmp_path / "parts") == whole
    next((tmp_path / "parts").glob("*.tar")).unlink()
    succeeds("retry", tmp_path / "parts", "-w", 0)
    assert promised(tmp_path / "parts") == whole


def test_shards_are_checked_and_made_anew(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    succeeds("tile", source, out, *TILES, "-w", 0)
    whole, tar = promised(out), next(out.glob("*.tar"))
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(data)
    assert "nothing to do" in succeeds("tile", source, out, *TILES, "-w", 0)
    succeeds("tile", source, out, *TILES, "-w", 0, "--check")
    assert promised(out) == whole
    succeeds("tile", source, out, "--size", 50, "-w", 0, "--overwrite")
    assert {r["width"] for r in records(out).values()} == {50}


def test_rules_of_labels_are_set(tmp_path):
    """An object of 40×20 pixels, of which the first tile shows 15×20, and the second all."""
    source = made(tmp_path / "coco")
    succeeds("tile", source, tmp_path / "out", *TILES, "-w", 0, "--set", "labels.truncated=drop")
    tiles = by_number(tmp_path / "out", "a.png")
    assert [[r["index"] for r in tiles[n]["objects"]] for n in range(6)] == [[0], [1], [], [], [], [3]]
    assert tiles[0]["dropped"][0] | {"category": ""} == {
        "index": 1, "id": 2, "category": "", "reason": "min_visibility", "value": 0.375
    }  # fmt: skip


def test_both_commands_share_their_options():
    own = {"tile": ["size", "overlap", "min_visibility", "keep_empty", "pad"], "crops": ["margin", "square", "others"]}
    own["crops"].append("min_side")
    commands = typer.main.get_command(app).commands
    tile, crops = (
        [(p.name, p.opts, p.default, p.help) for p in commands[name].params if p.name not in own[name]]
        for name in ("tile", "crops")
    )
    assert tile == crops
    assert len(tile) > 20


@pytest.mark.parametrize("other", [("--overlap", 10), ("--keep-empty", "10%"), ("--min-visibility", 0.7), ("--pad",)])
def test_other_windows_are_another_run(tmp_path, other):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    succeeds("tile", source, out, *TILES, "-w", 0)
    before = promised(out)
    result = call("tile", source, out, *TILES, *other, "-w", 0)
    assert result.exit_code == 2
    assert "holds a run of another configuration" in result.output
    assert call("augment", source, out, "-r", "gentle", "-w", 0).exit_code == 2
    assert promised(out) == before


def test_a_picture_that_cannot_be_read_counts_as_one_sample_and_is_taken_up_when_mended(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    whole = (source / "a.png").read_bytes()
    (source / "a.png").write_bytes(whole[:400])
    result = call("tile", source, out, *TILES, "-w", 0, "--max-rejects", 1)
    assert result.exit_code == 0, result.output
    totals = manifest(out)["totals"]
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert totals["expected"] == totals["written"] + totals["rejected"]
    assert [r["source"] for r in rejects] == ["a.png"]
    assert sum(len(r["copies"]) for r in rejects) == totals["rejected"]
    assert totals["windows"]["objects"] == 1  # of the pictures that were written
    (source / "a.png").write_bytes(whole)
    succeeds("retry", out, "--all", "-w", 0)
    succeeds("tile", source, tmp_path / "fresh", *TILES, "-w", 0)
    assert promised(out)["tars"] == promised(tmp_path / "fresh")["tars"]


def test_a_picture_with_broken_labels_is_one_sample(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    (source / "b.png").unlink()
    result = call("tile", source, out, *TILES, "-w", 0, "--max-rejects", 1)
    assert result.exit_code == 0, result.output
    totals = manifest(out)["totals"]
    assert (totals["expected"], totals["written"], totals["rejected"]) == (9, 8, 1)
    assert problems(verified(out, source)) == []


def test_empty_tiles_that_are_left_out_are_counted(tmp_path):
    source, out = made(tmp_path / "coco", {**BOXES, "a.png": [(10, 10, 20, 20)]}), tmp_path / "out"
    printed = succeeds("tile", source, out, *TILES, "--keep-empty", "0%", "-w", 0)
    assert "7 empty windows left out" in printed
    assert manifest(out)["totals"]["windows"] == {"objects": 2, "lost": {}, "left_out": 7}
    assert sorted(r["key"].rpartition("-")[2] for r in records(out).values()) == ["c000", "c000"]
    assert problems(verified(out, source)) == []


def test_more_than_a_thousand_windows_have_longer_numbers(tmp_path):
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    (folder / "wide.png").write_bytes(encoded(np.zeros((8, 8 * 1003), np.uint8), "PNG"))
    write_json(folder / "x.json", coco([image(1, "wide.png", (8 * 1003, 8))], [row(1, bbox=[0, 0, 8, 8])]))
    succeeds("tile", folder, out, "--size", 8, "--overlap", 0, "-w", 0)
    keys = sorted(key.rpartition("-c")[2] for key in samples(out))
    assert keys == sorted(f"{n:03d}" for n in range(1003))
    assert problems(verified(out)) == []


def test_a_picture_is_decoded_once_for_all_its_windows(tmp_path, monkeypatch):
    found = []
    decode = cpu.decode
    monkeypatch.setattr(cpu, "decode", lambda *a, **k: found.append(1) or decode(*a, **k))
    succeeds("tile", made(tmp_path / "coco"), tmp_path / "out", *TILES, "-w", 0)
    assert len(found) == 3


def test_padded_tiles(tmp_path):
    source, out = made(tmp_path / "coco"), tmp_path / "out"
    succeeds("tile", source, out, *TILES, "--pad", "-w", 0)
    assert {(r["width"], r["height"]) for r in records(out).values()} == {(100, 100)}
    (files,) = [f for f in samples(out).values() if json.loads(f["json"])["source"]["key"] == "b.png"]
    expected = np.zeros((100, 100, 3), np.uint8)
    expected[:40, :60] = photo(SIZES["b.png"], 1)
    np.testing.assert_array_equal(pixels(files["png"]), expected)
    assert problems(verified(out, source)) == []


def test_splits_stay_apart(tmp_path):
    source = tmp_path / "yolo"
    for split, seed in (("train", 0), ("val", 1)):
        for kind in ("images", "labels"):
            (source / kind / split).mkdir(parents=True)
        (source / "images" / split / f"{split}.png").write_bytes(encoded(photo((150, 100), seed), "PNG"))
        (source / "labels" / split / f"{split}.txt").write_text("0 .5 .5 .2 .2\n")
    (source / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat]\n")
    succeeds("tile", source, tmp_path / "out", *TILES, "-w", 0)
    book = manifest(tmp_path / "out")
    assert {name: row["samples"] for name, row in book["splits"].items()} == {"train": 2, "val": 2}
    for record in records(tmp_path / "out").values():
        assert record["source"]["split"] in record["source"]["key"]
    assert problems(verified(tmp_path / "out", source)) == []


def test_shards_of_tiles_can_be_augmented(tmp_path):
    source = made(tmp_path / "coco")
    succeeds("tile", source, tmp_path / "tiles", *TILES, "-w", 0)
    succeeds("augment", tmp_path / "tiles", tmp_path / "out", "-r", "detection", "-w", 0)
    assert manifest(tmp_path / "out")["totals"]["written"] == 9


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
