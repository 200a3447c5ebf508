"""YOLO: a text file a picture, a row an object, all numbers as fractions of the picture (Ultralytics' convention).

    detect    class  cx cy w h                      box by its centre and size
    segment   class  x1 y1 x2 y2 x3 y3 …            polygon
    pose      class  cx cy w h  (x y [v])·K         box and keypoints
    obb       class  x1 y1 x2 y2 x3 y3 x4 y4        corners of an oriented box

A file does not say which of them it holds; that is found for the whole dataset (:func:`kind_of`). x is a fraction of
the width, y of the height of the upright picture, as Ultralytics turns pictures before it looks at labels; with
``--exif stored`` of the stored one. So the header is read with the labels. No row takes its picture with it, but a
class that is in no list does, as for the other formats: then the names are those of another dataset.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from augpipe.core.annotations import F64, Annotations, Dropped, ObjectAttributes, ObjectRow, Rings, objects_of
from augpipe.core.errors import Reject, one_line
from augpipe.core.geometry import bounds_of
from augpipe.formats.base import Entry, read_picture
from augpipe.formats.image_header import header_at
from augpipe.formats.indexing import require_as_indexed
from augpipe.formats.limits import require_small
from augpipe.formats.yolo.data_yaml import Kind
from augpipe.labels.polygons import is_tangled
from augpipe.storage.byte_range import ByteRange, read_place

FARTHEST = 2.0
"""A fraction beyond −1 or 2 is no place: such numbers are pixels, or a mistake."""

_ROUNDING = 1e-6
_BETWEEN = b" \t\n\r\v\f"  # what parts the numbers of a row
_BOX, _CORNERS = 4, 8  # numbers behind the class


@dataclass(frozen=True)
class YoloReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of a label file, ``None`` for a picture without one.

    ``ids`` are category ids by class index, ``kpt_shape`` is (K, 2 or 3) for a pose dataset.
    """

    kind: Kind
    ids: tuple[int, ...]
    kpt_shape: tuple[int, int] | None = None
    exif: Literal["upright", "stored"] = "upright"

    def annotations(self, entry: Entry) -> Annotations:
        if entry.picture is None:
            read_picture(entry)  # rejects it
        place: ByteRange | None = entry.annotation
        data = b"" if place is None else read_place(place)
        require_as_indexed(entry, data)
        rows = list(rows_of(_small(data, entry.file)))
        if not rows or entry.picture is None:
            return Annotations()
        header = header_at(entry.picture)
        size = header.upright_wh if self.exif == "upright" else header.stored_wh
        found: list[ObjectRow] = []
        dropped: list[Dropped] = []
        notes: set[str] = set()
        for index, (line, tokens) in enumerate(rows):
            category_id = self._category(tokens[0], line, entry.file)
            numbers = numbers_of(tokens[1:], notes)
            row = None if numbers is None else self._object(index, category_id, numbers, size, notes)
            if row is None:
                dropped.append(Dropped(index, category_id, "degenerate"))
            else:
                found.append(row)
        return Annotations(objects=objects_of(found), size_wh=size, dropped=tuple(dropped), notes=tuple(sorted(notes)))

    def _category(self, token: str, line: int, file: str) -> int:
        number = _number(token)
        if number is None or not number.is_integer() or not 0 <= number < len(self.ids):
            message = f"{file}:{line}: class {one_line(repr(token), 40)} is none of 0 to {len(self.ids) - 1}"
            raise Reject("labels", "unknown-class", message, file=file, line=line)
        return self.ids[int(number)]

    def _object(
        self, index: int, category_id: int, numbers: Sequence[float], size_wh: tuple[int, int], notes: set[str]
    ) -> ObjectRow | None:
        """The object of a row, ``None`` if it is none."""
        count = len(numbers)
        if count == _BOX or (self.kpt_shape is not None and count == _BOX + math.prod(self.kpt_shape)):
            box = _box(numbers[:_BOX], size_wh)
            keypoints = _keypoints(numbers[_BOX:], self.kpt_shape, size_wh, notes) if count > _BOX else None
            return (
                None
                if box is None
                else ObjectRow(index, category_id, box, keypoints=keypoints, facts=ObjectAttributes())
            )
        fits = count == _CORNERS if self.kind == "obb" else count >= 6 and count % 2 == 0
        if self.kind == "pose" or not fits:
            notes.add("row-of-other-length")
            return None
        points = np.array(numbers).reshape(-1, 2) * size_wh
        if is_tangled([points]):
            notes.add("ring-left-out")
            return None
        x0, y0, x1, y1 = bounds_of(points).tolist()
        if not (x0 < x1 and y0 < y1):
            return None
        return ObjectRow(
            index,
            category_id,
            (x0, y0, x1, y1),
            segmentation=Rings((points,)) if self.kind == "segment" else None,
            obb=points if self.kind == "obb" else None,
        )


def _small(data: bytes, file: str) -> bytes:
    require_small([data], _BETWEEN, file)
    return data


def lengths_of(data: bytes) -> Counter[int]:
    """Numbers behind the class → rows with so many; none of a file that is too large, which reading rejects."""
    try:
        return Counter(len(tokens) - 1 for _, tokens in rows_of(_small(data, "")))
    except Reject:
        return Counter()


def rows_of(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, words) of each line of a label file that is not empty."""
    for line, text in enumerate(data.decode("utf-8-sig", "replace").splitlines(), start=1):
        if tokens := text.split():
            yield line, tokens


def numbers_of(tokens: Sequence[str], notes: set[str]) -> list[float] | None:
    """The fractions of a row; ``None``, and a note, if one of them is no number or no place."""
    numbers = [_number(token) for token in tokens]
    known = [n for n in numbers if n is not None]
    if len(known) < len(numbers):
        notes.add("row-not-numbers")
        return None
    if any(not 1.0 - FARTHEST <= n <= FARTHEST for n in known):
        notes.add("row-not-fractions")
        return None
    return known


def _number(token: str) -> float | None:
    try:
        value = float(token) if "_" not in token else math.nan  # Python's own 1_000 is no number of a file
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _box(numbers: Sequence[float], size_wh: tuple[int, int]) -> tuple[float, float, float, float] | None:
    (cx, cy, w, h), (width, height) = numbers, size_wh
    if w <= 0.0 or h <= 0.0:
        return None
    x0, y0, x1, y1 = map(_at_edge, (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
    box = (x0 * width, y0 * height, x1 * width, y1 * height)
    return box if box[0] < box[2] and box[1] < box[3] else None


def _at_edge(fraction: float) -> float:
    """A fraction that rounding has put out of the picture is at its edge: most tools write six decimals."""
    if -_ROUNDING <= fraction < 0.0:
        return 0.0
    return 1.0 if 1.0 < fraction <= 1.0 + _ROUNDING else fraction


def _keypoints(
    numbers: Sequence[float], kpt_shape: tuple[int, int] | None, size_wh: tuple[int, int], notes: set[str]
) -> F64 | None:
    """(K, 3). Where no v is written, a point at (0, 0) is one that was not labelled, and the others are seen."""
    if kpt_shape is None:
        return None
    values = np.array(numbers, np.float64).reshape(kpt_shape)
    out: F64 = np.zeros((kpt_shape[0], 3))
    out[:, :2] = values[:, :2] * size_wh
    if kpt_shape[1] == 2:
        out[:, 2] = np.where((values != 0.0).any(axis=1) & (values >= 0.0).all(axis=1), 2.0, 0.0)
        return out
    out[:, 2] = np.clip(np.ceil(values[:, 2]), 0.0, 2.0)  # a confidence of 0.3 means labelled
    if not np.array_equal(out[:, 2], values[:, 2]):
        notes.add("keypoint-visibility-mended")
    return out


def kind_of(lengths: Mapping[int, int], kpt_shape: tuple[int, int] | None) -> Kind:
    """The kind of rows of a dataset, from numbers behind the class → rows with so many.

    Rows that all have eight numbers are taken for oriented boxes, not for polygons of four corners: a dataset in which
    every outline has four corners is one of those far more often.
    """
    if kpt_shape is not None:
        return "pose"
    outlines = Counter({n: c for n, c in lengths.items() if n >= 6 and n % 2 == 0})
    if not outlines:
        return "detect"
    return "obb" if set(lengths) == {_CORNERS} else "segment"
