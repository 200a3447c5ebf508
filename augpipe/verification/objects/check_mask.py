"""Written masks and polygons beside what was painted: by area along the outline, and pixel by pixel away from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from augpipe.core.annotations import F64, Rings, Segmentation
from augpipe.core.opencv import cv2
from augpipe.verification.findings import Reporter
from augpipe.verification.objects.expected import ExpectedObject
from augpipe.verification.safe_pictures import bitmap_of_code
from augpipe.verification.supersample import FINE, Marks, Window, box_of, filled, perimeter

_AROUND = 3  # pixels beside a mask in which stray ones are looked for; beyond them they are counted
_FEW = 0.1  # a share of a mask
_SMALL = 100  # pixels; the outline of a smaller mask is most of it
_OUTSIDE = 0.0011  # pixels, of rounding
_REACH = 2  # pixels from the outline within which written and painted may differ
_CHANCES = 3.0  # standard deviations
_LOOKED_AT = 100  # pixels that differ are looked at one by one; of more, some
_MORE = 10  # times as many points and rings as the source may come of cutting


@dataclass(frozen=True, eq=False)
class WrittenMask:
    """A written mask (H, W), or the written rings (N, 2), and the box around either, ``None`` of no pixels."""

    bitmap: Marks | None
    rings: tuple[F64, ...]
    box_xyxy: F64 | None


def written_of(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> WrittenMask | None:
    """The written mask or polygon; ``None``, with a fault, if it cannot be compared."""
    written, out_wh = row.get("segmentation"), expected.setting.out_wh
    if written is None:
        report.fault("its mask or polygon was not written")
        return None
    try:
        if isinstance(written, Mapping):
            bitmap = bitmap_of_code(written, out_wh)
            return WrittenMask(bitmap, (), box_of(bitmap))
        rings = _rings(written, expected.objects.segmentation[expected.i], out_wh)
    except (TypeError, ValueError) as error:
        report.fault(str(error))
        return None
    points = np.concatenate(rings)
    return WrittenMask(None, rings, np.concatenate([points.min(axis=0), points.max(axis=0)]))


def _rings(written: Any, source: Segmentation | None, out_wh: tuple[int, int]) -> tuple[F64, ...]:
    rings = [np.array(ring, np.float64) for ring in written]
    if not rings or any(ring.ndim != 1 or ring.size < 6 or ring.size % 2 for ring in rings):
        raise ValueError("its polygon has a ring that is not three points or more")
    points = np.concatenate(rings).reshape(-1, 2)
    if not ((points >= -_OUTSIDE) & (points <= np.array(out_wh) + _OUTSIDE)).all():
        raise ValueError("its polygon has a point outside the picture")
    known = source.rings if isinstance(source, Rings) else ()
    if len(points) > 1000 + _MORE * sum(map(len, known)) or len(rings) > 100 + _MORE * len(known):
        raise ValueError(f"its polygon has {len(points)} points in {len(rings)} rings, far more than the source")
    return tuple(ring.reshape(-1, 2) for ring in rings)


def window_around(box_xyxy: Any, expected: ExpectedObject) -> Window:
    """The pixels of the picture in and around a box and the outer box of an object."""
    known = np.array([box for box in (box_xyxy, expected.seen.outer_xyxy) if box is not None], np.float64)
    w, h = expected.setting.out_wh
    low, high = np.floor(known.min(axis=0)) - _AROUND, np.ceil(known.max(axis=0)) + _AROUND
    x0, y0, x1, y1 = np.clip([*low[:2], *high[2:]], 0, [w, h, w, h]).astype(int).tolist()
    return x0, y0, x1, y1


def check_shape(row: Mapping[str, Any], written: WrittenMask, expected: ExpectedObject, report: Reporter) -> None:
    """Where written and painted mask differ, in pixels of area for each pixel of outline.

    A pixel that is covered in part is in a mask by the chance of its centre, which many of them can add up to.
    """
    shape, seen, setting = expected.shape, expected.seen, expected.setting
    area, chance, stray, seen_area = float(row["area"]), 0.0, 0, seen.area
    window = x0, y0, x1, y1 = window_around(row["box_xyxy"], expected)
    if written.bitmap is not None:
        share = setting.coverage(shape, window)
        painted, chance = share >= 0.5, _CHANCES * float(np.sqrt((share * (1.0 - share)).sum()))
        got, kind, fine = written.bitmap[y0:y1, x0:x1], "mask", 1
        if seen.visible < _FEW:  # of a large mask, of which few samples lie in what can be seen
            seen_area = float(share.sum())
        stray = int(written.bitmap.sum() - got.sum())
        if not got.any():
            report.fault("its mask has no pixels")
    else:
        painted = setting.samples(shape, window)
        got, kind, fine = filled([r - (x0, y0) for r in written.rings], (x1 - x0, y1 - y0)), "polygon", FINE
        pixels = float(got.sum()) / FINE**2
        if abs(area - pixels) > 1.0 + 0.1 * perimeter(got) / FINE:
            report.fault(f"area is {area}, its polygon has {pixels:.1f} pixels")
    report.measured("area", max(0.0, abs(area - seen_area) - chance) / max(seen_area, 30.0))
    if painted.sum() > _SMALL * fine**2:
        off = float((got != painted).sum()) / fine**2 + stray
        room = _half_a_sample(expected) if kind == "polygon" else 0.0
        report.measured(kind, max(0.0, off / (perimeter(painted) / fine) - room))
    if (place := _far_off(got, painted, expected, window, fine)) is not None:
        report.fault(f"its {kind} and what was painted differ at {place}, away from its outline")


def _half_a_sample(expected: ExpectedObject) -> float:
    """Half a painted sample in the written picture, in pixels, beyond what it is in a picture that is not enlarged.

    A side of a polygon may lie so far from the samples beside it, hence from where they show it.
    """
    seen, samples = expected.seen, float(expected.shape.canvas.marks.sum())
    shown = seen.visible * samples / FINE**2
    enlargement = float(np.sqrt(seen.area / shown)) if shown > 0.0 else 1.0
    return max(0.0, enlargement - 1.0) / (2 * FINE)


def _far_off(got: Marks, painted: Marks, expected: ExpectedObject, window: Window, fine: int) -> tuple[int, int] | None:
    """A pixel (x, y) at which both differ though no outline is near; of samples, only where some lie together."""
    wrong = (got != painted).astype(np.uint8)
    if fine > 1:
        wrong = cv2.morphologyEx(wrong, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if not wrong.any():
        return None
    around = np.ones((2 * _REACH * fine + 1,) * 2, np.uint8)
    same = cv2.erode(painted.astype(np.uint8), around) == cv2.dilate(painted.astype(np.uint8), around)
    rows, columns = np.nonzero((wrong != 0) & same)
    if not rows.size:
        return None
    places = np.stack([columns, rows], axis=1) / fine + window[:2]
    outline = expected.setting.moved(expected.shape.points_xy).xy  # also of what samples do not show
    for place in places[:: max(1, len(places) // _LOOKED_AT)] + 0.5 / fine:
        if np.abs(outline - place).max(axis=1).min(initial=np.inf) > _REACH and _is_plain(place, expected):
            return int(place[0]), int(place[1])
    return None


def _is_plain(place_xy: F64, expected: ExpectedObject) -> bool:
    """Whether the source of everything near a place of the picture is wholly in the shape, or wholly outside."""
    corners = place_xy + _REACH * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    points, shown = expected.setting.walked_back(np.clip(corners, 0, expected.setting.out_wh))
    return bool(shown.all()) and expected.shape.canvas.is_plain(points.min(axis=0), points.max(axis=0))
