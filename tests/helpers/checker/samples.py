"""KEY.json around its objects, and one sample of a tar held together: names, rasters and record."""

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

from PIL import Image

from checker.context import Context
from checker.keys import PICTURES, check_source_key, make_key
from checker.objects import check_object
from checker.pictures import check_instance, check_panoptic, check_picture, check_semantic
from checker.values import (
    INT,
    LIST,
    NATURAL,
    OBJECT,
    POSITIVE,
    SHA256,
    TEXT,
    Field,
    among,
    as_dict,
    as_list,
    canonical,
    fields,
    is_int,
    is_number,
    nulls,
    optional,
    read_json,
)

REASONS = ("outside", "min_visibility", "min_area", "min_side", "erased", "degenerate", "merged")
SAMPLE = {
    "schema": among("augpipe/1"),
    "key": TEXT,
    "width": POSITIVE,
    "height": POSITIVE,
    "image_id": optional(INT),
    "objects": LIST,
    "dropped": LIST,
    "segments_info": optional(LIST),
    "source": OBJECT,
    "copy": Field(lambda v: is_int(v) and v >= -1, "an integer, or -1 for the original"),
    "plan": OBJECT,
}
SOURCE = {
    "key": TEXT,
    "sha256": SHA256,
    "width": POSITIVE,
    "height": POSITIVE,
    "orientation": among(1, 2, 3, 4, 5, 6, 7, 8),
    "split": optional(TEXT),
    "attributes": optional(OBJECT),
}
DROPPED = {
    "index": NATURAL,
    "category": TEXT,
    "reason": among(*REASONS),
    "value": optional(Field(is_number, "a number")),
}
PLAN = {"version": INT, "seed": INT, "steps": LIST, "drawn": LIST}
DRAWN = {"name": TEXT, "parameters": OBJECT}
# Names of what the page keeps out of KEY.json, looked for beside our own fields and not within the data set's.
ELSEWHERE = {
    *("time", "date", "timestamp", "created", "started", "finished", "seconds", "host", "hostname", "machine"),
    *("device", "codec", "backend", "versions", "path", "file", "source_path", "command"),
}


class Written(NamedTuple):
    """What the sums over a folder need from a sample."""

    key: str
    source: str
    copy: int
    objects: int
    dropped: Counter[str]
    origin: str  # what is the same for all copies of a picture: where it comes from, and which objects it has


def check_sample(key: str, parts: Mapping[str, bytes], context: Context, where: str) -> tuple[Written, list[str]]:
    """Return the sample's part of the sums, and everything wrong with it."""
    where = f"{where}: {key}"
    record, problems = read_json(parts.get("json", b"{}"), f"{where}.json")
    problems += check_record(record, key, context, f"{where}.json")
    record = as_dict(record)
    for ext in PICTURES:
        if ext in parts:
            problems += check_picture(ext, parts[ext], record, context, f"{where}.{ext}")
    if "semantic.png" in parts:
        problems += check_semantic(parts["semantic.png"], record, context, f"{where}.semantic.png")
    instances = None
    if "instance.png" in parts:
        instances, more = check_instance(parts["instance.png"], record, f"{where}.instance.png")
        problems += more
    if "panoptic.png" in parts:
        problems += check_panoptic(parts["panoptic.png"], record, f"{where}.panoptic.png")
    width, height = record.get("width"), record.get("height")
    if instances is not None and instances.shape != (height, width):
        instances = None
    if is_int(width) and is_int(height) and min(width, height) > 0 and width * height < 2**28:
        for n, thing in enumerate(as_list(record.get("objects"))):
            problems += check_object(thing, (width, height), context, instances, f"{where}.json.objects[{n}]")
    return summary(key, record), problems


def summary(key: str, record: Mapping[str, Any]) -> Written:
    """Return what the sums need, with harmless values for what cannot be read."""
    source, copy = as_dict(record.get("source")).get("key"), record.get("copy")
    objects, dropped = ([as_dict(row) for row in as_list(record.get(name))] for name in ("objects", "dropped"))
    # An object is the same one in each copy, survivor or not.
    listed = sorted(canonical([row.get(name) for name in ("index", "id", "category")]) for row in [*objects, *dropped])
    return Written(
        key=key,
        source=source if isinstance(source, str) else "",
        copy=copy if is_int(copy) else -2,
        objects=len(objects),
        dropped=Counter(str(row.get("reason")) for row in dropped),
        origin=canonical([record.get("image_id"), record.get("source"), listed]),
    )


def check_record(record: Any, key: str, context: Context, where: str) -> Iterator[str]:
    """Hold KEY.json against the page, all but the inside of its objects."""
    # Either: a data set without objects has empty lists, or none at all, since absent = not known.
    relaxed = {name: optional(SAMPLE[name]) for name in ("objects", "dropped")} if context.objects == 0 else {}
    problems = list(fields(record, {**SAMPLE, **relaxed}, where))
    yield from problems
    yield from nulls(record, where)
    if problems:
        return
    if record["key"] != key:
        yield f"{where}.key: {record['key']!r} is not the name of the member"
    yield from check_copy(record["copy"], context, f"{where}.copy")
    yield from check_source(record["source"], context, f"{where}.source")
    name = record["source"].get("key")
    if isinstance(name, str) and key != make_key(name, record["copy"]):
        yield f"{where}: KEY of {name!r}, copy {record['copy']}, is {make_key(name, record['copy'])}"
    yield from check_plan(record["plan"], f"{where}.plan")
    yield from check_dropped(record.get("dropped", []), context, f"{where}.dropped")
    yield from check_indexes(record.get("objects", []), record.get("dropped", []), where)
    yield from check_not_in_it(record, where)


def check_copy(copy: int, context: Context, where: str) -> Iterator[str]:
    """Report a copy that the configuration does not ask for."""
    if copy == -1 and not context.originals:
        yield f"{where}: an original, which config.originals does not ask for"
    if context.copies is not None and copy >= context.copies:
        yield f"{where}: {copy} where config.copies is {context.copies}"


def check_source(source: Any, context: Context, where: str) -> Iterator[str]:
    """Report a source that cannot be found again by key, hash, size and orientation."""
    problems = [*fields(source, SOURCE, where), *check_source_key(as_dict(source).get("key"), f"{where}.key")]
    yield from problems
    if problems or context.sources is None:
        return
    data = context.sources.get(source["key"])
    if data is None:
        yield f"{where}: source key {source['key']!r} is not among the sources"
        return
    if source["sha256"] != hashlib.sha256(data).hexdigest():
        yield f"{where}.sha256: not that of the source picture's bytes"
    yield from check_upright(source, data, where)


def check_upright(source: Mapping[str, Any], data: bytes, where: str) -> Iterator[str]:
    """Report an orientation or an upright size that the picture's own header contradicts."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            tag, kind, size = image.getexif().get(0x0112, 1), image.format, image.size
    except Exception as error:  # a decoder may raise anything; a checker reports and goes on
        yield f"{where}: has a sample, but its header cannot be read: {error}"
        return
    tag = tag if tag in range(1, 9) else 1
    # Either: the orientation of a picture that is no JPEG counts, or is not looked at.
    if source["orientation"] not in ({tag} if kind == "JPEG" else {tag, 1}):
        yield f"{where}.orientation: {source['orientation']} is not the header's {tag}"
    upright = size if source["orientation"] < 5 else size[::-1]
    if (source["width"], source["height"]) != upright:
        yield f"{where}: size {source['width']} x {source['height']} is not the upright {upright}"


def check_plan(plan: Any, where: str) -> Iterator[str]:
    """Report a plan that is not {version, seed, steps, drawn}."""
    problems = list(fields(plan, PLAN, where))
    yield from problems
    for n, row in enumerate(plan["drawn"] if not problems else []):
        yield from fields(row, DRAWN, f"{where}.drawn[{n}]")


def check_dropped(rows: list[Any], context: Context, where: str) -> Iterator[str]:
    """Report rows of the ledger of dropped objects."""
    names = [category.get("name") for category in context.categories.values()]
    for n, row in enumerate(rows):
        yield from fields(row, DROPPED, f"{where}[{n}]")
        if names and as_dict(row).get("category") not in names:
            yield f"{where}[{n}].category: {as_dict(row).get('category')!r} is not in config.categories"


def check_indexes(objects: list[Any], dropped: list[Any], where: str) -> Iterator[str]:
    """Report indexes that are not a source list split into survivors, in its order, and dropped."""
    kept = [n for row in objects if is_int(n := as_dict(row).get("index"))]
    lost = [n for row in dropped if is_int(n := as_dict(row).get("index"))]
    if len(kept) + len(lost) < len(objects) + len(dropped):
        return  # reported by their tables
    if kept != sorted(set(kept)):
        yield f"{where}.objects: index {kept} is not in source order"
    if len(lost) != len(set(lost)):
        yield f"{where}.dropped: index {lost} has one twice"
    if set(kept) & set(lost):
        yield f"{where}: index {sorted(set(kept) & set(lost))} is in objects and in dropped"
    known = {*kept, *lost}
    first = next(n for n in count() if n not in known)
    if first < max(known, default=-1):
        yield f"{where}: index {first} is neither in objects nor in dropped"


def check_not_in_it(record: Mapping[str, Any], where: str) -> Iterator[str]:
    """Report what belongs to run.json and the manifest: times, hosts, devices, versions, absolute paths."""
    for name, part in [("", record), (".source", record["source"]), (".plan", record["plan"])]:
        for field in sorted(ELSEWHERE & set(as_dict(part))):
            yield f"{where}{name}.{field}: does not belong in KEY.json"
    ours = {k: v for k, v in record.items() if k not in ("objects", "tags", "captions", "segments_info")}
    ours["source"] = {k: v for k, v in as_dict(record["source"]).items() if k != "attributes"}
    for text in strings(ours):
        if re.match(r"/|[A-Za-z]:[\\/]|file:", text):
            yield f"{where}: absolute path {text!r} does not belong in KEY.json"


def strings(value: Any) -> Iterator[str]:
    """Give every string, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)
