"""Writing COCO: a JSON of instances, streamed, so that its size does not matter.

Numbers that are whole are written whole. Rows are made with the ids that are wished for, many at once, in any process;
where an id is taken, which is rare, the one that writes them puts in others. Augmented copies share the ids of their
source, so all of them get new ones.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from typing import IO, Any, NamedTuple

import msgspec
import numpy as np

from augpipe.core.annotations import Annotations, Category, Objects, Rings, Rle
from augpipe.core.errors import Reject
from augpipe.core.rng import encode
from augpipe.formats.base import Dataset, plural
from augpipe.formats.coco.fields import FARTHEST
from augpipe.formats.coco.ids import IdGiver, Rule, id_of
from augpipe.formats.coco.json_fields import category_json, known, rle_json
from augpipe.formats.coco.write_panoptic import PanopticWriter, Segments, segments_of
from augpipe.formats.writer import (
    Added,
    Closing,
    DatasetWriter,
    Loss,
    Made,
    Picture,
    Stage,
    WriteOptions,
    losses_of,
    split_of,
    writable,
)
from augpipe.labels import rle

_PANOPTIC = "panoptic masks"
_HELD_BYTES = 64 * 1024 * 1024
_BETWEEN = b",\n"
_EXACT = 2**53  # a float beyond has no fraction to tell, and as an integer it would not fit JSON's readers
_PICTURE_FIELDS = ("id", "file_name", "width", "height")
_FIELDS = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "keypoints", "num_keypoints")


_encode_lines = msgspec.json.Encoder().encode_lines

_COPY = re.compile(r"-[0-9a-f]{10}-(c\d{3,}|orig)$")  # the end of a sample's KEY in our shards (docs/format.md)


class Rows(NamedTuple):
    """What of one picture is written, with the ids that are wished for: its row, those of its objects, and the indexes
    of these in the source. ``segments`` is for the panoptic JSON."""

    image: dict[str, Any]
    objects: list[dict[str, Any]]
    indexes: list[int]
    segments: Segments | None = None


class Batch(NamedTuple):
    """What of some pictures is written, as JSON with the ids that are wished for, which can nearly always be had.

    ``images`` and ``objects`` are rows with ``_BETWEEN`` between, which no row holds; ``counts`` is how many of the
    objects are each picture's.
    """

    image_ids: list[int | str]
    file_names: list[str]
    counts: list[int]
    object_ids: list[int | str]
    indexes: list[int]
    images: bytes
    objects: bytes
    segments: list[Segments | None]


def rows_of(file_name: str, size_wh: tuple[int, int], annotations: Annotations, ids: Rule = "keep") -> Rows:
    """The rows of one picture."""
    name = encode(file_name)
    own = None if ids == "new" else annotations.image_id
    image_id = id_of(name) if own is None else own
    image: dict[str, Any] = {"id": image_id, "file_name": file_name, "width": size_wh[0], "height": size_wh[1]}
    image |= {k: v for k, v in known(annotations.attributes).items() if k not in _PICTURE_FIELDS}
    objects = annotations.objects
    areas, indexes, categories = _areas(objects), objects.index.tolist(), objects.category_id.tolist()
    crowds, boxes = objects.iscrowd.tolist(), objects.boxes_xyxy.tolist()
    rows = []
    for i, index in enumerate(indexes):
        wished = None if ids == "new" else objects.facts[i].id
        number = id_of(name + b"%d:%d," % (len(str(index)), index)) if wished is None else wished
        head = {"id": number, "image_id": image_id}
        rows.append(_annotation_json(head, objects, i, areas[i], (categories[i], crowds[i], boxes[i])))
    return Rows(image, rows, indexes)


def batch_of(pictures: Sequence[Rows]) -> Batch:
    """The rows of some pictures as JSON, all at once."""
    objects = [row for picture in pictures for row in picture.objects]
    return Batch(
        [picture.image["id"] for picture in pictures],
        [picture.image["file_name"] for picture in pictures],
        [len(picture.objects) for picture in pictures],
        [row["id"] for row in objects],
        [index for picture in pictures for index in picture.indexes],
        _joined([picture.image for picture in pictures]),
        _joined(objects),
        [picture.segments for picture in pictures],
    )


def _joined(rows: list[dict[str, Any]]) -> bytes:
    return _encode_lines(rows)[:-1].replace(b"\n", _BETWEEN)  # in JSON every other end of a line is escaped


def _renumbered(batch: Batch, image_ids: Sequence[int | str], object_ids: Sequence[int | str]) -> tuple[bytes, bytes]:
    """The images and objects of a batch with other ids than the wished ones."""
    before, after = map(_image_head, batch.image_ids), map(_image_head, image_ids)
    images = _BETWEEN.join(
        new + row[len(old) :] for row, old, new in zip(batch.images.split(_BETWEEN), before, after, strict=True)
    )
    if not object_ids:
        return images, batch.objects
    owners = [i for i, count in enumerate(batch.counts) for _ in range(count)]
    heads = (_object_head(n, batch.image_ids[i]) for n, i in zip(batch.object_ids, owners, strict=True))
    others = (_object_head(n, image_ids[i]) for n, i in zip(object_ids, owners, strict=True))
    rows = zip(batch.objects.split(_BETWEEN), heads, others, strict=True)
    return images, _BETWEEN.join(new + row[len(old) :] for row, old, new in rows)


def _image_head(number: int | str) -> bytes:
    return b'{"id":%s,' % msgspec.json.encode(number)


def _object_head(number: int | str, image_id: int | str) -> bytes:
    return b'{"id":%s,"image_id":%s,' % (msgspec.json.encode(number), msgspec.json.encode(image_id))


class CocoWriter:
    """Writes one COCO JSON picture by picture into an open file; a context manager that finishes the document.

    Images come first in the file, so annotations wait in a temporary one until the end.
    """

    def __init__(self, file: IO[bytes], categories: Iterable[Category], ids: Rule = "keep") -> None:
        self._file = file
        self._annotations: IO[bytes] = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 - closed in __exit__
        self._images = IdGiver(rule=ids)
        self._objects = IdGiver(rule=ids)
        self._first_image = self._first_annotation = True
        rows = [_category_json(c) for c in categories]
        self._file.write(b'{"info":{"description":"converted by augpipe"},"licenses":[],"categories":')
        self._file.write(msgspec.json.encode(rows) + b',"images":[')

    def __enter__(self) -> CocoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._annotations:
            if kind is None:
                self._file.write(b'],"annotations":[')
                self._annotations.seek(0)
                shutil.copyfileobj(self._annotations, self._file)
                self._file.write(b"]}\n")

    @property
    def id_collisions(self) -> int:
        """How many ids were taken and had to be changed."""
        return self._images.collisions + self._objects.collisions

    def add(self, file_name: str, size_wh: tuple[int, int], annotations: Annotations) -> None:
        """One picture and its objects."""
        self.write(batch_of([rows_of(file_name, size_wh, annotations, self._images.rule)]))

    def write(self, batch: Batch) -> tuple[Sequence[int | str], bytes]:
        """What was made of the next pictures, at least one; gives their ids and their rows."""
        names, ends = batch.file_names, list(accumulate(batch.counts))
        image_ids = self._images.settle_all(batch.image_ids, lambda i: (names[i],))
        object_ids = self._objects.settle_all(
            batch.object_ids, lambda i: (names[bisect_right(ends, i)], batch.indexes[i])
        )
        images, objects = batch.images, batch.objects
        if image_ids != batch.image_ids or object_ids != batch.object_ids:
            images, objects = _renumbered(batch, image_ids, object_ids)
        self._file.write(images if self._first_image else _BETWEEN + images)
        self._first_image = False
        if objects:
            self._annotations.write(objects if self._first_annotation else _BETWEEN + objects)
            self._first_annotation = False
        return image_ids, images


def _category_json(category: Category) -> dict[str, Any]:
    out = category_json(category)
    return {k: v for k, v in out.items() if k not in ("label", "flip_pairs")}


def annotation_json(objects: Objects, i: int, area: float) -> dict[str, Any]:
    """One object in COCO's fields, and every other field that it came with."""
    plain = int(objects.category_id[i]), int(objects.iscrowd[i]), objects.boxes_xyxy[i].tolist()
    return _annotation_json({}, objects, i, area, plain)


def _annotation_json(
    head: dict[str, Any], objects: Objects, i: int, area: float, plain: tuple[int, int, list[float]]
) -> dict[str, Any]:
    """``head`` with the other fields of an object; ``plain`` is what the arrays say of it: category, crowd, box."""
    category_id, crowd, (x0, y0, x1, y1) = plain
    facts = objects.facts[i]
    segmentation, keypoints = objects.segmentation[i], objects.keypoints[i]
    out = head if not facts.attributes else {}
    out["category_id"] = category_id
    out["bbox"] = _whole((x0, y0, x1 - x0, y1 - y0))
    out["area"] = whole(area)
    out["iscrowd"] = crowd
    if isinstance(segmentation, Rings):
        out["segmentation"] = [list(map(_plain, ring.reshape(-1).tolist())) for ring in segmentation.rings]
    elif segmentation is not None:
        out["segmentation"] = rle_json(segmentation)
    if keypoints is not None:
        out["keypoints"] = list(map(_plain, keypoints.reshape(-1).tolist()))
        out["num_keypoints"] = int((keypoints[:, 2] > 0).sum())
    if (obb := objects.obb[i]) is not None:
        out["obb"] = list(map(_plain, obb.reshape(-1).tolist()))
    if facts.truncated is not None:
        out["truncated"] = facts.truncated
    if facts.difficult is not None:
        out["difficult"] = facts.difficult
    if facts.occluded is not None:
        out["occluded"] = facts.occluded
    if facts.pose is not None:
        out["pose"] = facts.pose
    if objects.parts[i]:
        out["parts"] = [{"name": p.name, "box_xyxy": [whole(v) for v in p.box_xyxy]} for p in objects.parts[i]]
    if not facts.attributes:
        return out
    return {**head, **{k: v for k, v in known(facts.attributes).items() if k not in (*_FIELDS, *out)}, **out}


def _areas(objects: Objects) -> list[float]:
    """Square pixels of each object: of its mask, else of its polygons together, else of its box."""
    areas: list[float] = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in objects.boxes_xyxy.tolist()]
    if not any(objects.segmentation):
        return areas
    from augpipe.labels.polygons import areas_of

    drawn = [i for i, s in enumerate(objects.segmentation) if isinstance(s, Rings)]
    polygons = areas_of([s.rings for s in objects.segmentation if isinstance(s, Rings)])
    for i, area in zip(drawn, polygons, strict=True):
        areas[i] = round(area, 3)
    for i, segmentation in enumerate(objects.segmentation):
        if isinstance(segmentation, Rle):
            areas[i] = rle.area_of(segmentation)
    return areas


def whole(value: float) -> float | int:
    """A whole number as an integer, another one with at most nine decimals: beyond is the noise of a subtraction."""
    value = float(value)
    return int(value) if value.is_integer() and -_EXACT < value < _EXACT else _plain(round(value, 9))


def _whole(values: Iterable[float]) -> list[float | int]:
    """:func:`whole` of each; a call for each would take longer than the numbers."""
    return [int(v) if v.is_integer() and -_EXACT < v < _EXACT else _plain(round(v, 9)) for v in values]


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def unwritable(objects: Objects, i: int, categories: Mapping[int, Category]) -> str | None:
    """Why an object cannot be written, ``None`` if it can: a box that far out is a mistake, and its numbers no JSON."""
    return None if (np.abs(objects.boxes_xyxy[i]) < FARTHEST).all() else "objects too far from the picture"


def cannot_hold(annotations: Annotations) -> dict[str, int]:
    """What a COCO JSON of instances has no place for in these labels: what → objects, or pictures, that have it.

    Captions and tags would be annotations without a box, on which COCO's own tools fail.
    """
    objects = annotations.objects
    counts = {
        "semantic masks": int(annotations.semantic is not None),
        "instance masks": int(annotations.instance is not None and not objects.instance.any()),
        _PANOPTIC: int(annotations.panoptic is not None or bool(annotations.segments_info)),
        "captions": len(annotations.captions),
        "tags": len(annotations.tags),
        "fields with names that COCO uses": sum(k in _PICTURE_FIELDS for k in annotations.attributes)
        + sum(k in _FIELDS for f in objects.facts if f.attributes for k in f.attributes),
    }
    return {name: n for name, n in counts.items() if n}


# --- a dataset -------------------------------------------------------------------------------------------------------


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin the JSON of a dataset: the one file of ``stage``, else ``annotations/instances_SPLIT.json``, beside which
    ``panoptic_SPLIT.json`` is written if there are such labels."""
    copies = any(_COPY.search(entry.key) for entry in dataset.entries)
    return _Writer(dataset, stage, "sequential" if options.ids == "sequential" else "new" if copies else "keep")


@dataclass(frozen=True)
class _Encoder:
    """See :class:`augpipe.formats.writer.SampleEncoder`."""

    ids: Rule
    panoptic: bool
    told: set[str] = field(default_factory=set)

    def make(self, picture: Picture) -> Made:
        if picture.size_wh is None:
            raise Reject("write", "no-size", "neither the labels nor a picture tell its size")
        annotations, losses = picture.annotations, tuple[Loss, ...]()
        if not (np.abs(annotations.objects.boxes_xyxy) < FARTHEST).all():
            annotations, losses = writable(annotations, lambda objects, i: unwritable(objects, i, {}))
        rows = rows_of(picture.name, picture.size_wh, annotations, self.ids)
        lost = [*losses, *losses_of(annotations, cannot_hold, self.told)]
        if self.panoptic:
            rows = rows._replace(segments=segments_of(annotations))
            lost = [loss for loss in lost if loss.what != _PANOPTIC]
        return Made(Added(len(annotations.objects), tuple(lost)), rows)

    def pack(self, rests: Sequence[Rows]) -> Batch:
        return batch_of(rests)


class _Writer:
    """See :class:`augpipe.formats.writer.DatasetWriter`."""

    def __init__(self, dataset: Dataset, stage: Stage, ids: Rule) -> None:
        self._ids = ids
        path = stage.folder / (stage.json or f"annotations/instances_{split_of(dataset)}.json")
        path.parent.mkdir(exist_ok=True)
        with ExitStack() as stack:
            file = stack.enter_context(open(path, "wb"))
            self._json = stack.enter_context(CocoWriter(file, dataset.categories, ids))
            self._open = stack.pop_all()
        rows = map(_category_json, dataset.categories)
        self._panoptic = (
            None if stage.json else PanopticWriter(path.with_name(f"panoptic_{split_of(dataset)}.json"), rows)
        )
        self.maker = _Encoder(ids, self._panoptic is not None)

    def take(self, packed: Batch) -> None:
        image_ids, images = self._json.write(packed)
        if self._panoptic is None or not any(packed.segments):
            return
        rows = zip(images.split(_BETWEEN), image_ids, packed.file_names, packed.segments, strict=True)
        for image, number, name, segments in rows:
            if segments is not None:
                self._panoptic.add(image, msgspec.json.encode(number), name, segments)

    def discard(self) -> None:
        if self._panoptic is not None:
            self._panoptic.discard()
        self._open.__exit__(Reject, None, None)

    def close(self) -> Closing:
        self._open.close()
        if self._panoptic is not None:
            self._panoptic.close()
        changed = self._json.id_collisions
        if self._ids == "new":
            return Closing(remarks=("ids of pictures and objects are new ones: copies share those of their source",))
        return Closing(remarks=(f"{plural(changed, 'id')} came twice and had to be changed",) if changed else ())
