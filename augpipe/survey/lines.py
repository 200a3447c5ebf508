"""The line of a label file at which an object begins, for the few examples that are shown; objects do not keep it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import islice

from augpipe.errors import Reject
from augpipe.formats.base import Where, place_of, read_place
from augpipe.sources.look import named_by
from augpipe.survey.oddity import Example, Oddity

_OBJECTS = {
    ".xml": re.compile(rb"<object[\s>/]"),
    ".txt": re.compile(
        rb"^(?!(?:imagesource|gsd)\s*:)[^\S\n]*\S", re.MULTILINE | re.IGNORECASE
    ),  # YOLO; DOTA has heads
}


def with_lines(root: Where, oddities: dict[str, Oddity]) -> dict[str, Oddity]:
    """The oddities with the lines of objects in the XML and text files below ``root``."""
    return {
        code: replace(oddity, examples=tuple(_with_line(root, example) for example in oddity.examples))
        for code, oddity in oddities.items()
    }


def _with_line(root: Where, example: Example) -> Example:
    file = example.file or ""
    start = _OBJECTS.get(os.path.splitext(file)[1].lower())
    if example.object is None or example.line is not None or start is None:
        return example
    try:
        return replace(example, line=line_of_object(read_place(place_of(named_by(file, root))), start, example.object))
    except Reject:  # gone meanwhile, or not below the root
        return example


def line_of_object(text: bytes, start: re.Pattern[bytes], index: int) -> int | None:
    """Line, from 1, of the object at a position, from 0; ``None`` if it is not found, as in UTF-16."""
    found = next(islice(start.finditer(text), index, None), None)
    return None if found is None else text.count(b"\n", 0, found.start()) + 1
