"""Parting a dataset that has no splits: by a hash of each key, so that a picture stays where it is when others come.

Neither the order of the pictures nor the machine, nor any seed, has a part in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.layout.grouping import Grouping


def share_of(text: str, option: str) -> float:
    """The share that a text such as ``10%`` is; raises :class:`UsageError` if it is none between 0 and 100%."""
    match = re.fullmatch(r"\s*(\d{1,2}(?:\.\d{1,6})?)\s*%\s*", text)
    if match is None or not 0.0 < float(match[1]) < 100.0:
        raise UsageError(f"{option} {one_line(text, 40)}: expected a share such as 10%")
    return float(match[1]) / 100.0


@dataclass(frozen=True)
class Parting:
    """How a dataset is parted.

    Attributes:
        val: the share of ``val``.
        test: the share of ``test``.
        group_by: a pattern; pictures of which it matches the same stay together. One that it does not match is alone.
    """

    val: float = 0.0
    test: float = 0.0
    group_by: str | None = None

    def check(self) -> None:
        """Raise :class:`UsageError` for values that make no sense."""
        if not (0.0 <= self.val < 1.0 and 0.0 <= self.test < 1.0 and 0.0 < self.val + self.test < 1.0):
            raise UsageError(
                f"--val {100 * self.val:g}%, --test {100 * self.test:g}%: expected more than 0% and less than 100% "
                "together"
            )
        if self.group_by is not None:
            Grouping(self.group_by).check()

    def splits_of(self, keys: Iterable[str]) -> list[str]:
        """The split of each key: ``train``, ``val`` or ``test``.

        Raises:
            UsageError: the pattern might not end in time.
            DatasetError: as above, for one of the keys.
        """
        grouping = None if self.group_by is None else Grouping(self.group_by)
        out = []
        for key in keys:
            group = None if grouping is None else grouping.group_of(key)
            place = _place(key) if group is None else _place(f"\0{group}")  # a group is no key
            out.append("val" if place < self.val else "test" if place < self.val + self.test else "train")
        return out


def parting_of(config: Mapping[str, Any]) -> Parting | None:
    """The parting of a run by its configuration; raises ``TypeError`` or ``ValueError`` if it makes no sense."""
    value = config.get("parting")
    if value is None:
        return None
    parting = Parting(**value)
    if not all(isinstance(share, float) for share in (parting.val, parting.test)):
        raise TypeError("parting")
    if not isinstance(parting.group_by, str | None):
        raise TypeError("group_by")
    return parting


def _place(text: str) -> float:
    """A number in [0, 1) that a text always has: the first 53 bits of its BLAKE2b."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
