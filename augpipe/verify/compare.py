"""One written object beside what was painted for it.

The written box has to lie between the box of the painted samples and that of the outline's points: no further in, or it
cuts the object; no further out, or it is loose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from augpipe.labels import LabelRules
from augpipe.plan import AnyStep, Bars, Erase, Warp
from augpipe.sample import F64, Category, Objects, Rle
from augpipe.verify.findings import Findings, Where
from augpipe.verify.paint import FINE, Marks, Window, box_of, filled, perimeter
from augpipe.verify.truth import (
    Painted,
    Seen,
    best_of,
    bitmap_of,
    box_ring,
    is_moved,
    mirrors,
    moved_points,
    painted_rings,
    seen_of,
)

_AROUND = 3  # pixels beside a mask in which stray ones are looked for; beyond them they are counted
_SMALL = 100  # pixels; the outline of a smaller mask is most of it
_SHARE = 0.02  # a share of an object that sampling may be off by
_TRUNCATED_BELOW = 0.999


@dataclass(frozen=True)
class Setting:
    """What is the same for all objects of a sample."""

    key: str
    steps: Sequence[AnyStep]
    size_wh: tuple[int, int]
    out_wh: tuple[int, int]
    rules: LabelRules
    shapes: dict[tuple[int, str], tuple[str, Painted]] = field(default_factory=dict)
    """Painted shapes by (object, rule), kept for the other copies of the source."""

    @property
    def cuts_erased(self) -> bool:
        """Whether masks and polygons lose what was painted over."""
        return self.rules.erased == "cut"

    def of(self, category: Category) -> Setting:
        """The setting of one class's objects, which may have rules of their own."""
        return replace(self, rules=self.rules.classes.get(category.name, self.rules))


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
    where, setting = Where(setting.key, int(objects.index[i])), setting.of(category)
    method, shape, seen = seen_in(objects, i, setting)
    in_shape = method in ("mask", "polygon")
    in_pixels = in_shape and isinstance(row.get("segmentation"), Mapping)
    _facts(objects, i, row, seen, setting, f)
    if not is_moved(setting.steps) and not (in_shape and _is_cut(row, seen, setting)):
        _unmoved(objects, i, row, where, f)
    elif row["box_from"] != (method if not in_pixels else "mask"):
        f.fault(where, f"box_from is {row['box_from']}, its best geometry is {method}")
    else:
        _box(row, shape, seen, setting, where, f)
    f.measured("visible", abs(float(row["visible"]) - seen.visible), where)
    if seen.visible < setting.rules.min_visibility - _SHARE:
        f.fault(where, f"was kept with {seen.visible:.3f} of it visible, {setting.rules.min_visibility} are asked for")
    if setting.rules.truncated == "drop" and seen.in_frame < _TRUNCATED_BELOW - _SHARE:
        f.fault(where, f"was kept with {seen.in_frame:.3f} of it in the frame, and what is cut is to be dropped")
    if in_shape:
        _mask(row, shape, seen, setting, where, f)
    elif "segmentation" in row and is_moved(setting.steps):
        f.fault(where, "has a segmentation, which its source has not")
    else:
        _close(f, where, "area", float(row["area"]), _area(row["box_xyxy"]), 0.01 + 1e-3 * _area(row["box_xyxy"]))
    _keypoints(objects.keypoints[i], row, setting, category.flip_pairs, where, f)
    _oriented(objects.obb[i], row, setting, where, f)
    _parts(objects, i, row, setting, where, f)


def _is_cut(row: Mapping[str, Any], seen: Seen, setting: Setting) -> bool:
    """Whether an object of a picture that did not move has lost painted pixels; a few of them are hard to see."""
    erases = setting.cuts_erased and any(isinstance(step, Erase) for step in setting.steps)
    return erases and (seen.visible < 1.0 - _SHARE or row["box_from"] != "source")


def seen_in(objects: Objects, i: int, setting: Setting) -> tuple[str, Painted, Seen]:
    """(where its box comes from, the painted shape, what is seen of it) of one object."""
    rule = setting.rules.box
    if (i, rule) not in setting.shapes:
        setting.shapes[i, rule] = best_of(objects, i, rule)
    method, shape = setting.shapes[i, rule]
    cut_erased = setting.cuts_erased and method in ("mask", "polygon")
    return method, shape, seen_of(shape, setting.steps, setting.size_wh, method == "obb", cut_erased)


def _close(f: Findings, where: Where, name: str, got: float, expected: float, apart: float) -> None:
    if abs(got - expected) > apart:
        f.fault(where, f"{name} is {got}, expected {expected:.3f}")


def _area(box_xyxy: Sequence[float]) -> float:
    x0, y0, x1, y1 = box_xyxy
    return float((x1 - x0) * (y1 - y0))


# --- what does not move ----------------------------------------------------------------------------------------------


def _facts(objects: Objects, i: int, row: Mapping[str, Any], seen: Seen, setting: Setting, f: Findings) -> None:
    where, facts = Where(setting.key, int(objects.index[i])), objects.facts[i]
    expected: dict[str, Any] = {
        "category_id": int(objects.category_id[i]),
        "iscrowd": int(objects.iscrowd[i]),
        "id": facts.id,
        "difficult": facts.difficult,
        "occluded": facts.occluded,
        "pose": facts.pose,
    }
    for name, value in expected.items():
        if row.get(name) != value:
            f.fault(where, f"{name} is {row.get(name)!r}, in the source {value!r}")
    if not set(row.get("attributes", {})) <= set(facts.attributes):
        f.fault(where, "has attributes that the source has not")
    if seen.in_frame < _TRUNCATED_BELOW - _SHARE and row.get("truncated") != 1:
        f.fault(where, f"is not truncated, but only {seen.in_frame:.3f} of it is in the frame")
    if seen.in_frame > 1.0 - 1e-9 and facts.truncated != 1 and row.get("truncated") == 1 and is_moved(setting.steps):
        _inside(seen, setting, where, f)


def _inside(seen: Seen, setting: Setting, where: Where, f: Findings) -> None:
    """An object that counts as truncated must touch the frame's edge, or bars; what is well inside touches none."""
    w, h = setting.out_wh
    box = seen.outer_xyxy
    if box is not None and box[0] > 1 and box[1] > 1 and box[2] < w - 1 and box[3] < h - 1 and not _has_cuts(setting):
        f.fault(where, "is truncated, but lies inside the frame as a whole")


def _has_cuts(setting: Setting) -> bool:
    return sum(isinstance(step, Warp | Bars) for step in setting.steps) > 1


def _unmoved(objects: Objects, i: int, row: Mapping[str, Any], where: Where, f: Findings) -> None:
    if row["box_from"] != "source":
        f.fault(where, f"box_from is {row['box_from']}, but nothing moved")
    f.measured("box source", float(np.abs(objects.boxes_xyxy[i] - row["box_xyxy"]).max()), where)


# --- boxes -----------------------------------------------------------------------------------------------------------


def _box(row: Mapping[str, Any], shape: Painted, seen: Seen, setting: Setting, where: Where, f: Findings) -> None:
    method, box = str(row["box_from"]), np.array(row["box_xyxy"], np.float64)
    if seen.outer_xyxy is None:
        f.fault(where, "was kept, but nothing of it can be seen")
        return
    if "segmentation" in row:
        _fits_its_own(box, row["segmentation"], setting, where, f)
    if method == "mask":
        _mask_box(box, shape, seen, setting, where, f)
    else:
        f.measured(f"box {method}", float(beyond(box, seen).max()), where)
    w, h = setting.out_wh
    outer = seen.outer_xyxy
    if outer[0] > 1 and outer[1] > 1 and outer[2] < w - 1 and outer[3] < h - 1:
        off = box - outer
        f.shifts.setdefault(method, []).append((float(off[0] + off[2]) / 2, float(off[1] + off[3]) / 2))


def _mask_box(box: F64, shape: Painted, seen: Seen, setting: Setting, where: Where, f: Findings) -> None:
    """The box of a mask goes by whole pixels: those that it covers by half or more.

    Where it ends in a sliver, half covered for many pixels in a row, the last of them hangs on a hair.
    """
    window = window_around([box, seen.outer_xyxy], setting.out_wh)
    share = coverage(shape, setting, window)
    half, most = (box_of(share >= least, 1, window[:2]) for least in (0.5, 0.75))
    off = beyond(box, replace(seen, inner_xyxy=half))
    sliver = np.ones(4, bool) if half is None or most is None else np.abs(half - most) > 1.0
    for kind, sides in (("box mask", ~sliver), ("box tip", sliver)):
        if sides.any():
            f.measured(kind, float(off[sides].max()), where)


def beyond(box_xyxy: F64, seen: Seen) -> F64:
    """How far each side of a box lies outside the room between the inner and the outer box, in pixels."""
    outer = seen.outer_xyxy
    if outer is None:
        return np.full(4, np.inf)
    inner = seen.inner_xyxy if seen.inner_xyxy is not None else outer
    low, high = np.minimum(inner, outer), np.maximum(inner, outer)
    off: F64 = np.maximum(low - box_xyxy, box_xyxy - high).clip(0.0)
    return off


def _fits_its_own(box: F64, segmentation: Any, setting: Setting, where: Where, f: Findings) -> None:
    """The written box is that of the written mask or polygon, to the last decimal."""
    if isinstance(segmentation, Mapping):
        own = box_of(rasterised(segmentation), 1)
    else:
        points = np.concatenate([np.array(ring).reshape(-1, 2) for ring in segmentation])
        own = np.concatenate([points.min(axis=0), points.max(axis=0)])
    if own is None or np.abs(own - box).max() > 0.0021:
        f.fault(where, f"box {box.tolist()} is not that of its segmentation, {None if own is None else own.tolist()}")


# --- masks -----------------------------------------------------------------------------------------------------------


def rasterised(segmentation: Mapping[str, Any]) -> Marks:
    """A written run-length code as pixels."""
    h, w = segmentation["size"]
    return bitmap_of(Rle((h, w), segmentation["counts"].encode())).astype(bool)


def window_around(boxes: Sequence[F64 | Sequence[float] | None], out_wh: tuple[int, int]) -> Window:
    """The pixels of the picture in and around some boxes."""
    known = np.array([box for box in boxes if box is not None], np.float64)
    low, high = np.floor(known.min(axis=0)) - _AROUND, np.ceil(known.max(axis=0)) + _AROUND
    w, h = out_wh
    return max(0, int(low[0])), max(0, int(low[1])), min(w, int(high[2])), min(h, int(high[3]))


def coverage(shape: Painted, setting: Setting, window: Window) -> F64:
    """How much of each pixel of a window a shape covers, 0..1."""
    x0, y0, x1, y1 = window
    samples = shape.canvas.looked_up(setting.steps, setting.size_wh, window, setting.cuts_erased)
    share: F64 = samples.reshape(y1 - y0, FINE, x1 - x0, FINE).mean(axis=(1, 3))
    return share


def _mask(row: Mapping[str, Any], shape: Painted, seen: Seen, setting: Setting, where: Where, f: Findings) -> None:
    """Where written and painted mask differ, in pixels of area for each pixel of outline."""
    if "segmentation" not in row:
        f.fault(where, "its mask or polygon was not written")
        return
    window = window_around([row["box_xyxy"], seen.outer_xyxy], setting.out_wh)
    x0, y0, x1, y1 = window
    written = row["segmentation"]
    f.measured("area", abs(float(row["area"]) - seen.area) / max(seen.area, 30.0), where)
    if isinstance(written, Mapping):
        bitmap = rasterised(written)
        if bitmap.shape != setting.out_wh[::-1]:
            f.fault(where, f"the mask is {bitmap.shape[::-1]} pixels, the picture {setting.out_wh}")
            return
        expected = coverage(shape, setting, window) >= 0.5
        got, kind, pixel = bitmap[y0:y1, x0:x1], "mask", 1
        stray = int(bitmap.sum() - got.sum())
        _close(f, where, "area", float(row["area"]), float(bitmap.sum()), 0.5)
    else:
        rings = [np.array(ring, np.float64).reshape(-1, 2) - (x0, y0) for ring in written]
        expected = shape.canvas.looked_up(setting.steps, setting.size_wh, window, setting.cuts_erased)
        got = filled(rings, (x1 - x0, y1 - y0))
        kind, pixel, stray = "polygon", FINE, 0
    if not got.any():
        f.fault(where, "its mask has no pixels")
    if expected.sum() > _SMALL * pixel**2:
        f.measured(kind, (float((got != expected).sum()) / pixel**2 + stray) / (perimeter(expected) / pixel), where)


# --- points ----------------------------------------------------------------------------------------------------------


def _keypoints(
    source_xyv: F64 | None, row: Mapping[str, Any], setting: Setting, pairs: Sequence[Any], where: Where, f: Findings
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


def _oriented(source: F64 | None, row: Mapping[str, Any], setting: Setting, where: Where, f: Findings) -> None:
    """The written oriented box is a rectangle around the moved corners, and no larger than the smallest there is."""
    if source is None or "obb" not in row:
        if (source is None) != ("obb" not in row):
            f.fault(where, "its oriented box was not written" if source is not None else "has an oriented box")
        return
    got = np.array(row["obb"], np.float32)
    moved = moved_points(source, setting.steps, setting.size_wh).xy.astype(np.float32)
    sides = np.roll(got, -1, axis=0) - got
    lengths = np.hypot(*sides.T)
    square = np.abs((sides * np.roll(sides, -1, axis=0)).sum(axis=1)) <= 0.02 * np.maximum(1.0, lengths.max())
    if is_moved(setting.steps) and not square.all():
        f.fault(where, "its oriented box is no rectangle")
    outside = max(0.0, *(-cv2.pointPolygonTest(got, (float(x), float(y)), True) for x, y in moved))
    smallest = float(np.prod(cv2.minAreaRect(moved)[1]))
    looser = (float(lengths[0] * lengths[1]) - smallest) / max(1.0, float(lengths.sum()))
    f.measured("obb", max(outside, looser), where)


def _parts(objects: Objects, i: int, row: Mapping[str, Any], setting: Setting, where: Where, f: Findings) -> None:
    """Boxes of parts, in their order; one of which less than a pixel can be seen may be left out."""
    written = list(row.get("parts", ()))
    for part in objects.parts[i]:
        seen = seen_of(painted_rings([box_ring(part.box_xyxy)]), setting.steps, setting.size_wh)
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


def expected_mask(shape: Painted, seen: Seen, setting: Setting) -> tuple[NDArray[Any], Window] | None:
    """The pixels that a shape covers by half or more and their window, for people to look at."""
    if seen.outer_xyxy is None:
        return None
    window = window_around([seen.outer_xyxy], setting.out_wh)
    x0, y0, x1, y1 = window
    if x0 >= x1 or y0 >= y1:
        return None
    return coverage(shape, setting, window) >= 0.5, window
