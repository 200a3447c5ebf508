"""Telling samples from other files by their names: a picture and its labels have one name up to the first dot."""

from __future__ import annotations

from augpipe.formats.base import PICTURE_ENDINGS
from augpipe.storage.fs import names_of, walk_files
from augpipe.storage.tree import AnyPath

PICTURES = tuple(ending.removeprefix(".") for ending in PICTURE_ENDINGS)
LABELS = ("json", "xml", "cls")


def has_samples(where: AnyPath) -> bool:
    """Whether a picture and its labels stand in a tree under one name."""
    seen: dict[str, int] = {}
    for path in walk_files(where):
        head, slash, last = path.rpartition("/")
        stem, _, ending = last.lower().partition(".")
        kind = 1 if ending in PICTURES else 2 if ending in LABELS else 0
        key = f"{head}{slash}{stem}"
        seen[key] = seen.get(key, 0) | kind
        if seen[key] == 3:
            return True
    return False


def is_of_sample(where: AnyPath) -> bool:
    """Whether a picture stands beside a file under the same name."""
    stem = where.name.partition(".")[0]
    parts = (name.partition(".") for name in names_of(where.parent))
    return any(name == stem and ending.lower() in PICTURES for name, _, ending in parts)
