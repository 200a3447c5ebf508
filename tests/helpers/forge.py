"""Finished folders changed behind the books' back: samples edited, and every hash and count made to fit again."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Members = dict[str, bytes]


Samples = dict[str, tuple[dict[str, Any], Members]]


def forged(folder: Path, target: Path, change: Callable[[Samples], None]) -> Path:
    """A copy of a folder in which ``change`` has edited KEY → (record, other members) of all samples."""
    shutil.copytree(folder, target)
    manifest = json.loads((target / "manifest.json").read_text())
    contents = {shard["name"]: read_samples(target / shard["name"]) for shard in manifest["shards"] if shard["samples"]}
    samples = {key: sample for found in contents.values() for key, sample in found.items()}
    change(samples)
    for shard in manifest["shards"]:
        if shard["samples"]:
            keys = list(contents[shard["name"]])
            write_samples(target / shard["name"], {key: samples[key] for key in keys})
            path = target / f"{shard['name'].removesuffix('.tar')}.json"
            counts = _counts([samples[key][0] for key in keys])
            record = json.loads(path.read_text())
            for name, value in counts.items():
                manifest["totals"][name] = _differing(manifest["totals"][name], record[name], value)
            sign(target, shard)
            places = {"index": index_of(target / shard["name"])}
            path.write_text(json.dumps(record | shard | counts | places, sort_keys=True))
    (target / "manifest.json").write_text(json.dumps(manifest, sort_keys=True))
    return target


def resign(folder: Path) -> None:
    """Make every hash and size those of the tars as they are; counts stay."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for shard in manifest["shards"]:
        if shard["samples"]:
            sign(folder, shard)
            path = folder / f"{shard['name'].removesuffix('.tar')}.json"
            places = {"index": index_of(folder / shard["name"])}
            path.write_text(json.dumps(json.loads(path.read_text()) | shard | places, sort_keys=True))
    (folder / "manifest.json").write_text(json.dumps(manifest, sort_keys=True))


def index_of(shard: Path) -> list[list[int]]:
    """[first byte, bytes] of each sample of a tar, by tarfile; of none if it is no tar."""
    spans: dict[str, list[int]] = {}
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                spans.setdefault(member.name.partition(".")[0], [member.offset, end])[1] = end
    except tarfile.TarError:
        return []
    return [[first, end - first] for first, end in spans.values()]


def sign(folder: Path, shard: dict[str, Any]) -> None:
    """Make the hash and the size that the manifest says of a shard those of its tar."""
    data = (folder / shard["name"]).read_bytes()
    shard |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _counts(records: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        dropped = Counter(row["reason"] for record in records for row in record["dropped"])
        return {"objects": sum(len(record["objects"]) for record in records), "dropped": dict(dropped)}
    except (KeyError, TypeError, AttributeError):  # of a record that was spoilt on purpose
        return {}


def _differing(total: Any, before: Any, now: Any) -> Any:
    """A total after one of its parts has changed."""
    if isinstance(total, dict):
        sums = Counter(total)
        sums.subtract(before)
        sums.update(now)
        return {name: count for name, count in sums.items() if count}
    return total - before + now


def read_samples(path: Path) -> Samples:
    """KEY → (record, other members) of a tar."""
    out: dict[str, Members] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            file = tar.extractfile(member)
            assert file is not None
            out.setdefault(key, {})[ending] = file.read()
    return {key: (json.loads(members.pop("json")), members) for key, members in out.items()}


def write_samples(path: Path, samples: Samples) -> None:
    """A tar of samples."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, (record, members) in samples.items():
            picture = next(iter(members))
            files = {picture: members[picture], "json": json.dumps(record, sort_keys=True).encode(), **members}
            for ending, data in files.items():
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
