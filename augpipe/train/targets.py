"""Labels of stored samples as tensors, in torchvision's convention for detection.

The keys of a target are decided once for a dataset, from the counts in its manifests, not for each sample: a batch in
which some targets lack ``masks`` breaks a training loop after hours, an empty tensor of the right shape does not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from msgspec import UNSET

from augpipe.core.annotations import U8, Raster, Rings, Rle, Segmentation
from augpipe.core.errors import DatasetError, Reject, UsageError, one_line
from augpipe.formats.webdataset.folder import Folder, StoredSample
from augpipe.formats.webdataset.schema import CodedMask, ObjectRecord, SampleRecord
from augpipe.labels.rle import rasterise, rle_of
from augpipe.pixels.codec.label_png import decode_raster

Target: TypeAlias = dict[str, Any]
_FARTHEST = 1e7


COLUMNS = ("boxes", "labels", "area", "iscrowd", "masks", "rle", "keypoints", "visibility", "obb", "attributes")
"""The keys of a target that have an entry for each object."""

_OF_OBJECTS = ("boxes", "masks", "rle", "keypoints", "obb", "attributes")
_ON_REQUEST = ("rle", "attributes")


@dataclass(frozen=True)
class Labels:
    """The keys that every target of a dataset has.

    ``key`` (str) always, and of these what the data has, or what is chosen of it:

    - ``boxes``: boxes (N, 4) float32 xyxy, labels (N,) int64 in 1..K, area (N,) float32, iscrowd (N,) int64, and
      image_id, an int64 scalar: the source's, else 53 bits of a hash of the source key, the same for all copies
    - ``masks`` of objects: (N, H, W) uint8, from the segmentation, else from the instance raster, else zeros
    - ``rle``, only if chosen: the same as N dicts of COCO's run-length code, which pycocotools takes
    - ``keypoints`` of objects: (N, keypoints, 3) float32 rows of x, y, v; zeros where an object has fewer
    - ``obb``: (N, 4, 2) float32, the corners of oriented boxes; those of the box where an object has none
    - ``attributes``, only if chosen: what else the source says of each object, N dicts
    - ``semantic``: (H, W) int64; the void value all over where a picture has none; image_id as above
    - ``panoptic``: (H, W) int64 ids, 0 where there is none, and segments_info, a list of dicts; image_id as above
    - ``tags``: labels (T,) int64 if the data have no objects, else the tags themselves, a list of str
    - ``captions``: a list of str

    Attributes:
        names: those keys.
        points: keypoints of an object.
        label_of_name: label in the records by class.
        tags_are_words: the data have objects, and tags need not be classes.
        first_label: 1, or 0 to count labels from there.
        drop_crowd: leave crowds out.
    """

    names: frozenset[str]
    points: int
    label_of_name: Mapping[str, int]
    tags_are_words: bool = False
    first_label: int = 1
    drop_crowd: bool = False

    @classmethod
    def of(
        cls,
        folders: Sequence[Folder],
        chosen: Sequence[str] | None = None,
        *,
        first_label: int = 1,
        drop_crowd: bool = False,
    ) -> Labels:
        """The labels that the folders hold together, or the ``chosen`` ones of them.

        Raises:
            UsageError: one that is chosen is none, or the folders have none of it.
        """
        counts = sum((Counter(folder.kinds) for folder in folders), Counter[str]())
        counts["boxes"] += not (counts["tags"] or counts["semantic"] or counts["panoptic"])
        there = {name for name in ("keypoints", "obb", "semantic", "panoptic", "tags", "captions") if counts[name]}
        if counts["boxes"]:
            there |= {"boxes", *_ON_REQUEST}
        if counts["segmentation"] + counts["instance"]:
            there.add("masks")
        for name in chosen or ():
            if name not in there:
                has = ", ".join(sorted(there)) or "no labels"
                raise UsageError(f"targets: {one_line(repr(name), 40)} is not in {folders[0].path}; it has {has}")
        names = set(there).difference(_ON_REQUEST) if chosen is None else set(chosen)
        categories = folders[0].categories
        return cls(
            names=frozenset(names | ({"boxes"} if names.intersection(_OF_OBJECTS) else set())),
            points=max((len(c.keypoints) for c in categories), default=0),
            label_of_name={category.name: category.label for category in categories},
            tags_are_words="boxes" in there,
            first_label=first_label,
            drop_crowd=drop_crowd,
        )

    def target_of(self, sample: StoredSample) -> Target:
        """The labels of one sample; DatasetError if they do not fit the picture or the classes."""
        record = sample.record
        objects = [one for one in record.objects if not (self.drop_crowd and one.iscrowd)]
        target: Target = {"key": record.key}
        if self.names & {"boxes", "semantic", "panoptic"}:
            target["image_id"] = torch.tensor(image_id_of(record), dtype=torch.int64)
        if "boxes" in self.names:
            target |= self._of_objects(sample, objects)
        if "semantic" in self.names:
            target["semantic"] = torch.from_numpy(_semantic(sample).astype(np.int64))
        if "panoptic" in self.names:
            ids = _raster(sample, "panoptic.png")
            ids = np.zeros((record.height, record.width), np.uint32) if ids is None else ids
            target["panoptic"] = torch.from_numpy(ids.astype(np.int64))
            target["segments_info"] = record.segments_info
        if "tags" in self.names:
            target |= {"tags": record.tags} if self.tags_are_words else {"labels": self._labels(sample)}
        if "captions" in self.names:
            target["captions"] = record.captions
        return target

    def _of_objects(self, sample: StoredSample, objects: Sequence[ObjectRecord]) -> Target:
        _require_places(sample)
        target = _boxes(objects, self.first_label)
        if "masks" in self.names:
            target["masks"] = torch.from_numpy(_masks(sample, objects))
        if "rle" in self.names:
            target["rle"] = [_coded(mask) for mask in _masks(sample, objects)]
        if "keypoints" in self.names:
            target["keypoints"] = torch.from_numpy(_keypoints(sample, objects, self.points))
        if "obb" in self.names:
            corners = [_corners(sample, one) for one in objects]
            target["obb"] = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4, 2)
        if "attributes" in self.names:
            target["attributes"] = [one.attributes for one in objects]
        return target

    def _labels(self, sample: StoredSample) -> torch.Tensor:
        unknown = [tag for tag in sample.record.tags if tag not in self.label_of_name]
        if unknown:
            raise DatasetError(f"{sample.where}: the tag {unknown[0]!r} is not among the manifest's categories")
        labels = [self.label_of_name[tag] - 1 + self.first_label for tag in sample.record.tags]
        return torch.tensor(labels, dtype=torch.int64)


def image_id_of(record: SampleRecord) -> int:
    """The source's id, else a 53-bit hash (exact in a float64) of the source key."""
    if record.image_id is not None:
        return record.image_id
    return int.from_bytes(hashlib.blake2b(record.source.key.encode(), digest_size=8).digest(), "big") >> 11


def _require_places(sample: StoredSample) -> None:
    """Raise :class:`DatasetError` for boxes, keypoints or areas that float32 would turn into inf."""
    for one in sample.record.objects:
        if not all(abs(v) < _FARTHEST for v in (*one.box_xyxy, *one.keypoints)) or not abs(_area(one)) < _FARTHEST**2:
            raise DatasetError(f"{sample.where}: an object lies further from the picture than {_FARTHEST:.0e} pixels")


def _boxes(objects: Sequence[ObjectRecord], first_label: int) -> Target:
    boxes_xyxy = torch.tensor([o.box_xyxy for o in objects], dtype=torch.float32).reshape(-1, 4)
    return {
        "boxes": boxes_xyxy,
        "labels": torch.tensor([o.label - 1 + first_label for o in objects], dtype=torch.int64),
        "area": torch.tensor([_area(o) for o in objects], dtype=torch.float32),
        "iscrowd": torch.tensor([o.iscrowd for o in objects], dtype=torch.int64),
    }


def _area(one: ObjectRecord) -> float:
    x0, y0, x1, y1 = one.box_xyxy
    return (x1 - x0) * (y1 - y0) if one.area is None else one.area


def _corners(sample: StoredSample, one: ObjectRecord) -> list[float]:
    x0, y0, x1, y1 = one.box_xyxy
    corners: Sequence[Sequence[float]] = ((x0, y0), (x1, y0), (x1, y1), (x0, y1)) if one.obb is UNSET else one.obb
    flat = [value for corner in corners for value in corner]
    if len(flat) != 8 or {len(corner) for corner in corners} != {2} or not all(abs(v) < _FARTHEST for v in flat):
        raise DatasetError(f"{sample.where}: an obb is not four corners near the picture")
    return flat


def _keypoints(
    sample: StoredSample, objects: Sequence[ObjectRecord], count: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    out = np.zeros((len(objects), count, 3), np.float32)
    for row, one in zip(out, objects, strict=True):
        points = len(one.keypoints) // 3
        if points > count or len(one.keypoints) % 3:
            says = f"the manifest's categories have {count}"
            raise DatasetError(
                f"{sample.where}: {len(one.keypoints)} numbers of keypoints for an object, {says} keypoints"
            )
        row[:points] = np.reshape(one.keypoints, (points, 3))
    return out


def _masks(sample: StoredSample, objects: Sequence[ObjectRecord]) -> U8:
    out = np.zeros((len(objects), sample.record.height, sample.record.width), np.uint8)
    instance = _raster(sample, "instance.png") if any(map(_by_instance, objects)) else None
    for mask, one in zip(out, objects, strict=True):
        if one.segmentation is not None:
            mask[:] = _mask(sample, one.segmentation)
        elif instance is not None and one.instance:
            mask[:] = instance == one.instance
    return out


def _coded(mask: U8) -> dict[str, Any]:
    code = rle_of(mask)
    return {"size": list(code.size_hw), "counts": code.counts}


def _by_instance(one: ObjectRecord) -> bool:
    return one.segmentation is None and one.instance > 0


def _mask(sample: StoredSample, stored: list[list[float]] | CodedMask) -> U8:
    record = sample.record
    try:
        segmentation: Segmentation
        if isinstance(stored, CodedMask):
            segmentation = Rle(stored.size, stored.counts.encode("ascii"))
            if segmentation.size_hw != (record.height, record.width):
                raise ValueError(f"its size [h, w] is {list(stored.size)}")
        else:
            segmentation = Rings(tuple(np.array(ring, np.float64).reshape(-1, 2) for ring in stored))
        return rasterise(segmentation, (record.width, record.height))
    except ValueError as error:
        raise DatasetError(f"{sample.where}: a segmentation is not of the picture: {error}") from error


def _semantic(sample: StoredSample) -> Raster:
    raster = _raster(sample, "semantic.png")
    return np.full((sample.record.height, sample.record.width), sample.void) if raster is None else raster


def _raster(sample: StoredSample, extension: str) -> Raster | None:
    data = sample.members.get(extension)
    if data is None:
        return None
    try:
        raster = decode_raster(bytes(data), extension)
    except Reject as error:
        raise DatasetError(f"{sample.where}: {error}") from error
    if raster.shape != (sample.record.height, sample.record.width):
        raise DatasetError(f"{sample.where}.{extension}: (H, W) = {raster.shape}, the picture has another size")
    return raster
