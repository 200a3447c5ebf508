"""What does not move, beside the source: where a sample comes from, attributes of objects, reasons of drops."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from augpipe.core.annotations import Annotations, Category, Dropped, Raster
from augpipe.core.errors import one_line
from augpipe.labels.rules import LIMITS
from augpipe.verification.findings import Reporter
from augpipe.verification.objects.expected import SHARE, TRUNCATED_BELOW, ExpectedObject, Setting, VisibleShape

_VISIBLE_OFF = 0.03  # as the limit of visible shares
_CENTRE_OFF = 0.01  # pixels
_SMALLER = 0.99  # of a side or area, below which an object counts as made smaller


def _known(value: Any) -> Any:
    """A value of the source as a record has it: no nulls in mappings and lists, tuples as lists, names as text."""
    if isinstance(value, Mapping):
        return {str(name): _known(v) for name, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_known(v) for v in value if v is not None]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _same(got: Any, expected: Any) -> bool:
    return bool(got == expected or json.dumps(got, sort_keys=True) == json.dumps(expected, sort_keys=True, default=str))


def _compare(got: Mapping[str, Any], expected: Mapping[str, Any], report: Reporter, prefix: str = "") -> None:
    """A fault for each name whose value is another one; ``None`` stands for what is absent."""
    for name, value in expected.items():
        if not _same(got.get(name), value):
            there, source = (one_line(repr(v), 80) for v in (got.get(name), value))
            report.fault(f"{prefix}{name} is {there}, in the source {source}")


# --- the sample ------------------------------------------------------------------------------------------------------


def check_source(record: Mapping[str, Any], source: Annotations, origin: Mapping[str, Any], report: Reporter) -> None:
    """Where a sample says that it comes from, and what is said of the picture as a whole.

    Args:
        record: of the sample.
        source: labels of the picture that it was made of.
        origin: key, sha256, width, height, orientation and split of that picture.
        report: takes what is found.
    """
    stated = record["source"]
    if stated["sha256"] != origin["sha256"]:
        report.fault("its source picture has changed since: another sha256")
    expected = {**origin, "sha256": stated["sha256"], "attributes": _known(source.attributes) or None}
    _compare(stated, expected, report, "source.")
    _compare(record, {"image_id": source.image_id}, report)
    for name in ("tags", "captions"):
        if tuple(record.get(name, ())) != tuple(getattr(source, name)):
            report.fault(f"its {name} are not those of the source")


def check_segments(
    record: Mapping[str, Any], got: Raster | None, source: Annotations, setting: Setting, report: Reporter
) -> None:
    """``segments_info``: the source's, and where the mask changed measured again in the written one (H, W)."""
    written = record.get("segments_info", [])
    erases = setting.cuts_erased and any(s.canvas_change().covered_xyxy for s in setting.steps)
    infos = [_known(segment) for segment in source.segments_info]
    if setting.is_moved or (erases and source.panoptic is not None):
        infos = [{k: v for k, v in info.items() if k not in ("area", "bbox")} for info in infos]
        if got is not None:
            extents = _extents(got) if infos else {}
            infos = [info | extents[info["id"]] for info in infos if info["id"] in extents]
    for info in infos:
        mine = [segment for segment in written if segment["id"] == info["id"]]
        if len(mine) != 1:
            report.fault(f"segments_info has segment {info['id']} {len(mine)} times, expected once")
        elif not _same(mine[0], info):
            name = next(n for n in sorted({*mine[0], *info}) if not _same(mine[0].get(n), info.get(n)))
            there, expected = (one_line(repr(v.get(name)), 60) for v in (mine[0], info))
            report.fault(f"segment {info['id']}: {name} is {there}, expected {expected}")
    if strange := {int(s["id"]) for s in written} - {int(info["id"]) for info in infos}:
        report.fault(f"segments_info has segment {min(strange)}, which is not to be seen")


def _extents(raster: Raster) -> dict[int, dict[str, Any]]:
    """Area and bbox (x, y, width, height) of every value."""
    values, places = np.unique(raster, return_inverse=True)
    places = places.ravel()
    areas = np.bincount(places, minlength=len(values)).tolist()
    low, high = np.full((len(values), 2), max(raster.shape)), np.zeros((len(values), 2), np.int64)
    rows, columns = np.indices(raster.shape)
    for axis, at in ((0, columns.ravel()), (1, rows.ravel())):
        np.minimum.at(low[:, axis], places, at)
        np.maximum.at(high[:, axis], places, at + 1)
    boxes = np.concatenate([low, high - low], axis=1).tolist()
    return {int(v): {"area": areas[i], "bbox": boxes[i]} for i, v in enumerate(values.tolist())}


# --- objects ---------------------------------------------------------------------------------------------------------


def check_attributes(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> None:
    """What an object is, whatever the plan does to it."""
    objects, i, category, seen = expected.objects, expected.i, expected.category, expected.seen
    facts = objects.facts[i]
    ignores = expected.setting.rules.below == "ignore" and not objects.iscrowd[i] and "ignored" in row
    from_source = {
        "category": category.name,
        "category_id": category.id,
        "label": category.label,
        "iscrowd": 1 if ignores else int(objects.iscrowd[i]),
        "ignored": row["ignored"] if ignores else facts.ignored,
        "instance": int(objects.instance[i]) or None,
        "id": facts.id,
        "difficult": facts.difficult,
        "occluded": facts.occluded,
        "pose": facts.pose,
        "attributes": _known(facts.attributes) or None,
    }
    _compare(row, from_source, report)
    if facts.truncated == 1 or not expected.setting.is_moved:
        _compare(row, {"truncated": facts.truncated}, report)
    elif seen.in_frame < TRUNCATED_BELOW - SHARE and row.get("truncated") != 1:
        report.fault(f"is not truncated, but only {seen.in_frame:.3f} of it is in the frame")
    elif row.get("truncated") != facts.truncated and _is_whole(expected):
        report.fault(f"truncated is {row.get('truncated')!r}, but it lies inside the frame as a whole")


def _is_whole(expected: ExpectedObject) -> bool:
    """Whether an object is well inside everything that cuts: also when it is moved by a pixel to any side."""
    points, setting = expected.shape.points_xy, expected.setting
    corners = [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
    return expected.seen.in_frame >= 1.0 - 1e-9 and all(setting.moved(points + c).shown.all() for c in corners)


def check_kept(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> None:
    """A written object is not one that the recipe leaves out, nor one to ignore that has no fault."""
    rules, seen, (x0, y0, x1, y1) = expected.setting.rules, expected.seen, row["box_xyxy"]
    if expected.objects.iscrowd[expected.i]:
        return
    if "ignored" in row:
        limit = str(row["ignored"])
        if not any(_is_right(reason, expected) for reason in (limit, "erased")[: 1 + (limit == "min_visibility")]):
            report.fault(f"is to be ignored for {one_line(limit, 40)}, but {_told(seen)}")
        return
    if rules.obb == "drop_centre" and _centre_is_out(expected, True):
        report.fault("was kept, but the centre of its oriented box is outside")
    if seen.visible < rules.min_visibility - SHARE:
        report.fault(f"was kept with {seen.visible:.3f} of it visible, {rules.min_visibility} are asked for")
    if rules.truncated == "drop" and seen.in_frame < TRUNCATED_BELOW - SHARE:
        report.fault(f"was kept with {seen.in_frame:.3f} of it in the frame, and what is cut is to be dropped")
    side, area = round(min(x1 - x0, y1 - y0), 3), float(row["area"])
    cut = seen.visible < TRUNCATED_BELOW - SHARE
    if side < rules.min_side - 0.0011 and (cut or _is_smaller(expected, "side")):
        report.fault(f"was kept with a side of {side} pixels, {rules.min_side:g} are asked for")
    if area < rules.min_area - 0.0011 and (cut or _is_smaller(expected, "area")):
        report.fault(f"was kept with {area} pixels, {rules.min_area:g} are asked for")


# --- what is not there -----------------------------------------------------------------------------------------------


def check_unreadable(row: Mapping[str, Any], dropped: Dropped, category: Category | None, report: Reporter) -> None:
    """An object that reading the source left out stays out, and all is said of it that was said there."""
    name = category.name if category else str(dropped.category_id)
    expected = {"category": name, "reason": dropped.reason, "id": dropped.id, "value": dropped.value}
    _compare(row, expected, report)


def check_drop(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> None:
    """A dropped object really is too small, or out of sight, by the number that its entry of ``dropped`` gives."""
    reason, value, seen, rules = str(row["reason"]), row.get("value"), expected.seen, expected.setting.rules
    _compare(row, {"category": expected.category.name, "id": expected.objects.facts[expected.i].id}, report)
    is_crowd = bool(expected.objects.iscrowd[expected.i])
    if not _is_right(reason, expected) or (is_crowd and not _is_gone(seen)):
        report.fault(f"was dropped as {one_line(reason, 40)}, but {_told(seen)}{', and it is a crowd' * is_crowd}")
        return
    if rules.below == "ignore" and reason in LIMITS and not _is_gone(seen):
        report.fault(f"was dropped as {reason}, and what is below a limit is to be ignored")
        return
    measured, said = _values(reason, expected), f"was dropped as {reason} with the value {one_line(value, 40)}"
    if not measured:
        if value is not None:
            report.fault(f"{said}, expected none")
    elif value is None or not any(abs(float(value) - number) <= off for number, off in measured):
        report.fault(f"{said}, measured {measured[0][0]:.3f}")


def _told(seen: VisibleShape) -> str:
    box = None if seen.inner_xyxy is None else seen.inner_xyxy.round(2).tolist()
    return f"{seen.visible:.3f} of it can be seen, {seen.in_frame:.3f} is in the frame, {seen.area:.1f} pixels in {box}"


def _is_gone(seen: VisibleShape) -> bool:
    """Whether so little can be seen that it may be nothing."""
    return seen.side() <= 1.5 or seen.area <= 2.0 or seen.visible <= SHARE


def _is_outside(seen: VisibleShape) -> bool:
    return seen.area <= 1.0 or (seen.in_frame <= SHARE and seen.side() <= 1.5)


def _centre_is_out(expected: ExpectedObject, surely: bool) -> bool:
    """Whether the centre of an oriented box cannot be seen: surely so, or where it is moved by a hundredth."""
    obb, setting = expected.objects.obb[expected.i], expected.setting
    if obb is None or not setting.is_moved:
        return False
    by = _CENTRE_OFF
    shown = setting.moved(obb.mean(axis=0) + np.array([(by, by), (by, -by), (-by, by), (-by, -by)])).shown
    return not (shown.any() if surely else shown.all())


def _is_smaller(expected: ExpectedObject, what: str, surely: bool = True) -> bool:
    """Whether an object has a shorter side or less area than in the source: surely so, or by any chance."""
    if not expected.setting.is_moved:
        return False
    now, once = expected.seen, expected.in_source
    in_pixels = expected.method == "mask"  # whose sides are whole pixels
    if what == "side":
        (small, large), slack = (now.side(True), once.side(True)), 2.0 if in_pixels else 0.05
    else:
        small, large = _area(now, expected), _area(once, expected)
        slack = 4.0 if in_pixels else 0.05 * large + 0.5
    return small < large * _SMALLER - slack if surely else small < large * _SMALLER + slack


def _is_right(reason: str, expected: ExpectedObject) -> bool:
    """Whether an object may have been left out for a reason."""
    seen, rules = expected.seen, expected.setting.rules
    least, is_whole = rules.min_visibility, not expected.setting.is_moved or _is_whole(expected)
    may_be_cut = seen.visible < 1.0 - 1e-9 or not is_whole
    match reason:
        case "outside" if rules.obb == "drop_centre" and not expected.objects.iscrowd[expected.i]:
            return _centre_is_out(expected, False) or _is_outside(seen)
        case "outside":
            return _is_outside(seen)
        case "min_visibility":
            return (rules.truncated == "drop" and seen.in_frame < 1.0 - 1e-6) or seen.in_frame <= least + SHARE
        case "erased":
            return seen.in_frame >= least - SHARE and seen.visible < seen.in_frame and seen.visible <= least + SHARE
        case "min_side":
            return seen.side() <= rules.min_side + 1.0 and (may_be_cut or _is_smaller(expected, "side", surely=False))
        case "min_area":
            few = _area(seen, expected) <= rules.min_area * 1.1 + 4.0
            return few and (may_be_cut or _is_smaller(expected, "area", surely=False))
        case "degenerate":
            return seen.side() <= 1.5 or seen.area <= 2.0
    return False


def _area(seen: VisibleShape, expected: ExpectedObject) -> float:
    """What a record calls area: of a mask or polygon its own, of everything else that of the box around it."""
    box = seen.outer_xyxy
    if expected.has_shape or box is None:
        return seen.area
    return float(np.prod(box[2:] - box[:2]))


def _values(reason: str, expected: ExpectedObject) -> Sequence[tuple[float, float]]:
    """(number, how far off) for each number that may be given for a dropped object; none for a reason without one."""
    seen, rules = expected.seen, expected.setting.rules
    match reason:
        case "min_visibility" if rules.truncated == "drop":
            return [(seen.in_frame, _VISIBLE_OFF), (seen.visible, _VISIBLE_OFF)]
        case "min_visibility" | "erased":
            return [(seen.visible, _VISIBLE_OFF)]
        case "min_side":
            return [(seen.side(), 1.0), (seen.side(outer=True), 1.0)]
        case "min_area":
            area = _area(seen, expected)
            return [(area, 0.1 * area + 4.0)]
    return []
