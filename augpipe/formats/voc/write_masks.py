"""Writing Pascal VOC's masks: SegmentationObject and SegmentationClass, palette PNGs whose values are positions.

A value of SegmentationObject is the position of an object in the XML, from 1; one of SegmentationClass is that of its
class in ``labelmap.txt``, whose colors are VOC's. 0 is background, 255 void. A pixel has one value, so of masks that
overlap the later one is whole. The rasters of a source that has them stay as they are, with their void borders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augpipe.core.annotations import U8, Annotations, Category, Raster, Rings, Segmentation
from augpipe.core.opencv import cv2
from augpipe.formats.losses import Loss
from augpipe.formats.voc.masks import palette
from augpipe.labels.rle import rle_of_rings, window_of
from augpipe.pixels.codec.header import MAX_PIXELS
from augpipe.pixels.codec.label_png import encode_palette

VOID = 255
_MOST = VOID - 1
_COLORS = palette()


@dataclass(frozen=True, eq=False)
class Masks:
    """The two masks of a picture, (H, W); ``objects`` is ``None`` where only classes are known."""

    classes: U8
    objects: U8 | None


def masks_of(
    annotations: Annotations, size_wh: tuple[int, int] | None, labels: Mapping[int, int]
) -> tuple[Masks | None, list[Loss]]:
    """(the masks of a picture, ``None`` if it has none; what of them is lost).

    ``labels`` is category id → position in the labelmap.
    """
    objects, losses = _object_mask(annotations, size_wh)
    semantic = annotations.semantic
    if semantic is not None:
        classes, strange = looked_up(semantic, {0: 0, **labels}, void_of(semantic))
        losses += [Loss("values of semantic masks that are no class", strange)] if strange else []
    elif objects is not None:
        of_object = {i + 1: labels[c] for i, c in enumerate(annotations.objects.category_id.tolist())}
        classes, _ = looked_up(objects, {0: 0, **of_object}, VOID)
    else:
        return None, losses
    return Masks(classes, objects), losses


def _object_mask(annotations: Annotations, size_wh: tuple[int, int] | None) -> tuple[U8 | None, list[Loss]]:
    objects, raster = annotations.objects, annotations.instance
    if raster is not None and objects.instance.any():
        numbers = {v: i + 1 for i, v in enumerate(objects.instance.tolist()) if v}
        losses = [Loss("masks beyond the 254th object", 1, int(objects.index[n - 1]))
                  for n in numbers.values() if n > _MOST]  # fmt: skip
        return looked_up(raster, {0: 0, **numbers}, void_of(raster))[0], losses
    if not any(objects.segmentation):
        return None, []
    if size_wh is None or size_wh[0] * size_wh[1] > MAX_PIXELS:
        return None, [Loss("masks of pictures of unknown size, or of too many pixels",
                           sum(s is not None for s in objects.segmentation))]  # fmt: skip
    return _painted(objects.segmentation, objects.index.tolist(), size_wh)


def _painted(
    segmentations: Sequence[Segmentation | None], indexes: Sequence[int], size_wh: tuple[int, int]
) -> tuple[U8, list[Loss]]:
    out = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    areas: dict[int, int] = {}
    losses = []
    for i, segmentation in enumerate(segmentations):
        if segmentation is None:
            continue
        window = _window(segmentation, size_wh) if i < _MOST else None
        if window is None or not window[0].any():
            what = "masks that cannot be painted" if i < _MOST else "masks beyond the 254th object"
            losses.append(Loss(what, 1, indexes[i]))
            continue
        bitmap, (x, y) = window
        out[y : y + bitmap.shape[0], x : x + bitmap.shape[1]][bitmap != 0] = i + 1
        areas[i] = int(np.count_nonzero(bitmap))
        if isinstance(segmentation, Rings):
            losses.append(Loss("polygons, written as pixels", 1, indexes[i]))
    seen = np.bincount(out.reshape(-1), minlength=len(segmentations) + 1)
    losses += (Loss("masks that others overlap", 1, indexes[i]) for i, area in areas.items() if seen[i + 1] < area)
    return out, losses


def _window(segmentation: Segmentation, size_wh: tuple[int, int]) -> tuple[U8, tuple[int, int]] | None:
    """The tight bitmap of a mask and where its top left pixel is, ``None`` if it is no mask of such a picture."""
    try:
        if not isinstance(segmentation, Rings):
            return window_of(segmentation) if segmentation.size_hw == size_wh[::-1] else None
        return window_of(rle_of_rings(segmentation.rings, size_wh)) if segmentation.rings else None
    except ValueError:
        return None


def void_of(raster: Raster) -> int:
    """The highest value that a raster's type holds, which is void."""
    return int(np.iinfo(raster.dtype).max)


def looked_up(raster: Raster, numbers: Mapping[int, int], void: int) -> tuple[U8, int]:
    """(the raster with other values, how many values it has that are not known); these are void then."""
    small = raster.dtype == np.uint8 and raster.size > 0  # each value has a place in a table; others are sorted
    if small:
        values, places = np.flatnonzero(cv2.calcHist([raster], [0], None, [256], [0, 256])), raster
    else:
        values, places = np.unique(raster, return_inverse=True)
    known = [numbers.get(v, 0 if v == 0 else VOID) for v in values.tolist()]
    table = np.array([n if n <= _MOST or n == VOID else VOID for n in known], np.uint8)
    strange = sum(v not in numbers and v not in (void, VOID) for v in values.tolist())
    if not small:
        return table[places].reshape(raster.shape), strange
    by_value = np.zeros(256, np.uint8)
    by_value[values] = table
    out: U8 = cv2.LUT(np.ascontiguousarray(raster), by_value)  # type: ignore[assignment]
    return out, strange


def png_of(mask: U8) -> bytes:
    """A mask as PNG with VOC's palette."""
    return encode_palette(mask, _COLORS)


def labelmap_of(categories: Sequence[Category]) -> str:
    """``labelmap.txt``: what the values of SegmentationClass are, with their colors. Source: Datumaro, and CVAT."""
    names = ["background", *(c.name for c in categories)]
    colors = (_COLORS[i % len(_COLORS)] for i in range(len(names)))
    return "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in zip(names, colors, strict=True))


def is_listable(name: str) -> bool:
    """Whether a line of a labelmap can begin with it, and says so when it is read."""
    return ":" not in name and not name.startswith("#") and name == name.strip() and len(name.splitlines()) == 1
