"""One written object beside what was painted for it.

The written box has to lie between the box of the painted samples and that of the outline's points: no further in, or it
cuts the object; no further out, or it is loose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from augpipe.core.annotations import F64, Category, Objects
from augpipe.core.opencv import cv2
from augpipe.verification.check_attributes import check_facts, check_kept
from augpipe.verification.check_mask import WrittenMask, compare_shape, coverage, window_around, written_of
from augpipe.verification.expected import (
    SHARE,
    Painted,
    Setting,
    VisibleShape,
    box_ring,
    is_moved,
    mirrors,
    moved_points,
    painted_rings,
    seen_in,
    seen_of,
)
from augpipe.verification.findings import Findings, ObjectRef
from augpipe.verification.supersample import Marks, box_of

_SAME_CORNERS = 0.01  # pixels
_CHORD = 0.000625  # of the longer side: (1 - cos(pi / 64)) / 2, rounded up
_MOST_CHORD = 2.0  # pixels
_DUST = 1.5  # pixels
_OFF = 0.0021  # pixels; two roundings to three decimals


def compare(
    objects: Objects, i: int, row: Mapping[str, Any], setting: Setting, category: Category, f: Findings
) -> None:
    """Measure one object that was written.

    Args:
        objects: of the source picture.
        i: which of them.
        row: what was written of it.
        setting: of its sample.
        category: of the object.
        f: takes what is found.
    """
    where, setting = ObjectRef(setting.key, int(objects.index[i])), setting.of(category)
    method, shape, seen = seen_in(objects, i, setting)
    in_shape = method in ("mask", "polygon")
    in_pixels = in_shape and isinstance(row.get("segmentation"), Mapping)
    written = written_of(row, objects.segmentation[i], setting, where, f) if in_shape else None
    check_facts(objects, i, row, shape, seen, setting, category, f)
    check_kept(row, seen, setting, where, f)
    if not is_moved(setting.steps) and not (in_shape and _is_cut(row, seen, setting)):
        _unmoved(objects, i, row, where, f)
    elif row["box_from"] != (method if not in_pixels else "mask"):
        f.fault(where, f"box_from is {row['box_from']}, its best geometry is {method}")
    else:
        _box(row, written, shape, seen, setting, where, f)
    f.measured("visible", abs(float(row["visible"]) - seen.visible), where)
    if in_shape:
        compare_shape(row, written, shape, seen, setting, where, f)
    elif "segmentation" in row and is_moved(setting.steps):
        f.fault(where, "has a segmentation, which its source has not")
    else:
        _close(f, where, "area", float(row["area"]), _area(row["box_xyxy"]), 0.01 + 1e-3 * _area(row["box_xyxy"]))
    _keypoints(objects.keypoints[i], row, setting, category.flip_pairs, where, f)
    _oriented(objects.obb[i], row, setting, where, f)
    _parts(objects, i, row, setting, where, f)


def _is_cut(row: Mapping[str, Any], seen: VisibleShape, setting: Setting) -> bool:
    """Whether an object of a picture that did not move has lost painted pixels; a few of them are hard to see."""
    erases = setting.cuts_erased and any(step.canvas_change().covered_xyxy for step in setting.steps)
    return erases and (seen.visible < 1.0 - SHARE or row["box_from"] != "source")


def _close(f: Findings, where: ObjectRef, name: str, got: float, expected: float, apart: float) -> None:
    if abs(got - expected) > apart:
        f.fault(where, f"{name} is {got}, expected {expected:.3f}")


def _area(box_xyxy: Sequence[float]) -> float:
    x0, y0, x1, y1 = box_xyxy
    return float((x1 - x0) * (y1 - y0))


# --- what does not move ----------------------------------------------------------------------------------------------


def _unmoved(objects: Objects, i: int, row: Mapping[str, Any], where: ObjectRef, f: Findings) -> None:
    if row["box_from"] != "source":
        f.fault(where, f"box_from is {row['box_from']}, but nothing moved")
    f.measured("box source", float(np.abs(objects.boxes_xyxy[i] - row["box_xyxy"]).max()), where)


# --- boxes -----------------------------------------------------------------------------------------------------------


def _box(
    row: Mapping[str, Any],
    written: WrittenMask | None,
    shape: Painted,
    seen: VisibleShape,
    setting: Setting,
    where: ObjectRef,
    f: Findings,
) -> None:
    method, box = str(row["box_from"]), np.array(row["box_xyxy"], np.float64)
    if seen.outer_xyxy is None:
        f.fault(where, "was kept, but nothing of it can be seen")
        return
    if written is not None and (written.box_xyxy is None or np.abs(written.box_xyxy - box).max() > _OFF):
        own = None if written.box_xyxy is None else written.box_xyxy.tolist()
        f.fault(where, f"box {box.tolist()} is not that of its segmentation, {own}")
    expected: F64 | None = seen.outer_xyxy
    if method == "mask":
        expected = _mask_box(box, shape, seen, setting, where, f)
    else:
        slack = _chord(shape, setting) if method == "ellipse" else 0.0
        f.measured(f"box {method}", max(0.0, float(beyond(box, seen).max()) - slack), where)
    whole = seen.in_frame > 1.0 - 1e-9 and not (setting.cuts_erased and seen.visible < seen.in_frame)
    if expected is not None and whole:  # where an object is cut, samples tell less than its outline
        off = box - expected
        f.shifts.setdefault(method, []).append((float(off[0] + off[2]) / 2, float(off[1] + off[3]) / 2))


def _chord(shape: Painted, setting: Setting) -> float:
    """How much of a large ellipse the recipe's rule may leave out, which goes by 64 points on it: pixels."""
    points = moved_points(shape.points_xy, setting.steps, setting.size_wh)
    seen = points.xy[points.weight > 0.0]
    return min(_MOST_CHORD, _CHORD * float(np.ptp(seen, axis=0).max())) if len(seen) else 0.0


def _mask_box(
    box: F64, shape: Painted, seen: VisibleShape, setting: Setting, where: ObjectRef, f: Findings
) -> F64 | None:
    """The box of a mask goes by whole pixels: those that it covers by half or more.

    Where it ends in a sliver, half covered for many pixels in a row, the last of them hangs on a hair. The box of
    these pixels is returned where it ends neither in one nor in dust, which no pixel shows half.
    """
    window = window_around([box, seen.outer_xyxy], setting.out_wh)
    share = coverage(shape, setting, window)
    half, most = (box_of(share >= least, 1, window[:2]) for least in (0.5, 0.75))
    off = beyond(box, replace(seen, inner_xyxy=half))
    sliver = np.ones(4, bool) if half is None or most is None else np.abs(half - most) > 1.0
    for kind, sides in (("box mask", ~sliver), ("box tip", sliver)):
        if sides.any():
            f.measured(kind, float(off[sides].max()), where)
    dusty = half is None or seen.outer_xyxy is None or np.abs(half - seen.outer_xyxy).max() > _DUST
    return None if dusty or sliver.any() else half


def beyond(box_xyxy: F64, seen: VisibleShape) -> F64:
    """How far each side of a box lies outside the room between the inner and the outer box, in pixels."""
    outer = seen.outer_xyxy
    if outer is None:
        return np.full(4, np.inf)
    inner = seen.inner_xyxy if seen.inner_xyxy is not None else outer
    low, high = np.minimum(inner, outer), np.maximum(inner, outer)
    off: F64 = np.maximum(low - box_xyxy, box_xyxy - high).clip(0.0)
    return off


# --- points ----------------------------------------------------------------------------------------------------------


def _keypoints(
    source_xyv: F64 | None,
    row: Mapping[str, Any],
    setting: Setting,
    pairs: Sequence[Any],
    where: ObjectRef,
    f: Findings,
) -> None:
    if source_xyv is None or "keypoints" not in row:
        if (source_xyv is None) != ("keypoints" not in row):
            f.fault(where, "its keypoints were not written" if source_xyv is not None else "has keypoints from nowhere")
        return
    got = np.array(row["keypoints"], np.float64).reshape(-1, 3)
    expected, unsure = expected_keypoints(source_xyv, setting, pairs)
    if got.shape != expected.shape:
        f.fault(where, f"has {len(got)} keypoints, its source {len(expected)}")
        return
    labelled = (got[:, 2] > 0) & (expected[:, 2] > 0)
    if ((got[:, 2] > 0) != (expected[:, 2] > 0))[~unsure].any():
        f.fault(where, "a keypoint in the frame is missing, or one outside is there")
    if (got[labelled & ~unsure, 2] != expected[labelled & ~unsure, 2]).any():
        f.fault(where, "the visibility of a keypoint is not that of the source")
    if row.get("num_keypoints") != int((got[:, 2] > 0).sum()):
        f.fault(where, f"num_keypoints is {row.get('num_keypoints')}, there are {int((got[:, 2] > 0).sum())}")
    if labelled.any():
        apart = np.hypot(*(got[labelled, :2] - expected[labelled, :2]).T)
        f.measured("keypoints", float(apart.max()), where)


def expected_keypoints(source_xyv: F64, setting: Setting, pairs: Sequence[Any]) -> tuple[F64, Marks]:
    """Keypoints (K, 3) in the written picture, and which of them lie so near an edge that both answers are right."""
    particles = moved_points(source_xyv[:, :2], setting.steps, setting.size_wh)
    known = (source_xyv[:, 2] > 0) & (particles.shown if is_moved(setting.steps) else True)
    visibility = np.where(particles.bare, source_xyv[:, 2], np.minimum(source_xyv[:, 2], 1.0))
    out = np.where(known[:, None], np.column_stack([particles.xy, visibility]), 0.0)
    nudged = [
        moved_points(source_xyv[:, :2] + step, setting.steps, setting.size_wh)
        for step in ((0.01, 0.01), (-0.01, 0.01), (0.01, -0.01), (-0.01, -0.01))
    ]
    unsure = np.any([(p.shown != particles.shown) | (p.bare != particles.bare) for p in nudged], axis=0)
    if mirrors(setting.steps):
        order = np.arange(len(out))
        for left, right in pairs:
            order[[left, right]] = order[[right, left]]
        out, unsure = out[order], unsure[order]
    return out, unsure


def _oriented(source: F64 | None, row: Mapping[str, Any], setting: Setting, where: ObjectRef, f: Findings) -> None:
    """The written oriented box is a rectangle around the moved corners, and no larger than the smallest there is.

    A map that keeps angles leaves it what it was, which is a rectangle in most files, not in all.
    """
    if source is None or "obb" not in row:
        if (source is None) != ("obb" not in row):
            f.fault(where, "its oriented box was not written" if source is not None else "has an oriented box")
        return
    got = np.array(row["obb"], np.float32)
    moved = moved_points(source, setting.steps, setting.size_wh).xy.astype(np.float32)
    apart = np.hypot(*(got[:, None] - moved).transpose(2, 0, 1))
    off = float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))
    if off <= _SAME_CORNERS and _keeps_angles(source, moved.astype(np.float64)):
        f.measured("obb", off, where)
        return
    sides = np.roll(got, -1, axis=0) - got
    lengths = np.hypot(*sides.T)
    square = np.abs((sides * np.roll(sides, -1, axis=0)).sum(axis=1)) <= 0.02 * np.maximum(1.0, lengths.max())
    if is_moved(setting.steps) and not square.all():
        f.fault(where, "its oriented box is no rectangle")
    outside = max(0.0, *(-cv2.pointPolygonTest(got, (float(x), float(y)), True) for x, y in moved))
    smallest = float(np.prod(cv2.minAreaRect(moved)[1]))
    looser = (float(lengths[0] * lengths[1]) - smallest) / max(1.0, float(lengths.sum()))
    f.measured("obb", max(outside, looser), where)


def _keeps_angles(before: F64, after: F64) -> bool:
    """Whether points lie to each other as they did, but for one scale."""
    old, new = (np.hypot(*(p[:, None] - p).transpose(2, 0, 1)) for p in (before, after))
    return bool(np.abs(new - old * (new.sum() / max(1e-9, float(old.sum())))).max() <= _SAME_CORNERS)


def _parts(objects: Objects, i: int, row: Mapping[str, Any], setting: Setting, where: ObjectRef, f: Findings) -> None:
    """Boxes of parts, in their order; one of which less than a pixel can be seen may be left out."""
    written = list(row.get("parts", ()))
    for part in objects.parts[i]:
        seen = seen_of(
            painted_rings([box_ring(part.box_xyxy)]), setting.steps, setting.size_wh, cuts_xy=setting.cuts_xy(False)
        )
        if written and written[0]["name"] == part.name and seen.outer_xyxy is not None:
            box = np.array(written[0]["box_xyxy"], np.float64)
            off = float(beyond(box, seen).max())
            if off <= 1.0 or seen.area >= 1.0:
                f.measured("parts", off if is_moved(setting.steps) else 0.0, where)
                del written[0]
                continue
        if seen.area >= 1.0:
            f.fault(where, f"its part {part.name} was not written")
    if written:
        f.fault(where, f"has a part {written[0]['name']} that cannot be seen")
