"""What of a dataset is wanted: classes, objects and pictures by their size, pictures without objects.

A filter wraps the reader of a dataset, so labels are looked at once and in any process. What is not wanted is counted
by the conversion, with an example: objects as dropped for a reason of :data:`UNWANTED`, pictures by :class:`LeftOut`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from augpipe.core.annotations import Annotations, Dropped, Raster
from augpipe.core.errors import Reject, UsageError, one_line
from augpipe.formats.base import Dataset, Entry, Reader
from augpipe.formats.class_choice import ChosenReader, ClassChoice, ClassTable, chosen, nearest, relabelled
from augpipe.formats.image_header import header_at
from augpipe.formats.layout.parted import plain_name
from augpipe.formats.layout.parting import Parting

UNWANTED = {
    "class": "of classes that are left out",
    "small": "smaller than asked for",
    "large": "larger than asked for",
}
"""Why an object is not wanted → in words."""
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")


class LeftOut(Reject):
    """A picture that is not wanted; ``objects`` is how many it has."""

    def __init__(self, why: str, objects: int) -> None:
        super().__init__("labels", "left-out", why)
        self.objects = objects


@dataclass(frozen=True)
class Filter:
    """What is wanted.

    Attributes:
        keep: names of the classes that stay, in their new order; ``None`` keeps all.
        drop: names of the classes that go.
        min_side, max_side: pixels of the shorter side of an object's box at least, of the longer one at most.
        min_picture, max_picture: the same of pictures.
        keep_empty: the share of the pictures without any object that stays, by a hash of their names.
    """

    keep: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    min_side: float = 0.0
    max_side: float = float("inf")
    min_picture: float = 0.0
    max_picture: float = float("inf")
    keep_empty: float = 1.0

    def check(self) -> None:
        """Raise :class:`UsageError` for values that make no sense, alone or together."""
        if self.keep is not None and self.drop:
            raise UsageError("--classes says which classes stay, --drop which go; give one of them")
        for name, least, most in (("side", self.min_side, self.max_side), ("picture", *self._of_picture)):
            if least < 0:
                raise UsageError(f"--min-{name} {least:g}: expected 0 or more pixels")
            if not least <= most:
                raise UsageError(f"--min-{name} {least:g} and --max-{name} {most:g} leave nothing")

    @property
    def _of_picture(self) -> tuple[float, float]:
        return self.min_picture, self.max_picture

    @property
    def is_of_pictures(self) -> bool:
        """Whether sizes of pictures count."""
        return self._of_picture != (0.0, float("inf"))


def filtered(dataset: Dataset, wanted: Filter) -> Dataset:
    """The dataset with what is wanted of it.

    Raises:
        UsageError: a class that there is not, or nothing that could be left.
    """
    wanted.check()
    keep = wanted.keep if not wanted.drop else _all_but(dataset, wanted.drop)
    made = chosen(dataset, ClassChoice(keep))
    table = made.reader.table if isinstance(made.reader, ChosenReader) and keep is not None else None
    return replace(made, reader=FilterReader(dataset.reader, table, wanted))


def _all_but(dataset: Dataset, drop: Sequence[str]) -> tuple[str, ...]:
    names = list(dict.fromkeys(c.name for c in sorted(dataset.categories, key=lambda c: c.label)))
    for name in drop:
        if name not in names:
            raise UsageError(f"{dataset.root}: no class '{one_line(name, 80)}' to drop{nearest(name, names)}")
    if not (left := tuple(name for name in names if name not in drop)):
        raise UsageError(f"{dataset.root}: --drop names all of its classes; nothing would be left")
    return left


@dataclass(frozen=True)
class FilterReader:
    """A reader of what is wanted; ``table`` is what becomes of the classes, if some go."""

    reader: Reader
    table: ClassTable | None
    wanted: Filter

    def annotations(self, entry: Entry) -> Annotations:
        found = self.reader.annotations(entry)
        count = len(found.objects) + len(found.dropped)
        if self.wanted.is_of_pictures and (why := self._fault_of_picture(entry, found)):
            raise LeftOut(why, count)
        labels = found if self.table is None else _with_lost(found, relabelled(found, self.table))
        labels = _of_size(labels, self.wanted)
        share = self.wanted.keep_empty
        if share < 1 and is_empty(labels):
            name = plain_name(entry.key, entry.split)
            if share <= 0 or Parting(val=share).splits_of([name]) != ["val"]:  # the hash that parts datasets
                raise LeftOut("without objects", count)
        return labels

    def _fault_of_picture(self, entry: Entry, labels: Annotations) -> str | None:
        size = labels.size_wh
        if size is None and entry.picture is not None:
            size = header_at(entry.picture).upright_wh
        if size is None:
            return None  # no picture was found, which is told
        if min(size) < self.wanted.min_picture:
            return "smaller than asked for"
        return "larger than asked for" if max(size) > self.wanted.max_picture else None


def share_of(text: str, option: str) -> float:
    """The share, 0 to 1, that a text such as ``10%`` states; raises :class:`UsageError` naming ``option``."""
    match = _SHARE.fullmatch(text.strip())
    share = float(match[1]) / 100 if match else -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{option} {one_line(text, 40)}: expected a share from 0% to 100%, as 10%")
    return share


def is_empty(labels: Annotations) -> bool:
    """Whether nothing is labelled in a picture, in any way."""
    if len(labels.objects) or labels.tags or labels.captions or labels.segments_info:
        return False
    return labels.semantic is None or not (labels.semantic > 0).any()


def _with_lost(before: Annotations, after: Annotations) -> Annotations:
    """Labels with other classes, and with the objects that their classes have cost."""
    stay = set(after.objects.index.tolist())
    lost = _dropped(
        before, [i for i, number in enumerate(before.objects.index.tolist()) if number not in stay], "class"
    )
    there = {d.index for d in after.dropped}
    gone = (replace(d, reason="class") for d in before.dropped if d.index not in there)
    return replace(after, dropped=(*after.dropped, *lost, *gone))


def _of_size(labels: Annotations, wanted: Filter) -> Annotations:
    """The labels without objects of other sizes."""
    objects = labels.objects
    if not len(objects) or (wanted.min_side <= 0 and wanted.max_side == float("inf")):
        return labels
    sides = objects.boxes_xyxy[:, 2:] - objects.boxes_xyxy[:, :2]
    small, large = sides.min(axis=1) < wanted.min_side, sides.max(axis=1) > wanted.max_side
    if not (small | large).any():
        return labels
    lost = _dropped(labels, np.flatnonzero(small).tolist(), "small")
    lost += _dropped(labels, np.flatnonzero(large & ~small).tolist(), "large")
    kept = objects.take(np.flatnonzero(~(small | large)).tolist())
    instance = _without(labels.instance, set(objects.instance.tolist()) - set(kept.instance.tolist()))
    return replace(labels, objects=kept, instance=instance, dropped=(*labels.dropped, *lost))


def _without(raster: Raster | None, numbers: Iterable[int]) -> Raster | None:
    lost = [number for number in numbers if number > 0]
    if raster is None or not lost:
        return raster
    out: Raster = np.where(np.isin(raster, lost), raster.dtype.type(0), raster)
    return out


def _dropped(labels: Annotations, rows: Iterable[int], reason: str) -> list[Dropped]:
    objects = labels.objects
    return [
        Dropped(int(objects.index[i]), int(objects.category_id[i]), reason, None, objects.facts[i].id) for i in rows
    ]
