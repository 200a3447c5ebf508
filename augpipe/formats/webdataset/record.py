"""KEY.json, the record of one output sample, written and read (docs/format.md, which is a promise).

Coordinates are rounded to three decimals, half to even. What is not known is absent; there are no nulls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augpipe.core.annotations import (
    F64,
    Annotations,
    Category,
    Dropped,
    ObjectAttributes,
    ObjectRow,
    Objects,
    Raster,
    Rings,
    Rle,
    Segmentation,
    objects_of,
)
from augpipe.core.errors import Reject, one_line
from augpipe.core.plan import Plan, to_json
from augpipe.formats.coco.fields import identity_of, numbers_of, parts_of, rings_of, rle_of_json, whole_number
from augpipe.formats.coco.json_fields import known, rle_json
from augpipe.formats.coco.read import segments_of
from augpipe.formats.limits import bad_labels
from augpipe.formats.webdataset.schema import SCHEMA, SampleRecord, record_from
from augpipe.labels.polygons import is_tangled
from augpipe.labels.rules import DECIMALS
from augpipe.labels.transform import Labelled


@dataclass(frozen=True)
class SourceFacts:
    """What a record says of the source picture."""

    key: str
    sha256: str
    size_wh: tuple[int, int]
    orientation: int
    split: str | None = None


# --- writing ---------------------------------------------------------------------------------------------------------


def record_of(
    key: str, copy: int, labelled: Labelled, source: SourceFacts, plan: Plan, categories: Mapping[int, Category]
) -> dict[str, Any]:
    """The record of one output sample as JSON-ready values.

    Args:
        key: KEY of the sample.
        copy: its copy number, −1 for the original.
        labelled: labels after the plan.
        source: the picture it was made of.
        plan: every decision.
        categories: by id.
    """
    picture = labelled.annotations
    width, height = labelled.size_wh
    origin: dict[str, Any] = {
        "key": source.key,
        "sha256": source.sha256,
        "width": source.size_wh[0],
        "height": source.size_wh[1],
        "orientation": source.orientation,
    }
    if source.split is not None:
        origin["split"] = source.split
    if attributes := known(picture.attributes):
        origin["attributes"] = attributes
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "key": key,
        "width": width,
        "height": height,
        "objects": objects_json(labelled, categories),
        "dropped": [dropped_json(d, categories) for d in labelled.dropped],
        "source": origin,
        "copy": copy,
        "plan": to_json(plan),
    }
    if picture.image_id is not None:
        record["image_id"] = picture.image_id
    for name in ("tags", "captions"):
        if values := getattr(picture, name):
            record[name] = list(values)
    if picture.segments_info:
        record["segments_info"] = [known(s) for s in picture.segments_info]
    return record


def objects_json(labelled: Labelled, categories: Mapping[int, Category]) -> list[dict[str, Any]]:
    """The surviving objects. Numbers are taken from their columns at once; one by one it takes ten times as long."""
    objects, shapes = labelled.annotations.objects, labelled.shapes
    w, h = labelled.size_wh
    boxes = rounded(np.minimum(np.maximum(objects.boxes_xyxy, 0.0), (w, h, w, h)))
    numbers = zip(*(column.tolist() for column in (objects.index, objects.category_id, objects.iscrowd)), strict=True)
    segmentations, instances = _segmentations_json(objects.segmentation), objects.instance.tolist()
    out = []
    for i, ((index, category_id, iscrowd), box, shape) in enumerate(zip(numbers, boxes, shapes, strict=True)):
        category = categories[category_id]
        row: dict[str, Any] = {
            "index": index,
            "category": category.name,
            "category_id": category.id,
            "label": category.label,
            "box_xyxy": box,
            "box_from": shape.box_from,
            "area": round(shape.area, DECIMALS),
            "iscrowd": iscrowd,
            "visible": round(shape.visible, DECIMALS),
        }
        _add_facts(row, objects.facts[i])
        if segmentations[i] is not None:
            row["segmentation"] = segmentations[i]
        if instances[i]:
            row["instance"] = instances[i]
        _add_geometry(row, objects, i)
        out.append(row)
    return out


def _segmentations_json(segmentations: Sequence[Segmentation | None]) -> list[Any]:
    """As :func:`segmentation_json`, with the points of all rings rounded at once."""
    rings = _flat_rings([ring for s in segmentations if isinstance(s, Rings) for ring in s.rings])
    return [
        [next(rings) for _ in s.rings] if isinstance(s, Rings) else None if s is None else segmentation_json(s)
        for s in segmentations
    ]


def _flat_rings(rings: Sequence[F64]) -> Iterator[list[float]]:
    flat = rounded(np.concatenate(rings).reshape(-1)) if rings else []
    start = 0
    for ring in rings:
        yield flat[start : start + 2 * len(ring)]
        start += 2 * len(ring)


def _add_facts(row: dict[str, Any], facts: ObjectAttributes) -> None:
    for name in ("id", "truncated", "difficult", "occluded", "pose", "ignored"):
        value = getattr(facts, name)
        if value is not None:
            row[name] = value
    if facts.attributes and (attributes := known(facts.attributes)):
        row["attributes"] = attributes


def _add_geometry(row: dict[str, Any], objects: Objects, i: int) -> None:
    """What some objects have besides a box and a mask."""
    keypoints, obb = objects.keypoints[i], objects.obb[i]
    if keypoints is not None:
        row["keypoints"] = keypoints_json(keypoints)
        row["num_keypoints"] = int((keypoints[:, 2] > 0).sum())
    if obb is not None:
        row["obb"] = rounded(obb)
    if objects.parts[i]:
        row["parts"] = [{"name": p.name, "box_xyxy": rounded(np.array(p.box_xyxy))} for p in objects.parts[i]]


def dropped_json(dropped: Dropped, categories: Mapping[int, Category]) -> dict[str, Any]:
    """One entry of the ledger."""
    category = categories.get(dropped.category_id)
    out: dict[str, Any] = {
        "index": dropped.index,
        "category": category.name if category else str(dropped.category_id),
        "reason": dropped.reason,
    }
    if dropped.id is not None:
        out["id"] = dropped.id
    if dropped.value is not None:
        out["value"] = dropped.value
    return out


def rounded(values: F64) -> list[Any]:
    """Numbers with three decimals, as nested lists."""
    out: list[Any] = (np.round(values, DECIMALS) + 0.0).tolist()
    return out


def segmentation_json(segmentation: Segmentation) -> Any:
    """As COCO has it: flat rings, or a compressed RLE."""
    if isinstance(segmentation, Rle):
        return rle_json(segmentation)
    return [rounded(ring.reshape(-1)) for ring in segmentation.rings]


def keypoints_json(keypoints: F64) -> list[float]:
    """As COCO has it: flat [x, y, v]·K, v whole."""
    flat = rounded(keypoints.reshape(-1))
    flat[2::3] = [int(v) for v in flat[2::3]]
    return flat


# --- categories ------------------------------------------------------------------------------------------------------


def category_from_json(value: Mapping[str, Any]) -> Category:
    """A category of the manifest; raises ``ValueError``, ``TypeError``, ``KeyError`` or ``AttributeError``."""
    number, label, names = whole_number(value["id"]), whole_number(value["label"]), value.get("keypoints", [])
    supercategory = value.get("supercategory")
    if number is None or label is None or not isinstance(supercategory, str | None):
        raise ValueError(f"not a category: {one_line(repr(value), 80)}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in (value["name"], *names)):
        raise ValueError(f"not names: {one_line(repr(names), 80)}")
    pairs = _pairs(value.get("flip_pairs", []))
    if not all(0 <= i < len(names) for pair in pairs for i in pair):
        raise ValueError(f"pairs of keypoints that are not there: {one_line(pairs, 80)}")
    skeleton = _pairs(value.get("skeleton", []))
    isthing = whole_number(value.get("isthing"))
    return Category(number, label, value["name"], supercategory, tuple(names), skeleton, pairs, isthing)


def _pairs(values: Any) -> tuple[tuple[int, int], ...]:
    out = []
    for pair in values:
        one, other = map(whole_number, pair)
        if one is None or other is None:
            raise ValueError(f"not a pair of numbers: {one_line(repr(pair), 80)}")
        out.append((one, other))
    return tuple(out)


# --- reading ---------------------------------------------------------------------------------------------------------


def annotations_of_record(
    record: Mapping[str, Any], rasters: Mapping[str, Raster | None], categories: Mapping[int, Category], file: str
) -> Annotations:
    """The labels of a sample that augpipe wrote, from KEY.json and its decoded rasters by member name.

    Raises ``Reject``: ``unsupported`` for another major schema, ``bad-json`` for a wrong field, naming ``file``.
    """
    if record.get("schema") != SCHEMA:
        message = f"{file}: schema {one_line(record.get('schema'), 40)}, this version reads {SCHEMA}"
        raise Reject("labels", "unsupported", message, file=file)
    try:
        # Labels are labels also where a record names neither itself nor its source.
        known = record_from({"key": "", "source": {"key": ""}, **record}, SampleRecord)
        rows = [_object_row(i, row, categories) for i, row in enumerate(record.get("objects", ()))]
        panoptic = rasters.get("panoptic.png")
        return Annotations(
            objects=objects_of(rows),
            semantic=rasters.get("semantic.png"),
            instance=rasters.get("instance.png"),
            panoptic=None if panoptic is None else panoptic.astype(np.uint32),
            segments_info=tuple(segments_of(record.get("segments_info", ()), set())),
            tags=tuple(known.tags),
            captions=tuple(known.captions),
            size_wh=(known.width, known.height),
            image_id=known.image_id,
            attributes=known.source.attributes,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise bad_labels("bad-json", file, f"not a record of {SCHEMA}: {one_line(error, 100)}") from error


def _object_row(index: int, row: Mapping[str, Any], categories: Mapping[int, Category]) -> ObjectRow:
    number, box = row["category_id"], numbers_of(row["box_xyxy"], 4)
    if number not in categories:
        raise ValueError(f"category_id {number} is in no class map")
    if box is None:
        raise ValueError("box_xyxy is no box")
    keypoints, obb = row.get("keypoints"), row.get("obb")
    facts = {name: None if row.get(name) is None else int(row[name]) for name in ("truncated", "difficult", "occluded")}
    return ObjectRow(
        index=index,
        category_id=number,
        box_xyxy=(box[0], box[1], box[2], box[3]),
        iscrowd=int(bool(row.get("iscrowd", 0))),
        instance=row.get("instance", 0),
        segmentation=_segmentation(row.get("segmentation")),
        keypoints=None if keypoints is None else np.array(keypoints, np.float64).reshape(-1, 3),
        obb=None if obb is None else np.array(obb, np.float64).reshape(4, 2),
        parts=parts_of(row.get("parts")),
        facts=ObjectAttributes(
            id=identity_of(row.get("id")),
            pose=row["pose"] if isinstance(row.get("pose"), str) else None,
            attributes=row.get("attributes", {}),
            ignored=row.get("ignored"),
            **facts,
        ),
    )


def _segmentation(value: Any) -> Segmentation | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return rle_of_json(value)
    rings = tuple(rings_of(value))
    if not rings or len(rings) != len(value) or is_tangled(rings):
        raise ValueError("segmentation is no list of rings")
    return Rings(rings)
