"""Labels drawn on a picture: every kind at once, exact to a fraction of a pixel, and still a picture to look at.

In this order: rasters, masks, boxes, oriented boxes, parts, crowds, keypoints, class names, tags. A box has a line
along the inside of its edge and a thin dark one along the outside; the edge is where the two meet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from augpipe.core.annotations import F64, U8, Annotations, Category, Raster, Rings, Rle
from augpipe.core.opencv import cv2
from augpipe.core.plan import Rgb
from augpipe.labels.rle import window_of
from augpipe.viz.canvas import (
    BLACK,
    F32,
    WHITE,
    Box,
    Canvas,
    Point,
    bitmap_coverage,
    box_coverage,
    cap_height,
    color_of,
    fitted,
    hatched,
    rim_of,
    rings_coverage,
    shown,
    text_color_on,
    text_width,
)

Scale: TypeAlias = float | tuple[float, float]
"""From label coordinates to the picture's: one factor, or one for x and one for y."""

MOST_NAMES = 25
"""The most objects of a picture whose class names are drawn."""

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
        picture: gray (H, W) or RGB (H, W, 3); not changed.
        annotations: its labels, before scaling.
        categories: by id. A missing category gets the colour and name of its number.
        scale: how far the picture has been scaled already. Lines and letters are not scaled, so they stay crisp.
    """
    scale_xy = scale if isinstance(scale, tuple) else (scale, scale)
    drawing = _Drawing(Canvas(picture), annotations, categories, scale_xy)
    things = drawing.things()
    objects, crowds = [t for t in things if not t.crowd], [t for t in things if t.crowd]
    drawing.ground()
    passes = ((drawing.mask, objects), (drawing.box, objects), (drawing.crowd, crowds), (drawing.keypoints, things))
    for draw, some in passes:
        for thing in some:
            draw(thing)
    drawing.names(things)
    return drawing.canvas.pixels


def words_of_picture(annotations: Annotations) -> str:
    """The picture's tags, else its first caption, on one line."""
    return " · ".join(map(shown, annotations.tags or annotations.captions[:1]))


def classes_of(annotations: Annotations, categories: Mapping[int, Category]) -> set[int]:
    """The category ids that are drawn."""
    found = {int(c) for c in annotations.objects.category_id}
    return found | set(_classes_on_ground(annotations, categories).values())


def name_of(category: Category | None, category_id: int) -> str:
    """The class name in letters that can be drawn; 'class 3' where it has none of them."""
    name = shown(category.name).strip() if category is not None else ""
    return name if any(c.isalnum() for c in name) else f"class {label_of(category, category_id)}"


def label_of(category: Category | None, category_id: int) -> int:
    """The number that gives the colour."""
    return category.label if category is not None else category_id


def side_of(keypoint: str) -> Rgb:
    """The colour of a keypoint's side of the body, as far as its name tells."""
    name = keypoint.lower()
    return LEFT if _IS_LEFT.search(name) else RIGHT if _IS_RIGHT.search(name) else MIDDLE


@dataclass(frozen=True)
class _Thing:
    """One object as it is drawn: its row in the columns, its box and oriented box on the picture, its class."""

    row: int
    box: Box
    color: Rgb
    name: str
    category: Category | None
    crowd: bool
    obb: F64 | None
    parts: tuple[Box, ...]

    @property
    def size_wh(self) -> tuple[float, float]:
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


def _drawable(numbers: Sequence[float] | F64) -> bool:
    """Whether coordinates are numbers, and none so far away that arithmetic suffers."""
    return bool((np.abs(numbers) < 1e6).all())


def _box_of(four: F64) -> Box:
    x0, y0, x1, y1 = four.tolist()
    return x0, y0, x1, y1


def _has_mask(annotations: Annotations, row: int) -> bool:
    objects = annotations.objects
    drawn = annotations.instance is not None and objects.instance[row] > 0
    return drawn or objects.segmentation[row] is not None


def _classes_on_ground(annotations: Annotations, categories: Mapping[int, Category]) -> dict[int, int]:
    """Value → category id of the panoptic or semantic raster, without background and void.

    Empty where an object has a mask of its own: the raster is not drawn then.
    """
    if any(_has_mask(annotations, i) for i in range(len(annotations.objects))):
        return {}
    if annotations.panoptic is not None:
        return {int(s["id"]): int(s.get("category_id", 0)) for s in annotations.segments_info if "id" in s}
    if annotations.semantic is None:
        return {}
    nothing = {0, 255, int(np.iinfo(annotations.semantic.dtype).max)}
    values = [int(v) for v in np.unique(annotations.semantic)]
    return {v: v for v in values if v in categories or v not in nothing}


def _bitmap_in(raster: Raster, value: int) -> tuple[U8, tuple[int, int]]:
    """The tight bitmap of one value in a raster, and its top left pixel."""
    found = raster == value
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    if not rows.size:
        return np.zeros((0, 0), np.uint8), (0, 0)
    y, x = int(rows[0]), int(columns[0])
    return found[y : rows[-1] + 1, x : columns[-1] + 1].astype(np.uint8), (x, y)


class _Drawing:
    """Labels on their way to a canvas. Lines and letters grow with the root of the picture's longer side."""

    def __init__(
        self, canvas: Canvas, annotations: Annotations, categories: Mapping[int, Category], scale_xy: Point
    ) -> None:
        self.canvas, self.annotations, self.categories, self.scale_xy = canvas, annotations, categories, scale_xy
        grown = math.sqrt(max(canvas.size_wh) / 320.0)
        self.line_px = min(8.0, max(1.25, 1.9 * grown))
        self.shade_px = min(3.0, max(0.75, 0.9 * grown))
        self.text_px = min(48.0, max(9.0, 11 * grown))

    def things(self) -> list[_Thing]:
        """The objects with finite boxes, large ones first, so that small ones lie on top."""
        objects, four = self.annotations.objects, (*self.scale_xy, *self.scale_xy)
        found = []
        for i, category_id in enumerate(objects.category_id.tolist()):
            box, obb, category = _box_of(objects.boxes_xyxy[i] * four), objects.obb[i], self.categories.get(category_id)
            if _drawable(box):
                thing = _Thing(
                    row=i,
                    box=box,
                    color=color_of(label_of(category, category_id)),
                    name=name_of(category, category_id),
                    category=category,
                    crowd=bool(objects.iscrowd[i]),
                    obb=None if obb is None else obb * self.scale_xy,
                    parts=tuple(_box_of(np.multiply(part.box_xyxy, four)) for part in objects.parts[i]),
                )
                found.append(thing)
        return sorted(found, key=lambda t: -t.size_wh[0] * t.size_wh[1])

    # --- areas

    def ground(self) -> None:
        """The panoptic or semantic raster: every class translucent, with a thin line between the regions."""
        classes = _classes_on_ground(self.annotations, self.categories)
        raster = self.annotations.panoptic if self.annotations.panoptic is not None else self.annotations.semantic
        if raster is None or not classes:
            return
        size_wh = self.canvas.size_wh
        values, places = np.unique(raster, return_inverse=True)
        colors = np.zeros((len(values), 4), np.uint8)
        for i, value in enumerate(values.tolist()):
            if value in classes:
                colors[i] = (*color_of(label_of(self.categories.get(classes[value]), classes[value])), 255)
        places = places.reshape(raster.shape).astype(np.int32)
        shrinks = size_wh[0] <= raster.shape[1] and size_wh[1] <= raster.shape[0]
        shrunk = cv2.resize(colors[places], size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
        share = shrunk[:, :, 3:].astype(np.float32) / np.float32(255.0)
        pixels = self.canvas.pixels
        pixels[...] = np.rint(pixels * (1.0 - _FILL * share) + _FILL * shrunk[:, :, :3])
        nearest = cv2.resize(places, size_wh, interpolation=cv2.INTER_NEAREST)
        edges = np.zeros(nearest.shape, np.float32)
        edges[:, 1:] = nearest[:, 1:] != nearest[:, :-1]
        edges[1:] = np.maximum(edges[1:], nearest[1:] != nearest[:-1])
        self.canvas.lay(edges, (0, 0), WHITE, 0.55)

    def coverage(self, row: int, margin: float) -> tuple[F32, tuple[int, int]] | None:
        """The coverage of an object's mask and its top left pixel; ``None`` if nothing of it is on the picture."""
        segmentation, instance = self.annotations.objects.segmentation[row], int(self.annotations.objects.instance[row])
        if isinstance(segmentation, Rings):
            rings = [ring * self.scale_xy for ring in segmentation.rings if len(ring) >= 3 and _drawable(ring)]
            if not rings:
                return None
            points = np.concatenate(rings)
            window = self.canvas.window(_box_of(np.concatenate([points.min(axis=0), points.max(axis=0)])), margin)
            x0, y0, x1, y1 = window
            return (rings_coverage(rings, window), (x0, y0)) if x1 > x0 and y1 > y0 else None
        if isinstance(segmentation, Rle):
            bitmap, at = window_of(segmentation)
        elif self.annotations.instance is not None and instance > 0:
            bitmap, at = _bitmap_in(self.annotations.instance, instance)
        else:
            return None
        (h, w), (x, y), (sx, sy) = bitmap.shape, at, self.scale_xy
        window = x0, y0, x1, y1 = self.canvas.window((x * sx, y * sy, (x + w) * sx, (y + h) * sy), margin)
        if not bitmap.size or x1 <= x0 or y1 <= y0:
            return None
        return bitmap_coverage(bitmap, at, self.scale_xy, window), (x0, y0)

    def mask(self, thing: _Thing) -> None:
        """A translucent fill and a thin line along its inside."""
        rim = max(1, round(self.line_px * 0.6))
        covered = self.coverage(thing.row, rim + 1.0)
        if covered is not None:
            has_body = self.annotations.objects.keypoints[thing.row] is not None
            self.canvas.lay(*covered, thing.color, 0.6 * _FILL if has_body else _FILL)
            self.canvas.lay(rim_of(covered[0], rim), covered[1], thing.color, 0.95)

    # --- lines

    def box(self, thing: _Thing) -> None:
        """The box, the oriented box and the boxes of parts."""
        canvas, width = self.canvas, min(self.line_px, max(1.0, min(thing.size_wh) / 8.0))
        if thing.obb is not None and _drawable(thing.obb):
            corners = [(float(x), float(y)) for x, y in thing.obb]
            canvas.frame(thing.box, 1.0, thing.color, 0.45)
            canvas.lines(corners, width + 2.0 * self.shade_px, BLACK, _SHADE, closed=True)
            canvas.lines(corners, width, thing.color, closed=True)
        else:
            if _has_mask(self.annotations, thing.row):
                width = min(width, 0.75 * self.line_px)
            canvas.frame(thing.box, -self.shade_px, BLACK, _SHADE)
            canvas.frame(thing.box, width, thing.color)
        red, green, blue = (round(0.45 * c + 0.55 * 255) for c in thing.color)
        for part in thing.parts:
            if _drawable(part):
                self.dashed(part, max(1.0, 0.7 * self.line_px), (red, green, blue))

    def dashed(self, box: Box, width: float, color: Rgb) -> None:
        """A line along the inside of a box, dashed with dark gaps."""
        self.canvas.frame(box, width, BLACK, _SHADE)
        half = width / 2.0
        x0, y0, x1, y1 = box[0] + half, box[1] + half, box[2] - half, box[3] - half
        if x1 > x0 and y1 > y0:
            corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
            self.canvas.lines(corners, width, color, dash=3.0 * width, closed=True)

    def crowd(self, thing: _Thing) -> None:
        """Stripes over the region, which is its mask or else its box, in a dashed box."""
        covered = self.coverage(thing.row, 2.0)
        if covered is None:
            window = self.canvas.window(thing.box)
            covered = box_coverage(thing.box, window), window[:2]
        coverage, at = covered
        if not coverage.size:
            return
        self.canvas.lay(coverage, at, thing.color, 0.15)
        self.canvas.lay(hatched(coverage, at, 4.0 * self.line_px), at, thing.color, 0.7)
        self.canvas.lay(rim_of(coverage, 1), at, thing.color, 0.7)
        self.dashed(thing.box, self.line_px, thing.color)

    def keypoints(self, thing: _Thing) -> None:
        """Skeleton, then dots: full if seen (v = 2), hollow if hidden (v = 1); left is green, right is orange."""
        keypoints = self.annotations.objects.keypoints[thing.row]
        if keypoints is None or not len(keypoints):
            return
        canvas, category, (sx, sy) = self.canvas, thing.category, self.scale_xy
        names = category.keypoints if category is not None else ()
        sides = [side_of(names[i]) if i < len(names) else MIDDLE for i in range(len(keypoints))]
        rows = enumerate(keypoints.tolist())
        placed = {i: (x * sx, y * sy) for i, (x, y, v) in rows if v > 0 and _drawable((x, y))}
        size = min(1.0, max(0.45, max(thing.size_wh) / (55.0 * self.line_px)))  # a small body gets small dots
        radius, width = 1.75 * self.line_px * size, 0.95 * self.line_px * size
        skeleton = category.skeleton if category is not None else ()
        bones = [(a - 1, b - 1) for a, b in skeleton if a - 1 in placed and b - 1 in placed]
        for a, b in bones:
            canvas.lines((placed[a], placed[b]), width + 1.6, BLACK, 0.4)
        for a, b in bones:
            of_sides = {sides[a], sides[b]} - {MIDDLE}
            color = of_sides.pop() if len(of_sides) == 1 else MIDDLE
            canvas.lines((placed[a], placed[b]), width, color, 0.9)
        for i, point in placed.items():
            canvas.disc(point, radius + 1.4, BLACK, 0.45)
            if keypoints[i, 2] >= 2:
                canvas.disc(point, radius + 0.7, WHITE)
                canvas.disc(point, radius - 0.3, sides[i])
            else:
                canvas.disc(point, radius + 0.7, sides[i], hole=max(0.6, radius - 0.7))

    # --- words

    def names(self, things: Sequence[_Thing]) -> None:
        """Class names at their boxes where there is room, and what is said of the whole picture along the bottom."""
        (w, h), canvas, about = self.canvas.size_wh, self.canvas, words_of_picture(self.annotations)
        dense = len(things) > 8
        size = max(8.5, 0.85 * self.text_px) if dense else self.text_px
        height, pad = math.ceil(1.45 * size), round(0.35 * size)
        baseline = (height + cap_height(size)) / 2.0
        taken: list[Box] = [(0.0, h - height, w, h)] if about else []
        for thing in things if len(things) <= MOST_NAMES else ():
            if max(thing.size_wh) < (2.2 if dense else 1.4) * size:
                continue
            words = fitted(thing.name, size, 0.6 * w - 2 * pad)
            width = math.ceil(text_width(words, size)) + 2 * pad
            place = _room(thing.box, (width, height), (w, h), taken) if words else None
            if place is not None:
                taken.append(place)
                canvas.plate(place, 0.25 * size, thing.color, 0.95)
                at = (place[0] + pad, round(place[1] + baseline))
                canvas.text(words, at, size, text_color_on(thing.color))
        if about:
            canvas.lay(np.ones((height, w), np.float32), (0, h - height), BLACK, 0.6)
            canvas.text(fitted(about, size, w - 8), (4, round(h - height + baseline)), size, WHITE)


def _room(box: Box, size_wh: tuple[float, float], picture_wh: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Where a name fits: above its box, else inside or below; ``None`` if there is no room."""
    (w, h), (x0, y0, x1, y1) = size_wh, box
    above, inside, below = round(y0) - h, round(y0), round(y1)
    tops = (above, inside, below, below - h) if y1 - y0 > 2.5 * h else (above, below, inside)  # hide nothing small
    for x in (round(x0), round(x1 - w)):
        left = max(0, min(x, picture_wh[0] - w))
        for y in tops:
            place = (left, y, left + w, y + h)
            if y >= 0 and place[2] <= picture_wh[0] and place[3] <= picture_wh[1] and not _touches(place, taken):
                return place
    return None


def _touches(box: Box, others: Sequence[Box]) -> bool:
    return any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in others)
