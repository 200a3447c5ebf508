"""The state of training: epoch and samples seen, taken up by other workers, other ranks and other loaders."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from shard_folder import ids, numbered_folder
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from augpipe.core.errors import UsageError
from augpipe.train.dataset import ShardDataset, collate

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]

SHARDS = (40, 3, 0, 58)
N = sum(SHARDS)
BATCH = 4
FORGED = {"epoch": 0, "seen": 0, "seed": 0, "shuffle": False, "shards": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_folder(tmp_path_factory.mktemp("state") / "dst", SHARDS)


def batches_of(loader: DataLoader) -> list[list[int]]:
    return [[int(target["image_id"]) for target in targets] for _, targets in loader]


def loader_of(dataset: ShardDataset, workers: int, kind: type[DataLoader] = DataLoader, **more: Any) -> DataLoader:
    return kind(dataset, batch_size=BATCH, num_workers=workers, collate_fn=collate, **more)


def flat(batches: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(batches))


@pytest.mark.parametrize("kind", [DataLoader, StatefulDataLoader], ids=["plain", "stateful"])
@pytest.mark.parametrize(("before", "after"), [(0, 2), (3, 1), (2, 0)])
def test_training_goes_on_with_another_number_of_workers(
    folder: Path, kind: type[DataLoader], before: int, after: int
) -> None:
    def fresh() -> ShardDataset:
        return ShardDataset(folder, shuffle=True, seed=1, batch_size=BATCH)

    dataset = fresh()
    whole, following = batches_of(loader_of(dataset, 0)), batches_of(loader_of(dataset, 0))
    dataset = fresh()
    running = iter(loader_of(dataset, before, kind))
    taken = [[int(target["image_id"]) for target in next(running)[1]] for _ in range(7)]
    state = json.loads(json.dumps(dataset.state_dict(batches=7)))
    assert (state["epoch"], state["seen"]) == (0, 28)
    resumed = fresh()
    resumed.load_state_dict(state)
    loader = loader_of(resumed, after, kind)
    assert taken + batches_of(loader) == whole
    assert batches_of(loader) == following, "the epoch after is whole, and the next one"


@pytest.mark.parametrize("even", ["drop", "keep"])
def test_training_goes_on_with_other_ranks_from_the_state_of_one(folder: Path, even: str) -> None:
    chosen = random.Random(2)
    epoch = ids(ShardDataset(folder, shuffle=True, rank=0, world_size=1))
    for _ in range(25):
        first, second, steps = chosen.randint(1, 5), chosen.randint(1, 5), chosen.randint(0, 5)
        before = [dataset_of(folder, rank, first, even) for rank in range(first)]
        steps = min(steps, len(before[0]) // BATCH)
        taken = flat([ids(itertools.islice(iter(dataset), steps * BATCH)) for dataset in before])
        state = json.loads(json.dumps(before[0].state_dict(batches=steps)))
        after = [dataset_of(folder, rank, second, even) for rank in range(second)]
        for dataset in after:
            dataset.load_state_dict(state)
        rest = [ids(dataset) for dataset in after]
        assert sorted(taken) == sorted(epoch[: len(taken)])
        left = (N - len(taken)) % second if even == "drop" else 0
        assert sorted(taken + flat(rest)) == sorted(epoch[: N - left])
        if even == "drop":
            assert len({len(part) for part in rest}) == 1


def dataset_of(folder: Path, rank: int, ranks: int, even: str) -> ShardDataset:
    return ShardDataset(folder, shuffle=True, rank=rank, world_size=ranks, batch_size=BATCH, even=even)  # type: ignore[arg-type]


def test_without_batches_the_state_of_ranks_is_that_between_their_batches(folder: Path) -> None:
    dataset = dataset_of(folder, 1, 3, "drop")
    running = iter(dataset)
    part = ids(dataset_of(folder, 1, 3, "drop"))
    for taken in range(1, len(part) + 1):
        next(running)
        state = dataset.state_dict()
        resumed = dataset_of(folder, 1, 3, "drop")
        resumed.load_state_dict(state)
        assert ids(resumed) == part[taken:]
        if taken % BATCH:
            other = dataset_of(folder, 0, 2, "drop")
            other.load_state_dict(state)
            if "within" in state:
                with pytest.raises(UsageError, match=r"ranks = 3.*here ranks = 2.*state_dict\(batches=…\)"):
                    iter(other)


def test_persistent_workers_take_a_state_up_and_count_epochs(folder: Path) -> None:
    dataset = ShardDataset(folder, shuffle=True, batch_size=BATCH)
    loader = loader_of(dataset, 2, persistent_workers=True)
    epochs = [batches_of(loader) for _ in range(3)]
    assert len({tuple(flat(epoch)) for epoch in epochs}) == 3
    assert all(sorted(flat(epoch)) == list(range(N)) for epoch in epochs)
    state = ShardDataset(folder, shuffle=True, batch_size=BATCH).state_dict()
    dataset.load_state_dict({**state, "epoch": 1, "seen": 20})
    assert batches_of(loader) == epochs[1][5:]
    assert batches_of(loader) == epochs[2]


def test_an_epoch_that_is_set_again_begins_anew_unless_it_was_only_loaded(folder: Path) -> None:
    dataset = ShardDataset(folder, shuffle=True)
    state = dataset.state_dict() | {"epoch": 3, "seen": 90}
    dataset.load_state_dict(state)
    dataset.set_epoch(3)
    assert len(ids(dataset)) == N - 90
    dataset.set_epoch(3)
    assert len(ids(dataset)) == N
    dataset.load_state_dict(state)
    dataset.set_epoch(4)
    assert len(ids(dataset)) == N


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"epoch": 0, "position": 3, "stretch": [0, 9], "seed": 0, "shuffle": 0, "shards": ""},
            "an older augpipe wrote",
        ),
        ({"epoch": 0}, "it has other fields"),
        (None, "it has other fields"),
        ({**FORGED, "seen": -4}, "seen of the state must be 0 or more, got -4"),
        ({**FORGED, "epoch": "x"}, "epoch of the state must be a whole number, got 'x'"),
        ({**FORGED, "epoch": 2**70}, r"epoch of the state must be below 2\*\*62, got 11"),
        ({**FORGED, "within": {"ranks": 1}}, "within of the state must be a dict with taken, got"),
        ({**FORGED, "within": {"taken": None}}, "taken of the state must be a whole number, 0 or more, got None"),
    ],
    ids=["old", "foreign", "none", "negative", "text", "huge", "part", "nothing"],
)
def test_what_is_no_state_is_refused(folder: Path, state: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ShardDataset(folder).load_state_dict(state)


def test_batches_can_only_be_counted_if_their_size_is_known(folder: Path) -> None:
    with pytest.raises(UsageError, match="needs ShardDataset\\(batch_size="):
        ShardDataset(folder).state_dict(batches=2)
    dataset = ShardDataset(folder, batch_size=1)
    next(iter(dataset))
    assert dataset.state_dict(batches=1)["seen"] == 1


def test_ranks_without_samples_are_told_before_training(tmp_path: Path) -> None:
    folder = numbered_folder(tmp_path / "dst", [5])
    with pytest.raises(UsageError, match="5 samples for 8 ranks leave some without any: even='pad'"):
        iter(ShardDataset(folder, rank=0, world_size=8))
    padded = [ShardDataset(folder, rank=rank, world_size=8, even="pad") for rank in range(8)]
    assert [ids(one) for one in padded] == [[0], [1], [2], [3], [4], [0], [1], [2]]
    assert padded[0].uneven == 3


def _train(rank: int, ranks: int, folder: str, meeting: str) -> None:
    """Steps that every rank must make together; a rank with more steps than another would hang."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    dataset = ShardDataset(folder, shuffle=True, batch_size=BATCH)
    seen = torch.zeros(N, dtype=torch.int64)
    for even in ("drop", "pad"):
        dataset._even = even
        for _, targets in loader_of(dataset, 0):
            dist.all_reduce(torch.zeros(1))
            seen[[int(target["image_id"]) for target in targets]] += 1
        dist.all_reduce(seen)
        added = dataset.uneven
        assert int(seen.sum()) == N + added
        assert seen.max() - seen.min() == (added != 0)
        seen.zero_()
    dist.destroy_process_group()


def test_ranks_of_a_process_group_make_as_many_steps(folder: Path, tmp_path: Path) -> None:
    mp.spawn(_train, (2, str(folder), str(tmp_path / "meeting")), nprocs=2)
