"""The loader's epochs and state, and the arguments that it refuses."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from shard_folder import ALL_KINDS, detection_folder, ids, numbered_folder, sample, write_folder
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

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
    dataset = ShardDataset(folder, shuffle=6, seed=5)
    dataset.set_epoch(2)
    whole = ids(dataset)
    other = ShardDataset(folder, shuffle=6, seed=5)
    states = []
    running = iter(dataset)
    for k in range(N + 1):
        state = dataset.state_dict()
        assert (state["epoch"], state["position"]) == (2, k)
        states.append(json.loads(json.dumps(state)))
        if k < N:
            assert ids([next(running)]) == [whole[k]]
    for k, state in enumerate(states):
        other.load_state_dict(state)
        assert other.state_dict() == state
        rest = iter(other)
        assert other.state_dict() == state
        assert ids(rest) == whole[k:]
        assert ids(other) == ids(ShardDataset(folder, shuffle=6, seed=5)), "only one iteration is a rest"


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
    [({"seed": 1}, "seed"), ({"shuffle": 5}, "shuffle"), ({"rank": 0, "world_size": 2}, "stretch")],
)
def test_state_of_another_order_is_refused(folder: Path, change: dict, named: str) -> None:
    state = ShardDataset(folder, shuffle=6).state_dict()
    with pytest.raises(UsageError, match=f"this state has {named} = "):
        ShardDataset(folder, **{"shuffle": 6, **change}).load_state_dict(state)


def test_state_of_other_data_is_refused(folder: Path, tmp_path: Path) -> None:
    state = ShardDataset(numbered_folder(tmp_path / "dst", SHARDS, first=1)).state_dict()
    with pytest.raises(UsageError, match="this state has shards = "):
        ShardDataset(folder).load_state_dict(state)


def test_state_loaded_in_the_main_process_is_not_taken_up_by_workers(folder: Path) -> None:
    dataset = ShardDataset(folder)
    dataset.load_state_dict({**dataset.state_dict(), "position": 3})
    with pytest.raises(UsageError, match="use StatefulDataLoader"):
        list(DataLoader(dataset, batch_size=4, num_workers=1, collate_fn=collate))


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
    dataset = ShardDataset(folder, shuffle=6)
    next(iter(dataset))
    for twin in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert not twin._reader._files
        assert ids(twin) == ids(dataset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shuffle": -1}, "shuffle must be 0 or more, got -1"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"shuffle": 1.5}, "shuffle must be a whole number, 0 or more, got 1.5"),
        ({"shuffle": None}, "shuffle must be a whole number, 0 or more, got None"),
        ({"shuffle": True}, "shuffle must be a whole number, 0 or more, got True"),
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
