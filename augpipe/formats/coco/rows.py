"""Rows of a COCO JSON: what is written of one picture, and of many at once.

Numbers that are whole are written whole. Rows are made with the ids that are wished for, in any process; where an id is
taken, which is rare, the writer puts in another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from augpipe.core.annotations import Annotations, Objects, Rings, Rle
from augpipe.core.rng import encode
from augpipe.formats.coco.document import BETWEEN
from augpipe.formats.coco.ids import Rule, id_of
from augpipe.formats.coco.json_fields import known, rle_json
from augpipe.formats.coco.write_panoptic import Segments
from augpipe.labels import rle

PICTURE_FIELDS = ("id", "file_name", "width", "height")
OBJECT_FIELDS = (
    "id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "keypoints", "num_keypoints",
)  # fmt: skip
_EXACT = 2**53  # a float beyond has no fraction to tell, and as an integer it would not fit JSON's readers
_encode_lines = msgspec.json.Encoder().encode_lines


class Rows(NamedTuple):
    """What of one picture is written, with the ids that are wished for: its row, those of its objects, and the indexes
    of these in the source. ``segments`` is for the panoptic JSON."""

    image: dict[str, Any]
    objects: list[dict[str, Any]]
    indexes: list[int]
    segments: Segments | None = None


class Batch(NamedTuple):
    """What of some pictures is written, as JSON with the ids that are wished for, which can nearly always be had.

    ``images`` and ``objects`` are rows with ``BETWEEN`` between, which no row holds; ``counts`` is how many of the
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
    image |= {k: v for k, v in known(annotations.attributes).items() if k not in PICTURE_FIELDS}
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
    return _encode_lines(rows)[:-1].replace(b"\n", BETWEEN)  # in JSON every other end of a line is escaped


def renumbered(batch: Batch, image_ids: Sequence[int | str], object_ids: Sequence[int | str]) -> tuple[bytes, bytes]:
    """The images and objects of a batch with other ids than the wished ones."""
    before, after = map(_image_head, batch.image_ids), map(_image_head, image_ids)
    images = BETWEEN.join(
        new + row[len(old) :] for row, old, new in zip(batch.images.split(BETWEEN), before, after, strict=True)
    )
    if not object_ids:
        return images, batch.objects
    owners = [i for i, count in enumerate(batch.counts) for _ in range(count)]
    heads = (_object_head(n, batch.image_ids[i]) for n, i in zip(batch.object_ids, owners, strict=True))
    others = (_object_head(n, image_ids[i]) for n, i in zip(object_ids, owners, strict=True))
    rows = zip(batch.objects.split(BETWEEN), heads, others, strict=True)
    return images, BETWEEN.join(new + row[len(old) :] for row, old, new in rows)


def _image_head(number: int | str) -> bytes:
    return b'{"id":%s,' % msgspec.json.encode(number)


def _object_head(number: int | str, image_id: int | str) -> bytes:
    return b'{"id":%s,"image_id":%s,' % (msgspec.json.encode(number), msgspec.json.encode(image_id))


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
    if facts.ignored is not None:
        out["ignored"] = facts.ignored
    if objects.parts[i]:
        out["parts"] = [{"name": p.name, "box_xyxy": [whole(v) for v in p.box_xyxy]} for p in objects.parts[i]]
    if not facts.attributes:
        return out
    return {**head, **{k: v for k, v in known(facts.attributes).items() if k not in (*OBJECT_FIELDS, *out)}, **out}


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
