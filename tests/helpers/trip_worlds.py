"""Small odd worlds that a format can hold, drawn by hypothesis for trips there and back.

Coordinates are quarters of a pixel, so that sums of them are exact and none is near a limit by chance alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from trip_model import (
    Box,
    Class,
    Points,
    Shot,
    Thing,
    World,
    bounds,
    by_fractions,
    by_name,
    corners,
    cut,
    seen_by_ultralytics,
    voc_classes,
)

SIZES = ((40, 30), (33, 47))
NAMES = (
    "a.jpg", "größe 1.jpg", "sub/b.png", "x.y.z.jpg", "日本.jpg", "100%.png", "-dash.jpg", "sub/deep er/c#1.jpg",
    "images/images.jpg", "it's.png", "labels/d.jpg", "UP.JPG",
)  # fmt: skip
CLASSES = ("cat", "größe 1", "a&b <x>", "traffic light", "7", "日本", "person", "no", "x:y", "#1", "null")
WORDS = ("ship", "small-vehicle", "größe", "x:y", "#1", "7", "日本", "a&b<x>")
POINTS = ("nose", "left_eye", "right_eye")
TEXTS = ("red", "a b", "größe", "<&>", "0", "true", "日本")
VOC_FIELDS = {"colour": TEXTS, "truncation.degree": TEXTS, "source_": TEXTS}
JSON_VALUES: tuple[Any, ...] = (
    *TEXTS, "", " red ", 0, 3, 0.5, True, None, [], {}, ["a", "b"], [1, 2.5], ["one"], [["a"], ["b", "c"]],
    {"by": "me", "n": {"m": "x"}}, {"a b": 1, "c": "d"}, [{"k": "v"}, {"k": "w"}], "a\x01b", {"n": None},
)  # fmt: skip
JSON_NAMES = ("colour", "score", "a b", "1st", "ns:tag", "note", "difficulty_", "größe")

quarters = st.integers


def quarter(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low * 4, high * 4).map(lambda n: n / 4)


@st.composite
def boxes(draw: Any, size_wh: tuple[int, int], leaves: bool) -> Box:
    """Within the picture, or, if it may leave it, anywhere around; sometimes thinner than a pixel."""
    sides = []
    for side in size_wh:
        low, high = (-side, 2 * side) if leaves and draw(st.integers(0, 5)) == 0 else (0, side)
        least = draw(st.sampled_from((0.25, 1.0, 1.0, 2.0, 5.0)))
        start = draw(quarter(low, high - 5))
        sides.append((start, start + least + draw(quarter(0, max(1, int(high - start - least) - 1)))))
    (x0, x1), (y0, y1) = sides
    return x0, y0, x1, y1


@st.composite
def outlines(draw: Any, size_wh: tuple[int, int], count: int, leaves: bool) -> Points:
    """Points around a centre, so that the outline does not cross itself and has an area."""
    w, h = size_wh
    off = draw(st.sampled_from((0.0, 0.0, 0.0, 0.4, 0.9))) if leaves else 0.0
    cx, cy = w * (0.5 + off), h * (0.5 + draw(st.sampled_from((0.0, -off))))
    first = draw(st.integers(0, 89))
    angles = [first + 360 * k / count for k in range(count)]
    radii = [draw(st.integers(12, 48)) / 100 for _ in angles]
    points = [
        (cx + r * w * np.cos(np.radians(a)), cy + r * h * np.sin(np.radians(a)))
        for a, r in zip(angles, radii, strict=True)
    ]
    return tuple((round(float(x) * 4) / 4, round(float(y) * 4) / 4) for x, y in points)


def oriented(size_wh: tuple[int, int]) -> st.SearchStrategy[Points]:
    """Four corners, upright or not; not such as YOLO cuts, whose rectangle tests/labels/test_oriented.py measures."""
    rows = st.one_of(outlines(size_wh, 4, True), boxes(size_wh, True).map(corners))
    return rows.filter(lambda row: seen_by_ultralytics(bounds(row), size_wh) or cut(bounds(row), size_wh) is None)


@st.composite
def bitmaps(draw: Any, size_wh: tuple[int, int]) -> np.ndarray:
    """A few boxes of pixels, some of them cut out again: parts and holes."""
    w, h = size_wh
    out = np.zeros((h, w), bool)
    for k in range(draw(st.integers(1, 3))):
        x, y = draw(st.integers(0, w - 1)), draw(st.integers(0, h - 1))
        out[y : y + draw(st.integers(1, h)), x : x + draw(st.integers(1, w))] = k != 1
    return out


@st.composite
def points_of(draw: Any, size_wh: tuple[int, int], leaves: bool) -> tuple[tuple[float, float, float], ...]:
    w, h = size_wh
    rows = []
    for _ in POINTS:
        v = draw(st.sampled_from((0, 1, 2, 2)))
        low, high = (-1, 2) if leaves and draw(st.integers(0, 6)) == 0 else (0, 1)
        x, y = draw(quarter(low * w, high * w)), draw(quarter(low * h, high * h))
        rows.append((x, y, float(v)) if v else (0.0, 0.0, 0.0))
    return tuple(rows)


def some(strategy: st.SearchStrategy[Any], empty: Any = None) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(empty), strategy)


flags = st.fixed_dictionaries({}, optional={k: st.integers(0, 1) for k in ("truncated", "difficult", "occluded")})
json_fields = st.dictionaries(st.sampled_from(JSON_NAMES), st.sampled_from(JSON_VALUES), max_size=3)
voc_fields = st.dictionaries(
    st.sampled_from(("colour", "truncation.degree", "note_1")),
    st.sampled_from((*TEXTS, ["a", "b"], {"by": "me", "n": {"m": "x"}}, [{"k": "v"}, {"k": "w"}])),
    max_size=2,
)


@st.composite
def parts(draw: Any, size_wh: tuple[int, int], thin: bool) -> tuple[tuple[str, Box], ...]:
    found = draw(st.lists(st.tuples(st.sampled_from(("head", "hand")), boxes(size_wh, True)), max_size=2))
    return tuple((n, b) for n, b in found if thin or (b[2] - b[0] >= 1 and b[3] - b[1] >= 1))


# --- things ----------------------------------------------------------------------------------------------------------


@st.composite
def coco_things(draw: Any, size_wh: tuple[int, int], one: Class) -> Thing:
    box = draw(boxes(size_wh, True))
    kind = draw(st.sampled_from(("none", "ring", "ring", "rings", "mask", "mask")))
    rings: tuple[Points, ...] = ()
    if kind in ("ring", "rings"):
        rings = tuple(draw(outlines(size_wh, draw(st.integers(3, 7)), True)) for _ in range(1 + (kind == "rings")))
        if draw(st.booleans()):
            box = bounds([p for ring in rings for p in ring])
    mask = draw(bitmaps(size_wh)) if kind == "mask" else None
    return Thing(
        one.name,
        box,
        rings=rings,
        mask=mask,
        crowd=mask is not None and draw(st.booleans()),
        keypoints=draw(some(points_of(size_wh, True))) if one.keypoints else None,
        corners=draw(some(oriented(size_wh))),
        flags=draw(flags),
        pose=draw(some(st.sampled_from(("Left", "Unspecified")))),
        parts=draw(parts(size_wh, True)),
        fields=draw(json_fields),
        class_id=one.id,
    )


@st.composite
def voc_things(draw: Any, size_wh: tuple[int, int], one: Class) -> Thing:
    box = draw(boxes(size_wh, True).filter(lambda b: b[2] - b[0] >= 1 and b[3] - b[1] >= 1))
    pose = draw(some(st.sampled_from(("Left", "Unspecified"))))
    return Thing(
        one.name, box, flags=draw(flags), pose=pose, parts=draw(parts(size_wh, False)), fields=draw(voc_fields)
    )


@st.composite
def yolo_things(draw: Any, size_wh: tuple[int, int], one: Class, kind: str) -> Thing:
    if kind in ("segment", "obb"):
        points = draw(outlines(size_wh, 4 if kind == "obb" else draw(st.integers(3, 8)), False))
        points = by_fractions(points, size_wh)
        more = {"rings": (points,)} if kind == "segment" else {"corners": points}
        return Thing(one.name, bounds(points), **more)
    box = draw(boxes(size_wh, False))
    return Thing(one.name, box, keypoints=draw(points_of(size_wh, False)) if kind == "pose" else None)


@st.composite
def dota_things(draw: Any, size_wh: tuple[int, int], one: Class) -> Thing:
    row = draw(oriented(size_wh))
    degree = draw(st.sampled_from((None, 0, 1, 2)))
    fields = {"difficulty": 2} if degree == 2 else {}
    return Thing(
        one.name, bounds(row), corners=row, flags={} if degree is None else {"difficult": min(degree, 1)}, fields=fields
    )


# --- worlds ----------------------------------------------------------------------------------------------------------


def _shots(draw: Any, things: Any, classes: tuple[Class, ...], fields: Any) -> tuple[Shot, ...]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    shots = []
    for name in names:
        size = draw(st.sampled_from(SIZES))
        found = tuple(draw(things(size, draw(st.sampled_from(classes)))) for _ in range(draw(st.integers(0, 3))))
        shots.append(Shot(name, size, found, draw(fields)))
    return tuple(shots)


@st.composite
def coco_worlds(draw: Any) -> World:
    ids = draw(st.lists(st.sampled_from((0, 1, 2, 3, 7, 90, 2**40)), min_size=1, max_size=4, unique=True))
    classes = []
    # Names that come twice are in tests/conversion/test_same_names.py.
    for number, name in zip(ids, draw(st.permutations(CLASSES)), strict=False):
        points = POINTS if draw(st.booleans()) else ()
        above = draw(some(st.just("animal")))
        classes.append(Class(number, name, above, points, ((1, 2),) if points else ()))
    shots = _shots(draw, coco_things, tuple(classes), json_fields)
    image_ids = draw(st.permutations((0, 5, 139, 2**33)))
    own = iter(
        draw(st.sampled_from(((*range(20),), (*range(7, 1000, 50),), (1, 1, *range(2, 20)), ("x", 3, *range(4, 20)))))
    )
    out = []
    for shot, number in zip(shots, image_ids, strict=False):
        things = tuple(replace(t, id=next(own)) for t in shot.things)
        captions = tuple(draw(st.lists(st.just("a cat"), max_size=2)))
        out.append(replace(shot, things=things, id=number, captions=captions))
    return World(tuple(classes), tuple(out))


@st.composite
def voc_worlds(draw: Any) -> World:
    names = draw(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=3, unique=True))
    shots = _shots(draw, voc_things, by_name(names), voc_fields)
    return World(voc_classes(World((), shots).used(), []), shots)


def yolo_worlds(kind: str) -> st.SearchStrategy[World]:
    @st.composite
    def worlds(draw: Any) -> World:
        names = draw(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=3, unique=True))
        points = POINTS if kind == "pose" else ()
        classes = tuple(Class(i, name, None, points) for i, name in enumerate(names, start=1))
        things = lambda size, one: yolo_things(size, one, kind)  # noqa: E731
        return World(classes, _shots(draw, things, classes, st.just({})))

    return worlds()


@st.composite
def dota_worlds(draw: Any) -> World:
    names = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True))
    heads = st.fixed_dictionaries(
        {}, optional={"imagesource": st.just("drawn"), "gsd": st.sampled_from(("0.5", "0.146"))}
    )
    shots = _shots(draw, dota_things, by_name(names), heads)
    out = World((), shots)
    return World(by_name(sorted(out.used())), shots)


WORLDS: dict[str, st.SearchStrategy[World]] = {
    "coco": coco_worlds(),
    "voc": voc_worlds(),
    "dota": dota_worlds(),
    **{f"yolo:{kind}": yolo_worlds(kind) for kind in ("detect", "segment", "pose", "obb")},
}


def within(form: str, world: World) -> World:
    """The same without what leaves its picture, which ``augment`` cuts. What is small stays, as nothing moves it."""
    shots = [replace(shot, things=tuple(t for t in shot.things if _is_within(t, shot.size_wh))) for shot in world.shots]
    out = replace(world, shots=tuple(shots))
    if form in ("voc", "dota"):  # their classes are the names that are left
        return replace(out, classes=voc_classes(out.used(), []) if form == "voc" else by_name(sorted(out.used())))
    return out


def _is_within(thing: Thing, size_wh: tuple[int, int]) -> bool:
    points = [(x, y) for x, y, v in thing.keypoints or () if v]
    points += [p for ring in (*thing.rings, thing.corners or (), corners(thing.box)) for p in ring]
    points += [p for _, box in thing.parts for p in corners(box)]
    return all(0 <= x <= size_wh[0] and 0 <= y <= size_wh[1] for x, y in points)
