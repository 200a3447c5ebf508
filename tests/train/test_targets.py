"""augpipe.train.targets, through the dataset: pictures and labels as tensors."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from shard_folder import (
    ALL_KINDS,
    CATEGORIES,
    detection_folder,
    ids,
    sample,
    thing,
    write_folder,
)

from augpipe.core.errors import DatasetError
from augpipe.train.dataset import ShardDataset

# pycocotools on NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_color_picture_is_rgb_planes(tmp_path: Path) -> None:
    pixels_bgr = np.arange(11 * 17 * 3, dtype=np.uint8).reshape(11, 17, 3)
    image, _ = next(iter(ShardDataset(write_folder(tmp_path / "dst", [sample(0, pixels_bgr)]))))
    assert (image.dtype, image.shape, image.is_contiguous()) == (torch.uint8, (3, 11, 17), True)
    assert np.array_equal(image.numpy(), pixels_bgr.transpose(2, 0, 1)[::-1])


def test_samples_of_several_formats_are_read_side_by_side(tmp_path: Path) -> None:
    pixels_bgr = np.full((11, 17, 3), (40, 90, 200), np.uint8)
    stored = [sample(i, pixels_bgr, form=form) for i, form in enumerate(("png", "webp", "jpg"))]
    for image, _ in ShardDataset(write_folder(tmp_path / "dst", stored)):
        assert np.abs(image.numpy().astype(int) - np.array([200, 90, 40]).reshape(3, 1, 1)).max() <= 4


@pytest.mark.parametrize("form", ["png", "jpg"])
def test_gray_picture_has_one_plane(tmp_path: Path, form: str) -> None:
    pixels = np.full((11, 17), 100, np.uint8)
    image, _ = next(iter(ShardDataset(write_folder(tmp_path / "dst", [sample(0, pixels, form=form)]))))
    assert (image.dtype, image.shape) == (torch.uint8, (1, 11, 17))
    assert (image == 100).all()


@pytest.mark.parametrize("kinds", [None, ALL_KINDS])
def test_detection_targets_have_the_same_keys_types_and_ranks(tmp_path: Path, kinds: dict[str, int] | None) -> None:
    dataset = ShardDataset(detection_folder(tmp_path / "dst", kinds))
    targets = [target for _, target in dataset]
    expected = {
        "boxes": (torch.float32, (4,)),
        "labels": (torch.int64, ()),
        "area": (torch.float32, ()),
        "iscrowd": (torch.int64, ()),
        "keypoints": (torch.float32, (3, 3)),
    }
    for target, objects, size_hw in zip(targets, (4, 0, 1), ((11, 17), (11, 17), (6, 9)), strict=True):
        assert target.keys() == {"key", "image_id", "masks", *expected}
        for name, (dtype, shape) in expected.items():
            assert (target[name].dtype, target[name].shape) == (dtype, (objects, *shape)), name
        assert (target["masks"].dtype, target["masks"].shape) == (torch.uint8, (objects, *size_hw))
        assert (target["image_id"].dtype, target["image_id"].shape) == (torch.int64, ())
        assert isinstance(target["key"], str)
    assert [category.name for category in dataset.categories] == ["cat", "dog"]


def test_detection_targets_have_the_values_of_the_record(tmp_path: Path) -> None:
    (_, target), (_, empty), _ = ShardDataset(detection_folder(tmp_path / "dst", ALL_KINDS))
    assert target["boxes"].tolist() == [[3, 2, 9, 5], [1.5, 8, 3.25, 10], [2, 3, 6, 8], [0, 0, 2, 1]]
    assert target["labels"].tolist() == [2, 1, 1, 1]
    assert target["area"].tolist() == [18, 3.5, 20, 2]
    assert target["iscrowd"].tolist() == [1, 0, 0, 0]
    assert int(target["image_id"]) == 2**40
    assert target["keypoints"].tolist()[0] == [[1, 2, 2], [0, 0, 0], [0, 0, 0]]
    assert not target["keypoints"][1:].any()
    masks = np.zeros((4, 11, 17), np.uint8)
    masks[0, 2:5, 3:9] = 1
    masks[1, 8:10, 1:3] = 1
    masks[2, 3:8, 2:6] = 1
    assert np.array_equal(target["masks"].numpy(), masks)
    assert 0 <= int(empty["image_id"]) < 2**53


def test_masks_come_from_the_instance_raster_alone(tmp_path: Path) -> None:
    instance = np.zeros((11, 17), np.uint8)
    instance[8:10, 1:3] = 7
    stored = sample(0, objects=[thing(1, (1, 8, 3, 10), instance=7)], instance=instance)
    ((_, target),) = ShardDataset(write_folder(tmp_path / "dst", [stored]))
    assert np.array_equal(target["masks"][0].numpy(), instance == 7)


def test_image_id_depends_on_the_source_key_alone(tmp_path: Path) -> None:
    source = {"key": "a.jpg", "sha256": "", "width": 1, "height": 1, "orientation": 1}
    same = [sample(0, source=source), sample(1, source=source), sample(2)]
    one, two, other = ids(ShardDataset(write_folder(tmp_path / "dst", same)))
    assert one == two != other
    assert one == 0xFE47F0026E12A789 >> 11  # printf a.jpg | b2sum -l 64


def test_kinds_that_a_manifest_counts_as_none_are_left_out(tmp_path: Path) -> None:
    kinds = {"boxes": 5, "segmentation": 0}
    _, target = next(iter(ShardDataset(detection_folder(tmp_path / "dst", kinds))))
    assert target.keys() == {"key", "image_id", "boxes", "labels", "area", "iscrowd"}


def test_semantic_and_captions_are_in_every_target_if_in_one(tmp_path: Path) -> None:
    semantic = np.full((11, 17), 300, np.uint16)
    stored = [sample(0, semantic=semantic, captions=["a cat"]), sample(1)]
    (_, first), (_, second) = ShardDataset(write_folder(tmp_path / "dst", stored))
    assert first.keys() == second.keys() == {"key", "image_id", "semantic", "captions"}
    assert (first["semantic"].dtype, first["semantic"].shape) == (torch.int64, (11, 17))
    assert (first["semantic"] == 300).all()
    assert (second["semantic"] == 255).all(), "void where the picture has none"
    assert (first["captions"], second["captions"]) == (["a cat"], [])
    (_, _), (_, second) = ShardDataset(write_folder(tmp_path / "other", stored, void=7))
    assert (second["semantic"] == 7).all(), "the void of the folder"


def test_classification_target_is_the_labels_of_the_tags(tmp_path: Path) -> None:
    stored = [sample(0, tags=["dog"]), sample(1), sample(2, tags=["cat", "dog"])]
    targets = [target for _, target in ShardDataset(write_folder(tmp_path / "dst", stored))]
    assert [target.keys() for target in targets] == [{"key", "labels"}] * 3
    assert [target["labels"].tolist() for target in targets] == [[2], [], [1, 2]]
    assert {target["labels"].dtype for target in targets} == {torch.int64}


def test_tags_beside_boxes_stay_words(tmp_path: Path) -> None:
    stored = [sample(0, tags=["indoor"], objects=[thing(1, (0, 0, 4, 4))])]
    ((_, target),) = ShardDataset(write_folder(tmp_path / "dst", stored))
    assert (target["tags"], target["labels"].tolist()) == (["indoor"], [1])


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (sample(0, tags=["cow"]), "the tag 'cow' is not among"),
        (sample(0, width=18), "expected an 8-bit gray or colour picture of 18×11"),
        (sample(0, objects=[thing(2, (0, 0, 1, 1), keypoints=[1, 1, 2] * 3)]), "categories have 2 keypoints"),
        (sample(0, objects=[thing(1, (0, 0, 1, 1), segmentation={"size": [9, 9], "counts": "a"})]), r"\[9, 9\]"),
        (sample(0, objects=[thing(1, (0, 0, 1, 1), segmentation={"size": [11, 17], "counts": "~"})]), "compressed RLE"),
        (sample(0, semantic=np.zeros((11, 16), np.uint8)), "another size"),
    ],
)
def test_labels_that_do_not_fit_are_named(tmp_path: Path, stored: tuple, message: str) -> None:
    categories = [CATEGORIES[0], {**CATEGORIES[1], "keypoints": ["nose", "tail"]}]
    dataset = ShardDataset(write_folder(tmp_path / "dst", [stored], categories=categories))
    with pytest.raises(DatasetError, match=message) as caught:
        list(dataset)
    assert stored[0] in str(caught.value)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"image_id": "x"}, r"\.json: not as docs/format\.md has it: Expected `int \| null`, got `str` .*image_id"),
        ({"image_id": 2**63}, r"\.json: not as docs/format\.md has it: Expected `int` <="),
        ({"objects": [thing(1, (0, 0, 2, 1), iscrowd=2)]}, r"\.json: iscrowd is 2, expected 0 or 1"),
        ({"objects": [{**thing(1, (0, 0, 2, 1)), "label": 10**12}]}, r"\.json: label 1000000000000 is not among"),
        ({"objects": [{**thing(1, (0, 0, 2, 1)), "label": 2}]}, r"\.json: label 2 is category 8 .*, here 3"),
        ({"objects": [{**thing(1, (0, 0, 2, 1)), "index": -1}]}, r"not as docs/format\.md has it: .*index"),
    ],
)
def test_a_record_with_odd_values_is_named_and_not_trained_on(tmp_path: Path, record: dict, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        list(ShardDataset(write_folder(tmp_path / "dst", [sample(0, **record)])))


@pytest.mark.parametrize("size_wh", [(60_000, 60_000), (30_000, 30_000), (18, 11)])
@pytest.mark.parametrize("form", ["png", "jpg"])
def test_a_picture_of_another_size_than_its_record_is_not_decoded(
    tmp_path: Path, form: str, size_wh, monkeypatch
) -> None:
    """Its header tells; decoding it would take gigabytes."""
    width, height = size_wh
    key, members = sample(0, form=form)
    data = members[form]
    if form == "png":
        members[form] = data[:16] + struct.pack(">II", width, height) + data[24:]
    else:
        at = data.index(b"\xff\xc0") + 5
        members[form] = data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(DatasetError, match=rf"all-000000\.tar: p000.*: .* of 17×11, got {width}×{height}"):
        list(ShardDataset(write_folder(tmp_path / "dst", [(key, members)])))


def test_a_picture_that_is_larger_than_any_of_ours_is_not_decoded(tmp_path: Path, monkeypatch) -> None:
    key, members = sample(0, width=60_000, height=60_000)
    members["png"] = members["png"][:16] + struct.pack(">II", 60_000, 60_000) + members["png"][24:]
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(DatasetError, match=r"p000.*: 60000×60000 pixels, expected at most 256,000,000"):
        list(ShardDataset(write_folder(tmp_path / "dst", [(key, members)])))


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"no picture at all"])
def test_a_picture_that_is_none_is_named(tmp_path: Path, data: bytes) -> None:
    key, members = sample(0)
    members["png"] = data
    with pytest.raises(DatasetError, match=r"all-000000\.tar: p000.*: expected an 8-bit .*, got none that can be"):
        list(ShardDataset(write_folder(tmp_path / "dst", [(key, members)])))


@pytest.mark.parametrize("name", ["all-000000.tar", "manifest.json"])
def test_a_pipe_in_place_of_a_file_is_no_reason_to_wait(tmp_path: Path, name: str) -> None:
    root = write_folder(tmp_path / "dst", [sample(0)])
    dataset = ShardDataset(root)
    (root / name).unlink()
    os.mkfifo(root / name)
    with pytest.raises(DatasetError, match=rf"{name}"):
        ShardDataset(root)
    if name.endswith(".tar"):  # it came while it was trained from
        with pytest.raises(DatasetError, match=r"all-000000\.tar: cannot be read: it is no regular file"):
            list(dataset)
