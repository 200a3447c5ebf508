"""Which classes of a dataset are kept, in which order and under which names; all kinds of labels follow.

A choice wraps the reader of a dataset, so it holds in every process and for every format. Objects of classes that are
not kept are no objects of the dataset: they are counted once, when it is opened, and told.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from augpipe.core.annotations import F64, Annotations, Attributes, Category, Objects, Raster
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.core.parallel import batches_of, parallel_map
from augpipe.formats.base import Dataset, Entry, Reader, read_labels
from augpipe.formats.catalogue import format_named
from augpipe.formats.indexing import read_classes, without_background

_SHOWN = 5
LEFT_OUT = "keypoints-left-out"


@dataclass(frozen=True)
class ClassChoice:
    """What is asked of the classes of a dataset.

    Attributes:
        keep: names, as ``rename`` has made them, of the classes that stay, in the order of their labels 1..K; ``None``
            keeps all, in the order of the source.
        rename: name in the source → name. Classes that get one name become one class.
        spare: whether a name of ``keep`` that no class has becomes a class without objects; else it is an error.
    """

    keep: tuple[str, ...] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    spare: bool = False

    def __bool__(self) -> bool:
        return self.keep is not None or bool(self.rename)


def choice_of(config: Mapping[str, Any]) -> ClassChoice:
    """What the configuration of a run has kept of ``--classes`` and ``--map``.

    Raises:
        DatasetError: it is damaged.
    """
    keep, rename = config.get("keep"), config.get("map", {})
    shaped = isinstance(keep, (list, type(None))) and isinstance(rename, dict)
    if not shaped or not all(isinstance(name, str) for name in (*(keep or ()), *rename.values())):
        raise DatasetError("config.keep and config.map: expected names of classes; put back what augpipe has written")
    return ClassChoice(None if keep is None else tuple(keep), rename)


def chosen(dataset: Dataset, choice: ClassChoice) -> Dataset:
    """The dataset with the classes of a choice.

    Ids stay those of the source where its format has any, else they are the labels. Of classes that become one the id
    is that of the one which had the name, else of the first, and the keypoints are those of the first that has some.

    Raises:
        DatasetError: a name that no class has, with the nearest one that there is.
    """
    if not choice:
        return dataset
    groups = _groups(dataset, choice)
    categories, ids, points = _merged(groups, numbered=format_named(dataset.format).numbered)
    renamed = {c.name: None if c.id not in ids else choice.rename.get(c.name, c.name) for c in dataset.categories}
    table = ClassTable(
        ids,
        frozenset(c.id for c in dataset.categories if c.id not in ids),
        {before: after for before, after in renamed.items() if before != after},
        points,
        dataset.options.void,
    )
    remarks = (*dataset.remarks, *_told(dataset, table.gone))
    return replace(dataset, categories=categories, reader=ChosenReader(dataset.reader, table), remarks=remarks)


@dataclass(frozen=True)
class ClassTable:
    """What becomes of the classes of a source.

    Attributes:
        ids: id in the source → id, of the classes that stay.
        gone: the ids of those that do not.
        tags: name in the source → name, ``None`` for none, of those that change.
        points: id in the source → places in its keypoints of those of the merged class, −1 where it has none.
        void: value of semantic rasters for what is no class.
    """

    ids: Mapping[int, int]
    gone: frozenset[int]
    tags: Mapping[str, str | None]
    points: Mapping[int, tuple[int, ...]]
    void: int


@dataclass(frozen=True)
class ChosenReader:
    """A reader whose labels have the classes of a :class:`ClassTable`."""

    reader: Reader
    table: ClassTable

    def annotations(self, entry: Entry) -> Annotations:
        return relabelled(self.reader.annotations(entry), self.table)


def as_asked(dataset: Dataset) -> Dataset:
    """The dataset with the classes that its options ask for.

    Raises:
        DatasetError: as :func:`chosen`; or a class that a file lists is none, but nearly the name of one it leaves out.
    """
    options = dataset.options
    keep, file = options.keep, options.classes
    if file is None or dataset.named:
        return chosen(dataset, ClassChoice(keep, options.rename))
    names = {options.rename.get(c.name, c.name) for c in dataset.categories}
    listed = without_background(read_classes(file), names)
    rest = names - set(listed)
    for name in listed:
        if name not in names and (close := _close(name, rest)) is not None:
            said = f"lists '{one_line(name, 80)}', which is no class of {dataset.root}; did you mean '{close}'?"
            raise DatasetError(f"{file}: {said}")
    strange = [name for name in listed if name not in names]
    if strange:
        count = f"{len(strange):,} class{'es' if len(strange) > 1 else ''}"
        said = f"{file}: lists {count} that {dataset.root} has not, as '{one_line(strange[0], 80)}'"
        dataset = replace(dataset, remarks=(*dataset.remarks, said))
    if format_named(dataset.format).numbered and len(strange) < len(listed):
        listed = [name for name in listed if name in names]  # of the others nobody knows the number
    return chosen(dataset, ClassChoice(tuple(listed), options.rename, spare=True))


# --- classes ---------------------------------------------------------------------------------------------------------


def _groups(dataset: Dataset, choice: ClassChoice) -> list[tuple[str, list[Category]]]:
    """(name, the classes of the source that become it) in the order of the labels."""
    ordered = sorted(dataset.categories, key=lambda c: c.label)
    names = [c.name for c in ordered]
    for old in choice.rename:
        if old not in names:
            raise DatasetError(f"{dataset.root}: no class '{one_line(old, 80)}' to rename{nearest(old, names)}")
    named: dict[str, list[Category]] = {}
    for category in ordered:
        named.setdefault(choice.rename.get(category.name, category.name), []).append(category)
    if choice.keep is None:
        return _in_order_of_source(named, frozenset(choice.rename.values()))
    for i, name in enumerate(choice.keep):
        if name in choice.keep[:i]:
            raise DatasetError(f"{dataset.root}: the class '{one_line(name, 80)}' is chosen twice")
        if name not in named and not choice.spare:
            known = nearest(choice.rename.get(name, name), named)
            raise DatasetError(f"{dataset.root}: no class '{one_line(name, 80)}'{known}")
    if not any(name in named for name in choice.keep):
        known = nearest(choice.keep[0], named)
        raise DatasetError(f"{dataset.root}: has none of the classes that are chosen{known}")
    return [(name, named.get(name, [])) for name in choice.keep]


def _in_order_of_source(
    named: Mapping[str, list[Category]], targets: frozenset[str]
) -> list[tuple[str, list[Category]]]:
    """All classes; those that share a name from the start stay apart, as nobody has asked for them to be one."""
    groups = []
    for name, members in named.items():
        groups += [(name, members)] if name in targets else [(name, [one]) for one in members]
    return sorted(groups, key=lambda group: _holder(*group).label)


def _holder(name: str, members: Sequence[Category]) -> Category:
    """The class that others join: the one that had the name, else the first."""
    return next((c for c in members if c.name == name), members[0])


def _merged(
    groups: Sequence[tuple[str, list[Category]]], numbered: bool
) -> tuple[tuple[Category, ...], dict[int, int], dict[int, tuple[int, ...]]]:
    """(categories, id in the source → id, id in the source → places of keypoints where they change)."""
    spare = max((c.id for _, members in groups for c in members), default=0)
    categories: list[Category] = []
    ids: dict[int, int] = {}
    points: dict[int, tuple[int, ...]] = {}
    for label, (name, members) in enumerate(groups, start=1):
        if not members:
            spare += 1
            categories.append(Category(spare if numbered else label, label, name))
            continue
        holder = _holder(name, members)
        shape = next((c for c in (holder, *members) if c.keypoints), holder)
        above = {c.supercategory for c in members}
        one = replace(
            holder, id=holder.id if numbered else label, label=label, name=name, keypoints=shape.keypoints,
            skeleton=shape.skeleton, flip_pairs=shape.flip_pairs,
            supercategory=holder.supercategory if len(above) == 1 else None,
        )  # fmt: skip
        categories.append(one)
        for member in members:
            ids[member.id] = one.id
            if member.keypoints and member.keypoints != one.keypoints:
                places = {point: place for place, point in enumerate(member.keypoints)}
                points[member.id] = tuple(places.get(point, -1) for point in one.keypoints)
    return tuple(sorted(categories, key=lambda c: c.id)), ids, points


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` if a known name is near, else some of the known names."""
    names = list(known)
    if (close := _close(name, names, 0.6)) is not None:
        return f"; did you mean '{close}'?"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"; there are {one_line(', '.join(names[:_SHOWN]), 200)}{more}"


def _close(name: str, known: Iterable[str], cutoff: float = 0.8) -> str | None:
    bare = {_bare(n): n for n in sorted(known, reverse=True)}
    close = difflib.get_close_matches(_bare(name), bare, n=1, cutoff=cutoff)
    return one_line(bare[close[0]], 80) if close else None


def _bare(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum()) or name


# --- labels ----------------------------------------------------------------------------------------------------------


def relabelled(labels: Annotations, table: ClassTable) -> Annotations:
    """The labels of one picture with other classes."""
    objects, lost = _objects(labels.objects, table)
    tags = (table.tags.get(tag, tag) for tag in labels.tags)
    semantic = None if labels.semantic is None else _semantic(labels.semantic, table)
    panoptic, segments = _panoptic(labels, table)
    return replace(
        labels,
        objects=objects,
        semantic=semantic,
        instance=_instances(labels, objects, table),
        panoptic=panoptic,
        segments_info=segments,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag is not None)) if table.tags else labels.tags,
        dropped=tuple(
            replace(d, category_id=table.ids.get(d.category_id, d.category_id))
            for d in labels.dropped
            if d.category_id not in table.gone
        ),
        notes=tuple(sorted({*labels.notes, LEFT_OUT})) if lost else labels.notes,
    )


def _objects(objects: Objects, table: ClassTable) -> tuple[Objects, bool]:
    """(the objects that stay, whether one lost keypoints that its class no longer has)."""
    before = objects.category_id.tolist()
    rows = [i for i, number in enumerate(before) if number not in table.gone]
    kept = objects if len(rows) == len(before) else objects.take(rows)
    numbers = [before[i] for i in rows]
    after = np.array([table.ids.get(number, number) for number in numbers], np.int64)
    keypoints, lost = list(kept.keypoints), False
    for i, number in enumerate(numbers):
        points = keypoints[i]
        if points is not None and number in table.points:
            keypoints[i] = placed = _placed(points, table.points[number])
            lost |= (points[:, 2] > 0).sum() > (0 if placed is None else (placed[:, 2] > 0).sum())
    return replace(kept, category_id=after, keypoints=tuple(keypoints)), lost


def _placed(points: F64, places: Sequence[int]) -> F64 | None:
    """Keypoints in the order of another class; those that are not labelled are (0, 0, 0)."""
    out = np.zeros((len(places), 3))
    for row, place in enumerate(places):
        if 0 <= place < len(points):
            out[row] = points[place]
    return out if (out[:, 2] > 0).any() else None


def _semantic(raster: Raster, table: ClassTable) -> Raster:
    """A semantic raster with other ids: what is gone becomes background, and what was no class stays none."""
    values = np.arange(int(np.iinfo(raster.dtype).max) + 1, dtype=raster.dtype)
    size = len(values)
    for number in table.ids.values():
        if 0 < number < size and number not in table.ids and number not in table.gone:
            values[number] = min(table.void, size - 1)
    for number in table.gone:
        if 0 <= number < size:
            values[number] = 0
    for before, after in table.ids.items():
        if 0 <= before < size:
            values[before] = after
    out: Raster = values[raster]
    return out


def _instances(labels: Annotations, objects: Objects, table: ClassTable) -> Raster | None:
    """The instance raster without the objects that are gone, and without what lies on their pixels."""
    raster = labels.instance
    if raster is None or not table.gone:
        return raster
    stay = set(objects.instance.tolist())
    lost = [number for number in set(labels.objects.instance.tolist()) - stay if number > 0]
    hidden = np.isin(raster, lost)
    if labels.semantic is not None and labels.semantic.shape == raster.shape:
        void = np.iinfo(raster.dtype).max
        hidden |= np.isin(labels.semantic, list(table.gone)) & ~np.isin(raster, [*stay, void])
    out: Raster = np.where(hidden, raster.dtype.type(0), raster)
    return out


def _panoptic(labels: Annotations, table: ClassTable) -> tuple[Raster | None, tuple[Attributes, ...]]:
    """The panoptic raster without the segments that are gone, and what is said of those that stay."""
    if not labels.segments_info:
        return labels.panoptic, labels.segments_info
    lost: list[int] = []
    stay: list[Attributes] = []
    for segment in labels.segments_info:
        number = segment.get("category_id")
        if not isinstance(number, int):
            stay.append(segment)
        elif number in table.gone:
            lost.append(segment["id"])
        else:
            stay.append({**segment, "category_id": table.ids.get(number, number)})
    raster = labels.panoptic
    if raster is not None and lost:
        raster = np.where(np.isin(raster, np.array(lost, np.int64)), raster.dtype.type(0), raster)
    return raster, tuple(stay)


# --- what is left out ------------------------------------------------------------------------------------------------


def _told(dataset: Dataset, gone: frozenset[int]) -> Iterator[str]:
    """A remark on what the classes that are not kept had, with an example of each."""
    if not gone:
        return
    names = {c.id: c.name for c in dataset.categories if c.id in gone}
    counts: Counter[int] = Counter()
    examples: dict[int, str] = {}
    parts = ((dataset.reader, entries, names) for entries in batches_of(dataset.entries))
    for found, first in parallel_map(_counted, parts, len(dataset.entries)):
        counts.update(found)
        examples = first | examples
    used = sorted(counts, key=lambda number: (-counts[number], number))
    shown = [f"{counts[n]:,} of '{one_line(names[n], 40)}' (as in {one_line(examples[n], 80)})" for n in used[:_SHOWN]]
    more = [f"{sum(counts[n] for n in used[_SHOWN:]):,} of {len(used) - _SHOWN} more"] if len(used) > _SHOWN else []
    what = "1 class that is not chosen" if len(names) == 1 else f"{len(names):,} classes that are not chosen"
    yield (
        f"left out: {what}; objects: {', '.join([*shown, *more])}"
        if used
        else f"left out: {what}, of which there is no object"
    )


def _counted(part: tuple[Reader, Sequence[Entry], Mapping[int, str]]) -> tuple[Counter[int], dict[int, str]]:
    """(id of a class that is not kept → its objects, segments, tags, and pictures in whose raster it is; examples)."""
    reader, entries, names = part
    ids = {name: number for number, name in names.items()}
    counts: Counter[int] = Counter()
    examples: dict[int, str] = {}
    for entry in entries:
        try:
            labels = read_labels(reader, entry)
        except Reject:  # told where it is rejected
            continue
        numbers = [*labels.objects.category_id.tolist(), *(d.category_id for d in labels.dropped)]
        numbers += [ids[tag] for tag in labels.tags if tag in ids]
        numbers += [s["category_id"] for s in labels.segments_info if isinstance(s.get("category_id"), int)]
        if labels.semantic is not None:
            numbers += np.unique(labels.semantic).tolist()
        for number in numbers:
            if number in names:
                counts[number] += 1
                examples.setdefault(number, entry.key)
    return counts, examples
