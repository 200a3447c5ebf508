"""Which shards of a run are there: a shard is done if its commit record says so and its tar is the one that it names.

Records are trusted, as they are written after the tar is on the disk; the size of a tar is looked at in any case, which
costs nothing, and its content with ``--check``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augpipe.core.errors import UsageError
from augpipe.run.folder.state import RunState, shard_name
from augpipe.run.folder.store import SHARD_SCHEMA, read_json

Record = Mapping[str, Any]
_CHUNK = 1 << 20
_COUNTS = ("samples", "bytes", "objects", "rejected")
_NEEDED = {"task": dict, "dropped": dict, "notes": dict, "label_kinds": dict, "rejects": list, "run": dict}


@dataclass(frozen=True)
class Inventory:
    """Number of the shard → its record, and of shards that have a record which cannot be relied on → why."""

    done: Mapping[int, Record]
    broken: Mapping[int, str]


def take_stock(
    folder: Path, state: RunState, *, check: bool = False, looked_at: Callable[[int], Any] = lambda shards: None
) -> Inventory:
    """Look at every shard of a run.

    Args:
        folder: of the run.
        state: what run.json says.
        check: also read every tar and compare its hash.
        looked_at: called with 1 for every shard that has a record.
    """
    done: dict[int, Record] = {}
    broken: dict[int, str] = {}
    digests = {part: state.digest_of_part(part) for part in state.parts}
    there = {path.name for path in folder.iterdir()}
    for index in range(state.shards):
        name = shard_name(state.prefix, index)
        if f"{name}.json" not in there:
            continue
        part = state.parts[index // state.shards_a_part]
        record, why = record_at(folder / f"{name}.json", index, len(part.copies), digests[part])
        if record is not None:
            why = fault_of_tar(folder / f"{name}.tar", record, check)
        if record is None or why:
            broken[index] = why
        else:
            done[index] = record
        looked_at(1)
    return Inventory(done, broken)


def record_at(path: Path, index: int, copies: int, digest: str) -> tuple[Record | None, str]:
    """A commit record that this run can have written, or ``None`` and why it cannot have.

    Args:
        path: of the record.
        index: of its task.
        copies: how many samples a picture the task makes.
        digest: of the configuration that the record must carry.
    """
    try:
        record = read_json(path)
    except (OSError, UsageError):
        return None, "its record cannot be read"
    if record is None or record.get("schema") != SHARD_SCHEMA:
        return None, "its record is of another schema"
    if record.get("config") != digest:
        return None, "it was made under another configuration"
    fields = all(isinstance(record.get(name), kind) for name, kind in _NEEDED.items())
    counts = all(isinstance(record.get(name), int) and record[name] >= 0 for name in _COUNTS)
    if not (fields and counts) or record["name"] != f"{path.stem}.tar" or record["task"].get("index") != index:
        return None, "its record is not as docs/format.md has it"
    sources = record["task"].get("sources")
    if not isinstance(sources, list) or record["samples"] + record["rejected"] != len(sources) * copies:
        return None, "its record has lost samples"
    return record, ""


def fault_of_tar(path: Path, record: Record, check: bool) -> str:
    """Why a tar is not the one of its record; empty if it is."""
    if not record["samples"]:
        return "it has a tar and no samples" if path.exists() else ""
    try:
        size = path.stat().st_size
        if size != record["bytes"]:
            return f"its tar has {size:,} bytes, {record['bytes']:,} were written"
        if check and _sha256(path) != record["sha256"]:
            return "its tar has another sha256 than when it was written"
    except FileNotFoundError:
        return "its tar is gone"
    except OSError as error:
        return f"its tar cannot be read: {error.strerror}"
    return ""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
