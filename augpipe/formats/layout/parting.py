"""Parting a dataset into train, val and test by a hash of each picture's name, so that adding pictures moves none.

Pictures of one group go to one split. A name is hashed without the folder of its split, so a dataset that was parted
and written is parted the same again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from augpipe.core.errors import UsageError, one_line
from augpipe.core.rng import encode
from augpipe.formats.layout.groups import groups_of
from augpipe.formats.layout.splits import split_called

REST = "train"
"""The split of the pictures that no share takes."""
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)(%?)")


@dataclass(frozen=True)
class Parting:
    """How a dataset is to be parted: split → its share, and the pattern of the groups that stay together."""

    shares: Mapping[str, float] = field(default_factory=dict)
    group_by: str | None = None

    def check(self) -> None:
        """Raise :class:`UsageError` for shares that make no sense."""
        for split, share in self.shares.items():
            if not 0 < share < 1:
                raise UsageError(f"--{split} {share:g}: expected a share above 0% and below 100%, as 10%")
        if sum(self.shares.values()) >= 1:
            raise UsageError(f"{' and '.join(f'--{s}' for s in self.shares)} leave nothing for {REST}")

    def of(self, names: Sequence[str]) -> tuple[list[str], int]:
        """(the split of each name, how many names the pattern does not match: each of those is a group of its own)."""
        if self.group_by is None:
            return [part_of((name,), self.shares) for name in names], 0
        groups = groups_of(names, self.group_by)
        lone = sum(group is None for group in groups)
        return [part_of(group or (name,), self.shares) for name, group in zip(names, groups, strict=True)], lone


def part_of(group: Iterable[str], shares: Mapping[str, float]) -> str:
    """The split of a group of pictures: 53 bits of the BLAKE2b of its name, as a number in [0, 1), fall into a share.

    Shares are laid out in their order from 0 on, so a share that is added behind others moves none of theirs.
    """
    digest = hashlib.blake2b(encode(*group), digest_size=8).digest()
    unit, end = (int.from_bytes(digest, "big") >> 11) * 2.0**-53, 0.0
    for split, share in shares.items():
        end += share
        if unit < end:
            return split
    return REST


def share_of(text: str, option: str) -> float:
    """The share that a text such as ``10%`` or ``0.1`` states.

    Raises:
        UsageError: naming ``option``.
    """
    match = _SHARE.fullmatch(text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{option} {one_line(text, 40)}: expected a share, as 10% or 0.1")
    return share


def plain_name(key: str, split: str) -> str:
    """A picture's name without the folder of its split.

    >>> plain_name("train2017/a.jpg", "train"), plain_name("photos/a.jpg", "train")
    ('a.jpg', 'photos/a.jpg')
    """
    top, _, rest = key.partition("/")
    return rest if split and rest and split_called(top) == split_called(split) else key
