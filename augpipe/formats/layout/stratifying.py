"""Parting so that each class has its share in every split: a greedy choice for each picture, or group of pictures.

Units are taken one after the other, those first which hold most of a class. Each goes where the sum over classes and
splits of (share that the class has there − share asked for)² / share asked for grows least; the pictures' number counts
as one more class. Then units are moved where that makes the sum smaller. The idea is that of Sechidis, Tsoumakas and
Vlahavas, "On the Stratification of Multi-Label Data" (2011), whose rule goes by one class at a time.

Units of equal weight are taken in the order of the hash that parts without strata, so the result depends on names and
labels alone, and not on the order of the pictures, the machine, or the number of processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augpipe.core.errors import Reject
from augpipe.core.parallel import batches_of, parallel_map
from augpipe.formats.base import Entry, Reader, read_labels
from augpipe.formats.layout.parting import Parting, place_of_text

Class = tuple[str, str]
"""A kind of label and the id or name of its class."""
_PICTURES: Class = ("", "pictures")
_SWEEPS = 3
_ENOUGH = 20  # objects of a class of which shares are told


@dataclass(frozen=True)
class Unit:
    """Pictures that stay together: their ``place`` by the hash, and their name; how many of each class they hold, and
    how many ``pictures`` they are."""

    place: tuple[float, str]
    counts: Mapping[Class, int]
    pictures: int = 1


def split_entries(
    reader: Reader, entries: Sequence[Entry], names: Sequence[str], parting: Parting
) -> tuple[list[str], list[str]]:
    """(the split of each entry, what there is to say of it). ``names`` are the entries' names for the hash.

    Raises:
        UsageError: the pattern of groups might not end in time.
        DatasetError: as above, for one of the names.
    """
    if not parting.stratify:
        return parting.splits_of(names), []
    groups = parting.groups_of(names)
    counts = class_counts(reader, entries)
    members: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    units = [
        Unit((place_of_text(group), group), _sum(counts[i] for i in rows), len(rows)) for group, rows in members.items()
    ]
    chosen = dict(zip(members, chosen_splits(units, parting.shares), strict=True))
    splits = [chosen[group] for group in groups]
    return splits, list(_told(counts, splits, parting.shares))


def _sum(counts: Iterable[Mapping[Class, int]]) -> Counter[Class]:
    total: Counter[Class] = Counter()
    for one in counts:
        total.update(one)
    return total


def _told(counts: Sequence[Counter[Class]], splits: Sequence[str], shares: Mapping[str, float]) -> Iterator[str]:
    """How near the shares of classes of some size came to what was asked for."""
    total = _sum(counts)
    large = [name for name, n in total.items() if n >= _ENOUGH]
    for split in [split for split in shares if split != "train"] if large else []:
        here = _sum(found for found, own in zip(counts, splits, strict=True) if own == split)
        parts = sorted(here[name] / total[name] for name in large)
        yield (
            f"{split} has {100 * parts[0]:.1f}% to {100 * parts[-1]:.1f}% of each class with {_ENOUGH} labels or more, "
            f"for {100 * shares[split]:g}%"
        )


def class_counts(reader: Reader, entries: Sequence[Entry]) -> list[Counter[Class]]:
    """How often each class is in each picture: objects and tags, and once for a semantic mask or segment that has it.
    A picture whose labels cannot be read has none."""
    parts = ((reader, batch) for batch in batches_of(entries))
    return [counts for found in parallel_map(_counts_of, parts, len(entries)) for counts in found]


def _counts_of(part: tuple[Reader, Sequence[Entry]]) -> list[Counter[Class]]:
    reader, entries = part
    out = []
    for entry in entries:
        counts: Counter[Class] = Counter()
        try:
            labels = read_labels(reader, entry)
        except Reject:  # told where it is rejected
            out.append(counts)
            continue
        counts.update(("object", str(number)) for number in labels.objects.category_id.tolist())
        counts.update(("tag", tag) for tag in labels.tags)
        if labels.semantic is not None:
            counts.update(("pixels", str(value)) for value in np.unique(labels.semantic).tolist() if value)
        counts.update(("segment", str(s.get("category_id"))) for s in labels.segments_info)
        out.append(counts)
    return out


def chosen_splits(units: Sequence[Unit], shares: Mapping[str, float]) -> list[str]:
    """The split of each unit.

    Args:
        units: what is to be parted.
        shares: split → the share above 0 that it is to have; they add up to 1.
    """
    totals: Counter[Class] = Counter()
    for unit in units:
        totals.update(unit.counts)
        totals[_PICTURES] += unit.pictures
    weights = [
        sorted((name, n / totals[name]) for name, n in (*unit.counts.items(), (_PICTURES, unit.pictures)))
        for unit in units
    ]
    order = sorted(range(len(units)), key=lambda i: (-max(w for _, w in weights[i]), units[i].place))
    names, held = list(shares), {name: dict.fromkeys(totals, 0.0) for name in shares}
    chosen = [""] * len(units)
    for sweep in range(1 + _SWEEPS):
        moved = 0
        for i in order:
            before = chosen[i]
            if before:
                _add(held[before], weights[i], -1.0)
            best = min(names, key=lambda name: (_growth(held[name], weights[i], shares[name]), name != before))
            _add(held[best], weights[i], 1.0)
            moved += best != before
            chosen[i] = best
        if sweep and not moved:
            break
    return chosen


def _add(held: dict[Class, float], weights: Sequence[tuple[Class, float]], sign: float) -> None:
    for name, weight in weights:
        held[name] += sign * weight


def _growth(held: Mapping[Class, float], weights: Sequence[tuple[Class, float]], share: float) -> float:
    """What the sum of squares grows by if the weights come to what a split holds."""
    return sum(weight * (2.0 * (held[name] - share) + weight) for name, weight in weights) / share
