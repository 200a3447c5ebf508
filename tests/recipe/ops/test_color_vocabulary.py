"""Operations on color by curves, channels and statistics: what Pillow, torchvision and plain sums make of a picture."""

from __future__ import annotations

import colorsys
from collections import Counter

import numpy as np
import pytest
from contents import noise_picture, rendered
from PIL import Image, ImageOps
from recipe_tools import drawn, plan_of
from step_checks import check_step

PICTURE = noise_picture((64, 48), 3, 4)
IMAGE = Image.fromarray(PICTURE)


def made(step, picture=PICTURE, copy=0):
    plan = plan_of([step], picture.shape[1::-1], copy)
    for one in plan.steps:
        check_step(one, [picture])
    return rendered(picture, plan.steps)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("invert", ImageOps.invert(IMAGE)),
        ({"posterize": {"bits": 1}}, ImageOps.posterize(IMAGE, 1)),
        ({"posterize": {"bits": 4}}, ImageOps.posterize(IMAGE, 4)),
        ({"solarize": {"threshold": 100}}, ImageOps.solarize(IMAGE, 100)),
        ({"solarize": {"threshold": 256, "add": [0, 0]}}, IMAGE),
        ("equalize", ImageOps.equalize(IMAGE)),
        ("autocontrast", ImageOps.autocontrast(IMAGE)),
        ({"autocontrast": {"cutoff": 5.0}}, ImageOps.autocontrast(IMAGE, 5)),
    ],
)
def test_it_is_pillows(step, expected):
    assert (made(step) == np.asarray(expected)).all()
    gray = np.asarray(IMAGE.convert("L"))
    assert made(step, gray).shape == gray.shape


def test_solarize_with_add_raises_what_is_dark():
    expected = np.where(PICTURE < 128, np.minimum(PICTURE.astype(int) + 60, 255), PICTURE)
    assert (made({"solarize": {"threshold": 128, "add": [60, 60]}}) == expected).all()


def test_posterizing_behind_gamma_takes_whole_levels():
    plan = plan_of([{"gamma": {"amount": 0.5}}, {"posterize": {"bits": 3}}], (64, 48))
    check_step(plan.steps[0], [PICTURE])
    bright = np.floor(255 * (PICTURE / 255.0) ** 0.5 + 0.5).astype(int)
    assert (rendered(PICTURE, plan.steps) == bright // 32 * 32).all()


def test_a_tone_curve_keeps_black_and_white_and_never_falls():
    levels = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    for copy in range(20):
        out = made("tone_curve", levels, copy)[0].astype(int)
        assert (out[0], out[255]) == (0, 255)
        assert (np.diff(out) >= 0).all()
    (plain,) = made({"tone_curve": {"strength": 0.0}}, levels)[:1]
    assert (plain == np.arange(256)).all()


def test_channels_change_places_in_five_ways():
    found = Counter()
    for copy in range(200):
        out = made("channel_shuffle", PICTURE[:2, :3], copy) if copy < 12 else None
        (numbers,) = drawn(plan_of(["channel_shuffle"], (3, 2), copy)).values()
        order = tuple(numbers["order"])
        if out is not None:
            assert (out == PICTURE[:2, :3][:, :, list(order)]).all()
        found[order] += 1
    assert len(found) == 5
    assert min(found.values()) > 20


def test_shifts_are_added():
    out = made({"rgb_shift": {"red": [30, 30], "green": [-20, -20], "blue": 0}})
    assert (out == np.clip(np.add(PICTURE, (30, -20, 0)), 0, 255)).all()


def test_a_dropped_channel_has_one_level():
    for copy in range(6):
        step = {"channel_dropout": {"count": 2, "fill": 7}}
        out = made(step, copy=copy)
        (numbers,) = drawn(plan_of([step], (64, 48), copy)).values()
        for i, name in enumerate(("red", "green", "blue")):
            assert (out[:, :, i] == (7 if name in numbers["channels"] else PICTURE[:, :, i])).all()


def test_sepia_has_the_usual_numbers():
    weights = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    expected = np.clip(PICTURE @ weights.T, 0, 255)
    assert np.abs(made({"sepia": {"amount": 1.0}}) - expected).max() <= 1.0


@pytest.mark.parametrize(
    ("kelvin", "white"),
    [(3500, (255, 193, 132)), (4500, (255, 219, 186)), (9000, (211, 223, 255)), (12000, (195, 212, 255))],
)
def test_light_of_a_temperature_is_near_the_table_of_black_bodies(kelvin, white):
    """White under it by M. Charity's table *What color is a blackbody?* (CIE 1964, 10 degrees), against its 6500 K."""
    out = made({"color_temperature": {"kelvin": kelvin}}, np.full((2, 2, 3), 120, np.uint8))[0, 0].astype(float)
    neutral = np.array((255, 249, 253))
    expected = np.array(white) / neutral
    assert out / out[1] == pytest.approx(expected / expected[1], abs=0.06)


def test_hue_turns_as_hsv_does():
    for hue, before, after in ((1 / 6, 0.0, 1 / 6), (-1 / 6, 0.0, 5 / 6), (0.1, 0.4, 0.5)):
        color = np.array([[[int(100 + 60 * v) for v in colorsys.hsv_to_rgb(before, 0.5, 1.0)]]], np.uint8)
        out = made({"hsv": {"hue": [hue, hue], "saturation": 0, "value": 0}}, color)[0, 0]
        turned = colorsys.rgb_to_hsv(*(out / 255.0))[0]
        assert abs((turned - after + 0.5) % 1.0 - 0.5) < 0.06  # chroma turns in YIQ, so not by quite the same


def test_value_is_a_factor():
    out = made({"hsv": {"hue": 0, "saturation": 0, "value": [-0.5, -0.5]}})
    assert np.abs(out - PICTURE / 2.0).max() <= 1.0


def test_photometric_distortion_takes_each_part_in_half_of_all():
    parts, swapped = Counter(), 0
    for copy in range(400):
        (numbers,) = drawn(plan_of(["photometric_distort"], (64, 48), copy)).values()
        parts.update(numbers.keys())
        swapped += "order" in numbers
    assert all(160 < parts[name] < 240 for name in ("brightness", "contrast", "saturation", "hue"))
    assert 20 < swapped < 65
    for copy in range(8):
        made("photometric_distort", copy=copy)


@pytest.mark.parametrize(
    "step",
    [
        {"rgb_shift": {"red": [90, 90], "green": [90, 90], "blue": [-250, -250]}},
        {"sepia": {"amount": 0.8}},
        {"color_temperature": {"kelvin": 3000}},
        "channel_shuffle",
    ],
)
def test_gray_becomes_the_luma_of_the_color_picture(step):
    gray = np.full((3, 5), 100, np.uint8)
    as_color = made(step, np.repeat(gray[:, :, None], 3, axis=2))[0, 0].astype(float)
    expected = as_color @ (0.299, 0.587, 0.114)
    assert made(step, gray)[0, 0] == pytest.approx(expected, abs=1.5 if "blue" not in str(step) else 20)


def test_contrast_behind_a_matrix_of_gray_knows_its_mean():
    gray = noise_picture((40, 30), 1, 2)
    plan = plan_of([{"sepia": {"amount": 1.0}}, {"brightness_contrast": {"contrast": [0.5, 0.5]}}], (40, 30))
    out, sepia = rendered(gray, plan.steps).astype(float), gray * 1.21679
    expected = np.clip((sepia - sepia.mean()) * 1.5 + sepia.mean(), 0, 255)
    assert np.abs(out - expected).max() <= 1.5
