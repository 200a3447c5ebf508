"""The result of a run: the manifest, made of the commit records alone, and the verdict."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augpipe.core.errors import RunError, UsageError, one_line
from augpipe.formats.webdataset.schema import REJECTS, SCHEMA
from augpipe.run.folder.inventory import Record, expected_of
from augpipe.run.folder.state import RunState


@dataclass(frozen=True)
class Limits:
    """When a run that is complete has still failed.

    A limit is a number or a share such as ``1%``; a share allows at least one.

    Attributes:
        max_rejects: pictures with a rejected sample.
        max_dropped: objects that are not in the result; ``None`` allows any number.
    """

    max_rejects: str = "1%"
    max_dropped: str | None = None

    def check(self) -> None:
        """Raise :class:`UsageError` for limits that are neither a number nor a share."""
        self.rejects(1)
        self.dropped(1)

    def rejects(self, pictures: int) -> int:
        """Pictures that may have a rejected sample."""
        return _allowed("--max-rejects", self.max_rejects, pictures)

    def dropped(self, objects: int) -> int:
        """Objects that may be dropped."""
        return objects if self.max_dropped is None else _allowed("--max-dropped", self.max_dropped, objects)


def _allowed(option: str, limit: str, total: int) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", limit)
    if match is None or (not match[2] and "." in match[1]):
        raise UsageError(f"{option} {one_line(limit)}: expected a number such as 10, or a share such as 1%")
    return max(1, int(float(match[1]) * total / 100.0)) if match[2] else int(match[1])


@dataclass(frozen=True)
class Summary:
    """The result of a run, or of the shards that are there if other machines make the rest.

    Attributes:
        folder: the output.
        truncated: objects that are kept and cut by the frame.
        dropped: objects that are not in the result, by reason.
        rejects: rows by error code.
        notes: pictures by what was found while reading them.
        seconds: of this call.
        failed: why the run counts as failed although it is complete, in one sentence.
        already_done: the run was finished before this call.
        made: samples of the shards that this call made.
        finished: all shards are there.
        all_shards: shards of the whole run.
        windows: of a run of windows, what became of the objects of the source.
    """

    folder: Path | str
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
    finished: bool = True
    all_shards: int = 0
    windows: WindowTotals | None = None


@dataclass(frozen=True)
class WindowTotals:
    """What became of the objects of pictures that were cut into windows.

    ``lost`` are those in no sample, by reason, ``example`` names one of them; ``left_out`` are empty windows.
    """

    objects: int
    lost: Mapping[str, int]
    left_out: int
    example: str = ""

    @classmethod
    def of(cls, records: Iterable[Record]) -> WindowTotals:
        """The sums over commit records."""
        parts = [record["windows"] for record in records if "windows" in record]
        lost = [row for part in parts for row in part["lost"]]
        first = min(lost, key=lambda row: (row["source"], row["index"]), default=None)
        return cls(
            sum(part["objects"] for part in parts),
            dict(Counter(row["reason"] for row in lost)),
            sum(part["left_out"] for part in parts),
            f"object {first['index']} of {first['source']}" if first else "",
        )

    def to_json(self) -> dict[str, Any]:
        """``totals.windows`` of the manifest."""
        return {"objects": self.objects, "lost": dict(self.lost), "left_out": self.left_out}


def manifest_of(
    folder: Path | str, state: RunState, records: Sequence[Record], seconds: float, command: str
) -> dict[str, Any]:
    """The manifest from all commit records in the order of the shards.

    Raises:
        RunError: if samples are missing from the sum.
    """
    totals = _totals_of(records)
    config = state.config
    expected = _expected_of(state, records)
    if totals["written"] + totals["rejected"] != expected:
        raise RunError(
            f"{folder}: {totals['written']} written and {totals['rejected']} rejected samples are not the {expected} "
            "expected; the folder is kept as it is, please report this"
        )
    fields = ("name", "samples", "bytes", "sha256")
    shards = [{name: record[name] for name in fields} for record in records]
    if state.has_splits:
        shards = [{**row, "split": state.part_of(index).split} for index, row in enumerate(shards)]
    manifest = {
        "schema": SCHEMA,
        "config": config,
        "digest": state.digest,
        "parts": _parts(state, records),
        "shards": shards,
        "totals": {**totals, "expected": expected, "pictures": config["source"]["pictures"]},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 3),
        "source_path": state.request.get("source", ""),
        "command": command,
    }
    if state.has_splits:
        manifest["splits"] = _splits_of(state, records)
    return {**manifest, "same_bytes": False} if state.accepted else manifest


def _expected_of(state: RunState, records: Sequence[Record]) -> int:
    """The samples that were planned for all pictures; for those of unequal numbers the records tell."""
    if state.is_even:
        return sum(part.pictures * len(part.copies) for part in state.parts)
    return sum(expected_of(records[index], part.copies, even=False) for part in state.parts for index in part.tasks)


def _splits_of(state: RunState, records: Sequence[Record]) -> dict[str, Any]:
    """``splits`` of the manifest: what there is of each."""
    out: dict[str, Any] = {}
    for name, pictures in state.splits.items():
        mine = [records[index] for part in state.parts if part.split == name for index in part.tasks]
        samples = sum(record["samples"] for record in mine)
        augmented = name in state.augmented
        out[name] = {"pictures": pictures, "samples": samples, "shards": len(mine), "augmented": augmented}
    return out


def _parts(state: RunState, records: Sequence[Record]) -> list[dict[str, Any]]:
    """The parts, with the versions that made the shards of each if there are several."""
    out: list[dict[str, Any]] = []
    for part in state.parts:
        row: dict[str, Any] = {**state.part_json(part), "shards": part.shards}
        if state.accepted:
            mine = records[part.start : part.start + part.shards]
            made_by = [record["run"].get("versions", state.config["versions"]) for record in mine]
            row["versions"] = [v for i, v in enumerate(made_by) if v not in made_by[:i]]
        out.append(row)
    return out


def _totals_of(records: Sequence[Record]) -> dict[str, Any]:
    """The sums over the records."""

    def merged(name: str) -> dict[str, int]:
        return dict(sum((Counter(record.get(name, {})) for record in records), Counter()))

    windows = WindowTotals.of(records).to_json() if any("windows" in record for record in records) else None
    counts = {"written": "samples", "rejected": "rejected", "objects": "objects", "truncated": "truncated"}
    return {
        **{total: sum(record.get(name, 0) for record in records) for total, name in counts.items()},
        **{name: merged(name) for name in ("dropped", "label_kinds", "notes")},
        **({} if windows is None else {"windows": windows}),
    }


def summary_of(  # noqa: PLR0913 - what is named is asked for by name
    folder: Path | str,
    state: RunState,
    done: Mapping[int, Record],
    limits: Limits,
    *,
    seconds: float = 0.0,
    made: Iterable[int] = (),
    finished: bool = True,
    already_done: bool = False,
    rejects: str | None = None,
) -> Summary:
    """The summary of a run from the records of its shards by number; ``rejects`` is the file of its rejects."""
    records = [done[index] for index in sorted(done)]
    rows = [row for record in records for row in record["rejects"]]
    totals = _totals_of(records)
    pictures = state.config["source"]["pictures"]
    return Summary(
        folder=folder,
        pictures=pictures if finished else len({key for record in records for key in record["task"]["sources"]}),
        written=totals["written"],
        rejected=totals["rejected"],
        rejected_pictures=len({row["source"] for row in rows}),
        objects=totals["objects"],
        truncated=totals["truncated"],
        dropped=totals["dropped"],
        rejects=Counter(row["error"] for row in rows),
        notes=totals["notes"],
        shards=len(records),
        bytes=sum(record["bytes"] for record in records),
        seconds=seconds,
        failed=_failure(folder, rejects or f"{folder}/{REJECTS}", pictures, totals, rows, limits),
        already_done=already_done,
        made=sum(done[index]["samples"] for index in made if index in done),
        finished=finished,
        all_shards=state.shards,
        windows=WindowTotals.of(records) if "window" in state.config else None,
    )


def _failure(
    folder: Path | str,
    rejects: str,
    pictures: int,
    totals: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    limits: Limits,
) -> str | None:
    see = f"see {rejects}"
    lost, allowed = len({row["source"] for row in rows}), limits.rejects(pictures)
    if any(row["transient"] for row in rows):
        few = {row["source"] for row in rows if row["transient"]}
        return (
            f"{len(few)} of {pictures} pictures failed for reasons that may pass (crash, time, memory, I/O); {see}; "
            f"'augpipe retry {folder}' does them again"
        )
    if not totals["written"] and rows:
        return f"nothing was written: {'the picture was' if pictures == 1 else 'all pictures were'} rejected; {see}"
    if lost > allowed:
        return f"{lost} of {pictures} pictures were rejected; at most {allowed} were allowed; {see}"
    if "windows" in totals:
        return _failure_of_windows(totals, limits)
    dropped = sum(totals["dropped"].values())
    objects = totals["objects"] + dropped
    allowed = limits.dropped(objects)
    if dropped > allowed:
        why = f"{dropped} of {objects} objects were dropped; at most {allowed} were allowed"
        return f"{why}; 'dropped' in the samples' records says which and why"
    return None


def _failure_of_windows(totals: Mapping[str, Any], limits: Limits) -> str | None:
    """Of a run of windows an object counts as dropped if no sample has it."""
    lost, objects = sum(totals["windows"]["lost"].values()), totals["windows"]["objects"]
    if not totals["written"]:
        why = "every window is empty" if totals["windows"]["left_out"] else "no picture has an object to cut out"
        return f"nothing was written: {why}"
    if lost > (allowed := limits.dropped(objects)):
        why = f"{lost} of {objects} objects are in no sample; at most {allowed} were allowed"
        return f"{why}; 'windows' in the records of the shards says which and why"
    return None
