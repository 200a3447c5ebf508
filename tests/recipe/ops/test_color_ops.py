"""Colour steps: the numbers that a level goes through, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from recipe_tools import outcome_of, plan_of

from augpipe.core.plan import Contrast, Curve, Matrix3x4
from augpipe.pixels.steps.color import Color
from augpipe.recipe.operation.base import ColorEffect

SIZE = (37, 23)


def toned(outcome, rgb):
    """A colour through the matrices of an outcome, without rounding."""
    for effect in outcome.effects:
        assert isinstance(effect, ColorEffect)
        assert isinstance(effect.stage, Matrix3x4)
        rows = np.array(effect.stage.rows).reshape(3, 4)
        rgb = rows[:, :3] @ rgb + rows[:, 3]
    return rgb


def near(*values):
    return pytest.approx(values, abs=1e-9)


def luma(rgb):
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


@pytest.mark.parametrize("name", ["brightness_contrast", "color_jitter"])
def test_brightness_is_a_factor(name):
    outcome = outcome_of(name, SIZE, brightness=[0.2, 0.2])
    assert outcome.parameters["brightness"] == 1.2
    assert toned(outcome, (10, 100, 200)) == near(12, 120, 240)
    assert toned(outcome_of(name, SIZE, brightness=[-3, -3]), (10, 100, 200)) == near(0, 0, 0)  # never below black


@pytest.mark.parametrize("name", ["brightness_contrast", "color_jitter"])
def test_contrast_is_about_the_mean_of_the_picture(name):
    """Which the plan says, as drawing knows no pixels."""
    outcome = outcome_of(name, SIZE, contrast=[-0.5, -0.5])
    assert outcome.parameters["contrast"] == 0.5
    assert outcome.effects[1] == ColorEffect(Contrast(0.5, "mean"))


@pytest.mark.parametrize("name", ["brightness_contrast", "color_jitter"])
def test_contrast_can_spread_about_the_middle(name):
    outcome = outcome_of(name, SIZE, contrast=[-0.5, -0.5], about="middle")
    assert outcome.parameters["contrast"] == 0.5
    assert toned(outcome, (0, 127.5, 255)) == near(63.75, 127.5, 191.25)


@pytest.mark.parametrize("name", ["brightness_contrast", "color_jitter"])
def test_brightness_comes_before_contrast(name):
    outcome = outcome_of(name, SIZE, brightness=[1, 1], contrast=[1, 1], about="middle")
    assert toned(outcome, (50, 50, 50)) == near(72.5, 72.5, 72.5)  # 2·100 − 127.5


def test_one_number_is_a_range_about_the_factor_one():
    factors = [outcome_of("color_jitter", SIZE, i, saturation=0.3).parameters["saturation"] for i in range(300)]
    assert 0.7 <= min(factors) < 0.71
    assert 1.29 < max(factors) <= 1.3


def test_saturation_scales_the_distance_from_gray():
    rgb = np.array([200.0, 40.0, 90.0])
    none = toned(outcome_of("color_jitter", SIZE, saturation=[-1, -1]), rgb)
    half = toned(outcome_of("color_jitter", SIZE, saturation=[-0.5, -0.5]), rgb)
    # The YIQ weights are rounded to three decimals, so its luma is BT.601's within half a level.
    assert none == pytest.approx([luma(rgb)] * 3, abs=0.5)
    assert half == pytest.approx((rgb + none) / 2, abs=1e-9)


def test_hue_turns_the_circle_and_keeps_luma_and_gray():
    rgb = np.array([200.0, 40.0, 90.0])
    turned = toned(outcome_of("color_jitter", SIZE, hue=[0.25, 0.25]), rgb)
    assert luma(turned) == pytest.approx(luma(rgb), abs=0.5)
    assert np.abs(turned - rgb).max() > 50
    for hue in (0.1, -0.3, 0.5):
        outcome = outcome_of("color_jitter", SIZE, hue=[hue, hue])
        assert outcome.parameters["hue"] == hue
        assert toned(outcome, (90, 90, 90)) == pytest.approx([90] * 3, abs=0.2)
    half = outcome_of("color_jitter", SIZE, hue=[0.5, 0.5])
    assert toned(half, toned(half, rgb)) == pytest.approx(rgb, abs=1e-6)
    forwards, back = (outcome_of("color_jitter", SIZE, hue=[h, h]) for h in (0.1, -0.1))
    assert toned(back, toned(forwards, rgb)) == pytest.approx(rgb, abs=1e-6)


def test_one_parameter_leaves_the_others_neutral():
    for name in ("brightness_contrast", "color_jitter"):
        assert toned(outcome_of(name, SIZE, contrast=0), (3, 100, 255)) == pytest.approx([3, 100, 255], abs=1e-9)


def test_to_gray_is_the_luma():
    for rgb in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 20, 30)]:
        assert toned(outcome_of("to_gray", SIZE), np.array(rgb)) == near(*[luma(rgb)] * 3)


def test_gamma_is_a_curve():
    outcome = outcome_of("gamma", SIZE, amount=2.2)
    assert outcome.effects == (ColorEffect(Curve("gamma", 2.2)),)
    assert outcome.parameters == {"amount": 2.2}


def test_neighbours_become_one_matrix_and_a_curve_stands_between():
    jitter, gamma = "- color_jitter: {hue: 0.1, brightness: 0.2}", "- gamma: {amount: 2}"
    (step,) = plan_of(f"{jitter}\n- to_gray").steps
    assert isinstance(step, Color)
    assert len(step.stages) == 1
    (step,) = plan_of(f"{jitter}\n{gamma}\n- to_gray").steps
    assert [type(stage) for stage in step.stages] == [Matrix3x4, Curve, Matrix3x4]
