"""Which epoch each iteration is: loaders side by side, abandoned ones, programs that share a dataset, direct ones."""

from __future__ import annotations

import itertools
import multiprocessing as mp
import pickle
from pathlib import Path
from typing import Any

import pytest
from shard_folder import ids, numbered_folder
from torch.utils.data import DataLoader

from augpipe.core.errors import UsageError
from augpipe.train.dataset import ShardDataset, collate
from augpipe.train.epochs import Epochs

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]
N = 24
BATCH = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_folder(tmp_path_factory.mktemp("epochs") / "dst", (14, 10))


def dataset_of(folder: Path, **more: Any) -> ShardDataset:
    return ShardDataset(folder, shuffle=True, batch_size=BATCH, **more)


def loader_of(dataset: ShardDataset, workers: int) -> DataLoader:
    return DataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=collate)


def ids_of(batches: Any) -> list[int]:
    return [int(target["image_id"]) for _, targets in batches for target in targets]


# --- who begins what -------------------------------------------------------------------------------------------------


def test_workers_of_two_loaders_that_start_together_agree_among_themselves() -> None:
    """In any order, also where a worker of the second loader is the first of its number to begin."""
    begun = list(itertools.product("ab", range(3)))
    for order in itertools.islice(itertools.permutations(begun), 0, None, 7):
        epochs, got = Epochs(), {"a": set(), "b": set()}
        for loader, worker in order:
            got[loader].add(epochs.begin(worker, {"a": 5, "b": 9}[loader]))
        assert sorted(map(list, got.values())) == [[(0, 0)], [(1, 0)]]


def test_persistent_workers_may_be_an_epoch_apart() -> None:
    epochs = Epochs()
    epochs.set(3, 8)
    assert [epochs.begin(worker, 5) for worker in (0, 0, 1, 0, 1)] == [(3, 8), (4, 0), (3, 8), (5, 0), (4, 0)]


def test_a_worker_that_never_began_is_missed_by_nobody() -> None:
    """That of an iteration that a program left before the worker had started."""
    epochs = Epochs()
    assert epochs.begin(0, 5) == (0, 0)
    assert [epochs.begin(worker, 6) for worker in (1, 0)] == [(1, 0)] * 2


def test_a_number_that_torch_draws_again_is_another_iteration() -> None:
    """``torch.manual_seed`` with the same seed before each epoch."""
    shared = Epochs()
    epochs: list[list[tuple[int, int]]] = []
    for _ in range(100):
        epochs.append([])
        for worker in range(2):
            shared._own.clear()  # workers of the next iteration are other processes
            epochs[-1].append(shared.begin(worker, 5))
    assert epochs == [[(epoch, 0)] * 2 for epoch in range(100)]


@pytest.mark.parametrize("workers", [1, 3])
def test_two_loaders_side_by_side_give_an_epoch_each(folder: Path, workers: int) -> None:
    dataset = dataset_of(folder)
    pairs = list(zip(loader_of(dataset, workers), loader_of(dataset, workers), strict=True))
    got = [ids_of(side) for side in zip(*pairs, strict=True)]
    assert [sorted(side) for side in got] == [list(range(N))] * 2
    assert got[0] != got[1]


def test_iterations_count_with_any_number_of_workers(folder: Path) -> None:
    expected = [ids(dataset) for dataset in [dataset_of(folder)] for _ in range(4)]
    dataset = dataset_of(folder)
    assert [ids_of(loader_of(dataset, workers)) for workers in (0, 2, 1, 0)] == expected


# --- ranks -----------------------------------------------------------------------------------------------------------


def _rank(rank: int, dataset: ShardDataset, workers: int, out: Any) -> None:
    dataset._rank = (rank, 2)
    loader = loader_of(dataset, workers)
    loader.multiprocessing_context = "fork" if workers else None
    out.put((rank, [ids_of(loader) for _ in range(2)]))


@pytest.mark.parametrize(("context", "workers"), [("fork", 0), ("spawn", 2)])
def test_ranks_that_a_launcher_gives_one_dataset_count_for_themselves(folder: Path, context: str, workers: int) -> None:
    started = mp.get_context(context)
    dataset, out = dataset_of(folder), started.SimpleQueue()
    ranks = [started.Process(target=_rank, args=(rank, dataset, workers, out)) for rank in range(2)]
    for process in ranks:
        process.start()
    got = dict(out.get() for _ in ranks)
    for process in ranks:
        process.join()
    epochs = [sorted(got[0][epoch] + got[1][epoch]) for epoch in range(2)]
    assert epochs == [list(range(N))] * 2
    assert got[0][0] != got[0][1]


def test_a_copy_counts_on_for_itself() -> None:
    epochs = Epochs()
    epochs.set(4)
    epochs.begin()
    copied = pickle.loads(pickle.dumps(epochs))
    assert [copied.begin()[0], copied.begin()[0], epochs.begin()[0]] == [5, 6, 5]


# --- state -----------------------------------------------------------------------------------------------------------


def test_a_state_has_the_epoch_that_a_loader_reads_after_direct_iterations(folder: Path) -> None:
    dataset = dataset_of(folder)
    for _ in range(3):  # to measure the mean of all pixels, say
        ids(dataset)
    running = iter(loader_of(dataset, 2))
    taken = ids_of(next(running) for _ in range(3))
    resumed = dataset_of(folder)
    resumed.load_state_dict(dataset.state_dict(batches=3))
    assert sorted(taken + ids(resumed)) == list(range(N))


def test_a_state_of_workers_is_not_guessed(folder: Path) -> None:
    dataset = dataset_of(folder)
    for _ in loader_of(dataset, 1):
        pass
    with pytest.raises(UsageError, match=r"workers read ahead: say state_dict\(batches=…\)"):
        dataset.state_dict()
    dataset.set_epoch(7)
    assert dataset.state_dict()["epoch"] == 7
    ids(dataset)
    assert dataset.state_dict()["seen"] == N
