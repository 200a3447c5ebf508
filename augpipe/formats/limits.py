"""Limits on labels, beyond which is a mistake or an attack on the parser, and rejecting them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from augpipe.core.errors import DatasetError, Reject

FARTHEST = 1e7
"""Pixels; a coordinate or size beyond this is a mistake."""
DEEPEST = 64
"""Levels of nesting that free fields may have. No dataset needs so many, and Python's own limit is near a thousand."""
LARGEST_LABELS = 1 << 25
"""Bytes of the labels of one picture. Real ones have some thousand; a parser holds ten to thirty times as many."""
MOST_MARKS = 500_000
"""What begins a value in the labels of one picture: brackets of JSON, elements and attributes of XML."""
MOST_OBJECTS = 100_000
"""Objects of one picture. Each takes about 0.1 ms a copy; of 64 million pixels no more are left for one than 25×25."""
MOST_CLASSES = 100_000
"""Classes of a dataset."""
MOST_KEYPOINTS = 10_000
"""Keypoints of a class, and lines between them."""
MOST_ATTRIBUTES = 10_000
"""Names of attributes that an element, or the objects of a file, may have."""


def bad_labels(code: str, file: str, message: str) -> Reject:
    """Why the labels of ``file`` are rejected."""
    return Reject("labels", code, f"{file}: {message}", file=file)


def require_list(count: int, most: int, what: str, shown: object) -> None:
    """Refuse a list of classes, or of what they have, that would keep a command busy before it begins.

    Raises ``DatasetError``.
    """
    if count > most:
        raise DatasetError(f"{shown}: {count:,} {what}; expected at most {most:,}")


def require_size(size: int, file: str) -> None:
    """Refuse so many bytes of labels for one picture. Raises ``Reject``: ``too-large``."""
    if size > LARGEST_LABELS:
        message = f"{size >> 20:,} MiB of labels for one picture; expected at most {LARGEST_LABELS >> 20}"
        raise bad_labels("too-large", file, message)


def require_small(texts: Sequence[bytes], marks: bytes, file: str) -> None:
    """Refuse labels of one picture, in one or several texts, that would take a parser out of all proportion.

    ``marks`` are the characters that begin a value in them. Raises ``Reject``: ``too-large``.
    """
    size = sum(map(len, texts))
    require_size(size, file)
    each = [marks[i : i + 1] for i in range(len(marks))]
    if size > MOST_MARKS and sum(text.count(mark) for text in texts for mark in each) > MOST_MARKS:
        message = f"more than {MOST_MARKS:,} values in the labels of one picture"
        raise bad_labels("too-large", file, message)


def require_few(objects: int, file: str) -> None:
    """Refuse so many objects in one picture that moving them takes minutes. Raises ``Reject``: ``too-large``."""
    if objects > MOST_OBJECTS:
        message = f"{objects:,} objects in one picture; expected at most {MOST_OBJECTS:,}"
        raise bad_labels("too-large", file, message)


def is_deep(value: Any, most: int = DEEPEST) -> bool:
    """Whether lists and mappings are nested in more levels than ``most``; never recurses itself."""
    level = [value]
    for _ in range(most + 1):
        inner = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list))]
        if not inner:
            return False
        level = list(itertools.chain.from_iterable(inner))
    return True
