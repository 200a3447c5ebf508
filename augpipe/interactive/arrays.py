"""Pictures and label arrays of callers: what is expected of them, in words, and their own forms of boxes.

Everything comes in as NumPy arrays or as lists of numbers. What does not fit is refused with one line that says what
was expected and what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.errors import UsageError, one_line
from augpipe.core.opencv import cv2
from augpipe.core.plan import LONGEST_SIDE, Pixels

BoxForm: TypeAlias = Literal["xyxy", "xywh", "cxcywh", "yolo"]
"""Corners; a corner and the size; the middle and the size; the same in shares of the picture's sides."""

BOX_FORMS: tuple[BoxForm, ...] = get_args(BoxForm)


def refused(name: str, expected: str, got: Any) -> UsageError:
    """The error for an argument that is not as expected."""
    return UsageError(f"{name}: expected {expected}, got {told(got)}")


def told(value: Any) -> str:
    """What came, for a message: type and shape of an array, else the type and the beginning of the value."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} {tuple(shape)}"
    return f"{type(value).__name__} {one_line(repr(value), 60)}"


def bgr_of(image: Any) -> Pixels:
    """A picture in OpenCV's order, in memory of its own or the caller's, which is only read.

    Args:
        image: uint8 (H, W, 3) in red, green, blue, or (H, W) or (H, W, 1) gray, with any strides.

    Raises:
        UsageError: it is something else.
    """
    expected = "a NumPy array of uint8, (H, W, 3) in red, green, blue, or (H, W) gray"
    if not isinstance(image, np.ndarray):
        raise refused("image", expected, image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise refused("image", expected, image)
    height, width = image.shape[:2]
    if not (1 <= height <= LONGEST_SIDE and 1 <= width <= LONGEST_SIDE):
        raise refused("image", f"sides of 1 to {LONGEST_SIDE} pixels", image)
    plain = np.ascontiguousarray(image)  # a negative stride takes OpenCV longer than the copy
    if plain.ndim == 2:
        return plain
    return plain[:, :, 0] if plain.shape[2] == 1 else cv2.cvtColor(plain, cv2.COLOR_RGB2BGR)


def rgb_of(picture: Pixels, ndim: int, source: Pixels) -> Pixels:
    """A picture as the caller's was, in memory of its own; ``source`` is what :func:`bgr_of` gave for it."""
    if picture.ndim == 3:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    own = picture.copy() if picture is source or picture.base is not None else picture
    return own[:, :, None] if ndim == 3 else own


def numbers(name: str, value: Any, shape: tuple[int | None, ...], words: str) -> F64:
    """An argument as an array of float64 of a shape, in which ``None`` is any size; an empty one has no rows.

    Raises:
        UsageError: it has another shape, or holds what is no finite number.
    """
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise refused(name, words, value) from None
    if found.size == 0 and len(found) == 0:
        return np.empty([0, *(side or 0 for side in shape[1:])], np.float64)
    fits = found.ndim == len(shape) and all(a in (None, b) for a, b in zip(shape, found.shape, strict=True))
    if not fits:
        raise refused(name, words, value if isinstance(value, np.ndarray) else found)
    if not np.isfinite(found).all():
        raise UsageError(f"{name}: expected finite numbers, got NaN or infinity in row {_first_odd(found)}")
    return found


def _first_odd(values: F64) -> int:
    return int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))[0])


def number_of(**counts: Sequence[Any] | F64 | None) -> int:
    """How many objects there are, of which every argument that is given has one row.

    Raises:
        UsageError: they have different numbers of rows.
    """
    given = {name: len(value) for name, value in counts.items() if value is not None}
    if len(set(given.values())) > 1:
        found = ", ".join(f"{count} {name}" for name, count in given.items())
        raise UsageError(f"expected as many rows of each kind of label as there are objects, got {found}")
    return next(iter(given.values()), 0)


# --- boxes -----------------------------------------------------------------------------------------------------------


def xyxy_of(boxes: F64, form: BoxForm, size_wh: tuple[int, int]) -> F64:
    """Boxes in a caller's form as corners in pixels."""
    if form == "xyxy":
        return boxes
    scaled = boxes * (*size_wh, *size_wh) if form == "yolo" else boxes
    sides = scaled[:, 2:]
    first = scaled[:, :2] if form == "xywh" else scaled[:, :2] - sides / 2.0
    return np.concatenate([first, first + sides], axis=1)


def boxes_of(boxes_xyxy: F64, form: BoxForm, size_wh: tuple[int, int]) -> F64:
    """Corners in pixels as boxes in a caller's form."""
    if form == "xyxy":
        return boxes_xyxy
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    first = boxes_xyxy[:, :2] if form == "xywh" else boxes_xyxy[:, :2] + sides / 2.0
    out: F64 = np.concatenate([first, sides], axis=1)
    return out / (*size_wh, *size_wh) if form == "yolo" else out
