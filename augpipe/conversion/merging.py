"""Several datasets as one: classes of one name become one, and pictures of one name are told apart by their dataset.

The first dataset has all as it was; names and class ids of the others change only where they are taken. Ids of pictures
and objects that come twice are changed by the writer, which counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from augpipe.core.annotations import Annotations, Category
from augpipe.core.errors import Reject, UsageError, one_line
from augpipe.formats.base import Dataset, Entry, Reader, plural
from augpipe.formats.class_choice import ClassTable, relabelled
from augpipe.formats.indexing import labelled_by_id
from augpipe.formats.layout.parted import plain_name
from augpipe.formats.writer import stem_of
from augpipe.storage.byte_range import read_place

EqualNames = Literal["prefix", "refuse"]
_SHOWN = 5


@dataclass(frozen=True)
class MergedReader:
    """Reads entries whose ``annotation`` is (the number of their dataset, the entry there)."""

    readers: tuple[Reader, ...]
    tables: tuple[ClassTable | None, ...]

    def annotations(self, entry: Entry) -> Annotations:
        number, own = entry.annotation
        labels = self.readers[number].annotations(own)
        table = self.tables[number]
        return labels if table is None else relabelled(labels, table)


def merged(named: Sequence[tuple[str, Dataset]], equal: EqualNames = "prefix") -> Dataset:
    """One dataset of several, each with the name that its pictures get where theirs is taken.

    Raises:
        UsageError: a name is taken, and ``equal`` refuses that.
    """
    classes = _Classes()
    tables = tuple(classes.take(dataset) for _, dataset in named)
    entries, remarks = _entries(named, equal)
    first = named[0][1]
    for name, dataset in named:
        remarks += [f"{name}: {remark}" for remark in dataset.remarks]
    readers = tuple(dataset.reader for _, dataset in named)
    return Dataset.of(
        format_of([dataset for _, dataset in named]) or first.format,
        first.root,
        labelled_by_id(classes.categories),
        entries,
        MergedReader(readers, tables),
        replace(first.options, limit=None),
        (*_counts(named), *classes.told([name for name, _ in named]), *remarks),
    )


def format_of(datasets: Sequence[Dataset]) -> str | None:
    """The format that all have, without a kind of rows if they have several; ``None`` if there is no such format."""
    for shared in ({d.format for d in datasets}, {d.format.partition(":")[0] for d in datasets}):
        if len(shared) == 1:
            return shared.pop()
    return None


def _counts(named: Sequence[tuple[str, Dataset]]) -> Iterator[str]:
    total: Counter[str] = Counter()
    for name, dataset in named:
        splits = dataset.splits
        total.update(splits)
        yield f"{name}: {plural(len(dataset.entries), 'picture')}{_in_words(splits)}"
    if any(total):
        yield f"together {plural(total.total(), 'picture')}{_in_words(total)}"


def _in_words(splits: dict[str, int] | Counter[str]) -> str:
    counts = ", ".join(f"{split or 'no split'} {n:,}" for split, n in splits.items())
    return f" ({counts})" if any(splits) else ""


# --- classes ---------------------------------------------------------------------------------------------------------


@dataclass
class _Classes:
    """The classes so far. Those that share a name within one dataset stay apart: the first is that of all datasets."""

    by_name: dict[tuple[str, int], Category] = field(default_factory=dict)
    shared: list[int] = field(default_factory=list)
    added: list[list[str]] = field(default_factory=list)

    @property
    def categories(self) -> list[Category]:
        return list(self.by_name.values())

    def take(self, dataset: Dataset) -> ClassTable | None:
        """Add those of a dataset; what becomes of its ids, ``None`` if they stay."""
        seen: Counter[str] = Counter()
        ids: dict[int, int] = {}
        points: dict[int, tuple[int, ...]] = {}
        added: list[str] = []
        for own in sorted(dataset.categories, key=lambda c: c.label):
            which = own.name, seen[own.name]
            seen[own.name] += 1
            one = self.by_name.get(which)
            if one is None:
                added.append(own.name)
                one = replace(own, id=self._free(own.id))
            elif own.keypoints and not one.keypoints:
                one = replace(one, keypoints=own.keypoints, skeleton=own.skeleton, flip_pairs=own.flip_pairs)
            self.by_name[which] = one
            ids[own.id] = one.id
            if own.keypoints and own.keypoints != one.keypoints:
                places = {point: place for place, point in enumerate(own.keypoints)}
                points[own.id] = tuple(places.get(point, -1) for point in one.keypoints)
        self.shared.append(len(ids) - len(added))
        self.added.append(added)
        same = all(before == after for before, after in ids.items()) and not points
        return None if same else ClassTable(ids, frozenset(), {}, points, dataset.options.void)

    def _free(self, wished: int) -> int:
        taken = {c.id for c in self.by_name.values()}
        return wished if wished not in taken else max(taken) + 1

    def told(self, names: Sequence[str]) -> Iterator[str]:
        """What each further dataset has done to the classes."""
        for name, shared, added in list(zip(names, self.shared, self.added, strict=True))[1:]:
            shown = ", ".join(one_line(one, 40) for one in added[:_SHOWN])
            more = f" and {len(added) - _SHOWN:,} more" if len(added) > _SHOWN else ""
            new = f"{len(added):,} are added{': ' if added else ''}{shown}{more}"
            yield f"{name}: of its classes {shared:,} were there, {new}"


# --- names -----------------------------------------------------------------------------------------------------------


def _entries(named: Sequence[tuple[str, Dataset]], equal: EqualNames) -> tuple[list[Entry], list[str]]:
    """(all entries, remarks on those that have another name now)."""
    taken: dict[tuple[str, str], Entry] = {}
    entries: list[Entry] = []
    remarks: list[str] = []
    for number, (name, dataset) in enumerate(named):
        mine: dict[tuple[str, str], Entry] = {}
        clashes: list[tuple[Entry, Entry]] = []
        for entry in dataset.entries:
            key = entry.key
            other = next((taken[place] for place in _places(key, entry.split) if place in taken), None)
            if other is not None:
                clashes.append((entry, other))
                key = _prefixed(entry, name)
                if not taken.keys().isdisjoint(_places(key, entry.split)):
                    raise UsageError(f"{name}: '{one_line(key)}' is taken, too; rename the folder of that dataset")
            made = entry._replace(key=key, annotation=(number, entry))
            mine |= dict.fromkeys(_places(key, entry.split), entry)
            entries.append(made)
        if clashes and equal == "refuse":
            one = one_line(clashes[0][0].key)
            raise UsageError(
                f"{name}: {plural(len(clashes), 'picture')} called as one of another dataset, the first is '{one}'\n"
                "--equal-names prefix puts the name of the dataset before them"
            )
        taken |= mine
        if clashes:
            remarks += _told(name, clashes)
    return entries, remarks


def _places(key: str, split: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Where writers put a picture: by its key, or in the folder of its split. Endings do not tell pictures apart."""
    return ("", stem_of(key)), (split, stem_of(plain_name(key, split)))


def _prefixed(entry: Entry, name: str) -> str:
    """A key with the name of its dataset, behind the folder of its split."""
    plain = plain_name(entry.key, entry.split)
    return f"{entry.key[: len(entry.key) - len(plain)]}{name}/{plain}"


def _told(name: str, clashes: Sequence[tuple[Entry, Entry]]) -> Iterator[str]:
    first = clashes[0][0]
    yield (
        f"{name}: {plural(len(clashes), 'picture')} called as one that was there, now with the name of the dataset, "
        f"as '{one_line(_prefixed(first, name))}'"
    )
    twice = [entry for entry, other in clashes if _is_same(entry, other)]
    if twice:
        where = one_line(twice[0].key)
        yield f"{name}: {len(twice):,} of them are the same file byte for byte, as '{where}', and are there twice now"


def _is_same(one: Entry, other: Entry) -> bool:
    if one.picture is None or other.picture is None or one.size != other.size:
        return False
    try:
        return read_place(one.picture) == read_place(other.picture)
    except Reject:
        return False
