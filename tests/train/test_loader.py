"""augpipe.train.dataset on folders that `shard_folder` builds; the samples' image_id counts them as written."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torch.distributed as dist
from shard_folder import ALL_KINDS, detection_folder, ids, numbered_folder, sample, write_folder
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

import augpipe.train.dataset
from augpipe.core.errors import DatasetError, UsageError
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
    info = SimpleNamespace(id=worker, num_workers=workers)
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


# --- epochs and state ------------------------------------------------------------------------------------------------


def test_set_epoch_reaches_persistent_workers(folder: Path) -> None:
    dataset = ShardDataset(folder, shuffle=1000, batch_size=4)
    loader = DataLoader(dataset, batch_size=4, num_workers=2, collate_fn=collate, persistent_workers=True)
    seen = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        seen.append(ids_of_batches(loader))
    assert seen[0] == seen[2] != seen[1]
    assert [sorted(flat(batches)) for batches in seen] == [list(range(N))] * 3


def test_restoring_at_every_position_gives_exactly_the_rest(folder: Path) -> None:
    dataset = ShardDataset(folder, shuffle=600, seed=5)
    dataset.set_epoch(2)
    whole, following = ids(dataset), ids(dataset)
    other = ShardDataset(folder, shuffle=600, seed=5)
    states = []
    dataset.set_epoch(2)
    running = iter(dataset)
    for k in range(N + 1):
        state = dataset.state_dict()
        assert (state["epoch"], state["seen"]) == (2, k)
        states.append(json.loads(json.dumps(state)))
        if k < N:
            assert ids([next(running)]) == [whole[k]]
    for k, state in enumerate(states):
        other.load_state_dict(state)
        assert other.state_dict() == state
        rest = iter(other)
        assert other.state_dict() == state
        assert ids(rest) == whole[k:]
        assert ids(other) == following, "only one iteration is a rest"


def test_set_epoch_after_loading_keeps_the_place_only_in_the_same_epoch(folder: Path) -> None:
    dataset = ShardDataset(folder, shuffle=6)
    dataset.set_epoch(1)
    running = iter(dataset)
    for _ in range(7):
        next(running)
    state = dataset.state_dict()
    rest = ids(running)
    resumed = ShardDataset(folder, shuffle=6)
    resumed.load_state_dict(state)
    resumed.set_epoch(1)
    assert ids(resumed) == rest
    resumed.load_state_dict(state)
    resumed.set_epoch(2)
    assert len(ids(resumed)) == N


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed"), ({"shuffle": 5}, "shuffle"), ({"shuffle": True}, "shuffle")],
)
def test_state_of_another_order_is_refused(folder: Path, change: dict, named: str) -> None:
    state = ShardDataset(folder, shuffle=6).state_dict()
    with pytest.raises(UsageError, match=f"this state has {named} = "):
        ShardDataset(folder, **{"shuffle": 6, **change}).load_state_dict(state)


def test_state_of_other_data_is_refused(folder: Path, tmp_path: Path) -> None:
    state = ShardDataset(numbered_folder(tmp_path / "dst", SHARDS, first=1)).state_dict()
    with pytest.raises(UsageError, match="this state has shards = "):
        ShardDataset(folder).load_state_dict(state)


@pytest.mark.parametrize(("workers", "stops"), [(0, range(6)), (2, (0, 2, 3, 6))])
def test_stateful_dataloader_goes_on_with_the_next_batch(folder: Path, workers: int, stops: Iterable[int]) -> None:
    def fresh() -> tuple[ShardDataset, StatefulDataLoader]:
        dataset = ShardDataset(folder, shuffle=6)
        dataset.set_epoch(1)
        return dataset, StatefulDataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=collate)

    whole = ids_of_batches(fresh()[1])
    for stop in stops:
        _, loader = fresh()
        running = iter(loader)
        taken = [next(running) for _ in range(stop)]
        state = loader.state_dict()
        del running, loader
        dataset, resumed = fresh()
        resumed.load_state_dict(state)
        assert [ids(zip(*batch, strict=True)) for batch in taken] + ids_of_batches(resumed) == whole
        dataset.set_epoch(2)
        assert sorted(flat(ids_of_batches(resumed))) == list(range(N)), "the epoch after is whole"


def test_stateful_dataloader_that_had_finished_begins_the_next_epoch(folder: Path) -> None:
    dataset = ShardDataset(folder, shuffle=6)
    loader = StatefulDataLoader(dataset, batch_size=4, collate_fn=collate)
    first = ids_of_batches(loader)
    state = loader.state_dict()
    dataset = ShardDataset(folder, shuffle=6)
    loader = StatefulDataLoader(dataset, batch_size=4, collate_fn=collate)
    loader.load_state_dict(state)
    dataset.set_epoch(1)
    second = ids_of_batches(loader)
    assert sorted(flat(second)) == list(range(N))
    assert second != first


# --- samples and arguments -------------------------------------------------------------------------------------------


def test_transform_makes_the_sample(folder: Path) -> None:
    dataset = ShardDataset(folder, transform=lambda image, target: (image.shape, target["key"]))
    assert next(iter(dataset))[0] == (3, 11, 17)


def test_collate_makes_two_lists(folder: Path) -> None:
    images, targets = collate(list(ShardDataset(folder))[:3])
    assert (type(images), type(targets), len(images), len(targets)) == (list, list, 3, 3)
    assert [int(image[0, 0, 0]) for image in images] == [int(target["image_id"]) for target in targets] == [0, 1, 2]


def test_samples_come_out_of_workers_as_they_are(tmp_path: Path) -> None:
    dataset = ShardDataset(detection_folder(tmp_path / "dst", ALL_KINDS))
    ((images, targets),) = DataLoader(dataset, batch_size=3, num_workers=1, collate_fn=collate)
    assert (type(images), type(targets)) == (list, list)
    for (image, target), (own_image, own) in zip(zip(images, targets, strict=True), dataset, strict=True):
        assert torch.equal(image, own_image)
        assert target.pop("key") == own.pop("key")
        assert target.keys() == own.keys()
        for name, tensor in own.items():
            assert (target[name].dtype, target[name].shape) == (tensor.dtype, tensor.shape)
            assert torch.equal(target[name], tensor)


def opencv_threads(image: torch.Tensor, target: dict) -> int:
    return cv2.getNumThreads()


def test_opencv_keeps_to_one_thread_in_workers_alone(folder: Path) -> None:
    dataset = ShardDataset(folder, transform=opencv_threads)
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        assert set(DataLoader(dataset, batch_size=None, num_workers=1)) == {1}
        assert set(DataLoader(dataset, batch_size=None)) == {cv2.getNumThreads()} == {2}
    finally:
        cv2.setNumThreads(before)


def test_several_folders_are_one_dataset(folder: Path, tmp_path: Path) -> None:
    stored = [sample(N + i, image_id=N + i, semantic=np.zeros((11, 17), np.uint8)) for i in range(3)]
    dataset = ShardDataset([folder, write_folder(tmp_path / "more", stored)], shuffle=100)
    samples = list(dataset)
    assert len(dataset) == N + 3
    assert sorted(ids(samples)) == list(range(N + 3))
    assert all("semantic" in target for _, target in samples)


def test_open_files_stay_behind_when_a_dataset_is_copied(folder: Path) -> None:
    dataset = ShardDataset(folder)
    next(iter(dataset))
    for twin in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert not twin._stored._reader._files
        assert ids(twin) == ids(dataset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shuffle": -1}, "shuffle must be 0 or more, got -1"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"shuffle": 1.5}, "shuffle must be a whole number, 0 or more, got 1.5"),
        ({"shuffle": None}, "shuffle must be a whole number, 0 or more, got None"),
        ({"even": "up"}, "even must be 'drop' or 'pad' or 'keep', got 'up'"),
        ({"labels": 0}, "labels must be 'index1' or 'index0', got 0"),
        ({"dtype": torch.float16}, "dtype must be torch.uint8 or torch.float32, got torch.float16"),
        ({"on_error": "no"}, "on_error must be 'raise' or 'skip', got 'no'"),
        ({"targets": "boxes"}, "targets must be several names"),
        ({"targets": ["masks"]}, "targets: 'masks' is not in .*; it has attributes, boxes, rle"),
        ({"seed": "7"}, "seed must be a whole number, got '7'"),
        ({"seed": 7.0}, "seed must be a whole number, got 7.0"),
        ({"batch_size": 4.0}, "batch_size must be a whole number, 1 or more, got 4.0"),
        ({"batch_size": "4"}, "batch_size must be a whole number, 1 or more, got '4'"),
        ({"rank": 0.5, "world_size": 2}, "rank must be a whole number, got 0.5"),
        ({"rank": 0, "world_size": "2"}, "world_size must be a whole number, got '2'"),
        ({"rank": 1}, "given together with world_size"),
        ({"world_size": 1}, "given together with world_size"),
        ({"rank": 2, "world_size": 2}, "rank must be 0 … world_size - 1 = 1, got 2"),
    ],
)
def test_arguments_without_sense_are_refused(folder: Path, arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ShardDataset(folder, **arguments)


def test_whole_numbers_of_numpy_and_torch_are_numbers(folder: Path) -> None:
    plain = ShardDataset(folder, shuffle=4, seed=3, batch_size=2)
    others = ShardDataset(folder, shuffle=np.int64(4), seed=torch.tensor(3), batch_size=np.uint8(2))
    plain.set_epoch(2)
    others.set_epoch(np.int32(2))
    assert ids(others) == ids(plain)
    assert json.dumps(others.state_dict()) == json.dumps(plain.state_dict())


@pytest.mark.parametrize("epoch", [1.5, "1", None, True])
def test_an_epoch_that_is_no_whole_number_is_refused(folder: Path, epoch: object) -> None:
    with pytest.raises(UsageError, match="epoch must be a whole number, got"):
        ShardDataset(folder).set_epoch(epoch)


def test_no_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one folder"):
        ShardDataset([])


def test_a_damaged_shard_is_reported_from_a_worker(tmp_path: Path) -> None:
    root = numbered_folder(tmp_path / "dst", [2])
    shard = root / "all-000000.tar"
    shard.write_bytes(b"x" + shard.read_bytes()[1:])
    with pytest.raises(DatasetError, match=r"all-000000\.tar: damaged at byte 0"):
        list(DataLoader(ShardDataset(root), num_workers=1, collate_fn=collate))
