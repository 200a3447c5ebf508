"""The names of splits: which of them mean the same, and which one a user, a folder or a file names.

A split is a property of each entry of a dataset. ``train``, ``val`` and ``test`` have other names (:data:`ALIASES`),
also with a year behind them, as ``train2017``. Any other name, as ``minival``, is a split of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from augpipe.core.errors import one_line

ALIASES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev"),
    "test": ("test", "testing", "tst"),
}
"""The names of the three splits that trainers know, as tools write them."""
_MEANT = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
_YEAR = re.compile(r"[-_]?(?:19|20)\d\d$")


def known_split(name: str) -> str | None:
    """``train``, ``val`` or ``test`` if a name means one of them.

    >>> known_split("train2017"), known_split("Valid"), known_split("minival")
    ('train', 'val', None)
    """
    return _MEANT.get(_YEAR.sub("", name.lower()))


def is_split(name: str) -> bool:
    """Whether a folder, file or word of that name is likely a split: one of the three, or ``trainval``."""
    return known_split(name) is not None or name.lower() == "trainval"


def split_called(name: str) -> str:
    """The split that a name means: one of the three, or one of its own."""
    return known_split(name) or name


def split_in(path: str) -> str:
    """The split of a picture by its folders: the first of them that is called as one of the three, "" if none is.

    >>> split_in("images/val/a.jpg"), split_in("photos/a.jpg")
    ('val', '')
    """
    return next((split for part in path.split("/")[:-1] if (split := known_split(part)) is not None), "")


def in_order(splits: Iterable[str]) -> list[str]:
    """Splits in the order train, val, test, then the others by name."""
    ranks = {name: rank for rank, name in enumerate(ALIASES)}
    return sorted(set(splits), key=lambda name: (ranks.get(split_called(name), len(ranks)), name))


def chosen_split(asked: str, there: Iterable[str]) -> str | None:
    """The one of the splits that are there which a user names: that of the name, else the only one that means it."""
    names = list(there)
    if asked in names:
        return asked
    same = [name for name in names if split_called(name) == split_called(asked)]
    return same[0] if len(same) == 1 else None


def shown_splits(splits: Iterable[str]) -> str:
    """The names of splits for a message."""
    names = [one_line(name, 40) for name in in_order(splits)]
    return f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}" or "none"


def in_split(name: str, split: str) -> str:
    """The name of a picture in the folder of its split; a first folder that means this split becomes it.

    >>> in_split("train2017/a.jpg", "train"), in_split("photos/a.jpg", "train")
    ('train/a.jpg', 'train/photos/a.jpg')
    """
    top, _, rest = name.partition("/")
    return f"{split}/{rest if rest and split_called(top) == split else name}"
