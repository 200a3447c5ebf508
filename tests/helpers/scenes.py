"""Pictures' labels of every kind at once, made up from a number, and plans to send them through."""

from __future__ import annotations

import numpy as np

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, Category, ObjectAttributes, ObjectPart, ObjectRow, Rings, objects_of
from augpipe.labels import rle
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

SIZE = (64, 48)
NAMES = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
FACE = Category(1, 1, "face", keypoints=NAMES, flip_pairs=((1, 2), (3, 4)))
CATEGORIES = {1: FACE, 2: Category(2, 2, "thing"), 7: Category(7, 3, "stuff")}
BLACK = (0, 0, 0)


def star(rng, size_wh=SIZE, points=9):
    """A simple ring with corners of all kinds, inside the picture."""
    w, h = size_wh
    angles = (np.arange(points) + rng.uniform(0, 0.8, points)) * 2 * np.pi / points
    radii = rng.uniform(3, 12, points)
    middle = rng.uniform([10, 10], [w - 10, h - 10])
    ring = middle + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    return np.clip(np.round(ring * 8) / 8, 0, size_wh)


def blob(rng, size_wh=SIZE):
    """A lumpy mask (H, W)."""
    w, h = size_wh
    y, x = np.mgrid[:h, :w]
    cx, cy, rx, ry = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(3, 14), rng.uniform(3, 10)
    return ((x + 0.5 - cx) / rx) ** 2 + ((y + 0.5 - cy) / ry) ** 2 < 1 + 0.3 * np.sin(x) * np.cos(y)


def box_of_points(points):
    return tuple(float(v) for v in [*points.min(axis=0), *points.max(axis=0)])


def scene(seed, size_wh=SIZE):
    """Annotations with polygons, masks in an instance raster, plain and oriented boxes, keypoints, parts and rasters.

    Every number that can tell objects apart does: the id, the category, the instance, the first keypoint.
    """
    rng = np.random.default_rng(seed)
    w, h = size_wh
    instance = np.zeros((h, w), np.uint8)
    for i in range(12):
        instance[blob(rng, size_wh)] = i + 1
    rows = [_row(rng, i, i % 4, instance, size_wh) for i in range(12)]
    instance[blob(rng, size_wh) & (instance == 0)] = 255
    semantic = rng.choice(np.array([0, 1, 7, 40], np.uint8), (h // 4 + 1, w // 4 + 1)).repeat(4, 0).repeat(4, 1)[:h, :w]
    semantic[:2] = 255
    panoptic = (instance.astype(np.uint32) * 70_000 + 3).copy()
    ids = np.unique(panoptic).tolist()
    return Annotations(
        objects=objects_of([row for row in rows if row is not None]),
        semantic=np.ascontiguousarray(semantic),
        instance=np.where(np.isin(instance, [1, 5, 9, 255]), instance, 0).astype(np.uint8),
        panoptic=panoptic,
        segments_info=tuple({"id": v, "category_id": 2, "area": -1, "bbox": [], "isthing": 1} for v in ids),
        tags=("a", "b"),
        captions=("what is seen",),
        size_wh=size_wh,
        image_id=17,
        attributes={"license": 3},
    )


def _row(rng, i, kind, instance, size_wh):
    """Kinds: 0 mask of the instance raster, 1 polygons, 2 plain box, 3 oriented box."""
    facts = ObjectAttributes(id=1000 + i, difficult=i % 2, pose=f"pose {i}", attributes={"number": i})
    category = (1, 2, 7)[i % 3]
    common = {"index": i, "category_id": category, "facts": facts, "iscrowd": int(i % 5 == 0)}
    points = np.concatenate([rng.uniform(0, 1, (5, 2)) * size_wh, rng.integers(0, 3, (5, 1))], axis=1).round(2)
    keypoints = points if category == 1 else None
    if kind == 0:
        bitmap = (instance == i + 1).astype(np.uint8)
        if not bitmap.any():
            return None
        code = rle.rle_of(bitmap)
        window, (x, y) = rle.window_of(code)
        box = (float(x), float(y), float(x + window.shape[1]), float(y + window.shape[0]))
        return ObjectRow(box_xyxy=box, segmentation=code, instance=i + 1, keypoints=keypoints, **common)
    rings = tuple(star(rng, size_wh) for _ in range(1 + i % 2))
    box = box_of_points(np.concatenate(rings))
    if kind == 1:
        return ObjectRow(box_xyxy=box, segmentation=Rings(rings), keypoints=keypoints, **common)
    x0, y0, x1, y1 = box
    if kind == 2:
        part = ObjectPart(f"part of {i}", (x0, y0, (x0 + x1) / 2, y1))
        return ObjectRow(box_xyxy=box, parts=(part, ObjectPart("all", box)), keypoints=keypoints, **common)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    obb = g.move_points(g.about(middle, g.rotation(10.0 * i)), np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    inside = np.clip(g.clip_convex(tuple(map(tuple, obb.tolist())), g.rectangle(size_wh)), 0.0, size_wh)
    return ObjectRow(box_xyxy=box_of_points(inside), obb=obb, keypoints=keypoints, **common)


def warp(matrix, size_wh=SIZE):
    return Warp(matrix=g.rounded(matrix), size_wh=size_wh)


def erase(*boxes):
    return Cutout(boxes_xyxy=boxes, fill=BLACK)


def bars(x0, y0, x1, y1):
    return PadFill(region=((x0, y0), (x1, y0), (x1, y1), (x0, y1)), fill=BLACK)


CENTRE = (32.0, 24.0)
TURN = g.about(CENTRE, g.then(g.shearing(8.0, 0.0), g.rotation(23.0)))
TILT = g.then(g.scaling(1 / 64, 1 / 48), g.square_to_quad([(5, 1), (60, -4), (68, 44), (-6, 52)]))
HORIZON = (1.0, 0.1, 0.0, 0.1, 1.0, 0.0, -0.025, 0.002, 1.0)  # past x = 40 there is no picture
BARS = bars(6.0, 4.0, 58.0, 44.0)

PLANS = {
    "nothing": [],
    "no move": [Blur(sigma=1.0)],
    "mirror": [warp(g.mirror_x(64))],
    "quarter": [warp(g.quarter_turns(1, SIZE), (48, 64))],
    "transposed": [warp((0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0), (48, 64))],
    "crop": [warp(g.translation(-13.0, -9.0), (37, 30))],
    "pad": [warp(g.translation(5.0, 3.0), (80, 60)), bars(5.0, 3.0, 69.0, 51.0)],
    "half": [warp(g.scaling(0.5, 0.5), (32, 24))],
    "turn": [warp(TURN)],
    "mirrored turn": [warp(g.then(g.mirror_y(48), TURN))],
    "tilt": [warp(TILT)],
    "horizon": [warp(HORIZON)],
    "strong shrink": [warp(g.scaling(0.11, 0.07), (8, 4))],
    "huge zoom": [warp(g.about((30.3, 20.2), g.scaling(17.0, 17.0)))],
    "bars, then turn": [warp(g.translation(2.0, 1.0)), BARS, warp(TURN)],
    "turn, blur, tilt": [warp(TURN), Blur(sigma=1.0), warp(TILT, (70, 40))],
    "crop, then zoom out": [warp(g.translation(-16.0, -12.0), (32, 24)), warp(g.translation(16.0, 12.0))],
    "erase": [erase((5, 5, 30, 20), (40, 0, 64, 48))],
    "erase, then mirrored turn": [erase((5, 5, 30, 20)), warp(g.then(g.mirror_x(64), TURN)), BARS],
    "all of it erased": [erase((0, 0, 64, 48)), warp(TURN)],
    "all of it outside": [warp(g.translation(0.25, 50.0))],
}  # fmt: skip
