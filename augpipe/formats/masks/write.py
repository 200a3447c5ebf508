"""Writing semantic masks: images/ and masks/, a PNG of class numbers a picture, in Pascal VOC's palette.

A value is the number of a class, from 1 in the order of the list ``classes.txt``; 0 is background and 255 void. Where
there is a semantic mask already, it stays. Else the masks and polygons of objects are painted, smaller ones over larger
ones, so that a plate on a table is seen. A crowd stands for things that nobody has told apart: it is void, below all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augpipe.core.annotations import U8, Annotations, Objects, Rings, Rle, Segmentation
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry
from augpipe.formats.layout.splits import in_split, known_split, shown_splits
from augpipe.formats.losses import Loss
from augpipe.formats.output import lines_of, write_into
from augpipe.formats.voc.write_masks import looked_up, png_of, void_of
from augpipe.formats.writer import (
    Closing,
    DatasetWriter,
    Encoded,
    Picture,
    SampleEncoder,
    Stage,
    WriteOptions,
    names_again,
    one_a_name,
    require_size,
    stem_of,
)
from augpipe.labels.rle import area_of, rle_of_rings, window_of
from augpipe.pixels.codec.header import MAX_PIXELS

VOID = 255
BACKGROUND = "background"
CLASSES = "classes.txt"


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin ``masks/``; raises ``DatasetError`` for more classes than a pixel has values for."""
    rows, positions = one_a_name(sorted(dataset.categories, key=lambda c: c.label))
    if len(rows) >= VOID:
        raise DatasetError(
            f"{one_line(dataset.root)}: {len(rows):,} classes; masks of 8 bits hold {VOID - 1}; choose some with "
            "--classes, or merge some with --map"
        )
    return MaskWriter(dataset, stage, {number: place + 1 for number, place in positions.items()})


@dataclass(frozen=True)
class MaskEncoder(SampleEncoder):
    """Writes the mask of a picture into ``folder``; ``numbers`` is category id → value."""

    folder: Path
    numbers: Mapping[int, int]
    holds = frozenset({"segmentations", "crowd flags", "semantic masks"})

    def encode(self, picture: Picture) -> Encoded:
        picture.require_ending()
        size = require_size(picture.size_wh)
        if size[0] * size[1] > MAX_PIXELS:
            raise Reject("write", "too-large", f"{size[0]}×{size[1]} pixels are too many for a mask")
        mask, losses = mask_of(picture.annotations, size, self.numbers)
        name = in_split(picture.name, picture.split) if picture.split else picture.name
        write_into(self.folder / f"{stem_of(name)}.png", png_of(mask))
        return Encoded(len(picture.annotations.objects), tuple(losses), name)

    def unwritable(self, objects: Objects) -> Sequence[str | None]:
        bare = [s is None and not n for s, n in zip(objects.segmentation, objects.instance.tolist(), strict=True)]
        return [
            "objects without a mask or polygon" if b else far
            for b, far in zip(bare, super().unwritable(objects), strict=True)
        ]


class MaskWriter(DatasetWriter):
    """Writes the list of classes."""

    own_file = "mask"

    def __init__(self, dataset: Dataset, stage: Stage, numbers: Mapping[int, int]) -> None:
        super().__init__(dataset, stage)
        self.encoder = MaskEncoder(stage.folder / "masks", numbers)
        self._own = [split for split in dataset.splits if split and known_split(split) is None]

    def name_of(self, entry: Entry) -> str:
        return in_split(entry.key, entry.split) if entry.split else entry.key

    def close(self) -> Closing:
        write_into(self.folder / CLASSES, lines_of([BACKGROUND, *self._lines().values()]))
        remarks = [f"{shown_splits(self._own)}: a folder of images/ and masks/, which --split names"] * bool(self._own)
        return Closing(self.classes_cannot_hold(), tuple(remarks))

    def classes_cannot_hold(self) -> dict[str, int]:
        strange = sum(name != line for name, line in self._lines().items())
        own = {"class names that a list cannot hold": strange} if strange else {}
        return super().classes_cannot_hold() | own | names_again(self.categories)

    def _lines(self) -> dict[str, str]:
        """Name of each class → its line in the list, in which no line is empty and none is there twice."""
        lines: dict[str, str] = {}
        taken = {BACKGROUND}
        for value, category in enumerate(one_a_name(self.categories)[0], start=1):
            word = " ".join(category.name.split())
            line = word if word and word not in taken else f"{word or 'class'}-{value}"
            while line in taken:
                line += f"-{value}"
            lines[category.name] = line
            taken.add(line)
        return lines


def mask_of(annotations: Annotations, size_wh: tuple[int, int], numbers: Mapping[int, int]) -> tuple[U8, list[Loss]]:
    """(the mask (H, W) of a picture, what of its labels is lost); ``numbers`` is category id → value."""
    objects, semantic, instance = annotations.objects, annotations.semantic, annotations.instance
    if semantic is not None:
        mask, strange = looked_up(semantic, {0: 0, **numbers}, void_of(semantic))
        return mask, [Loss("values of semantic masks that are no class", strange)] if strange else []
    values = [VOID if crowd else numbers[c] for c, crowd in zip(*_columns(objects), strict=True)]
    if instance is not None and objects.instance.any():
        of_object = dict(zip(objects.instance.tolist(), values, strict=True))
        return looked_up(instance, {**of_object, 0: 0}, void_of(instance))[0], []
    return _painted(objects, values, size_wh)


def _columns(objects: Objects) -> tuple[list[int], list[int]]:
    return objects.category_id.tolist(), objects.iscrowd.tolist()


def _painted(objects: Objects, values: Sequence[int], size_wh: tuple[int, int]) -> tuple[U8, list[Loss]]:
    losses: list[Loss] = []
    codes: list[tuple[int, Rle]] = []
    for i, segmentation in enumerate(objects.segmentation):
        code = None if segmentation is None else _code(segmentation, size_wh)
        if code is None or not area_of(code):
            losses.append(Loss("masks that cannot be painted", 1, int(objects.index[i])))
            continue
        codes.append((i, code))
        if isinstance(segmentation, Rings):
            losses.append(Loss("polygons, written as pixels", 1, int(objects.index[i])))
    areas = {i: area_of(code) for i, code in codes}
    owners = np.zeros((size_wh[1], size_wh[0]), np.int32)
    # Crowds first, then the largest; of two as large the later one is whole, as in Pascal VOC.
    for i, code in sorted(codes, key=lambda row: (not objects.iscrowd[row[0]], -areas[row[0]], row[0])):
        bitmap, (x, y) = window_of(code)
        owners[y : y + bitmap.shape[0], x : x + bitmap.shape[1]][bitmap != 0] = i + 1
    seen = np.bincount(owners.reshape(-1), minlength=len(values) + 1)
    losses += (
        Loss("masks that others overlap", 1, int(objects.index[i])) for i, area in areas.items() if seen[i + 1] < area
    )
    out: U8 = np.array([0, *values], np.uint8)[owners]
    return out, losses


def _code(segmentation: Segmentation, size_wh: tuple[int, int]) -> Rle | None:
    """The pixels of a mask or polygon, ``None`` if it is of another size or cannot be drawn."""
    if isinstance(segmentation, Rle):
        return segmentation if segmentation.size_hw == size_wh[::-1] else None
    try:
        return rle_of_rings(segmentation.rings, size_wh)
    except ValueError:
        return None
