"""Stored samples as tensors: the picture, and the labels in torchvision's convention for detection.

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

from augpipe.core.annotations import U8, Raster, Rings, Rle, Segmentation
from augpipe.core.errors import DatasetError, Reject
from augpipe.core.opencv import cv2
from augpipe.formats.webdataset.folder import Folder, StoredSample
from augpipe.formats.webdataset.schema import CodedMask, ObjectRecord, SampleRecord
from augpipe.labels.rle import rasterise
from augpipe.pixels.codec.header import MAX_PIXELS, read_header
from augpipe.pixels.codec.jpeg_segments import FRAMES, frame_of, header_segments
from augpipe.pixels.codec.label_png import decode_raster

Target: TypeAlias = dict[str, Any]
_FARTHEST = 1e7
_MOST_PIXELS = 4 * MAX_PIXELS


@dataclass(frozen=True)
class Labels:
    """The keys that every target of a dataset has.

    ``key`` (str) always, and where the data has them:

    - ``objects``: boxes (N, 4) float32 xyxy, labels (N,) int64 in 1..K, area (N,) float32, iscrowd (N,) int64, and
      image_id, an int64 scalar: the source's, else 53 bits of a hash of the source key, the same for all copies
    - ``masks`` of objects: (N, H, W) uint8, from the segmentation, else from the instance raster, else zeros
    - ``keypoints`` of objects: (N, keypoints, 3) float32 rows of x, y, v; zeros where an object has fewer
    - ``semantic``: (H, W) int64; the void value all over where a picture has none; image_id as above
    - ``tags``: labels (T,) int64 where there are no objects, else the tags themselves, a list of str
    - ``captions``: a list of str
    """

    objects: bool
    masks: bool
    keypoints: int
    semantic: bool
    tags: bool
    captions: bool
    label_of_name: Mapping[str, int]

    @classmethod
    def of(cls, folders: Sequence[Folder]) -> Labels:
        """The labels that the folders hold together."""
        counts = sum((Counter(folder.kinds) for folder in folders), Counter[str]())
        categories = folders[0].categories
        return cls(
            objects=counts["boxes"] > 0 or not (counts["tags"] or counts["semantic"]),
            masks=counts["segmentation"] + counts["instance"] > 0,
            keypoints=max((len(c.keypoints) for c in categories), default=0) if counts["keypoints"] else 0,
            semantic=counts["semantic"] > 0,
            tags=counts["tags"] > 0,
            captions=counts["captions"] > 0,
            label_of_name={category.name: category.label for category in categories},
        )

    def target_of(self, sample: StoredSample) -> Target:
        """The labels of one sample; DatasetError if they do not fit the picture or the classes."""
        record = sample.record
        target: Target = {"key": record.key}
        if self.objects or self.semantic:
            target["image_id"] = torch.tensor(image_id_of(record), dtype=torch.int64)
        if self.objects:
            _require_places(sample)
            target |= _boxes(record.objects)
            if self.masks:
                target["masks"] = torch.from_numpy(_masks(sample))
            if self.keypoints:
                target["keypoints"] = torch.from_numpy(_keypoints(sample, self.keypoints))
        if self.semantic:
            target["semantic"] = torch.from_numpy(_semantic(sample).astype(np.int64))
        if self.tags:
            target["tags" if self.objects else "labels"] = record.tags if self.objects else self._labels(sample)
        if self.captions:
            target["captions"] = record.captions
        return target

    def _labels(self, sample: StoredSample) -> torch.Tensor:
        unknown = [tag for tag in sample.record.tags if tag not in self.label_of_name]
        if unknown:
            raise DatasetError(f"{sample.where}: the tag {unknown[0]!r} is not among the manifest's categories")
        return torch.tensor([self.label_of_name[tag] for tag in sample.record.tags], dtype=torch.int64)


_PICTURES = ("jpg", "png", "webp")


def image_of(sample: StoredSample) -> torch.Tensor:
    """The picture as uint8 (C, H, W), C = 3 in the order red, green, blue, or 1.

    Raises:
        DatasetError: there is none, or not of the size in the record.
    """
    record = sample.record
    data = next((sample.members[ending] for ending in _PICTURES if ending in sample.members), None)
    pixels = None if data is None else _decoded(sample, bytes(data))
    if pixels is None or pixels.dtype != np.uint8 or pixels.shape not in _shapes_of(record):
        got = "none that can be decoded" if pixels is None else f"{pixels.dtype} {pixels.shape}"
        wanted = f"an 8-bit gray or colour picture of {record.width}×{record.height}"
        raise DatasetError(f"{sample.where}: expected {wanted}, got {got}")
    if pixels.ndim == 2:
        return torch.from_numpy(pixels)[None]
    image_chw = np.empty((3, record.height, record.width), np.uint8)
    red, green, blue = image_chw
    cv2.split(pixels, (blue, green, red))  # into the planes: transposed and reordered in one go
    return torch.from_numpy(image_chw)


def _decoded(sample: StoredSample, data: bytes) -> np.ndarray[Any, Any] | None:
    """The pixels of a picture of the size in its record, ``None`` if it is none; no other is decoded."""
    record = sample.record
    size_wh = _size_in_header(data)
    if size_wh is None:
        return None
    if size_wh != (record.width, record.height):
        wanted = f"an 8-bit gray or colour picture of {record.width}×{record.height}"
        raise DatasetError(f"{sample.where}: expected {wanted}, got {size_wh[0]}×{size_wh[1]}")
    if record.width * record.height > _MOST_PIXELS:
        got = f"{record.width}×{record.height} pixels"
        raise DatasetError(f"{sample.where}: {got}, expected at most {_MOST_PIXELS:,}")
    pixels: np.ndarray[Any, Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels


def _size_in_header(data: bytes) -> tuple[int, int] | None:
    """(width, height) by the first bytes of a picture; ``None`` if they are none of one."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) > 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    frames = (frame_of(s.content) for s in header_segments(data) or () if s.marker in FRAMES)
    if (frame := next(frames, None)) is not None:
        return frame.size_wh
    try:
        return read_header(data, _MOST_PIXELS).stored_wh
    except Reject:
        return None


def _shapes_of(record: SampleRecord) -> tuple[tuple[int, ...], ...]:
    return (record.height, record.width), (record.height, record.width, 3)


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


def _boxes(objects: Sequence[ObjectRecord]) -> Target:
    boxes_xyxy = torch.tensor([o.box_xyxy for o in objects], dtype=torch.float32).reshape(-1, 4)
    return {
        "boxes": boxes_xyxy,
        "labels": torch.tensor([o.label for o in objects], dtype=torch.int64),
        "area": torch.tensor([_area(o) for o in objects], dtype=torch.float32),
        "iscrowd": torch.tensor([o.iscrowd for o in objects], dtype=torch.int64),
    }


def _area(one: ObjectRecord) -> float:
    x0, y0, x1, y1 = one.box_xyxy
    return (x1 - x0) * (y1 - y0) if one.area is None else one.area


def _keypoints(sample: StoredSample, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    out = np.zeros((len(sample.record.objects), count, 3), np.float32)
    for row, one in zip(out, sample.record.objects, strict=True):
        points = len(one.keypoints) // 3
        if points > count or len(one.keypoints) % 3:
            says = f"the manifest's categories have {count}"
            raise DatasetError(
                f"{sample.where}: {len(one.keypoints)} numbers of keypoints for an object, {says} keypoints"
            )
        row[:points] = np.reshape(one.keypoints, (points, 3))
    return out


def _masks(sample: StoredSample) -> U8:
    record = sample.record
    out = np.zeros((len(record.objects), record.height, record.width), np.uint8)
    instance = _raster(sample, "instance.png") if any(map(_by_instance, record.objects)) else None
    for mask, one in zip(out, record.objects, strict=True):
        if one.segmentation is not None:
            mask[:] = _mask(sample, one.segmentation)
        elif instance is not None and one.instance:
            mask[:] = instance == one.instance
    return out


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
