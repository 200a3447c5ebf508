"""One written sample beside its source: every object and drop, the rasters, the picture itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from augpipe.errors import one_line
from augpipe.labels import LabelRules
from augpipe.pixels import reference
from augpipe.pixels.codec import PictureFormat, encode
from augpipe.plan import AnyStep, from_json
from augpipe.sample import U8, Annotations, Category, Dropped, Raster
from augpipe.verify.compare import Setting, compare, seen_in
from augpipe.verify.findings import Findings, Where
from augpipe.verify.paint import perimeter, sizes_of
from augpipe.verify.truth import Painted, Seen, moved_raster

_SHARE = 0.02  # a share of an object that sampling may be off by


@dataclass(frozen=True, eq=False)
class Source:
    """A source picture as it was read: RGB or gray and upright, with its labels."""

    picture_rgb: U8
    annotations: Annotations
    sha256: str
    shapes: dict[tuple[int, str], tuple[str, Painted]] = field(default_factory=dict)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height."""
        return self.picture_rgb.shape[1], self.picture_rgb.shape[0]


@dataclass(frozen=True)
class Context:
    """What the manifest says, as far as labels and pictures depend on it."""

    rules: LabelRules
    categories: Mapping[int, Category]
    void: int
    picture: PictureFormat


def check_sample(key: str, members: Mapping[str, bytes], source: Source, context: Context, f: Findings) -> None:
    """Everything about one sample that can be derived from its source and its plan.

    Args:
        key: KEY.
        members: ending → bytes, as in the tar; ``json`` is among them.
        source: the picture that it was made of.
        context: of the run.
        f: takes what is found.
    """
    record, where = record_in(members), Where(key)
    try:
        steps = from_json(record["plan"]).steps
        out_wh = (int(record["width"]), int(record["height"]))
        if record["source"]["sha256"] != source.sha256:
            f.fault(where, "its source picture has changed since: another sha256")
        if sizes_of(steps, source.size_wh)[-1] != out_wh:
            f.fault(where, f"is {out_wh}, its plan leads to {sizes_of(steps, source.size_wh)[-1]}")
            return
        setting = Setting(key, steps, source.size_wh, out_wh, context.rules, source.shapes)
        _objects(record, source.annotations, setting, context, f)
        _texts(record, source.annotations, where, f)
        _rasters(members, record, source.annotations, setting, context, f)
        _picture(members, source, steps, context, where, f)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        f.fault(where, f"its record is not as docs/format.md has it: {type(error).__name__}: {one_line(error, 120)}")


def record_in(members: Mapping[str, bytes]) -> dict[str, Any]:
    """KEY.json."""
    import json

    value: dict[str, Any] = json.loads(members["json"])
    return value


# --- objects ---------------------------------------------------------------------------------------------------------


def _objects(record: Mapping[str, Any], source: Annotations, setting: Setting, context: Context, f: Findings) -> None:
    rows = {int(row["index"]): row for row in record["objects"]}
    drops = {int(row["index"]): row for row in record["dropped"]}
    if len(rows) + len(drops) != len(record["objects"]) + len(record["dropped"]) or rows.keys() & drops.keys():
        f.fault(Where(setting.key), "an object is there twice")
    objects = source.objects
    known = {int(index): i for i, index in enumerate(objects.index)}
    unreadable = {d.index: d for d in source.dropped}
    for index in sorted({*rows, *drops} - {*known, *unreadable}):
        f.fault(Where(setting.key, index), "is no object of the source")
    for index, dropped in unreadable.items():
        _unreadable(dropped, rows, drops, Where(setting.key, index), f)
    for index, i in known.items():
        category = context.categories[int(objects.category_id[i])]
        if index in rows:
            row = rows[index]
            if (row["category"], row["label"]) != (category.name, category.label):
                f.fault(Where(setting.key, index), f"is a {one_line(row['category'])}, in the source a {category.name}")
            compare(objects, i, row, setting, category, f)
        elif index in drops:
            _drop(source, i, drops[index], setting.of(category), f)
        else:
            f.fault(Where(setting.key, index), "vanished without a word")


def _unreadable(
    dropped: Dropped, rows: Mapping[int, Any], drops: Mapping[int, Mapping[str, Any]], where: Where, f: Findings
) -> None:
    """What reading the source left out stays out, with the reason it had there."""
    if dropped.index in rows:
        f.fault(where, f"was kept, but makes no sense in the source ({dropped.reason})")
    elif dropped.index not in drops:
        f.fault(where, "vanished without a word")
    elif drops[dropped.index]["reason"] != dropped.reason:
        f.fault(where, f"was dropped as {drops[dropped.index]['reason']}, expected {dropped.reason}")


def _drop(source: Annotations, i: int, row: Mapping[str, Any], setting: Setting, f: Findings) -> None:
    """A dropped object really is too small, or out of sight."""
    where = Where(setting.key, int(source.objects.index[i]))
    _, _, seen = seen_in(source.objects, i, setting)
    reason = str(row["reason"])
    if not _is_right(reason, seen, setting.rules):
        f.fault(
            where,
            f"was dropped as {reason}, but {seen.visible:.3f} of it can be seen, {seen.area:.1f} pixels in "
            f"{None if seen.inner_xyxy is None else seen.inner_xyxy.round(2).tolist()}",
        )


def _is_right(reason: str, seen: Seen, rules: LabelRules) -> bool:
    side = 0.0 if seen.inner_xyxy is None else float((seen.inner_xyxy[2:] - seen.inner_xyxy[:2]).min())
    if reason == "outside":
        return seen.in_frame <= _SHARE or seen.area <= 1.0
    if reason in ("min_visibility", "erased"):
        cut = rules.truncated == "drop" and seen.in_frame < 1.0 - 1e-6
        return cut or seen.visible <= rules.min_visibility + _SHARE
    if reason == "min_side":
        return side <= rules.min_side + 1.0
    if reason == "min_area":
        return seen.area <= rules.min_area * 1.1 + 4.0
    if reason == "degenerate":
        return side <= 1.5 or seen.area <= 2.0
    return False


def _texts(record: Mapping[str, Any], source: Annotations, where: Where, f: Findings) -> None:
    for name in ("tags", "captions"):
        if tuple(record.get(name, ())) != tuple(getattr(source, name)):
            f.fault(where, f"its {name} are not those of the source")


# --- rasters ---------------------------------------------------------------------------------------------------------


def raster_of(png: bytes) -> Raster:
    """A written mask, by Pillow: gray values, or R + 256·G + 65536·B."""
    values = np.asarray(Image.open(io.BytesIO(png))).astype(np.uint32)
    if values.ndim == 3:
        values = values[:, :, 0] + 256 * values[:, :, 1] + 65536 * values[:, :, 2]
    return values


def _rasters(
    members: Mapping[str, bytes],
    record: Mapping[str, Any],
    source: Annotations,
    setting: Setting,
    context: Context,
    f: Findings,
) -> None:
    for name in ("semantic", "instance", "panoptic"):
        raster: Raster | None = getattr(source, name)
        where, ending = Where(setting.key), f"{name}.png"
        if (raster is None) != (ending not in members):
            f.fault(where, f"its {ending} is {'from nowhere' if raster is None else 'missing'}")
        if raster is None or ending not in members:
            continue
        got, source_values = raster_of(members[ending]), raster.astype(np.uint32)
        void = {"semantic": context.void, "instance": int(np.iinfo(raster.dtype).max), "panoptic": 0}[name]
        if name == "instance":
            kept = np.array(sorted(int(row["instance"]) for row in record["objects"] if "instance" in row), np.uint32)
            source_values = np.where((raster == 0) | np.isin(raster, kept), source_values, np.uint32(void))
        sizes = (setting.size_wh, setting.out_wh)
        expected = moved_raster(source_values, setting.steps, *sizes, void, setting.cuts_erased)
        if got.shape != expected.shape:
            f.fault(where, f"its {ending} is {got.shape[::-1]} pixels, the picture {setting.out_wh}")
            continue
        if not set(np.unique(got)) <= {*np.unique(source_values), void}:
            f.fault(where, f"its {ending} has a value that the source has not")
        f.measured(name, float((got != expected).sum()) / max(1, perimeter(expected)), where)


# --- the picture -----------------------------------------------------------------------------------------------------


def _picture(
    members: Mapping[str, bytes],
    source: Source,
    steps: Sequence[AnyStep],
    context: Context,
    where: Where,
    f: Findings,
) -> None:
    """The picture made again by the float64 reference and compressed alike; the mean difference in levels."""
    expected = reference.apply(source.picture_rgb, steps)
    bgr = expected if expected.ndim == 2 else expected[:, :, ::-1]
    again = pixels_of(encode(np.ascontiguousarray(bgr), context.picture))
    got = pixels_of(members[context.picture.format])
    if got.shape != again.shape:
        f.fault(where, f"its picture is {got.shape}, expected {again.shape}")
        return
    f.measured("picture", float(np.abs(got.astype(np.int16) - again).mean()), where)


def pixels_of(data: bytes) -> U8:
    """A written picture, by Pillow: RGB or gray."""
    return np.asarray(Image.open(io.BytesIO(data)))
