"""Boxes, ellipses and oriented boxes against paint, and against arithmetic by hand where a map is simple."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted import Particles, fill, in_convex

from augpipe.core import geometry as g
from augpipe.core.canvas import MatrixMap, follow
from augpipe.labels import boxes as o
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

quick = settings(derandomize=True, database=None, deadline=None, max_examples=60)

SIZE = (40, 30)
FINE = 8
TURN = g.rounded(g.about((20.0, 15.0), g.then(g.rotation(33.0), g.scaling(1.4, 0.9))))
TILT = g.rounded(g.then(g.scaling(1 / 40, 1 / 30), g.square_to_quad([(4, 1), (36, -3), (44, 27), (-4, 33)])))
HORIZON = g.rounded((1.0, 0.2, 0.0, 0.1, 1.0, 0.0, -0.04, 0.003, 1.0))  # past x = 25 there is no picture
BARS = PadFill(region=((6.0, 2.0), (36.0, 5.0), (33.0, 27.0), (4.0, 24.0)), fill=(0, 0, 0))


def warp(matrix, size_wh=SIZE):
    return Warp(matrix=matrix, size_wh=size_wh)


PLANS = {
    "turn": [warp(TURN)],
    "tilt": [warp(TILT)],
    "mirror": [warp(g.mirror_x(40))],
    "bars": [warp(TURN), BARS],
    "bars, then turn": [warp(g.translation(2.0, 1.0)), BARS, warp(TURN)],
    "two": [warp(g.translation(14.5, -8.25)), warp(TURN)],
    "shrink": [warp(g.scaling(0.3, 0.2), (12, 6))],
}


@st.composite
def boxes(draw):
    x, y = (
        sorted(draw(st.lists(st.integers(0, 40), min_size=2, max_size=2, unique=True))),
        sorted(draw(st.lists(st.integers(0, 30), min_size=2, max_size=2, unique=True))),
    )
    return np.array([x[0] + 0.003, y[0] + 0.007, x[1] + 0.003, y[1] + 0.007])


def ellipse_points(box, count=720):
    t = np.arange(count) * 2 * np.pi / count
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return centre + np.stack([np.cos(t), np.sin(t)], axis=1) * half


# --- cut outlines ----------------------------------------------------------------------------------------------------


def check_seen(outline, seen, steps, slack=0.0):
    """Box and share of an outline are those of its samples on their way through the plan."""
    particles = Particles(fill([outline], (41, 31), FINE), FINE).through(steps)
    if particles.box is None:
        assert seen.in_frame < 0.02
        return
    assert seen.in_frame == pytest.approx(particles.in_frame, abs=0.03)
    x0, y0, x1, y1 = seen.box_xyxy
    beyond = (np.array([x0, y0, x1, y1]) - particles.box) * [-1, -1, 1, 1]
    assert beyond.min() > -slack  # it holds every sample,
    assert beyond.max() < 1.0  # and no sample fits into the tip of a corner
    w, h = follow(steps, SIZE).size_wh
    assert 0.0 <= x0 < x1 <= w
    assert 0.0 <= y0 < y1 <= h


@pytest.mark.parametrize("name", PLANS)
@quick
@given(box=boxes())
def test_a_box_by_its_corners(name, box):
    steps = PLANS[name]
    (seen,) = o.cut_outlines(g.corners_of(box[None]), follow(steps, SIZE))
    check_seen(g.corners_of(box[None])[0], seen, steps)


@pytest.mark.parametrize("name", ["turn", "tilt", "bars"])
@quick
@given(box=boxes())
def test_a_box_by_its_ellipse(name, box):
    steps = PLANS[name]
    (seen,) = o.cut_outlines(o.ellipses_in(box[None]), follow(steps, SIZE))
    check_seen(ellipse_points(box), seen, steps, 0.04)  # the ellipse has 64 points


def test_all_at_once_is_one_by_one():
    rng = np.random.default_rng(3)
    corners = np.sort(rng.uniform(0, 1, (50, 2, 2)) * SIZE, axis=1).reshape(50, 4)
    for steps in PLANS.values():
        track = follow(steps, SIZE)
        together = o.cut_outlines(g.corners_of(corners), track)
        assert together == [o.cut_outlines(g.corners_of(box[None]), track)[0] for box in corners]


def test_a_box_that_a_map_keeps_upright_is_clipped_to_the_bit():
    boxes = np.array([[3.0, 4.0, 10.5, 9.25], [35.0, 20.0, 40.0, 30.0], [0.0, 0.0, 1.0, 1.0], [36.0, 2.0, 40.0, 3.0]])
    track = follow([warp(g.then(g.mirror_x(40), g.translation(-2.0, 3.0)))], SIZE)
    expected = [(27.5, 7.0, 35.0, 12.25), (0.0, 23.0, 3.0, 30.0), (37.0, 3.0, 38.0, 4.0), (0.0, 5.0, 2.0, 6.0)]
    seen = o.cut_outlines(g.corners_of(boxes), track)
    assert [s.box_xyxy for s in seen] == expected
    assert [s.in_frame for s in seen] == [1.0, 0.42, 1.0, 0.5]


@quick
@given(box=boxes(), degrees=st.integers(0, 359), scale=st.sampled_from([0.5, 1.3, 3.0]))
def test_the_canvas_clips_as_any_other_region_does(box, degrees, scale):
    turn = [warp(g.rounded(g.about((20.0, 15.0), g.then(g.rotation(degrees), g.scaling(scale, scale)))))]
    canvas = PadFill(region=g.rectangle(SIZE), fill=(0, 0, 0))
    for outlines in (g.corners_of(box[None]), o.ellipses_in(box[None])):
        (quick_way,), (general,) = (o.cut_outlines(outlines, follow(steps, SIZE)) for steps in (turn, [*turn, canvas]))
        assert quick_way.in_frame == pytest.approx(general.in_frame, abs=1e-9)
        if general.box_xyxy is not None:
            assert quick_way.box_xyxy == pytest.approx(general.box_xyxy, abs=1e-9)


@pytest.mark.parametrize(
    "by", [(40.0, 0.0), (0.0, 30.0), (-40.0, 0.0), (0.0, -30.0), (40.0 - 1e-9, 1e-9), (90.0, 90.0)]
)
def test_what_only_touches_the_frame_is_outside(by):
    frame = g.corners_of(np.array([[0.0, 0.0, 40.0, 30.0]]))
    assert o.cut_outlines(frame, follow([warp(g.translation(*by))], SIZE)) == [(None, 0.0, ())]


def test_an_outline_inside_is_all_there_to_the_bit():
    for matrix in (TURN, TILT):
        box = np.array([[18.0, 13.0, 22.0, 17.0]])
        (seen,) = o.cut_outlines(g.corners_of(box), follow([warp(matrix), BARS], SIZE))
        assert seen.in_frame == 1.0
        np.testing.assert_array_equal(seen.box_xyxy, g.bounds_of(g.move_points(matrix, g.corners_of(box)))[0])


def test_the_outline_itself_is_there_where_something_was_painted():
    corners = g.corners_of(np.array([[1.0, 1.0, 5.0, 5.0], [-2.0, -2.0, 2.0, 3.0]]))
    erase = Cutout(boxes_xyxy=((0, 0, 3, 3),), fill=(0, 0, 0))
    inside, crossing = o.cut_outlines(corners, follow([erase], SIZE))
    assert g.area_of(inside.outline) == 16.0
    assert g.area_of(crossing.outline) == 6.0
    (apart,) = o.cut_outlines(g.corners_of(np.array([[3.0, 1.0, 5.0, 5.0]])), follow([erase], SIZE))
    assert apart.outline == ()


def test_the_part_behind_a_horizon_has_no_image():
    front, across, behind = o.cut_outlines(
        g.corners_of(np.array([[2.0, 2.0, 8.0, 8.0], [2.0, 5.0, 38.0, 9.0], [30.0, 2.0, 38.0, 8.0]])),
        follow([warp(HORIZON)], SIZE),
    )
    assert front.in_frame == 1.0
    assert across.box_xyxy[2] == 40.0  # it goes on to the edge and beyond
    assert 0.0 < across.in_frame < 0.01
    assert behind == (None, 0.0, ())


# --- points ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", [BARS.region, BARS.region[::-1], g.rectangle(SIZE), BARS.region[:3]], ids=str)
def test_points_inside(region):
    points = np.random.default_rng(1).uniform(-5, 45, (40, 25, 2))
    expected = in_convex(points.reshape(-1, 2), region).reshape(40, 25)
    assert 100 < expected.sum() < 900
    assert (o.points_inside(points, region) == expected).all()
    assert o.points_inside(np.array([region]), region).all()  # the edge belongs to it


@pytest.mark.parametrize("region", [(), ((1.0, 1.0),), ((0.0, 0.0), (9.0, 9.0))])
def test_no_point_is_inside_of_nothing(region):
    assert not o.points_inside(np.array([[0.0, 0.0], [1.0, 1.0]]), region).any()


# --- oriented boxes --------------------------------------------------------------------------------------------------


def oriented(x, y, w, h, degrees):
    return g.move_points(g.about((x, y), g.rotation(degrees)), np.array(g.corners_of(np.array(
        [[x - w / 2, y - h / 2, x + w / 2, y + h / 2]]))[0]))  # fmt: skip


def turn_of(quad):
    x, y = quad.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def check_rectangle(quad):
    sides = np.roll(quad, -1, axis=0) - quad
    np.testing.assert_allclose((sides * np.roll(sides, -1, axis=0)).sum(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(quad[0] + quad[2], quad[1] + quad[3], atol=1e-9)
    assert turn_of(quad) > 0.0  # clockwise on the screen


SIMILAR = {
    "turn": g.about((7.0, 3.0), g.rotation(71.0)),
    "zoom": g.scaling(2.5, 2.5),
    "turn, zoom and shift": g.then(g.then(g.rotation(-20.0), g.scaling(0.4, 0.4)), g.translation(9.0, 9.0)),
}
MIRRORED = {name: g.then(matrix, g.mirror_x(40)) for name, matrix in SIMILAR.items()}


@pytest.mark.parametrize("name", SIMILAR)
def test_a_similarity_leaves_an_oriented_box_as_it_is(name):
    obb = oriented(14.0, 12.0, 10.0, 4.0, 25.0)
    moved = o.move_obb(obb, MatrixMap(g.rounded(SIMILAR[name])))
    np.testing.assert_allclose(moved, g.move_points(SIMILAR[name], obb), atol=1e-4)
    assert turn_of(moved) > 0.0


@pytest.mark.parametrize("name", MIRRORED)
def test_a_mirrored_oriented_box_runs_clockwise_again_along_its_first_side_first(name):
    obb = oriented(14.0, 12.0, 10.0, 4.0, 25.0)
    moved = o.move_obb(obb, MatrixMap(g.rounded(MIRRORED[name])))
    np.testing.assert_allclose(moved, g.move_points(MIRRORED[name], obb)[[1, 0, 3, 2]], atol=1e-4)
    assert turn_of(moved) > 0.0


SKEWED = {
    "shear": g.shearing(25.0, 0.0),
    "stretch": g.scaling(2.0, 0.7),
    "affine": TURN,
    "tilt": TILT,
    "mirrored shear": g.then(g.shearing(25.0, 5.0), g.mirror_y(30)),
}


@pytest.mark.parametrize("name", SKEWED)
@quick
@given(st.floats(5, 30), st.floats(5, 25), st.floats(2, 12), st.floats(2, 12), st.floats(-180, 180))
def test_another_map_gives_the_smallest_rectangle_around_it(name, x, y, w, h, degrees):
    obb, matrix = oriented(x, y, w, h, degrees), SKEWED[name]
    quad, moved = g.move_points(matrix, obb), o.move_obb(obb, MatrixMap(matrix))
    check_rectangle(moved)
    assert in_convex(moved.mean(axis=0) + (quad - moved.mean(axis=0)) * (1 - 1e-9), moved).all()
    angles = np.linspace(0.0, math.pi / 2, 2000)
    spans = [np.ptp(quad @ [[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]], axis=0).prod() for t in angles]
    assert abs(turn_of(moved)) / 2.0 <= min(spans) * (1 + 1e-9)
    away = np.abs(moved - quad[int(turn_of(quad) < 0.0)]).sum(axis=1)
    assert away[0] == away.min()  # it still starts at its first side


def test_a_stretched_upright_box_stays_upright():
    obb = np.array([[2.0, 3.0], [8.0, 3.0], [8.0, 5.0], [2.0, 5.0]])
    np.testing.assert_allclose(o.move_obb(obb, MatrixMap(g.scaling(3.0, 2.0))), obb * [3.0, 2.0], atol=1e-12)


def test_an_oriented_box_behind_the_horizon_is_none():
    assert o.move_obb(oriented(14.0, 12.0, 40.0, 4.0, 0.0), MatrixMap(HORIZON)) is None
    assert o.move_obb(oriented(8.0, 12.0, 10.0, 4.0, 0.0), MatrixMap(HORIZON)) is not None


def test_a_point_is_an_oriented_box_too():
    np.testing.assert_allclose(o.move_obb(np.array([[2.0, 3.0]] * 4), MatrixMap(g.scaling(3.0, 2.0))), [[6.0, 6.0]] * 4)


def test_clockwise_keeps_the_first_side():
    quad = ((0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0))
    assert o.clockwise(quad) == quad
    assert o.clockwise((quad[1], quad[0], quad[3], quad[2])) == quad
