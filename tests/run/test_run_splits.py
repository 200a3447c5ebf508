"""A run with several splits: each has parts, shards and names of its own, and records say which one it is."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from dataclasses import replace

import datasets
import pytest
from format_checker import check_folder
from hypothesis import given
from hypothesis import strategies as st
from runs import hashes, promised, promised_manifest, recipe_of, records, run, samples
from split_sets import STILL, flow, manifest_of

from augpipe.core.errors import UsageError
from augpipe.formats.layout.parting import Parting
from augpipe.run.augment import RunOptions, Watcher, augment
from augpipe.run.config import Execution, parse_slice
from augpipe.run.folder.shard_names import prefixes_of
from augpipe.run.folder.state import RunState, state_from
from augpipe.run.retry import finish, retry
from augpipe.verification.run import open_source, verify


@pytest.fixture(scope="module")
def parted(tmp_path_factory):
    """Four pictures of train, five of val."""
    return datasets.make_voc(tmp_path_factory.mktemp("parted") / "voc", lists=("train", "val"))


def test_shards_are_named_by_split_from_nought_and_records_say_it(parted, tmp_path):
    out = tmp_path / "out"
    run(parted, out, copies=2, sources_per_shard=2)
    assert sorted(hashes(out)) == [
        *(f"train-{i:06d}.tar" for i in range(2)),
        *(f"val-{i:06d}.tar" for i in range(3)),
    ]
    found = {r["source"]["key"]: r["source"]["split"] for r in records(out).values()}
    assert found == {f"img_{i:03d}.jpg": "train" if i < 4 else "val" for i in range(9)}
    assert check_folder(out) == []


def test_the_samples_are_those_of_each_split_alone(parted, tmp_path):
    """A split in a folder of its own has the same samples: only where a split is named do records name it."""
    run(parted, tmp_path / "both", copies=2, sources_per_shard=2)
    run(parted, tmp_path / "train", copies=2, sources_per_shard=2, split="train")
    assert {n: h for n, h in hashes(tmp_path / "both").items() if "train" in n} == hashes(tmp_path / "train")


def test_a_set_without_splits_stays_as_it_was(voc, tmp_path):
    run(voc, tmp_path / "out", copies=1)
    manifest = manifest_of(tmp_path / "out")
    assert "splits" not in manifest["config"]
    assert "splits" not in manifest
    assert all(row["name"].startswith("all-") and "split" not in row for row in manifest["shards"])
    assert manifest["parts"] == [{"copies": [0, 1], "shards": 9}]


@given(st.lists(st.text(max_size=70), unique=True, min_size=1))
def test_each_split_has_a_safe_name_of_its_own(splits):
    prefixes = prefixes_of(splits)
    assert list(prefixes) == splits
    assert len({prefix.lower() for prefix in prefixes.values()}) == len(splits)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", prefix) for prefix in prefixes.values())


@given(
    st.dictionaries(st.sampled_from(["train", "val", "test", "fold1", ""]), st.integers(1, 40), min_size=1),
    st.lists(st.integers(1, 9), unique=True, min_size=1, max_size=3),
    st.integers(1, 12),
    st.booleans(),
    st.data(),
)
def test_tasks_are_numbered_through_and_shards_within_their_split(pictures, ends, size, originals, data):
    augmented = data.draw(st.lists(st.sampled_from(sorted(pictures)), unique=True, min_size=1))
    config = {
        "split": None,
        "splits": {name: {"pictures": n, "fingerprint": ""} for name, n in pictures.items()},
        "augmented": augmented,
        "source": {"pictures": sum(pictures.values())},
        "sources_per_shard": size,
        "copies": max(ends),
        "originals": originals,
    }
    state = RunState(config, tuple(sorted(ends)))
    names = [state.name_of(index) for index in range(state.shards)]
    assert len(set(names)) == len(names)
    assert [state.index_of(name) for name in names] == list(range(state.shards))
    counts = Counter(name.rpartition("-")[0] for name in names)
    assert set(names) == {f"{prefix}-{i:06d}" for prefix, n in counts.items() for i in range(n)}
    for split in pictures:
        numbers = [copy for part in state.parts if part.split == split for copy in part.copies]
        every = [-1] * originals + list(range(max(ends)))
        assert numbers == (every if split in augmented else [-1])
    written = json.loads(json.dumps(state.to_json()))
    assert state_from(written, "run.json") == state


@pytest.mark.parametrize(
    "splits",
    [
        {},
        {"train": {"pictures": 3, "fingerprint": ""}},
        {"train": {"pictures": 0, "fingerprint": ""}, "val": {"pictures": 9, "fingerprint": ""}},
        {"train": 9},
        ["train"],
    ],
)
def test_damaged_splits_are_refused(splits):
    config = {"split": None, "splits": splits, "source": {"pictures": 9}, "sources_per_shard": 2, "copies": 1}
    value = {"schema": "augpipe-run/1", "config": {**config, "originals": False}}
    with pytest.raises(UsageError, match=r"not as docs/format\.md has it"):
        state_from(value, "run.json")


# --- what a run does with each split ---------------------------------------------------------------------------------


def remarks_of(source, out, copies=4, **options):
    watcher = Watcher()
    augment(
        source,
        out,
        recipe_of(STILL),
        RunOptions(copies=copies, **options),
        watcher=watcher,
        execution=Execution(workers=0),
    )
    return watcher.remarks


def test_train_is_augmented_and_val_passes_through_and_that_is_said(tmp_path):
    source = flow(tmp_path / "in")
    assert "splits: train 2 × 4 augmented; val 1 passed through" in remarks_of(source, tmp_path / "out")
    found = samples(tmp_path / "out")
    val = {key: files for key, files in found.items() if key.startswith("p2-")}
    ((key, files),) = val.items()
    assert key.endswith("-orig")
    assert files["jpg"] == (source / "images" / "val" / "p2.jpg").read_bytes()
    record = json.loads(files["json"])
    assert (record["copy"], record["plan"]["steps"], record["source"]["split"]) == (-1, [], "val")
    assert record["objects"][0]["box_xyxy"] == pytest.approx(
        [97 * (0.5 - 0.075), 75 * 0.375, 97 * 0.575, 75 * 0.625], abs=1e-3
    )
    assert len(found) == 2 * 4 + 1
    assert all(json.loads(files["json"])["copy"] >= 0 for key, files in found.items() if key not in val)
    manifest = manifest_of(tmp_path / "out")
    assert manifest["splits"] == {
        "train": {"pictures": 2, "samples": 8, "shards": 2, "augmented": True},
        "val": {"pictures": 1, "samples": 1, "shards": 1, "augmented": False},
    }
    assert [row["split"] for row in manifest["shards"]] == ["train", "train", "val"]
    assert (manifest["totals"]["expected"], manifest["config"]["augmented"]) == (9, ["train"])
    assert check_folder(tmp_path / "out") == []
    assert verify(tmp_path / "out", source, workers=0).ok


def test_every_split_comes_out_whole(tmp_path):
    """In = out: each picture in the shards of its split alone, all copies of it, whatever the splits are."""
    splits = ["train", "val", "fold1", "test", "train", "val", "train"]
    source = flow(tmp_path / "in", splits)
    run(source, tmp_path / "out", recipe_of(STILL), copies=3, augment_splits=("training", "test"), sources_per_shard=2)
    copies: dict[tuple[str, str], list[int]] = {}
    for path in (tmp_path / "out").glob("*.tar"):
        for record in records_of(path):
            split = record["source"].get("split", "")
            assert path.name.startswith(f"{split or 'all'}-")
            copies.setdefault((record["source"]["key"].rpartition("/")[2], split), []).append(record["copy"])
    known = [split if split != "fold1" else "" for split in splits]
    assert {pair: sorted(numbers) for pair, numbers in copies.items()} == {
        (f"p{i}.jpg", split): [0, 1, 2] if split in ("train", "test") else [-1] for i, split in enumerate(known)
    }


def records_of(path):
    with tarfile.open(path) as tar:
        return [json.load(tar.extractfile(m)) for m in tar if m.name.endswith(".json")]


@pytest.mark.parametrize(
    ("splits", "options", "said"),
    [
        (["val", "val"], {}, "--augment-split val"),
        (["train", "val"], {"augment_splits": ("nope",)}, "there are train, val"),
        (["train", "val"], {"pass_splits": ("train",)}, "nothing is left to augment"),
        (["train", "val"], {"split": "train", "pass_splits": ("val",)}, "--split takes one split"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(tmp_path, splits, options, said):
    source = flow(tmp_path / "in", splits)
    with pytest.raises(UsageError, match=said):
        run(source, tmp_path / "out", recipe_of(STILL), **options)
    assert not list((tmp_path / "out").glob("*")) or not (tmp_path / "out" / "run.json").exists()


def test_pictures_in_no_split_beside_train_pass_through_and_the_way_is_said(tmp_path):
    source = flow(tmp_path / "in", ["train", "rest", "val"])
    (said,) = [r for r in remarks_of(source, tmp_path / "out") if r.startswith("splits:")]
    assert said == (
        "splits: train 1 × 4 augmented; val 1 passed through; in no split 1 passed through "
        "(--augment-split none augments them, too)"
    )
    assert sorted(hashes(tmp_path / "out")) == ["all-000000.tar", "train-000000.tar", "val-000000.tar"]
    assert manifest_of(tmp_path / "out")["splits"][""]["augmented"] is False
    assert check_folder(tmp_path / "out") == []


def test_one_split_alone_is_augmented_as_ever(tmp_path):
    source = flow(tmp_path / "in")
    run(source, tmp_path / "out", recipe_of(STILL), copies=2, split="val")
    assert [r["copy"] for r in records(tmp_path / "out").values()] in ([0, 1], [1, 0])
    assert "splits" not in manifest_of(tmp_path / "out")


def test_more_copies_are_added_to_what_is_augmented_alone(tmp_path):
    source = flow(tmp_path / "in")
    run(source, tmp_path / "out", recipe_of(STILL), copies=2)
    before = hashes(tmp_path / "out")
    run(source, tmp_path / "out", recipe_of(STILL), copies=5, extend=True)
    after = hashes(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert sorted(after.keys() - before.keys()) == ["train-000002.tar", "train-000003.tar"]
    run(source, tmp_path / "once", recipe_of(STILL), copies=5)
    assert samples(tmp_path / "out") == samples(tmp_path / "once")
    manifest = manifest_of(tmp_path / "out")
    assert [(part["split"], part["copies"]) for part in manifest["parts"]] == [
        ("train", [0, 2]),
        ("val", [0, 0]),
        ("train", [2, 5]),
    ]
    assert manifest["totals"]["expected"] == 11
    assert check_folder(tmp_path / "out") == []


def test_a_run_in_pieces_is_the_run_in_one(tmp_path):
    source = flow(tmp_path / "in", ["train", "val", "train", "val", "test"])
    run(source, tmp_path / "whole", recipe_of(STILL), copies=2, sources_per_shard=1)
    for piece in ("2..3/3", "0..1/3", "1..2/3"):
        run(source, tmp_path / "pieces", recipe_of(STILL), copies=2, sources_per_shard=1, tasks=parse_slice(piece))
    assert promised(tmp_path / "pieces") == promised(tmp_path / "whole")
    assert promised_manifest(tmp_path / "pieces") == promised_manifest(tmp_path / "whole")
    run(source, tmp_path / "workers", recipe_of(STILL), copies=2, sources_per_shard=1, workers=2)
    assert promised(tmp_path / "workers") == promised(tmp_path / "whole")


def test_books_are_made_again_from_the_records(tmp_path):
    source, out = flow(tmp_path / "in"), tmp_path / "out"
    run(source, out, recipe_of(STILL), copies=2)
    before = promised_manifest(out)
    (out / "manifest.json").unlink()
    finish(out)
    assert promised_manifest(out) == before
    damaged = {**json.loads((out / "manifest.json").read_bytes()), "splits": {}}
    (out / "manifest.json").write_text(json.dumps(damaged))
    finish(out)
    assert promised_manifest(out) == before
    (out / "val-000000.tar").unlink()
    run(source, out, recipe_of(STILL), copies=2, check=True)
    assert promised_manifest(out) == before


def test_a_picture_that_is_lost_counts_the_samples_of_its_split_and_can_be_done_again(tmp_path):
    source, out = flow(tmp_path / "in", ["train", "train", "val", "val"]), tmp_path / "out"
    whole = {path: path.read_bytes() for path in (source / "images").rglob("p[13].jpg")}
    for path in whole:
        path.write_bytes(b"")
    run(source, out, recipe_of(STILL), copies=3, max_rejects="9")
    totals = manifest_of(out)["totals"]
    assert (totals["expected"], totals["written"], totals["rejected"]) == (2 * 3 + 2, 3 + 1, 3 + 1)
    assert check_folder(out) == []
    for path, data in whole.items():
        path.write_bytes(data)
    retry(out, everything=True, execution=Execution(workers=0))
    run(source, tmp_path / "sound", recipe_of(STILL), copies=3)
    assert hashes(out) == hashes(tmp_path / "sound")
    assert promised_manifest(out) == promised_manifest(tmp_path / "sound")


def test_a_folder_of_an_earlier_version_is_done_again_as_it_is(tmp_path, monkeypatch):
    """It has all splits together, as was done then."""
    source, out = flow(tmp_path / "in", ["val", "val"]), tmp_path / "out"
    data = (source / "images" / "val" / "p1.jpg").read_bytes()
    (source / "images" / "val" / "p1.jpg").write_bytes(b"")
    run(source, out, recipe_of(STILL), copies=2, max_rejects="9", splits_apart=False)
    assert [row["name"] for row in manifest_of(out)["shards"]] == ["all-000000.tar", "all-000001.tar"]
    assert "splits" not in manifest_of(out)["config"]
    (source / "images" / "val" / "p1.jpg").write_bytes(data)
    assert retry(out, everything=True, execution=Execution(workers=0)).written == 4
    assert verify(out, open_source(source, out), workers=0).ok
    with pytest.raises(UsageError, match="another configuration"):
        run(source, out, recipe_of(STILL), copies=2, augment_splits=("val",))


def test_pictures_that_change_places_are_another_source(tmp_path):
    """As many as before in each split, but not the same ones."""
    source, out = flow(tmp_path / "in", ["train", "val"]), tmp_path / "out"
    run(source, out, recipe_of(STILL), copies=1)
    lists = {"train": "p1", "val": "p0"}
    (source / "data.yaml").write_text("names: [thing]\ntrain: train.txt\nval: val.txt\n")
    for split, stem in lists.items():
        old = "val" if split == "train" else "train"
        (source / f"{split}.txt").write_text(f"./images/{old}/{stem}.jpg\n")
    with pytest.raises(UsageError, match="another configuration"):
        run(source, out, recipe_of(STILL), copies=1)


def test_a_set_without_splits_is_parted(voc, tmp_path):
    parting = Parting(0.3, 0.2, None)
    run(voc, tmp_path / "out", recipe_of(STILL), copies=2, parting=parting)
    expected = dict(
        zip(
            (f"img_{i:03d}.jpg" for i in range(9)), parting.splits_of(f"img_{i:03d}.jpg" for i in range(9)), strict=True
        )
    )
    found = {r["source"]["key"]: r["source"]["split"] for r in records(tmp_path / "out").values()}
    assert found == expected
    assert set(found.values()) == {"train", "val", "test"}
    assert manifest_of(tmp_path / "out")["config"]["parting"] == {"val": 0.3, "test": 0.2}
    assert check_folder(tmp_path / "out") == []
    assert verify(tmp_path / "out", open_source(voc, tmp_path / "out"), workers=0).ok
    assert retry(tmp_path / "out", everything=True, execution=Execution(workers=0)).already_done
    with pytest.raises(UsageError, match=r"parting\.val"):
        run(voc, tmp_path / "out", recipe_of(STILL), copies=2, parting=replace(parting, val=0.4))


def test_what_has_splits_or_too_few_pictures_is_not_parted(parted, tmp_path):
    with pytest.raises(UsageError, match="has splits already"):
        run(parted, tmp_path / "out", recipe_of(STILL), parting=Parting(0.1))
    with pytest.raises(UsageError, match="none would be in val"):
        run(flow(tmp_path / "in", ["train"]), tmp_path / "out", recipe_of(STILL), parting=Parting(0.0001))
