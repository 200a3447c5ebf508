"""augpipe.train.files: samples by number, and what takes a map-style dataset."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shard_folder import ids, numbered_folder
from torch.utils.data import ConcatDataset, DataLoader, DistributedSampler, Subset, WeightedRandomSampler, random_split

from augpipe.core.errors import DatasetError, UsageError
from augpipe.train.dataset import ShardDataset, collate
from augpipe.train.files import ShardFiles

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

SHARDS = (5, 0, 7, 1, 6)
N = sum(SHARDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_folder(tmp_path_factory.mktemp("files") / "dst", SHARDS)


def test_a_sample_is_that_of_its_number(folder: Path) -> None:
    files = ShardFiles(folder)
    assert len(files) == N
    assert ids(files[i] for i in range(N)) == list(range(N))
    assert ids([files[-1], files[-N], files[np.int64(3)], files[torch.tensor(12)]]) == [N - 1, 0, 3, 12]
    assert [category.name for category in files.categories] == ["cat", "dog"]


@pytest.mark.parametrize("index", [N, -N - 1, 10**30])
def test_there_are_no_other_numbers(folder: Path, index: int) -> None:
    with pytest.raises(IndexError, match=f"sample {index} of {N}"):
        ShardFiles(folder)[index]


@pytest.mark.parametrize("index", [1.0, "1", True])
def test_an_index_is_a_whole_number(folder: Path, index: Any) -> None:
    with pytest.raises(UsageError, match="index must be a whole number"):
        ShardFiles(folder)[index]


def test_it_ends_where_it_is_iterated(folder: Path) -> None:
    assert ids(iter(ShardFiles(folder))) == list(range(N))  # Python's protocol of __getitem__ until IndexError


def test_torchs_wrappers_and_samplers_take_it(folder: Path) -> None:
    files = ShardFiles(folder)
    assert ids(Subset(files, [4, 2, 9])) == [4, 2, 9]
    parts = random_split(files, [12, 7], torch.Generator().manual_seed(0))
    assert sorted(ids(parts[0]) + ids(parts[1])) == list(range(N))
    assert ids(ConcatDataset([files, Subset(files, [1])])) == [*range(N), 1]
    sampled = DataLoader(files, 4, sampler=WeightedRandomSampler([1.0] + [0.0] * (N - 1), 8), collate_fn=collate)
    assert Counter(int(t["image_id"]) for _, targets in sampled for t in targets) == {0: 8}
    ranks = [DataLoader(files, 4, sampler=DistributedSampler(files, 2, r, shuffle=True, seed=3)) for r in range(2)]
    assert len(ranks[0].sampler) == len(ranks[1].sampler) == 10


def test_a_loader_shuffles_it_over_workers(folder: Path) -> None:
    loader = DataLoader(ShardFiles(folder), 4, shuffle=True, num_workers=2, collate_fn=collate)
    batches = [ids(zip(*batch, strict=True)) for batch in loader]
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(N))
    assert list(map(len, batches)) == [4, 4, 4, 4, 3]


def test_it_goes_to_another_process_without_its_open_files(folder: Path) -> None:
    files = ShardFiles(folder)
    files[0]
    assert ids([pickle.loads(pickle.dumps(files))[7]]) == [7]


def test_it_gives_what_the_iterable_dataset_gives(folder: Path) -> None:
    options: dict[str, Any] = {"labels": "index0", "dtype": torch.float32, "targets": ("boxes", "attributes")}
    for (image, target), (own_image, own) in zip(ShardDataset(folder, **options), ShardFiles(folder, **options)):  # noqa: B905  # ends by IndexError
        assert torch.equal(image, own_image)
        assert target.keys() == own.keys() == {"key", "image_id", "boxes", "labels", "area", "iscrowd", "attributes"}


def test_a_damaged_sample_is_an_error_that_names_it(tmp_path: Path) -> None:
    root = numbered_folder(tmp_path / "dst", [2])
    shard = root / "all-000000.tar"
    shard.write_bytes(shard.read_bytes().replace(b"\x89PNG", b"\x00PNG", 1))
    files = ShardFiles(root)
    assert ids([files[1]]) == [1]
    with pytest.raises(DatasetError, match=r"all-000000\.tar: p000-.*none that can be decoded"):
        files[0]
