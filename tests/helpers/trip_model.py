"""What each format has room for, said once more in a few plain lines: the reference for trips there and back.

A world is pictures with things on them, as a person would describe them. ``held`` says what is left of a world that was
written in a format and read again, and what of it has to be told as lost, by name and number. It is written from
docs/convert.md and the conventions of the formats; geometry is shapely's and masks are pycocotools'. Nothing of augpipe
is used.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from pycocotools import mask as api

Box = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]
NEW = "an id that the format had to give"
VOC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True)
class Class:
    id: int
    name: str
    supercategory: str | None = None
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Thing:
    """One object. ``box`` is x0, y0, x1, y1 in pixels; of ``rings`` and ``mask`` (H, W) there is one at most."""

    name: str
    box: Box
    rings: tuple[Points, ...] = ()
    mask: np.ndarray | None = None
    crowd: bool = False
    keypoints: tuple[tuple[float, float, float], ...] | None = None
    corners: Points | None = None
    flags: dict[str, int] = field(default_factory=dict)
    pose: str | None = None
    parts: tuple[tuple[str, Box], ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    id: Any = None
    class_id: int | None = None


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture: its path below the pictures, and what is on it."""

    name: str
    size_wh: tuple[int, int]
    things: tuple[Thing, ...]
    fields: dict[str, Any] = field(default_factory=dict)
    captions: tuple[str, ...] = ()
    id: Any = None
    semantic: bool = False

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]


@dataclass(frozen=True, eq=False)
class World:
    classes: tuple[Class, ...]
    shots: tuple[Shot, ...]

    def used(self) -> set[str]:
        return {thing.name for shot in self.shots for thing in shot.things}


Told = Counter[str]


def by_name(names: Iterable[str]) -> tuple[Class, ...]:
    """Classes of a format that has no ids: numbered from 1."""
    return tuple(Class(i, name) for i, name in enumerate(names, start=1))


# --- geometry --------------------------------------------------------------------------------------------------------


def bounds(points: Iterable[tuple[float, float]]) -> Box:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def corners(box: Box) -> Points:
    x0, y0, x1, y1 = box
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def region(thing: Thing) -> Any:
    """What a thing covers: its rings together, each by the even-odd rule, or its pixels. shapely's geometry."""
    if thing.mask is not None:
        rows, columns = np.nonzero(thing.mask)
        return shapely.union_all(shapely.box(columns, rows, columns + 1, rows + 1))
    return shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in thing.rings])


def painted(thing: Thing, size_wh: tuple[int, int]) -> np.ndarray | None:
    """The pixels of a thing, as pycocotools paints polygons."""
    if thing.mask is not None or not thing.rings:
        return thing.mask
    w, h = size_wh
    code = api.merge(api.frPyObjects([[v for point in ring for v in point] for ring in thing.rings], h, w))
    return decoded(code)


def decoded(code: dict[str, Any]) -> np.ndarray:
    """The pixels of COCO's compressed run lengths, by pycocotools."""
    with warnings.catch_warnings():  # it is older than NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        return api.decode(code).astype(bool)


def seen_by_ultralytics(box: Box, size_wh: tuple[int, int]) -> bool:
    """Whether centre and sides are fractions of 0..1; one row that fails costs the picture."""
    (x0, y0, x1, y1), (w, h) = box, size_wh
    return all(0 <= v <= 1 for v in ((x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h))


def by_fractions(points: Points, size_wh: tuple[int, int]) -> Points:
    """Points after they were fractions: the last bit decides which pixels pycocotools paints at .5."""
    w, h = size_wh
    return tuple((float(f"{x / w:.15f}") * w, float(f"{y / h:.15f}") * h) for x, y in points)


def cut(box: Box, size_wh: tuple[int, int]) -> Box | None:
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], size_wh[0]), min(box[3], size_wh[1])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def differ(one: Box, other: Box) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) > 1e-3


def empty_masks(shot: Shot) -> bool:
    """Whether a picture has a mask file of which no value is an object's."""
    return shot.semantic and all(thing.mask is None for thing in shot.things)


# --- COCO ------------------------------------------------------------------------------------------------------------


def held_by_coco(world: World, told: Told) -> World:
    """Everything; what has no id gets one."""
    shots = []
    for shot in world.shots:
        told["captions"] += len(shot.captions)
        told["semantic masks"] += shot.semantic
        told["instance masks"] += empty_masks(shot)
        things = tuple(replace(t, id=NEW if t.id is None else t.id) for t in shot.things)
        shots.append(replace(shot, things=things, captions=(), semantic=False, id=NEW if shot.id is None else shot.id))
    return World(world.classes, tuple(shots))


# --- Pascal VOC ------------------------------------------------------------------------------------------------------


def as_xml(value: Any) -> Any:
    """A JSON value after it was elements: text, mappings, and lists of at least two; ``None`` if nothing is left."""
    if isinstance(value, dict):
        inner = {k: as_xml(v) for k, v in value.items() if VOC_NAME.fullmatch(k)}
        return {k: v for k, v in inner.items() if v is not None} or None
    if isinstance(value, list):
        flat: list[Any] = []
        for item in map(as_xml, value):
            flat += item if isinstance(item, list) else [item] * (item is not None)
        return flat if len(flat) > 1 else flat[0] if flat else None
    if isinstance(value, bool):
        return str(int(value))
    return None if value is None else NOT_XML.sub("\ufffd", str(value)).strip() or None


def nameless(value: Any) -> int:
    """How many fields, however deep, have a name that no element can have."""
    if isinstance(value, list):
        return sum(map(nameless, value))
    if not isinstance(value, dict):
        return 0
    return sum(nameless(v) if VOC_NAME.fullmatch(k) else 1 for k, v in value.items() if v is not None)


def _fields_by_xml(fields: dict[str, Any], told: Told) -> dict[str, Any]:
    told["fields with names that XML cannot hold"] += nameless(fields)
    kept = {k: v for k, v in fields.items() if VOC_NAME.fullmatch(k) and v is not None}
    out = {k: as_xml(v) for k, v in kept.items()}
    told["fields with values that are other text in XML"] += sum(out[k] != v for k, v in kept.items())
    return {k: v for k, v in out.items() if v is not None}


def held_by_voc(world: World, told: Told) -> World:
    """Boxes of at least a pixel, flags, pose, parts, fields as text, and one value a pixel."""
    shots, masked = [], False
    for shot in world.shots:
        things = []
        for thing in shot.things:
            x0, y0, x1, y1 = thing.box
            if round(x1 - x0, 9) < 1 or round(y1 - y0, 9) < 1:
                told["objects thinner than a pixel"] += 1
            else:
                things.append(thing)
        masks = _values(things, shot.size_wh, told)
        segmented = any(t.rings or t.mask is not None for t in things)
        masked |= segmented
        told["captions"] += len(shot.captions)
        told["image ids"] += shot.id is not None
        fields = {"folder": "JPEGImages", "source": {"database": "Unknown"}, "segmented": str(int(segmented))}
        fields |= _fields_by_xml(shot.fields, told)
        kept = tuple(_thing_by_voc(t, mask, told) for t, mask in zip(things, masks, strict=True))
        shots.append(Shot(shot.name, shot.size_wh, kept, fields, semantic=segmented))
    out = World((), tuple(shots))
    told["class ids"] += len(world.classes)
    told["classes without objects"] += 0 if masked else sum(not _has(world, out, c) for c in world.classes)
    told["classes with the name of another"] += len(world.classes) - len({c.name for c in world.classes})
    told["class names that a labelmap cannot hold"] += masked * sum(
        ":" in c.name or c.name.startswith("#") for c in world.classes
    )
    told["supercategories"] += sum(c.supercategory is not None for c in world.classes)
    told["keypoint names and skeletons"] += sum(bool(c.keypoints or c.skeleton) for c in world.classes)
    listed = list(dict.fromkeys(c.name for c in sorted(world.classes, key=lambda c: c.id))) if masked else []
    return World(voc_classes(out.used(), listed), out.shots)


def voc_classes(used: set[str], labelmap: list[str]) -> tuple[Class, ...]:
    """The classes of a VOC root that is not the devkit's: as its labelmap lists them, if it can."""
    listed = [name.partition(":")[0] for name in labelmap if not name.startswith("#")]
    if listed and used <= set(listed) and len(set(listed)) == len(listed):
        return by_name(listed)
    return by_name(sorted(used))


def _has(before: World, after: World, one: Class) -> bool:
    """Whether a class has an object that was written: by its id, where classes share a name."""
    written = [len(s.things) for s in after.shots]
    if len({c.name for c in before.classes}) == len(before.classes):
        return one.name in after.used()
    things = [t for shot, n in zip(before.shots, written, strict=True) for t in shot.things if n and _thick(t)]
    return any(t.class_id == one.id for t in things)


def _thick(thing: Thing) -> bool:
    x0, y0, x1, y1 = thing.box
    return round(x1 - x0, 9) >= 1 and round(y1 - y0, 9) >= 1


def _values(things: list[Thing], size_wh: tuple[int, int], told: Told) -> list[np.ndarray | None]:
    """The pixels that are left of each thing: where two overlap the later is whole."""
    bitmaps = [painted(thing, size_wh) for thing in things]
    left: list[np.ndarray | None] = []
    for i, (thing, bitmap) in enumerate(zip(things, bitmaps, strict=True)):
        if bitmap is None:
            left.append(None)
            continue
        if not bitmap.any():
            told["masks that cannot be painted"] += 1
            left.append(None)
            continue
        told["polygons, written as pixels"] += bool(thing.rings)
        seen = bitmap.copy()
        for later in bitmaps[i + 1 :]:
            seen &= True if later is None else ~later
        told["masks that others overlap"] += bool(seen.sum() < bitmap.sum())
        left.append(seen if seen.any() else None)
    return left


def _thing_by_voc(thing: Thing, mask: np.ndarray | None, told: Told) -> Thing:
    told["object ids"] += thing.id is not None
    told["crowd flags"] += thing.crowd
    told["keypoints"] += thing.keypoints is not None
    told["oriented boxes"] += thing.corners is not None
    fields = _fields_by_xml(thing.fields, told)
    told["parts thinner than a pixel"] += sum(x1 - x0 < 1 or y1 - y0 < 1 for _, (x0, y0, x1, y1) in thing.parts)
    parts = tuple(p for p in thing.parts if p[1][2] - p[1][0] >= 1 and p[1][3] - p[1][1] >= 1)
    return Thing(thing.name, thing.box, mask=mask, flags=thing.flags, pose=thing.pose, parts=parts, fields=fields)


# --- YOLO ------------------------------------------------------------------------------------------------------------


def held_by_yolo(kind: str) -> Callable[[World, Told], World]:
    """Rows of one kind, and names of classes."""

    def held(world: World, told: Told) -> World:
        shots = []
        count = max((len(c.keypoints) for c in world.classes), default=0)
        for shot in world.shots:
            things = []
            for thing in shot.things:
                if thing.crowd:
                    told["crowds"] += 1
                    continue
                _tell_of_yolo(thing, kind, told)
                row, changes = ROWS[kind](thing, shot.size_wh, count)
                told.update(changes)
                if row is not None:
                    things.append(row)
            told["captions"] += len(shot.captions)
            told["image ids"] += shot.id is not None
            told["semantic masks"] += shot.semantic
            told["instance masks"] += empty_masks(shot)
            told["fields of pictures"] += bool(shot.fields)
            shots.append(Shot(shot.name, shot.size_wh, tuple(things)))
        numbers = {c.id: i for i, c in enumerate(sorted(world.classes, key=lambda c: c.id), start=1)}
        told["class ids"] += sum(numbers[c.id] != c.id for c in world.classes)
        told["supercategories"] += sum(c.supercategory is not None for c in world.classes)
        told["skeletons"] += sum(bool(c.skeleton) for c in world.classes)
        told["keypoint names"] += sum(bool(c.keypoints) for c in world.classes) if kind != "pose" else 0
        others = sum(len(c.keypoints) != count for c in world.classes)
        told["classes with other keypoints"] += others if kind == "pose" else 0
        shown = next((c.keypoints for c in world.classes if len(c.keypoints) == count), ()) if kind == "pose" else ()
        ordered = sorted(world.classes, key=lambda c: c.id)
        return World(tuple(Class(i, c.name, None, shown) for i, c in enumerate(ordered, start=1)), tuple(shots))

    return held


def _tell_of_yolo(thing: Thing, kind: str, told: Told) -> None:
    told["object ids"] += thing.id is not None
    told["segmentations"] += kind != "segment" and (bool(thing.rings) or thing.mask is not None)
    told["keypoints"] += kind != "pose" and thing.keypoints is not None
    told["oriented boxes"] += kind != "obb" and thing.corners is not None
    told["truncated, difficult and occluded flags"] += bool(thing.flags)
    told["poses"] += thing.pose is not None
    told["parts"] += len(thing.parts)
    told["fields of objects"] += bool(thing.fields)


Made = tuple[Thing | None, list[str]]
OUTSIDE, CUT = "objects outside the picture", "objects cut to the picture"


def _boxed(thing: Thing, size_wh: tuple[int, int]) -> tuple[Box | None, list[str]]:
    if seen_by_ultralytics(thing.box, size_wh):
        return thing.box, []
    box = cut(thing.box, size_wh)
    return (None, [OUTSIDE]) if box is None else (box, [CUT])


def _detect(thing: Thing, size_wh: tuple[int, int], count: int) -> Made:
    box, changes = _boxed(thing, size_wh)
    return None if box is None else Thing(thing.name, box), changes


def _pose(thing: Thing, size_wh: tuple[int, int], count: int) -> Made:
    box, changes = _boxed(thing, size_wh)
    if box is None:
        return None, changes
    points = [(0.0, 0.0, 0.0)] * count
    if thing.keypoints is None:
        changes.append("objects without keypoints, written with none labelled")
    else:
        inside = [0 <= x <= size_wh[0] and 0 <= y <= size_wh[1] for x, y, _ in thing.keypoints]
        points = [p if p[2] and ok else (0.0, 0.0, 0.0) for p, ok in zip(thing.keypoints, inside, strict=True)]
        if any(p[2] and not ok for p, ok in zip(thing.keypoints, inside, strict=True)):
            changes.append("objects with keypoints outside the picture")
    return Thing(thing.name, box, keypoints=tuple(points)), changes


def _segment(thing: Thing, size_wh: tuple[int, int], count: int) -> Made:
    shape = region(thing) if thing.rings or thing.mask is not None else None
    if shape is None or not shape.area:
        box, changes = _boxed(thing, size_wh)
        if box is None:
            return None, changes
        what = "boxes without a polygon" if shape is None else "masks too ragged for an outline"
        return Thing(thing.name, box, (by_fractions(corners(box), size_wh),)), [
            *changes,
            f"{what}, written as the corners of the box",
        ]
    changes = ["masks, written as the outline of their pixels"] * (thing.mask is not None)
    changes += ["polygons of several rings, joined into one"] * (len(thing.rings) > 1)
    if not seen_by_ultralytics(shape.bounds, size_wh):
        shape = shape & shapely.box(0, 0, *size_wh)
        if not shape.area:
            return None, [OUTSIDE]
        changes.append(CUT)
    changes += ["boxes that are not those around the points"] * differ(shape.bounds, thing.box)
    rings = tuple(by_fractions(ring, size_wh) for ring in _rings_of(shape))
    return Thing(thing.name, shape.bounds, rings), changes


def _rings_of(shape: Any) -> tuple[Points, ...]:
    """A ring for each polygon, each by the even-odd rule: it goes to every hole, around it, and the same way back."""
    polygons = [p for p in getattr(shape, "geoms", [shape]) if p.geom_type == "Polygon"]
    return tuple(
        (*p.exterior.coords, *(point for hole in p.interiors for point in (*hole.coords, p.exterior.coords[0])))[:-1]
        for p in polygons
    )


def _obb(thing: Thing, size_wh: tuple[int, int], count: int) -> Made:
    if thing.corners is None:
        box, changes = _boxed(thing, size_wh)
        if box is None:
            return None, changes
        changes.append("boxes that are not oriented, written as oriented ones")
        row = corners(box)
    else:
        row, changes = thing.corners, []
        if not seen_by_ultralytics(bounds(row), size_wh):
            return None, [OUTSIDE]
    changes += ["boxes that are not those around the points"] * differ(bounds(row), thing.box)
    return Thing(thing.name, bounds(row), corners=row), changes


ROWS: dict[str, Callable[[Thing, tuple[int, int], int], Made]] = {
    "detect": _detect,
    "segment": _segment,
    "pose": _pose,
    "obb": _obb,
}


# --- DOTA ------------------------------------------------------------------------------------------------------------

HEADS = ("imagesource", "gsd")


def held_by_dota(world: World, told: Told) -> World:
    """Four corners, a word and a difficulty."""
    shots = []
    for shot in world.shots:
        things = []
        for thing in shot.things:
            if thing.crowd:
                told["crowds"] += 1
                continue
            row = thing.corners or corners(thing.box)
            if thing.corners is None:
                told["boxes that are not oriented, written as oriented ones"] += 1
            else:
                told["boxes that are not those around the points"] += differ(bounds(row), thing.box)
            told["object ids"] += thing.id is not None
            told["segmentations"] += bool(thing.rings) or thing.mask is not None
            told["keypoints"] += thing.keypoints is not None
            told["truncated and occluded flags"] += "truncated" in thing.flags or "occluded" in thing.flags
            told["poses"] += thing.pose is not None
            told["parts"] += len(thing.parts)
            told["fields of objects"] += bool(thing.fields.keys() - {"difficulty"})
            degree = thing.fields.get("difficulty")
            fields = {"difficulty": degree} if isinstance(degree, int) and degree > 1 else {}
            difficult = 1 if fields else thing.flags.get("difficult", 0)
            flags = {"difficult": difficult}
            name = "-".join(thing.name.split())
            things.append(Thing(name, bounds(row), corners=row, flags=flags, fields=fields))
        told["captions"] += len(shot.captions)
        told["image ids"] += shot.id is not None
        told["semantic masks"] += shot.semantic
        told["instance masks"] += empty_masks(shot)
        told["fields of pictures"] += bool(shot.fields.keys() - set(HEADS))
        heads = {k: str(v) for k, v in shot.fields.items() if k in HEADS}
        shots.append(Shot(shot.name, shot.size_wh, tuple(things), heads))
    numbers = {c.id: i for i, c in enumerate(sorted(world.classes, key=lambda c: c.id), start=1)}
    told["class ids"] += sum(numbers[c.id] != c.id for c in world.classes)
    told["class names with spaces, written with hyphens"] += sum(
        "-".join(c.name.split()) != c.name for c in world.classes
    )
    told["supercategories"] += sum(c.supercategory is not None for c in world.classes)
    told["keypoint names and skeletons"] += sum(bool(c.keypoints or c.skeleton) for c in world.classes)
    out = World((), tuple(shots))
    return World(by_name(sorted(out.used())), out.shots)


HELD: dict[str, Callable[[World, Told], World]] = {
    "coco": held_by_coco,
    "voc": held_by_voc,
    "dota": held_by_dota,
    **{f"yolo:{kind}": held_by_yolo(kind) for kind in ROWS},
}


def held(form: str, world: World) -> tuple[World, dict[str, int]]:
    """(a world after it was written in a format and read, what has to be told: what → how many)."""
    told: Told = Counter()
    after = HELD[form](world, told)
    return after, {what: n for what, n in told.items() if n}
