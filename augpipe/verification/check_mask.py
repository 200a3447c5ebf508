"""Written masks and polygons beside what was painted: by area along the outline, and pixel by pixel away from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64, Rings, Segmentation
from augpipe.core.opencv import cv2
from augpipe.verification.expected import Painted, Setting, VisibleShape, moved_points
from augpipe.verification.findings import Findings, ObjectRef
from augpipe.verification.safe_parse import bitmap_of_code
from augpipe.verification.supersample import FINE, Marks, Window, box_of, filled, perimeter, walked_back

_AROUND = 3  # pixels beside a mask in which stray ones are looked for; beyond them they are counted
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


def written_of(
    row: Mapping[str, Any], source: Segmentation | None, setting: Setting, where: ObjectRef, f: Findings
) -> WrittenMask | None:
    """The written mask or polygon; ``None``, with a fault, if it cannot be compared."""
    written = row.get("segmentation")
    if written is None:
        f.fault(where, "its mask or polygon was not written")
        return None
    try:
        if isinstance(written, Mapping):
            bitmap = bitmap_of_code(written, setting.out_wh)
            return WrittenMask(bitmap, (), box_of(bitmap, 1))
        rings = _rings(written, source, setting.out_wh)
    except (TypeError, ValueError) as error:
        f.fault(where, str(error))
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


def window_around(boxes: Sequence[F64 | Sequence[float] | None], out_wh: tuple[int, int]) -> Window:
    """The pixels of the picture in and around some boxes."""
    known = np.array([box for box in boxes if box is not None], np.float64)
    w, h = out_wh
    low, high = np.floor(known.min(axis=0)) - _AROUND, np.ceil(known.max(axis=0)) + _AROUND
    x0, y0, x1, y1 = np.clip([*low[:2], *high[2:]], 0, [w, h, w, h]).astype(int).tolist()
    return x0, y0, x1, y1


def coverage(shape: Painted, setting: Setting, window: Window) -> F64:
    """How much of each pixel of a window a shape covers, 0..1."""
    x0, y0, x1, y1 = window
    samples = shape.canvas.looked_up(setting.steps, setting.size_wh, window, setting.cuts_erased)
    share: F64 = samples.reshape(y1 - y0, FINE, x1 - x0, FINE).mean(axis=(1, 3))
    return share


def compare_shape(
    row: Mapping[str, Any],
    written: WrittenMask | None,
    shape: Painted,
    seen: VisibleShape,
    setting: Setting,
    where: ObjectRef,
    f: Findings,
) -> None:
    """Where written and painted mask differ, in pixels of area for each pixel of outline.

    A pixel that is covered in part is in a mask by the chance of its centre, which many of them can add up to.
    """
    if written is None:
        return
    area = float(row["area"])
    off, chance = abs(area - seen.area), 0.0
    window = window_around([row["box_xyxy"], seen.outer_xyxy], setting.out_wh)
    x0, y0, x1, y1 = window
    if written.bitmap is not None:
        share = coverage(shape, setting, window)
        expected, chance = share >= 0.5, _CHANCES * float(np.sqrt((share * (1.0 - share)).sum()))
        got, kind, pixel = written.bitmap[y0:y1, x0:x1], "mask", 1
        stray = int(written.bitmap.sum() - got.sum())
        if not got.any():
            f.fault(where, "its mask has no pixels")
    else:
        expected = shape.canvas.looked_up(setting.steps, setting.size_wh, window, setting.cuts_erased)
        got, kind, pixel, stray = filled([r - (x0, y0) for r in written.rings], (x1 - x0, y1 - y0)), "polygon", FINE, 0
        _check_area(area, got, where, f)
    f.measured("area", max(0.0, off - chance) / max(seen.area, 30.0), where)
    if expected.sum() > _SMALL * pixel**2:
        f.measured(kind, (float((got != expected).sum()) / pixel**2 + stray) / (perimeter(expected) / pixel), where)
    far = _far_off(got, expected, shape, setting, window, pixel)
    if far is not None:
        f.fault(where, f"its {kind} and what was painted differ at {far}, away from its outline")


def _check_area(area: float, got: Marks, where: ObjectRef, f: Findings) -> None:
    """The area is that of the written rings, as far as samples can tell."""
    painted = float(got.sum()) / FINE**2
    if abs(area - painted) > 1.0 + 0.1 * perimeter(got) / FINE:
        f.fault(where, f"area is {area}, its polygon has {painted:.1f} pixels")


def _far_off(
    got: Marks, expected: Marks, shape: Painted, setting: Setting, window: Window, fine: int
) -> tuple[int, int] | None:
    """A pixel (x, y) at which both differ though no outline is near; of samples, only where some lie together."""
    wrong = (got != expected).astype(np.uint8)
    if fine > 1:
        wrong = cv2.morphologyEx(wrong, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if not wrong.any():
        return None
    around = np.ones((2 * _REACH * fine + 1,) * 2, np.uint8)
    same = cv2.erode(expected.astype(np.uint8), around) == cv2.dilate(expected.astype(np.uint8), around)
    rows, columns = np.nonzero((wrong != 0) & same)
    if not rows.size:
        return None
    places = np.stack([columns, rows], axis=1) / fine + window[:2]
    outline = moved_points(shape.points_xy, setting.steps, setting.size_wh).xy  # also of what samples do not show
    for place in places[:: max(1, len(places) // _LOOKED_AT)] + 0.5 / fine:
        if np.abs(outline - place).max(axis=1).min(initial=np.inf) > _REACH and _is_plain(place, shape, setting):
            return int(place[0]), int(place[1])
    return None


def _is_plain(place_xy: F64, shape: Painted, setting: Setting) -> bool:
    """Whether the source of everything near a place of the picture is wholly in the shape, or wholly outside."""
    corners = place_xy + _REACH * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    points, shown = walked_back(
        np.clip(corners, 0, setting.out_wh), setting.steps, setting.size_wh, setting.cuts_erased
    )
    return bool(shown.all()) and shape.canvas.is_plain(points.min(axis=0), points.max(axis=0))


def expected_mask(shape: Painted, seen: VisibleShape, setting: Setting) -> tuple[NDArray[Any], Window] | None:
    """The pixels that a shape covers by half or more and their window, for people to look at."""
    if seen.outer_xyxy is None:
        return None
    window = window_around([seen.outer_xyxy], setting.out_wh)
    x0, y0, x1, y1 = window
    if x0 >= x1 or y0 >= y1:
        return None
    return coverage(shape, setting, window) >= 0.5, window
