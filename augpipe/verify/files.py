"""The folder itself: whether its files are whole, and whether its books balance. No source is needed for that."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from augpipe.errors import DatasetError, one_line
from augpipe.verify.findings import Findings, Where

SCHEMA = "augpipe/1"
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CHUNK = 1 << 20


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json.

    Raises:
        DatasetError: there is none, or it is not one.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        there = "the run is not finished" if (folder / "run.json").exists() else "expected a folder that augment made"
        raise DatasetError(f"{folder}: no manifest.json; {there}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: cannot be read: {one_line(error)}") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise DatasetError(f"{path}: not a manifest of {SCHEMA}")
    return manifest


def check_books(folder: Path, manifest: Mapping[str, Any], f: Findings) -> None:
    """Manifest, commit records and rejects agree, and every (source, copy) is written or rejected once."""
    totals, config = manifest["totals"], manifest["config"]
    records = [_record(folder, shard, f) for shard in manifest["shards"]]
    rows = [row for record in records for row in record.get("rejects", ())]
    for name, expected in (
        ("written", sum(r.get("samples", 0) for r in records)),
        ("rejected", sum(r.get("rejected", 0) for r in records)),
        ("objects", sum(r.get("objects", 0) for r in records)),
        ("expected", totals["written"] + totals["rejected"]),
        ("expected", config["source"]["pictures"] * (config["copies"] + bool(config["originals"]))),
    ):
        if totals[name] != expected:
            f.fault("manifest.json", f"totals.{name} is {totals[name]}, the records come to {expected}")
    try:
        told = [json.loads(line) for line in (folder / "rejects.jsonl").read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        f.fault("rejects.jsonl", f"cannot be read: {one_line(error)}")
        told = []
    if sorted(map(_sorted, told)) != sorted(map(_sorted, rows)):
        f.fault("rejects.jsonl", "is not what the records say")
    tasks = [record.get("task", {}) for record in records]
    # Each part of a run that was extended has every source once, for copies of its own.
    sources = Counter((str(task.get("copies")), key) for task in tasks for key in task.get("sources", ()))
    twice = [key for key, count in sources.items() if count > 1]
    there = {key for _, key in sources}
    if len(there) != totals["pictures"] or twice:
        f.fault("manifest.json", f"{totals['pictures']} pictures, the shards have {len(there)}, {len(twice)} twice")
    known = {str(shard["name"]) for shard in manifest["shards"]}
    for tar in sorted(folder.glob("*.tar")):
        if tar.name not in known:
            f.fault(tar.name, "the manifest does not know this shard")


def _sorted(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def _record(folder: Path, shard: Mapping[str, Any], f: Findings) -> dict[str, Any]:
    path = folder / f"{Path(str(shard['name'])).stem}.json"
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        f.fault(path.name, f"cannot be read: {one_line(error)}")
        return {}
    for name in ("name", "samples", "bytes", "sha256"):
        if record.get(name) != shard.get(name):
            f.fault(path.name, f"{name} is {record.get(name)!r}, in the manifest {shard.get(name)!r}")
    return record


def check_shard(folder: Path, shard: Mapping[str, Any], f: Findings) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(KEY, members) of every sample of a shard, which is checked on the way: hash, size, count, names.

    Read by Python's tarfile, and never unpacked.
    """
    name = str(shard["name"])
    path = folder / Path(name).name
    if not shard["samples"]:
        return
    try:
        digest, size = hashlib.sha256(), 0
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        if digest.hexdigest() != shard["sha256"]:
            f.fault(name, f"its sha256 is not the one in the manifest ({size:,} bytes, {shard['bytes']:,} expected)")
        samples = 0
        for key, members in samples_of(path):
            samples += 1
            yield key, members
        if samples != shard["samples"]:
            f.fault(name, f"holds {samples} samples, the manifest says {shard['samples']}")
    except (OSError, tarfile.TarError) as error:
        f.fault(name, f"cannot be read: {one_line(error)}")


def samples_of(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(KEY, members) of every sample of a tar, in its order."""
    key, members = "", dict[str, bytes]()
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            stem, _, ending = member.name.partition(".")
            if stem != key and members:
                yield key, members
                members = {}
            key = stem
            members[ending] = b"" if file is None else file.read()
    if members:
        yield key, members


def check_sample_alone(key: str, members: Mapping[str, bytes], manifest: Mapping[str, Any], f: Findings) -> bool:
    """A sample by itself: its name, its record, its picture; True if more can be asked of it."""
    where, ending = Where(key), manifest["config"]["picture"]["format"]
    if not _KEY.fullmatch(key):
        f.fault(where, "is no KEY")
    if missing := {"json", ending} - members.keys():
        f.fault(where, f"has no {', '.join(sorted(missing))}")
        return False
    try:
        record = json.loads(members["json"])
        copy, source = record["copy"], record["source"]["key"]
        tail = f"-{hashlib.blake2b(source.encode()).hexdigest()[:10]}-{'orig' if copy < 0 else f'c{copy:03d}'}"
        if record["schema"] != SCHEMA or record["key"] != key or not key.endswith(tail):
            f.fault(where, f"its record is of {record['schema']} {record['key']}, copy {copy} of {one_line(source)}")
        picture = Image.open(io.BytesIO(members[ending]))
        picture.load()
        if picture.size != (record["width"], record["height"]):
            f.fault(where, f"its picture is {picture.size}, its record {(record['width'], record['height'])}")
        for row in record["objects"]:
            x0, y0, x1, y1 = row["box_xyxy"]
            if not (0 <= x0 < x1 <= record["width"] and 0 <= y0 < y1 <= record["height"]):
                f.fault(Where(key, row["index"]), f"box {row['box_xyxy']} is not inside the picture")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        f.fault(where, f"cannot be read: {type(error).__name__}: {one_line(error, 120)}")
        return False
    return True
