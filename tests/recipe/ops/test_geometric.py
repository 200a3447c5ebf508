"""Moves against maps worked out by hand, on odd canvases so that a swap of x and y shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from recipe_tools import outcome_of

from augpipe.core.geometry import determinant, move_point

W, H = 37, 23
SIZE = (W, H)


def moved(outcome, x, y):
    """A point through all moves of an outcome."""
    for effect in outcome.effects:
        x, y = move_point(effect.matrix, (x, y))
    return x, y


def only(name, size_wh=SIZE, copy=0, **parameters):
    (effect,) = outcome_of(name, size_wh, copy, **parameters).effects
    return effect


def near(*point):
    return pytest.approx(point, abs=1e-9)


def matrix(*rows):
    return np.array(rows, float)


# --- flips and quarter turns -----------------------------------------------------------------------------------------


def test_flips():
    left_right, top_bottom = only("horizontal_flip"), only("vertical_flip")
    for x, y in [(0, 0), (W, H), (5.25, 7.5)]:
        assert move_point(left_right.matrix, (x, y)) == (W - x, y)
        assert move_point(top_bottom.matrix, (x, y)) == (x, H - y)
    assert left_right.size_wh == top_bottom.size_wh == SIZE


@pytest.mark.parametrize(
    ("times", "size_wh", "top_left", "top_right"),
    [
        (0, (W, H), (0, 0), (W, 0)),
        (1, (H, W), (H, 0), (H, W)),  # clockwise: the top left corner comes to the top right
        (2, (W, H), (W, H), (0, H)),
        (3, (H, W), (0, W), (0, 0)),
    ],
)
def test_quarter_turns(times, size_wh, top_left, top_right):
    outcome = outcome_of("rotate90", SIZE, times=times)
    (move,) = outcome.effects
    assert move.size_wh == size_wh
    assert move_point(move.matrix, (0, 0)) == top_left
    assert move_point(move.matrix, (W, 0)) == top_right
    assert outcome.parameters == {"times": times}


def test_quarter_turns_are_chosen_among_those_given():
    def chosen(**parameters):
        return {outcome_of("rotate90", SIZE, copy, **parameters).parameters["times"] for copy in range(80)}

    assert chosen() == {1, 2, 3}
    assert chosen(times=[0, 3]) == {0, 3}
    assert chosen(times=2) == {2}


# --- rotation and the affine map -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameter"), [("rotate", "degrees"), ("affine", "rotate")])
def test_positive_is_clockwise_on_the_screen(name, parameter):
    move = only(name, **{parameter: [90, 90]})
    assert move.size_wh == SIZE
    assert move_point(move.matrix, (W / 2, H / 2)) == near(W / 2, H / 2)
    assert move_point(move.matrix, (W / 2, H / 2 - 3)) == near(W / 2 + 3, H / 2)  # from twelve o'clock to three
    move = only(name, **{parameter: [30, 30]})
    assert move_point(move.matrix, (W / 2 + 10, H / 2)) == near(W / 2 + 10 * math.sqrt(0.75), H / 2 + 5)


def test_one_number_is_a_range_about_zero_for_a_change_and_itself_for_a_value():
    degrees = [outcome_of("rotate", SIZE, copy, degrees=20).parameters["degrees"] for copy in range(300)]
    assert -20 <= min(degrees) < -19
    assert 19 < max(degrees) <= 20
    scales = {outcome_of("affine", SIZE, copy, scale=1.5).parameters["scale"] for copy in range(20)}
    assert scales == {1.5}


def test_affine_scales_about_the_centre():
    move = only("affine", scale=2)
    assert move_point(move.matrix, (0, 0)) == near(-W / 2, -H / 2)
    assert move_point(move.matrix, (W, H)) == near(1.5 * W, 1.5 * H)


def test_affine_shifts_by_a_fraction_of_each_side():
    move = only("affine", translate=[0.1, 0.1])
    assert move_point(move.matrix, (0, 0)) == near(0.1 * W, 0.1 * H)
    shifts = [outcome_of("affine", SIZE, copy, translate=0.1).parameters["translate"] for copy in range(200)]
    xs, ys = zip(*shifts, strict=True)
    assert abs(np.corrcoef(xs, ys)[0, 1]) < 0.2  # drawn for each axis
    assert -0.1 <= min(xs + ys) < -0.09
    assert 0.09 < max(xs + ys) <= 0.1


def test_affine_shear_slants_upright_lines():
    move = only("affine", shear=[45, 45])
    assert move_point(move.matrix, (W / 2, H / 2 + 4)) == near(W / 2 + 4, H / 2 + 4)
    assert move_point(move.matrix, (W / 2 + 4, H / 2)) == near(W / 2 + 4, H / 2)
    move = only("affine", shear_y=[45, 45])
    assert move_point(move.matrix, (W / 2 + 4, H / 2)) == near(W / 2 + 4, H / 2 + 4)
    assert move_point(move.matrix, (W / 2, H / 2 + 4)) == near(W / 2, H / 2 + 4)


@pytest.mark.parametrize("copy", range(10))
def test_affine_is_scale_then_shear_then_turn_then_shift_about_the_centre(copy):
    outcome = outcome_of(
        "affine", SIZE, copy, rotate=60, scale=[0.5, 2], translate=0.3, shear=[10, 30], shear_y=[-30, 20]
    )
    (move,) = outcome.effects
    p = outcome.parameters
    turn, slant, slant_y = (math.radians(p[name]) for name in ("rotate", "shear", "shear_y"))
    to_centre = matrix([1, 0, -W / 2], [0, 1, -H / 2], [0, 0, 1])
    s = np.diag([p["scale"], p["scale"], 1.0])
    sh = matrix([1, math.tan(slant), 0], [math.tan(slant_y), 1, 0], [0, 0, 1])
    r = matrix([math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1])
    t = matrix([1, 0, p["translate"][0] * W], [0, 1, p["translate"][1] * H], [0, 0, 1])
    expected = t @ np.linalg.inv(to_centre) @ r @ sh @ s @ to_centre
    assert np.reshape(move.matrix, (3, 3)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("copy", range(20))
def test_affine_never_mirrors(copy):
    move = only("affine", copy=copy, rotate=360, scale=[0.01, 100], shear=[-60, 60], shear_y=[-20, 20])
    assert determinant(move.matrix) > 0


# --- perspective -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_wh", [SIZE, (1, 1), (1, 500)])
@pytest.mark.parametrize("copy", range(10))
def test_perspective_brings_the_corners_where_it_drew_them(copy, size_wh):
    w, h = size_wh
    outcome = outcome_of("perspective", size_wh, copy, scale=[0.05, 0.24])
    (move,) = outcome.effects
    assert move.size_wh == size_wh
    corners = [(0, 0), (w, 0), (w, h), (0, h)]
    for (x, y), (to_x, to_y) in zip(corners, outcome.parameters["corners"], strict=True):
        assert move_point(move.matrix, (x, y)) == pytest.approx((to_x, to_y), abs=1e-9 * max(w, h))
        assert abs(to_x - x) <= 0.24 * w
        assert abs(to_y - y) <= 0.24 * h
    assert len({round(v, 6) for corner in outcome.parameters["corners"] for v in corner}) == 8


@pytest.mark.parametrize("copy", range(50))
def test_perspective_keeps_the_whole_picture_in_front(copy):
    (move,) = outcome_of("perspective", SIZE, copy, scale=0.24).effects
    assert all(move.matrix[6] * x + move.matrix[7] * y + 1.0 > 0.0 for x in (0, W) for y in (0, H))
    assert determinant(move.matrix) > 0


# --- resize ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_wh", "parameters", "expected"),
    [
        ((640, 480), {"size": 224}, (224, 224)),
        ((640, 480), {"size": [100, 300]}, (100, 300)),
        ((640, 480), {"longest": 320}, (320, 240)),
        ((480, 640), {"longest": 320}, (240, 320)),
        ((640, 480), {"shortest": 240}, (320, 240)),
        ((480, 640), {"shortest": 960}, (960, 1280)),
        ((37, 23), {"longest": 100}, (100, 62)),  # 62.16
        ((37, 23), {"shortest": 100}, (161, 100)),  # 160.87
        ((2, 1), {"longest": 1}, (1, 1)),  # half a pixel is one
        ((500, 1), {"longest": 5}, (5, 1)),
        ((1, 1), {"longest": 9}, (9, 9)),
    ],
)
def test_resize(size_wh, parameters, expected):
    outcome = outcome_of("resize", size_wh, **parameters)
    (move,) = outcome.effects
    assert move.size_wh == expected
    assert outcome.parameters == {"size": list(expected)}
    assert move_point(move.matrix, (0, 0)) == (0, 0)
    assert move_point(move.matrix, size_wh) == near(*expected)
