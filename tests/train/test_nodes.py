"""A pipeline of torchdata's nodes over finished folders: every sample once, in order, and on from where it stood."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path

import pytest
from shard_folder import numbered_folder
from torchdata.nodes import Batcher, Loader, ParallelMapper, Prefetcher

from augpipe.core.errors import UsageError
from augpipe.train.dataset import ShardDataset
from augpipe.train.nodes import ShardNode

SHARDS = (5, 0, 7, 1, 6)
N = sum(SHARDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return numbered_folder(tmp_path_factory.mktemp("nodes") / "dst", SHARDS)


def flat(batches) -> list[int]:
    return list(chain.from_iterable(batches))


def number(sample) -> int:
    return int(sample[1]["image_id"])


def pipeline(folder: Path, epoch: int = 0, seed: int = 0) -> tuple[ShardDataset, Loader]:
    dataset = ShardDataset(folder, shuffle=6, seed=seed)
    dataset.set_epoch(epoch)
    mapped = ParallelMapper(ShardNode(dataset), number, num_workers=2, in_order=True, method="thread")
    return dataset, Loader(Prefetcher(Batcher(mapped, 4, drop_last=False), prefetch_factor=2))


def test_every_sample_comes_once_in_the_order_of_the_dataset(folder):
    dataset, loader = pipeline(folder, epoch=3)
    epoch = [list(batch) for batch in loader]
    alone = ShardDataset(folder, shuffle=6)
    alone.set_epoch(3)
    assert flat(epoch) == [number(sample) for sample in alone]
    assert [len(batch) for batch in epoch] == [4, 4, 4, 4, 3]
    dataset.set_epoch(4)
    again = flat(loader)
    assert sorted(again) == list(range(N))
    assert again != flat(epoch)


@pytest.mark.parametrize("stop", range(6))
def test_it_goes_on_with_the_next_batch(folder, stop):
    whole = [list(batch) for batch in pipeline(folder, epoch=1)[1]]
    _, loader = pipeline(folder, epoch=1)
    running = iter(loader)
    taken = [list(next(running)) for _ in range(stop)]
    state = loader.state_dict()
    del running
    _, resumed = pipeline(folder)
    resumed.load_state_dict(state)
    rest = [list(batch) for batch in resumed]
    if stop == len(whole):  # torchdata's loader begins the next epoch where one had been given whole
        assert sorted(flat(rest)) == list(range(N))
    else:
        assert taken + rest == whole


def test_it_is_stopped_several_times_and_over_the_end_of_an_epoch(folder):
    _, loader = pipeline(folder)
    expected = [list(batch) for _ in range(3) for batch in loader]
    taken, state = [], None
    while len(taken) < len(expected):
        _, loader = pipeline(folder)
        if state is not None:
            loader.load_state_dict(state)
        taken += [list(batch) for batch in islice(loader, 2)]
        state = loader.state_dict()
    assert taken[: len(expected)] == expected


def test_a_state_of_another_order_is_refused(folder):
    _, loader = pipeline(folder)
    next(iter(loader))
    node = ShardNode(ShardDataset(folder, shuffle=6, seed=1))
    state = ShardDataset(folder, shuffle=6).state_dict()
    with pytest.raises(UsageError, match="this state has seed = 0, but here it is 1"):
        node.reset(state)
