"""The worst samples for people to look at: what was written beside what was painted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from augpipe.core.annotations import U8, Annotations, ObjectRow, Rle, objects_of
from augpipe.core.errors import Reject, one_line
from augpipe.core.plan import from_json
from augpipe.formats.base import Dataset
from augpipe.formats.webdataset.record import annotations_of_record
from augpipe.verification.check_mask import expected_mask
from augpipe.verification.check_object import expected_keypoints
from augpipe.verification.check_sample import Context, SourcePicture, raster_of
from augpipe.verification.expected import Setting, seen_in
from augpipe.verification.findings import MEASURES, Mistake, ObjectRef, Verdict
from augpipe.verification.plan_checks import fault_of
from augpipe.verification.run import Reading, context_of, reading_of
from augpipe.verification.safe_parse import members_at, object_of, pixels_of, read_manifest, samples_of
from augpipe.viz.sheet import Tile, sheet


def sheet_of_worst(folder: Path, dataset: Dataset, verdict: Verdict, most: int = 6) -> U8:
    """One RGB picture with a row for each of the worst samples: written, and painted.

    Args:
        folder: that was verified.
        dataset: the source that it was verified against.
        verdict: says which samples are the worst.
        most: rows.
    """
    manifest = read_manifest(folder)
    context = context_of(manifest)
    reading = reading_of(dataset, manifest, None)
    chosen = chosen_of(verdict, most)
    found = _find(folder, manifest, set(chosen))
    rows, keys = [], []
    for key, words in chosen.items():
        try:
            rows.append(_row(key, found[key], words, reading, context))
        except (Reject, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
            continue  # nothing that can be drawn; what is wrong with it is told in words
        keys.append(key)
    title = f"{folder.name} · what is off, and the furthest from what was painted"
    return sheet(rows, context.categories, tile_px=480, title=title, keys=keys)


def chosen_of(verdict: Verdict, most: int) -> dict[str, str]:
    """KEY → words of the samples to draw: what is over a limit, what is plainly wrong, then the furthest off."""
    over = [(where, f"{_words(kind, where)}: {_times(rate)}") for rate, kind, where in verdict.worst]
    told = [(ObjectRef(fault.where.partition(" ")[0]), _said(fault)) for fault in verdict.faults]
    count = sum(rate > 1.0 for rate, _, _ in verdict.worst)
    chosen: dict[str, str] = {}
    for where, words in [*over[:count], *told, *over[count:]]:
        if len(chosen) < most and where.key:
            chosen.setdefault(where.key, words)
    return chosen


def _said(fault: Mistake) -> str:
    about = fault.where.partition(" ")[2]
    return one_line(f"{about} {fault.message}".strip(), 90)


def _times(rate: float) -> str:
    return f"{rate:.0%} of the limit" if rate <= 1.0 else f"{rate:,.1f} times the limit"


def _words(kind: str, where: ObjectRef) -> str:
    about = f"object {where.number}" if where.number >= 0 else where.part
    return ", ".join(filter(None, (MEASURES[kind].title, about)))


def _row(key: str, members: Mapping[str, bytes], words: str, reading: Reading, context: Context) -> list[Tile]:
    """What was written, and what was painted.

    Raises:
        Reject, ValueError: one of them cannot be drawn.
    """
    record = object_of(members["json"])
    size_wh = (int(record["width"]), int(record["height"]))
    source = reading.source(str(record["source"]["key"]))
    picture = pixels_of(members[context.picture.format], size_wh)
    rasters = {
        name: raster_of(data, size_wh) for name, data in members.items() if name.endswith(".png") and "." in name
    }
    written = annotations_of_record(record, rasters, context.categories, key)
    painted = painted_annotations(record, source, context)
    return [Tile(picture, written, words, "written"), Tile(picture, painted, "", "painted anew")]


def _find(folder: Path, manifest: Mapping[str, Any], keys: set[str]) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for shard in manifest["shards"]:
        if shard["samples"] and len(found) < len(keys):
            path = folder / Path(str(shard["name"])).name
            with contextlib.suppress(OSError, ValueError), open(path, "rb") as tar:  # told by verify
                found |= {key: members_at(tar, places) for key, places in samples_of(path) if key in keys}
    return found


def painted_annotations(record: Mapping[str, Any], source: SourcePicture, context: Context) -> Annotations:
    """The objects as they were painted: mask, box and keypoints of all that were not dropped.

    Raises:
        ValueError: the plan cannot be followed.
    """
    steps = from_json(record["plan"]).steps_alone()
    if fault := fault_of(steps, source.size_wh):
        raise ValueError(fault)
    out_wh = (int(record["width"]), int(record["height"]))
    base = Setting(str(record["key"]), steps, source.size_wh, out_wh, context.rules, source.shapes)
    objects = source.annotations.objects
    dropped = {int(row["index"]) for row in record["dropped"]}
    rows: list[ObjectRow] = []
    for i in range(len(objects)):
        if int(objects.index[i]) in dropped:
            continue
        category = context.categories[int(objects.category_id[i])]
        setting = base.of(category)
        method, shape, seen = seen_in(objects, i, setting)
        if seen.outer_xyxy is None:
            continue
        xyv = objects.keypoints[i]
        rows.append(
            ObjectRow(
                index=len(rows),
                category_id=category.id,
                box_xyxy=tuple(seen.outer_xyxy.tolist()),
                iscrowd=int(objects.iscrowd[i]),
                segmentation=_rle(expected_mask(shape, seen, setting), out_wh)
                if method in ("mask", "polygon")
                else None,
                keypoints=None if xyv is None else expected_keypoints(xyv, setting, category.flip_pairs)[0],
            )
        )
    return Annotations(objects=objects_of(rows))


def _rle(found: tuple[Any, Sequence[int]] | None, out_wh: tuple[int, int]) -> Rle | None:
    if found is None:
        return None
    marks, (x0, y0, x1, y1) = found
    bitmap = np.zeros(out_wh[::-1], np.uint8, order="F")
    bitmap[y0:y1, x0:x1] = marks
    coded = coco_mask.encode(bitmap)
    return Rle((out_wh[1], out_wh[0]), coded["counts"])
