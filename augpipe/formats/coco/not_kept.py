"""What of a COCO JSON is not kept: fields of the whole file and of categories, and names that an object gives twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from augpipe.core.annotations import I64
from augpipe.core.errors import one_line

_LISTS = ("images", "annotations", "categories")
_CATEGORY = frozenset({"id", "name", "supercategory", "keypoints", "skeleton", "isthing"})
_OURS = {"description": "converted by augpipe"}
_MOST_BYTES = 16 << 20
_SLACK = 1 << 16  # bytes of names, separators and spaces beside the values of a file


def outside(text: memoryview, start: int, *lists: I64) -> bytes:
    """The text of a file, which begins at ``start`` of the ranges, with a 0 for all objects of each of its lists."""
    spans = sorted((int(rows[:, 0].min()), int(rows.sum(axis=1).max())) for rows in lists if len(rows))
    out, done = [], 0
    for first, end in spans:
        out += [bytes(text[done : max(first - start, done)]), b"0"]
        done = end - start
    return b"".join([*out, bytes(text[done:])])


def not_kept(name: str, rest: bytes) -> list[str]:
    """Remarks on what of a file is not kept, by its text without images and annotations; none where all is."""
    twice: Counter[str] = Counter()

    def built(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) < len(pairs):
            twice.update({key: n - 1 for key, n in Counter(key for key, _ in pairs).items() if n > 1})
        return out

    if len(rest) > _MOST_BYTES:  # a list of another name, or a second one of the same
        values = msgspec.json.decode(rest, type=dict[str, msgspec.Raw])
        others = [key for key in values if key not in _LISTS]
        lost = len(rest) - sum(map(len, values.values())) > _SLACK
        return [*_remark(name, others), *([f"{name}: a list is given twice; the last one counts"] if lost else [])]
    try:
        document = json.loads(rest, object_pairs_hook=built)
    except (ValueError, RecursionError):  # as far as it counts it has been read
        return []
    remarks = _remark(name, [*_of_file(document), *_of_categories(document.get("categories"))])
    if twice:
        keys = one_line(", ".join(twice), 100)
        remarks.append(f"{name}: given twice in one object, so that the last one counts: {keys}")
    return remarks


def _remark(name: str, what: Iterable[str]) -> list[str]:
    listed = "; ".join(what)
    return [f"{name}: not kept: {one_line(listed, 300)}"] if listed else []


def _of_file(document: Mapping[str, Any]) -> list[str]:
    out = []
    for key, value in document.items():
        if key in _LISTS or not value or (key == "info" and value == _OURS):
            continue
        if isinstance(value, dict):
            field, first = next(iter(value.items()))
            out.append(f"{key} (as {one_line(field, 40)}: {one_line(str(first), 40)})")
        elif isinstance(value, list):
            first = value[0].get("name", value[0]) if isinstance(value[0], dict) else value[0]
            out.append(f"{key} {len(value):,} (as {one_line(str(first), 40)})")
        else:
            out.append(f"{key} ({one_line(str(value), 40)})")
    return out


def _of_categories(categories: Any) -> list[str]:
    """Fields of categories that none of ours has → in how many, as in which."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for category in categories if isinstance(categories, list) else []:
        for field in category.keys() - _CATEGORY if isinstance(category, dict) else ():
            counts[field] += 1
            first.setdefault(field, str(category.get("name")))
    return [
        f"field {one_line(field, 40)} of categories {n:,} (as in {one_line(first[field], 40)})"
        for field, n in sorted(counts.items())
    ]


def gives_twice(text: bytes, value: Any) -> bool:
    """Whether an object in a JSON text, read as ``value``, gives a name twice. Most texts are only counted through."""
    if not isinstance(value, dict):
        return False
    names = len(value) + sum([len(inner) for inner in value.values() if type(inner) is dict])
    if text.count(b'":') == names:
        return False
    found = False

    def built(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        out = dict(pairs)
        found |= len(out) < len(pairs)
        return out

    try:
        json.loads(text, object_pairs_hook=built)
    except (ValueError, RecursionError):
        return False
    return found
