"""Crowds: what becomes of objects that stand for many, and a remark where a class has little else.

Tools that paint masks often mark every object as a crowd, which training leaves out and YOLO cannot hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from augpipe.core.annotations import Annotations
from augpipe.core.errors import Reject, one_line
from augpipe.core.parallel import batches_of, parallel_map
from augpipe.formats.base import Dataset, Entry, Reader, plural, read_labels

Crowds = Literal["keep", "instances", "drop"]
_NEARLY_ALL = 0.9
_SHOWN = 5


@dataclass(frozen=True)
class CrowdReader:
    """A reader whose crowds are objects like any other, or none."""

    reader: Reader
    crowds: Crowds

    def annotations(self, entry: Entry) -> Annotations:
        labels = self.reader.annotations(entry)
        objects = labels.objects
        if not objects.iscrowd.any():
            return labels
        if self.crowds == "instances":
            return labels.with_objects(replace(objects, iscrowd=np.zeros_like(objects.iscrowd)))
        return labels.with_objects(objects.take(np.flatnonzero(objects.iscrowd == 0).tolist()))


def with_crowds(dataset: Dataset, crowds: Crowds) -> Dataset:
    """The dataset with crowds as they are asked for; what is left out is counted and told with an example."""
    if crowds == "keep":
        return dataset
    remarks = []
    if crowds == "drop":
        counts, examples = _counted(dataset)
        number = sum(some for some, _ in counts.values())
        example = next((examples[n] for n, (some, _) in counts.items() if some), "")
        remarks = [f"left out: {plural(number, 'crowd')}, as in {one_line(example, 80)}"] if number else []
    reader = CrowdReader(dataset.reader, crowds)
    return replace(dataset, reader=reader, remarks=(*dataset.remarks, *remarks))


def remarks_on(dataset: Dataset) -> Iterator[str]:
    """A remark on classes of which nearly all objects are crowds, with the options that help."""
    counts, examples = _counted(dataset)
    names = {c.id: c.name for c in dataset.categories}
    found = [n for n, (some, every) in counts.items() if some >= _NEARLY_ALL * every and some]
    if found:
        rows = ", ".join(
            f"'{one_line(names.get(n, ''), 40)}' {some:,} of {every:,} (as in {one_line(examples[n], 80)})"
            for n, (some, every) in ((n, counts[n]) for n in found[:_SHOWN])
        )
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield (
            f"nearly all objects of a class are crowds, which training leaves out: {rows}{more}; --crowds instances "
            "takes them as objects, --crowds drop leaves them out"
        )


def _counted(dataset: Dataset) -> tuple[dict[int, tuple[int, int]], dict[int, str]]:
    """(category id → its crowds and its objects; category id → a picture with a crowd of it)."""
    crowds: Counter[int] = Counter()
    every: Counter[int] = Counter()
    examples: dict[int, str] = {}
    parts = ((dataset.reader, entries) for entries in batches_of(dataset.entries))
    for some, all_of, first in parallel_map(_of_part, parts, len(dataset.entries)):
        crowds.update(some)
        every.update(all_of)
        examples = first | examples
    return {number: (crowds[number], every[number]) for number in sorted(every)}, examples


def _of_part(part: tuple[Reader, Sequence[Entry]]) -> tuple[Counter[int], Counter[int], dict[int, str]]:
    reader, entries = part
    crowds: Counter[int] = Counter()
    every: Counter[int] = Counter()
    examples: dict[int, str] = {}
    for entry in entries:
        try:
            objects = read_labels(reader, entry).objects
        except Reject:  # told where it is rejected
            continue
        every.update(objects.category_id.tolist())
        for number in objects.category_id[objects.iscrowd != 0].tolist():
            crowds[number] += 1
            examples.setdefault(number, entry.key)
    return crowds, every, examples
