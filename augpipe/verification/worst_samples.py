"""The worst samples for people to look at: what was written beside what was painted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from augpipe.core.annotations import U8, Annotations, ObjectRow, Rle, objects_of
from augpipe.core.canvas import fault_of
from augpipe.core.errors import Reject, one_line
from augpipe.core.plan import from_json
from augpipe.formats.base import Dataset
from augpipe.formats.webdataset.record import annotations_of_record
from augpipe.formats.webdataset.safe_parse import members_at, object_of, open_file, samples_of
from augpipe.formats.webdataset.schema import read_manifest
from augpipe.verification.check_sample import Context, SourcePicture, raster_of
from augpipe.verification.findings import MEASURES, MISFIT, ObjectRef, Verdict
from augpipe.verification.objects.check_mask import window_around
from augpipe.verification.objects.check_object import expected_keypoints
from augpipe.verification.objects.expected import ExpectedObject, Setting, expected_object
from augpipe.verification.run import Reading, context_of, reading_of
from augpipe.verification.safe_pictures import picture_in, pixels_of
from augpipe.viz.sheet import Tile, sheet


def sheet_of_worst(folder: Path, dataset: Dataset, verdict: Verdict, most: int = 6) -> U8:
    """One RGB picture with a row for each of the worst samples: written, and painted.

    Args:
        folder: that was verified.
        dataset: the source that it was verified against.
        verdict: says which samples are the worst.
        most: rows.
    """
    manifest = read_manifest(folder, whole=True)
    context, reading = context_of(manifest), reading_of(dataset, manifest, None)
    chosen = chosen_of(verdict, most)
    found = _find(folder, manifest, set(chosen))
    rows = {}
    for key, words in chosen.items():
        # What cannot be drawn is left out; verify says in words what is wrong with it.
        with contextlib.suppress(Reject, *MISFIT):
            rows[key] = _row(key, found[key], words, reading, context)
    title = f"{folder.name} · what is off, and the furthest from what was painted"
    return sheet(list(rows.values()), context.categories, tile_px=480, title=title, keys=list(rows))


def chosen_of(verdict: Verdict, most: int) -> dict[str, str]:
    """KEY → words of the samples to draw: what is over a limit, what is plainly wrong, then the furthest off."""
    measured = [(where.key, f"{_title(kind, where)}: {_times(rate)}") for rate, kind, where in verdict.worst]
    faults = []
    for fault in verdict.faults:
        key, _, about = fault.where.partition(" ")
        faults.append((key, one_line(f"{about} {fault.message}".strip(), 90)))
    over = sum(rate > 1.0 for rate, _, _ in verdict.worst)
    chosen: dict[str, str] = {}
    for key, words in [*measured[:over], *faults, *measured[over:]]:
        if len(chosen) < most and key:
            chosen.setdefault(key, words)
    return chosen


def _title(kind: str, where: ObjectRef) -> str:
    about = f"object {where.number}" if where.number >= 0 else where.part
    return ", ".join(filter(None, (MEASURES[kind].title, about)))


def _times(rate: float) -> str:
    return f"{rate:.0%} of the limit" if rate <= 1.0 else f"{rate:,.1f} times the limit"


def _row(key: str, members: Mapping[str, bytes], words: str, reading: Reading, context: Context) -> list[Tile]:
    """What was written, and what was painted.

    Raises:
        Reject, ValueError: one of them cannot be drawn.
    """
    record = object_of(members["json"])
    size_wh = (int(record["width"]), int(record["height"]))
    source = reading.source(str(record["source"]["key"]))
    picture = pixels_of(picture_in(members)[1], size_wh)
    rasters = {name: raster_of(data, size_wh) for name, data in members.items() if name.endswith(".png")}
    written = annotations_of_record(record, rasters, context.categories, key)
    painted = _painted_annotations(record, source, context)
    return [Tile(picture, written, words, "written"), Tile(picture, painted, "", "painted anew")]


def _find(folder: Path, manifest: Mapping[str, Any], keys: set[str]) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for shard in manifest["shards"]:
        if shard["samples"] and len(found) < len(keys):
            path = folder / Path(str(shard["name"])).name
            with contextlib.suppress(OSError, ValueError), open_file(path) as tar:  # verify reports it
                file = tar.fileno()
                found |= {key: members_at(file, places) for key, places in samples_of(file) if key in keys}
    return found


def _painted_annotations(record: Mapping[str, Any], source: SourcePicture, context: Context) -> Annotations:
    """The objects as they were painted: mask, box and keypoints of all that were not dropped.

    Raises:
        ValueError: the plan cannot be followed.
    """
    steps = from_json(record["plan"]).steps_alone()
    if fault := fault_of(steps, source.size_wh):
        raise ValueError(fault)
    out_wh = (int(record["width"]), int(record["height"]))
    setting = Setting(steps, source.size_wh, out_wh, context.rules, source.shapes)
    objects = source.annotations.objects
    dropped = {int(row["index"]) for row in record["dropped"]}
    rows: list[ObjectRow] = []
    for i in range(len(objects)):
        if int(objects.index[i]) in dropped:
            continue
        expected = expected_object(objects, i, context.categories[int(objects.category_id[i])], setting)
        outer, xyv = expected.seen.outer_xyxy, objects.keypoints[i]
        if outer is not None:
            rows.append(
                ObjectRow(
                    index=len(rows),
                    category_id=expected.category.id,
                    box_xyxy=tuple(outer.tolist()),
                    iscrowd=int(objects.iscrowd[i]),
                    segmentation=_painted_mask(expected) if expected.has_shape else None,
                    keypoints=None if xyv is None else expected_keypoints(xyv, expected)[0],
                )
            )
    return Annotations(objects=objects_of(rows))


def _painted_mask(expected: ExpectedObject) -> Rle | None:
    """The pixels that a shape covers by half or more."""
    width, height = expected.setting.out_wh
    window = x0, y0, x1, y1 = window_around(None, expected)
    if x0 >= x1 or y0 >= y1:
        return None
    bitmap = np.zeros((height, width), np.uint8, order="F")
    bitmap[y0:y1, x0:x1] = expected.setting.coverage(expected.shape, window) >= 0.5
    return Rle((height, width), coco_mask.encode(bitmap)["counts"])
