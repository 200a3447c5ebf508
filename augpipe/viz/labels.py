"""Labels drawn on a picture: every kind at once, exact to a fraction of a pixel, and still a picture to look at.

From the ground up: rasters, masks, boxes, oriented boxes, parts, crowds, keypoints, class names, tags. Lines of boxes
run along the inside of their edge, with a thin dark line outside, so the edge itself is where the two meet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from augpipe.core.annotations import F64, U8, Annotations, Category, Objects, Raster, Rings, Rle
from augpipe.core.opencv import cv2
from augpipe.core.plan import Rgb
from augpipe.labels.rle import window_of
from augpipe.viz import canvas as ink
from augpipe.viz.canvas import BLACK, F32, WHITE, Box, Canvas, Point, color_of

Scale: TypeAlias = float | tuple[float, float]
"""From label coordinates to the picture's: one factor, or one for x and one for y."""

MOST_NAMES = 25
"""A picture with more objects shows no class names."""

LEFT: Rgb = (20, 232, 180)
RIGHT: Rgb = (255, 122, 40)
MIDDLE: Rgb = (255, 226, 80)

_FILL = 0.38
_SHADE = 0.55
_IS_LEFT = re.compile(r"(^|[^a-z])l([^a-z]|$)|left")
_IS_RIGHT = re.compile(r"(^|[^a-z])r([^a-z]|$)|right")


def draw_labels(picture: U8, annotations: Annotations, categories: Mapping[int, Category], scale: Scale = 1.0) -> U8:
    """A new RGB picture with its labels drawn on it.

    Args:
        picture: gray (H, W) or RGB (H, W, 3); it is left as it is.
        annotations: its labels, before scaling.
        categories: by id. A category that is missing gets the colour and name of its number.
        scale: how far the picture has been scaled already; lines and letters are not, so they stay crisp.
    """
    canvas = Canvas(picture)
    scale_xy = scale if isinstance(scale, tuple) else (scale, scale)
    pen = _Pen.of(canvas.size_wh)
    things = _things(annotations, categories, scale_xy)
    _ground(canvas, annotations, categories)
    for thing in things:
        if not thing.crowd:
            _mask(canvas, pen, annotations, thing, scale_xy)
    for thing in things:
        if not thing.crowd:
            _box(canvas, pen, thing)
    for thing in things:
        if thing.crowd:
            _crowd(canvas, pen, annotations, thing, scale_xy)
    for thing in things:
        _keypoints(canvas, pen, annotations.objects, thing, scale_xy)
    _names(canvas, pen, things, words_of_picture(annotations))
    return canvas.pixels


def words_of_picture(annotations: Annotations) -> str:
    """The picture's tags, else its first caption, on one line."""
    if annotations.tags:
        return " · ".join(ink.shown(tag) for tag in annotations.tags)
    return ink.shown(annotations.captions[0]) if annotations.captions else ""


def classes_of(annotations: Annotations, categories: Mapping[int, Category]) -> set[int]:
    """The category ids that are drawn."""
    found = {int(c) for c in annotations.objects.category_id}
    return found | set(_classes_on_ground(annotations, categories).values())


def name_of(category: Category | None, category_id: int) -> str:
    """The class name in letters that can be drawn; 'class 3' where it has none of them."""
    name = ink.shown(category.name).strip() if category is not None else ""
    return name if any(c.isalnum() for c in name) else f"class {label_of(category, category_id)}"


def label_of(category: Category | None, category_id: int) -> int:
    """The number that gives the colour."""
    return category.label if category is not None else category_id


@dataclass(frozen=True)
class _Pen:
    """Sizes in pixels that suit the picture: they grow with the root of its side."""

    line: float
    shade: float
    text: float

    @staticmethod
    def of(size_wh: tuple[int, int]) -> _Pen:
        grown = math.sqrt(max(size_wh) / 320.0)
        return _Pen(min(8.0, max(1.25, 1.9 * grown)), min(3.0, max(0.75, 0.9 * grown)), min(48.0, max(9.0, 11 * grown)))


@dataclass(frozen=True)
class _Thing:
    """One object as it is drawn: its place in the columns, its box on the picture, its class."""

    row: int
    box: Box
    color: Rgb
    name: str
    category: Category | None
    crowd: bool
    has_mask: bool
    obb: F64 | None
    parts: tuple[Box, ...]

    @property
    def sides(self) -> tuple[float, float]:
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


def _things(
    annotations: Annotations, categories: Mapping[int, Category], scale_xy: tuple[float, float]
) -> list[_Thing]:
    """The objects with finite boxes, large ones first, so that small ones lie on top."""
    objects = annotations.objects
    four = (*scale_xy, *scale_xy)
    found = []
    for i in range(len(objects)):
        box = _box_of(objects.boxes_xyxy[i] * four)
        if not _drawable(box):
            continue
        category_id = int(objects.category_id[i])
        category = categories.get(category_id)
        obb = objects.obb[i]
        thing = _Thing(
            row=i,
            box=box,
            color=color_of(label_of(category, category_id)),
            name=name_of(category, category_id),
            category=category,
            crowd=bool(objects.iscrowd[i]),
            has_mask=_has_mask(annotations, i),
            obb=None if obb is None else obb * scale_xy,
            parts=tuple(_box_of(np.multiply(part.box_xyxy, four)) for part in objects.parts[i]),
        )
        found.append(thing)
    return sorted(found, key=lambda t: -t.sides[0] * t.sides[1])


def _drawable(numbers: Sequence[float] | F64) -> bool:
    """Whether coordinates are numbers, and none so far away that arithmetic suffers."""
    return bool((np.abs(numbers) < 1e6).all())


def _box_of(four: F64) -> Box:
    x0, y0, x1, y1 = four.tolist()
    return x0, y0, x1, y1


# --- areas -----------------------------------------------------------------------------------------------------------


def _ground(canvas: Canvas, annotations: Annotations, categories: Mapping[int, Category]) -> None:
    """The panoptic or semantic raster, where no object has a mask of its own."""
    classes = _classes_on_ground(annotations, categories)
    raster = annotations.panoptic if annotations.panoptic is not None else annotations.semantic
    if raster is not None and classes:
        _raster(canvas, raster, {value: label_of(categories.get(c), c) for value, c in classes.items()})


def _classes_on_ground(annotations: Annotations, categories: Mapping[int, Category]) -> dict[int, int]:
    """Value → category id of the raster that is drawn, if one is: neither background nor void."""
    objects = annotations.objects
    if any(_has_mask(annotations, i) for i in range(len(objects))):
        return {}
    if annotations.panoptic is not None:
        return {int(s["id"]): int(s.get("category_id", 0)) for s in annotations.segments_info if "id" in s}
    if annotations.semantic is None:
        return {}
    nothing = {0, 255, int(np.iinfo(annotations.semantic.dtype).max)}
    values = [int(v) for v in np.unique(annotations.semantic)]
    return {v: v for v in values if v in categories or v not in nothing}


def _has_mask(annotations: Annotations, row: int) -> bool:
    objects = annotations.objects
    drawn = annotations.instance is not None and objects.instance[row] > 0
    return drawn or objects.segmentation[row] is not None


def _raster(canvas: Canvas, raster: Raster, labels: Mapping[int, int]) -> None:
    """Every value in its colour, translucent, with a thin line between the regions."""
    values, places = np.unique(raster, return_inverse=True)
    table = np.zeros((len(values), 4), np.uint8)
    for i, value in enumerate(values.tolist()):
        if value in labels:
            table[i] = (*color_of(labels[value]), 255)
    places = places.reshape(raster.shape).astype(np.int32)
    colors = table[places]
    colors[:, :, :3][colors[:, :, 3] == 0] = 0
    shrunk = cv2.resize(colors, canvas.size_wh, interpolation=_resize_by(raster.shape, canvas.size_wh))
    share = shrunk[:, :, 3:].astype(np.float32) / np.float32(255.0)
    canvas.pixels[...] = np.rint(canvas.pixels * (1.0 - _FILL * share) + _FILL * shrunk[:, :, :3])
    nearest = cv2.resize(places, canvas.size_wh, interpolation=cv2.INTER_NEAREST)
    edges = np.zeros(nearest.shape, np.float32)
    edges[:, 1:] = nearest[:, 1:] != nearest[:, :-1]
    edges[1:] = np.maximum(edges[1:], nearest[1:] != nearest[:-1])
    canvas.lay(edges, (0, 0), WHITE, 0.55)


def _resize_by(shape_hw: tuple[int, ...], size_wh: tuple[int, int]) -> int:
    return cv2.INTER_AREA if size_wh[0] <= shape_hw[1] and size_wh[1] <= shape_hw[0] else cv2.INTER_NEAREST


def _coverage(
    canvas: Canvas, annotations: Annotations, row: int, scale_xy: tuple[float, float], margin: float
) -> tuple[F32, tuple[int, int]] | None:
    """How much of each pixel an object's mask covers, and where the first pixel lies."""
    segmentation = annotations.objects.segmentation[row]
    instance = int(annotations.objects.instance[row])
    if isinstance(segmentation, Rings):
        rings = [ring * scale_xy for ring in segmentation.rings if len(ring) >= 3 and _drawable(ring)]
        if not rings:
            return None
        points = np.concatenate(rings)
        window = canvas.window(_box_of(np.concatenate([points.min(axis=0), points.max(axis=0)])), margin)
        if window[2] <= window[0] or window[3] <= window[1]:
            return None
        return ink.rings_coverage(rings, window), window[:2]
    if isinstance(segmentation, Rle):
        bitmap, at = window_of(segmentation)
    elif annotations.instance is not None and instance > 0:
        bitmap, at = _bitmap_in(annotations.instance, instance)
    else:
        return None
    (h, w), (x, y), (sx, sy) = bitmap.shape, at, scale_xy
    window = canvas.window((x * sx, y * sy, (x + w) * sx, (y + h) * sy), margin)
    if not bitmap.size or window[2] <= window[0] or window[3] <= window[1]:
        return None
    return ink.bitmap_coverage(bitmap, at, scale_xy, window), window[:2]


def _bitmap_in(raster: Raster, value: int) -> tuple[U8, tuple[int, int]]:
    """The tight bitmap of one value in a raster, and its top left pixel."""
    found = raster == value
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    if not rows.size:
        return np.zeros((0, 0), np.uint8), (0, 0)
    y, x = int(rows[0]), int(columns[0])
    return found[y : rows[-1] + 1, x : columns[-1] + 1].astype(np.uint8), (x, y)


def _mask(canvas: Canvas, pen: _Pen, annotations: Annotations, thing: _Thing, scale_xy: tuple[float, float]) -> None:
    """A translucent fill and a thin line along its inside."""
    rim = max(1, round(pen.line * 0.6))
    covered = _coverage(canvas, annotations, thing.row, scale_xy, rim + 1.0)
    if covered is None:
        return
    coverage, at = covered
    has_body = annotations.objects.keypoints[thing.row] is not None
    canvas.lay(coverage, at, thing.color, 0.6 * _FILL if has_body else _FILL)
    canvas.lay(ink.rim_of(coverage, rim), at, thing.color, 0.95)


# --- lines -----------------------------------------------------------------------------------------------------------


def _box(canvas: Canvas, pen: _Pen, thing: _Thing) -> None:
    """The box, the oriented box and the boxes of parts."""
    width = min(pen.line, max(1.0, min(thing.sides) / 8.0))
    if thing.obb is not None and _drawable(thing.obb):
        corners: list[Point] = [(float(x), float(y)) for x, y in thing.obb]
        canvas.frame(thing.box, 1.0, thing.color, 0.45)
        canvas.lines(corners, width + 2.0 * pen.shade, BLACK, _SHADE, closed=True)
        canvas.lines(corners, width, thing.color, closed=True)
    else:
        if thing.has_mask:
            width = min(width, 0.75 * pen.line)
        canvas.frame(thing.box, -pen.shade, BLACK, _SHADE)
        canvas.frame(thing.box, width, thing.color)
    light = tuple(round(0.45 * c + 0.55 * 255) for c in thing.color)
    for part in thing.parts:
        if _drawable(part):
            _dashed(canvas, part, max(1.0, 0.7 * pen.line), (light[0], light[1], light[2]))


def _dashed(canvas: Canvas, box: Box, width: float, color: Rgb) -> None:
    """A line along the inside of a box, dashed with dark gaps."""
    canvas.frame(box, width, BLACK, _SHADE)
    half = width / 2.0
    x0, y0, x1, y1 = box[0] + half, box[1] + half, box[2] - half, box[3] - half
    if x1 > x0 and y1 > y0:
        canvas.lines([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], width, color, dash=3.0 * width, closed=True)


def _crowd(canvas: Canvas, pen: _Pen, annotations: Annotations, thing: _Thing, scale_xy: tuple[float, float]) -> None:
    """Stripes over the region, which is its mask or else its box, in a dashed box."""
    covered = _coverage(canvas, annotations, thing.row, scale_xy, 2.0)
    if covered is None:
        window = canvas.window(thing.box)
        if window[2] <= window[0] or window[3] <= window[1]:
            return
        covered = ink.box_coverage(thing.box, window), window[:2]
    coverage, at = covered
    canvas.lay(coverage, at, thing.color, 0.15)
    canvas.lay(ink.hatched(coverage, at, 4.0 * pen.line), at, thing.color, 0.7)
    canvas.lay(ink.rim_of(coverage, 1), at, thing.color, 0.7)
    _dashed(canvas, thing.box, pen.line, thing.color)


def _keypoints(canvas: Canvas, pen: _Pen, objects: Objects, thing: _Thing, scale_xy: tuple[float, float]) -> None:
    """Skeleton, then dots: full where seen (v = 2), hollow where hidden (v = 1), green on the left, orange right."""
    keypoints = objects.keypoints[thing.row]
    if keypoints is None or not len(keypoints):
        return
    names = thing.category.keypoints if thing.category is not None else ()
    sides = [side_of(names[i]) if i < len(names) else MIDDLE for i in range(len(keypoints))]
    placed = {
        i: (float(x) * scale_xy[0], float(y) * scale_xy[1])
        for i, (x, y, v) in enumerate(keypoints)
        if v > 0 and _drawable((x, y))
    }
    size = min(1.0, max(0.45, max(thing.sides) / (55.0 * pen.line)))  # a small body gets small dots
    radius, width = 1.75 * pen.line * size, 0.95 * pen.line * size
    bones = [(a - 1, b - 1) for a, b in (thing.category.skeleton if thing.category is not None else ())]
    bones = [(a, b) for a, b in bones if a in placed and b in placed]
    for a, b in bones:
        canvas.lines((placed[a], placed[b]), width + 1.6, BLACK, 0.4)
    for a, b in bones:
        color = sides[a] if sides[a] == sides[b] else sides[b] if sides[a] == MIDDLE else sides[a]
        color = color if MIDDLE in (sides[a], sides[b]) or sides[a] == sides[b] else MIDDLE
        canvas.lines((placed[a], placed[b]), width, color, 0.9)
    for i, point in placed.items():
        canvas.disc(point, radius + 1.4, BLACK, 0.45)
        if keypoints[i, 2] >= 2:
            canvas.disc(point, radius + 0.7, WHITE)
            canvas.disc(point, radius - 0.3, sides[i])
        else:
            canvas.disc(point, radius + 0.7, sides[i], hole=max(0.6, radius - 0.7))


def side_of(keypoint: str) -> Rgb:
    """The colour of a keypoint's side of the body, as far as its name tells."""
    name = keypoint.lower()
    return LEFT if _IS_LEFT.search(name) else RIGHT if _IS_RIGHT.search(name) else MIDDLE


# --- words -----------------------------------------------------------------------------------------------------------


def _names(canvas: Canvas, pen: _Pen, things: Sequence[_Thing], about: str) -> None:
    """Class names at their boxes where there is room, and what is said of the whole picture along the bottom."""
    w, h = canvas.size_wh
    dense = len(things) > 8
    size = max(8.5, 0.85 * pen.text) if dense else pen.text
    height = math.ceil(1.45 * size)
    taken: list[Box] = [(0.0, h - height, w, h)] if about else []
    for thing in things if len(things) <= MOST_NAMES else ():
        if max(thing.sides) < (2.2 if dense else 1.4) * size:
            continue
        pad = round(0.35 * size)
        words = ink.fitted(thing.name, size, 0.6 * w - 2 * pad)
        width = math.ceil(ink.text_width(words, size)) + 2 * pad
        place = _room(thing.box, (width, height), (w, h), taken) if words else None
        if place is not None:
            taken.append(place)
            canvas.plate(place, 0.25 * size, thing.color, 0.95)
            baseline = round(place[1] + (height + ink.cap_height(size)) / 2.0)
            canvas.text(words, (place[0] + pad, baseline), size, ink.text_color_on(thing.color))
    if about:
        canvas.lay(np.ones((height, w), np.float32), (0, h - height), BLACK, 0.6)
        words = ink.fitted(about, size, w - 8)
        canvas.text(words, (4, round(h - height + (height + ink.cap_height(size)) / 2.0)), size, WHITE)


def _room(box: Box, size_wh: tuple[float, float], picture_wh: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Where a name fits: above its box, else inside or below."""
    (w, h), (x0, y0, x1, y1) = size_wh, box
    left, right = round(x0), round(x1 - w)
    above, inside, below = round(y0) - h, round(y0), round(y1)
    tops = (above, inside, below, below - h) if y1 - y0 > 2.5 * h else (above, below, inside)  # hide nothing small
    for x in (left, right):
        held = max(0, min(x, picture_wh[0] - w))
        for y in tops:
            place = (held, y, held + w, y + h)
            if y >= 0 and place[2] <= picture_wh[0] and place[3] <= picture_wh[1] and not _touches(place, taken):
                return place
    return None


def _touches(box: Box, others: Sequence[Box]) -> bool:
    return any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in others)
