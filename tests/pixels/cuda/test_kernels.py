"""The kernels against the CPU backend: every step kind, border and channel count on odd sizes, to the bit.

Each test runs on the C++ build of the kernels, and on a CUDA device where there is one. That the CPU backend is right
is the business of test_parity.py; here the two must agree within ``tolerances.DEVICE``.
"""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture, photo, rendered, smooth_picture
from devices import rendered_on
from step_cases import BORDERS, EXACT, FILL, REGIONS, SIZES, random_matrix, warps
from tolerances import DEVICE, REFERENCE

from augpipe.core import geometry as g
from augpipe.core.plan import Contrast, Curve, Matrix3x4
from augpipe.pixels import reference
from augpipe.pixels.steps import noise
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

by_channels = pytest.mark.parametrize("channels", [1, 3], ids=["gray", "rgb"])
by_border = pytest.mark.parametrize("border", BORDERS)
# Tiles are 128 × 8 pixels and threads take four: sizes around both, beside the odd ones.
TILES = [*SIZES, (128, 8), (129, 9), (131, 7), (256, 16)]


def check(kind, accelerator, cases):
    """Device and CPU backend within the tolerance of ``kind``, all cases in one batch."""
    most, share, _ = DEVICE[kind]
    for (picture, steps), got in zip(cases, rendered_on(accelerator, cases), strict=True):
        expected = rendered(picture, steps)
        assert got.shape == expected.shape
        difference = np.abs(got.astype(int) - expected.astype(int))
        assert difference.max() <= most, f"{picture.shape} {steps}: {np.argwhere(difference > most)[:5]}"
        assert (difference == 0).mean() >= share, f"{picture.shape} {steps}: {(difference == 0).mean():.4f} equal"


def pictures(channels, sizes=TILES):
    return [noise_picture(size_wh, channels) for size_wh in sizes]


@by_channels
@by_border
def test_exact_moves(accelerator, channels, border):
    cases = []
    for picture in pictures(channels):
        for make in EXACT.values():
            matrix, canvas_wh = make(picture.shape[1], picture.shape[0])
            cases.append((picture, [Warp(matrix=matrix, size_wh=canvas_wh, border=border, fill=FILL)]))
    check("exact move", accelerator, cases)


@by_channels
@by_border
def test_warps(accelerator, channels, border):
    cases = [(p, [s]) for p in pictures(channels) for s in warps((p.shape[1], p.shape[0]), border)]
    check("warp", accelerator, cases)


@by_border
def test_warps_of_a_photo(accelerator, border):
    check("warp", accelerator, [(photo(), [s]) for s in warps((120, 90), border)])


@by_channels
def test_block_means(accelerator, channels):
    """Blocks of every shape, most of which do not fill the picture."""
    cases = []
    for picture in pictures(channels):
        h, w = picture.shape[:2]
        for kx, ky in [(2, 2), (1, 2), (2, 1), (3, 3), (5, 2), (7, 7), (64, 64)]:
            matrix = g.rounded(g.scaling(1.02 / kx, 1.02 / ky))
            cases.append((picture, [Warp(matrix=matrix, size_wh=(w, h), border="replicate", reduce=(kx, ky))]))
    check("reduce", accelerator, cases)


HORIZON = (0.5, -0.7, 10.0, 0.0, -0.8, 30.0, 0.0, -1 / 40, 1.0)


@by_border
def test_horizon_inside_the_canvas(accelerator, border):
    step = Warp(matrix=g.rounded(g.inverse(HORIZON)), size_wh=(90, 70), border=border, fill=FILL)
    check("warp", accelerator, [(noise_picture((61, 87), 3), [step])])


@by_border
def test_positions_beyond_every_integer(accelerator, border):
    """Just in front of a horizon, positions reach 10¹⁰; 16-bit ones end at 32 767."""
    steep = Warp(matrix=g.inverse((3e4, 0.0, 1e4, 0.0, -3e4, 5.0, 0.0, -1e-3, 1.0)), size_wh=(40, 1100), border=border)
    wide = Warp(matrix=g.scaling(0.005, 0.005), size_wh=(260, 260), border=border, fill=FILL)
    check("warp", accelerator, [(noise_picture((9, 5), 3), [step]) for step in (steep, wide)])


@by_channels
def test_color(accelerator, channels):
    rng = np.random.default_rng(2)
    cases = []
    for picture in pictures(channels):
        stages = (random_matrix(rng), Curve("gamma", 0.7), Curve("gamma", 1.9), random_matrix(rng))
        cases += [(picture, [Color(stages=part)]) for part in (stages[:1], stages[1:2], stages[1:3], stages, ())]
    check("colour", accelerator, cases)


@by_channels
def test_color_that_mixes_no_channels(accelerator, channels):
    """Of which half of all levels end in a half."""
    for r, g_, b, o in ((0.5, 0.5, 0.5, 0.0), (1.5, -0.25, 0.5, 9.5)):
        step = Color(stages=(Matrix3x4((r, 0.0, 0.0, o, 0.0, g_, 0.0, o, 0.0, 0.0, b, o)),))
        check("colour", accelerator, [(p, [step]) for p in pictures(channels)])


@by_channels
@pytest.mark.parametrize("weight", [30.9990234375, 31.0, 40.0, 4000.0, 1e9])
@pytest.mark.parametrize("offset", [6999.0, -7001.0, 3e6, -1e9])
def test_color_of_extreme_matrices(accelerator, channels, weight, offset):
    """The widest no longer fit in 32 bits."""
    rows = (weight, 0.0, -weight, 0.5, 0.0, -0.5, 31.0, -offset, 2.0**-10, 0.0, 0.0, offset)
    check("colour", accelerator, [(noise_picture((37, 23), channels), [Color(stages=(Matrix3x4(rows),))])])


@by_channels
def test_contrast(accelerator, channels):
    """About the mean of the source, which a kernel of its own sums up, on sizes around its strips."""
    skewed = random_matrix(np.random.default_rng(4))
    plans = [
        [Color(stages=(Contrast(1.4),))],
        [Color(stages=(skewed, Contrast(0.3), skewed, Contrast(2.0)))],
        [Color(stages=(skewed, Curve("gamma", 0.7), Contrast(1.3)))],
        [Blur(sigma=1.0), Color(stages=(Contrast(0.6),)), Blur(sigma=0.5), Color(stages=(skewed, Contrast(1.2)))],
    ]
    more = [noise_picture(size_wh, channels) for size_wh in ((1, 1), (31, 63), (32, 64), (33, 65), (129, 131))]
    check("colour", accelerator, [(p, steps) for p in [*pictures(channels), *more] for steps in plans])


def test_contrast_behind_a_matrix_that_does_not_fit_in_32_bits(accelerator):
    wide = Matrix3x4((4000.0, -4000.0, 0.0, 9.0, 0.0, 1.0, 0.0, 0.0, 1e6, 0.0, -1e6, 3.0))
    check(
        "colour",
        accelerator,
        [(noise_picture((37, 23), 3), [Color(stages=(wide, Curve("gamma", 2.0), Contrast(1.4)))])],
    )


def test_contrast_of_a_large_picture(accelerator):
    white = np.full((1500, 2100, 3), 255, np.uint8)
    white[0, 0] = 0
    check("colour", accelerator, [(white, [Color(stages=(Contrast(0.5),))])])


@by_channels
def test_filter(accelerator, channels):
    sigmas = (0.1, 0.3, 0.34, 0.7, 1.0, 1.5, 3.0, 10.0, 50.0)
    check("filter", accelerator, [(p, [Blur(sigma=s)]) for p in pictures(channels) for s in sigmas])


@by_channels
def test_noise(accelerator, channels):
    parameters = ((0.0, 5), (2.0, 0), (12.3, noise.LENGTH - 400), (12.3, noise.LENGTH - 2), (128.0, 2**31 - 1))
    cases = [(p, [Noise(std=std, offset=offset)]) for p in pictures(channels) for std, offset in parameters]
    last = noise.LENGTH - 1
    for reads in (((5, 0, 1), (0, 7, last)), ((last, last, last), (last - 3, 2_000_001, 1_234_567))):
        cases += [(p, [Noise(std=std, reads=reads)]) for p in pictures(channels) for std, _ in parameters]
    check("noise", accelerator, cases)


def test_noise_of_a_picture_larger_than_the_bank(accelerator):
    picture, reads = np.full((1100, 1300, 3), 128, np.uint8), ((77, 3_999_999, 4_000_001), (8, 1_000_003, 3))
    check("noise", accelerator, [(picture, [Noise(std=40.0, offset=77)]), (picture, [Noise(std=40.0, reads=reads)])])


@by_channels
def test_erase(accelerator, channels):
    boxes = ((1, 1, 5, 4), (0, 0, 1, 1), (3, 3, 3, 9), (-2, -3, 3, 2), (-9, 0, -2, 1), (20, -1, 400, 30))
    cases = [
        (p, [Cutout(boxes_xyxy=chosen, fill=FILL)]) for p in pictures(channels) for chosen in (boxes, boxes[:1], ())
    ]
    check("erase", accelerator, cases)


@by_channels
def test_bars(accelerator, channels):
    through_centres = ((0.5, 0.5), (5.5, 0.5), (5.5, 3.5), (0.5, 3.5))
    regions = [*REGIONS.values(), through_centres]
    check("bars", accelerator, [(p, [PadFill(region=r, fill=FILL)]) for p in pictures(channels) for r in regions])


@by_channels
@pytest.mark.parametrize("quality", [1, 10, 40, 50, 75, 90, 100])
def test_recode(accelerator, channels, quality):
    """Two chroma columns are brought back in another way than three, so sizes around that too."""
    sizes = [*TILES, (3, 3), (4, 4), (5, 4), (6, 2), (7, 8), (16, 16), (33, 15)]
    check("recode", accelerator, [(p, [JpegCompress(quality=quality)]) for p in pictures(channels, sizes)])


@by_channels
def test_recode_of_a_photo(accelerator, channels):
    picture = photo() if channels == 3 else photo()[:, :, 1].copy()
    check("recode", accelerator, [(picture, [JpegCompress(quality=quality)]) for quality in range(1, 101, 7)])


# --- against the slow float64 reference ------------------------------------------------------------------------------


def against_reference(channels):
    """(kind of tolerance, picture, step) of every kind; what CPU and device share could be wrong in both."""
    size_wh = (65, 31)
    noisy, smooth = noise_picture(size_wh, channels), smooth_picture(size_wh, channels)
    face = photo() if channels == 3 else photo()[:, :, 1].copy()
    for border in BORDERS:
        for make in EXACT.values():
            matrix, canvas_wh = make(*size_wh)
            yield "exact move", noisy, Warp(matrix=matrix, size_wh=canvas_wh, border=border, fill=FILL)
        for step in warps(size_wh, border):
            if step.reduce != (3, 2):  # ties; see test_resample
                yield "warp of noise", noisy, step
                if border not in ("constant", "wrap"):
                    yield "warp of smooth", smooth, step
        for step in warps((120, 90), border):
            if step.reduce != (3, 2):
                yield "warp of photo", face, step
    rng = np.random.default_rng(4)
    yield "colour", noisy, Color(stages=(random_matrix(rng), Curve("gamma", 0.7), random_matrix(rng)))
    for sigma in (0.1, 0.7, 3.0):
        yield "filter of noise", noisy, Blur(sigma=sigma)
        yield "filter of photo", face, Blur(sigma=sigma)
    yield "noise", noisy, Noise(std=12.3, offset=noise.LENGTH - 400)
    yield "erase", noisy, Cutout(boxes_xyxy=((1, 1, 5, 4), (60, 0, 80, 9)), fill=FILL)
    for region in REGIONS.values():
        yield "bars", noisy, PadFill(region=region, fill=FILL)
    for quality in (10, 75, 95):
        yield "recode", face, JpegCompress(quality=quality)


@by_channels
def test_the_reference_agrees(accelerator, channels):
    kinds, inputs, steps = zip(*against_reference(channels), strict=True)
    cases = [(picture, [step]) for picture, step in zip(inputs, steps, strict=True)]
    for kind, (picture, chain), got in zip(kinds, cases, rendered_on(accelerator, cases), strict=True):
        most, share, _ = REFERENCE[kind]
        difference = np.abs(got.astype(int) - reference.apply(picture, chain).astype(int))
        assert difference.max() <= most, f"{kind}: {chain}"
        assert (difference == 0).mean() >= share, f"{kind}: {chain}"
