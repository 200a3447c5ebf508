"""Names of samples: KEY = SLUG-HASH-COPY, safe in a tar, a shell and webdataset, whatever the picture is called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from augpipe.core.errors import DatasetError, one_line
from augpipe.recipe.planner import ORIGINAL

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_SLUG = 60


def key_stem(source_key: str) -> str:
    """SLUG-HASH of a source key.

    >>> key_stem("cats/tom.jpg")[:4]
    'tom-'
    """
    name = source_key.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    slug = _UNSAFE.sub("_", stem)[:_LONGEST_SLUG]
    return f"{slug}-{hashlib.blake2b(source_key.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}"


def sample_key(source_key: str, copy: int) -> str:
    """KEY of one sample; ``orig`` stands for the picture as it is."""
    return f"{key_stem(source_key)}-{'orig' if copy == ORIGINAL else f'c{copy:03d}'}"


def require_unique(source_keys: Iterable[str]) -> None:
    """Make sure that no two source keys give one KEY.

    Raises:
        DatasetError: naming both.
    """
    seen: dict[str, str] = {}
    for key in source_keys:
        stem = key_stem(key)
        if stem in seen:
            raise DatasetError(f"'{one_line(seen[stem])}' and '{one_line(key)}' would get one KEY; rename one of them")
        seen[stem] = key
