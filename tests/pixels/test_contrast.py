"""Contrast about the mean of the source: against Pillow on photographs, and where the mean is taken from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import encoded
from contents import noise_picture, rendered
from pictures import by_pillow
from PIL import Image, ImageEnhance
from recipe_tools import plan_of

from augpipe.core import geometry as g
from augpipe.core.color import SumTone, aimed
from augpipe.core.plan import Contrast, Curve, Matrix3x4
from augpipe.pixels import cpu, reference
from augpipe.pixels.backend import BackendOptions, PictureJob
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import PictureFormat
from augpipe.pixels.cpu import CpuBackend
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color, sums_behind
from augpipe.pixels.steps.warp import Warp

FACTORS = [0.6, 0.8, 1.2, 1.4]
DARKER = Matrix3x4((0.8, 0.0, 0.0, 0.0, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.8, 0.0))


def photos():
    """Three photographs by day, and as they would be at night."""
    data = pytest.importorskip("skimage.data")
    for photo in (data.astronaut(), data.coffee(), data.chelsea()):
        yield photo
        yield (255.0 * (photo / 255.0) ** 2.2 * 0.35).astype(np.uint8)


def by_pil(picture, factor):
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(picture)).enhance(factor))


def off(got, expected):
    return np.abs(got.astype(int) - expected).max()


def luma(picture):
    return picture @ (0.299, 0.587, 0.114) if picture.ndim == 3 else picture.astype(float)


@pytest.mark.parametrize("factor", FACTORS)
def test_photographs_as_by_pillow(factor):
    for picture in photos():
        assert off(rendered(picture, [Color(stages=(Contrast(factor),))]), by_pil(picture, factor)) <= 2


@pytest.mark.parametrize("factor", FACTORS)
def test_gray_photographs_as_by_pillow(factor):
    for picture in photos():
        gray = np.ascontiguousarray(picture[:, :, 1])
        assert off(rendered(gray, [Color(stages=(Contrast(factor),))]), by_pil(gray, factor)) <= 2


@pytest.mark.parametrize("factor", FACTORS)
def test_behind_brightness_it_is_about_the_mean_of_the_brighter_picture(factor):
    for picture in photos():
        expected = by_pil(np.asarray(ImageEnhance.Brightness(Image.fromarray(picture)).enhance(0.8)), factor)
        assert off(rendered(picture, [Color(stages=(DARKER, Contrast(factor)))]), expected) <= 2


@pytest.mark.parametrize("amount", [0.5, 2.0])
@pytest.mark.parametrize("factor", FACTORS)
def test_behind_a_curve_it_is_about_the_mean_of_what_the_curve_made(amount, factor):
    table = np.floor(255.0 * (np.arange(256) / 255.0) ** amount + 0.5).astype(np.uint8)
    for picture in photos():
        step = Color(stages=(Curve("gamma", amount), Contrast(factor)))
        assert off(rendered(picture, [step]), by_pil(table[picture], factor)) <= 2


def test_behind_another_contrast_and_another_step():
    picture = next(photos())
    for steps in (
        [Color(stages=(DARKER, Contrast(0.7), Contrast(1.2)))],
        [Color(stages=(DARKER, Contrast(0.7))), Blur(sigma=0.1), Color(stages=(Contrast(1.2),))],
    ):
        darker = np.asarray(ImageEnhance.Brightness(Image.fromarray(picture)).enhance(0.8))
        assert (
            off(rendered(picture, steps), by_pil(by_pil(darker, 0.7), 1.2)) <= 3
        )  # each of its steps cuts decimals off


def test_a_dark_picture_is_not_blackened():
    """Night of mean 27: spread about 127.5, most of it became black."""
    rng = np.random.default_rng(3)
    picture = np.clip(rng.gamma(1.2, 27 / 1.2, (120, 160, 1)) + rng.normal(0, 2, (120, 160, 3)), 0, 255).astype(
        np.uint8
    )
    assert luma(picture).mean() == pytest.approx(27, abs=1)
    about_middle, about_mean = (
        rendered(picture, plan_of([{"brightness_contrast": {"contrast": [0.4, 0.4], "about": about}}]).steps)
        for about in ("middle", "mean")
    )
    assert (about_middle == 0).all(axis=2).mean() > 0.7
    assert (about_mean == 0).all(axis=2).mean() < 0.2
    assert off(about_mean, by_pil(picture, 1.4)) <= 2
    assert luma(about_mean).mean() == pytest.approx(27, abs=2)


def test_the_mean_is_that_of_the_source_and_not_of_a_crop():
    picture = np.full((40, 60, 3), 200, np.uint8)
    picture[:10, :10] = 40  # a corner, which the crop shows alone
    mean = (200 * 2300 + 40 * 100) / 2400
    steps = [Warp(matrix=g.IDENTITY, size_wh=(10, 10)), Color(stages=(Contrast(0.5),))]
    assert (rendered(picture, steps) == round(mean + 0.5 * (40 - mean))).all()


def test_the_mean_is_rounded_half_up_to_a_1024th():
    picture = np.zeros((32, 64), np.uint8)
    picture[0, 0] = 1  # a mean of half a 1024th
    assert SumTone(lambda stages: sums_behind(picture, stages)).mean_luma() == 1 / 1024
    (step,) = aimed([Color(stages=(Contrast(3.0),))], SumTone(lambda stages: ((1,), 2049)))
    assert step.stages[0].rows[3] == 0.0


@pytest.mark.parametrize("size_wh", [(1, 1), (3, 1), (1, 5), (37, 23), (64, 32), (300, 301)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_backend_is_the_reference(size_wh, channels):
    picture = noise_picture(size_wh, channels)
    skewed = Matrix3x4((0.5, 0.25, 0.125, 9.0, 0.25, 0.75, 0.0, -7.5, 0.0, -0.125, 1.0, 3.0))
    for stages in (
        (Contrast(1.4),),
        (skewed, Contrast(0.6), skewed),
        (Curve("gamma", 0.7), Contrast(2.0), Curve("gamma", 1.1), skewed, Contrast(0.5)),
        (Contrast(-0.3), Contrast(9.0), Curve("gamma", 2.0)),
    ):
        for steps in ([Color(stages=stages)], [Color(stages=stages), Blur(sigma=0.1), Color(stages=stages)]):
            assert (rendered(picture, steps) == reference.apply(picture, steps)).all()


@pytest.mark.parametrize("shape", [(1200, 1100, 3), (1100, 1200)])
def test_sums_of_a_large_picture_are_whole(shape):
    picture = np.random.default_rng(1).integers(250, 256, shape, dtype=np.uint8)
    whole = picture.reshape(-1, *shape[2:]).astype(np.int64).sum(axis=0)
    sums, count = sums_behind(picture, ())
    assert sums == tuple(np.atleast_1d(whole)[::-1].tolist())
    assert count == shape[0] * shape[1]


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_without_contrast_nothing_is_summed_and_with_it_once_for_all_copies(monkeypatch):
    asked = []
    monkeypatch.setattr(
        cpu, "sums_behind", lambda picture, stages: asked.append(stages) or sums_behind(picture, stages)
    )
    data = encoded(noise_picture((40, 30), 3), "PNG")
    plain, spread = (Color(stages=(DARKER, Curve("gamma", 0.7))),), (Color(stages=(DARKER, Contrast(1.2))),)
    job = PictureJob(data, read_header(data), (plain, (), plain))
    list(CpuBackend(BackendOptions()).render([job]))
    assert asked == []
    list(CpuBackend(BackendOptions()).render([replace(job, steps=(spread, plain, spread, spread))]))
    assert asked == [()]


def test_no_contrast_drawn_is_no_stage():
    """The plan is then what it was, and backends have nothing to sum."""
    for name in ("brightness_contrast", "color_jitter"):
        (step,) = plan_of([{name: {"brightness": 0.2}}]).steps
        assert [type(stage) for stage in step.stages] == [Matrix3x4]


# --- a picture that the decoder makes smaller ------------------------------------------------------------------------


def test_a_copy_that_is_decoded_smaller_has_the_mean_of_that_and_of_no_other_copy():
    picture = np.linspace(0, 255, 208 * 160 * 3).reshape(160, 208, 3).astype(np.uint8)
    data = encoded(picture, "JPEG", quality=95)
    quarter = Warp(matrix=g.scaling(0.25, 0.25), size_wh=(52, 40), border="replicate", reduce=(4, 4))
    spread = Color(stages=(Contrast(0.0),))  # nothing is left but the mean
    steps = ((quarter, spread), (spread,), (quarter, spread))
    backend, job = CpuBackend(BackendOptions(PictureFormat("png"))), PictureJob(data, read_header(data), steps)
    (together,) = backend.render([job])
    for i, alone in enumerate(steps):
        (rendered_alone,) = backend.render([replace(job, steps=(alone,))])
        assert rendered_alone.pictures[0] == together.pictures[i]
    for made, decoded in zip(together.pictures, (by_pillow_at(data, 4), by_pillow_at(data, 1)), strict=False):
        assert (by_pillow(made) == np.floor(luma(decoded).mean() + 0.5)).all()


def by_pillow_at(data, divisor):
    """A JPEG at a part of its size, by Pillow's own use of the decoder."""
    import io

    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (image.width // divisor, image.height // divisor))
    return np.asarray(image.convert("RGB"))
