"""Fuzzing: damaged relatives of valid files, and everything that augpipe does with a source, for the test_fuzz files.

Whatever a file holds, only errors of augpipe may come out. Random bytes rarely get behind a parser's first line, so
most of what is tried is a valid document or file of which a little has been changed.

``make test`` runs a few hundred examples of each, the same every time. ``AUGPIPE_FUZZ=50`` (``make fuzz``) runs fifty
times as many, others each time, and hypothesis keeps what it found in ``.hypothesis``.
"""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from augpipe.conversion import convert
from augpipe.core.annotations import Frame
from augpipe.core.canvas import follow
from augpipe.core.errors import AugpipeError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, SourceOptions, read_picture
from augpipe.formats.registry import open_dataset
from augpipe.formats.webdataset.record import SourceFacts, record_of
from augpipe.labels.normalize import aligned
from augpipe.labels.transform import apply
from augpipe.pixels.codec.header import read_header
from augpipe.recipe.load import load
from augpipe.recipe.planner import draw

FACTOR = int(os.environ.get("AUGPIPE_FUZZ", "0"))
RECIPE = load("detection")
MOST_LINES = 2


def fuzzed(examples: int) -> settings:
    """So many examples, the same every time; with ``AUGPIPE_FUZZ=N`` N times as many, others every time."""
    return settings(
        max_examples=examples * max(1, FACTOR),
        derandomize=not FACTOR,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=bool(FACTOR),
    )


# --- what is tried ---------------------------------------------------------------------------------------------------


_BRACKETS = (("lists", b"[", b"]"), ("mappings", b'{"a":', b"}"))
DEEP = {f"@{name}{n}@": left * n + b"1" + right * n for n in (70, 3000) for name, left, right in _BRACKETS}
"""What stands for lists in lists and mappings in mappings, too deep for Python's own JSON writer."""

ODD_NUMBERS = (
    0, -1, 1, 2, 3, 0.5, -0.0, 1e-9, 1e7, 1e18, 1e308, 5e-324, math.nan, math.inf, -math.inf,
    255, 256, 65535, 65536, 2**31, 2**32, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**40,
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "0", "nan", "1e999", "true", "a\nb", "\x1b[31mred\x1b[0m", "\0", "\ud800", "\u202egpj.", "é", "e\u0301",
    "../../etc/passwd", "/etc/passwd", "C:\\a.jpg", "..", "a/../b", "x" * 5000, "augpipe/1", "a.jpg", "b",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, *ODD_NUMBERS, *ODD_TEXTS,
    [], {}, [[]], [None], [{}], {"": None}, {"id": {}}, [1, 2], [1, 2, 3, 4], [0, 0, 0, 0], ["1", "2", "3", "4"],
    [math.nan] * 4, [1e308, 1e308, 1e308, 1e308], [1e7] * 6, [-1e308] * 6, [[1, 2, 3, 4, 5, 6]], [[1] * 6],
    {"size": [10, 20], "counts": "0"}, {"size": [10, 20], "counts": [0, 200]}, {"size": [10**9, 10**9], "counts": []},
    {"size": [2**62, 2**62], "counts": [2**63]}, {"size": [10, 20], "counts": "\x7f"}, {"size": None, "counts": None},
    *DEEP,
)  # fmt: skip


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a JSON document."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths_of(value[key], (*path, key))


@st.composite
def mutated(draw_: Callable[..., Any], document: Any, odd: tuple[Any, ...] = ODD_VALUES, most: int = 3) -> Any:
    """A JSON document of which one to ``most`` values were replaced, left out, doubled, renamed or taken elsewhere."""
    out = copy.deepcopy(document)
    for _ in range(draw_(st.integers(1, most))):
        paths = [p for p in paths_of(out) if len(p) < 20]
        path = draw_(st.sampled_from(paths))
        if not path:
            if draw_(st.integers(0, 20)) == 0:
                return draw_(st.sampled_from(odd))
            continue
        holder = out
        for key in path[:-1]:
            holder = holder[key]
        last = path[-1]
        what = draw_(st.sampled_from(("replace", "replace", "replace", "remove", "double", "rename", "move")))
        if what == "remove":
            del holder[last]
        elif what == "double" and isinstance(holder, list):
            holder.insert(last, copy.deepcopy(holder[last]))
        elif what == "rename" and isinstance(holder, dict):
            holder[draw_(st.sampled_from(("", "id", "bbox", "a.b", "\x1b[31m", "size", "name")))] = holder.pop(last)
        elif what == "move":
            other = draw_(st.sampled_from(paths))
            found = document
            try:
                for key in other:
                    found = found[key]
            except (LookupError, TypeError):
                continue
            holder[last] = copy.deepcopy(found)
        else:
            holder[last] = copy.deepcopy(draw_(st.sampled_from(odd)))
    return out


def as_json(value: Any) -> bytes:
    """JSON as Python writes it, with its NaN and Infinity, which are none."""
    data = json.dumps(value).encode()
    for name, nested in DEEP.items():
        data = data.replace(f'"{name}"'.encode(), nested)
    return data


@st.composite
def damaged(draw_: Callable[..., Any], files: tuple[bytes, ...], most: int = 4) -> bytes:
    """A valid file after some bytes were changed, cut, doubled, put in, or taken over from another file."""
    data = bytearray(draw_(st.sampled_from(files)))
    for _ in range(draw_(st.integers(1, most))):
        if not data:
            break
        at = draw_(st.integers(0, len(data) - 1))
        size = draw_(st.integers(1, 16))
        what = draw_(st.sampled_from(("flip", "flip", "set", "number", "cut", "remove", "double", "insert", "splice")))
        if what == "flip":
            data[at] ^= 1 << draw_(st.integers(0, 7))
        elif what == "set":
            data[at : at + size] = bytes([draw_(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)))]) * min(size, len(data) - at)
        elif what == "number":
            form = draw_(
                st.sampled_from((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0", b"\0\0"))
            )
            data[at : at + len(form)] = form
        elif what == "cut":
            del data[at:]
        elif what == "remove":
            del data[at : at + size]
        elif what == "double":
            data[at:at] = data[at : at + size * 8]
        elif what == "insert":
            data[at:at] = draw_(st.binary(min_size=1, max_size=16))
        else:
            other = draw_(st.sampled_from(files))
            start = draw_(st.integers(0, max(0, len(other) - 1)))
            data[at : at + size * 8] = other[start : start + size * 8]
    return bytes(data)


# --- what is done with it --------------------------------------------------------------------------------------------


def only_our_errors(work: Callable[[], Any], most_lines: int = MOST_LINES) -> AugpipeError | None:
    """Do something, and return the error of augpipe that comes of it; anything else that is raised is a fault.

    What an error says must fit a terminal: a line or two, or one for each mistake of a recipe; no control characters,
    not endless.
    """
    try:
        work()
    except AugpipeError as error:
        lines = str(error).split("\n")
        assert 1 <= len(lines) <= most_lines, lines
        for line in lines:
            assert line == one_line(line, 2000), line
        return error
    return None


def use(source: Path | str, **options: Any) -> list[str]:
    """All that a run does with a source but its pixels; the reject code, or ``read``, of each picture."""
    dataset = open_dataset(str(source), SourceOptions(**options))
    for text in dataset.remarks:
        assert text == one_line(text, 2000)
    dataset.fingerprint()
    return [_use(dataset, entry) for entry in dataset.entries]


def _use(dataset: Dataset, entry: Entry) -> str:
    try:
        _sample(dataset, entry)
    except Reject as reject:
        return _row_of(reject, entry)
    return "read"


def _row_of(reject: Reject, entry: Entry) -> str:
    """The code of a reject that can be written as a row."""
    assert reject.code != "fault"
    msgspec.json.encode([entry.key, reject.file or entry.file, one_line(reject.message), reject.line])
    return reject.code


def _sample(dataset: Dataset, entry: Entry) -> None:
    header = read_header(read_picture(entry))
    annotations = aligned(dataset.reader.annotations(entry), header)
    categories = {c.id: c for c in dataset.categories}
    plan = draw(RECIPE, Frame(entry.key, header.upright_wh, annotations), 0, 0)
    labelled = apply(annotations, follow(plan.steps, header.upright_wh), RECIPE.rules, categories, 255)
    source = SourceFacts(entry.key, "", header.upright_wh, header.orientation)
    json.loads(msgspec.json.encode(record_of("key", 0, labelled, source, plan, categories), order="sorted"))


def turn(source: Path, target: Path, before: str, after: str) -> None:
    """Convert a source; its target is new, and only that is written."""
    report = convert(str(source), target, after, SourceOptions(format=before))
    for line in (*report.remarks, *report.lost, *report.unseen):
        assert line == one_line(line, 2000)
        assert "please report" not in line
