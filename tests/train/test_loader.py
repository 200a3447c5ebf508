"""augpipe.train.dataset on folders that `shard_folder` builds; the samples' image_id counts them as written."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch.distributed as dist
from shard_folder import ids, numbered_folder
from torch.utils.data import DataLoader

import augpipe.train.dataset
from augpipe.core.errors import UsageError
from augpipe.train.dataset import ShardDataset, collate

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
    info = SimpleNamespace(id=worker, num_workers=workers, seed=worker)
    monkeypatch.setattr(augpipe.train.dataset, "get_worker_info", lambda: info)
    monkeypatch.setattr(augpipe.train.dataset.cv2, "setNumThreads", lambda n: None)  # this is the test's own process


# --- order -----------------------------------------------------------------------------------------------------------


def test_order_without_shuffle_is_as_written(folder: Path) -> None:
    assert ids(ShardDataset(folder)) == list(range(N))


@pytest.mark.parametrize("shuffle", [True, 4, 1000])
def test_order_is_a_function_of_seed_and_epoch(folder: Path, shuffle: bool | int) -> None:
    dataset = ShardDataset(folder, shuffle=shuffle, seed=3)
    epochs = [ids(dataset) for _ in range(4)]
    assert [sorted(order) for order in epochs] == [list(range(N))] * 4
    assert len({tuple(order) for order in epochs}) == 4, "each iteration is the next epoch"
    dataset.set_epoch(2)
    assert [ids(dataset), ids(dataset)] == epochs[2:]
    assert ids(ShardDataset(folder, shuffle=shuffle, seed=3)) == epochs[0]
    assert ids(ShardDataset(folder, shuffle=shuffle, seed=4)) not in epochs


# --- splitting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_ranks_and_workers_take_units_in_turn(
    folder: Path, monkeypatch: pytest.MonkeyPatch, world_size: int, workers: int, batch_size: int | None
) -> None:
    dataset = ShardDataset(folder, shuffle=True, rank=0, world_size=1)
    whole, unit = ids(dataset), batch_size or 1
    got = []
    for rank in range(world_size):
        dataset = ShardDataset(
            folder, shuffle=True, rank=rank, world_size=world_size, batch_size=batch_size, even="keep"
        )
        of_rank = []
        for worker in range(workers):
            in_worker(monkeypatch, worker, workers)
            of_rank.append(ids(dataset))
            rounds = N // (unit * world_size)
            for turn, first in enumerate(range(0, rounds // workers * unit, unit)):
                place = ((turn * workers + worker) * world_size + rank) * unit
                assert of_rank[-1][first : first + unit] == whole[place : place + unit]
        assert len(flat(of_rank)) == len(dataset)
        got += flat(of_rank)
    assert sorted(got) == list(range(N))


@pytest.mark.parametrize(("workers", "context"), [(0, None), (1, "spawn"), (2, "fork"), (3, "fork")])
def test_dataloader_gives_every_sample_once(folder: Path, workers: int, context: str | None) -> None:
    dataset = ShardDataset(folder, shuffle=1000, seed=0)
    loader = DataLoader(dataset, batch_size=8, num_workers=workers, collate_fn=collate, multiprocessing_context=context)
    assert sorted(flat(ids_of_batches(loader))) == list(range(N))


def test_small_dataset_of_one_shard_feeds_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ShardDataset(numbered_folder(tmp_path / "dst", [5]))
    got = []
    for worker in range(4):
        in_worker(monkeypatch, worker, 4)
        got.append(ids(dataset))
    assert got == [[0, 4], [1], [2], [3]]


def test_batches_are_the_same_for_any_number_of_workers(folder: Path) -> None:
    expected = None
    for workers in (0, 1, 2, 3):
        dataset = ShardDataset(folder, shuffle=True, batch_size=3)
        batches = ids_of_batches(DataLoader(dataset, batch_size=3, num_workers=workers, collate_fn=collate))
        expected = expected or batches
        assert batches == expected
    assert sorted(flat(expected or [])) == list(range(N))


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
    assert ids(dataset) == list(range(1, N - 1, 2)), "the odd ones; the last sample would be one more for rank 0"
    assert (len(dataset), dataset.uneven) == (N // 2, -1)
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
    assert ids(dataset) == [2, 5, 8, 11, 14, 17]
    late = pickle.dumps(dataset)
    monkeypatch.undo()
    assert ids(pickle.loads(late)) == [2, 5, 8, 11, 14, 17], "a worker is in no process group"
    assert ids(pickle.loads(early)) == list(range(N)), "what a launcher pickles belongs to no rank yet"
