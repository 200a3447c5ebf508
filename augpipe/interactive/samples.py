"""A dataset picture by picture, for notebooks and for one's own loops: pixels and labels as a run reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64, Annotations, Raster, Rings, Rle
from augpipe.core.errors import UsageError
from augpipe.core.paths import StrPath
from augpipe.core.plan import Pixels
from augpipe.formats.base import Dataset, Entry, SourceOptions, read_picture
from augpipe.formats.look import upright_labels
from augpipe.formats.registry import open_dataset
from augpipe.labels.rle import rasterise
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import decode


@dataclass(frozen=True, eq=False)
class SourceSample:
    """One picture with its labels, upright. Rows of boxes, labels, masks, polygons and keypoints belong together.

    Attributes:
        key: of the picture, its path below the dataset.
        split: of the dataset; "" if it is in none.
        image: uint8, (H, W, 3) RGB or (H, W) gray.
        boxes_xyxy: (N, 4) in pixels, half-open.
        labels: names of classes.
        keypoints: (N, K, 3), x, y, v as in COCO; ``None`` where not every object has as many.
        semantic: (H, W) class ids, ``None`` where there are none.
        tags: of the picture.
        annotations: all of it, as augpipe holds it.
    """

    key: str
    split: str
    image: Pixels
    boxes_xyxy: F64
    labels: list[str]
    keypoints: F64 | None
    semantic: Raster | None
    tags: tuple[str, ...]
    annotations: Annotations

    @property
    def iscrowd(self) -> NDArray[np.bool_]:
        """(N,) which rows are crowds: regions with more of a class than was counted, which are no single object."""
        return self.annotations.objects.iscrowd.astype(bool)

    @property
    def polygons(self) -> list[list[F64]] | None:
        """For each object a list of rings (n, 2); ``None`` if some object has none."""
        rings = [list(s.rings) if isinstance(s, Rings) else None for s in self.annotations.objects.segmentation]
        whole = [one for one in rings if one is not None]
        return whole if whole and len(whole) == len(rings) else None

    @property
    def masks(self) -> NDArray[np.bool_] | None:
        """(N, H, W), drawn of polygons too; ``None`` if no object has a shape. Without a shape it is its box."""
        objects, size_wh = self.annotations.objects, (self.image.shape[1], self.image.shape[0])
        if not any(s is not None for s in objects.segmentation):
            return None
        planes = np.zeros((len(objects), *size_wh[::-1]), bool)
        for plane, shape, box in zip(planes, objects.segmentation, objects.boxes_xyxy, strict=True):
            if shape is None:
                x0, y0, x1, y1 = np.rint(box).astype(int).tolist()
                plane[y0:y1, x0:x1] = True
            else:
                plane[:] = rasterise(shape, size_wh) != 0
        return planes

    def arguments(self) -> dict[str, Any]:
        """What a :class:`augpipe.Pipeline` with ``boxes="xyxy"`` takes: ``pipeline(**sample.arguments(), copy=0)``."""
        found: dict[str, Any] = {"image": self.image, "key": self.key}
        if len(self.annotations.objects):
            found |= {"boxes": self.boxes_xyxy, "labels": self.labels, "keypoints": self.keypoints}
            shapes = self.annotations.objects.segmentation
            found |= {"masks": self.masks} if any(isinstance(s, Rle) for s in shapes) else {"polygons": self.polygons}
        return {name: value for name, value in {**found, "semantic": self.semantic}.items() if value is not None}


class Samples(Sequence[SourceSample]):
    """The pictures of a dataset in the order of their keys; each is read when it is asked for.

    It holds no open file, and may be shared by threads and sent to workers.

    Attributes:
        classes: names, in the order of their ids.
        remarks: what the index has found odd.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._names = {c.id: c.name for c in dataset.categories}
        self.classes = [c.name for c in dataset.categories]
        self.remarks = dataset.remarks

    def __len__(self) -> int:
        return len(self._dataset.entries)

    @overload
    def __getitem__(self, index: int) -> SourceSample: ...

    @overload
    def __getitem__(self, index: slice) -> Samples: ...

    def __getitem__(self, index: int | slice) -> SourceSample | Samples:
        """The sample of that number; a slice is read as little as the whole.

        Raises:
            Reject: its picture or its labels cannot be read.
        """
        if isinstance(index, slice):
            return Samples(replace(self._dataset, entries=self._dataset.entries[index]))
        return self._read(self._dataset.entries[index])

    def __iter__(self) -> Iterator[SourceSample]:
        return map(self._read, self._dataset.entries)

    def __repr__(self) -> str:
        found = self._dataset
        return f"<{len(self)} pictures, {len(self.classes)} classes, {found.format} at {found.root}>"

    def _read(self, entry: Entry) -> SourceSample:
        data = read_picture(entry)
        header = read_header(data)
        annotations = upright_labels(self._dataset.reader, entry, header, self._dataset.options.exif)
        picture, objects = decode(data, header), annotations.objects
        points = [k for k in objects.keypoints if k is not None]
        alike = len(points) == len(objects) and len({len(k) for k in points}) == 1
        return SourceSample(
            entry.key,
            entry.split,
            picture if picture.ndim == 2 else np.ascontiguousarray(picture[:, :, ::-1]),
            objects.boxes_xyxy,
            [self._names[i] for i in objects.category_id.tolist()],
            np.array(points) if alike else None,
            annotations.semantic,
            annotations.tags,
            annotations,
        )


def read(source: StrPath, split: str | None = None, *, options: SourceOptions | None = None) -> Samples:
    """The pictures and labels of a dataset of any format, each when it is asked for.

    Args:
        source: a folder, a file of labels, an archive, a pattern of tars, or a URL of one.
        split: only that one; all if not given.
        options: how it is read, where it does not say so itself.

    Raises:
        UsageError: there is no dataset.

    >>> import augpipe
    >>> samples = augpipe.read("data/voc")
    >>> len(samples), samples[0].image.dtype.name, samples[0].boxes_xyxy.shape[1]
    (9, 'uint8', 4)
    """
    options = options or SourceOptions()
    if split is not None and options.split not in (None, split):
        raise UsageError(f"split {split!r}: options say {options.split!r}; give one of them")
    return Samples(open_dataset(_place(source), options if split is None else replace(options, split=split)))


def _place(source: StrPath) -> StrPath:
    return str(source) if isinstance(source, Path) else source
