"""Colour matrices and curves: numbers that can be worked out by hand, and what holds for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.core import color
from augpipe.core.plan import Curve, Matrix3x4

quick = settings(derandomize=True, database=None, deadline=None, max_examples=40)
factors = st.floats(0.0, 3.0)
levels = st.tuples(*[st.integers(0, 255)] * 3)


def stage(rows):
    return Matrix3x4(tuple(float(v) for v in color.on_grid(rows)))


def through(rows, rgb):
    """A colour through a matrix in plain arithmetic, not rounded."""
    m = np.reshape(rows, (3, 4))
    return m[:, :3] @ np.array(rgb, float) + m[:, 3]


def test_brightness_and_contrast_by_hand():
    assert color.recolored([stage(color.brightness(1.5))], (10, 100, 200)) == (15, 150, 255)
    assert color.recolored([stage(color.contrast(2.0))], (0, 127, 128)) == (0, 127, 129)  # 126.5 rounds up
    assert color.recolored([stage(color.contrast(0.0))], (0, 127, 255)) == (128, 128, 128)  # 127.5 rounds up


def test_gray_by_hand():
    assert color.recolored([stage(color.to_gray())], (255, 0, 0)) == (76, 76, 76)
    assert color.luma((255, 255, 255)) == 255
    assert color.luma((0, 255, 0)) == 150


def test_saturation_and_hue_that_change_nothing():
    for rows in (color.saturation_hue(1.0, 0.0), color.saturation_hue(1.0, 1.0)):
        np.testing.assert_allclose(np.reshape(rows, (3, 4)), np.eye(3, 4), atol=1e-12)


def test_no_saturation_leaves_the_luma():
    rows = color.saturation_hue(0.0, 0.3)
    np.testing.assert_allclose(through(rows, (10, 200, 90)), [0.299 * 10 + 0.587 * 200 + 0.114 * 90] * 3, atol=1e-9)


def test_half_a_turn_of_hue_mirrors_color_at_its_luma():
    rgb = np.array([200.0, 90.0, 60.0])
    y = 0.299 * 200 + 0.587 * 90 + 0.114 * 60
    np.testing.assert_allclose(through(color.saturation_hue(1.0, 0.5), rgb), 2 * y - rgb, atol=1e-9)


@pytest.mark.parametrize(
    ("towards", "rgb"),
    [
        ("green", (255, 0, 0)), ("green", (255, 255, 0)), ("blue", (0, 255, 0)),
        ("blue", (0, 255, 255)), ("red", (0, 0, 255)), ("red", (255, 0, 255)),
    ],
)  # fmt: skip
def test_positive_hue_turns_from_red_by_yellow_to_green(towards, rgb):
    """Of two neighbouring patches of the circle, the one that comes next is nearer after a turn forwards."""
    circle = [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)]
    i = circle.index(rgb)
    before, after = np.array(circle[i - 1]), np.array(circle[(i + 1) % 6])
    forwards, back = (through(color.saturation_hue(1.0, turns), rgb) for turns in (0.08, -0.08))
    assert np.linalg.norm(forwards - after) < np.linalg.norm(forwards - before), f"not towards {towards}"
    assert np.linalg.norm(back - before) < np.linalg.norm(back - after)


@quick
@given(factors, st.floats(-0.5, 0.5), st.integers(0, 255))
def test_gray_stays_gray(saturation, hue, level):
    np.testing.assert_allclose(through(color.saturation_hue(saturation, hue), [level] * 3), level, atol=1e-9)


@quick
@given(factors, st.floats(-0.5, 0.5), levels)
def test_turning_hue_back_gives_the_color_back(saturation, hue, rgb):
    saturation += 0.1
    there, back = color.saturation_hue(saturation, hue), color.saturation_hue(1.0 / saturation, -hue)
    np.testing.assert_allclose(through(color.merge(there, back), rgb), rgb, atol=1e-6)


@quick
@given(factors, factors, factors, levels)
def test_merging_is_doing_one_after_the_other(a, b, c, rgb):
    one, two = color.merge(color.brightness(a), color.contrast(b)), color.saturation_hue(c, 0.1)
    np.testing.assert_allclose(through(color.merge(one, two), rgb), through(two, through(one, rgb)), atol=1e-9)


def test_on_grid_is_steps_of_a_1024th():
    assert color.on_grid((1 / 3, -1 / 3)) == (341 / 1024, -341 / 1024)


def test_merged_joins_neighbouring_matrices_only():
    bright, gamma = Matrix3x4(color.brightness(1.3)), Curve("gamma", 0.7)
    out = color.merged([bright, bright, gamma, bright])
    assert [type(s) for s in out] == [Matrix3x4, Curve, Matrix3x4]
    np.testing.assert_allclose(out[0].rows[0], 1.69, atol=1 / 1024)
    assert all((v * 1024).is_integer() for s in (out[0], out[2]) for v in s.rows)


def test_a_gamma_table_keeps_black_and_white_and_rises():
    (table,) = color.compiled([Curve("gamma", 0.5)])
    assert table.levels[[0, 64, 255]].tolist() == [0, 128, 255]  # 255 · √(64/255) = 127.7
    assert (np.diff(table.levels.astype(int)) >= 0).all()


def test_curves_in_a_row_round_once():
    (table,) = color.compiled([Curve("gamma", 5.0), Curve("gamma", 0.2)])
    assert (table.levels == np.arange(256)).all()


def test_neighbouring_matrices_of_a_plan_clip_once():
    """A plan may be written by hand; its stages mean the same as a recipe's."""
    stages = [stage(color.brightness(2.0)), stage(color.brightness(0.5))]
    assert color.recolored(stages, (200, 200, 200)) == (200, 200, 200)


@quick
@given(
    st.lists(st.integers(-40_000, 40_000), min_size=9, max_size=9),
    st.lists(st.integers(-(2**24), 2**24), min_size=3, max_size=3),
)
def test_integers_round_half_up_and_clip(weights, offsets):
    q = np.c_[np.reshape(weights, (3, 3)), offsets]
    pixels = np.array([[0, 0, 0], [255, 255, 255], [1, 2, 3], [200, 100, 7]], np.uint8)
    expected = np.clip(np.floor((pixels.astype(float) @ q[:, :3].T + q[:, 3]) / 1024 + 0.5), 0, 255)
    assert (color.apply_integers(color.Linear(q.astype(np.int64)), pixels) == expected).all()


def test_gray_table_is_the_first_row_on_gray():
    rows = (0.25, 0.5, 0.0, 3.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0)
    (linear,) = color.compiled([Matrix3x4(rows)])
    assert color.gray_table(linear)[[0, 100, 255]].tolist() == [3, 78, 194]


@pytest.mark.parametrize("rgb", [(0, 0, 0), (114, 114, 114), (255, 3, 90)])
def test_recolored_is_what_happens_to_a_pixel(rgb):
    stages = [stage(color.contrast(1.7)), Curve("gamma", 0.8), stage(color.saturation_hue(1.4, 0.2))]
    pixel = np.array([[rgb]], np.uint8)
    for compiled in color.compiled(stages):
        pixel = color.apply_integers(compiled, pixel)
    assert color.recolored(stages, rgb) == tuple(pixel[0, 0].tolist())
