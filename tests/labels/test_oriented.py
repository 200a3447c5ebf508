"""Oriented boxes over the edge of the frame, and in a mirror: beside shapely, OpenCV and torchvision."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import shapely
from oracles import import_torchvision, oracle_is_there
from scenes import SIZE, bars, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, Category, ObjectRow, objects_of
from augpipe.core.canvas import follow
from augpipe.labels import transform
from augpipe.labels.transform import LabelRules

RULES = LabelRules(min_area=0.0, min_side=0.0)
SHIP = {1: Category(1, 1, "ship")}
W, H = SIZE
FRAME = shapely.box(0, 0, W, H)


def oriented(x, y, w, h, degrees):
    box = np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]])
    return g.move_points(g.about((x, y), g.rotation(degrees)), g.corners_of(box)[0])


def labelled(obb, steps, rules=RULES, **more):
    box = shapely.Polygon(obb).intersection(FRAME).bounds or (0.0, 0.0, 1.0, 1.0)
    picture = Annotations(objects=objects_of([ObjectRow(0, 1, box, obb=np.array(obb, float), **more)]))
    return transform.apply(picture, follow(steps, SIZE), rules, SHIP)


def obb_of(obb, steps, **rules):
    (found,) = labelled(obb, steps, replace(RULES, **rules)).annotations.objects.obb
    return found


LONG = [[10.0, 10.0], [40.0, 10.0], [40.0, 20.0], [10.0, 20.0]]


@pytest.mark.parametrize(("x", "y", "expected"), [
    (0.0, 0.0, LONG),
    (-25.0, 0.0, [[0.0, 10.0], [15.0, 10.0], [15.0, 20.0], [0.0, 20.0]]),
    (40.0, 0.0, [[50.0, 10.0], [64.0, 10.0], [64.0, 20.0], [50.0, 20.0]]),
    (0.0, -14.0, [[10.0, 0.0], [40.0, 0.0], [40.0, 6.0], [10.0, 6.0]]),
    (-36.0, 0.0, [[0.0, 10.0], [4.0, 10.0], [4.0, 20.0], [0.0, 20.0]]),
])  # fmt: skip
def test_what_is_left_by_hand(x, y, expected):
    """Of an upright box: from its first corner on, also where the rest is higher than wide."""
    np.testing.assert_allclose(obb_of(LONG, [warp(g.translation(x, y))]), expected, atol=1e-9)


@pytest.mark.parametrize("first", range(4))
def test_the_first_side_keeps_its_direction(first):
    ring = np.roll(np.array(LONG), -first, axis=0)
    expected = [[0.0, 10.0], [4.0, 10.0], [4.0, 20.0], [0.0, 20.0]]
    np.testing.assert_allclose(
        obb_of(ring, [warp(g.translation(-36.0, 0.0))]), np.roll(expected, -first, axis=0), atol=1e-9
    )


@pytest.mark.parametrize("seed", range(120))
def test_it_is_the_smallest_rectangle_around_the_rest(seed):
    """Its area beside shapely's and OpenCV's, its place beside GEOS's intersection, its first side by arithmetic."""
    rng = np.random.default_rng(seed)
    obb = oriented(*rng.uniform((5, 5), (W - 5, H - 5)), *rng.uniform(3, 40, 2), rng.uniform(-180, 180))
    matrix = g.rounded(g.then(g.about((W / 2, H / 2), g.rotation(rng.uniform(-180, 180))),
                              g.translation(*rng.uniform(-30, 30, 2))))  # fmt: skip
    moved = g.move_points(matrix, np.array(shapely.Polygon(obb).intersection(FRAME).exterior.coords)[:-1])
    rest = shapely.Polygon(moved).intersection(FRAME)
    out = labelled(obb, [warp(matrix)])
    if rest.area < 1e-3:
        return
    (found,) = out.annotations.objects.obb
    rectangle, whole = shapely.Polygon(found), g.move_points(matrix, obb)
    assert rectangle.buffer(1e-6).covers(rest)
    sides = np.roll(found, -1, axis=0) - found
    np.testing.assert_allclose((sides * np.roll(sides, -1, axis=0)).sum(axis=1), 0.0, atol=1e-6)
    assert shapely.is_ccw(rectangle.exterior)  # clockwise where y points down
    if FRAME.covers(shapely.Polygon(whole)) and FRAME.covers(shapely.Polygon(obb)):
        np.testing.assert_allclose(found, whole, atol=1e-9)
        return
    least = shapely.minimum_rotated_rectangle(rest)
    if (np.ptp(least.exterior.coords, axis=0) < np.array(SIZE) - 0.01).all():
        assert rectangle.area == pytest.approx(least.area, rel=1e-9)
        by_opencv = cv2.minAreaRect(np.array(rest.exterior.coords, np.float32))
        assert rectangle.area == pytest.approx(math.prod(by_opencv[1]), rel=1e-3, abs=1e-2)
    first = whole[1] - whole[0]
    along = sides @ first / np.hypot(*sides.T)
    assert along[0] >= along.max() - 1e-6 * np.hypot(*first)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_left_is_what_ultralytics_takes(seed):
    """Also of what is larger than the picture: centre in it, and a box around it is no larger; rounded as written."""
    rng = np.random.default_rng(seed)
    obb = oriented(*rng.uniform((-10, -10), (W + 10, H + 10)), *rng.uniform(10, 90, 2), rng.uniform(-180, 180))
    if shapely.Polygon(obb).intersection(FRAME).area < 1.0:
        return
    out = labelled(obb, [warp(g.mirror_x(W))])
    (found,) = out.annotations.objects.obb
    low, high = np.round(found, 3).min(axis=0), np.round(found, 3).max(axis=0)
    assert ((low + high) / 2 >= 0.0).all()
    assert ((low + high) / 2 <= SIZE).all()
    assert (high - low <= SIZE).all()


def test_one_that_is_too_wide_is_turned_no_further_than_it_must():
    """The smallest rectangle around it is 49.4 high, the picture 48."""
    obb = oriented(34.0, 21.0, 44.8, 21.0, 110.0)
    height = np.ptp(obb[:, 1])
    assert height > H
    assert obb[:, 1].min() < 0.0
    found = obb_of(obb, [warp(g.translation(0.0, 0.0))])
    assert H - 0.01 < np.ptp(found[:, 1]) <= H
    rest = shapely.Polygon(obb).intersection(FRAME)
    angles = np.radians(np.linspace(0.0, 180.0, 40_000))
    points = np.array(rest.exterior.coords)
    sizes = []
    for c, s in zip(np.cos(angles), np.sin(angles), strict=True):
        long, wide = np.ptp(points @ np.array([c, s])), np.ptp(points @ np.array([-s, c]))
        if long * abs(c) + wide * abs(s) <= W and long * abs(s) + wide * abs(c) <= H:
            sizes.append(long * wide)
    assert shapely.Polygon(found).area == pytest.approx(min(sizes), rel=0.01)


OVER = oriented(20.0, 20.0, 30.0, 8.0, 30.0)


@pytest.mark.parametrize(("rule", "x", "stays"), [
    ("clip", -18.0, True), ("clip", -24.0, True), ("keep", -18.0, True), ("keep", -24.0, True),
    ("drop_centre", -18.0, True), ("drop_centre", -24.0, False),
])  # fmt: skip
def test_the_three_rules(rule, x, stays):
    steps = [warp(g.translation(x, 0.0))]
    out = labelled(OVER, steps, replace(RULES, obb=rule))
    assert [(d.reason, d.value) for d in out.dropped] == ([] if stays else [("outside", None)])
    if stays:
        (found,) = out.annotations.objects.obb
        whole = np.allclose(found, OVER + np.array([x, 0.0]))
        assert whole == (rule != "clip")
        assert out.shapes[0].box_xyxy == labelled(OVER, steps).shapes[0].box_xyxy


def test_bars_cut_as_the_frame_does():
    rest = shapely.Polygon(OVER).intersection(shapely.box(20, 0, W, H))
    found = obb_of(OVER, [bars(20.0, 0.0, W, H)])
    assert shapely.Polygon(found).area == pytest.approx(shapely.minimum_rotated_rectangle(rest).area)
    dropped = labelled(OVER, [bars(22.0, 0.0, W, H)], replace(RULES, obb="drop_centre")).dropped
    assert [d.reason for d in dropped] == ["outside"]


def test_a_crowd_stays_where_its_centre_has_left():
    out = labelled(OVER, [warp(g.translation(-24.0, 0.0))], replace(RULES, obb="drop_centre"), iscrowd=1)
    assert len(out.annotations.objects) == 1


@pytest.mark.parametrize("rule", ["clip", "keep", "drop_centre"])
def test_where_nothing_moves_it_stays_as_the_source_has_it(rule):
    """Also over the edge: a picture that is only recoloured loses nothing."""
    out = labelled(OVER - [24.0, 0.0], [], replace(RULES, obb=rule))
    assert out.dropped == ()
    np.testing.assert_array_equal(out.annotations.objects.obb[0], OVER - [24.0, 0.0])


@pytest.mark.slow
@oracle_is_there("torchvision")
@pytest.mark.parametrize("turn", ["horizontal", "vertical"])
@pytest.mark.parametrize("seed", range(8))
def test_a_mirrored_one_begins_where_torchvision_begins(turn, seed):
    """With the side that was the first one, in FORMAT.md's order, clockwise on the screen."""
    import torch

    import_torchvision()
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional

    rng = np.random.default_rng(seed)
    obb = oriented(*rng.uniform((25, 20), (39, 28)), *rng.uniform(5, 20, 2), rng.uniform(-180, 180))
    flip = getattr(functional, f"{turn}_flip")
    theirs = flip(
        tv_tensors.BoundingBoxes(torch.tensor(obb.reshape(1, 8)), format="XYXYXYXY", canvas_size=(H, W))
    ).numpy()
    matrix = g.mirror_x(W) if turn == "horizontal" else g.mirror_y(H)
    np.testing.assert_allclose(obb_of(obb, [warp(matrix)]), theirs.reshape(4, 2), atol=1e-9)


def test_a_source_that_runs_the_other_way_keeps_its_first_side():
    """Corners against the clock, as some tools write them: the same first side, mirrored or not."""
    ring = np.array(LONG)[[1, 0, 3, 2]]
    np.testing.assert_array_equal(obb_of(ring, []), LONG)
    mirrored = [[24.0, 10.0], [54.0, 10.0], [54.0, 20.0], [24.0, 20.0]]
    np.testing.assert_array_equal(obb_of(ring, [warp(g.mirror_x(W))]), mirrored)
