"""The convention of coordinates, by numbers that can be checked by hand and by properties of all maps."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from augpipe.core import geometry as g
from augpipe.core.canvas import MatrixMap

quick = settings(derandomize=True, database=None, deadline=None, max_examples=60)

places = st.floats(-500.0, 500.0)
points = st.tuples(places, places)
angles = st.floats(-180.0, 180.0)
factors = st.floats(0.2, 5.0)


@st.composite
def affine_maps(draw):
    linear = g.then(g.scaling(draw(factors), draw(factors)), g.shearing(draw(st.floats(-60, 60)), 0.0))
    return g.about(draw(points), g.then(g.then(linear, g.rotation(draw(angles))), g.translation(*draw(points))))


@st.composite
def convex_quads(draw):
    """Corners of a 200 × 100 canvas, each moved by less than a quarter of the side."""
    moves = [draw(st.tuples(st.floats(-0.24, 0.24), st.floats(-0.24, 0.24))) for _ in range(4)]
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    return [(200.0 * (x + dx), 100.0 * (y + dy)) for (x, y), (dx, dy) in zip(corners, moves, strict=True)]


@st.composite
def convex_regions(draw):
    """Points in order of their angle on a circle."""
    turns = sorted(draw(st.lists(st.floats(0.0, 6.28), min_size=3, max_size=8, unique=True)))
    radius, (x, y) = draw(st.floats(5.0, 80.0)), (draw(st.floats(-50, 50)), draw(st.floats(-50, 50)))
    region = tuple((x + radius * math.cos(t), y + radius * math.sin(t)) for t in turns)
    return region[:: draw(st.sampled_from([1, -1]))]


def close(a, b, tolerance=1e-6):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=tolerance)


# --- moves -----------------------------------------------------------------------------------------------------------


def test_moves_by_hand():
    assert g.move_point(g.translation(3.0, -2.0), (1.0, 1.0)) == (4.0, -1.0)
    assert g.move_point(g.scaling(2.0, 3.0), (1.0, 1.0)) == (2.0, 3.0)
    assert g.move_point(g.mirror_x(10), (3.0, 1.0)) == (7.0, 1.0)
    assert g.move_point(g.mirror_y(10), (3.0, 1.0)) == (3.0, 9.0)
    close(g.move_point(g.rotation(90.0), (1.0, 0.0)), (0.0, 1.0))  # from right to down: clockwise on the screen
    close(g.move_point(g.shearing(45.0, 0.0), (1.0, 2.0)), (3.0, 2.0))
    close(g.move_point(g.shearing(0.0, 45.0), (1.0, 2.0)), (1.0, 3.0))
    close(g.move_point(g.about((5.0, 5.0), g.rotation(180.0)), (5.0, 7.0)), (5.0, 3.0))


def test_then_is_in_reading_order():
    assert g.move_point(g.then(g.scaling(2.0, 2.0), g.translation(1.0, 0.0)), (3.0, 0.0)) == (7.0, 0.0)
    assert g.move_point(g.then(g.translation(1.0, 0.0), g.scaling(2.0, 2.0)), (3.0, 0.0)) == (8.0, 0.0)


@quick
@given(affine_maps(), affine_maps(), points)
def test_then_is_one_map_after_the_other(first, second, point):
    expected = g.move_point(second, g.move_point(first, point))
    np.testing.assert_allclose(g.move_point(g.then(first, second), point), expected, rtol=1e-6, atol=1e-4)


@quick
@given(affine_maps(), points)
def test_inverse_of_an_affine_map_leads_back(m, point):
    np.testing.assert_allclose(g.move_point(g.inverse(m), g.move_point(m, point)), point, rtol=1e-6, atol=1e-5)


@quick
@given(convex_quads(), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_inverse_of_a_projective_map_leads_back_and_keeps_the_front_in_front(corners, x, y):
    m = g.then(g.scaling(1 / 200, 1 / 100), g.square_to_quad(corners))
    for signed in (m, tuple(-v for v in m)):  # the same map; its overall sign says what counts as in front
        point = (200.0 * x, 100.0 * y)
        there = g.move_point(signed, point)
        back = g.inverse(signed)
        close(g.move_point(back, there), point, 1e-4)
        ahead = g.depth(signed, np.array(point)) > 0
        assert (g.depth(back, np.array(there)) > 0) == ahead


@pytest.mark.parametrize("m", [g.scaling(1.0, 0.0), (0.0,) * 9, (1.0, 2.0, 0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 1.0)])
def test_a_map_onto_a_line_has_no_inverse(m):
    with pytest.raises(ZeroDivisionError):
        g.inverse(m)


def test_determinant_tells_a_mirror_image():
    assert g.determinant(g.rotation(33.0)) == pytest.approx(1.0)
    assert g.determinant(g.mirror_x(7)) == -1.0
    assert g.determinant((2.0, 1.0, 0.0, 0.0, 3.0, 5.0, 1.0, 0.0, 4.0)) == 2 * 12 - 1 * (0 - 5) + 0


def test_rounded_is_a_fixed_point_on_the_grid():
    m = (math.pi, -1e-9, 100.3, 0.1, 0.2, 0.3, 1e-7, 1e-12, 1.0)
    out = g.rounded(m)
    assert all((v * 2**20).is_integer() for v in out[:6])
    assert all((v * 2**36).is_integer() for v in out[6:])
    assert all(abs(a - b) <= 2.0**-21 for a, b in zip(m[:6], out[:6], strict=True))
    assert all(abs(a - b) <= 2.0**-37 for a, b in zip(m[6:], out[6:], strict=True))
    assert g.rounded(out) == out
    assert math.copysign(1.0, out[1]) == 1.0, "no minus zero, which is another text in JSON"


def test_rounded_divides_by_the_last_entry_and_keeps_its_sign():
    assert g.rounded((2.0, 0.0, 4.0, 0.0, 2.0, 6.0, 0.0, 0.0, 2.0)) == (1, 0, 2, 0, 1, 3, 0, 0, 1)
    assert g.rounded((2.0, 0.0, 4.0, 0.0, 2.0, 6.0, 0.0, 0.0, -2.0)) == (1, 0, 2, 0, 1, 3, 0, 0, -1)


def test_what_is_exact():
    for m in (g.IDENTITY, g.mirror_x(7), g.mirror_y(3), g.translation(4.0, -9.0), g.quarter_turns(1, (5, 3))):
        assert g.is_exact(m)
    tilted = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1e-6, 0.0, 1.0)
    for m in (g.translation(0.5, 0.0), g.scaling(2.0, 2.0), g.shearing(45.0, 0.0), g.rotation(45.0), tilted):
        assert not g.is_exact(m)
    assert not g.is_exact((1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)), "two rows alike is no turn"
    assert g.is_affine(g.shearing(3.0, 4.0))
    assert not g.is_affine(tilted)


def test_rotations_by_quarters_are_exact_once_rounded():
    for times in range(-4, 5):
        assert g.is_exact(g.rounded(g.about((20.0, 15.0), g.rotation(90.0 * times))))


# --- orientation -----------------------------------------------------------------------------------------------------


def _moved_pixels(stored, m, size_wh):
    """Every stored pixel carried to the pixel where its centre goes."""
    out = np.full(size_wh[::-1], -1)
    for (row, column), value in np.ndenumerate(stored):
        x, y = g.move_point(m, (column + 0.5, row + 0.5))
        assert (x % 1, y % 1) == (0.5, 0.5)
        out[int(y), int(x)] = value
    return out


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright(orientation):
    """Tag 274 by its words (what the first row and the first column show), in NumPy, and by Pillow."""
    stored = np.arange(5 * 3, dtype=np.uint8).reshape(3, 5)
    expected = {
        1: stored,  # top, left
        2: stored[:, ::-1],  # top, right
        3: stored[::-1, ::-1],  # bottom, right
        4: stored[::-1],  # bottom, left
        5: stored.T,  # left, top
        6: np.rot90(stored, -1),  # right, top
        7: stored[::-1, ::-1].T,  # right, bottom
        8: np.rot90(stored, 1),  # left, bottom
    }[orientation]
    size_wh = expected.shape[::-1]
    m = g.upright(orientation, (5, 3))
    assert g.is_exact(m)
    assert (_moved_pixels(stored, m, size_wh) == expected).all()

    image, file = Image.fromarray(stored), io.BytesIO()
    exif = image.getexif()
    exif[274] = orientation
    image.save(file, "PNG", exif=exif)
    assert (np.asarray(ImageOps.exif_transpose(Image.open(file))) == expected).all()


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation):
    assert g.upright(orientation, (5, 3)) == g.IDENTITY


@pytest.mark.parametrize("times", range(-3, 8))
def test_quarter_turns_are_clockwise_and_stay_on_the_canvas(times):
    stored = np.arange(15).reshape(3, 5)
    expected = np.rot90(stored, -times)
    assert (_moved_pixels(stored, g.quarter_turns(times, (5, 3)), expected.shape[::-1]) == expected).all()


# --- perspective -----------------------------------------------------------------------------------------------------


def test_square_to_quad_by_hand():
    assert g.square_to_quad([(0, 0), (2, 0), (2, 3), (0, 3)]) == (2, 0, 0, 0, 3, 0, 0, 0, 1)
    # A trapezium whose far edge is half as wide: diagonals stay straight, so the middle goes to where they cross.
    m = g.square_to_quad([(1, 0), (3, 0), (4, 4), (0, 4)])
    close(g.move_point(m, (0.5, 0.5)), (2.0, 4 / 3))


@quick
@given(convex_quads())
def test_square_to_quad_meets_the_corners(corners):
    m = g.square_to_quad(corners)
    square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    close([g.move_point(m, c) for c in square], corners)
    assert all(g.depth(m, np.array(c)) > 0 for c in square)


@quick
@given(convex_quads(), st.lists(points, min_size=1, max_size=5))
def test_move_points_is_move_point_of_each(corners, many):
    m = g.then(g.scaling(1 / 2000, 1 / 2000), g.square_to_quad(corners))
    many = [p for p in many if g.depth(m, np.array(p)) > 1e-3]
    assume(many)
    close(g.move_points(m, np.array(many)), [g.move_point(m, p) for p in many])
    close(g.move_points(m, np.array([many, many])).shape, (2, len(many), 2))


def test_local_scale_by_hand():
    close(MatrixMap(g.scaling(0.5, 0.25)).local_scale((3.0, 3.0)), (2.0, 4.0))
    close(MatrixMap(g.rotation(30.0)).local_scale((3.0, 3.0)), (1.0, 1.0))
    close(MatrixMap(g.then(g.scaling(0.5, 1.0), g.rotation(90.0))).local_scale((0.0, 0.0)), (2.0, 1.0))


@quick
@given(convex_quads(), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_local_scale_is_the_slope_of_the_way_back(corners, x, y):
    m = g.then(g.scaling(1 / 200, 1 / 100), g.square_to_quad(corners))
    at = g.move_point(m, (200.0 * x, 100.0 * y))
    step = 1e-4
    slopes = [
        np.subtract(
            g.move_point(g.inverse(m), (at[0] + dx, at[1] + dy)), g.move_point(g.inverse(m), (at[0] - dx, at[1] - dy))
        )
        / (2 * step)
        for dx, dy in ((step, 0.0), (0.0, step))
    ]
    np.testing.assert_allclose(MatrixMap(m).local_scale(at), np.hypot(*slopes), rtol=1e-4)


# --- boxes and regions -----------------------------------------------------------------------------------------------


def test_boxes_by_hand():
    boxes = np.array([[1.0, 2.0, 4.0, 8.0]])
    assert g.corners_of(boxes).tolist() == [[[1, 2], [4, 2], [4, 8], [1, 8]]]
    assert g.bounds_of(g.corners_of(boxes)).tolist() == boxes.tolist()


def test_clip_convex_by_hand():
    square, triangle = g.rectangle((4, 4)), ((2.0, -2.0), (10.0, 6.0), (2.0, 6.0))
    assert g.area_of(square) == 16.0
    assert g.area_of(g.clip_convex(square, g.rectangle((3, 9)))) == 12.0
    # The slope of the triangle, y = x − 4, meets the square only in its corner (4, 0): all right of x = 2 is common.
    assert g.area_of(g.clip_convex(square, triangle)) == 8.0
    assert g.area_of(g.clip_convex(square, ((4.0, 0.0), (4.0, 4.0), (0.0, 4.0)))) == 8.0
    assert g.clip_convex(square, g.move_region(g.translation(9.0, 0.0), square)) == ()
    assert g.clip_convex(square, ()) == ()
    assert g.clip_convex((), square) == ()


def _cut_side_by_side(subject, clip):
    """Sutherland and Hodgman's algorithm as they describe it: every side of the clip, every point, one by one."""
    for (ax, ay), (bx, by) in zip(clip, clip[1:] + clip[:1], strict=True):
        sides = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for x, y in subject]
        kept = []
        for i, (side, (x, y)) in enumerate(zip(sides, subject, strict=True)):
            (px, py), before = subject[i - 1], sides[i - 1]
            if (side >= 0.0) != (before >= 0.0):
                t = before / (before - side)
                kept.append((px + t * (x - px), py + t * (y - py)))
            if side >= 0.0:
                kept.append((x, y))
        subject = kept
    return tuple(subject)


@quick
@given(places, places, st.floats(1.0, 400.0), st.floats(1.0, 400.0), st.integers(3, 64), st.booleans())
def test_clip_convex_leaves_out_only_work_that_changes_no_bit(x, y, a, b, corners, upright):
    turns = [2.0 * math.pi * i / corners for i in range(corners)]
    outline = tuple((x + a * math.cos(t), y + b * math.sin(t)) for t in turns)
    frame = g.rectangle((640, 480)) if upright else ((100.0, -50.0), (400.0, 60.0), (300.0, 400.0), (-80.0, 200.0))
    assert g.clip_convex(outline, frame) == _cut_side_by_side(outline, frame)


@quick
@given(convex_regions(), convex_regions())
def test_clip_convex_is_the_common_part(a, b):
    shapely = pytest.importorskip("shapely")
    assume(min(g.area_of(a), g.area_of(b)) > 1.0)
    expected = shapely.Polygon(a).intersection(shapely.Polygon(b)).area
    assert g.area_of(g.clip_convex(a, b)) == pytest.approx(expected, abs=1e-5)
    assert g.area_of(g.clip_convex(b, a)) == pytest.approx(expected, abs=1e-5)


@quick
@given(convex_regions(), affine_maps())
def test_area_grows_by_the_determinant(region, m):
    expected = g.area_of(region) * abs(g.determinant(m))
    assert g.area_of(g.move_region(m, region)) == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_in_front_cuts_at_the_horizon():
    m = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -0.1, 0.0, 1.0)  # depth 1 − x/10
    out = g.in_front(m, g.rectangle((20, 5)))
    close(g.bounds_of(np.array(out)), [0.0, 0.0, 10.0 * (1.0 - g.NEAREST), 5.0])
    assert g.in_front(m, g.rectangle((4, 5))) == g.rectangle((4, 5))
    assert g.in_front(m, ((11.0, 0.0), (12.0, 0.0), (12.0, 3.0))) == ()
    assert g.in_front(g.scaling(2.0, 2.0), g.rectangle((20, 5))) == g.rectangle((20, 5))
