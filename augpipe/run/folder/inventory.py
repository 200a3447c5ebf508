"""Which shards of a run are there: those whose commit record is valid and whose tar is the one that the record names.

Records are trusted, as they are written after the tar is on the disk. The size of a tar is always compared, its content
with ``--check``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augpipe.core.errors import UsageError
from augpipe.formats.webdataset.schema import SHARD_SCHEMA, fault_of_commit
from augpipe.run.folder.run_folder import read_json, sha256_of
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import Store

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Inventory:
    """Number of a shard → its record; ``broken`` are those whose record cannot be relied on, with the reason."""

    done: Mapping[int, Record]
    broken: Mapping[int, str]


def take_stock(
    store: Store, state: RunState, *, check: bool = False, looked_at: Callable[[int], Any] = lambda shards: None
) -> Inventory:
    """Look at every shard of a run.

    Args:
        store: the output of the run.
        state: the run.
        check: also compare the hash of every tar.
        looked_at: called with 1 for every shard that has a record.
    """
    done: dict[int, Record] = {}
    broken: dict[int, str] = {}
    there = set(store.names())
    for part in state.parts:
        digest = state.digest_of_part(part)
        for index in part.tasks:
            name = part.name_of(index)
            if f"{name}.json" not in there:
                continue
            record, why = read_record(store, name, index, part.copies, digest, even=state.is_even)
            if record is not None:
                # A tar that the store tells of and does not list lies elsewhere, and cannot be hashed.
                why = fault_of_tar(store, name, record, check and f"{name}.tar" in there)
            if record is None or why:
                broken[index] = why
            else:
                done[index] = record
            looked_at(1)
    return Inventory(done, broken)


def read_record(
    store: Store, name: str, index: int, copies: Sequence[int], digest: str, *, even: bool = True
) -> tuple[Record | None, str]:
    """A commit record that this run can have written, or ``None`` and the reason.

    Args:
        store: the output of the run.
        name: of the shard, without an ending.
        index: of its task.
        copies: what the task makes of a picture.
        digest: of the configuration that the record must carry.
        even: whether every picture gives as many samples as there are copies.
    """
    try:
        record = read_json(store, f"{name}.json")
    except (OSError, UsageError):
        return None, "its record cannot be read"
    if record is None or record.get("schema") != SHARD_SCHEMA:
        return None, "its record is of another schema"
    if record.get("config") != digest:
        return None, "it was made under another configuration"
    fault = fault_of_commit(record)
    if fault or (record["name"], record["task"]["index"]) != (f"{name}.tar", index):
        return None, "its record is not as docs/format.md has it"
    planned = expected_of(record, copies, even=even)
    if record["samples"] + record["rejected"] != planned:
        return None, "its record has lost samples"
    return record, ""


def expected_of(record: Record, copies: Sequence[int], *, even: bool) -> int:
    """How many samples were planned for the sources of a shard; where their numbers differ, the record says it."""
    every = len(record["task"]["sources"]) * len(copies)
    return every if even else int(record.get("expected", every))


def fault_of_tar(store: Store, name: str, record: Record, check: bool) -> str:
    """Why the tar of a shard is not the one of its record; empty if it is."""
    tar = f"{name}.tar"
    try:
        size = store.size(tar)
        if not record["samples"]:
            return "" if size < 0 else "it has a tar and no samples"
        if size < 0:
            return "its tar is gone"
        if size != record["bytes"]:
            return f"its tar has {size:,} bytes, {record['bytes']:,} were written"
        if check and sha256_of(store, tar) != record["sha256"]:
            return "its tar has another sha256 than when it was written"
    except FileNotFoundError:
        return "its tar is gone"
    except OSError as error:
        return f"its tar cannot be read: {error.strerror}"
    return ""
