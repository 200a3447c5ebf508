"""COCO: one JSON object becomes an object of a picture, one JSON category a category.

A box is [x, y, width, height] from the picture's top left corner, in the convention of :mod:`augpipe.core.geometry`
already. Segmentation is a list of polygons, or run lengths, compressed or not. Boxes and areas of real files do not
always agree with their masks; both are kept as the file has them until something moves. Fields that COCO does not
define travel through untouched, and those of Pascal VOC (truncated, difficult, …) are understood. JSON's types are
what tools make of them: 3 may be 3.0, a flag "1", and true must never be taken for the number 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from augpipe.core.annotations import (
    F64,
    Category,
    Dropped,
    ObjectAttributes,
    ObjectPart,
    ObjectRow,
    Rings,
    Rle,
    Segmentation,
)
from augpipe.core.errors import one_line
from augpipe.core.geometry import bounds_of
from augpipe.formats.limits import FARTHEST
from augpipe.labels import rle as masks
from augpipe.labels.keypoints import flip_pairs_of
from augpipe.labels.polygons import is_tangled

_EXACT = 2**53  # from here on a float stands for many whole numbers
_LONG = 100

_COCO_FIELDS = frozenset(
    {"id", "image_id", "category_id", "bbox", "segmentation", "keypoints", "num_keypoints", "iscrowd", "area"}
)
_NUMBERS = frozenset({int, float})  # and not bool, which is an int to Python
_FLAGS = ("truncated", "difficult", "occluded")
_WORDS = {"0": 0, "1": 1, "false": 0, "true": 1}


def whole_number(value: Any) -> int | None:
    """A whole number of 64 bits, also where a tool has written 3 as 3.0; ``None`` for anything else, as for true."""
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return None
    if isinstance(value, float):
        return int(value) if abs(value) < _EXACT and value.is_integer() else None
    return value if -(2**63) <= value < 2**63 else None


def identity_of(value: Any) -> int | str | None:
    """The id of an annotation or picture: a whole number or a text."""
    return value if isinstance(value, str) else whole_number(value)


def _flag(value: Any) -> int | None:
    """0 or 1 of what tools write for a flag; ``None`` if it says neither."""
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    return int(value != 0) if isinstance(value, (bool, int, float)) else None


def numbers_of(values: Any, count: int) -> list[float] | None:
    """``count`` finite numbers as floats; ``None`` if the value is anything else."""
    if not isinstance(values, (list, tuple)) or len(values) != count:
        return None
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    try:
        numbers = list(map(float, values))
    except OverflowError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def object_of(
    row: Mapping[str, Any], index: int, category: Category, size_wh: tuple[int, int] | None, notes: set[str]
) -> ObjectRow | Dropped:
    """One annotation object, or why it cannot be one; ``notes`` gains what was found on the way."""
    identity = identity_of(row.get("id"))
    segmentation = segmentation_of(row.get("segmentation"), size_wh, notes)
    keypoints = keypoints_of(row.get("keypoints"), category, notes)
    box = box_of(row.get("bbox"))
    if box is None:
        box = _around(segmentation, keypoints)
        if box is None:
            return Dropped(index, category.id, "degenerate", None, identity)
        notes.add("box-remade")
    known: dict[str, Any] = {}
    parts: tuple[ObjectPart, ...] = ()
    obb: F64 | None = None
    attributes: dict[str, Any] = {}
    if not row.keys() <= _COCO_FIELDS:
        known = {name: _flag(row.get(name)) for name in _FLAGS}
        known["pose"] = row["pose"] if isinstance(row.get("pose"), str) else None
        parts, obb = parts_of(row.get("parts")), obb_of(row.get("obb"))
        understood = {name for name, value in known.items() if value is not None}
        understood |= {name for name, value in (("parts", parts), ("obb", obb)) if value is not None and len(value)}
        attributes = {k: v for k, v in row.items() if k not in _COCO_FIELDS and k not in understood}
    return ObjectRow(
        index=index,
        category_id=category.id,
        box_xyxy=box,
        iscrowd=_flag(row.get("iscrowd")) or 0,
        segmentation=segmentation,
        keypoints=keypoints,
        obb=obb,
        parts=parts,
        facts=ObjectAttributes(id=identity, attributes=attributes, **known),
    )


def box_of(bbox: Any) -> tuple[float, float, float, float] | None:
    """xyxy of [x, y, width, height]; ``None`` if it is no box or has no area."""
    numbers = numbers_of(bbox, 4)
    if numbers is None or numbers[2] <= 0.0 or numbers[3] <= 0.0:
        return None
    x, y, w, h = numbers
    # So far out, or so thin, that the sum is the number itself: no side is left.
    return (x, y, x + w, y + h) if x < x + w < math.inf and y < y + h < math.inf else None


def segmentation_of(value: Any, size_wh: tuple[int, int] | None, notes: set[str]) -> Segmentation | None:
    """Polygons or a mask; rings without three points and codes that are none are left out and noted."""
    if isinstance(value, list):
        if value and _NUMBERS.issuperset(map(type, value)):
            value = [value]  # one ring, without the list around it
        rings = tuple(rings_of(value))
        if is_tangled(rings):
            rings = ()
        if len(rings) != len(value):
            notes.add("ring-left-out")
        return Rings(rings) if rings else None
    if not isinstance(value, dict):
        return None
    try:
        return rle_of_json(value, size_wh)
    except (ValueError, TypeError, OverflowError):
        notes.add("mask-left-out")
        return None


def rle_of_json(value: Mapping[str, Any], size_wh: tuple[int, int] | None = None) -> Rle:
    """A mask from COCO's ``{"size": [h, w], "counts": …}``, compressed or not.

    Raises ``ValueError``, ``TypeError`` or ``OverflowError`` if it is none, or of another picture size.
    """
    size, counts = [whole_number(v) for v in value["size"]] if value.get("size") else [], value.get("counts")
    if len(size) != 2 or not all(v is not None and 0 < v < FARTHEST for v in size):
        raise ValueError("no size")
    size_hw = (size[0] or 0, size[1] or 0)
    if size_wh is not None and size_hw not in (size_wh[::-1], size_wh):
        raise ValueError("another size")
    if isinstance(counts, list):
        return masks.rle_of_runs(counts, size_hw)
    if not isinstance(counts, str):
        raise ValueError("no counts")
    rle = Rle(size_hw, counts.encode("ascii"))
    masks.check(rle)
    return rle


def rings_of(values: Sequence[Any]) -> Iterator[F64]:
    """The usable rings of a COCO polygon list: flat, at least three points, none of them nowhere."""
    for ring in values:
        if isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0:
            try:
                points = np.array(ring, np.float64).reshape(-1, 2)
            except (TypeError, ValueError, OverflowError):
                continue
            if _is_near(ring, points):
                yield points


def _is_near(ring: list[Any], points: F64) -> bool:
    """Whether no coordinate is nowhere. Lists are short, so Python is done before NumPy has begun."""
    if len(ring) < _LONG and _NUMBERS.issuperset(map(type, ring)):
        return min(ring) > -FARTHEST and max(ring) < FARTHEST and math.isfinite(sum(ring))
    return bool((np.abs(points) < FARTHEST).all())  # false for NaN too


def keypoints_of(value: Any, category: Category, notes: set[str]) -> F64 | None:
    """Keypoints (K, 3) of the flat [x, y, v]·K; another count than the category's is left out and noted."""
    if not isinstance(value, list) or not value:
        return None
    expected = 3 * len(category.keypoints) if category.keypoints else len(value)
    numbers = numbers_of(value, expected)
    if numbers is None or len(numbers) % 3:
        notes.add("keypoints-left-out")
        return None
    points = np.array(numbers, np.float64).reshape(-1, 3)
    visibility = np.clip(np.ceil(points[:, 2]), 0.0, 2.0)  # a confidence of 0.3 means labelled
    if not np.array_equal(visibility, points[:, 2]):
        notes.add("keypoint-visibility-mended")
        points[:, 2] = visibility
    return points


def _around(segmentation: Segmentation | None, keypoints: F64 | None) -> tuple[float, float, float, float] | None:
    """A box for an object that states none: around its mask, else around its labelled keypoints."""
    if isinstance(segmentation, Rings):
        box = bounds_of(np.concatenate(segmentation.rings))
    elif isinstance(segmentation, Rle):
        box = np.array(masks.box_of(segmentation) or (0, 0, 0, 0), np.float64)
    elif keypoints is not None and (keypoints[:, 2] > 0).sum() > 1:
        box = bounds_of(keypoints[keypoints[:, 2] > 0, :2])
    else:
        return None
    x0, y0, x1, y1 = box.tolist()
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def parts_of(value: Any) -> tuple[ObjectPart, ...]:
    """Parts as augpipe writes them, name and ``box_xyxy``; none if any of the list is something else."""
    out = []
    for part in value if isinstance(value, list) else []:
        box = numbers_of(part.get("box_xyxy"), 4) if isinstance(part, dict) else None
        if box is None or not isinstance(part.get("name"), str):
            return ()
        out.append(ObjectPart(part["name"], (box[0], box[1], box[2], box[3])))
    return tuple(out)


def obb_of(value: Any) -> F64 | None:
    """An oriented box (4, 2) as augpipe writes it in COCO, flat [x, y]·4; ``None`` if it is anything else."""
    numbers = numbers_of(value, 8)
    return None if numbers is None or max(map(abs, numbers)) >= FARTHEST else np.array(numbers).reshape(4, 2)


def category_of(value: Any, file: str) -> Category:
    """A category of a COCO file, without its label; raises ``ValueError`` without an integer id or a name."""
    number = whole_number(value.get("id")) if isinstance(value, dict) else None
    if number is None or not isinstance(value.get("name"), str):
        raise ValueError(f"{file}: a category needs an integer 'id' and a 'name', got {one_line(repr(value), 80)}")
    names, skeleton, supercategory = (value.get(k) for k in ("keypoints", "skeleton", "supercategory"))
    keypoints = tuple(map(str, names)) if isinstance(names, list) else ()
    pairs = [numbers_of(pair, 2) for pair in skeleton] if isinstance(skeleton, list) else []
    return Category(
        id=number,
        label=0,
        name=value["name"],
        supercategory=supercategory if isinstance(supercategory, str) and supercategory else None,
        keypoints=keypoints,
        skeleton=tuple((int(p[0]), int(p[1])) for p in pairs if p is not None),
        flip_pairs=flip_pairs_of(keypoints),
        isthing=_flag(value.get("isthing")),
    )
