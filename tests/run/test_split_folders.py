"""A finished folder of several splits: the loader, the readers, inspect and verify; and the options of splits."""

from __future__ import annotations

import json
import re
import shutil

import cv2
import datasets
import pytest
from command_line import call
from runs import hashes, recipe_of, run
from split_sets import STILL, flow, manifest_of

from augpipe.conversion.run import convert
from augpipe.core.errors import UsageError
from augpipe.formats.registry import open_dataset
from augpipe.run.augment import Watcher, augment
from augpipe.run.config import Execution
from augpipe.train.dataset import ShardDataset
from augpipe.train.nodes import ShardNode
from augpipe.verification.run import verify


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """train 2 × 2, val 2, in no split 1."""
    place = tmp_path_factory.mktemp("several")
    run(flow(place / "in", ["train", "val", "rest", "val", "train"]), place / "out", recipe_of(STILL), copies=2)
    return place / "out"


def keys_of(folder, split):
    return sorted(target["key"].partition("-")[0] for _, target in ShardDataset(folder, split=split))


def test_the_loader_asks_which_split_and_never_mixes_them_unasked(several, tmp_path):
    with pytest.raises(UsageError, match=r"several splits \(samples: train 4, val 2, in no split 1\).*split='train'"):
        ShardDataset(several)
    assert keys_of(several, "train") == ["p0", "p0", "p4", "p4"]
    assert keys_of(several, "validation") == ["p1", "p3"]
    assert keys_of(several, "none") == ["p2"]
    assert keys_of(several, ("val", "train")) == ["p0", "p0", "p1", "p3", "p4", "p4"]
    with pytest.raises(UsageError, match="'test': no such split; there is train 4"):
        ShardDataset(several, split="test")
    assert len(list(ShardNode(ShardDataset(several, split="val")))) == 2


def test_the_loader_needs_no_split_where_there_is_one(voc, tmp_path):
    run(voc, tmp_path / "none", recipe_of(STILL))
    run(flow(tmp_path / "in", ["train"]), tmp_path / "one", recipe_of(STILL))
    run(voc, tmp_path / "asked", recipe_of(STILL), split="first")
    assert [len(ShardDataset(tmp_path / name)) for name in ("none", "one", "asked")] == [9, 1, 4]
    assert [len(ShardDataset(tmp_path / n, split=s)) for n, s in (("one", "training"), ("asked", "first"))] == [1, 4]
    with pytest.raises(UsageError, match="no such split"):
        ShardDataset(tmp_path / "none", split="train")


def test_shards_are_read_with_the_splits_of_their_records(several, tmp_path):
    found = {e.key.partition("-")[0]: e.split for e in open_dataset(several).entries}
    assert found == {"p0": "train", "p1": "val", "p2": "", "p3": "val", "p4": "train"}
    watcher = Watcher()
    convert(several, tmp_path / "yolo", "yolo")
    there = {path.relative_to(tmp_path / "yolo").parts[1] for path in (tmp_path / "yolo" / "labels").rglob("*.txt")}
    assert {"train", "val"} <= there
    augment(several, tmp_path / "again", recipe_of(STILL), watcher=watcher, execution=Execution(workers=0))
    assert any(r.startswith("splits: train 4 × 1 augmented; val 2 passed through") for r in watcher.remarks)


def test_a_split_of_its_own_keeps_its_name(tmp_path):
    source = tmp_path / "in"
    (source / "annotations").mkdir(parents=True)
    for i, split in enumerate(("train", "minival")):
        (source / f"images/{split}").mkdir(parents=True)
        cv2.imwrite(str(source / f"images/{split}/p{i}.jpg"), datasets.picture(97, 75, i))
        row = {"id": i, "image_id": i, "category_id": 1, "bbox": [5, 5, 40, 30], "area": 1200, "iscrowd": 0}
        images = [{"id": i, "file_name": f"p{i}.jpg", "width": 97, "height": 75}]
        value = {"images": images, "annotations": [row], "categories": [{"id": 1, "name": "thing"}]}
        (source / "annotations" / f"instances_{split}.json").write_text(json.dumps(value))
    run(source, tmp_path / "out", recipe_of(STILL))
    assert sorted(hashes(tmp_path / "out")) == ["minival-000000.tar", "train-000000.tar"]
    assert list(manifest_of(tmp_path / "out")["splits"]) == ["minival", "train"]
    assert {e.split for e in open_dataset(tmp_path / "out").entries} == {"train", "minival"}
    assert keys_of(tmp_path / "out", "minival") == ["p1"]


def test_inspect_tells_the_splits_of_a_run_finished_or_not(several, tmp_path):
    told = call("inspect", several).output
    assert re.search(r"train +4 samples of 2 pictures in 2 shards\n", told)
    assert re.search(r"val +2 samples of 2 pictures in 2 shards, passed through\n", told)
    part = tmp_path / "part"
    shutil.copytree(several, part)
    for name in ("manifest.json", "val-000001.json"):
        (part / name).unlink()
    assert re.search(r"val +1 sample of 2 pictures in 2 shards, passed through\n", call("inspect", part).output)


def test_pictures_in_two_splits_are_told(tmp_path):
    source = flow(tmp_path / "in", ["train", "train", "val"])
    shutil.copy(source / "images" / "train" / "p1.jpg", source / "images" / "val" / "p2.jpg")
    summary = call("inspect", source).output
    assert re.search(r"in-two-splits +1 ", summary)
    assert "in split val" not in summary
    done = call("augment", source, tmp_path / "out", "-r", "detection", "-w", "0")
    said = "1 picture of val is also in train, byte for byte: val/p2.jpg is train/p1.jpg"
    assert said in done.stderr.replace("images/", "")
    (tmp_path / "out" / "manifest.json").unlink()
    assert said in call("finish", tmp_path / "out").stderr.replace("images/", "")


def test_preview_and_plan_show_what_is_augmented(tmp_path):
    source = flow(tmp_path / "in", ["val", "train", "val"])
    planned = call("plan", source, "-r", "detection")
    assert [json.loads(line)["source"].rpartition("/")[2] for line in planned.stdout.splitlines()] == ["p1.jpg"]
    assert "pictures of train; others pass through a run as they are: val 2" in planned.stderr
    shown = call("preview", source, "-r", "detection", "-o", tmp_path / "sheet.png")
    assert "pictures of train" in shown.stderr
    assert len(call("plan", source, "-r", "detection", "--split", "val").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("splits", "val", "samples"), 7, "splits: val is"),
        (("splits", "val", "augmented"), True, "splits: val is"),
        (("splits", "more"), {"pictures": 1, "samples": 1, "shards": 1, "augmented": False}, "splits: more is"),
        (("shards", 2, "split"), "train", "is of split train, and has samples of val"),
        (("totals", "expected"), 8, "totals.expected is 8"),
    ],
)
def test_verify_finds_books_of_splits_that_are_wrong(several, tmp_path, path, value, said):
    folder = tmp_path / "out"
    shutil.copytree(several, folder)
    manifest = manifest_of(folder)
    *inner, last = path
    place = manifest
    for name in inner:
        place = place[name]
    place[last] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert said in "\n".join(map(str, verify(folder, workers=0).faults))


# --- the command line ------------------------------------------------------------------------------------------------


def test_options_of_splits(voc, tmp_path):
    parted = datasets.make_voc(tmp_path / "voc", lists=("train", "val"))
    assert (
        call("augment", parted, tmp_path / "a", "-r", "detection", "-w", "0", "--augment-split", "valid").exit_code == 0
    )
    assert {n: s["augmented"] for n, s in manifest_of(tmp_path / "a")["splits"].items()} == {
        "train": False,
        "val": True,
    }
    chosen = ["--augment-split", "train", "--augment-split", "val", "--pass-split", "validation"]
    refused = call("augment", parted, tmp_path / "b", "-r", "detection", *chosen)
    assert (refused.exit_code, "both name val" in refused.stderr) == (2, True)
    done = call(
        "augment",
        voc,
        tmp_path / "c",
        "-r",
        "detection",
        "-w",
        "0",
        "--val",
        "30%",
        "--test",
        "20%",
        "--group-by",
        r"(\d)$|_(\d+)",
    )
    assert done.exit_code == 0, done.output
    assert "splits: train" in done.stderr
    for wrong, said in (
        (["--group-by", "x"], "--val or --test"),
        (["--val", "30"], "expected a share such as 10%"),
        (["--val", "60%", "--test", "60%"], "less than 100%"),
        (["--val", "30%", "--group-by", "(a+)+"], "inside a repeat"),
        (["--val", "30%", "--split", "first"], "choose one"),
    ):
        refused = call("augment", voc, tmp_path / "d", "-r", "detection", *wrong)
        assert (refused.exit_code, said in " ".join(refused.stderr.split())) == (2, True), refused.stderr
    assert not (tmp_path / "d").exists()
