"""Finished folders changed behind the books' back: samples edited, and every hash and count made to fit again."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Members = dict[str, bytes]


def forged(folder: Path, target: Path, change: Callable[[dict[str, tuple[dict[str, Any], Members]]], None]) -> Path:
    """A copy of a folder in which ``change`` has edited KEY → (record, other members) of all samples."""
    shutil.copytree(folder, target)
    manifest = json.loads((target / "manifest.json").read_text())
    contents = {shard["name"]: _read(target / shard["name"]) for shard in manifest["shards"] if shard["samples"]}
    samples = {
        key: (json.loads(members.pop("json")), members) for found in contents.values() for key, members in found.items()
    }
    change(samples)
    for shard in manifest["shards"]:
        if shard["samples"]:
            keys = list(contents[shard["name"]])
            _write(target / shard["name"], {key: samples[key] for key in keys})
            data = (target / shard["name"]).read_bytes()
            shard |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            path = target / f"{shard['name'].removesuffix('.tar')}.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | shard, sort_keys=True))
    (target / "manifest.json").write_text(json.dumps(manifest, sort_keys=True))
    return target


def _read(path: Path) -> dict[str, Members]:
    out: dict[str, Members] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            file = tar.extractfile(member)
            assert file is not None
            out.setdefault(key, {})[ending] = file.read()
    return out


def _write(path: Path, samples: dict[str, tuple[dict[str, Any], Members]]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, (record, members) in samples.items():
            picture = next(iter(members))
            files = {picture: members[picture], "json": json.dumps(record, sort_keys=True).encode(), **members}
            for ending, data in files.items():
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
