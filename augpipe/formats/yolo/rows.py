"""One object as a row of YOLO: the number of its class and fractions of the picture's sides.

Numbers have fifteen decimals, as with nine a box of one pixel comes back thinner than that: whole pixels come back
whole, and others within a millionth. An object that has not what the kind asks for is written by its box. Ultralytics
leaves out a whole picture for one row against its rule (:func:`is_taken`), such as a box whose centre lies outside or
that is larger than the picture, so such objects are cut to it, and counted; others stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from augpipe.core.annotations import F64, Objects, Rings, Rle
from augpipe.core.geometry import bounds_of, corners_of, rectangle
from augpipe.formats.yolo.data_yaml import Kind

_SAME = 1e-3  # pixels within which a box is the same


def is_taken(numbers: Sequence[float], kind: Kind) -> bool:
    """Whether Ultralytics takes a row of these numbers, behind the class; else it leaves out the picture.

    Its rule, in ``verify_image_label`` of ultralytics/data/utils.py: no number of a row is below 0 and none above 1, of
    corners and outlines those of the box around them, of a keypoint its place. Version 8.4 lets pass what is off by a
    hundredth, older ones do not.
    """
    if kind in ("segment", "obb"):
        xs, ys = numbers[0::2], numbers[1::2]
        numbers = _centred((min(xs), min(ys), max(xs), max(ys)), (1, 1)) if xs and ys else ()
    elif kind == "pose":
        numbers = [*numbers[:4], *(v for i in range(4, len(numbers), 3) for v in numbers[i : i + 2])]
    return len(numbers) >= 4 and all(0.0 <= number <= 1.0 for number in numbers)


def row_of(
    objects: Objects, i: int, kind: Kind, keypoints: int, size_wh: tuple[int, int]
) -> tuple[list[float], set[str]]:
    """(the numbers behind the class, what had to be changed) of an object; no numbers if none of it is inside.

    Args:
        objects: labels in pixels of the upright picture.
        i: the object.
        kind: what rows hold.
        keypoints: how many a pose row has.
        size_wh: of the picture, in pixels.
    """
    if kind == "obb":
        return _corners_row(objects, i, size_wh)
    if kind == "segment":
        return _outline_row(objects, i, size_wh)
    box, changed = _box_in(objects.boxes_xyxy[i].tolist(), size_wh)
    if box is None:
        return [], changed
    numbers = _centred(box, size_wh)
    if kind == "pose":
        points, moved = _keypoints_in(objects.keypoints[i], keypoints, size_wh)
        numbers += points
        changed |= moved
    return numbers, changed


def _centred(box_xyxy: Sequence[float], size_wh: tuple[int, int]) -> list[float]:
    w, h = size_wh
    x0, y0, x1, y1 = box_xyxy
    return [(x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h]


def _box_in(box_xyxy: list[float], size_wh: tuple[int, int]) -> tuple[list[float] | None, set[str]]:
    """The box, cut to the picture where Ultralytics would take it for a mistake; ``None`` if nothing of it is left."""
    if is_taken(_centred(box_xyxy, size_wh), "detect"):
        return box_xyxy, set()
    cut: list[float] = np.clip(box_xyxy, 0.0, (*size_wh, *size_wh)).tolist()
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        return None, {"objects outside the picture"}
    return cut, {"objects cut to the picture"}


def _flat(points: F64, size_wh: tuple[int, int]) -> list[float]:
    out: list[float] = (points / size_wh).reshape(-1).tolist()
    return out


def _corners_row(objects: Objects, i: int, size_wh: tuple[int, int]) -> tuple[list[float], set[str]]:
    corners, changed = objects.obb[i], set[str]()
    if corners is None:
        box, changed = _box_in(objects.boxes_xyxy[i].tolist(), size_wh)
        if box is None:
            return [], changed
        corners = corners_of(np.array([box]))[0]
        changed.add("boxes that are not oriented, written as oriented ones")
    elif not is_taken(_flat(corners, size_wh), "obb"):
        from augpipe.labels.boxes import obb_in

        corners, changed = obb_in(corners, size_wh), {"objects cut to the picture"}
        if corners is None:
            return [], {"objects outside the picture"}
    return _flat(corners, size_wh), changed | _other_box(objects, i, corners)


def _outline_row(objects: Objects, i: int, size_wh: tuple[int, int]) -> tuple[list[float], set[str]]:
    from augpipe.labels.polygons import clip_rings
    from augpipe.labels.single_ring import one_ring

    segmentation, changed = objects.segmentation[i], set[str]()
    ring = None if segmentation is None else one_ring(segmentation)
    if ring is None:
        box, changed = _box_in(objects.boxes_xyxy[i].tolist(), size_wh)
        if box is None:
            return [], changed
        what = "boxes without a polygon" if segmentation is None else "masks too ragged for an outline"
        return _flat(corners_of(np.array([box]))[0], size_wh), changed | {f"{what}, written as the corners of the box"}
    if isinstance(segmentation, Rle):
        changed.add("masks, written as the outline of their pixels")
    elif isinstance(segmentation, Rings) and len(segmentation.rings) > 1:
        changed.add("polygons of several rings, joined into one")
    if not is_taken(_flat(ring, size_wh), "segment"):
        inside = clip_rings([ring], rectangle(size_wh))[0]
        if not inside:
            return [], {"objects outside the picture"}
        ring = one_ring(Rings(tuple(inside)))
        changed.add("objects cut to the picture")
    return ([], changed) if ring is None else (_flat(ring, size_wh), changed | _other_box(objects, i, ring))


def _other_box(objects: Objects, i: int, points: F64) -> set[str]:
    """Rows of points have no box of their own: it is that around them."""
    same = np.abs(bounds_of(points) - objects.boxes_xyxy[i]).max() <= _SAME
    return set() if same else {"boxes that are not those around the points"}


def _keypoints_in(keypoints: F64 | None, count: int, size_wh: tuple[int, int]) -> tuple[list[float], set[str]]:
    """K·(x, y, v), zeros for those that are not labelled; Ultralytics leaves out a picture for one outside of it."""
    out = np.zeros((count, 3))
    if keypoints is None:
        return out.reshape(-1).tolist(), {"objects without keypoints, written with none labelled"}
    out[: len(keypoints)] = keypoints[:count] / (*size_wh, 1)
    labelled = out[:, 2] > 0
    outside = labelled & ((out[:, :2] < 0.0) | (out[:, :2] > 1.0)).any(axis=1)
    out[~labelled | outside] = 0.0
    return out.reshape(-1).tolist(), {"objects with keypoints outside the picture"} if outside.any() else set()


def text_of(number: int, values: Iterable[float]) -> str:
    """A row: the class index, and fractions without the zeros at their end."""
    texts = [("%.15f" % value).rstrip("0").rstrip(".") for value in values]  # noqa: UP031 - much slower otherwise
    if "-0" in texts:  # what rounding makes of the smallest number below zero
        texts = ["0" if text == "-0" else text for text in texts]
    return " ".join((str(number), *texts))
