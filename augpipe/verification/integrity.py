"""The shards themselves: whether the tars are whole, and every sample in them by itself. No source is needed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from augpipe.core.errors import one_line
from augpipe.formats.webdataset.safe_parse import MemberRange, members_at, object_of, open_file, samples_of
from augpipe.formats.webdataset.schema import SCHEMA, SampleRecord, fault_of_objects, record_from
from augpipe.labels.rules import LIMITS
from augpipe.verification.findings import MISFIT, Findings, Reporter
from augpipe.verification.safe_pictures import bitmap_of_code, picture_in, pixels_of

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_RASTERS = frozenset({"semantic.png", "instance.png", "panoptic.png"})


def check_shard(
    folder: Path, shard: Mapping[str, Any], f: Findings
) -> Iterator[tuple[str, dict[str, MemberRange], dict[str, bytes]]]:
    """(KEY, places, members) of every sample of a shard, which is checked on the way: hash, size, count, names.

    Tar headers are read by the words of docs/format.md, and nothing is unpacked.
    """
    name = str(shard["name"])
    path = folder / Path(name).name
    if not shard["samples"]:
        return
    try:
        with open_file(path) as file:
            if (size := path.stat().st_size) != shard["bytes"]:
                f.fault(name, f"has {size:,} bytes, in the manifest {one_line(shard['bytes'], 40)}")
            elif hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                f.fault(name, "its sha256 is not the one in the manifest")
            seen = set[str]()
            for key, places in samples_of(file.fileno()):
                if key in seen:
                    f.fault(name, f"{one_line(key, 100)} is there twice, or its members do not stand together")
                seen.add(key)
                try:
                    members = members_at(file.fileno(), places)
                except ValueError as error:
                    f.at(key).fault(one_line(error))
                else:
                    yield key, places, members
        if len(seen) != shard["samples"]:
            f.fault(name, f"holds {len(seen)} samples, the manifest says {shard['samples']}")
    except (OSError, ValueError) as error:
        f.fault(name, f"cannot be read: {one_line(error)}")


def check_sample_alone(
    key: str, members: Mapping[str, bytes], manifest: Mapping[str, Any], f: Findings
) -> dict[str, Any] | None:
    """A sample by itself: its name, its record, its picture; its record if more can be asked of it."""
    report = f.at(key)
    if not _KEY.fullmatch(key):
        report.fault("is no KEY")
    if "json" not in members:
        report.fault("has no json")
        return None
    try:
        ending, picture = picture_in(members)
    except ValueError as error:
        report.fault(one_line(error))
        return None
    if unknown := members.keys() - {"json", ending, "cls"} - _RASTERS:
        report.fault(f"has {one_line(', '.join(sorted(unknown)), 100)}, which no sample has")
    try:
        record = object_of(members["json"])
        known = record_from(record, SampleRecord)
        if fault := fault_of_objects(known, {row["label"]: row["id"] for row in manifest["config"]["categories"]}):
            report.fault(fault)
        _check_record(key, record, manifest, report)
        _check_class(members.get("cls"), record, manifest["config"], report)
        asked = manifest["config"]["picture"]["format"]
        if asked not in ("auto", ending) and record["copy"] >= 0:
            report.fault(f"its picture is a {ending}, the manifest says {asked}")
        if "dropped" not in record:
            raise KeyError("dropped")
        size_wh = (known.width, known.height)
        try:
            pixels_of(picture, size_wh)
        except ValueError as error:
            report.fault(f"its picture cannot be read: {one_line(error, 120)}")
            return None
        for row in record["objects"]:
            _check_object(row, size_wh, report.of(row["index"]))
    except MISFIT as error:
        report.misfit(error)
        return None
    return record


def _check_record(key: str, record: Mapping[str, Any], manifest: Mapping[str, Any], report: Reporter) -> None:
    copy, source = record["copy"], record["source"]["key"]
    tail = f"-{hashlib.blake2b(source.encode()).hexdigest()[:10]}-{'orig' if copy < 0 else f'c{copy:03d}'}"
    if record["schema"] != SCHEMA or record["key"] != key or not key.endswith(tail):
        report.fault(
            f"its record is of {one_line(record['schema'], 40)} {one_line(record['key'], 100)}, "
            f"copy {copy} of {one_line(source, 100)}"
        )
    if record["plan"]["seed"] != manifest["config"]["seed"]:
        report.fault(f"its plan is of the seed {record['plan']['seed']}, the run of {manifest['config']['seed']}")
    if copy < 0 and record["plan"]["steps"]:
        report.fault("is the picture as it is, but its plan has steps")


def _check_class(cls: bytes | None, record: Mapping[str, Any], config: Mapping[str, Any], report: Reporter) -> None:
    """The member ``cls`` is the number of the one tag, from 0; the pictures of single objects have it."""
    is_crop = config.get("window", {}).get("kind") == "objects"
    if cls is None and not is_crop:
        return
    tags = record.get("tags", [])
    numbers = {str(row["label"] - 1).encode() for row in config["categories"] if [row["name"]] == tags}
    if cls not in numbers:
        told = "missing" if cls is None else one_line(cls[:20], 40)
        report.fault(f"cls is {told}, its tags are {one_line(tags, 80)}")


def _check_object(row: Mapping[str, Any], size_wh: tuple[int, int], report: Reporter) -> None:
    """What an object says of itself: its box is in the picture, its numbers fit each other."""
    x0, y0, x1, y1 = (float(v) for v in row["box_xyxy"])
    if not (0 <= x0 < x1 <= size_wh[0] and 0 <= y0 < y1 <= size_wh[1]):
        report.fault(f"box {one_line(row['box_xyxy'], 100)} is not inside the picture")
    for name in ("truncated", "difficult", "occluded"):
        if name in row and row[name] not in (0, 1):
            report.fault(f"{name} is {one_line(row[name], 40)}, expected 0 or 1")
    if "ignored" in row and (row["ignored"] not in LIMITS or row["iscrowd"] != 1):
        report.fault(f"ignored is {one_line(row['ignored'], 40)}, iscrowd {row['iscrowd']}, expected a limit and 1")
    if not 0 <= float(row["visible"]) <= 1:
        report.fault(f"visible is {row['visible']}, expected 0 to 1")
    written = row.get("segmentation")
    if isinstance(written, Mapping):
        pixels = int(bitmap_of_code(written, size_wh).sum())
        if abs(float(row["area"]) - pixels) > 0.5:
            report.fault(f"area is {row['area']}, its mask has {pixels} pixels")
    if "keypoints" in row:
        _check_keypoints(row, size_wh, report)


def _check_keypoints(row: Mapping[str, Any], size_wh: tuple[int, int], report: Reporter) -> None:
    flat = [float(v) for v in row["keypoints"]]
    points = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
    for x, y, v in points:
        inside = 0 <= x <= size_wh[0] and 0 <= y <= size_wh[1] if v else x == y == 0
        if v not in (0, 1, 2) or not inside:
            report.fault(f"has the keypoint {[x, y, v]}; expected v 0, 1 or 2, a place in the picture, 0 0 for v = 0")
    count = sum(v > 0 for _, _, v in points)
    if row.get("num_keypoints") != count:
        report.fault(f"num_keypoints is {one_line(row.get('num_keypoints'), 40)}, there are {count}")
