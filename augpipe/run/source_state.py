"""What the sources of a shard were when they were read, kept in its record, and what has become of them since.

Sizes and times are a quick look. A copy of a source has other times, so where they differ, or with ``--check``, the
sha256 of the pictures decides. Of a server the time is what it said when the source was looked through, if it said one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from augpipe.core.errors import Reject, one_line
from augpipe.formats.base import Entry, plural
from augpipe.formats.webdataset.safe_parse import members_at, object_of, samples_of
from augpipe.run.folder.inventory import Record
from augpipe.run.folder.store import Store
from augpipe.storage.byte_range import bytes_of, is_file
from augpipe.storage.remote import is_url
from augpipe.storage.version import Version

_When: TypeAlias = "Callable[[str, Version | None], int | None]"
_AT_A_TIME = 4  # pictures that are hashed, each in a thread


class Stamp(NamedTuple):
    """A picture as it was read: when its file, or the archive with it, was changed last, and its content's sha256."""

    mtime_ns: int | None = None
    sha256: str | None = None


NOT_READ = Stamp()


def mtime_of(entry: Entry) -> int | None:
    """When the file of a picture, or the archive with it, was changed last; ``None`` if nobody can tell."""
    return None if entry.picture is None else _mtime_of(entry.picture.path, entry.picture.version)


def _mtime_of(path: str, version: Version | None) -> int | None:
    if is_url(path):
        return None if version is None else version.modified_ns
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return None


def require_as_indexed(entry: Entry, data: bytes) -> None:
    """Raise a ``changed`` :class:`Reject` if a file has another size than when the source was looked through."""
    if entry.picture is not None and is_file(entry.picture) and len(data) != entry.size >= 0:
        had = f"{len(data):,} bytes, {entry.size:,} when the run began"
        raise Reject("read", "changed", f"changed while the run was at work: {had}", transient=True)


def seen_json(entries: Sequence[Entry], stamps: Mapping[str, Stamp]) -> dict[str, list[Any]]:
    """``run.sources`` of a record: what the sources of a shard were, in the order of ``task.sources``."""
    found = [stamps.get(entry.key, NOT_READ) for entry in entries]
    return {
        "bytes": [entry.size for entry in entries],
        "mtime_ns": [stamp.mtime_ns for stamp in found],
        "sha256": [stamp.sha256 for stamp in found],
        "labels": [entry.digest.hex() for entry in entries],
    }


@dataclass(frozen=True)
class SourceChanges:
    """What is otherwise than it was: source key → what has become of it, and the numbers of the shards with them."""

    what: Mapping[str, str]
    shards: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.what)

    @property
    def told(self) -> str:
        """``a.jpg has changed, and 2 more``: the first by its source key."""
        first = min(self.what)
        more = len(self.what) - 1
        return f"{one_line(first, 200)} {self.what[first]}" + (f", and {plural(more, 'picture')} more" if more else "")

    @property
    def in_place(self) -> bool:
        """Whether the pictures are the same ones as before."""
        return not {_GONE, _NEW} & set(self.what.values())


UNCHANGED = SourceChanges({})
_GONE, _NEW = "is gone", "is new"
_CHANGED, _MISSING, _RELABELLED = "has changed", "is missing", "has other labels"


class _Doubt(NamedTuple):
    """A picture whose content must be looked at."""

    shard: int
    entry: Entry
    sha256: str


def source_changes(
    records: Mapping[int, Record],
    entries: Iterable[Entry],
    store: Store,
    *,
    contents: Callable[[Record], bool] = lambda record: False,
    whole: bool = False,
) -> SourceChanges:
    """What has become of the sources of some shards.

    Args:
        records: of the shards, by their numbers.
        entries: the source as it is now.
        store: where the shards are.
        contents: whether to compare the contents of a shard's pictures whatever their sizes and times.
        whole: whether the records are those of a whole run, so that a picture in none of them is new.

    Raises:
        OSError: a picture cannot be read now, which says nothing of its content.
    """
    now = {entry.key: entry for entry in entries}
    what: dict[str, str] = {}
    shards: set[int] = set()
    doubts: list[_Doubt] = []
    known: set[str] = set()
    when = lru_cache(64)(_mtime_of)  # of an archive once
    for number, record in records.items():
        keys = record["task"]["sources"]
        known.update(keys)
        if not contents(record) and _is_at_rest(record, now, when):
            continue
        for key, found in zip(keys, _compared(number, record, now, store, when, contents(record)), strict=True):
            if isinstance(found, _Doubt):
                doubts.append(found)
            elif found:
                what[key] = found
                shards.add(number)
    with ThreadPoolExecutor(_AT_A_TIME, "augpipe-hash") as threads:
        for doubt, same in zip(doubts, threads.map(_is_same, doubts), strict=True):
            if not same:
                what[doubt.entry.key] = _CHANGED
                shards.add(doubt.shard)
    what |= dict.fromkeys(now.keys() - known, _NEW) if whole else {}
    return SourceChanges(what, frozenset(shards))


def _is_at_rest(record: Record, now: Mapping[str, Entry], when: _When) -> bool:
    """Whether nothing about the sources of a shard is otherwise, at the first look, which is nearly always so."""
    seen = record["run"].get("sources")
    entries = [now.get(key) for key in record["task"]["sources"]]
    if seen is None or not all(entries):
        return False
    there = [entry for entry in entries if entry is not None]
    return bool(
        seen["bytes"] == [entry.size for entry in there]
        and seen["labels"] == [entry.digest.hex() for entry in there]
        and seen["mtime_ns"] == [None if e.picture is None else when(e.picture.path, e.picture.version) for e in there]
    )


def _compared(
    number: int,
    record: Record,
    now: Mapping[str, Entry],
    store: Store,
    when: _When,
    contents: bool,
) -> Iterator[str | _Doubt]:
    """For each source of a shard: nothing, what has become of it, or a doubt."""
    keys: list[str] = record["task"]["sources"]
    seen = record["run"].get("sources")
    if seen is None:  # an earlier version wrote it, and its samples alone say what they were made of
        written = _in_tar(store, record) if contents else {}
        seen = {"bytes": [None] * len(keys), "mtime_ns": [None] * len(keys), "labels": [None] * len(keys)}
        seen["sha256"] = [written.get(key) for key in keys]
    for key, size, mtime_ns, sha256, labels in zip(
        keys, seen["bytes"], seen["mtime_ns"], seen["sha256"], seen["labels"], strict=True
    ):
        entry = now.get(key)
        if entry is None:
            yield _GONE
        elif size is not None and size != entry.size:
            yield _CHANGED if entry.picture is not None else _MISSING
        elif labels is not None and labels != entry.digest.hex():
            yield _RELABELLED
        elif sha256 is None or entry.picture is None:
            yield ""
        elif contents or (mtime_ns is not None and when(entry.picture.path, entry.picture.version) != mtime_ns):
            yield _Doubt(number, entry, sha256)
        else:
            yield ""


def _is_same(doubt: _Doubt) -> bool:
    if doubt.entry.picture is None:
        return False
    return hashlib.sha256(bytes_of(doubt.entry.picture)).hexdigest() == doubt.sha256


def _in_tar(store: Store, record: Record) -> dict[str, str]:
    """Source key → sha256 by the samples of a shard, as far as they can be read."""
    found: dict[str, str] = {}
    if not record["samples"]:
        return found
    try:
        with store.open(record["name"]) as tar:
            for _, places in samples_of(tar.fileno()):
                source = object_of(members_at(tar.fileno(), {"json": places["json"]})["json"])["source"]
                found[str(source["key"])] = str(source["sha256"])
    except (OSError, ValueError, KeyError, TypeError):  # `verify` tells; here it is no reason to doubt the source
        pass
    return found
