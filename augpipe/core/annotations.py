"""A picture and its labels as frozen data.

Coordinates follow :mod:`augpipe.core.geometry`: pixel *i* covers the interval [i, i+1), x to the right, y down, boxes
``xyxy`` and half-open. An object is one index into parallel columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
U8: TypeAlias = NDArray[np.uint8]
Raster: TypeAlias = NDArray[np.integer[Any]]
Attributes: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Category:
    """One class of the dataset.

    ``id`` is the source's own id (1..K where the format has none), ``label`` counts 1..K in id order (0 is
    background). ``flip_pairs`` are 0-based index pairs into ``keypoints`` that a mirror image swaps; ``skeleton`` is
    kept as the source has it (1-based in COCO). ``isthing`` is COCO panoptic's: 1 for things, 0 for stuff.
    """

    id: int
    label: int
    name: str
    supercategory: str | None = None
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    isthing: int | None = None


def class_names(categories: Iterable[Category]) -> dict[int, str]:
    """Category id → name."""
    return {category.id: category.name for category in categories}


@dataclass(frozen=True, eq=False)
class Rings:
    """A mask as the union of polygons, as COCO stores it: each ring is float64, shape (n ≥ 3, 2), open."""

    rings: tuple[F64, ...]


@dataclass(frozen=True, eq=False)
class Rle:
    """A mask as COCO's compressed run-length code: column-major runs, ``counts`` an ASCII string."""

    size_hw: tuple[int, int]
    counts: bytes


Segmentation: TypeAlias = Rings | Rle


@dataclass(frozen=True)
class ObjectAttributes:
    """What does not move with the picture; ``None`` is not known. ``attributes`` are the source's other fields.

    ``ignored`` is the limit of a recipe for which the object has become a region to ignore.
    """

    id: int | str | None = None
    truncated: int | None = None
    difficult: int | None = None
    occluded: int | None = None
    pose: str | None = None
    attributes: Attributes = field(default_factory=dict)
    ignored: str | None = None


@dataclass(frozen=True)
class ObjectPart:
    """A named part of an object with its own box, as in Pascal VOC's person layout."""

    name: str
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one picture as parallel columns of length N.

    ``index`` is the position in the source picture's object list; ``keypoints`` rows are (x, y, v); ``obb`` rows are
    four corners; ``instance`` is the value in the instance raster, 0 for none.
    """

    index: I64
    category_id: I64
    boxes_xyxy: F64
    iscrowd: U8
    instance: I64
    segmentation: tuple[Segmentation | None, ...]
    keypoints: tuple[F64 | None, ...]
    obb: tuple[F64 | None, ...]
    parts: tuple[tuple[ObjectPart, ...], ...]
    facts: tuple[ObjectAttributes, ...]

    def __len__(self) -> int:
        return len(self.facts)

    def take(self, rows: Sequence[int]) -> Objects:
        """The objects at ``rows``, in that order."""
        chosen = np.asarray(rows, np.int64)
        return Objects(
            self.index[chosen],
            self.category_id[chosen],
            self.boxes_xyxy[chosen],
            self.iscrowd[chosen],
            self.instance[chosen],
            *(  # type: ignore[arg-type]
                tuple(column[i] for i in rows)
                for column in (self.segmentation, self.keypoints, self.obb, self.parts, self.facts)
            ),
        )


_NO_FACTS = ObjectAttributes()


@dataclass(slots=True, eq=False)
class ObjectRow:
    """One object while a picture is being read; :func:`objects_of` turns rows into columns."""

    index: int
    category_id: int
    box_xyxy: tuple[float, float, float, float]
    iscrowd: int = 0
    instance: int = 0
    segmentation: Segmentation | None = None
    keypoints: F64 | None = None
    obb: F64 | None = None
    parts: tuple[ObjectPart, ...] = ()
    facts: ObjectAttributes = _NO_FACTS


def objects_of(rows: Sequence[ObjectRow]) -> Objects:
    """The columns of ``rows``; an empty sequence gives arrays of the right shape."""
    return Objects(
        index=np.array([r.index for r in rows], np.int64),
        category_id=np.array([r.category_id for r in rows], np.int64),
        boxes_xyxy=np.array([r.box_xyxy for r in rows], np.float64).reshape(-1, 4),
        iscrowd=np.array([r.iscrowd for r in rows], np.uint8),
        instance=np.array([r.instance for r in rows], np.int64),
        segmentation=tuple(r.segmentation for r in rows),
        keypoints=tuple(r.keypoints for r in rows),
        obb=tuple(r.obb for r in rows),
        parts=tuple(r.parts for r in rows),
        facts=tuple(r.facts for r in rows),
    )


NO_OBJECTS = objects_of(())


@dataclass(frozen=True, eq=False)
class Annotations:
    """All labels of one picture.

    ``semantic`` and ``instance`` are (H, W) arrays of 8 or 16 bits, ``panoptic`` (H, W) uint32. ``size_wh`` is the
    picture's size as the labels state it, ``None`` where they do not. ``dropped`` lists objects that reading already
    had to drop, as (index, category id, reason).
    """

    objects: Objects = NO_OBJECTS
    semantic: Raster | None = None
    instance: Raster | None = None
    panoptic: Raster | None = None
    segments_info: tuple[Attributes, ...] = ()
    tags: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    size_wh: tuple[int, int] | None = None
    image_id: int | None = None
    attributes: Attributes = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()

    def with_objects(self, objects: Objects) -> Annotations:
        return replace(self, objects=objects)


@dataclass(frozen=True)
class Dropped:
    """An object that is left out.

    ``reason`` is outside, min_visibility, min_area, min_side, erased, degenerate or merged; ``value`` is the number
    that was too small, where there is one.
    """

    index: int
    category_id: int
    reason: str
    value: float | None = None
    id: int | str | None = None


@dataclass(frozen=True)
class Header:
    """The header of a picture file.

    ``stored_wh`` is the size of the stored pixels, ``orientation`` the EXIF value 1..8 (anything else counts as 1),
    ``format`` and ``mode`` are Pillow's names for the file format and the kind of pixels.

    The rest says how the pixels are to be read. ``bits`` is the depth of a stored sample. ``bands`` are the numbers,
    from 0, of the bands of a TIFF that become gray, or red, green, blue; empty where the file is read in the usual way.
    ``levels`` are the values of 16-bit samples that become 0 and 255. ``as_rgb`` makes three equal channels of gray.
    ``lossless`` is whether storing it lost nothing, ``notes`` what reading it as 8-bit gray or RGB drops.
    """

    format: str
    stored_wh: tuple[int, int]
    orientation: int = 1
    mode: str = "RGB"
    bits: int = field(default=8, compare=False)
    bands: tuple[int, ...] = ()
    levels: tuple[int, int] = (0, 65535)
    as_rgb: bool = False
    lossless: bool = field(default=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def upright_wh(self) -> tuple[int, int]:
        """The size after the orientation is applied."""
        w, h = self.stored_wh
        return (h, w) if self.orientation >= 5 else (w, h)


@dataclass(frozen=True, eq=False)
class Frame:
    """A source picture without its pixels: upright size, and labels upright and clipped to it.

    ``class_names`` are those of the category ids, for operations that choose by class; ``split`` is the dataset's.
    """

    key: str
    size_wh: tuple[int, int]
    annotations: Annotations
    class_names: Mapping[int, str] = field(default_factory=dict)
    split: str = ""
