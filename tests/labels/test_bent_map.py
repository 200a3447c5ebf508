"""Labels through a map that bends lines: there is none in the product yet, so a wave is made here.

The oracle is dense sampling: an object is thousands of points, each sent forward by the formula of the wave alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from painted import enlarged, fill, in_convex

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, Category, ObjectRow, Rings, objects_of
from augpipe.core.canvas import CanvasState
from augpipe.labels.rle import rasterise, rle_of
from augpipe.labels.transform import LabelRules, apply

SIZE = (120, 90)
FINE = 5  # samples a pixel
CATEGORIES = {1: Category(1, 1, "thing", keypoints=("a", "b"))}


def wave(points_xy):
    """A smooth displacement of up to 6 pixels."""
    x, y = points_xy[..., 0], points_xy[..., 1]
    return np.stack([x + 6.0 * np.sin(y / 11.0), y + 4.0 * np.sin(x / 13.0 + 1.0)], axis=-1)


@dataclass(frozen=True)
class Wave:
    """The wave as a map, and a matrix behind it."""

    after: g.Matrix = g.IDENTITY
    is_exact = is_similar = is_affine = mirrors = False
    straight_length = 1.0

    def then(self, matrix):
        return Wave(g.then(self.after, matrix))

    def has_image(self, points_xy):
        return np.ones(points_xy.shape[:-1], bool)

    def part_with_image(self, region):
        return region

    def forward(self, points_xy):
        return g.move_points(self.after, wave(points_xy))

    def back(self, points_xy):
        target = g.move_points(g.inverse(self.after), points_xy)
        found = target
        for _ in range(60):  # d is a contraction: its slopes are below 6/11
            found = target - (wave(found) - found)
        return found

    def local_scale(self, at):
        steps = [self.back(np.add(at, s)) - self.back(np.subtract(at, s)) for s in ((0.5, 0.0), (0.0, 0.5))]
        (a, c), (b, d) = steps
        return math.hypot(a, b), math.hypot(c, d)


BENT = CanvasState(SIZE, Wave(), moved=True, source_wh=SIZE)
TURN = g.about((60.0, 45.0), g.rotation(30.0))
STATES = {
    "wave": BENT,
    "window of it": BENT.warped(g.translation(-25.0, -20.0), (70, 50)),
    "turned": BENT.warped(TURN, SIZE),
    "turned, in a frame": BENT.warped(TURN, SIZE).framed(((20.0, 10.0), (100.0, 15.0), (90.0, 80.0), (25.0, 70.0))),
    "painted over": replace(BENT, erased=(((30.0, 20.0), (50.0, 20.0), (50.0, 60.0), (30.0, 60.0)),)),
}
BOXES = [(10, 12, 52, 40), (60, 20, 110, 80), (0, 50, 40, 90), (55, 40, 75, 55), (100, 0, 120, 15)]
POLYGON = np.array([[15.0, 10.0], [80.0, 22.0], [62.0, 41.0], [95.0, 70.0], [20.0, 75.0], [44.0, 40.0]])
OBB = np.array([[40.0, 20.0], [70.0, 35.0], [60.0, 55.0], [30.0, 40.0]])


def samples(rings):
    """Points of the source picture that evenly fill rings."""
    return centres_of(fill(rings, SIZE, FINE))


def centres_of(canvas):
    """The centres of the samples that are set on a fine canvas."""
    rows, columns = np.nonzero(canvas)
    return np.stack([columns + 0.5, rows + 0.5], axis=1) / FINE


def expected(source, state):
    """(box around what is visible of points, share in the frame, share that is not painted over either)."""
    moved = g.move_points(state.map.after, wave(source))
    steps = [g.move_points(state.map.after, wave(source + s)) - moved for s in ([1e-4, 0.0], [0.0, 1e-4])]
    area = np.abs(steps[0][:, 0] * steps[1][:, 1] - steps[0][:, 1] * steps[1][:, 0])
    inside = in_convex(moved, state.visible)
    free = inside & ~np.any(
        [in_convex(moved, region) for region in state.erased] or [np.zeros(len(moved), bool)], axis=0
    )
    box = [*moved[inside].min(axis=0), *moved[inside].max(axis=0)] if inside.any() else None
    return box, area[inside].sum() / area.sum(), area[free].sum() / area.sum()


def labelled(rows, state, **rules):
    picture = Annotations(objects_of(rows))
    return apply(picture, state, LabelRules(0.0, 0.0, 0.0, **rules), CATEGORIES)


def check(shape, source, state, tolerance=0.3):
    box, in_frame, visible = expected(source, state)
    if box is None or shape.box_xyxy is None:
        assert in_frame < 0.002
        assert shape.box_xyxy is None
        return
    np.testing.assert_allclose(shape.box_xyxy, box, atol=tolerance)
    assert shape.in_frame == pytest.approx(in_frame, abs=0.02)
    assert shape.visible == pytest.approx(visible, abs=0.02)


def ring_of(box):
    x0, y0, x1, y1 = map(float, box)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def test_the_wave_has_an_inverse():
    points = np.random.default_rng(0).uniform(0, 90, (500, 2))
    for state in STATES.values():
        np.testing.assert_allclose(state.map.back(state.map.forward(points)), points, atol=1e-6)


@pytest.mark.parametrize("name", STATES)
def test_boxes(name):
    state = STATES[name]
    rows = [ObjectRow(i, 1, tuple(map(float, box))) for i, box in enumerate(BOXES)]
    out = labelled(rows, state)
    found = dict(zip(out.annotations.objects.index.tolist(), out.shapes, strict=True))
    for i, box in enumerate(BOXES):
        if i in found:
            check(found[i], samples([ring_of(box)]), state)
            assert found[i].box_from == "corners"
        else:
            assert expected(samples([ring_of(box)]), state)[1] < 0.002


@pytest.mark.parametrize("name", STATES)
def test_round_boxes(name):
    turns = np.arange(64) * math.pi / 32
    ring = np.stack([31.0 + 21.0 * np.cos(turns), 26.0 + 14.0 * np.sin(turns)], axis=1)
    (shape,) = labelled([ObjectRow(0, 1, (10.0, 12.0, 52.0, 40.0))], STATES[name], box="ellipse").shapes
    check(shape, samples([ring]), STATES[name])


@pytest.mark.parametrize("name", STATES)
def test_polygons(name):
    state = STATES[name]
    (shape,) = labelled([ObjectRow(0, 1, (15.0, 10.0, 95.0, 75.0), segmentation=Rings((POLYGON,)))], state).shapes
    assert shape.box_from == "polygon"
    check(shape, samples([POLYGON]), state, tolerance=0.5)  # samples miss a sharp corner
    assert shape.area == pytest.approx(fill(shape.segmentation.rings, state.size_wh, FINE).sum() / FINE**2, rel=0.01)
    canvas = fill(shape.segmentation.rings, state.size_wh, FINE)
    moved = g.move_points(state.map.after, wave(samples([POLYGON])))
    x, y = np.floor(moved[in_convex(moved, state.visible)] * FINE).astype(int).T
    kept = (x >= 0) & (y >= 0) & (x < canvas.shape[1]) & (y < canvas.shape[0])
    assert canvas[y[kept], x[kept]].mean() > 0.98  # nothing is missing; by its area nothing is extra


@pytest.mark.parametrize("name", STATES)
def test_keypoints(name):
    state = STATES[name]
    points = np.array([[31.0, 25.0, 2.0], [104.0, 70.0, 2.0], [5.0, 5.0, 1.0]])
    out = labelled([ObjectRow(0, 1, (0.0, 0.0, 120.0, 90.0), keypoints=points)], state)
    (found,) = out.annotations.objects.keypoints
    moved = g.move_points(state.map.after, wave(points[:, :2]))
    shown = in_convex(moved, state.visible)
    assert (found[:, 2] > 0).tolist() == shown.tolist()
    np.testing.assert_allclose(found[shown, :2], moved[shown], atol=1e-9)
    under = np.any([in_convex(moved, region) for region in state.erased] or [np.zeros(3, bool)], axis=0)
    assert found[shown & under, 2].tolist() == [1.0] * int((shown & under).sum())


@pytest.mark.parametrize("name", STATES)
def test_an_oriented_box_is_the_smallest_rectangle_around_it(name):
    state = STATES[name]
    out = labelled([ObjectRow(0, 1, (30.0, 20.0, 70.0, 55.0), obb=OBB)], state)
    (obb,), (shape,) = out.annotations.objects.obb, out.shapes
    check(shape, samples([OBB]), state)
    moved = g.move_points(state.map.after, wave(samples([OBB])))
    moved = moved[in_convex(moved, state.visible)]
    centre = obb.mean(axis=0)
    assert in_convex(moved, centre + (obb - centre) * 1.01).all()
    sides = np.linalg.norm(np.roll(obb, -1, axis=0) - obb, axis=1)
    spans = [np.ptp(moved @ [[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]], axis=0).prod()
             for t in np.linspace(0.0, math.pi / 2, 500)]  # fmt: skip
    assert sides[0] * sides[1] == pytest.approx(min(spans), rel=0.03)


@pytest.mark.parametrize("name", STATES)
def test_masks_and_rasters(name):
    state = STATES[name]
    bitmap = fill([POLYGON], SIZE, 1).astype(np.uint8)
    rows = [ObjectRow(0, 1, (15.0, 10.0, 95.0, 75.0), segmentation=rle_of(bitmap))]
    picture = replace(Annotations(objects_of(rows)), semantic=bitmap)
    out = apply(picture, state, LabelRules(0.0, 0.0, 0.0), CATEGORIES)
    w, h = state.size_wh
    centres = np.stack(np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5), axis=-1)
    x, y = np.moveaxis(np.floor(state.map.back(centres)).astype(int), -1, 0)
    inside = (x >= 0) & (y >= 0) & (x < SIZE[0]) & (y < SIZE[1])
    inside &= in_convex(centres.reshape(-1, 2), state.visible).reshape(h, w)
    wanted = np.where(inside, bitmap[np.where(inside, y, 0), np.where(inside, x, 0)], 255)
    assert np.array_equal(out.annotations.semantic, wanted)
    (shape,) = out.shapes
    assert np.array_equal(rasterise(shape.segmentation, state.size_wh), wanted == 1)
    check(shape, centres_of(enlarged(bitmap, FINE)), state, tolerance=1.0)
