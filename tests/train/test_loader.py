"""augpipe.train.dataset on folders that `shard_folder` builds; the samples' image_id counts them as written."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from shard_folder import ids, numbered_folder
from torch.utils.data import DataLoader

import augpipe.train.dataset
from augpipe.core.errors import UsageError
from augpipe.train.dataset import Order, ShardDataset, collate, share

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),  # more workers than cores
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),  # Python 3.12 on torch's default context
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),  # torchdata 0.11 on torch 2.13
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools on NumPy 2
]

SHARDS = (5, 0, 7, 1, 6)
N = sum(SHARDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_folder(tmp_path_factory.mktemp("numbered") / "dst", SHARDS)


def ids_of_batches(loader: DataLoader) -> list[list[int]]:
    return [[int(target["image_id"]) for target in targets] for _, targets in loader]


def flat(batches: list[list[int]]) -> list[int]:
    return [i for batch in batches for i in batch]


def in_worker(monkeypatch: pytest.MonkeyPatch, worker: int, workers: int) -> None:
    info = SimpleNamespace(id=worker, num_workers=workers)
    monkeypatch.setattr(augpipe.train.dataset, "get_worker_info", lambda: info)
    monkeypatch.setattr(augpipe.train.dataset.cv2, "setNumThreads", lambda n: None)  # this is the test's own process


# --- order -----------------------------------------------------------------------------------------------------------


def test_order_without_shuffle_is_as_written(folder: Path) -> None:
    assert ids(ShardDataset(folder)) == list(range(N))


@pytest.mark.parametrize("shuffle", [4, 1000])
def test_order_is_a_function_of_seed_and_epoch(folder: Path, shuffle: int) -> None:
    dataset = ShardDataset(folder, shuffle=shuffle, seed=3)
    first = ids(dataset)
    assert sorted(first) == list(range(N))
    assert ids(dataset) == first, "iterating again without set_epoch repeats"
    assert ids(ShardDataset(folder, shuffle=shuffle, seed=3)) == first
    epochs = []
    for epoch in range(4):
        dataset.set_epoch(epoch)
        epochs.append(ids(dataset))
    assert epochs[0] == first
    assert len({tuple(order) for order in epochs}) == 4
    assert ids(ShardDataset(folder, shuffle=shuffle, seed=4)) not in epochs


def test_order_is_the_same_on_every_python_and_numpy() -> None:
    places = list(Order((3, 4, 2), shuffle=4, seed=0, epoch=1).stretch(0, 9))
    assert places == [(1, 0), (0, 0), (0, 1), (0, 2), (1, 3), (1, 2), (2, 0), (1, 1), (2, 1)]


def test_order_shuffles_shards_then_inside_windows() -> None:
    counts = (10,) * 10
    written = [(shard, member) for shard in range(10) for member in range(10)]
    shards_only = list(Order(counts, 1, 0, 0).stretch(0, 100))
    assert shards_only != written
    assert [member for _, member in shards_only] == [member for _, member in written]
    windows = list(Order(counts, 20, 0, 0).stretch(0, 100))
    for start in range(0, 100, 20):
        assert sorted(windows[start : start + 20]) == sorted(shards_only[start : start + 20])
        assert windows[start : start + 20] != shards_only[start : start + 20]


def test_order_of_shards_is_another_in_another_epoch_and_with_another_seed() -> None:
    counts = (2,) * 8
    of_shards = {tuple(Order(counts, 1, seed, epoch).stretch(0, 16)) for seed in range(3) for epoch in range(3)}
    assert len(of_shards) == 9


def test_order_has_every_stretch_without_the_rest() -> None:
    order = Order((3, 8, 1, 5), shuffle=4, seed=1, epoch=2)
    whole = list(order.stretch(0, 17))
    for first in range(18):
        for end in range(first, 18):
            assert list(order.stretch(first, end)) == whole[first:end]


def test_order_leaves_global_random_state_alone(folder: Path) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    ids(ShardDataset(folder, shuffle=4))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


# --- splitting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_split_gives_every_sample_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, world_size: int, workers: int, batch_size: int | None
) -> None:
    whole = ids(ShardDataset(folder, shuffle=4, rank=0, world_size=1))
    parts = []
    for rank in range(world_size):
        dataset = ShardDataset(folder, shuffle=4, rank=rank, world_size=world_size, batch_size=batch_size)
        of_rank = []
        for worker in range(workers):
            in_worker(monkeypatch, worker, workers)
            of_rank.append(ids(dataset))
        assert len(flat(of_rank)) == len(dataset)
        parts += of_rank
    assert flat(parts) == whole
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= (1 if batch_size is None else batch_size + 1)


@pytest.mark.parametrize(("workers", "context"), [(0, None), (1, "spawn"), (2, "fork"), (3, "fork")])
def test_dataloader_gives_every_sample_once(folder: Path, workers: int, context: str | None) -> None:
    dataset = ShardDataset(folder, shuffle=1000, seed=0)
    loader = DataLoader(dataset, batch_size=8, num_workers=workers, collate_fn=collate, multiprocessing_context=context)
    assert sorted(flat(ids_of_batches(loader))) == list(range(N))


def test_small_dataset_of_one_shard_feeds_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ShardDataset(numbered_folder(tmp_path / "dst", [5]), shuffle=10)
    got = []
    for worker in range(4):
        in_worker(monkeypatch, worker, 4)
        got.append(ids(dataset))
    assert [len(part) for part in got] == [1, 1, 1, 2]
    assert sorted(flat(got)) == list(range(5))


def test_share_covers_without_overlap() -> None:
    for first, end, parts, unit in [(0, 10, 3, 1), (7, 7, 2, 4), (5, 28, 4, 3), (0, 2, 5, 1)]:
        edges = [share(first, end, part, parts, unit) for part in range(parts)]
        assert edges[0][0] == first
        assert edges[-1][1] == end
        assert all(one[1] == two[0] for one, two in itertools.pairwise(edges))
        assert all((b - a) % unit == 0 for a, b in edges[:-1])


@pytest.mark.parametrize("drop_last", [False, True])
def test_batch_size_makes_len_of_a_loader_exact(folder: Path, drop_last: bool) -> None:
    loader = DataLoader(
        ShardDataset(folder, shuffle=4, batch_size=4),
        batch_size=4,
        num_workers=2,
        collate_fn=collate,
        drop_last=drop_last,
    )
    assert len(loader) == (4 if drop_last else 5)
    batches = ids_of_batches(loader)
    assert len(batches) == len(loader)
    assert sorted(map(len, batches)) == ([4] * 4 if drop_last else [3, 4, 4, 4, 4])


def test_without_batch_size_a_loader_may_have_one_more_batch_and_torch_does_not_warn(folder: Path) -> None:
    loader = DataLoader(ShardDataset(folder), batch_size=4, num_workers=2, collate_fn=collate)
    assert (len(loader), len(ids_of_batches(loader))) == (5, 6)
    single = DataLoader(ShardDataset(folder), batch_size=1, num_workers=2, collate_fn=collate)
    assert (len(single), len(ids_of_batches(single))) == (N, N)


def test_rank_and_world_size_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ShardDataset(folder)
    monkeypatch.setenv("RANK", "1")
    assert len(dataset) == N, "RANK alone says nothing"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert ids(dataset) == list(range(N // 2, N))
    assert len(dataset) == N - N // 2
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(UsageError, match="RANK must be 0 … WORLD_SIZE - 1"):
        len(dataset)


def test_a_process_group_goes_before_the_environment_and_into_spawned_workers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    dataset = ShardDataset(folder)
    early = pickle.dumps(dataset)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda: 2)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    assert ids(dataset) == list(range(12, 19))
    late = pickle.dumps(dataset)
    monkeypatch.undo()
    assert ids(pickle.loads(late)) == list(range(12, 19)), "a worker is in no process group"
    assert ids(pickle.loads(early)) == list(range(N)), "what a launcher pickles belongs to no rank yet"
