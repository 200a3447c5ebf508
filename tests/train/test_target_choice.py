"""What a dataset makes of a sample by its arguments: chosen labels, counting from 0, crowds, floats, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from shard_folder import ALL_KINDS, detection_folder, ids, numbered_folder, png, sample, thing, write_folder
from torch.utils.data import DataLoader

import augpipe.train.targets
from augpipe.core.errors import DatasetError, UsageError
from augpipe.train.dataset import ShardDataset, collate

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools on NumPy 2
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]
PLAIN = {"key", "image_id", "boxes", "labels", "area", "iscrowd"}


def test_only_chosen_labels_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = detection_folder(tmp_path / "dst", ALL_KINDS)
    assert next(iter(ShardDataset(folder)))[1].keys() == PLAIN | {"masks", "keypoints"}
    monkeypatch.delattr(augpipe.train.targets, "_masks")  # whoever decodes a mask fails
    for chosen in (("boxes",), ["keypoints"], ("boxes", "keypoints", "attributes")):
        for _, target in ShardDataset(folder, targets=chosen):
            assert target.keys() == PLAIN | set(chosen)


def test_run_length_codes_are_the_masks(tmp_path: Path) -> None:
    dataset = ShardDataset(detection_folder(tmp_path / "dst", ALL_KINDS), targets=("masks", "rle"))
    for _, target in dataset:
        for mask, code in zip(target["masks"].numpy(), target["rle"], strict=True):
            assert np.array_equal(coco_mask.decode(code), mask)


def test_attributes_are_those_of_the_source(tmp_path: Path) -> None:
    objects = [thing(1, (1, 1, 3, 3), attributes={"pose": "left"}), thing(2, (2, 2, 3, 3))]
    folder = write_folder(tmp_path / "dst", [sample(0, objects=objects)])
    ((_, target),) = ShardDataset(folder, targets=("attributes",))
    assert target["attributes"] == [{"pose": "left"}, {}]


@pytest.mark.parametrize("kinds", [None, {"boxes": 2, "obb": 1}], ids=["looked-up", "counted"])
def test_oriented_boxes_have_a_key(tmp_path: Path, kinds: dict[str, int] | None) -> None:
    corners = [[4.0, 1.0], [7.0, 4.0], [5.0, 6.0], [2.0, 3.0]]
    stored = [sample(0, objects=[thing(1, (2, 1, 7, 6), obb=corners), thing(2, (1, 2, 4, 5))]), sample(1)]
    (_, target), (_, empty) = ShardDataset(write_folder(tmp_path / "dst", stored, kinds=kinds))
    assert target["obb"].dtype == torch.float32
    assert target["obb"].tolist() == [corners, [[1, 2], [4, 2], [4, 5], [1, 5]]]
    assert empty["obb"].shape == (0, 4, 2)


@pytest.mark.parametrize("corners", [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 0], [1, 1], [1e9, 1]]], ids=["3", "far"])
def test_corners_that_are_none_are_damage(tmp_path: Path, corners: list[list[float]]) -> None:
    folder = write_folder(tmp_path / "dst", [sample(0, objects=[thing(1, (0, 0, 1, 1), obb=corners)])])
    with pytest.raises(DatasetError, match="an obb is not four corners"):
        list(ShardDataset(folder))


def test_panoptic_rasters_are_ids(tmp_path: Path) -> None:
    ids_hw = np.zeros((11, 17), np.int64)
    ids_hw[2:5, 3:9] = 70_000
    ids_hw[6:] = 3
    rgb = np.stack([ids_hw % 256, ids_hw // 256 % 256, ids_hw // 65536], axis=2).astype(np.uint8)
    segments = [{"id": 70_000, "category_id": 3}, {"id": 3, "category_id": 8}]
    key, members = sample(0, segments_info=segments)
    stored = [(key, members | {"panoptic.png": png(rgb[:, :, ::-1])}), sample(1)]
    (_, target), (_, empty) = ShardDataset(write_folder(tmp_path / "dst", stored))
    assert target.keys() == empty.keys() == {"key", "image_id", "panoptic", "segments_info"}, "no empty boxes"
    assert np.array_equal(target["panoptic"].numpy(), ids_hw)
    assert target["segments_info"] == segments
    assert (empty["panoptic"].shape, int(empty["panoptic"].max()), empty["segments_info"]) == ((11, 17), 0, [])


def test_labels_count_from_0_or_1(tmp_path: Path) -> None:
    folder = detection_folder(tmp_path / "dst", ALL_KINDS)
    assert [t["labels"].tolist() for _, t in ShardDataset(folder, labels="index1")] == [[2, 1, 1, 1], [], [2]]
    assert [t["labels"].tolist() for _, t in ShardDataset(folder, labels="index0")] == [[1, 0, 0, 0], [], [1]]
    tagged = write_folder(tmp_path / "tags", [sample(0, tags=["dog"]), sample(1, tags=["cat"])])
    assert [t["labels"].tolist() for _, t in ShardDataset(tagged, labels="index0")] == [[1], [0]]


def test_tags_beside_boxes_stay_words_also_if_chosen_alone(tmp_path: Path) -> None:
    stored = [sample(0, tags=["indoor"], objects=[thing(1, (0, 0, 4, 4))])]
    ((_, target),) = ShardDataset(write_folder(tmp_path / "dst", stored), targets=("tags",))
    assert target == {"key": stored[0][0], "tags": ["indoor"]}


def test_crowds_are_left_out_of_all_columns(tmp_path: Path) -> None:
    folder = detection_folder(tmp_path / "dst", ALL_KINDS)
    for (_, every), (_, target) in zip(ShardDataset(folder), ShardDataset(folder, drop_crowd=True), strict=True):
        alone = every["iscrowd"] == 0
        for name in ("boxes", "labels", "area", "iscrowd", "masks", "keypoints"):
            assert torch.equal(target[name], every[name][alone]), name


def test_float_images_are_from_0_to_1(tmp_path: Path) -> None:
    pixels_bgr = np.random.default_rng(0).integers(0, 256, (11, 17, 3), np.uint8)
    ((image, _),) = ShardDataset(write_folder(tmp_path / "dst", [sample(0, pixels_bgr)]), dtype=torch.float32)
    assert image.dtype == torch.float32
    assert np.array_equal(image.numpy(), pixels_bgr[:, :, ::-1].transpose(2, 0, 1) / np.float32(255))


def test_names_of_labels_that_are_not_there_are_refused(tmp_path: Path) -> None:
    folder = detection_folder(tmp_path / "dst", ALL_KINDS)
    with pytest.raises(UsageError, match=r"targets: 'obb' is not in .*dst; it has attributes, boxes, keypoi"):
        ShardDataset(folder, targets=("boxes", "obb"))


@pytest.mark.filterwarnings("ignore:a damaged sample is skipped:RuntimeWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_samples_are_skipped_on_request_and_counted(tmp_path: Path, workers: int) -> None:
    root = numbered_folder(tmp_path / "dst", [6])
    shard = root / "all-000000.tar"
    data = bytearray(shard.read_bytes())
    pictures = [place for place in range(len(data)) if data.startswith(b"\x89PNG", place)]
    data[pictures[0]] = data[pictures[4]] = 0
    shard.write_bytes(data)
    with pytest.raises(DatasetError, match="none that can be decoded"):
        list(ShardDataset(root))
    dataset = ShardDataset(root, on_error="skip")
    loader = DataLoader(dataset, num_workers=workers, collate_fn=collate)
    assert sorted(int(target["image_id"]) for _, targets in loader for target in targets) == [1, 2, 3, 5]
    assert dataset.skipped == 2


def test_a_skipped_sample_is_named(tmp_path: Path) -> None:
    root = numbered_folder(tmp_path / "dst", [1])
    shard = root / "all-000000.tar"
    shard.write_bytes(shard.read_bytes().replace(b"\x89PNG", b"\x00PNG"))
    with pytest.warns(RuntimeWarning, match=r"skipped: .*all-000000\.tar: p000-.*none that can be decoded"):
        assert ids(ShardDataset(root, on_error="skip")) == []


def test_ranks_that_must_be_even_cannot_skip(tmp_path: Path) -> None:
    root = numbered_folder(tmp_path / "dst", [6])
    with pytest.raises(UsageError, match="on_error='skip' leaves ranks with different numbers of batches"):
        iter(ShardDataset(root, on_error="skip", rank=0, world_size=2))
    assert len(ids(ShardDataset(root, on_error="skip", rank=0, world_size=2, even="keep"))) == 3
