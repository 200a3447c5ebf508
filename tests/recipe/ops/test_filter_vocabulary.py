"""Blurs, sharpening, sensor noise, weather: their numbers against OpenCV, Pillow, statistics and plain sums."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from contents import noise_picture, rendered, smooth_picture
from PIL import Image
from recipe_tools import drawn, plan_of
from step_checks import check_step

from augpipe.core.canvas import fault_of

PICTURE = noise_picture((64, 48), 3, 4)
POINT = np.zeros((65, 65), np.uint8)
POINT[32, 32] = 255
INNER = slice(8, -8)
WEATHER = ["fog", "rain", "snow", "shadow", "sun_flare", "vignette", "illumination"]


def made(step, picture=PICTURE, copy=0):
    return rendered(picture, plan_of([step], picture.shape[1::-1], copy).steps)


def numbers_of(step, picture=PICTURE, copy=0):
    (numbers,) = drawn(plan_of([step], picture.shape[1::-1], copy)).values()
    return numbers


def test_box_and_median_are_opencvs_away_from_the_edge():
    assert (made({"box_blur": {"size": 5}})[INNER, INNER] == cv2.blur(PICTURE, (5, 5))[INNER, INNER]).all()
    assert (made({"median_blur": {"size": 5}})[INNER, INNER] == cv2.medianBlur(PICTURE, 5)[INNER, INNER]).all()
    assert {numbers_of("box_blur", copy=copy)["size"] for copy in range(60)} == {3, 5, 7}


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 200])
def test_motion_spreads_a_point_along_a_line(degrees):
    spread = made({"motion_blur": {"length": 21, "angle": degrees}}, POINT).astype(float)
    rows, columns = np.nonzero(spread)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    across = (columns - 32) * sin - (rows - 32) * cos
    along = (columns - 32) * cos + (rows - 32) * sin
    assert np.abs(across).max() <= 0.75
    assert np.abs(along).max() == pytest.approx(10, abs=1.1)
    assert spread.sum() == pytest.approx(255, abs=15)
    assert np.average(columns, weights=spread[rows, columns]) == pytest.approx(32, abs=0.2)


def test_motion_that_leans_is_heavier_at_one_end():
    even, leaning = (made({"motion_blur": {"length": 21, "angle": 0, "lean": lean}}, POINT)[32] for lean in (0, [1, 1]))
    assert abs(int(even[:32].sum()) - int(even[33:].sum())) <= 10
    assert int(leaning.max()) > 1.7 * int(even.max())
    assert abs(int(leaning[:32].sum()) - int(leaning[33:].sum())) > 80


@pytest.mark.parametrize("radius", [1.0, 2.5, 6.0])
def test_defocus_spreads_a_point_over_a_disc(radius):
    spread = made({"defocus": {"radius": radius}}, POINT).astype(float)
    rows, columns = np.nonzero(spread > 0)
    assert np.hypot(rows - 32, columns - 32).max() <= radius + 0.9
    assert spread.max() == pytest.approx(255 / (np.pi * radius**2), rel=0.2)
    assert (spread == spread[::-1]).all()
    assert (spread == spread.T).all()


def test_sharpening_adds_what_a_blur_takes():
    picture = smooth_picture((64, 48), 3)
    blurred = cv2.GaussianBlur(picture.astype(float), (0, 0), 1.0)
    expected = np.clip(picture + 0.5 * (picture - blurred), 0, 255)
    out = made({"sharpen": {"amount": 0.5}}, picture)
    assert np.abs(out[INNER, INNER] - expected[INNER, INNER]).max() <= 1.5


def test_emboss_adds_the_difference_across():
    out = made({"emboss": {"amount": 0.5}})
    expected = PICTURE[1:-1, 1:-1] + 0.5 * (PICTURE[2:, 2:].astype(float) - PICTURE[:-2, :-2])
    assert np.abs(out[1:-1, 1:-1] - np.clip(expected, 0, 255)).max() <= 1.0


def test_downscaling_is_pillows_means_painted_again():
    small = Image.fromarray(PICTURE).reduce(4)
    expected = np.asarray(small.resize((64, 48), Image.Resampling.NEAREST)).astype(int)
    assert np.abs(made({"downscale": {"factor": 4}}) - expected).max() <= 1
    expected = np.asarray(small.resize((64, 48), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(made({"downscale": {"factor": 4, "up": "linear"}}) - expected).max() <= 2


@pytest.mark.parametrize(
    ("step", "variance"),
    [
        ({"shot_noise": {"strength": 0.5}}, lambda v: 0.5 * v),
        ({"speckle_noise": {"std": 0.1}}, lambda v: (0.1 * v) ** 2),
        ({"iso_noise": {"strength": 0.4}}, lambda v: 1.5 * 0.4 * (4 + v)),
        ({"gaussian_noise": {"std": 6, "shared": True}}, lambda v: 36.0),
    ],
)
def test_noise_has_the_variance_of_its_level(step, variance):
    for level in (60, 140):
        even = np.full((300, 400, 3), level, np.uint8)
        noise = made(step, even).astype(float) - level
        assert noise.mean() == pytest.approx(0.0, abs=0.08)
        assert noise.var() == pytest.approx(variance(level) + 1 / 12, rel=0.06)


def test_iso_noise_is_alike_in_all_channels_for_the_most_part():
    even = np.full((200, 200, 3), 120, np.uint8)
    red, green, _ = np.moveaxis(made({"iso_noise": {"strength": 0.5}}, even).astype(float), -1, 0)
    assert np.corrcoef(red.ravel(), green.ravel())[0, 1] == pytest.approx(2 / 3, abs=0.05)
    shared = made({"gaussian_noise": {"std": 9, "shared": True}}, even)
    assert (shared == shared[:, :, :1]).all()


@pytest.mark.parametrize("salt", [0.0, 0.25, 1.0])
def test_salt_and_pepper_are_so_many(salt):
    even = np.full((400, 400, 3), 100, np.uint8)
    out = made({"salt_and_pepper": {"amount": 0.1, "salt": salt}}, even)
    assert (out == 255).all(axis=2).mean() == pytest.approx(0.1 * salt, abs=0.004)
    assert (out == 0).all(axis=2).mean() == pytest.approx(0.1 * (1 - salt), abs=0.004)
    dropped = made({"pixel_dropout": {"amount": 0.2, "fill": 9}}, even)
    assert (dropped == 9).all(axis=2).mean() == pytest.approx(0.2, abs=0.005)
    assert (made({"salt_and_pepper": {"amount": 1.0, "salt": 0.0}}, even) == 0).all()


@pytest.mark.parametrize("name", WEATHER)
@pytest.mark.parametrize("size_wh", [(1, 1), (3, 200), (120, 90)])
def test_weather_is_alike_on_every_backend(name, size_wh):
    for copy in range(3):
        plan = plan_of([name], size_wh, copy)
        for step in plan.steps:
            check_step(step, [noise_picture(size_wh, channels, 2) for channels in (1, 3)], apart=1)


def test_fog_hides_as_koschmieder_says():
    black = np.zeros((90, 120), np.uint8)
    even = made({"fog": {"strength": 0.5, "patchiness": 0.0, "depth": "flat", "color": 200}}, black)
    assert (even == 100).all()
    deep = made({"fog": {"strength": 0.5, "patchiness": 0.0, "color": 200}}, black).astype(int)
    assert deep[0, 0] > deep[-1, 0] + 40
    patchy = made({"fog": {"strength": 0.5, "depth": "flat"}}, black)
    assert patchy.std() > 3


def test_a_vignette_darkens_by_the_square_of_the_distance():
    white = np.full((300, 400), 200, np.uint8)
    out = made({"vignette": {"strength": 0.5}}, white).astype(float)
    y, x = np.indices(white.shape) + 0.5
    share = ((x - 200) ** 2 + (y - 150) ** 2) / (200**2 + 150**2)
    assert np.abs(out - 200 * (1 - 0.5 * share)).max() <= 2.5


def test_shadows_darken_a_part_and_rain_and_snow_a_few_pixels():
    gray = np.full((240, 320), 120, np.uint8)
    shadow = made({"shadow": {"strength": 0.5, "count": 1}}, gray)
    assert shadow.min() == 60
    assert 0.02 < (shadow < 100).mean() < 0.7
    assert (shadow[:70] == 120).all()  # the lower part
    rain = made({"rain": {"amount": 1.0, "dim": 1.0}}, gray)
    assert 0.005 < (rain > 130).mean() < 0.4
    assert (made({"rain": {"amount": 0.0, "dim": 0.5}}, gray) == 60).all()
    snow = made({"snow": {"amount": 1.0, "whiten": 0.0}}, gray)
    assert 0.002 < (snow > 200).mean() < 0.1


def test_light_is_uneven_as_asked():
    gray = np.full((240, 320), 120, np.uint8)
    for shape in ("linear", "spot", "plasma"):
        out = made({"illumination": {"strength": 0.3, "shape": shape}}, gray).astype(float)
        assert out.std() > 4
        assert 80 <= out.min() < out.max() <= 157
    shapes = {numbers_of("illumination", copy=copy)["shape"] for copy in range(40)}
    assert shapes == {"linear", "spot", "plasma"}
    flare = made({"sun_flare": {"strength": 0.9}}, gray)
    assert flare.max() > 230
    assert flare.min() >= 120


@pytest.mark.parametrize("name", WEATHER)
@pytest.mark.parametrize("size_wh", [(6000, 4000), (20_000, 20_000), (30_000, 20), (1, 1)])
def test_weather_over_pictures_of_any_size_is_a_plan_that_verify_takes(name, size_wh):
    """Else samples of large photographs could be written and not be made again."""
    heavy = {"rain": {"amount": 20, "length": 0.5, "width": 20}, "snow": {"amount": 20, "size": [50, 50]}}
    heavy |= {"sun_flare": {"size": 1, "circles": 20}, "shadow": {"count": 10, "region": "anywhere"}}
    for parameters in ({}, heavy.get(name, {})):
        for copy in range(4):
            assert fault_of(plan_of([{name: parameters}], size_wh, copy).steps, size_wh) is None
