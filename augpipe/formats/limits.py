"""Limits on labels, beyond which is a mistake or an attack on the parser, and rejecting them."""

from __future__ import annotations

import itertools
from typing import Any

from augpipe.core.errors import Reject

FARTHEST = 1e7
"""Pixels; a coordinate or size beyond this is a mistake."""
DEEPEST = 64
"""Levels of nesting that free fields may have. No dataset needs so many, and Python's own limit is near a thousand."""
LARGEST_LABELS = 1 << 25
"""Bytes of the labels of one picture. Real ones have some thousand; a parser holds ten to thirty times as many."""
MOST_MARKS = 500_000
"""What begins a value in the labels of one picture: brackets of JSON, elements and attributes of XML."""


def bad_labels(code: str, file: str, message: str) -> Reject:
    """Why the labels of ``file`` are rejected."""
    return Reject("labels", code, f"{file}: {message}", file=file)


def require_small(data: bytes, marks: bytes, file: str) -> None:
    """Refuse labels of one picture that would take a parser out of all proportion.

    ``marks`` are the characters that begin a value in ``data``. Raises ``Reject``: ``too-large``.
    """
    if len(data) > LARGEST_LABELS:
        message = f"{len(data) >> 20:,} MiB of labels for one picture; expected at most {LARGEST_LABELS >> 20}"
        raise bad_labels("too-large", file, message)
    if len(data) > MOST_MARKS and sum(map(data.count, (marks[i : i + 1] for i in range(len(marks))))) > MOST_MARKS:
        message = f"more than {MOST_MARKS:,} values in the labels of one picture"
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
