"""One written object beside what was painted for it.

The written box has to lie between the box of the painted samples and that of the outline's points: no further in, or it
cuts the object; no further out, or it is loose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from augpipe.core.annotations import F64
from augpipe.verification.findings import Reporter
from augpipe.verification.objects.check_attributes import check_attributes, check_kept
from augpipe.verification.objects.check_mask import WrittenMask, check_shape, window_around, written_of
from augpipe.verification.objects.check_oriented import check_oriented_box
from augpipe.verification.objects.expected import SHARE, ExpectedObject, box_ring, painted_rings
from augpipe.verification.supersample import Marks, box_of

_CHORD = 0.000625  # of the longer side: (1 - cos(pi / 64)) / 2, rounded up
_MOST_CHORD = 2.0  # pixels
_DUST = 1.5  # pixels
_OFF = 0.0021  # pixels; two roundings to three decimals


def check_object(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> None:
    """Measure one object that was written, by its row of the record."""
    seen, setting = expected.seen, expected.setting
    written = written_of(row, expected, report) if expected.has_shape else None
    in_pixels = expected.has_shape and isinstance(row.get("segmentation"), Mapping)
    method = "mask" if in_pixels else expected.method
    check_attributes(row, expected, report)
    check_kept(row, expected, report)
    if not setting.is_moved and not (expected.has_shape and _is_cut(row, expected)):
        if row["box_from"] != "source":
            report.fault(f"box_from is {row['box_from']}, but nothing moved")
        off = np.abs(expected.objects.boxes_xyxy[expected.i] - row["box_xyxy"]).max()
        report.measured("box source", float(off))
    elif row["box_from"] != method:
        report.fault(f"box_from is {row['box_from']}, its best geometry is {expected.method}")
    else:
        _check_box(row, written, expected, report)
    report.measured("visible", abs(float(row["visible"]) - seen.visible))
    if written is not None:
        check_shape(row, written, expected, report)
    elif not expected.has_shape and "segmentation" in row and setting.is_moved:
        report.fault("has a segmentation, which its source has not")
    elif not expected.has_shape:
        x0, y0, x1, y1 = row["box_xyxy"]
        area, of_box = float(row["area"]), float((x1 - x0) * (y1 - y0))
        if abs(area - of_box) > 0.01 + 1e-3 * of_box:
            report.fault(f"area is {area}, expected {of_box:.3f}")
    _check_keypoints(row, expected, report)
    check_oriented_box(row, expected, report)
    _check_parts(row, expected, report)


def _is_cut(row: Mapping[str, Any], expected: ExpectedObject) -> bool:
    """Whether an object of a picture that did not move has lost painted pixels; a few of them are hard to see."""
    setting = expected.setting
    erases = setting.cuts_erased and any(step.canvas_change().covered_xyxy for step in setting.steps)
    return erases and (expected.seen.visible < 1.0 - SHARE or row["box_from"] != "source")


# --- boxes -----------------------------------------------------------------------------------------------------------


def _check_box(row: Mapping[str, Any], written: WrittenMask | None, expected: ExpectedObject, report: Reporter) -> None:
    method, box, seen = str(row["box_from"]), np.array(row["box_xyxy"], np.float64), expected.seen
    if seen.outer_xyxy is None:
        report.fault("was kept, but nothing of it can be seen")
        return
    if written is not None and (written.box_xyxy is None or np.abs(written.box_xyxy - box).max() > _OFF):
        own = None if written.box_xyxy is None else written.box_xyxy.tolist()
        report.fault(f"box {box.tolist()} is not that of its segmentation, {own}")
    tight: F64 | None = seen.outer_xyxy
    if method == "mask":
        tight = _check_mask_box(box, expected, report)
    else:
        slack = _chord(expected) if method == "ellipse" else 0.0
        report.measured(f"box {method}", max(0.0, float(seen.beyond(box).max()) - slack))
    whole = seen.in_frame > 1.0 - 1e-9 and not (expected.setting.cuts_erased and seen.visible < seen.in_frame)
    if tight is not None and whole:  # where an object is cut, samples tell less than its outline
        off = box - tight
        shift = (float(off[0] + off[2]) / 2, float(off[1] + off[3]) / 2)
        report.findings.shifts.setdefault(method, []).append(shift)


def _chord(expected: ExpectedObject) -> float:
    """How much of a large ellipse the recipe's rule may leave out, which goes by 64 points on it: pixels."""
    points = expected.setting.moved(expected.shape.points_xy)
    seen = points.xy[points.weight > 0.0]
    return min(_MOST_CHORD, _CHORD * float(np.ptp(seen, axis=0).max())) if len(seen) else 0.0


def _check_mask_box(box: F64, expected: ExpectedObject, report: Reporter) -> F64 | None:
    """Compare the box of a mask with that of the pixels which it covers by half or more, and return the latter.

    Where the mask ends in a sliver, half covered for many pixels in a row, rounding decides about the last of them: a
    measure of its own has the limit for that. ``None`` where it ends so, or in dust, which covers no pixel by half.
    """
    window, outer = window_around(box, expected), expected.seen.outer_xyxy
    share = expected.setting.coverage(expected.shape, window)
    half, most = (box_of(share >= least, window[:2]) for least in (0.5, 0.75))
    off = replace(expected.seen, inner_xyxy=half).beyond(box)
    sliver = np.ones(4, bool) if half is None or most is None else np.abs(half - most) > 1.0
    for kind, sides in (("box mask", ~sliver), ("box tip", sliver)):
        if sides.any():
            report.measured(kind, float(off[sides].max()))
    dusty = half is None or outer is None or np.abs(half - outer).max() > _DUST
    return None if dusty or sliver.any() else half


# --- points ----------------------------------------------------------------------------------------------------------


def _check_keypoints(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> None:
    source_xyv = expected.objects.keypoints[expected.i]
    if source_xyv is None or "keypoints" not in row:
        if (source_xyv is None) != ("keypoints" not in row):
            report.fault("its keypoints were not written" if source_xyv is not None else "has keypoints from nowhere")
        return
    got = np.array(row["keypoints"], np.float64).reshape(-1, 3)
    known, unsure = expected_keypoints(source_xyv, expected)
    if got.shape != known.shape:
        report.fault(f"has {len(got)} keypoints, its source {len(known)}")
        return
    labelled = (got[:, 2] > 0) & (known[:, 2] > 0)
    if ((got[:, 2] > 0) != (known[:, 2] > 0))[~unsure].any():
        report.fault("a keypoint in the frame is missing, or one outside is there")
    if (got[labelled & ~unsure, 2] != known[labelled & ~unsure, 2]).any():
        report.fault("the visibility of a keypoint is not that of the source")
    if row.get("num_keypoints") != int((got[:, 2] > 0).sum()):
        report.fault(f"num_keypoints is {row.get('num_keypoints')}, there are {int((got[:, 2] > 0).sum())}")
    if labelled.any():
        apart = np.hypot(*(got[labelled, :2] - known[labelled, :2]).T)
        report.measured("keypoints", float(apart.max()))


def expected_keypoints(source_xyv: F64, expected: ExpectedObject) -> tuple[F64, Marks]:
    """Keypoints (K, 3) in the written picture, and which of them lie so near an edge that both answers are right."""
    setting = expected.setting
    moved = setting.moved(source_xyv[:, :2])
    known = (source_xyv[:, 2] > 0) & (moved.shown if setting.is_moved else True)
    visibility = np.where(moved.bare, source_xyv[:, 2], np.minimum(source_xyv[:, 2], 1.0))
    out = np.where(known[:, None], np.column_stack([moved.xy, visibility]), 0.0)
    nudged = [setting.moved(source_xyv[:, :2] + np.array([x, y])) for x in (-0.01, 0.01) for y in (-0.01, 0.01)]
    unsure = np.any([(p.shown != moved.shown) | (p.bare != moved.bare) for p in nudged], axis=0)
    if setting.is_mirrored:
        order = np.arange(len(out))
        for left, right in expected.category.flip_pairs:
            order[[left, right]] = order[[right, left]]
        out, unsure = out[order], unsure[order]
    return out, unsure


def _check_parts(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> None:
    """Boxes of parts, in their order; one of which less than a pixel can be seen may be left out."""
    written = list(row.get("parts", ()))
    for part in expected.objects.parts[expected.i]:
        seen = expected.setting.seen(painted_rings([box_ring(part.box_xyxy)]))
        if written and written[0]["name"] == part.name and seen.outer_xyxy is not None:
            off = float(seen.beyond(np.array(written[0]["box_xyxy"], np.float64)).max())
            if off <= 1.0 or seen.area >= 1.0:
                report.measured("parts", off if expected.setting.is_moved else 0.0)
                del written[0]
                continue
        if seen.area >= 1.0:
            report.fault(f"its part {part.name} was not written")
    if written:
        report.fault(f"has a part {written[0]['name']} that cannot be seen")
