"""The names of shards: SPLIT-NNNNNN, from 000000 on in each split; ``all`` stands for pictures that are in no split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

NO_SPLIT = "all"
"""What the names of shards begin with whose pictures are in no split."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 60


def shard_name(prefix: str, number: int) -> str:
    """The name of a shard without an ending.

    >>> shard_name("train", 0)
    'train-000000'
    """
    return f"{prefix}-{number:06d}"


def prefixes_of(splits: Iterable[str]) -> dict[str, str]:
    """Split → what the names of its shards begin with: the split where that is a safe name, and its own alone.

    >>> prefixes_of(["train", "fold 1", ""])
    {'train': 'train', 'fold 1': 'fold_1', '': 'all'}
    """
    names = list(splits)
    out: dict[str, str] = {}
    taken: set[str] = {NO_SPLIT} if "" in names else set()
    for split in sorted(names, key=lambda name: (bool(_UNSAFE.search(name)), name)):  # safe names are kept
        prefix = _UNSAFE.sub("_", split)[:_LONGEST] or NO_SPLIT
        if split and prefix.lower() in taken:  # also on disks for which Fold and fold are one name
            prefix = f"{prefix}-{hashlib.blake2b(split.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}"
        taken.add(prefix.lower())
        out[split] = prefix
    return {split: out[split] for split in names}
