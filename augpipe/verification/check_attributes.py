"""What does not move, beside the source: who an object is, where a sample comes from, why an object is not there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from augpipe.core.annotations import Annotations, Category, Dropped, Objects, Raster
from augpipe.core.errors import one_line
from augpipe.labels.transform import LabelRules
from augpipe.verification.expected import SHARE, TRUNCATED_BELOW, Painted, Setting, VisibleShape, is_moved, moved_points
from augpipe.verification.findings import Findings, ObjectRef

_VISIBLE_OFF = 0.03  # as the limit of visible shares


def known(value: Any) -> Any:
    """A value of the source as a record has it: no nulls in mappings and lists, tuples as lists, names as text."""
    if isinstance(value, Mapping):
        return {str(name): known(v) for name, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [known(v) for v in value if v is not None]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _same(got: Any, expected: Any) -> bool:
    return bool(got == expected or json.dumps(got, sort_keys=True) == json.dumps(expected, sort_keys=True, default=str))


def _tell(where: ObjectRef, got: Mapping[str, Any], expected: Mapping[str, Any], f: Findings) -> None:
    """A fault for each name whose value is another one; ``None`` is what is absent."""
    for name, value in expected.items():
        if not _same(got.get(name), value):
            shown = [one_line(repr(v), 80) for v in (got.get(name), value)]
            f.fault(where, f"{name} is {shown[0]}, in the source {shown[1]}")


# --- the sample ------------------------------------------------------------------------------------------------------


def check_source(record: Mapping[str, Any], source: Annotations, origin: Mapping[str, Any], f: Findings) -> None:
    """Where a sample says that it comes from, and what is said of the picture as a whole.

    Args:
        record: of the sample.
        source: labels of the picture that it was made of.
        origin: key, sha256, width, height, orientation and split of that picture.
        f: takes what is found.
    """
    where, told = ObjectRef(str(record["key"])), record["source"]
    if told["sha256"] != origin["sha256"]:
        f.fault(where, "its source picture has changed since: another sha256")
    rest = {name: value for name, value in origin.items() if name != "sha256"}
    attributes = known(source.attributes) or None
    _tell(where, {f"source.{k}": v for k, v in told.items()}, {f"source.{k}": v for k, v in rest.items()}, f)
    _tell(where, {"source.attributes": told.get("attributes")}, {"source.attributes": attributes}, f)
    _tell(where, record, {"image_id": source.image_id}, f)
    for name in ("tags", "captions"):
        if tuple(record.get(name, ())) != tuple(getattr(source, name)):
            f.fault(where, f"its {name} are not those of the source")


def check_segments(
    record: Mapping[str, Any], got: Raster | None, source: Annotations, setting: Setting, f: Findings
) -> None:
    """``segments_info``: the source's, and where the mask changed measured again in the written one (H, W)."""
    where, written = ObjectRef(setting.key), record.get("segments_info", [])
    painted = setting.cuts_erased and any(s.canvas_change().covered_xyxy for s in setting.steps)
    infos = [known(segment) for segment in source.segments_info]
    if is_moved(setting.steps) or (painted and source.panoptic is not None):
        bare = [{k: v for k, v in info.items() if k not in ("area", "bbox")} for info in infos]
        extents = {} if got is None or not infos else _extents(got)
        infos = bare if got is None else [b | extents[b["id"]] for b in bare if b["id"] in extents]
    for info in infos:
        mine = [segment for segment in written if segment["id"] == info["id"]]
        if len(mine) != 1:
            f.fault(where, f"segments_info has segment {info['id']} {len(mine)} times, expected once")
        elif not _same(mine[0], info):
            names = [n for n in sorted({*mine[0], *info}) if not _same(mine[0].get(n), info.get(n))]
            shown = [one_line(repr(v.get(names[0])), 60) for v in (mine[0], info)]
            f.fault(where, f"segment {info['id']}: {names[0]} is {shown[0]}, expected {shown[1]}")
    if strange := {int(s["id"]) for s in written} - {int(info["id"]) for info in infos}:
        f.fault(where, f"segments_info has segment {min(strange)}, which is not to be seen")


def _extents(raster: Raster) -> dict[int, dict[str, Any]]:
    """Area and bbox (x, y, width, height) of every value."""
    values, places = np.unique(raster, return_inverse=True)
    places = places.reshape(raster.shape)
    areas = np.bincount(places.ravel(), minlength=len(values)).tolist()
    h, w = raster.shape
    low, high = np.full((len(values), 2), max(h, w)), np.zeros((len(values), 2), np.int64)
    rows, columns = np.indices(raster.shape)
    for axis, at in ((0, columns), (1, rows)):
        np.minimum.at(low[:, axis], places.ravel(), at.ravel())
        np.maximum.at(high[:, axis], places.ravel(), at.ravel() + 1)
    boxes = np.concatenate([low, high - low], axis=1).tolist()
    return {int(v): {"area": areas[i], "bbox": boxes[i]} for i, v in enumerate(values.tolist())}


# --- objects ---------------------------------------------------------------------------------------------------------


def check_facts(
    objects: Objects,
    i: int,
    row: Mapping[str, Any],
    shape: Painted,
    seen: VisibleShape,
    setting: Setting,
    category: Category,
    f: Findings,
) -> None:
    """What an object is, whatever the plan does to it."""
    where, facts = ObjectRef(setting.key, int(objects.index[i])), objects.facts[i]
    expected = {
        "category": category.name,
        "category_id": category.id,
        "label": category.label,
        "iscrowd": int(objects.iscrowd[i]),
        "instance": int(objects.instance[i]) or None,
        "id": facts.id,
        "difficult": facts.difficult,
        "occluded": facts.occluded,
        "pose": facts.pose,
        "attributes": known(facts.attributes) or None,
    }
    _tell(where, row, expected, f)
    if facts.truncated == 1 or not is_moved(setting.steps):
        _tell(where, row, {"truncated": facts.truncated}, f)
    elif seen.in_frame < TRUNCATED_BELOW - SHARE and row.get("truncated") != 1:
        f.fault(where, f"is not truncated, but only {seen.in_frame:.3f} of it is in the frame")
    elif row.get("truncated") != facts.truncated and _is_whole(shape, seen, setting):
        f.fault(where, f"truncated is {row.get('truncated')!r}, but it lies inside the frame as a whole")


def _is_whole(shape: Painted, seen: VisibleShape, setting: Setting) -> bool:
    """Whether an object is well inside everything that cuts: also when it is moved by a pixel to any side."""
    if seen.in_frame < 1.0 - 1e-9:
        return False
    corners = [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
    return all(moved_points(shape.points_xy + c, setting.steps, setting.size_wh).shown.all() for c in corners)


def check_kept(row: Mapping[str, Any], seen: VisibleShape, setting: Setting, where: ObjectRef, f: Findings) -> None:
    """A written object is not one that the recipe leaves out."""
    rules, (x0, y0, x1, y1) = setting.rules, row["box_xyxy"]
    if seen.visible < rules.min_visibility - SHARE:
        f.fault(where, f"was kept with {seen.visible:.3f} of it visible, {rules.min_visibility} are asked for")
    if rules.truncated == "drop" and seen.in_frame < TRUNCATED_BELOW - SHARE:
        f.fault(where, f"was kept with {seen.in_frame:.3f} of it in the frame, and what is cut is to be dropped")
    side, area = round(min(x1 - x0, y1 - y0), 3), float(row["area"])
    if side < rules.min_side - 0.0011:
        f.fault(where, f"was kept with a side of {side} pixels, {rules.min_side:g} are asked for")
    if area < rules.min_area - 0.0011:
        f.fault(where, f"was kept with {area} pixels, {rules.min_area:g} are asked for")


# --- what is not there -----------------------------------------------------------------------------------------------


def check_unreadable(
    dropped: Dropped, row: Mapping[str, Any], category: Category | None, f: Findings, key: str
) -> None:
    """An object that reading the source left out stays out, and all is said of it that was said there."""
    expected = {
        "category": category.name if category else str(dropped.category_id),
        "reason": dropped.reason,
        "id": dropped.id,
        "value": dropped.value,
    }
    _tell(ObjectRef(key, dropped.index), row, expected, f)


def check_drop(
    objects: Objects, i: int, row: Mapping[str, Any], seen: VisibleShape, setting: Setting, name: str, f: Findings
) -> None:
    """A dropped object really is too small, or out of sight, by the number that is given.

    Args:
        objects: of the source picture.
        i: which of them.
        row: the entry of ``dropped``.
        seen: what can be seen of it.
        setting: of its sample, with the rules of its class.
        name: of its class.
        f: takes what is found.
    """
    where, reason, value = ObjectRef(setting.key, int(objects.index[i])), str(row["reason"]), row.get("value")
    _tell(where, row, {"category": name, "id": objects.facts[i].id}, f)
    if not _is_right(reason, seen, setting.rules):
        f.fault(
            where,
            f"was dropped as {one_line(reason, 40)}, but {seen.visible:.3f} of it can be seen, {seen.in_frame:.3f} is "
            f"in the frame, {seen.area:.1f} pixels in "
            f"{None if seen.inner_xyxy is None else seen.inner_xyxy.round(2).tolist()}",
        )
    elif (expected := _value(reason, seen, setting.rules)) is None:
        if value is not None:
            f.fault(where, f"was dropped as {reason} with the value {one_line(value, 40)}, expected none")
    elif value is None or not any(abs(float(value) - e) <= off for e, off in expected):
        f.fault(where, f"was dropped as {reason} with the value {one_line(value, 40)}, measured {expected[0][0]:.3f}")


def _side(seen: VisibleShape, outer: bool = False) -> float:
    box = seen.outer_xyxy if outer else seen.inner_xyxy
    return 0.0 if box is None else float((box[2:] - box[:2]).min())


def _is_right(reason: str, seen: VisibleShape, rules: LabelRules) -> bool:
    side, cut = _side(seen), rules.truncated == "drop" and seen.in_frame < 1.0 - 1e-6
    if reason == "outside":
        return seen.area <= 1.0 or (seen.in_frame <= SHARE and side <= 1.5)
    if reason == "min_visibility":
        return cut or seen.in_frame <= rules.min_visibility + SHARE
    if reason == "erased":
        there = seen.in_frame >= rules.min_visibility - SHARE
        return there and seen.visible < seen.in_frame and seen.visible <= rules.min_visibility + SHARE
    if reason == "min_side":
        return side <= rules.min_side + 1.0
    if reason == "min_area":
        return seen.area <= rules.min_area * 1.1 + 4.0
    if reason == "degenerate":
        return side <= 1.5 or seen.area <= 2.0
    return False


def _value(reason: str, seen: VisibleShape, rules: LabelRules) -> Sequence[tuple[float, float]] | None:
    """What the number of a dropped object may be, and how far off; ``None`` if it has none."""
    if reason == "min_visibility" and rules.truncated == "drop":
        return [(seen.in_frame, _VISIBLE_OFF), (seen.visible, _VISIBLE_OFF)]
    if reason in ("min_visibility", "erased"):
        return [(seen.visible, _VISIBLE_OFF)]
    if reason == "min_side":
        return [(_side(seen), 1.0), (_side(seen, outer=True), 1.0)]
    if reason == "min_area":
        return [(seen.area, 0.1 * seen.area + 4.0)]
    return None
