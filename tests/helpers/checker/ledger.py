"""SPLIT-NNNNNN.json and rejects.jsonl: every sample that was asked for is in the tar or in a row, never in both."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from checker.archive import read_tar
from checker.context import Context
from checker.keys import check_names, check_source_key, group
from checker.samples import REASONS, Written, check_sample
from checker.values import (
    AMOUNT,
    BOOL,
    COUNTS,
    DIGEST,
    LIST,
    NAMES,
    NATURAL,
    OBJECT,
    POSITIVE,
    SHA256,
    SPAN,
    STRING,
    TEXT,
    Field,
    among,
    as_dict,
    as_list,
    canonical,
    fields,
    is_int,
    optional,
    read_json,
    short,
    without_zeros,
)

STAGES = ("read", "decode", "labels", "plan", "pixels", "encode", "write")
RECORD = {
    "schema": among("augpipe-shard/1"),
    "name": TEXT,
    "sha256": Field(lambda v: v is None or SHA256.test(v), "a SHA-256 in hex, or null"),
    "bytes": optional(NATURAL),
    "samples": NATURAL,
    "task": OBJECT,
    "objects": NATURAL,
    "dropped": COUNTS,
    "rejected": NATURAL,
    "rejects": LIST,
    "config": DIGEST,
    "run": OBJECT,
}
TASK = {"index": NATURAL, "sources": NAMES, "copies": SPAN}
# Either: `fallbacks` is a number, or says which there were.
RUN = {
    "seconds": AMOUNT,
    "attempts": POSITIVE,
    "fallbacks": Field(lambda v: NATURAL.test(v) or isinstance(v, dict | list), "a number, a list or an object"),
}
REJECT = {
    "source": TEXT,
    "file": TEXT,
    "line": optional(POSITIVE),
    "copies": Field(
        lambda v: isinstance(v, list) and bool(v) and all(is_int(n) and n >= -1 for n in v), "a list of copies"
    ),
    "shard": TEXT,
    "stage": among(*STAGES),
    "error": Field(lambda v: isinstance(v, str) and bool(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", v)), "a short code"),
    "message": STRING,
    "signature": optional(
        Field(lambda v: isinstance(v, str) and bool(re.fullmatch("([0-9a-f]{2}){0,16}", v)), "16 bytes in hex")
    ),
    "transient": BOOL,
}
TRANSIENT = {"crash", "timeout", "memory"}
# Either: "missing-picture" may be a read error of the system; these codes cannot.
PERMANENT = {"empty-file", "truncated", "unsupported", "too-large", "size-mismatch", "bad-xml", "bad-json", "entity"}


class Shard(NamedTuple):
    """A shard as far as it could be read."""

    number: int
    name: str
    record: dict[str, Any]
    written: list[Written]


def same_name(name: Any, stem: str) -> bool:
    """Tell whether this names the shard."""
    # Either: a shard's name is "all-000000", or the name of its tar.
    return name in (stem, f"{stem}.tar")


def check_shard(number: int, stem: str, record: bytes, tar: bytes | None, context: Context) -> tuple[Shard, list[str]]:
    """Return the shard and everything wrong with its tar and its record."""
    value, problems = read_json(record, f"{stem}.json")
    written: list[Written] = []
    if tar is not None:
        members, more = read_tar(tar, f"{stem}.tar")
        problems += [*more, *check_names(members, f"{stem}.tar")]
        samples, more = group(members, f"{stem}.tar")
        problems += more
        for key, parts in samples:
            sample, more = check_sample(key, parts, context, f"{stem}.tar")
            written.append(sample)
            problems += more
    problems += check_record_fields(value, stem)
    shard = Shard(number, stem, as_dict(value), written)
    if not any(fields(value, RECORD, "")):
        problems += check_tar_sums(shard, tar)
        problems += check_samples_sums(shard)
        problems += check_partition(shard, context)
    return shard, problems


def check_record_fields(record: Any, stem: str) -> Iterator[str]:
    """Hold a commit record's fields, rows and names against the page."""
    where = f"{stem}.json"
    problems = list(fields(record, RECORD, where))
    yield from problems
    if problems:
        return
    yield from fields(record["task"], TASK, f"{where}.task")
    yield from fields(record["run"], RUN, f"{where}.run")
    if not same_name(record["name"], stem):
        yield f"{where}.name: {record['name']!r} is not {stem}"
    unknown = sorted(set(record["dropped"]) - set(REASONS))
    if unknown:
        yield f"{where}.dropped: unknown reason {unknown}"
    sources = as_list(record["task"].get("sources"))
    for source in sources:
        yield from check_source_key(source, f"{where}.task.sources")
    if len(sources) != len(set(map(str, sources))):
        yield f"{where}.task.sources: one is there twice"
    for n, row in enumerate(record["rejects"]):
        yield from check_reject(row, f"{where}.rejects[{n}]")
        if not same_name(as_dict(row).get("shard"), stem):
            yield f"{where}.rejects[{n}].shard: {as_dict(row).get('shard')!r} is not {stem}"
    yield from check_merged(record["rejects"], f"{where}.rejects")


def check_tar_sums(shard: Shard, tar: bytes | None) -> Iterator[str]:
    """Report a record that does not seal its tar, or seals one that is not there."""
    record, where = shard.record, f"{shard.name}.json"
    if (record["samples"] == 0) != (record["sha256"] is None):
        yield f"{where}.sha256: {short(record['sha256'])} with {record['samples']} samples; null is for none"
    if tar is None:
        if record["samples"]:
            yield f"{shard.name}.tar: missing, its record has {record['samples']} samples"
        # Either: the bytes of no tar are 0 or null.
        if record.get("bytes"):
            yield f"{where}.bytes: {record['bytes']} without a tar"
        return
    if record["samples"] == 0:
        yield f"{shard.name}.tar: there, though its record has no samples"
    if record["sha256"] != hashlib.sha256(tar).hexdigest():
        yield f"{where}.sha256: not that of the tar"
    if record.get("bytes") != len(tar):
        yield f"{where}.bytes: {record.get('bytes')} is not the tar's {len(tar)}"


def check_samples_sums(shard: Shard) -> Iterator[str]:
    """Report sums of a record that are not those of its samples and rows."""
    record, where = shard.record, f"{shard.name}.json"
    if record["samples"] != len(shard.written):
        yield f"{where}.samples: {record['samples']} is not the tar's {len(shard.written)}"
    objects = sum(sample.objects for sample in shard.written)
    if record["objects"] != objects:
        yield f"{where}.objects: {record['objects']} is not the samples' {objects}"
    dropped = sum((sample.dropped for sample in shard.written), Counter[str]())
    if without_zeros(record["dropped"]) != dict(dropped):
        yield f"{where}.dropped: {record['dropped']} is not the samples' {dict(dropped)}"
    lost = sum(len(as_list(as_dict(row).get("copies"))) for row in record["rejects"])
    if record["rejected"] != lost:
        yield f"{where}.rejected: {record['rejected']} is not the rows' {lost}"


def check_partition(shard: Shard, context: Context) -> Iterator[str]:
    """Report a (source, copy) of the task that is not written once or rejected once."""
    task = shard.record["task"]
    if any(fields(task, TASK, "")):
        return
    first, end = task["copies"]
    if context.copies is not None and end > context.copies:
        yield f"{shard.name}.json.task.copies: {task['copies']} where config.copies is {context.copies}"
        end = context.copies
    if end - first > 10**6:
        return  # no one counts that far; the sums of the manifest are wrong too
    copies = set(range(first, end))
    # Either: the originals come with the first copies [0, end), or the range itself begins at -1.
    if context.originals and first == 0:
        copies.add(-1)
    asked = {(source, copy) for source in task["sources"] for copy in copies}
    rows = [as_dict(row) for row in shard.record["rejects"]]
    told = Counter((sample.source, sample.copy) for sample in shard.written)
    told.update((str(row.get("source")), copy) for row in rows for copy in as_list(row.get("copies")) if is_int(copy))
    for problem, pairs in [
        ("neither written nor rejected", asked - set(told)),
        ("not asked for by the task", set(told) - asked),
        ("written or rejected more than once", {pair for pair, n in told.items() if n > 1}),
    ]:
        if pairs:
            yield f"{shard.name}.json.task: {problem}: {short(sorted(pairs))}"


def check_reject(row: Any, where: str) -> Iterator[str]:
    """Hold one row of rejects against the page."""
    problems = list(fields(row, REJECT, where))
    yield from problems
    if problems:
        return
    yield from check_source_key(row["source"], where)
    if row["file"].startswith("/") or ".." in row["file"].split("/"):
        yield f"{where}.file: {row['file']!r} is not below SRC"
    if row["copies"] != sorted(set(row["copies"])):
        yield f"{where}.copies: {row['copies']} is not in order"
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in row["message"]):
        yield f"{where}.message: {row['message']!r} is not one line without control characters"
    if row["transient"] is not (row["error"] in TRANSIENT) and row["error"] in TRANSIENT | PERMANENT:
        yield f"{where}.transient: {row['transient']} for {row['error']}"


def check_merged(rows: Sequence[Any], where: str) -> Iterator[str]:
    """Report rows of one (source, stage, error) that are not merged into one."""
    names = Counter(str([as_dict(row).get(name) for name in ("source", "stage", "error", "shard")]) for row in rows)
    for name, n in names.items():
        if n > 1:
            yield f"{where}: {n} rows for {name}, which are not merged"


def check_rejects(data: bytes, shards: list[Shard]) -> Iterator[str]:
    """Hold rejects.jsonl against the page and against the rows in the records."""
    rows = []
    # Either: the last row is ended by a line feed, or not.
    for n, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], 1):
        row, problems = read_json(line, f"rejects.jsonl:{n}")
        yield from problems
        yield from check_reject(row, f"rejects.jsonl:{n}")
        rows.append(as_dict(row))
    if any(any(fields(row, REJECT, "")) for row in rows):
        return
    places = [(row["source"], row["copies"]) for row in rows]
    if places != sorted(places):
        yield "rejects.jsonl: not sorted by (source, copies)"
    yield from check_merged(rows, "rejects.jsonl")
    yield from compare_rows(rows, [as_dict(row) for shard in shards for row in as_list(shard.record.get("rejects"))])


def compare_rows(rows: list[dict[str, Any]], recorded: list[dict[str, Any]]) -> Iterator[str]:
    """Report rows that are not in a record, and recorded ones that are not in the file."""
    here, there = Counter(map(canonical, rows)), Counter(map(canonical, recorded))
    # Either: after --extend, rows of one (source, stage, error) in two shards stay two rows, or become one, which
    # names one of the shards.
    known = {(rest(row), str(row.get("shard"))) for row in recorded}
    if pieces(rows) == pieces(recorded) and all((rest(row), str(row.get("shard"))) in known for row in rows):
        return
    for text in here - there:
        yield f"rejects.jsonl: this row is in no record: {short(text)}"
    for text in there - here:
        yield f"rejects.jsonl: this row of a record is missing: {short(text)}"


def rest(row: Mapping[str, Any]) -> str:
    """Return what rows of one picture in two shards have in common."""
    return canonical({name: value for name, value in row.items() if name not in ("copies", "shard")})


def pieces(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Return the rows taken apart into single copies."""
    return Counter((rest(row), str(n)) for row in rows for n in as_list(row.get("copies")))
