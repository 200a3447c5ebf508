"""The line of an XML file at which an object begins, for the few examples that are shown; parsing does not keep it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from augpipe.errors import Reject
from augpipe.formats.base import Place, read_place
from augpipe.survey.oddity import Example, Oddity

_OBJECT = re.compile(rb"<object[\s>/]")


def with_lines(root: Path, oddities: dict[str, Oddity]) -> dict[str, Oddity]:
    """The oddities with the lines of objects in XML files below ``root``."""
    return {
        code: replace(oddity, examples=tuple(_with_line(root, example) for example in oddity.examples))
        for code, oddity in oddities.items()
    }


def _with_line(root: Path, example: Example) -> Example:
    file = example.file or ""
    if example.object is None or example.line is not None or not file.lower().endswith(".xml"):
        return example
    try:
        return replace(example, line=line_of_object(read_place(Place(str(root / file))), example.object))
    except Reject:  # gone meanwhile, or not below the root
        return example


def line_of_object(xml: bytes, index: int) -> int | None:
    """Line, from 1, of the object at a position, from 0; ``None`` if it is not found, as in UTF-16."""
    found = list(_OBJECT.finditer(xml))
    return xml.count(b"\n", 0, found[index].start()) + 1 if index < len(found) else None
