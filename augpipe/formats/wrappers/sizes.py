"""Labels that state another size than their picture has: kept, scaled to the picture, or rejected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from augpipe.core.annotations import (
    F64,
    Annotations,
    Header,
    ObjectPart,
    Raster,
    Rings,
    Rle,
    Segmentation,
)
from augpipe.core.errors import Reject
from augpipe.formats.base import Dataset, Entry, Reader
from augpipe.formats.image_header import header_at

SizeMismatch = Literal["keep", "scale", "reject"]


@dataclass(frozen=True)
class SizedReader:
    """A reader whose labels are of the size of their picture."""

    reader: Reader
    choice: SizeMismatch

    def annotations(self, entry: Entry) -> Annotations:
        labels = self.reader.annotations(entry)
        if labels.size_wh is None or entry.picture is None:
            return labels
        try:
            header = header_at(entry.picture)
        except Reject:  # told when the picture is read
            return labels
        if labels.size_wh in (header.stored_wh, header.upright_wh):
            return labels
        if self.choice == "reject":
            stated, real = ("×".join(map(str, size)) for size in (labels.size_wh, header.upright_wh))
            message = f"the labels say {stated}, the picture is {real}; --size-mismatch scale or keep takes it"
            raise Reject("labels", "size-mismatch", message, file=entry.file)
        return scaled(labels, header)


def with_sizes(dataset: Dataset, choice: SizeMismatch) -> Dataset:
    """The dataset with labels of another size than their picture as they are asked for."""
    return dataset if choice == "keep" else replace(dataset, reader=SizedReader(dataset.reader, choice))


def scaled(labels: Annotations, header: Header) -> Annotations:
    """Labels of the size that they state as labels of the upright picture, with a note. Masks are taken by the nearest
    pixel."""
    before, after = labels.size_wh or header.upright_wh, header.upright_wh
    factor = np.array(after, np.float64) / np.array(before, np.float64)
    objects = labels.objects
    four = np.concatenate([factor, factor])
    moved = replace(
        objects,
        boxes_xyxy=objects.boxes_xyxy * four,
        segmentation=tuple(_segmentation(s, before, after) for s in objects.segmentation),
        keypoints=tuple(None if k is None else k * np.array([*factor, 1.0]) for k in objects.keypoints),
        obb=tuple(None if o is None else o * factor for o in objects.obb),
        parts=tuple(tuple(_part(part, four) for part in parts) for parts in objects.parts),
    )
    return replace(
        labels,
        objects=moved,
        semantic=_raster(labels.semantic, before, after),
        instance=_raster(labels.instance, before, after),
        panoptic=_raster(labels.panoptic, before, after),
        size_wh=after,
        notes=tuple(sorted({*labels.notes, "size-mismatch-scaled"})),
    )


def _part(part: ObjectPart, four: F64) -> ObjectPart:
    x0, y0, x1, y1 = (np.array(part.box_xyxy) * four).tolist()
    return ObjectPart(part.name, (x0, y0, x1, y1))


def _segmentation(one: Segmentation | None, before: tuple[int, int], after: tuple[int, int]) -> Segmentation | None:
    if isinstance(one, Rings):
        factor = np.array(after, np.float64) / np.array(before, np.float64)
        return Rings(tuple(ring * factor for ring in one.rings))
    if one is None or one.size_hw != before[::-1]:
        return one
    from augpipe.labels.rle import rle_of, window_of

    window, (x, y) = window_of(one)
    bitmap = np.zeros(one.size_hw, np.uint8)
    bitmap[y : y + window.shape[0], x : x + window.shape[1]] = window
    large: Rle = rle_of(_nearest(bitmap, after).astype(np.uint8), (0, 0), after)
    return large


def _raster(raster: Raster | None, before: tuple[int, int], after: tuple[int, int]) -> Raster | None:
    return raster if raster is None or raster.shape != before[::-1] else _nearest(raster, after)


def _nearest(raster: Raster, after: tuple[int, int]) -> Raster:
    """The raster with other sides: each pixel is that of the source in which its center lies."""
    h, w = raster.shape
    columns = ((np.arange(after[0]) + 0.5) * w / after[0]).astype(np.int64)
    rows = ((np.arange(after[1]) + 0.5) * h / after[1]).astype(np.int64)
    out: Raster = raster[rows[:, None], columns[None, :]]
    return out
