"""One sample as a folder has it: found by its KEY in the records of the shards, and read from its tar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from augpipe.core.errors import DatasetError, UsageError, one_line
from augpipe.core.plan import Plan, from_json
from augpipe.formats.webdataset.safe_parse import members_at, object_of, samples_of
from augpipe.formats.webdataset.schema import SHARD_NAME, SHARD_SCHEMA, fault_of_commit
from augpipe.recipe.messages import nearest
from augpipe.run.folder.inventory import Record, fault_of_tar
from augpipe.run.folder.run_folder import RUN, read_json
from augpipe.run.folder.samples import sample_key, stem_of_samples
from augpipe.run.folder.store import Store

_MOST_COMPARED = 500  # keys, for the nearest of them
_SHA256_LENGTH = 64
_KEY = re.compile(r"(.{1,90})-(orig|c[0-9]{3,9})")
Shards: TypeAlias = Sequence[tuple[str, Record | None]]


@dataclass(frozen=True)
class FoundSample:
    """A sample of a shard.

    Attributes:
        key: its KEY.
        shard: name of the shard, without an ending.
        record: of the shard.
        source: key of the picture that it was made of.
        sha256: of that picture's file.
        copy: its number, −1 for an original.
        plan: of the sample.
        members: its files, by ending.
    """

    key: str
    shard: str
    record: Record
    source: str
    sha256: str
    copy: int
    plan: Plan
    members: Mapping[str, bytes]


def found_sample(store: Store, key: str) -> FoundSample:
    """The sample of a KEY, which may end as its files do.

    Raises:
        UsageError: there is no such sample, it was rejected, or its shard is missing.
        DatasetError: it is damaged, or its plan is none that this version can follow.
    """
    name = key.rpartition("/")[2].partition(".")[0]
    match, known = _KEY.fullmatch(name), list(_shards(store))
    if not known:
        raise UsageError(f"{store.folder}: has no shard yet; run the augment command that began it again")
    copy = -1 if match and match[2] == "orig" else int(match[2][1:]) if match else -1
    faults, others = list[str](), list[str]()
    for shard, record, source in _of_stem(known, match[1]) if match else ():
        _require_kept(store, shard, record, source, name, copy)
        where = f"{store.folder}/{shard}.tar"
        if fault := fault_of_tar(store, shard, record, check=False):
            faults.append(f"{where}: {fault}; copy it again, or augment into this folder again, which makes it")
            continue
        try:
            members, beside = _members(store, f"{shard}.tar", name)
        except (OSError, ValueError) as error:
            way = f"'augpipe verify {store.folder}' tells more"
            raise DatasetError(f"{where}: damaged, {one_line(error)}; {way}") from error
        if members is not None:
            return _read(f"{where}: {name}.json", name, shard, record, source, copy, members)
        others += beside
    if faults:
        raise UsageError(faults[0])
    raise UsageError(_unknown(store, name, known, others))


def _of_stem(known: Shards, stem: str) -> Iterator[tuple[str, Record, str]]:
    """The shards with the picture whose samples are called STEM-COPY: one, or as many as the run has parts."""
    for shard, record in known:
        if record is None:
            continue
        for source in record["task"]["sources"]:
            if stem_of_samples(source) == stem:
                yield shard, record, source


def _require_kept(store: Store, shard: str, record: Record, source: str, name: str, copy: int) -> None:
    for row in record["rejects"]:
        if row["source"] == source and copy in row["copies"]:
            why = f"{one_line(row.get('error'), 40)}: {one_line(row.get('message'))}"
            raise UsageError(
                f"{store.folder}/{shard}.tar: {name} was rejected, {why}\n"
                f"'augpipe retry {store.folder} --all' makes it again"
            )


def _unknown(store: Store, name: str, known: Shards, others: list[str]) -> str:
    """What is said of a KEY that is in no shard, with the nearest one there is."""
    damaged = [shard for shard, record in known if not record]
    if not others:
        records = [record for _, record in known if record is not None]
        others = [sample_key(key, r["task"]["copies"][0]) for r in records for key in r["task"]["sources"]]
    lost = f"\nthe record of shard {damaged[0]} is damaged; it may have been there" if damaged else ""
    where = f"'tar tf {store.folder}/{known[0][0]}.tar'"
    return f"{store.folder}: no sample '{one_line(name, 120)}'{nearest_of(name, others, where)}{lost}"


def nearest_of(name: str, known: Iterable[str], where_listed: str) -> str:
    """``; did you mean 'x'?`` of the names that begin most like it, as there may be a million; else where all are."""

    def unlike(other: str) -> int:
        return next((-i for i, (a, b) in enumerate(zip(name, other, strict=False)) if a != b), -len(name))

    said = nearest(name, sorted(known, key=unlike)[:_MOST_COMPARED])
    return said if "did you mean" in said else f"; {where_listed} lists those there are"


def _shards(store: Store) -> Iterator[tuple[str, Record | None]]:
    """(name, record) of each shard that has one; ``None`` for a damaged record."""
    for file in sorted(store.names()):
        name = file.removesuffix(".json")
        if file in {name, RUN} or not SHARD_NAME.fullmatch(name):
            continue
        try:
            record = read_json(store, file)
        except (OSError, UsageError):
            yield name, None
            continue
        if record is not None and record.get("schema") == SHARD_SCHEMA:
            yield name, None if fault_of_commit(record) else record


def _members(store: Store, tar: str, key: str) -> tuple[dict[str, bytes] | None, list[str]]:
    """(files of a sample by ending, else ``None``; the samples of the same picture)."""
    stem, beside = key.rpartition("-")[0], list[str]()
    with store.open(tar) as file:
        for name, ranges in samples_of(file.fileno()):
            if name == key:
                return members_at(file.fileno(), ranges), []
            if name.rpartition("-")[0] == stem:
                beside.append(name)
    return None, beside


def _read(
    where: str, key: str, shard: str, record: Record, source: str, copy: int, members: Mapping[str, bytes]
) -> FoundSample:
    try:
        document: dict[str, Any] = object_of(members["json"])
        origin = document["source"]
        sha256 = origin["sha256"]
        if (origin["key"], document["copy"]) != (source, copy) or len(sha256) != _SHA256_LENGTH:
            raise ValueError(f"it is of {one_line(origin['key'], 80)}, copy {one_line(document['copy'], 20)}")
        value = document["plan"]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{where}: not as docs/format.md has it: {one_line(error, 120)}") from error
    try:
        plan = from_json(value)
    except ValueError as error:
        raise DatasetError(
            f"{where}: {one_line(error, 160)}\na plan of another version; take the augpipe that made the folder"
        ) from error
    return FoundSample(key, shard, record, source, str(sha256), copy, plan, members)
