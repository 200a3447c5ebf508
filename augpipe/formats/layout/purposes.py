"""What the splits of a dataset are for: train is augmented, and what measures a model stays as it is.

A split of another name is never augmented unasked beside others, as it may be one to measure by. Where no split is for
training, nothing says which one to augment, and the user is asked. All pictures in one split of another name are a set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.layout.splits import chosen_split, in_order, known_split

NONE = "none"
"""What a user calls the pictures that are in no split."""


def shown_split(name: str) -> str:
    """The name of a split for a message."""
    return one_line(name, 40) if name else "in no split"


def is_for_training(name: str) -> bool:
    """Whether a split is to be trained on by its name: ``train``, or ``trainval``, which is train and val together."""
    return known_split(name) == "train" or name.lower() == "trainval"


def augmented_splits(
    splits: Mapping[str, int], augment: Sequence[str] = (), passed: Sequence[str] = (), *, copies: int = 1
) -> list[str]:
    """The splits that are augmented, in order; the others are passed through.

    Args:
        splits: those that are there, with their pictures; "" is that of pictures in none.
        augment: names or aliases that a user has chosen; these alone are augmented then.
        passed: names or aliases of splits that are not augmented. Then all others are but ``val`` and ``test``.
        copies: of a picture; without any all splits are the same.

    Raises:
        UsageError: a name that is not there, a split that is to be both, or nothing to augment.
    """
    chosen, left = _named(splits, augment, "--augment-split"), _named(splits, passed, "--pass-split")
    if both := [name for name in chosen if name in left]:
        raise UsageError(f"--augment-split and --pass-split both name {shown_split(both[0])}; choose one")
    if not augment:
        unparted = len(splits) == 1 and known_split(next(iter(splits))) is None
        others = unparted or bool(passed)  # one part of everything, or a user who has looked at what there is
        chosen = [
            name
            for name in splits
            if name not in left and (is_for_training(name) or (others and known_split(name) is None))
        ]
    if not chosen and copies == 0:
        return in_order(splits)
    if not chosen:
        raise UsageError(_nothing_to_augment(splits, passed))
    return in_order(chosen)


def chosen_named(asked: str, there: Iterable[str]) -> str | None:
    """As :func:`augpipe.formats.layout.splits.chosen_split`, and ``none`` for pictures in no split."""
    names = list(there)
    found = chosen_split(asked, names)
    return "" if found is None and asked.lower() == NONE and "" in names else found


def _named(splits: Iterable[str], asked: Sequence[str], option: str) -> list[str]:
    """The splits that are there which a user names; raises :class:`UsageError` for others."""
    there = list(splits)
    out = []
    for name in asked:
        found = chosen_named(name, there)
        if found is None:
            names = ", ".join(one_line(n, 40) or f"{NONE} (pictures in no split)" for n in in_order(there)[:8])
            raise UsageError(f"{option} {one_line(name, 40)}: no such split; there are {names}")
        out.append(found)
    return out


def _nothing_to_augment(splits: Mapping[str, int], passed: Sequence[str]) -> str:
    counts = ", ".join(f"{shown_split(name)} {splits[name]:,}" for name in in_order(splits))
    if passed and any(map(is_for_training, splits)):
        return f"nothing is left to augment of the splits ({counts}); name fewer with --pass-split"
    first = next((name for name in in_order(splits) if known_split(name) is None), in_order(splits)[0])
    name = one_line(first, 40) or NONE
    rest = "all the same" if len(splits) == 1 else ", the others pass through".lstrip(", ")
    way = f"--augment-split {name} augments {'it' if first else 'them'}{' ' if len(splits) == 1 else ', '}{rest}"
    alone = f"; --split {name} takes it alone" if first else ""
    return f"no split is called train, so nothing would be augmented ({counts})\n{way}{alone}"
