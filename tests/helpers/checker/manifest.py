"""run.json and manifest.json: one configuration, and totals that are the sums over the shards."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from checker.ledger import Shard, same_name
from checker.values import (
    AMOUNT,
    COUNTS,
    DIGEST,
    INT,
    LIST,
    NAMES,
    NATURAL,
    OBJECT,
    POSITIVE,
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
    is_number,
    is_text,
    optional,
    short,
    without_zeros,
)

RUN = {"schema": among("augpipe-run/1"), "config": OBJECT, "digest": DIGEST}
MANIFEST = {
    "schema": among("augpipe/1"),
    "config": OBJECT,
    "parts": LIST,
    "shards": LIST,
    "totals": OBJECT,
    # Either: a time of any notation, and a command as a line or as its words.
    "finished": Field(lambda v: is_text(v) or is_number(v), "a time"),
    "seconds": AMOUNT,
    "source_path": TEXT,
    "command": Field(lambda v: is_text(v) or isinstance(v, list), "a command"),
}
CONFIG = {
    "recipe": OBJECT,
    "seed": INT,
    "copies": NATURAL,
    "originals": Field(lambda v: v in (True, False), "true or false"),
    "split": optional(TEXT),
    "limit": optional(NATURAL),
    "sources_per_shard": POSITIVE,
    "source": OBJECT,
    "picture": OBJECT,
    "backend": OBJECT,
    "categories": LIST,
    "versions": OBJECT,
    "machine": TEXT,
}
PARTS_OF_CONFIG = {
    # Either: the canonical recipe is a text, or the JSON itself.
    "recipe": {
        "name": TEXT,
        "text": STRING,
        "canonical": Field(lambda v: is_text(v) or isinstance(v, dict | list), "a recipe"),
        "digest": DIGEST,
    },
    "source": {"format": TEXT, "fingerprint": DIGEST, "pictures": NATURAL},
    # Either: a PNG has no quality and no subsampling, or has them without use.
    "picture": {
        "format": among("jpg", "png", "jpeg"),
        "quality": optional(Field(lambda v: is_int(v) and 1 <= v <= 100, "a quality of 1..100")),
        "subsampling": optional(TEXT),
    },
    "backend": {"device": among("cpu", "cuda"), "codec": among("cpu", "nvimgcodec")},
    "versions": dict.fromkeys(("augpipe", "numpy", "opencv", "jpeg"), TEXT)
    | {name: optional(TEXT) for name in ("cupy", "driver")},
}
JPEG = {"quality": POSITIVE, "subsampling": TEXT}
CATEGORY = {
    "id": INT,
    "label": POSITIVE,
    "name": TEXT,
    "supercategory": optional(STRING),
    "keypoints": optional(NAMES),
    "skeleton": optional(LIST),
    "flip_pairs": optional(LIST),
}
PART = {"copies": SPAN, "shards": NATURAL}
ROW = {
    "name": TEXT,
    "samples": NATURAL,
    "bytes": optional(NATURAL),
    "sha256": Field(lambda v: v is None or isinstance(v, str), "a SHA-256 in hex, or null"),
}
TOTALS = dict.fromkeys(("pictures", "expected", "written", "rejected", "objects"), NATURAL) | {"dropped": COUNTS}


def check_run(run: Any, manifest: Any) -> Iterator[str]:
    """Hold run.json against the page, and its configuration against the manifest's."""
    yield from fields(run, RUN, "run.json")
    config = as_dict(run).get("config")
    if isinstance(config, dict):
        yield from check_config(config, "run.json.config")
    if isinstance(manifest, dict) and canonical(as_dict(run).get("config")) != canonical(manifest.get("config")):
        yield "run.json.config: is not the manifest's config"
    # The manifest need not repeat the digest; where it does, it is the same.
    if as_dict(manifest).get("digest") not in (None, as_dict(run).get("digest")):
        yield "manifest.json.digest: is not that of run.json"


def check_config(config: Mapping[str, Any], where: str) -> Iterator[str]:
    """Hold the configuration against the page."""
    yield from fields(config, CONFIG, where)
    for name, table in PARTS_OF_CONFIG.items():
        if isinstance(config.get(name), dict):
            yield from fields(config[name], table, f"{where}.{name}")
    picture = as_dict(config.get("picture"))
    if picture.get("format") in ("jpg", "jpeg"):
        yield from fields(picture, JPEG, f"{where}.picture")
    yield from check_categories(as_list(config.get("categories")), f"{where}.categories")


def check_void(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Report a missing void value."""
    # Either: config.void, where the list of fields has it, or manifest.void, as the table of members calls it.
    void = as_dict(manifest.get("config")).get("void", manifest.get("void"))
    yield from fields(void, {"semantic": NATURAL}, "manifest.json.config.void")


def check_categories(categories: list[Any], where: str) -> Iterator[str]:
    """Report categories that are not by id, or whose labels are not 1..K in that order."""
    problems = [p for n, row in enumerate(categories) for p in fields(row, CATEGORY, f"{where}[{n}]")]
    yield from problems
    if problems:
        return
    ids, labels = [row["id"] for row in categories], [row["label"] for row in categories]
    if ids != sorted(set(ids)):
        yield f"{where}: id {short(ids)} is not rising"
    if labels != list(range(1, len(labels) + 1)):
        yield f"{where}: label {short(labels)} is not 1..{len(labels)} in the order of the ids"


def check_manifest(manifest: Any, digest: Any, shards: list[Shard]) -> Iterator[str]:
    """Hold the manifest's results against the page and against the shards."""
    problems = list(fields(manifest, MANIFEST, "manifest.json"))
    yield from problems
    if problems:
        return
    yield from check_void(manifest)
    yield from check_rows(manifest["shards"], shards)
    totals = manifest["totals"]
    problems = [
        *fields(totals, TOTALS, "manifest.json.totals"),
        *(p for n, part in enumerate(manifest["parts"]) for p in fields(part, PART, f"manifest.json.parts[{n}]")),
    ]
    yield from problems
    config = manifest["config"]
    if problems or any(fields(config, CONFIG, "")):
        return
    yield from check_totals(totals, config, shards)
    yield from check_parts(manifest["parts"], totals["pictures"], config, shards)
    yield from check_digests(manifest["parts"], digest, shards)


def check_rows(rows: list[Any], shards: list[Shard]) -> Iterator[str]:
    """Report shards of the manifest that are not those of the folder, in their order."""
    if len(rows) != len(shards):
        yield f"manifest.json.shards: has {len(rows)} rows for {len(shards)} shards"
        return
    for n, (row, shard) in enumerate(zip(rows, shards, strict=True)):
        where = f"manifest.json.shards[{n}]"
        problems = list(fields(row, ROW, where))
        yield from problems
        if problems:
            continue
        if not same_name(row["name"], shard.name):
            yield f"{where}.name: {row['name']!r} is not {shard.name}"
        for name in ("samples", "sha256", "bytes"):
            mine, theirs = row.get(name), shard.record.get(name)
            if mine != theirs and not (name == "bytes" and not mine and not theirs):
                yield f"{where}.{name}: {short(mine)} is not the record's {short(theirs)}"


def total(shards: list[Shard], name: str) -> int:
    """Return the sum of a number over the records, as far as they have it."""
    return sum(n for shard in shards if is_int(n := shard.record.get(name)))


def check_totals(totals: Mapping[str, Any], config: Mapping[str, Any], shards: list[Shard]) -> Iterator[str]:
    """Report totals that are not the sums over the records, or do not add up."""
    where = "manifest.json.totals"
    for name, field in [("written", "samples"), ("rejected", "rejected"), ("objects", "objects")]:
        if totals[name] != total(shards, field):
            yield f"{where}.{name}: {totals[name]} is not the records' {total(shards, field)}"
    dropped = sum((Counter(without_zeros(s.record.get("dropped"))) for s in shards), Counter[str]())
    if without_zeros(totals["dropped"]) != dict(dropped):
        yield f"{where}.dropped: {totals['dropped']} is not the records' {dict(dropped)}"
    expected = totals["pictures"] * (config["copies"] + int(config["originals"]))
    if totals["expected"] != expected:
        yield f"{where}.expected: {totals['expected']} is not pictures x (copies + originals) = {expected}"
    if totals["expected"] != totals["written"] + totals["rejected"]:
        yield f"{where}.expected: {totals['expected']} is not written + rejected"
    # Either: config.source.pictures counts the pictures before the limit, or after it.
    pictures = as_dict(config["source"]).get("pictures")
    limit = config.get("limit")
    pictures = min(pictures, limit) if is_int(pictures) and is_int(limit) else pictures
    if is_int(pictures) and totals["pictures"] != pictures:
        yield f"{where}.pictures: {totals['pictures']} is not the source's {pictures}"


def check_parts(
    parts: list[dict[str, Any]], pictures: int, config: Mapping[str, Any], shards: list[Shard]
) -> Iterator[str]:
    """Report parts that do not cover the copies, and tasks that do not cover the pictures of their part."""
    spans = [part["copies"] for part in parts]
    # Either: with originals the first span begins at 0, or at -1 to count them in.
    starts = (0, -1) if config["originals"] else (0,)
    joined = all(a[1] == b[0] for a, b in pairwise(spans))
    if not spans or spans[0][0] not in starts or spans[-1][1] != config["copies"] or not joined:
        yield f"manifest.json.parts: copies {spans} do not cover the {config['copies']} copies"
    if sum(part["shards"] for part in parts) != len(shards):
        yield f"manifest.json.parts: {sum(p['shards'] for p in parts)} shards, not the folder's {len(shards)}"
        return
    for part, mine in zip(parts, split(parts, shards), strict=True):
        sources: Counter[str] = Counter()
        for n, shard in enumerate(mine):
            task, where = as_dict(shard.record.get("task")), f"{shard.name}.json.task"
            sources.update(map(str, as_list(task.get("sources"))))
            # Either: after --extend a task's index goes on with the shard's number, or begins again.
            if task.get("index") not in (n, shard.number):
                yield f"{where}.index: {task.get('index')} is not the shard's {shard.number}"
            if task.get("copies") != part["copies"]:
                yield f"{where}.copies: {task.get('copies')} is not the part's {part['copies']}"
            if len(as_list(task.get("sources"))) > config["sources_per_shard"] and len(parts) == 1:
                yield f"{where}.sources: more than config.sources_per_shard = {config['sources_per_shard']}"
        if max(sources.values(), default=0) > 1 or len(sources) != pictures:
            yield f"manifest.json.parts: tasks with {sources.total()} sources do not cover {pictures} pictures once"


def split(parts: list[dict[str, Any]], shards: list[Shard]) -> list[list[Shard]]:
    """Return the shards of each part."""
    ends = [sum(part["shards"] for part in parts[: n + 1]) for n in range(len(parts))]
    return [shards[end - part["shards"] : end] for part, end in zip(parts, ends, strict=True)]


def check_digests(parts: list[dict[str, Any]], digest: Any, shards: list[Shard]) -> Iterator[str]:
    """Report records that were written under another configuration than their part's."""
    if sum(part["shards"] for part in parts) != len(shards):
        return
    for n, mine in enumerate(split(parts, shards), 1):
        digests = {str(shard.record.get("config")) for shard in mine}
        # Either: after --extend the records of earlier parts keep the digest of their day, or all have the last one.
        if len(digests) > 1 or (n == len(parts) and digests - {str(digest)}):
            yield f"{mine[0].name}.json.config: digest of part {n} is not that of run.json: {short(sorted(digests))}"
