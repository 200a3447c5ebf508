"""The samples of one picture that is cut into windows: the plan and the labels of each, and what is in none of them.

A window is a move by whole pixels onto a canvas of its size, so its pixels are the source's own. The plan names it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from augpipe.core.annotations import F64, Annotations, Category, Dropped, Frame, Objects, Raster
from augpipe.core.canvas import follow
from augpipe.core.errors import Reject, fault
from augpipe.core.geometry import bounds_of, translation
from augpipe.core.plan import Drawn, Plan, Step
from augpipe.core.rng import SampleRng
from augpipe.labels.normalize import bounds_of_segmentation
from augpipe.labels.rules import LabelRules
from augpipe.labels.transform import Labelled, apply
from augpipe.pixels.steps.warp import Warp
from augpipe.windows.geometry import Window, around, tiles
from augpipe.windows.spec import ObjectWindows, Tiles, WindowSpec


@dataclass(frozen=True, eq=False)
class Rules:
    """What decides the labels of all windows of a run."""

    labels: LabelRules
    categories: Mapping[int, Category]
    void: int


@dataclass(frozen=True, eq=False)
class WindowPiece:
    """A window of a picture by its number, and the labels that it may show."""

    number: int
    plan: Plan
    annotations: Annotations


@dataclass(frozen=True, eq=False)
class PlannedSample:
    """The plan and the labels of a sample by its number, or why it has none."""

    number: int
    plan: Plan
    labels: Labelled | Reject


@dataclass(frozen=True, eq=False)
class PlannedSamples:
    """The samples of one picture.

    Attributes:
        samples: those that are to be made.
        lost: the objects that are in none, each once, with the reason; it is that of the window that shows most.
        left_out: windows without labels that were not kept.
    """

    samples: tuple[PlannedSample, ...]
    lost: tuple[Dropped, ...] = ()
    left_out: int = 0


def samples_of(spec: WindowSpec, frame: Frame, seed: int, rules: Rules) -> PlannedSamples:
    """The samples of a picture.

    Args:
        spec: which windows.
        frame: key, upright size and labels of the picture.
        seed: of the run, which chooses the empty tiles that stay.
        rules: what becomes of labels.
    """
    source, size_wh = frame.annotations, frame.size_wh
    pieces = pieces_of(spec, frame, seed, rules.categories)
    found = [PlannedSample(piece.number, piece.plan, _labels(piece, size_wh, rules)) for piece in pieces]
    lost = {row.index: row for row in (*source.dropped, *_refused(spec, source.objects))}
    lost |= {row.index: row for row in _in_none(source.objects, found) if row.index not in lost}
    found = [replace(sample, labels=_as_seen(sample.labels)) for sample in found]
    kept = _kept(spec, frame.key, seed, found, rules.void)
    there = {index for sample in kept for index in _indexes(sample.labels)}  # a crop may show a crowd beside its object
    return PlannedSamples(
        tuple(kept),
        tuple(lost[index] for index in sorted(lost) if index not in there),
        len(found) - len(kept) if isinstance(spec, Tiles) else 0,
    )


def plan_of(spec: WindowSpec, number: int, window: Window, size_wh: tuple[int, int], seed: int) -> Plan:
    """The plan of a window of a picture of ``size_wh``."""
    x0, y0, x1, y1 = window
    is_whole = window == (0, 0, *size_wh)
    steps: tuple[Step, ...] = () if is_whole else (Warp(translation(float(-x0), float(-y0)), (x1 - x0, y1 - y0)),)
    name = "tile" if isinstance(spec, Tiles) else "crop"
    return Plan(seed, steps, (Drawn(name, {"number": number, "window_xyxy": list(window)}),))


def pieces_of(spec: WindowSpec, frame: Frame, seed: int, categories: Mapping[int, Category]) -> Iterator[WindowPiece]:
    """The windows of a picture with the labels that each may show, before any is left out.

    The picture of an object has its class as its one tag; tags and captions of the whole picture say nothing of it.
    """
    size_wh, source = frame.size_wh, replace(frame.annotations, dropped=())
    objects = source.objects
    reach = _reach(objects)
    if isinstance(spec, Tiles):
        for number, window in enumerate(tiles(size_wh, spec.size, spec.overlap, pad=spec.pad)):
            shown = _take(source, _touching(reach, window))
            yield WindowPiece(number, plan_of(spec, number, window, size_wh, seed), shown)
        return
    refused = {row.index for row in _refused(spec, objects)}
    for row, index in enumerate(objects.index.tolist()):
        if index in refused:
            continue
        box, name = _box(objects, row), categories[int(objects.category_id[row])].name
        window = around(box, size_wh, _margin(spec, box), square=spec.square)
        shown = _take(source, _touching(reach, window) if spec.others else [row])
        shown = replace(shown, captions=(), tags=(name,))
        yield WindowPiece(index, plan_of(spec, index, window, size_wh, seed), shown)


# --- which objects a window may show ---------------------------------------------------------------------------------


def _take(source: Annotations, rows: Sequence[int]) -> Annotations:
    return source if len(rows) == len(source.objects) else source.with_objects(source.objects.take(rows))


def _reach(objects: Objects) -> F64:
    """Boxes (N, 4) around everything that an object has but its keypoints, which do not keep it alive."""
    reach = objects.boxes_xyxy.copy()
    for i, (segmentation, obb) in enumerate(zip(objects.segmentation, objects.obb, strict=True)):
        for box in (bounds_of_segmentation(segmentation), None if obb is None else bounds_of(obb)):
            if box is not None:
                reach[i, :2] = np.minimum(reach[i, :2], box[:2])
                reach[i, 2:] = np.maximum(reach[i, 2:], box[2:])
    return reach


def _touching(reach: F64, window: Window) -> list[int]:
    """The rows of boxes that share a point with a window."""
    x0, y0, x1, y1 = window
    touches = (reach[:, 0] <= x1) & (reach[:, 2] >= x0) & (reach[:, 1] <= y1) & (reach[:, 3] >= y0)
    rows: list[int] = np.flatnonzero(touches).tolist()
    return rows


def _box(objects: Objects, row: int) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = objects.boxes_xyxy[row].tolist()
    return x0, y0, x1, y1


def _margin(spec: ObjectWindows, box: tuple[float, float, float, float]) -> tuple[float, float]:
    x0, y0, x1, y1 = box
    w, h = (x1 - x0, y1 - y0) if spec.unit == "share" else (1.0, 1.0)
    return spec.margin * w, spec.margin * h


def _refused(spec: WindowSpec, objects: Objects) -> Iterator[Dropped]:
    """Objects around which there is no window: crowds, which are no single object, and those that are too small."""
    if isinstance(spec, Tiles):
        return
    for row, (index, category) in enumerate(zip(objects.index.tolist(), objects.category_id.tolist(), strict=True)):
        x0, y0, x1, y1 = _box(objects, row)
        side = round(min(x1 - x0, y1 - y0), 3)
        if objects.iscrowd[row]:
            yield Dropped(index, category, "crowd", None, objects.facts[row].id)
        elif side < spec.min_side:
            yield Dropped(index, category, "min_side", side, objects.facts[row].id)


# --- labels ----------------------------------------------------------------------------------------------------------


def _labels(piece: WindowPiece, size_wh: tuple[int, int], rules: Rules) -> Labelled | Reject:
    canvas = follow(piece.plan.steps, size_wh)
    try:
        return apply(piece.annotations, canvas, rules.labels, rules.categories, rules.void)
    except Reject as reject:
        return reject
    except Exception as error:  # one window must not end a run
        return fault("plan", error)


def _as_seen(labels: Labelled | Reject) -> Labelled | Reject:
    """The labels without a word on the objects that the window does not show: they are in others."""
    if isinstance(labels, Reject):
        return labels
    return replace(labels, dropped=tuple(row for row in labels.dropped if row.reason != "outside"))


def _in_none(objects: Objects, found: Sequence[PlannedSample]) -> Iterator[Dropped]:
    """The objects that no window has kept; none where a window has failed, which may have had them."""
    kept, best = set[int](), dict[int, Dropped]()
    for labels in (sample.labels for sample in found):
        if isinstance(labels, Reject):
            return
        kept.update(_indexes(labels))
        for row in labels.dropped:
            if row.index not in best or _shown(row) > _shown(best[row.index]):
                best[row.index] = row
    for i, index in enumerate(objects.index.tolist()):
        if index not in kept:
            yield best.get(index) or Dropped(index, int(objects.category_id[i]), "outside", None, objects.facts[i].id)


def _shown(row: Dropped) -> tuple[bool, float]:
    """How much of an object a window shows that has dropped it."""
    return row.reason != "outside", -1.0 if row.value is None else row.value


# --- empty tiles -----------------------------------------------------------------------------------------------------


def _kept(spec: WindowSpec, key: str, seed: int, found: Sequence[PlannedSample], void: int) -> Sequence[PlannedSample]:
    """The samples without the crops whose object is lost, and the empty tiles that do not stay."""
    if isinstance(spec, ObjectWindows):
        return [
            sample for sample in found if isinstance(sample.labels, Reject) or sample.number in _indexes(sample.labels)
        ]
    if spec.keep_empty >= 1.0:
        return found
    bare, out = list[int](), set[int]()
    for sample in found:
        if not isinstance(sample.labels, Reject) and is_empty(sample.labels, void):
            if sample.labels.dropped:  # a piece of an object without its label is no example of background
                out.add(sample.number)
            else:
                bare.append(sample.number)
    out |= {*bare} - chosen(bare, spec.keep_empty, key, seed)
    return [sample for sample in found if sample.number not in out]


def _indexes(labels: Labelled | Reject) -> list[int]:
    """The objects that a sample has."""
    found: list[int] = [] if isinstance(labels, Reject) else labels.annotations.objects.index.tolist()
    return found


def is_empty(labels: Labelled, void: int) -> bool:
    """Whether a window has nothing to learn from but background."""
    picture = labels.annotations
    if len(picture.objects) or picture.tags or picture.captions:
        return False
    return not any(
        raster is not None and _marks_something(raster, no)
        for raster, no in ((picture.semantic, void), (picture.panoptic, 0))
    )


def _marks_something(raster: Raster, void: int) -> bool:
    return bool(((raster != 0) & (raster != void)).any())


def chosen(numbers: Sequence[int], share: float, key: str, seed: int) -> set[int]:
    """``share`` of the windows of a picture, by a hash of seed, key and number; independent of all other pictures.

    Their count is the share, rounded up or down by a hash of seed and key, so that over many pictures it is exact.
    """
    count = math.floor(round(share * len(numbers), 9) + SampleRng(seed, key, -1).unit("tile", "keep_empty"))
    return set(sorted(numbers, key=lambda number: SampleRng(seed, key, number).unit("tile", "keep_empty"))[:count])
