"""The CPU backend against the slow float64 reference: every step kind, every border, gray and colour, odd sizes.

Every number that is allowed to differ stands in ``tolerances.REFERENCE``. Warps have a sharper test besides: the
backend makes its positions in float32, so a position that lies on the boundary between two places of the 1/32 grid may
round to either. Each output pixel must be what the reference gives for one of the two, and the float32 error is
computed, not guessed.
"""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture, photo, rendered, smooth_picture
from step_cases import BORDERS, EXACT, FILL, REGIONS, SIZES, random_matrix, warps
from tolerances import REFERENCE

from augpipe.core import geometry as g
from augpipe.core.plan import Curve, Matrix3x4
from augpipe.pixels import reference
from augpipe.pixels.resample import block_means
from augpipe.pixels.steps import noise
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

by_size = pytest.mark.parametrize("size_wh", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
by_channels = pytest.mark.parametrize("channels", [1, 3], ids=["gray", "rgb"])
by_border = pytest.mark.parametrize("border", BORDERS)


def check(kind, picture, *steps):
    """Backend and reference within the tolerance of ``kind``."""
    got, expected = rendered(picture, steps), reference.apply(picture, steps)
    assert got.dtype == np.uint8
    assert got.shape == expected.shape
    difference = np.abs(got.astype(int) - expected.astype(int))
    most, share, _ = REFERENCE[kind]
    assert difference.max() <= most, f"{kind}: {difference.max()} levels at {np.argwhere(difference > most)[:5]}"
    assert (difference == 0).mean() >= share, f"{kind}: {(difference == 0).mean():.4f} equal"


# --- warps -----------------------------------------------------------------------------------------------------------


@by_size
@by_channels
@by_border
def test_exact_moves(size_wh, channels, border):
    picture = noise_picture(size_wh, channels)
    for make in EXACT.values():
        matrix, canvas_wh = make(*size_wh)
        assert g.is_exact(matrix)
        check("exact move", picture, Warp(matrix=matrix, size_wh=canvas_wh, border=border, fill=FILL))


def position_error(step, picture):
    """How far float32 may move a source position: (x, y), in pixels of the picture that is interpolated.

    Two terms of each homogeneous coordinate are rounded, then their sum, then the quotient: 2⁻²⁴ of each at most. Only
    places in front and in or near the picture count; elsewhere every position shows the same border.
    """
    h, w = picture.shape[:2]
    shrink = np.diag([1 / step.reduce[0], 1 / step.reduce[1], 1.0])
    back = shrink @ np.linalg.inv(np.reshape(step.matrix, (3, 3)))
    x, y = np.meshgrid(np.arange(step.size_wh[0]) + 0.5, np.arange(step.size_wh[1]) + 0.5)
    values = [r[0] * x + r[1] * y + r[2] for r in back]
    errors = [2.0**-23 * (np.abs(r[0] * x) + np.abs(r[1] * y) + np.abs(r).sum()) for r in back]
    depth = np.where(values[2] > 0, values[2], np.nan)
    out = []
    for value, error, side in ((values[0], errors[0], w), (values[1], errors[1], h)):
        at = value / depth
        moved = (error + np.abs(at) * errors[2]) / depth + 2.0**-24 * np.abs(at)
        near = np.ones_like(at, bool) if step.border != "constant" else (at > -2) & (at < side + 2)
        out.append(float(np.max(moved[near & np.isfinite(moved)], initial=0.0)))
    return tuple(out)


def possible(picture, step):
    """What the reference gives where every position is moved by the float32 error to either side: four pictures."""
    if step.reduce != (1, 1):
        picture = block_means(picture, step.reduce)
    error_x, error_y = position_error(step, picture)
    assert max(error_x, error_y) < 2.0**-8  # far less than the step of the grid, or this says nothing
    to_source = g.then(g.scaling(*map(float, step.reduce)), step.matrix)
    for x, y in ((error_x, error_y), (error_x, -error_y), (-error_x, error_y), (-error_x, -error_y)):
        moved = Warp(
            matrix=g.then(g.translation(x, y), to_source), size_wh=step.size_wh, border=step.border, fill=step.fill
        )
        yield reference.apply(picture, [moved])


def check_positions(picture, step):
    got = rendered(picture, [step])
    explained = np.zeros(got.shape, bool)
    for expected in possible(picture, step):
        explained |= got == expected
    assert explained.all(), f"at {np.argwhere(~explained)[:5]}"


@by_size
@by_channels
@by_border
def test_every_warped_pixel_is_one_that_float32_allows(size_wh, channels, border):
    picture = noise_picture(size_wh, channels)
    for step in warps(size_wh, border):
        check_positions(picture, step)


@by_size
@by_channels
@by_border
def testwarps(size_wh, channels, border):
    for step in warps(size_wh, border):
        if step.reduce != (3, 2):  # its ties are another test's business; see test_resample
            check("warp of noise", noise_picture(size_wh, channels), step)
            if border not in ("constant", "wrap"):  # those have edges of their own
                check("warp of smooth", smooth_picture(size_wh, channels), step)


@by_border
def test_warps_of_a_photo(border):
    picture = photo()
    h, w = picture.shape[:2]
    for step in warps((w, h), border):
        check_positions(picture, step)
        if step.reduce != (3, 2):
            check("warp of photo", picture, step)


@by_channels
def test_warp_whose_positions_lie_on_ties(channels):
    picture = noise_picture((11, 7), channels)
    step = Warp(matrix=g.rounded(g.scaling(6.4, 6.4)), size_wh=(70, 44), border="replicate")
    check_positions(picture, step)
    check("warp on ties", picture, step)


def test_horizon_inside_the_canvas():
    """Behind the horizon the same arithmetic leads back into the picture, which is not to be seen there again."""
    picture = noise_picture((61, 87), 3)
    back = np.array([[0.5, -0.7, 10.0], [0.0, -0.8, 30.0], [0.0, -1 / 40, 1.0]])
    matrix = g.rounded(tuple(np.linalg.inv(back).ravel().tolist()))
    x, y = np.meshgrid(np.arange(90) + 0.5, np.arange(70) + 0.5)
    sx, sy, depth = (r[0] * x + r[1] * y + r[2] for r in back)
    sx, sy, in_front = sx / depth, sy / depth, depth > 0
    in_picture = (sx > 0) & (sx < 61) & (sy > 0) & (sy < 87)
    assert min((in_picture & in_front).mean(), (in_picture & ~in_front).mean()) > 0.1

    step = Warp(matrix=matrix, size_wh=(90, 70), fill=FILL)
    check_positions(picture, step)
    check("warp of noise", picture, step)
    assert (rendered(picture, [step])[~in_front] == FILL).all()
    # What an invented border is behind the horizon is not defined; in front of it, it is.
    invented = Warp(matrix=matrix, size_wh=(90, 70), border="replicate", fill=FILL)
    equal = rendered(picture, [invented]) == reference.apply(picture, [invented])
    assert equal[in_front].mean() >= REFERENCE["warp of noise"][1]


def test_sixteen_bit_positions_do_not_wrap_round():
    """A canvas that shows forty thousand pixels beside a small picture, all border."""
    picture = noise_picture((9, 5), 3)
    for border in ("constant", "replicate"):
        step = Warp(matrix=g.scaling(0.005, 0.005), size_wh=(260, 260), border=border, fill=FILL)
        check("warp of noise", picture, step)


# --- the other steps -------------------------------------------------------------------------------------------------


@by_size
@by_channels
def test_color(size_wh, channels):
    rng = np.random.default_rng(2)
    picture = noise_picture(size_wh, channels)
    for _ in range(10):
        stages = (random_matrix(rng), Curve("gamma", 0.7), Curve("gamma", 1.9), random_matrix(rng))
        for part in (stages[:1], stages[1:2], stages[1:3], stages):
            check("colour", picture, Color(stages=part))


@by_size
@by_channels
@pytest.mark.parametrize("by", [(0.5, 0.5, 0.5), (1.5, 0.25, -0.5), (30.5, 31.0, 1.0)])
@pytest.mark.parametrize("offset", [0.0, 0.5, -6999.5, 7000.0])
def test_color_that_mixes_no_channels(size_wh, channels, by, offset):
    """Where halves go to even: half of all levels end in a half."""
    r, g, b = by
    stage = Matrix3x4((r, 0.0, 0.0, offset, 0.0, g, 0.0, offset, 0.0, 0.0, b, offset))
    check("colour", noise_picture(size_wh, channels), Color(stages=(stage,)))


@pytest.mark.parametrize("width", [1, 15, 16, 17, 63, 64, 65, 127, 129, 200])
def test_color_of_rows_that_do_not_fill_a_register(width):
    rng = np.random.default_rng(width)
    halves = Matrix3x4((0.5, 0.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.0, 0.5, 0.5, 0.5, 1.0))  # many sums end in a half
    for stage in (halves, *[random_matrix(rng) for _ in range(20)]):
        check("colour", noise_picture((width, 1), 3, width), Color(stages=(stage,)))


@pytest.mark.parametrize("weight", [30.9990234375, 31.0, 40.0])
@pytest.mark.parametrize("offset", [6999.0, 7001.0, -7001.0])
def test_color_of_extreme_matrices(weight, offset):
    rows = (weight, 0.0, -weight, 0.5, 0.0, -0.5, 31.0, -offset, 2.0**-10, 0.0, 0.0, offset)
    check("colour", noise_picture((37, 23), 3), Color(stages=(Matrix3x4(rows),)))


@by_channels
def test_filter(channels):
    face = photo() if channels == 3 else photo()[:, :, 1].copy()
    for sigma in (0.1, 0.3, 0.34, 0.7, 1.0, 1.5, 3.0, 10.0, 50.0):
        check("filter of photo", face, Blur(sigma=sigma))


@by_size
@by_channels
def test_filter_of_noise(size_wh, channels):
    for sigma in (0.1, 0.3, 0.34, 0.7, 1.0, 1.5, 3.0):
        check("filter of noise", noise_picture(size_wh, channels), Blur(sigma=sigma))


@by_size
@by_channels
def test_noise(size_wh, channels):
    picture = noise_picture(size_wh, channels)
    for std, offset in ((0.0, 5), (2.0, 0), (12.3, noise.LENGTH - 400), (128.0, 2**31 - 1)):
        check("noise", picture, Noise(std=std, offset=offset))


def test_noise_in_pieces():
    """Pictures of 65 536 + n numbers, and a bank that ends n numbers into the picture."""
    for n in (1, 2, 3, 4, 5):
        check("noise", noise_picture((65536 + n, 1), 1), Noise(std=20.0, offset=3))
        check("noise", noise_picture((30, 1), 1), Noise(std=20.0, offset=noise.LENGTH - n))


@by_size
@by_channels
def test_erase(size_wh, channels):
    w, h = size_wh
    boxes = ((1, 1, 5, 4), (0, 0, 1, 1), (w - 1, h - 1, w + 3, h + 3), (w, 0, w + 2, 2), (3, 3, 3, 9))
    check("erase", noise_picture(size_wh, channels), Cutout(boxes_xyxy=boxes, fill=FILL))


@by_channels
@pytest.mark.parametrize("box_xyxy", [(-2, -3, 3, 2), (-9, 0, -2, 1), (4, -1, 6, 30)], ids=str)
def test_erase_that_begins_before_the_picture(channels, box_xyxy):
    check("erase", noise_picture((37, 23), channels), Cutout(boxes_xyxy=(box_xyxy,), fill=FILL))


@by_size
@by_channels
def test_bars(size_wh, channels):
    for region in REGIONS.values():
        check("bars", noise_picture(size_wh, channels), PadFill(region=region, fill=FILL))


def test_bars_whose_edge_runs_through_pixel_centres():
    region = ((0.5, 0.5), (5.5, 0.5), (5.5, 3.5), (0.5, 3.5))
    check("bars", noise_picture((9, 7), 3), PadFill(region=region, fill=FILL))


@by_size
@by_channels
def test_recode(size_wh, channels):
    for quality in (1, 10, 40, 75, 90, 100):
        check("recode", noise_picture(size_wh, channels), JpegCompress(quality=quality))


def test_recode_of_a_photo():
    for quality in (10, 75, 95):
        check("recode", photo(), JpegCompress(quality=quality))


@by_channels
def test_a_whole_plan(channels):
    picture = photo() if channels == 3 else photo()[:, :, 0].copy()
    h, w = picture.shape[:2]
    steps = (
        Warp(matrix=g.mirror_x(w), size_wh=(w, h)),
        Color(stages=(random_matrix(np.random.default_rng(1)), Curve("gamma", 1.2))),
        PadFill(region=((10.0, 0.0), (90.0, 0.0), (90.0, 80.0), (10.0, 80.0)), fill=FILL),
        Noise(std=8.0, offset=12345),
        Cutout(boxes_xyxy=((20, 20, 40, 50),), fill=(1, 2, 3)),
        Warp(matrix=g.quarter_turns(1, (w, h)), size_wh=(h - 10, w + 5), border="reflect"),
        JpegCompress(quality=80),
    )
    check("exact move", picture, *steps)
