"""Labels of one picture as a caller has them, to the labels that plans move, and back in the same form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import (
    F64,
    I64,
    U8,
    Annotations,
    Category,
    ObjectAttributes,
    Objects,
    Raster,
    Rings,
    Rle,
    Segmentation,
)
from augpipe.core.errors import UsageError, one_line
from augpipe.interactive.arrays import BoxForm, boxes_of, number_of, numbers, refused, xyxy_of
from augpipe.labels.keypoints import flip_pairs_of
from augpipe.labels.rle import rasterise, rle_of
from augpipe.labels.transform import Labelled

Label: TypeAlias = str | int

_NOTHING = ObjectAttributes()
_ONE = "object"


@dataclass(frozen=True)
class GivenLabels:
    """The labels of a call, as they came; see :meth:`augpipe.interactive.pipeline.Pipeline.__call__`."""

    boxes: Any = None
    labels: Any = None
    masks: Any = None
    polygons: Any = None
    keypoints: Any = None
    semantic: Any = None


@dataclass(frozen=True)
class DroppedObject:
    """An object that is not in the result: its row, its label, the reason, and the number that was too small."""

    index: int
    label: Label | None
    reason: str
    value: float | None = None


@dataclass(frozen=True)
class Read:
    """The labels of a call as plans move them, and their classes by id; ``labels`` has those of the call."""

    annotations: Annotations
    categories: Mapping[int, Category]
    labels: Sequence[Label] | None


@dataclass(frozen=True, eq=False)
class GivenBack:
    """What is given back: ``None`` of what did not come."""

    boxes: F64 | None
    labels: Any
    masks: NDArray[Any] | None
    polygons: list[list[F64]] | None
    keypoints: F64 | None
    semantic: Raster | None
    index: I64
    visible: F64
    dropped: tuple[DroppedObject, ...]


@dataclass(frozen=True)
class LabelForm:
    """How a caller writes labels: the form of boxes, the names of classes and those of keypoints."""

    boxes: BoxForm = "xyxy"
    classes: tuple[str, ...] | None = None
    keypoints: tuple[str, ...] = ()
    known: Mapping[int, Category] = field(default_factory=dict)

    def categories(self, names: Sequence[str]) -> tuple[Category, ...]:
        """Classes of these names."""
        pairs = flip_pairs_of(self.keypoints)
        return tuple(Category(i, i, name, None, self.keypoints, (), pairs) for i, name in enumerate(names, 1))

    def read(self, given: GivenLabels, size_wh: tuple[int, int]) -> Read:
        """The labels of a picture.

        Raises:
            UsageError: they are not as expected.
        """
        boxes = None if given.boxes is None else numbers("boxes", given.boxes, (None, 4), "(N, 4) numbers")
        points = None if given.keypoints is None else _keypoints(given.keypoints, self.keypoints)
        masks = None if given.masks is None else _masks(given.masks, size_wh)
        polygons = None if given.polygons is None else _polygons(given.polygons)
        if masks is not None and polygons is not None:
            raise UsageError("masks, polygons: expected one of them, as an object has one shape")
        labels = None if given.labels is None else _labels(given.labels)
        count = number_of(boxes=boxes, labels=labels, masks=masks, polygons=polygons, keypoints=points)
        shapes: Sequence[Segmentation | None] = masks or polygons or (None,) * count
        if boxes is not None:
            corners = xyxy_of(boxes, self.boxes, size_wh)
        elif masks is None and polygons is None and points is None and count:
            raise UsageError(
                "labels: expected boxes, masks, polygons or keypoints beside them, which say where they are"
            )
        else:
            corners = np.array([_around(shapes[i], None if points is None else points[i]) for i in range(count)])
        ids, categories = self._classes(labels, count)
        objects = Objects(
            np.arange(count),
            ids,
            corners.reshape(-1, 4),
            np.zeros(count, np.uint8),
            np.zeros(count, np.int64),
            tuple(shapes),
            (None,) * count if points is None else tuple(points),
            (None,) * count,
            ((),) * count,
            (_NOTHING,) * count,
        )
        return Read(Annotations(objects, semantic=_semantic(given.semantic, size_wh)), categories, labels)

    def _classes(self, labels: Sequence[Label] | None, count: int) -> tuple[I64, Mapping[int, Category]]:
        """The class id of each object, and the classes by id."""
        if labels is None or not labels:
            known = self.known or {c.id: c for c in self.categories([_ONE])}
            return np.ones(count, np.int64), known
        if self.classes is None:
            names = sorted({str(label) for label in labels})
            numbers_of = {name: i for i, name in enumerate(names, 1)}
            ids = [numbers_of[str(label)] for label in labels]
            return np.array(ids, np.int64), {c.id: c for c in self.categories(names)}
        found = []
        for label in labels:
            if isinstance(label, str):
                if label not in self.classes:
                    there = one_line(", ".join(self.classes[:8]), 120)
                    raise UsageError(f"labels: no class '{one_line(label, 80)}' among classes={there}")
                found.append(self.classes.index(label) + 1)
            elif 0 <= label < len(self.classes):
                found.append(label + 1)
            else:
                raise UsageError(
                    f"labels: expected 0 to {len(self.classes) - 1} for {len(self.classes)} classes, got {label}"
                )
        return np.array(found, np.int64), self.known

    def back(self, given: GivenLabels, read: Read, labelled: Labelled) -> GivenBack:
        """The labels behind a plan in the forms in which they came."""
        objects, (width, height) = labelled.annotations.objects, labelled.size_wh
        index, labels = objects.index, read.labels
        corners = np.minimum(np.maximum(objects.boxes_xyxy, 0.0), (width, height, width, height))
        masks, polygons, keypoints = None, None, None
        if given.masks is not None:
            kind = getattr(given.masks, "dtype", np.dtype(bool))
            planes = [rasterise(s, (width, height)) for s in objects.segmentation if s is not None]
            masks = np.array(planes, np.uint8).reshape(-1, height, width).astype(kind)
        if given.polygons is not None:
            polygons = [list(s.rings) if isinstance(s, Rings) else [] for s in objects.segmentation]
        if given.keypoints is not None:
            rows = [k for k in objects.keypoints if k is not None]
            shape = np.shape(given.keypoints)
            keypoints = np.array(rows, np.float64).reshape(-1, shape[1] if len(shape) == 3 else 0, 3)
        return GivenBack(
            boxes_of(corners, self.boxes, (width, height)) if given.boxes is not None else None,
            None if labels is None else _like(given.labels, labels)([labels[i] for i in index.tolist()]),
            masks,
            polygons,
            keypoints,
            labelled.annotations.semantic,
            index,
            np.array([shape.visible for shape in labelled.shapes], np.float64),
            tuple(
                DroppedObject(d.index, None if labels is None else labels[d.index], d.reason, d.value)
                for d in labelled.dropped
            ),
        )


# --- what comes in ---------------------------------------------------------------------------------------------------


def _labels(value: Any) -> list[Label]:
    words = "names, or whole numbers from 0 on, a row each"
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or (value.size and value.dtype.kind not in "iuUO"):
            raise refused("labels", words, value)
        value = value.tolist()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise refused("labels", words, value)
    plain = [label.item() if isinstance(label, np.generic) else label for label in value]
    if strange := [label for label in plain if isinstance(label, bool) or not isinstance(label, str | int)]:
        raise refused("labels", words, strange[0])
    return plain


def _like(given: Any, labels: Sequence[Label]) -> Callable[[list[Label]], Any]:
    """A function that makes of labels what the given ones were: an array, a tuple or a list."""
    if isinstance(given, np.ndarray):
        return lambda kept: np.array(kept, given.dtype)
    return tuple if isinstance(given, tuple) else list


def _keypoints(value: Any, names: Sequence[str]) -> list[F64]:
    words = "(N, K, 3) numbers x, y, v, or (N, K, 2) numbers x, y"
    found = numbers("keypoints", value, (None, None, None), words)
    if len(found) and (found.shape[2] not in (2, 3) or (names and found.shape[1] != len(names))):
        many = f" with K = {len(names)}, as there are names" if names else ""
        raise refused("keypoints", words + many, found)
    if len(found) and found.shape[2] == 2:
        found = np.concatenate([found, np.full((*found.shape[:2], 1), 2.0)], axis=2)
    return list(found)


def _masks(value: Any, size_wh: tuple[int, int]) -> tuple[Rle, ...]:
    words = f"(N, {size_wh[1]}, {size_wh[0]}) bool or uint8, as the picture is {size_wh[0]}×{size_wh[1]}"
    try:
        found = np.asarray(value)
    except ValueError:
        raise refused("masks", words, value) from None
    if found.size == 0 and len(found) == 0:
        return ()
    if found.ndim != 3 or found.shape[1:] != size_wh[::-1] or found.dtype.kind not in "bui":
        raise refused("masks", words, found)
    return tuple(_rle(plane) for plane in found != 0)


def _rle(plane: NDArray[np.bool_]) -> Rle:
    """The code of one mask, by way of its own window."""
    height, width = plane.shape
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not rows.size:
        return rle_of(np.zeros((0, 0), np.uint8), (0, 0), (width, height))
    top, left = int(rows[0]), int(columns[0])
    window: U8 = np.ascontiguousarray(plane[top : rows[-1] + 1, left : columns[-1] + 1]).astype(np.uint8)
    return rle_of(window, (left, top), (width, height))


def _polygons(value: Any) -> tuple[Rings, ...]:
    words = "for each object a ring (n, 2), or a list of rings"
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        raise refused("polygons", words, value)
    return tuple(_rings(one, i, words) for i, one in enumerate(value))


def _rings(value: Any, row: int, words: str) -> Rings:
    name = f"polygons[{row}]"
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or not len(value):
        raise refused(name, words, value)
    single = np.ndim(value[0]) == 1
    rings = tuple(numbers(name, ring, (None, 2), words) for ring in ([value] if single else value))
    if short := [len(ring) for ring in rings if len(ring) < 3]:
        raise UsageError(f"{name}: expected three points or more in a ring, got {short[0]}")
    return Rings(rings)


def _semantic(value: Any, size_wh: tuple[int, int]) -> Raster | None:
    if value is None:
        return None
    words = f"({size_wh[1]}, {size_wh[0]}) of uint8 or uint16, as the picture is {size_wh[0]}×{size_wh[1]}"
    if not isinstance(value, np.ndarray) or value.dtype not in (np.uint8, np.uint16) or value.shape != size_wh[::-1]:
        raise refused("semantic", words, value)
    return np.ascontiguousarray(value)


def _around(shape: Segmentation | None, points: F64 | None) -> tuple[float, ...]:
    """The box of an object that came without one."""
    from augpipe.labels.rle import box_of

    if isinstance(shape, Rle):
        return tuple(map(float, box_of(shape) or (0, 0, 0, 0)))
    every = np.concatenate(shape.rings) if shape is not None else _labelled(points)
    return (*every.min(axis=0).tolist(), *every.max(axis=0).tolist()) if len(every) else (0.0, 0.0, 0.0, 0.0)


def _labelled(points: F64 | None) -> F64:
    """The places of keypoints that are labelled."""
    if points is None:
        return np.empty((0, 2))
    return points[points[:, 2] > 0, :2]
