"""What a run came to: the manifest from the commit records, and the verdict.

The manifest is made of the records alone, so it is the same whoever made the shards, and when.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augpipe.errors import RunError, UsageError, one_line
from augpipe.run.config import digest_of
from augpipe.run.store import MANIFEST, MANIFEST_SCHEMA, REJECTS, Store, read_json


@dataclass(frozen=True)
class Limits:
    """When a run that is complete has still failed.

    Each limit is a number or a share such as ``1%``, of which at least one is allowed. ``max_rejects`` counts pictures
    with a loss, ``max_dropped`` objects that are not in the result; without it any number may be dropped.
    """

    max_rejects: str = "1%"
    max_dropped: str | None = None

    def check(self) -> None:
        """Raise :class:`UsageError` for limits that are neither a number nor a share."""
        self.rejects(1)
        self.dropped(1)

    def rejects(self, pictures: int) -> int:
        """Of so many pictures, how many may have a loss."""
        return _allowed("--max-rejects", self.max_rejects, pictures)

    def dropped(self, objects: int) -> int:
        """Of so many objects, how many may be dropped."""
        return objects if self.max_dropped is None else _allowed("--max-dropped", self.max_dropped, objects)


def _allowed(option: str, limit: str, total: int) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", limit)
    if match is None or (not match[2] and "." in match[1]):
        raise UsageError(f"{option} {one_line(limit)}: expected a number such as 10, or a share such as 1%")
    return max(1, int(float(match[1]) * total / 100.0)) if match[2] else int(match[1])


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    ``truncated`` counts objects that are there and cut by the frame, ``dropped`` those that are not there by reason,
    ``rejects`` rows by error code, ``notes`` pictures by what was found while reading them. ``failed`` says in one
    sentence why a complete run still counts as failed. ``already_done`` means that the run was finished before, and
    ``made`` counts the samples of the shards that this call made: what went on from an earlier call makes fewer.
    """

    folder: Path
    pictures: int
    written: int
    rejected: int
    rejected_pictures: int
    objects: int
    truncated: int
    dropped: Mapping[str, int]
    rejects: Mapping[str, int]
    notes: Mapping[str, int]
    shards: int
    bytes: int
    seconds: float
    failed: str | None = None
    already_done: bool = False
    made: int = 0


def manifest_of(store: Store, config: Mapping[str, Any], seconds: float, source: str) -> dict[str, Any]:
    """The result of a run from its commit records.

    Raises:
        RunError: if samples are missing from the sum.
    """
    records = store.records()
    dropped: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    for record in records.values():
        dropped.update(record["dropped"])
        kinds.update(record["label_kinds"])
        notes.update(record["notes"])
    pictures = config["source"]["pictures"]
    expected = pictures * (config["copies"] + (1 if config["originals"] else 0))
    written = sum(record["samples"] for record in records.values())
    rejected = sum(record["rejected"] for record in records.values())
    if written + rejected != expected:
        raise RunError(
            f"{store.folder}: {written} written and {rejected} rejected samples are not the {expected} expected; "
            "the folder is kept as it is, please report this"
        )
    fields = ("name", "samples", "bytes", "sha256")
    return {
        "schema": MANIFEST_SCHEMA,
        "config": config,
        "digest": digest_of(config),
        "parts": [{"copies": [0, config["copies"]], "shards": len(records)}],
        "shards": [{name: record[name] for name in fields} for record in records.values()],
        "totals": {
            "pictures": pictures,
            "expected": expected,
            "written": written,
            "rejected": rejected,
            "objects": sum(record["objects"] for record in records.values()),
            "truncated": sum(record.get("truncated", 0) for record in records.values()),
            "dropped": dict(dropped),
            "label_kinds": dict(kinds),
            "notes": dict(notes),
        },
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 3),
        "source_path": str(Path(source).resolve()) if "{" not in source else source,
        "command": "augment",
    }


def summary_of(store: Store, seconds: float, limits: Limits, already_done: bool = False) -> Summary:
    """The verdict on a finished folder, from its manifest and records."""
    manifest = read_json(store.folder / MANIFEST) or {}
    records = store.records()
    rows = [row for record in records.values() for row in record["rejects"]]
    totals = manifest["totals"]
    lost = {row["source"] for row in rows}
    return Summary(
        folder=store.folder,
        pictures=totals["pictures"],
        written=totals["written"],
        rejected=totals["rejected"],
        rejected_pictures=len(lost),
        objects=totals["objects"],
        truncated=totals.get("truncated", 0),
        dropped=totals["dropped"],
        rejects=Counter(row["error"] for row in rows),
        notes=totals["notes"],
        shards=len(manifest["shards"]),
        bytes=sum(shard["bytes"] for shard in manifest["shards"]),
        seconds=seconds,
        failed=_failure(store, totals, rows, limits),
        already_done=already_done,
        made=0 if already_done else sum(r["samples"] for name, r in records.items() if name not in store.made_before),
    )


def _failure(store: Store, totals: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], limits: Limits) -> str | None:
    """Why a complete run still counts as failed."""
    see = f"see {store.folder / REJECTS}"
    lost, allowed = len({row["source"] for row in rows}), limits.rejects(totals["pictures"])
    if lost > allowed:
        return f"{lost} of {totals['pictures']} pictures were rejected; at most {allowed} were allowed; {see}"
    if any(row["transient"] for row in rows):
        return f"some pictures failed for reasons that may pass (crash, memory, I/O); {see}"
    dropped = sum(totals["dropped"].values())
    objects = totals["objects"] + dropped
    allowed = limits.dropped(objects)
    if dropped > allowed:
        why = f"{dropped} of {objects} objects were dropped; at most {allowed} were allowed"
        return f"{why}; 'dropped' in the samples' records says which and why"
    return None
