"""Writing COCO: a JSON of instances, streamed, so that its size does not matter.

Numbers that are whole are written whole. An id that the source has is kept. A new one is 53 bits of the BLAKE2b of
what it names, which is what a float still holds, so nothing moves when a picture is added. Augmented copies share the
ids of their source, so all of them get new ones.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np

from augpipe import masks
from augpipe.errors import Reject
from augpipe.formats.base import Dataset, plural
from augpipe.formats.coco_object import FARTHEST
from augpipe.formats.panoptic_write import PanopticWriter, Segments, segments_of
from augpipe.formats.records import category_json, known, segmentation_json
from augpipe.formats.target import (
    Added,
    Closing,
    Loss,
    Made,
    Picture,
    Stage,
    WriteOptions,
    Writer,
    losses_of,
    split_of,
    writable,
)
from augpipe.polygons import areas_of
from augpipe.sample import Annotations, Category, Objects, Rings, Rle
from augpipe.words import encode

_PANOPTIC = "panoptic masks"
_HELD_BYTES = 64 * 1024 * 1024
_EXACT = 2**53  # a float beyond has no fraction to tell, and as an integer it would not fit JSON's readers
_PICTURE_FIELDS = ("id", "file_name", "width", "height")
_FIELDS = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "keypoints", "num_keypoints")


Rule: TypeAlias = Literal["keep", "new", "sequential"]
_COPY = re.compile(r"-[0-9a-f]{10}-(c\d{3,}|orig)$")  # the end of a sample's KEY in our shards (docs/format.md)


def stable_id(*names: str | int) -> int:
    """A positive id of 53 bits for what ``names`` name."""
    return _id_of(encode(*names))


def _id_of(encoded: bytes) -> int:
    digest = hashlib.blake2b(encoded, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) or 1


@dataclass
class IdGiver:
    """Keeps ids apart: one that is taken already becomes the stable one of what it names, and is counted.

    ``rule`` says what becomes of the source's own ids: ``keep`` them, ``new`` stable ones, or ``sequential`` from 1.
    """

    taken: set[int | str] = field(default_factory=set)
    collisions: int = 0
    rule: Rule = "keep"

    def give(self, own: int | str | None, *names: str | int) -> int | str:
        """``own`` if the source has an id and it is kept, else the stable one of ``names``, or the next."""
        return self.settle(stable_id(*names) if own is None or self.rule == "new" else own, *names)

    def settle(self, wished: int | str, *names: str | int) -> int | str:
        """``wished``, or what is given in its place."""
        if self.rule == "sequential":
            self.taken.add(len(self.taken) + 1)
            return len(self.taken)
        number = wished
        if number in self.taken:
            self.collisions += 1
            number = stable_id(*names)
            while number in self.taken:
                number += 1
        self.taken.add(number)
        return number


class Rows(NamedTuple):
    """What of a picture is written, all but the ids, which the whole dataset decides: those wished for, and JSON.

    ``image`` is the picture's row without its first field and brace; ``objects`` has (id, index in the source, row
    without the first two fields) for each object. ``segments`` is for the panoptic JSON.
    """

    file_name: str
    image_id: int | str
    image: bytes
    objects: list[tuple[int | str, int, bytes]]
    segments: Segments | None = None


def rows_of(file_name: str, size_wh: tuple[int, int], annotations: Annotations, ids: Rule = "keep") -> Rows:
    """The rows of one picture."""
    image: dict[str, Any] = {"file_name": file_name, "width": size_wh[0], "height": size_wh[1]}
    image |= {k: v for k, v in known(annotations.attributes).items() if k not in _PICTURE_FIELDS}
    name = encode(file_name)
    own = None if ids == "new" else annotations.image_id
    objects = annotations.objects
    rows = []
    columns = zip(_areas(objects), objects.index.tolist(), objects.boxes_xyxy.tolist(), strict=True)
    for i, (area, index, box) in enumerate(columns):
        wished = None if ids == "new" else objects.facts[i].id
        number = _id_of(name + b"%d:%d," % (len(str(index)), index)) if wished is None else wished
        rows.append((number, index, msgspec.json.encode(_annotation_json(objects, i, box, area))[1:]))
    return Rows(file_name, _id_of(name) if own is None else own, msgspec.json.encode(image)[1:], rows)


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
        self.write(rows_of(file_name, size_wh, annotations, self._images.rule))

    def write(self, rows: Rows) -> tuple[bytes, bytes]:
        """What was made of one picture; gives its id and its row as JSON."""
        identity = msgspec.json.encode(self._images.settle(rows.image_id, rows.file_name))
        image = b"".join((b'{"id":', identity, b",", rows.image))
        self._file.write(image if self._first_image else b",\n" + image)
        self._first_image = False
        out = []
        for wished, index, row in rows.objects:
            number = self._objects.settle(wished, rows.file_name, index)
            digits = b"%d" % number if isinstance(number, int) else msgspec.json.encode(number)
            out.append(b"".join((b'{"id":', digits, b',"image_id":', identity, b",", row)))
        if out:
            self._annotations.write((b"" if self._first_annotation else b",\n") + b",\n".join(out))
            self._first_annotation = False
        return identity, image


def _category_json(category: Category) -> dict[str, Any]:
    out = category_json(category)
    return {k: v for k, v in out.items() if k not in ("label", "flip_pairs")}


def annotation_json(objects: Objects, i: int, area: float) -> dict[str, Any]:
    """One object in COCO's fields, and every other field that it came with."""
    return _annotation_json(objects, i, objects.boxes_xyxy[i].tolist(), area)


def _annotation_json(objects: Objects, i: int, box_xyxy: list[float], area: float) -> dict[str, Any]:
    x0, y0, x1, y1 = box_xyxy
    facts = objects.facts[i]
    segmentation, keypoints = objects.segmentation[i], objects.keypoints[i]
    out: dict[str, Any] = {
        "category_id": int(objects.category_id[i]),
        "bbox": [whole(x0), whole(y0), whole(x1 - x0), whole(y1 - y0)],
        "area": whole(area),
        "iscrowd": int(objects.iscrowd[i]),
    }
    if isinstance(segmentation, Rings):
        out["segmentation"] = [list(map(_plain, ring.reshape(-1).tolist())) for ring in segmentation.rings]
    elif segmentation is not None:
        out["segmentation"] = segmentation_json(segmentation)
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
    return {**{k: v for k, v in known(facts.attributes).items() if k not in (*_FIELDS, *out)}, **out}


def _areas(objects: Objects) -> list[float]:
    """Square pixels of each object: of its mask, else of its polygons together, else of its box."""
    areas: list[float] = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in objects.boxes_xyxy.tolist()]
    if not any(objects.segmentation):
        return areas
    drawn = [i for i, s in enumerate(objects.segmentation) if isinstance(s, Rings)]
    polygons = areas_of([s.rings for s in objects.segmentation if isinstance(s, Rings)])
    for i, area in zip(drawn, polygons, strict=True):
        areas[i] = round(area, 3)
    for i, segmentation in enumerate(objects.segmentation):
        if isinstance(segmentation, Rle):
            areas[i] = masks.area_of(segmentation)
    return areas


def whole(value: float) -> float | int:
    """A whole number as an integer, another one with at most nine decimals: beyond is the noise of a subtraction."""
    value = float(value)
    return int(value) if value.is_integer() and -_EXACT < value < _EXACT else _plain(round(value, 9))


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


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> Writer:
    """Begin the JSON of a dataset: the one file of ``stage``, else ``annotations/instances_SPLIT.json``, beside which
    ``panoptic_SPLIT.json`` is written if there are such labels."""
    copies = any(_COPY.search(entry.key) for entry in dataset.entries)
    return _DatasetWriter(dataset, stage, "sequential" if options.ids == "sequential" else "new" if copies else "keep")


@dataclass(frozen=True)
class _Maker:
    """See :class:`augpipe.formats.target.Maker`."""

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


class _DatasetWriter:
    """See :class:`augpipe.formats.target.Writer`."""

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
        self.maker = _Maker(ids, self._panoptic is not None)

    def take(self, rest: Rows) -> None:
        identity, image = self._json.write(rest)
        if self._panoptic is not None and rest.segments is not None:
            self._panoptic.add(image, identity, rest.file_name, rest.segments)

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
