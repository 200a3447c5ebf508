"""The CPU backend against the slow float64 reference: every step kind, every border, gray and colour, odd sizes.

Every number that is allowed to differ stands in TOLERANCES. Warps have a sharper test besides: the backend makes its
positions in float32, so a position that lies on the boundary between two places of the 1/32 grid may round to either.
Each output pixel must be what the reference gives for one of the two, and the float32 error is computed, not guessed.
"""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture, photo, rendered, smooth_picture

from augpipe import colour
from augpipe import geometry as g
from augpipe.pixels import noise, reference
from augpipe.plan import Bars, Colour, Curve, Erase, Filter, Matrix3x4, Noise, Recode, Warp
from augpipe.sampling import block_means

# kind: (greatest difference in levels, least share of equal values, reason)
TOLERANCES = {
    "exact move": (0, 1.0, "copies"),
    "warp of smooth": (1, 0.999, "neighbours differ by less than 16 levels, and 16/32 in x and in y make one level"),
    "warp of photo": (8, 0.999, "rare positions a 1/32 step apart, at edges of up to 8 · 32/2 levels"),
    "warp of noise": (16, 0.99, "a 1/32 step in x and in y between black and white: 2 · 255/32 levels"),
    "warp on ties": (16, 0.8, "a scale such as 6.4 puts whole rows of positions on the boundary of the 1/32 grid"),
    "colour": (0, 1.0, "integers on both sides"),
    "filter of photo": (1, 0.75, "OpenCV's weights are whole 1/256, the reference's tails longer than 3 sigma"),
    "filter of noise": (2, 0.4, "the same, where every neighbour may differ by 255 levels"),
    "noise": (0, 1.0, "integers on both sides"),
    "erase": (0, 1.0, "copies"),
    "bars": (0, 1.0, "copies"),
    "recode": (0, 1.0, "OpenCV and Pillow both bring libjpeg-turbo, with the accurate DCT and smooth chroma"),
}

SIZES = [(37, 23), (1, 9), (9, 1), (17, 64), (65, 31), (2, 2)]
BORDERS = ["constant", "replicate", "reflect", "wrap"]
FILL = (10, 200, 60)

by_size = pytest.mark.parametrize("size_wh", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
by_channels = pytest.mark.parametrize("channels", [1, 3], ids=["gray", "rgb"])
by_border = pytest.mark.parametrize("border", BORDERS)


def check(kind, picture, *steps):
    """Backend and reference within the tolerance of ``kind``."""
    got, expected = rendered(picture, steps), reference.apply(picture, steps)
    assert got.dtype == np.uint8
    assert got.shape == expected.shape
    difference = np.abs(got.astype(int) - expected.astype(int))
    most, share, _ = TOLERANCES[kind]
    assert difference.max() <= most, f"{kind}: {difference.max()} levels at {np.argwhere(difference > most)[:5]}"
    assert (difference == 0).mean() >= share, f"{kind}: {(difference == 0).mean():.4f} equal"


# --- warps -----------------------------------------------------------------------------------------------------------

EXACT = {
    "nothing": lambda w, h: (g.IDENTITY, (w, h)),
    "flip x": lambda w, h: (g.mirror_x(w), (w, h)),
    "flip y": lambda w, h: (g.mirror_y(h), (w, h)),
    "quarter": lambda w, h: (g.quarter_turns(1, (w, h)), (h, w)),
    "half": lambda w, h: (g.quarter_turns(2, (w, h)), (w, h)),
    "three quarters": lambda w, h: (g.quarter_turns(3, (w, h)), (h, w)),
    "transpose": lambda w, h: (g.upright(5, (w, h)), (h, w)),
    "transverse": lambda w, h: (g.upright(7, (w, h)), (h, w)),
    "crop": lambda w, h: (g.translation(-5.0, -3.0), (w, h)),
    "crop of rows": lambda w, h: (g.translation(0.0, -1.0), (w, max(1, h - 2))),
    "pad beyond twice the picture": lambda w, h: (g.translation(7.0, 50.0), (3 * w + 20, 3 * h + 120)),
    "picture left behind": lambda w, h: (g.translation(-300.0, 20.0), (w + 5, h + 9)),
    "picture not reached": lambda w, h: (g.translation(90.0, -1.0), (w, h)),
    "turn, crop and pad": lambda w, h: (g.then(g.quarter_turns(1, (w, h)), g.translation(-3.0, 4.0)), (h + 2, w + 3)),
}


@by_size
@by_channels
@by_border
def test_exact_moves(size_wh, channels, border):
    picture = noise_picture(size_wh, channels)
    for make in EXACT.values():
        matrix, canvas_wh = make(*size_wh)
        assert g.is_exact(matrix)
        check("exact move", picture, Warp(matrix=matrix, size_wh=canvas_wh, border=border, fill=FILL))


def _centred(w, h, linear):
    return g.about((w / 2, h / 2), linear)


def _perspective(w, h, *corners):
    return g.then(g.scaling(1 / w, 1 / h), g.square_to_quad([(x * w, y * h) for x, y in corners]))


# name: (w, h) → (map, canvas, reduce)
WARPS = {
    "rotation": lambda w, h: (_centred(w, h, g.rotation(17.3)), (w, h), (1, 1)),
    "eighth turn": lambda w, h: (_centred(w, h, g.rotation(-45.0)), (w + 5, h + 2), (1, 1)),
    "shear": lambda w, h: (g.shearing(12.0, 5.0), (w + 10, h + 3), (1, 1)),
    "half a pixel": lambda w, h: (g.translation(0.5, -1.5), (w + 2, h), (1, 1)),
    "upscale": lambda w, h: (g.scaling(2.7, 1.9), (round(w * 2.7), round(h * 1.9)), (1, 1)),
    "upscale on ties": lambda w, h: (g.scaling(32.0, 1.0), (w * 32, h), (1, 1)),
    "downscale 2": lambda w, h: (g.scaling(0.5, 0.5), ((w + 1) // 2, (h + 1) // 2), (2, 2)),
    "downscale 3, 2": lambda w, h: (_centred(w, h, g.then(g.rotation(5.0), g.scaling(0.34, 0.55))), (w, h), (3, 2)),
    "downscale 5": lambda w, h: (g.scaling(0.2, 0.19), (w // 5 + 2, h // 5 + 2), (5, 5)),
    "downscale as it is": lambda w, h: (g.scaling(0.4, 0.7), (w, h), (1, 1)),
    "perspective": lambda w, h: (_perspective(w, h, (0.1, 0), (1, 0.2), (0.9, 1), (-0.1, 0.8)), (w, h), (1, 1)),
    "perspective, shrunk": lambda w, h: (
        _perspective(w, h, (0.1, 0), (0.4, 0.1), (0.5, 0.6), (0, 0.5)),
        (w, h),
        (2, 2),
    ),
}


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


def _warps(size_wh, border):
    for make in WARPS.values():
        matrix, canvas_wh, reduce = make(*size_wh)
        yield Warp(matrix=g.rounded(matrix), size_wh=canvas_wh, border=border, fill=FILL, reduce=reduce)


@by_size
@by_channels
@by_border
def test_every_warped_pixel_is_one_that_float32_allows(size_wh, channels, border):
    picture = noise_picture(size_wh, channels)
    for step in _warps(size_wh, border):
        check_positions(picture, step)


@by_size
@by_channels
@by_border
def test_warps(size_wh, channels, border):
    for step in _warps(size_wh, border):
        if step.reduce != (3, 2):  # its ties are another test's business; see test_sampling
            check("warp of noise", noise_picture(size_wh, channels), step)
            if border not in ("constant", "wrap"):  # those have edges of their own
                check("warp of smooth", smooth_picture(size_wh, channels), step)


@by_border
def test_warps_of_a_photo(border):
    picture = photo()
    h, w = picture.shape[:2]
    for step in _warps((w, h), border):
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
    assert equal[in_front].mean() >= TOLERANCES["warp of noise"][1]


def test_sixteen_bit_positions_do_not_wrap_round():
    """A canvas that shows forty thousand pixels beside a small picture, all border."""
    picture = noise_picture((9, 5), 3)
    for border in ("constant", "replicate"):
        step = Warp(matrix=g.scaling(0.005, 0.005), size_wh=(260, 260), border=border, fill=FILL)
        check("warp of noise", picture, step)


# --- the other steps -------------------------------------------------------------------------------------------------


def _random_matrix(rng):
    rows = colour.merge(
        colour.saturation_hue(rng.uniform(0.0, 2.0), rng.uniform(-0.5, 0.5)), colour.contrast(rng.uniform(0.2, 3.0))
    )
    return Matrix3x4(tuple(float(v) for v in colour.on_grid(rows)))


@by_size
@by_channels
def test_colour(size_wh, channels):
    rng = np.random.default_rng(2)
    picture = noise_picture(size_wh, channels)
    for _ in range(10):
        stages = (_random_matrix(rng), Curve("gamma", 0.7), Curve("gamma", 1.9), _random_matrix(rng))
        for part in (stages[:1], stages[1:2], stages[1:3], stages):
            check("colour", picture, Colour(stages=part))


@pytest.mark.parametrize("width", [1, 15, 16, 17, 63, 64, 65, 127, 129, 200])
def test_colour_of_rows_that_do_not_fill_a_register(width):
    rng = np.random.default_rng(width)
    halves = Matrix3x4((0.5, 0.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.0, 0.5, 0.5, 0.5, 1.0))  # many sums end in a half
    for stage in (halves, *[_random_matrix(rng) for _ in range(20)]):
        check("colour", noise_picture((width, 1), 3, width), Colour(stages=(stage,)))


@pytest.mark.parametrize("weight", [30.9990234375, 31.0, 40.0])
@pytest.mark.parametrize("offset", [6999.0, 7001.0, -7001.0])
def test_colour_of_extreme_matrices(weight, offset):
    rows = (weight, 0.0, -weight, 0.5, 0.0, -0.5, 31.0, -offset, 2.0**-10, 0.0, 0.0, offset)
    check("colour", noise_picture((37, 23), 3), Colour(stages=(Matrix3x4(rows),)))


@by_channels
def test_filter(channels):
    face = photo() if channels == 3 else photo()[:, :, 1].copy()
    for sigma in (0.1, 0.3, 0.34, 0.7, 1.0, 1.5, 3.0, 10.0, 50.0):
        check("filter of photo", face, Filter(sigma=sigma))


@by_size
@by_channels
def test_filter_of_noise(size_wh, channels):
    for sigma in (0.1, 0.3, 0.34, 0.7, 1.0, 1.5, 3.0):
        check("filter of noise", noise_picture(size_wh, channels), Filter(sigma=sigma))


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
    check("erase", noise_picture(size_wh, channels), Erase(boxes_xyxy=boxes, fill=FILL))


@by_channels
@pytest.mark.parametrize("box_xyxy", [(-2, -3, 3, 2), (-9, 0, -2, 1), (4, -1, 6, 30)], ids=str)
def test_erase_that_begins_before_the_picture(channels, box_xyxy):
    check("erase", noise_picture((37, 23), channels), Erase(boxes_xyxy=(box_xyxy,), fill=FILL))


REGIONS = {
    "upright": ((1.0, 2.0), (8.0, 2.0), (8.0, 6.0), (1.0, 6.0)),
    "upright, off the grid": ((0.4, 0.6), (5.3, 0.6), (5.3, 3.7), (0.4, 3.7)),
    "upright, mirrored": ((8.0, 2.0), (1.0, 2.0), (1.0, 6.0), (8.0, 6.0)),
    "beyond the canvas": ((-5.0, -5.0), (900.0, -5.0), (900.0, 900.0), (-5.0, 900.0)),
    "beside the canvas": ((-9.0, 0.0), (-2.0, 0.0), (-2.0, 9.0), (-9.0, 9.0)),
    "clockwise": ((1.0, 1.0), (30.0, 9.0), (12.0, 20.0)),
    "anticlockwise": ((1.0, 1.0), (12.0, 20.0), (30.0, 9.0)),
    "turned": ((-5.0, 2.0), (3.0, -9.0), (40.0, 3.0), (9.0, 50.0)),
    "empty": (),
}


@by_size
@by_channels
def test_bars(size_wh, channels):
    for region in REGIONS.values():
        check("bars", noise_picture(size_wh, channels), Bars(region=region, fill=FILL))


def test_bars_whose_edge_runs_through_pixel_centres():
    region = ((0.5, 0.5), (5.5, 0.5), (5.5, 3.5), (0.5, 3.5))
    check("bars", noise_picture((9, 7), 3), Bars(region=region, fill=FILL))


@by_size
@by_channels
def test_recode(size_wh, channels):
    for quality in (1, 10, 40, 75, 90, 100):
        check("recode", noise_picture(size_wh, channels), Recode(quality=quality))


def test_recode_of_a_photo():
    for quality in (10, 75, 95):
        check("recode", photo(), Recode(quality=quality))


@by_channels
def test_a_whole_plan(channels):
    picture = photo() if channels == 3 else photo()[:, :, 0].copy()
    h, w = picture.shape[:2]
    steps = (
        Warp(matrix=g.mirror_x(w), size_wh=(w, h)),
        Colour(stages=(_random_matrix(np.random.default_rng(1)), Curve("gamma", 1.2))),
        Bars(region=((10.0, 0.0), (90.0, 0.0), (90.0, 80.0), (10.0, 80.0)), fill=FILL),
        Noise(std=8.0, offset=12345),
        Erase(boxes_xyxy=((20, 20, 40, 50),), fill=(1, 2, 3)),
        Warp(matrix=g.quarter_turns(1, (w, h)), size_wh=(h - 10, w + 5), border="reflect"),
        Recode(quality=80),
    )
    check("exact move", picture, *steps)
