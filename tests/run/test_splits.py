"""A run with several splits: each has parts, shards and names of its own, and records say which one it is."""

from __future__ import annotations

import json
import re
from collections import Counter

import datasets
import pytest
from format_checker import check_folder
from hypothesis import given
from hypothesis import strategies as st
from runs import hashes, records, run

from augpipe.core.errors import UsageError
from augpipe.run.folder.shard_names import prefixes_of
from augpipe.run.folder.state import RunState, state_from


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())


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
