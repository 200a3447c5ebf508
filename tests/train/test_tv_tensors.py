"""Samples as torchvision's tv_tensors, moved by torchvision's own transforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import import_torchvision, oracle
from shard_folder import ALL_KINDS, CATEGORIES, detection_folder, sample, thing, write_folder

from augpipe.core.errors import UsageError
from augpipe.train.dataset import ShardDataset
from augpipe.train.files import ShardFiles
from augpipe.train.tv import objects_where

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
oracle(import_torchvision)
from torchvision import tv_tensors  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

CORNERS = [[4.0, 1.0], [7.0, 4.0], [5.0, 6.0], [2.0, 3.0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detection_folder(tmp_path_factory.mktemp("tv") / "dst", ALL_KINDS)


def test_values_are_those_of_plain_tensors(folder: Path) -> None:
    for (image, target), (plain_image, plain) in zip(
        ShardDataset(folder, tv_tensors=True), ShardDataset(folder), strict=True
    ):
        assert isinstance(image, tv_tensors.Image)
        assert torch.equal(image, plain_image)
        assert isinstance(target["boxes"], tv_tensors.BoundingBoxes)
        assert target["boxes"].canvas_size == tuple(image.shape[-2:])
        assert target["boxes"].format == tv_tensors.BoundingBoxFormat.XYXY
        assert isinstance(target["masks"], tv_tensors.Mask)
        assert isinstance(target["keypoints"], tv_tensors.KeyPoints)
        assert torch.equal(target["keypoints"].as_subclass(torch.Tensor), plain["keypoints"][..., :2])
        assert torch.equal(target["visibility"], plain["keypoints"][..., 2].long())
        for name in ("boxes", "masks", "labels", "area", "iscrowd", "image_id"):
            assert torch.equal(torch.as_tensor(target[name]), plain[name]), name


def test_a_flip_of_torchvision_moves_everything(folder: Path) -> None:
    flip = v2.RandomHorizontalFlip(p=1.0)
    for (image, target), (plain_image, plain) in zip(
        ShardDataset(folder, tv_tensors=True, transform=flip), ShardDataset(folder), strict=True
    ):
        width = plain_image.shape[2]
        assert torch.equal(image, plain_image.flip(-1))
        assert torch.equal(target["masks"], plain["masks"].flip(-1))
        x0, y0, x1, y1 = plain["boxes"].unbind(1)
        assert torch.equal(torch.as_tensor(target["boxes"]), torch.stack((width - x1, y0, width - x0, y1), 1))
        x = target["keypoints"].as_subclass(torch.Tensor)[..., 0]
        assert torch.unique(x + plain["keypoints"][..., 0]).tolist() in ([], [width - 1], [width])


def test_rasters_and_oriented_boxes_are_moved(tmp_path: Path) -> None:
    semantic = np.arange(11 * 17, dtype=np.uint8).reshape(11, 17)
    stored = [sample(0, objects=[thing(1, (2, 1, 7, 6), obb=CORNERS)], semantic=semantic)]
    folder = write_folder(tmp_path / "dst", stored)
    ((_, target),) = ShardDataset(folder, tv_tensors=True, transform=v2.RandomHorizontalFlip(p=1.0))
    assert np.array_equal(target["semantic"].numpy(), semantic[:, ::-1])
    assert target["obb"].format == tv_tensors.BoundingBoxFormat.XYXYXYXY
    moved = {(17 - x, y) for x, y in CORNERS}
    assert {tuple(point) for point in target["obb"].as_subclass(torch.Tensor).reshape(4, 2).tolist()} == moved


@pytest.mark.parametrize("kind", [ShardDataset, ShardFiles], ids=["iterable", "files"])
@pytest.mark.parametrize(
    "transform", [v2.RandomHorizontalFlip(), v2.Compose([v2.ToDtype(torch.float32)])], ids=["one", "composed"]
)
def test_a_transform_of_v2_without_tv_tensors_is_refused(folder: Path, kind: type, transform: object) -> None:
    with pytest.raises(UsageError, match=r"transform \w+ of torchvision\.transforms\.v2 .* tv_tensors=True"):
        kind(folder, transform=transform)
    assert len(list(ShardFiles(folder, transform=lambda image, target: image))) == 3


@pytest.mark.parametrize("tv", [False, True], ids=["plain", "tv"])
def test_objects_are_filtered_in_all_columns(folder: Path, tv: bool) -> None:
    _, target = ShardFiles(folder, tv_tensors=tv, targets=("masks", "rle", "keypoints", "attributes"))[0]
    kept = torch.tensor([True, False, False, True])
    cut = objects_where(target, kept)
    for name, column in cut.items():
        if name in ("key", "image_id"):
            assert column == target[name]
        elif isinstance(column, list):
            assert column == [target[name][0], target[name][3]]
        else:
            assert type(column) is type(target[name])
            assert torch.equal(column.as_subclass(torch.Tensor), target[name].as_subclass(torch.Tensor)[kept])
    assert len(target["boxes"]) == 4, "the target itself is as it was"
    with pytest.raises(UsageError, match="objects_where: 3 truth values for boxes of 4 objects"):
        objects_where(target, [True, False, True])


def test_tags_of_a_picture_are_no_objects(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "dst", [sample(0, tags=["dog", "cat"])], categories=CATEGORIES)
    _, target = ShardFiles(folder)[0]
    assert objects_where(target, [True])["labels"].tolist() == [2, 1]
