"""A dataset whose pictures have the splits that a :class:`Parting` gives them, whatever splits it has already.

A name is hashed without the folder of its split, so what was parted and written is parted the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.base import Dataset, Entry, plural
from augpipe.formats.layout.parting import Parting
from augpipe.formats.layout.splits import shown_splits, split_called

_REST = "train"


def parted(dataset: Dataset, parting: Parting, again: bool = False) -> Dataset:
    """The dataset with the pictures of train and of no split parted; ``again`` parts those of all splits.

    Pictures of other splits stay where they are, and keys stay what they are. ``remarks`` count what came to be.

    Raises:
        UsageError: shares or a pattern that make no sense, a share that no picture falls into, or nothing to part.
    """
    parting.check()
    open_to = {name for name in dataset.splits if again or name in {"", _REST}}
    chosen = [entry for entry in dataset.entries if entry.split in open_to]
    if not chosen:
        raise UsageError(
            f"{dataset.root}: is parted already: {shown_splits(dataset.splits)}, with nothing in {_REST} to part; "
            "--again parts all of it anew"
        )
    splits = parting.splits_of(plain_name(entry.key, entry.split) for entry in chosen)
    _require_all(dataset, parting, splits)
    now = {entry.key: split for entry, split in zip(chosen, splits, strict=True)}
    entries: Sequence[Entry] = [e._replace(split=now.get(e.key, e.split)) for e in dataset.entries]
    made = replace(dataset, entries=entries)
    counts = ", ".join(f"{name or 'no split'} {n:,}" for name, n in made.splits.items())
    remarks = [f"parted by a hash of {'groups' if parting.group_by else 'names'}: {counts}"]
    if stay := len(dataset.entries) - len(chosen):
        others = shown_splits(set(dataset.splits) - open_to)
        remarks.append(f"{plural(stay, 'picture')} stay in {others}, where the dataset has them")
    return replace(made, remarks=(*dataset.remarks, *remarks))


def _require_all(dataset: Dataset, parting: Parting, splits: Sequence[str]) -> None:
    """Raise :class:`UsageError` if a split would be empty, as shares of a few pictures or groups may be."""
    shares = {"val": parting.val, "test": parting.test, _REST: 1.0}
    for name in [name for name, share in shares.items() if share]:
        if name not in splits:
            way = "a pattern that finds more groups" if parting.group_by else "more pictures"
            raise UsageError(
                f"{one_line(dataset.root)}: none of {plural(len(splits), 'picture')} falls into {name}; "
                f"give {'smaller' if name == _REST else 'larger'} shares, or {way}"
            )


def plain_name(key: str, split: str) -> str:
    """A picture's name without the folder of its split.

    >>> plain_name("train2017/a.jpg", "train"), plain_name("photos/a.jpg", "train")
    ('a.jpg', 'photos/a.jpg')
    """
    top, _, rest = key.partition("/")
    return rest if split and rest and split_called(top) == split_called(split) else key
