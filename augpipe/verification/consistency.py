"""The books of a finished folder: manifest, run.json, commit records and rejects agree with each other and the tars."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augpipe.core.errors import one_line
from augpipe.formats.webdataset.safe_parse import object_of, read_document
from augpipe.formats.webdataset.schema import REJECTS, fault_of_commit
from augpipe.verification.findings import MISFIT, Findings

_A_FEW = 3
_UNEVEN = frozenset({"window", "balance"})
"""Fields of a configuration by which pictures give different numbers of samples."""
NOT_OURS = (OSError, RecursionError, *MISFIT)
"""The errors of reading a document that is damaged, or none of ours."""


@dataclass(frozen=True)
class Commit:
    """What the record of a shard says.

    ``shard`` is what the manifest repeats, ``rejects`` are its rows, ``span`` its copies [first, end): all that there
    are, or after ``--extend`` those of its part. ``split`` is that of its shard. ``expected`` are the samples that were
    planned for its sources; ``None`` where each has all copies.
    """

    shard: Mapping[str, Any]
    samples: int
    rejected: int
    objects: int
    dropped: Mapping[str, int]
    sources: tuple[str, ...]
    span: tuple[int, int]
    rejects: tuple[Mapping[str, Any], ...]
    split: str = ""
    expected: int | None = None
    windows: Mapping[str, Any] | None = None

    @property
    def lost(self) -> list[tuple[str, int]]:
        """(source, copy) of everything that was rejected."""
        return [(row["source"], copy) for row in self.rejects for copy in row["copies"]]

    def numbers(self, config: Mapping[str, Any]) -> range:
        """The copies of each source; −1, the original, comes with the first of them, or alone in a split that is
        passed through."""
        originals = bool(config["originals"]) or not is_augmented(config, self.split)
        return range(-1 if originals and self.span[0] == 0 else self.span[0], self.span[1])


def is_augmented(config: Mapping[str, Any], split: str) -> bool:
    """Whether the pictures of a split are augmented; others are passed through."""
    return "splits" not in config or split in config.get("augmented", config["splits"])


@dataclass
class ShardCounts:
    """What the samples of a shard add up to."""

    objects: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    copies: list[tuple[str, int]] = field(default_factory=list)
    indexes: set[tuple[str, int]] = field(default_factory=set)
    splits: Counter[str] = field(default_factory=Counter)

    def count(self, record: Mapping[str, Any]) -> None:
        """Add a sample by its record."""
        self.objects += len(record["objects"])
        self.dropped.update(str(row["reason"]) for row in record["dropped"])
        key = str(record["source"]["key"])
        self.copies.append((key, int(record["copy"])))
        self.indexes.update((key, int(row["index"])) for row in record["objects"])
        self.splits[str(record["source"].get("split", ""))] += 1


def record_name(shard: Mapping[str, Any]) -> str:
    """The file name of a shard's commit record."""
    return f"{Path(str(shard['name'])).stem}.json"


def read_commit(folder: Path, shard: Mapping[str, Any]) -> Commit:
    """The record of a shard.

    Raises:
        OSError, ValueError: it cannot be read, or is not one.
    """
    record = object_of(read_document(folder / record_name(shard)))
    if fault := fault_of_commit(record):
        raise ValueError(fault)
    task = record["task"]
    first, end = task["copies"]
    return Commit(
        shard={name: record[name] for name in ("name", "samples", "bytes", "sha256")},
        samples=record["samples"],
        rejected=record["rejected"],
        objects=record["objects"],
        dropped=record["dropped"],
        sources=tuple(task["sources"]),
        span=(first, end),
        rejects=tuple(record["rejects"]),
        split=str(shard.get("split", "")),
        expected=record.get("expected"),
        windows=record.get("windows"),
    )


def check_books(folder: Path, manifest: Mapping[str, Any], f: Findings) -> None:
    """Manifest, run.json, commit records and rejects agree."""
    totals, config, shards = manifest["totals"], manifest["config"], manifest["shards"]
    commits: list[Commit] = []
    for shard in shards:
        name = record_name(shard)
        try:
            commits.append(commit := read_commit(folder, shard))
        except NOT_OURS as error:
            f.fault(name, f"cannot be read: {one_line(error, 200)}")
            continue
        for field_name, value in commit.shard.items():
            if value != shard.get(field_name):
                there, stated = (one_line(repr(v), 80) for v in (value, shard.get(field_name)))
                f.fault(name, f"{field_name} is {there}, in the manifest {stated}")
    _check_rejects(folder, [row for commit in commits for row in commit.rejects], f)
    _check_run(folder, manifest, f)
    _check_names(folder, shards, f)
    if totals["expected"] != _expected(config, commits):
        f.fault("manifest.json", f"totals.expected is {totals['expected']}, not pictures times copies")
    if len(commits) == len(shards):  # without all of them nothing adds up, and the faults above say why
        _check_totals(totals, commits, f)
        _check_coverage(totals, config, commits, f)
        _check_splits(manifest, commits, f)


def _check_splits(manifest: Mapping[str, Any], commits: Sequence[Commit], f: Findings) -> None:
    """What the manifest says of each split is what the records come to; an unknown field is no fault."""
    config = manifest["config"]
    if "splits" not in config:
        return
    made = {}
    for name, row in config["splits"].items():
        mine = [commit for commit in commits if commit.split == name]
        counts = {"pictures": row["pictures"], "samples": sum(c.samples for c in mine), "shards": len(mine)}
        made[name] = {**counts, "augmented": is_augmented(config, name)}
    there = manifest.get("splits", {})
    for name in sorted(made.keys() | there.keys()):
        row = there.get(name, {})
        if name not in made or any(row.get(field_name) != value for field_name, value in made[name].items()):
            shown = one_line(name, 40) or "no split"
            f.fault("manifest.json", f"splits: {shown} is {one_line(row, 100)}, the records come to {made.get(name)}")


def _expected(config: Mapping[str, Any], commits: Sequence[Commit]) -> int:
    """The samples that all pictures were to give: as many as copies, unless records say how many."""
    if _UNEVEN & config.keys():
        return sum(len(c.sources) * len(c.numbers(config)) if c.expected is None else c.expected for c in commits)
    every = int(config["copies"]) + bool(config["originals"])
    splits = config.get("splits", {"": config["source"]})
    return sum(int(row["pictures"]) * (every if is_augmented(config, name) else 1) for name, row in splits.items())


def _check_totals(totals: Mapping[str, Any], commits: Sequence[Commit], f: Findings) -> None:
    dropped: Counter[str] = Counter()
    for commit in commits:
        dropped.update(commit.dropped)
    if any(commit.windows for commit in commits):
        _check_windows(totals.get("windows", {}), [commit.windows or {} for commit in commits], f)
    for name, expected in (
        ("written", sum(c.samples for c in commits)),
        ("rejected", sum(c.rejected for c in commits)),
        ("objects", sum(c.objects for c in commits)),
        ("dropped", dict(dropped)),
        ("expected", totals["written"] + totals["rejected"]),
    ):
        if totals[name] != expected:
            f.fault("manifest.json", f"totals.{name} is {one_line(totals[name], 80)}, the records come to {expected}")


def _check_windows(totals: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], f: Findings) -> None:
    """The objects of a source that was cut into windows, as the records have them."""
    lost = Counter(str(row["reason"]) for part in parts for row in part.get("lost", ()))
    sums = {name: sum(int(part.get(name, 0)) for part in parts) for name in ("objects", "left_out")}
    if totals != {**sums, "lost": dict(lost)}:
        told = f"{one_line(totals, 80)}, the records come to { ({**sums, 'lost': dict(lost)}) }"
        f.fault("manifest.json", f"totals.windows is {told}")


def _check_coverage(
    totals: Mapping[str, Any], config: Mapping[str, Any], commits: Sequence[Commit], f: Findings
) -> None:
    """Every part has every source once, and the parts have every copy once."""
    splits = config.get("splits", {"": totals})
    for split, row in splits.items():
        mine, of = [c for c in commits if c.split == split], f" of split '{one_line(split, 40)}'" if split else ""
        copies = int(config["copies"]) if is_augmented(config, split) else 0
        spans = sorted({commit.span for commit in mine})
        ends = [0, *(end for _, end in spans)]
        if [first for first, _ in spans] != ends[:-1] or ends[-1] != copies:
            f.fault("manifest.json", f"the shards{of} have the copies {spans}, which are not [0, {copies}) once each")
        for span in spans:
            sources = Counter(key for commit in mine if commit.span == span for key in commit.sources)
            twice = sum(count > 1 for count in sources.values())
            if len(sources) != row["pictures"] or twice:
                have = f"{row['pictures']} pictures{of}, the shards have {len(sources)}, {twice} twice"
                f.fault("manifest.json", have)
    if others := sorted({one_line(commit.split, 40) for commit in commits} - splits.keys()):
        f.fault("manifest.json", f"has shards of splits that its config does not have: {', '.join(others[:_A_FEW])}")


def _check_names(folder: Path, shards: Sequence[Mapping[str, Any]], f: Findings) -> None:
    known = {str(shard["name"]) for shard in shards}
    if len(known) != len(shards):
        f.fault("manifest.json", "names a shard twice")
    known |= {record_name(shard) for shard in shards}
    for path in sorted([*folder.glob("*.tar"), *folder.glob("*-??????.json")]):
        if path.name not in known:
            f.fault(path.name, "the manifest does not know this shard")


def check_counts(
    shard: Mapping[str, Any], commit: Commit, counts: ShardCounts, config: Mapping[str, Any], f: Findings
) -> None:
    """The samples of a shard are what its record says: every copy of every source written or rejected once."""
    name = str(shard["name"])
    if counts.objects != commit.objects:
        f.fault(name, f"its samples have {counts.objects} objects, its record says {commit.objects}")
    if counts.dropped != Counter(commit.dropped):
        f.fault(name, f"its samples dropped {dict(counts.dropped)}, its record says {dict(commit.dropped)}")
    if "splits" in config and (others := counts.splits.keys() - {commit.split}):
        shown = ", ".join(one_line(other, 40) or "none" for other in sorted(others)[:_A_FEW])
        f.fault(name, f"is of split {one_line(commit.split, 40) or 'none'}, and has samples of {shown}")

    if commit.windows is not None:
        _check_lost(name, commit.windows, counts.indexes, f)

    def fault_each(pairs: Sequence[tuple[str, int]], what: str) -> None:
        for source, copy in pairs[:_A_FEW]:
            f.fault(name, f"copy {copy} of {one_line(source, 100)} {what}")
        if len(pairs) > _A_FEW:
            f.fault(name, f"and {len(pairs) - _A_FEW} more: {what}")

    there = Counter([*counts.copies, *commit.lost])
    numbers, sources = commit.numbers(config), set(commit.sources)
    fault_each([pair for pair, count in there.items() if count > 1], "is there twice, or written and rejected")
    if commit.expected is not None and _UNEVEN & config.keys():
        fault_each([pair for pair in there if pair[0] not in sources], "belongs to no task of this shard")
        if len(there) != commit.expected:
            f.fault(name, f"{commit.expected} samples were planned, {len(there)} were written or rejected")
        return
    fault_each([p for p in there if p[0] not in sources or p[1] not in numbers], "belongs to no task of this shard")
    if len(sources) * len(numbers) > len(there) + commit.samples:  # far too few: not worth a list
        f.fault(name, f"{len(sources)} sources with {len(numbers)} copies, {len(there)} were written or rejected")
    else:
        expected = ((source, copy) for source in sorted(sources) for copy in numbers)
        fault_each([pair for pair in expected if pair not in there], "was neither written nor rejected")


def _check_lost(name: str, windows: Mapping[str, Any], there: Set[tuple[str, int]], f: Findings) -> None:
    """Every object of a source that was cut into windows is in a sample, or said to be in none."""
    lost = Counter((str(row["source"]), int(row["index"])) for row in windows["lost"])
    for source, index in sorted(key for key, count in lost.items() if count > 1 or key in there)[:_A_FEW]:
        f.fault(name, f"object {index} of {one_line(source, 100)} is in a sample, its record says in none")
    if windows["objects"] != len(there) + len(lost):
        have = f"{len(there)} are in samples and {len(lost)} in none"
        f.fault(name, f"its sources have {windows['objects']} objects by its record, {have}")


def _check_rejects(folder: Path, rows: Sequence[Mapping[str, Any]], f: Findings) -> None:
    name = REJECTS
    try:
        there = [object_of(line) for line in read_document(folder / name).splitlines()]
    except (OSError, ValueError) as error:
        f.fault(name, f"cannot be read: {one_line(error)}")
        return
    if sorted(json.dumps(row, sort_keys=True) for row in there) != sorted(
        json.dumps(row, sort_keys=True) for row in rows
    ):
        f.fault(name, "is not what the records say")


def _check_run(folder: Path, manifest: Mapping[str, Any], f: Findings) -> None:
    """run.json has the manifest's configuration, and the digest is that of it."""
    config = json.dumps(
        manifest["config"], sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
    if hashlib.blake2b(config).hexdigest() != manifest["digest"]:
        f.fault("manifest.json", "its digest is not that of its config: one of them was changed")
    try:
        run = object_of(read_document(folder / "run.json"))
    except (OSError, ValueError) as error:
        f.fault("run.json", f"cannot be read: {one_line(error)}")
        return
    if run.get("config") != manifest["config"]:
        f.fault("run.json", "its config is not the manifest's")
