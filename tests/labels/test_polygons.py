"""Polygons against paint: every area and every cut is measured on a canvas of 8×8 samples a pixel."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from painted import fill, in_convex, looked_up

from augpipe.core import geometry as g
from augpipe.core.canvas import MatrixMap
from augpipe.labels import polygons as p
from augpipe.labels.polygons import is_tangled

quick = settings(derandomize=True, database=None, deadline=None, max_examples=60)

SIZE = (40, 30)
CANVAS = g.rectangle(SIZE)
FINE = 8

SQUARE = np.array([[5.0, 5.0], [15.0, 5.0], [15.0, 15.0], [5.0, 15.0]])
EIGHT = np.array([[5.0, 5.0], [25.0, 15.0], [25.0, 5.0], [5.0, 15.0]])  # its shoelace area is nothing
STAR = np.array([[20.0 + 14 * np.sin(4 * np.pi * k / 5), 15.0 - 14 * np.cos(4 * np.pi * k / 5)] for k in range(5)])
SPIKE = np.array([[5.0, 5.0], [15.0, 5.0], [35.0, 5.0], [15.0, 5.0], [15.0, 15.0], [5.0, 15.0]])
DOUBLED = SQUARE.repeat(3, axis=0)
LINE = np.array([[2.0, 2.0], [20.0, 20.0], [11.0, 11.0]])
POINT = np.array([[7.0, 7.0]] * 4)
# An outline, a step inwards, a hole, and the same step back: how a hole is said in one ring.
STEPS = [[2, 2], [30, 2], [30, 26], [16, 26], [16, 18], [22, 18], [22, 8], [8, 8], [8, 18], [16, 18], [16, 26], [2, 26]]
KEYHOLE = np.array(STEPS, float)
COMB = np.array([[-8, 2], [30, 2], [30, 6], [-8, 6], [-8, 9], [30, 9], [30, 13], [-8, 13], [-9, 13], [-9, 2]], float)


def painted_area(rings, size_wh=SIZE, fine=FINE):
    return fill(rings, size_wh, fine).sum() / fine**2


def inside(region, size_wh=SIZE, fine=FINE):
    """A convex region on the fine canvas."""
    w, h = size_wh
    x, y = np.meshgrid((np.arange(w * fine) + 0.5) / fine, (np.arange(h * fine) + 0.5) / fine)
    return in_convex(np.stack([x, y], axis=-1).reshape(-1, 2), region).reshape(x.shape)


def shifted(ring, x, y):
    return ring + np.array([x, y])


@st.composite
def rings_of_any_kind(draw):
    """Points at random: they cross themselves, repeat, and lie off the canvas."""
    count = draw(st.integers(3, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    points = rng.uniform([-15, -15], [55, 45], (count, 2))
    return np.round(points) + np.array([0.013, 0.008]) if draw(st.booleans()) else points  # off the samples


@st.composite
def simple_rings(draw):
    """Star-shaped about a point: no crossing."""
    count = draw(st.integers(3, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    angles = (np.arange(count) + rng.uniform(0, 0.8, count)) * 2 * np.pi / count
    radii = rng.uniform(4, 18, count)
    ring = rng.uniform([5, 5], [35, 25]) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    return ring[:: draw(st.sampled_from([1, -1]))]


REGIONS = [
    CANVAS,
    CANVAS[::-1],
    ((3.3, 2.0), (33.0, 6.0), (38.0, 25.5), (8.0, 28.0)),
    ((20.0, 1.0), (39.0, 29.0), (1.0, 29.0)),
]


# --- areas -----------------------------------------------------------------------------------------------------------

AREAS = [
    ("a square", [SQUARE], 100.0),
    ("turned the other way", [SQUARE[::-1]], 100.0),
    ("points repeated", [DOUBLED], 100.0),
    ("first point again at the end", [np.concatenate([SQUARE, SQUARE[:1]])], 100.0),
    ("a figure eight", [EIGHT], 100.0),
    ("a spike", [SPIKE], 100.0),
    ("a line", [LINE], 0.0),
    ("a point", [POINT], 0.0),
    ("two apart", [SQUARE, shifted(SQUARE, 12, 3)], 200.0),
    ("two side by side", [SQUARE, shifted(SQUARE, 10, 0)], 200.0),
    ("two that overlap", [SQUARE, shifted(SQUARE, 5, 0)], 150.0),
    ("twice the same", [SQUARE, SQUARE], 100.0),
    ("one in the other", [SQUARE, SQUARE * 0.5 + 5.0], 100.0),
    ("only their boxes overlap", [np.array([[0.0, 0], [10, 0], [0, 10]]), np.array([[9.0, 9], [9, 3], [3, 9]])], 68.0),
    ("none", [], 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("rings", "area"), [row[1:] for row in AREAS], ids=[row[0] for row in AREAS])
def test_area_by_hand(rings, area):
    assert p.areas_of([rings]) == [pytest.approx(area, abs=1e-9)]
    assert painted_area(rings) == pytest.approx(area, abs=0.02 * area + 0.5)


def test_area_of_a_star_leaves_out_its_middle():
    (area,) = p.areas_of([[STAR]])
    assert area == pytest.approx(painted_area([STAR]), rel=0.01)
    assert area < 0.75 * shapely.convex_hull(shapely.Polygon(STAR)).area


def test_areas_of_objects_do_not_mix():
    objects = [[SQUARE], [], [EIGHT, SQUARE], [LINE], [SQUARE, shifted(SQUARE, 5, 0)]]
    assert p.areas_of(objects) == [p.areas_of([rings])[0] for rings in objects]


@quick
@given(st.lists(rings_of_any_kind(), min_size=1, max_size=4))
def test_area_is_that_of_the_paint(rings):
    painted = fill([shifted(r, 20, 20) for r in rings], (80, 70), FINE).sum() / FINE**2
    assert p.areas_of([rings])[0] == pytest.approx(painted, rel=0.02, abs=2.0)


@quick
@given(simple_rings())
def test_shoelace_of_a_simple_ring(ring):
    assert p.ring_area(ring) == pytest.approx(shapely.Polygon(ring).area, rel=1e-12)
    assert p.ring_area(ring) == pytest.approx(p.areas_of([[ring]])[0], rel=1e-12)


# --- cuts ------------------------------------------------------------------------------------------------------------


def check_cut(rings, region, size_wh=SIZE):
    """Paint of the parts = paint of the rings in the region; returns (outlines, holes)."""
    outlines, holes = p.clip_rings(rings, region)
    expected = fill(rings, size_wh, FINE) & inside(region, size_wh)
    got = fill(outlines, size_wh, FINE) & ~fill(holes, size_wh, FINE)
    assert (got != expected).sum() <= 4  # samples that lie on a side
    low, high = np.min(region, axis=0), np.max(region, axis=0)
    for ring in [*outlines, *holes]:
        assert ring.shape[1] == 2
        assert len(ring) >= 3
        assert ((ring >= low) & (ring <= high)).all()
    (cut,) = p.cut_rings([rings], None, region)
    assert cut.area == pytest.approx(expected.sum() / FINE**2, rel=0.03, abs=2.0)
    assert cut.area <= cut.whole
    return outlines, holes


@quick
@given(rings_of_any_kind(), st.sampled_from(REGIONS))
def test_a_cut_is_what_the_region_shows_of_the_paint(ring, region):
    check_cut([ring], region)


@quick
@given(st.lists(simple_rings(), min_size=1, max_size=4), st.sampled_from(REGIONS))
def test_a_cut_of_simple_rings_has_no_holes(rings, region):
    assert check_cut(rings, region)[1] == []


def test_a_ring_inside_stays_as_it_is():
    outlines, holes = p.clip_rings([SQUARE, EIGHT, SPIKE], CANVAS)
    assert all(a is b for a, b in zip(outlines, [SQUARE, EIGHT, SPIKE], strict=True))
    assert holes == []


def test_a_ring_on_the_edge_is_inside():
    frame = np.array(CANVAS)
    assert p.clip_rings([frame], CANVAS)[0][0] is frame
    assert p.clip_rings([frame], CANVAS[::-1])[0][0] is frame


def test_a_ring_that_splits_is_two():
    outlines, _ = check_cut([COMB], CANVAS)
    assert sorted(ring[:, 1].min() for ring in outlines) == [2.0, 9.0]


def test_what_only_touches_the_frame_is_outside():
    for ring in (shifted(SQUARE, 35, 0), shifted(SQUARE, 35, 25), shifted(SQUARE, 60, 0)):
        assert p.clip_rings([ring], CANVAS) == ([], [])


@pytest.mark.parametrize("overlap", [1e-12, 1e-9, 1e-5])
def test_a_sliver_along_the_edge_is_nothing(overlap):
    """It would give a box as long as the object's side around no pixel."""
    assert p.clip_rings([shifted(SQUARE, 35 - overlap, 0)], CANVAS) == ([], [])


def test_a_narrow_strip_is_something():
    (strip,), _ = p.clip_rings([shifted(SQUARE, 34.99, 0)], CANVAS)
    assert np.ptp(strip, axis=0) == pytest.approx([0.01, 10.0])


def test_a_hole_that_a_ring_steps_into_is_a_hole_when_it_is_cut():
    assert p.areas_of([[KEYHOLE]]) == [28.0 * 24 - 14 * 10]
    (outline,), (hole,) = check_cut([shifted(KEYHOLE, -5, 0)], CANVAS)
    assert (p.ring_area(outline), p.ring_area(hole)) == (25.0 * 24, 140.0)
    (outline,), holes = check_cut([shifted(KEYHOLE, -10, 0)], CANVAS)  # the cut opens the hole
    assert (p.ring_area(outline), holes) == (20.0 * 24 - 12 * 10, [])


def test_the_middle_of_a_star_is_no_hole_but_between_its_points():
    outlines, holes = check_cut([shifted(STAR, 0, 5)], CANVAS)
    assert (len(outlines), holes) == (5, [])


def test_a_figure_eight_and_a_spike_are_cut_where_they_cross_the_edge():
    check_cut([shifted(EIGHT, -10, 0), shifted(SPIKE, 20, 10)], CANVAS)


def test_a_region_of_less_than_three_points_shows_nothing():
    for region in ((), ((1.0, 1.0),), ((1.0, 1.0), (9.0, 9.0))):
        assert p.clip_rings([SQUARE], region) == ([], [])
        assert [(c.whole, c.area, c.pieces) for c in p.cut_rings([[SQUARE]], None, region)] == [(100.0, 0.0, [])]


def test_objects_are_cut_as_if_alone():
    objects = [[SQUARE], [], [shifted(SQUARE, 30, 3), EIGHT], [LINE], [shifted(STAR, 0, 5), COMB], [POINT, SQUARE]]
    turn = g.about((20.0, 15.0), g.rotation(20.0))
    together = p.cut_rings(objects, MatrixMap(turn), CANVAS)
    for rings, cut in zip(objects, together, strict=True):
        (alone,) = p.cut_rings([rings], MatrixMap(turn), CANVAS)
        assert (alone.whole, alone.area, len(alone.pieces)) == (cut.whole, cut.area, len(cut.pieces))
        for a, b in zip(alone.pieces, cut.pieces, strict=True):
            assert np.array_equal(a.outline, b.outline)
            assert len(a.holes) == len(b.holes)


# --- moves -----------------------------------------------------------------------------------------------------------

TURN = g.rounded(g.about((20.0, 15.0), g.then(g.rotation(33.0), g.scaling(1.4, 0.9))))
TILT = g.rounded(g.then(g.scaling(1 / 40, 1 / 30), g.square_to_quad([(4, 1), (36, -3), (44, 27), (-4, 33)])))
HORIZON = g.rounded((1.0, 0.2, 0.0, 0.1, 1.0, 0.0, -0.04, 0.003, 1.0))  # past x = 25 there is no picture


@pytest.mark.parametrize("matrix", [TURN, TILT, HORIZON, g.mirror_x(40)], ids=["turn", "tilt", "horizon", "mirror"])
@settings(quick, max_examples=15)
@given(rings=st.lists(rings_of_any_kind(), min_size=1, max_size=2))
def test_moved_and_cut_is_the_paint_moved(matrix, rings):
    rings = [np.clip(ring, 0, SIZE) for ring in rings]
    (cut,) = p.cut_rings([rings], MatrixMap(matrix), CANVAS)
    expected = looked_up(fill(rings, SIZE, 32), matrix, SIZE, 32)[2::4, 2::4]  # where the map magnifies, 8 are too few
    holes = [hole for piece in cut.pieces for hole in piece.holes]
    got = fill([piece.outline for piece in cut.pieces], SIZE, FINE) & ~fill(holes, SIZE, FINE)
    assert (got != expected).mean() < 0.01
    assert cut.area == pytest.approx(expected.sum() / FINE**2, rel=0.02, abs=5.0)


def test_area_grows_with_the_determinant():
    (cut,) = p.cut_rings(
        [[SQUARE, EIGHT]], MatrixMap(g.scaling(0.25, 2.0)), ((-100.0, -100), (100, -100), (100, 100), (-100, 100))
    )
    assert cut.whole == pytest.approx(p.areas_of([[SQUARE, EIGHT]])[0] / 2.0)
    assert cut.area == cut.whole


def test_points_behind_a_horizon_have_no_image():
    for ring in (shifted(SQUARE, 24, 3), shifted(EIGHT, 25, 3)):
        assert p.cut_rings([[ring]], MatrixMap(HORIZON), CANVAS) == [(0.0, 0.0, [])]
    across = np.array([[2.0, 5.0], [38.0, 5.0], [38.0, 9.0], [2.0, 9.0]])
    (cut,) = p.cut_rings([[across]], MatrixMap(HORIZON), CANVAS)
    (piece,) = cut.pieces
    assert piece.outline[:, 0].max() == 40.0  # it goes on to the edge and beyond


# --- covers ----------------------------------------------------------------------------------------------------------


@quick
@given(st.lists(simple_rings(), min_size=1, max_size=3), st.lists(st.sampled_from(REGIONS[2:]), max_size=2))
def test_the_uncovered_share_is_that_of_the_paint(rings, covers):
    whole = fill(rings, SIZE, FINE)
    left = whole.copy()
    for cover in covers:
        left &= ~inside(cover)
    polygons = [shapely.intersection(shapely.Polygon(ring), shapely.Polygon(CANVAS)) for ring in rings]
    assert p.uncovered_share(polygons, covers) == pytest.approx(left.sum() / whole.sum(), abs=0.02)


def test_each_outline_has_a_share_of_its_own():
    bow = np.array([[0.0, 0.0], [8.0, 8.0], [8.0, 0.0], [0.0, 8.0]])  # oriented boxes of DOTA come like this
    left = ((0.0, 0.0), (4.0, 0.0), (4.0, 30.0), (0.0, 30.0))
    low = ((0.0, 4.0), (8.0, 4.0), (8.0, 8.0), (0.0, 8.0))
    assert p.uncovered_shares([bow, SQUARE, shifted(SQUARE, 20, 0)], [left]) == [
        pytest.approx(0.5),
        p.uncovered_share([shapely.Polygon(SQUARE)], [left]),
        1.0,
    ]
    assert p.uncovered_shares([bow], [left, low]) == [pytest.approx(0.25)]
    assert p.uncovered_shares([], [left]) == []


def test_covers_without_area_cover_nothing():
    assert p.uncovered_share([shapely.Polygon(SQUARE)], [(), ((0.0, 0.0), (40.0, 30.0))]) == 1.0
    assert p.uncovered_share([shapely.Polygon(SQUARE)], [CANVAS]) == 0.0
    assert p.uncovered_share([], [CANVAS]) == 0.0


# --- size ------------------------------------------------------------------------------------------------------------


def test_a_million_points_take_seconds_at_most():
    angles = np.arange(10**6) * (2 * np.pi / 10**6)
    radii = 900 + 30 * np.cos(40 * angles)
    ring = np.stack([1000 + radii * np.cos(angles), 1000 + radii * np.sin(angles)], axis=1)
    started = time.process_time()
    (cut,) = p.cut_rings([[ring]], MatrixMap(g.rotation(3.0)), g.rectangle((1000, 2000)))
    assert time.process_time() - started < 5.0
    assert cut.whole == pytest.approx(np.pi * (900**2 + 30**2 / 2), rel=1e-6)
    assert 0.4 < cut.area / cut.whole < 0.6


# --- tangles ---------------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(3)
ANGLES = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
ROUGH = 50 + (30 + 5 * np.sin(50 * ANGLES))[:, None] * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
FRAYED = [ROUGH.repeat(2, axis=0), ROUGH.round(0), np.concatenate([ROUGH, ROUGH[:1]])]
DOWN = np.array([0.0, 1.0])
BEAM = np.array([[0.0, 0.0], [100.0, 0.2], [100.0, 0.0]])


@pytest.mark.parametrize("rings", [[SQUARE], [EIGHT], [STAR], [COMB, DOUBLED], [ROUGH], *([ring] for ring in FRAYED),
                                   [ROUGH, ROUGH + 0.3], [ROUGH + i for i in range(5)]])  # fmt: skip
def test_what_people_draw_is_no_tangle(rings):
    assert not is_tangled(rings)


@pytest.mark.parametrize("rings", [
    [RNG.random((1000, 2)) * 100],
    [RNG.random((100_000, 2)) * 100],
    [line + i * step for i in range(100) for line, step in ((BEAM, DOWN), (BEAM[:, ::-1], DOWN[::-1]))],
    [SQUARE] * 2001,
    [np.array([[20 * (i % 2), i / 10_000] for i in range(100_000)] + [[0, 10]], float)],
])  # fmt: skip
def test_tangles_are_seen_at_once(rings):
    started = time.process_time()
    assert is_tangled(rings)
    assert time.process_time() - started < 5


def test_many_faces_are_filled_some_at_a_time(monkeypatch):
    scribble = RNG.random((40, 2)) * 30
    whole = p.areas_of([[scribble]])
    monkeypatch.setattr(p, "_AT_ONCE", 100)
    assert p.areas_of([[scribble]]) == whole


# --- work ------------------------------------------------------------------------------------------------------------


def comparisons(objects: int) -> int:
    """How often a line of the package is passed while so many polygons are cut, half of which cross the edge."""
    rings = [[shifted(SQUARE, 0, 15.0 * (i % 2 == 0) + i / 10_000)] for i in range(objects)]
    passed = 0

    def count(frame, event, argument):
        nonlocal passed
        passed += event == "line"
        return count if frame.f_code.co_filename == p.__file__ else None

    before = sys.gettrace()
    sys.settrace(count)
    try:
        p.cut_rings(rings, None, CANVAS)
    finally:
        sys.settrace(before)
    return passed


def test_work_grows_with_the_number_of_polygons_and_not_with_its_square():
    assert comparisons(800) < 5 * comparisons(200)
