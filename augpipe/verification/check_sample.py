"""One written sample beside its source: every object and drop, the rasters, the picture itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from augpipe.core.annotations import F64, U8, Annotations, Category, Frame, Header, Raster, class_names
from augpipe.core.canvas import fault_of
from augpipe.core.plan import Step, from_json
from augpipe.labels.rules import LabelRules
from augpipe.pixels import reference
from augpipe.pixels.codec.image import PictureFormat, encode
from augpipe.pixels.scaled_decode import scale_denominator_of
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.nodes import Recipe
from augpipe.verification.findings import MISFIT, Findings, Reporter
from augpipe.verification.objects.check_attributes import check_drop, check_segments, check_source, check_unreadable
from augpipe.verification.objects.check_object import check_object
from augpipe.verification.objects.expected import Painted, Setting, expected_object
from augpipe.verification.plan_checks import is_redrawn
from augpipe.verification.safe_pictures import picture_in, pixels_of
from augpipe.verification.supersample import perimeter, sizes_of
from augpipe.verification.window_checks import Xyxy, as_seen, cut_out, fault_of_window, window_of
from augpipe.verification.window_checks import may_lack as lacks
from augpipe.windows.spec import WindowSpec

_LEAST = 25  # pixels; of a value with less, the border is more than the rest
_BLOCK = 16  # pixels


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """A source picture, upright, with its labels.

    ``decoded`` gives it in RGB or gray at 1/n of its size, as the decoder makes it for an output that is shrunk;
    ``origin`` has key, sha256, width, height, orientation and split, as records have them; ``split`` is
    that of the dataset; ``shapes`` are kept for its other copies.
    """

    header: Header
    decoded: Callable[[int], U8]
    annotations: Annotations
    origin: Mapping[str, Any]
    split: str = ""
    shapes: dict[tuple[int, str], tuple[str, Painted]] = field(default_factory=dict)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height."""
        return self.header.upright_wh


@dataclass(frozen=True)
class Context:
    """What the manifest says, as far as labels and pictures depend on it.

    ``shrinks`` is whether the codec leaves a part of a strong shrinking to JPEG's decoder; ``recipe`` is what plans are
    drawn by, ``None`` if this version cannot draw them again; ``window`` is what they are cut into, if they are.
    """

    rules: LabelRules
    categories: Mapping[int, Category]
    void: int
    picture: PictureFormat
    shrinks: bool
    seed: int
    recipe: Recipe | None
    window: WindowSpec | None = None


@dataclass(frozen=True, eq=False)
class WrittenSample:
    """A sample as it was written: KEY, the record KEY.json, and ending → bytes of its members."""

    key: str
    record: Mapping[str, Any]
    members: Mapping[str, bytes]


def check_sample(sample: WrittenSample, source: SourcePicture, context: Context, f: Findings) -> None:
    """Everything about one sample that can be derived from its source and its plan."""
    report = f.at(sample.key)
    try:
        _check_sample(sample, source, context, f)
    except MISFIT as error:
        report.misfit(error)
    except MemoryError:
        report.fault("there is not enough memory to compare it")


def _check_sample(sample: WrittenSample, source: SourcePicture, context: Context, f: Findings) -> None:
    record, report = sample.record, f.at(sample.key)
    plan = from_json(record["plan"])
    steps, out_wh = plan.steps_alone(), (int(record["width"]), int(record["height"]))
    copy, window, labels = int(record["copy"]), None, source.annotations
    if context.window is not None:
        window = window_of(context.window, copy, labels.objects, source.size_wh)
        if window is None:
            report.fault(f"its source has no window {copy}")
            return
        labels = as_seen(context.window, copy, labels, context.categories)
    check_source(record, labels, source.origin, f.at(str(record["key"])))
    if (fault := fault_of(steps, source.size_wh)) is not None:
        report.fault(f"its plan cannot be followed: {fault}")
        return
    if (planned_wh := sizes_of(steps, source.size_wh)[-1]) != out_wh:
        report.fault(f"is {out_wh}, its plan leads to {planned_wh}")
        return
    names = class_names(context.categories.values())
    frame = Frame(str(source.origin["key"]), source.size_wh, labels, names, source.split)
    if context.window is not None and window is not None:
        if (fault := fault_of_window(plan, context.window, copy, window, source.size_wh)) is not None:
            report.fault(fault)
            return
    elif context.recipe is not None and not is_redrawn(plan, context.recipe, frame, context.seed, copy):
        report.fault(f"its plan is not the one that recipe and seed lead to for copy {record['copy']}")
    setting = Setting(steps, source.size_wh, out_wh, context.rules, source.shapes)

    def may_lack(row: int) -> bool:
        spec = context.window
        return window is not None and spec is not None and lacks(spec, copy, labels.objects, row, window)

    _check_objects(record, labels, setting, context, report, may_lack)
    _check_rasters(sample, labels, setting, context, report)
    _check_picture(sample.members, source, steps, context, report, window)


def _check_objects(
    record: Mapping[str, Any],
    source: Annotations,
    setting: Setting,
    context: Context,
    report: Reporter,
    may_lack: Callable[[int], bool],
) -> None:
    """Every object of the source was written or dropped once, and there are no others.

    The sample of a window says nothing of what it does not show, and ``may_lack`` says of which rows of the source's
    objects that is so.
    """
    rows = {int(row["index"]): row for row in record["objects"]}
    drops = {int(row["index"]): row for row in record["dropped"]}
    if len(rows) + len(drops) != len(record["objects"]) + len(record["dropped"]) or rows.keys() & drops.keys():
        report.fault("an object is there twice")
    objects = source.objects
    known = {int(index): i for i, index in enumerate(objects.index)}
    unreadable = {dropped.index: dropped for dropped in source.dropped}
    for index in sorted({*rows, *drops} - {*known, *unreadable}):
        report.of(index).fault("is no object of the source")
    for index, dropped in unreadable.items():
        if index in rows:
            report.of(index).fault(f"was kept, but makes no sense in the source ({dropped.reason})")
        elif index in drops:
            check_unreadable(drops[index], dropped, context.categories.get(dropped.category_id), report.of(index))
        elif context.window is None:
            report.of(index).fault("vanished without a word")
    for index, i in known.items():
        category = context.categories[int(objects.category_id[i])]
        if index in rows:
            check_object(rows[index], expected_object(objects, i, category, setting), report.of(index))
        elif index in drops:
            check_drop(drops[index], expected_object(objects, i, category, setting), report.of(index))
        elif context.window is None:
            report.of(index).fault("vanished without a word")
        elif not may_lack(i):
            outside = {"category": category.name, "id": objects.facts[i].id, "reason": "outside"}
            check_drop(outside, expected_object(objects, i, category, setting), report.of(index))


# --- rasters ---------------------------------------------------------------------------------------------------------


def raster_of(png: bytes, size_wh: tuple[int, int] | None = None) -> Raster:
    """A written mask: gray values, or R + 256·G + 65536·B.

    Raises:
        ValueError: it is no mask of that size.
    """
    values = pixels_of(png, size_wh).astype(np.uint32)
    if values.ndim == 3:
        values = values[:, :, 0] + 256 * values[:, :, 1] + 65536 * values[:, :, 2]
    return values


def _check_rasters(
    sample: WrittenSample, source: Annotations, setting: Setting, context: Context, report: Reporter
) -> None:
    panoptic: Raster | None = None
    for name in ("semantic", "instance", "panoptic"):
        raster: Raster | None = getattr(source, name)
        ending = f"{name}.png"
        png = sample.members.get(ending)
        if (raster is None) != (png is None):
            report.fault(f"its {ending} is {'from nowhere' if raster is None else 'missing'}")
        if raster is None or png is None:
            continue
        try:
            got, source_values = raster_of(png, setting.out_wh), raster.astype(np.uint32)
        except ValueError as error:
            report.fault(f"its {ending} {error}")
            continue
        void = {"semantic": context.void, "instance": int(np.iinfo(raster.dtype).max), "panoptic": 0}[name]
        if name == "instance":
            rows = sample.record["objects"]
            kept = np.array(sorted(int(row["instance"]) for row in rows if "instance" in row), np.uint32)
            source_values = np.where((raster == 0) | np.isin(raster, kept), source_values, np.uint32(void))
        expected = setting.moved_raster(source_values, void)
        if not set(np.unique(got)) <= {*np.unique(source_values), void}:
            report.fault(f"its {ending} has a value that the source has not")
        report.measured(name, float((got != expected).sum()) / max(1, perimeter(expected)))
        for value, off in _off_by_value(got, expected).items():
            report.of(part=f"{ending} value {value}").measured("value", off)
        if name == "panoptic":
            panoptic = got
    check_segments(sample.record, panoptic, source, setting, report)


def _off_by_value(got: Raster, expected: Raster) -> dict[int, float]:
    """For each value that is expected in some pixels: how many are wrong, for each pixel of its border."""
    values, places = np.unique(np.stack([got, expected]), return_inverse=True)
    mine, theirs = places.reshape(2, *got.shape)
    wrong = mine != theirs
    off = np.bincount(mine[wrong], minlength=len(values)) + np.bincount(theirs[wrong], minlength=len(values))
    border = np.zeros(len(values), np.int64)
    for a, b in ((theirs[1:], theirs[:-1]), (theirs[:, 1:], theirs[:, :-1])):
        for side in (a, b):
            border += np.bincount(side[a != b], minlength=len(values))
    known = np.bincount(theirs.ravel(), minlength=len(values)) >= _LEAST
    return {int(values[i]): float(off[i] / max(1, border[i])) for i in np.flatnonzero(known)}


# --- the picture -----------------------------------------------------------------------------------------------------


def _check_picture(
    members: Mapping[str, bytes],
    source: SourcePicture,
    steps: Sequence[Step],
    context: Context,
    report: Reporter,
    window: Xyxy | None,
) -> None:
    """The picture made again by the float64 reference and compressed alike; the mean difference in levels.

    A window is cut out of the source, which may be too large for the reference.
    """
    _, written = picture_in(members)
    if not steps and hashlib.sha256(written).hexdigest() == source.origin["sha256"]:
        return  # the original, as it is
    if window is not None:
        expected = cut_out(source.decoded(1), window)
    else:
        share = scale_denominator_of(source.header, steps) if context.shrinks else 1
        expected = reference.apply(source.decoded(share), _from_smaller(steps, share))
    bgr = expected if expected.ndim == 2 else expected[:, :, ::-1]
    again = pixels_of(encode(np.ascontiguousarray(bgr), context.picture.of(source.header)))
    got = pixels_of(written)
    if got.shape != again.shape:
        report.fault(f"its picture is {got.shape}, expected {again.shape}")
        return
    off = np.abs(got.astype(np.int16) - again).reshape(*got.shape[:2], -1).mean(axis=2)
    report.measured("picture", float(off.mean()))
    report.measured("spot", float(_in_blocks(off).max()))


def _from_smaller(steps: Sequence[Step], share: int) -> tuple[Step, ...]:
    """The steps for a source at 1/``share`` of its size: its pixels are as much larger on the way through the map."""
    if share == 1 or not isinstance(first := steps[0], Warp):
        return tuple(steps)
    matrix = np.reshape(first.matrix, (3, 3)) @ np.diag([share, share, 1.0])
    reduce = (first.reduce[0] // share, first.reduce[1] // share)
    return (replace(first, matrix=tuple(matrix.ravel().tolist()), reduce=reduce), *steps[1:])


def _in_blocks(values: F64) -> F64:
    """The means of square blocks; those at the right and lower edge reach back into the picture."""
    sums = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    (y0, y1), (x0, x1) = (_ends(side) for side in values.shape)
    boxes = sums[np.ix_(y1, x1)] - sums[np.ix_(y0, x1)] - sums[np.ix_(y1, x0)] + sums[np.ix_(y0, x0)]
    means: F64 = boxes / ((y1 - y0)[:, None] * (x1 - x0))
    return means


def _ends(side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = np.minimum(np.arange(0, side, _BLOCK), max(0, side - _BLOCK))
    return first, np.minimum(first + _BLOCK, side)
