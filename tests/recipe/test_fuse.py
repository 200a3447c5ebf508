"""Fusion: what a sequence of effects means, seen in steps and, through the reference, in pixels."""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture, photo, rendered
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.core import color
from augpipe.core import geometry as g
from augpipe.core.canvas import follow
from augpipe.core.plan import Contrast, Curve, Matrix3x4
from augpipe.pixels import reference
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.fuse import Fuser
from augpipe.recipe.operation.base import ColorEffect, PadEffect, PixelStep, WarpEffect
from augpipe.recipe.ops.geometric import stretched

SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]
RED, GRAY = (255, 0, 0), (114, 114, 114)
BLUR = PixelStep(Blur(sigma=1.0))


def fused(size_wh, *effects, **options):
    fuser = Fuser(size_wh, **options)
    for effect in effects:
        fuser.add(effect)
    return fuser.finish()


def kinds(steps):
    return [type(step) for step in steps]


def seen(picture, *effects, **options):
    """A picture through fused effects, by the reference; the CPU's pixels are another test's business."""
    return reference.apply(picture, fused(picture.shape[1::-1], *effects, **options))


def white(size_wh):
    return np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)


def flip(size_wh):
    return WarpEffect(g.mirror_x(size_wh[0]), size_wh)


def rotate(degrees, size_wh):
    return WarpEffect(g.about((size_wh[0] / 2, size_wh[1] / 2), g.rotation(degrees)), size_wh)


def crop(x0, y0, x1, y1):
    return WarpEffect(g.translation(float(-x0), float(-y0)), (x1 - x0, y1 - y0))


def pad(size_wh, bars, fill=RED):
    w, h = size_wh
    return PadEffect(g.translation(float(bars), float(bars)), (w + 2 * bars, h + 2 * bars), fill)


def brightness(factor):
    return ColorEffect(Matrix3x4(tuple(float(v) for v in color.brightness(factor))))


# --- how many steps --------------------------------------------------------------------------------------------------


def test_nothing_is_no_step():
    assert fused((40, 30)) == ()
    assert fused((40, 30), flip((40, 30)), flip((40, 30))) == ()
    assert fused((40, 30), *[WarpEffect(g.quarter_turns(1, s), s[::-1]) for s in [(40, 30), (30, 40)] * 2]) == ()


def test_moves_compose_into_one_warp():
    turn, mirror = rotate(10.0, (40, 30)), flip((40, 30))
    (step,) = fused((40, 30), turn, mirror, crop(5, 5, 25, 20))
    expected = g.then(g.then(turn.matrix, mirror.matrix), g.translation(-5.0, -5.0))
    assert isinstance(step, Warp)
    assert step.matrix == g.rounded(expected)
    assert step.size_wh == (20, 15)


def test_flip_jitter_and_affine_are_one_warp_and_one_color():
    jitter = (
        brightness(1.1),
        ColorEffect(Matrix3x4(color.contrast(0.9))),
        ColorEffect(Matrix3x4(color.saturation_hue(1.2, 0.02))),
    )
    steps = fused((40, 30), flip((40, 30)), *jitter, rotate(10.0, (40, 30)))
    assert kinds(steps) == [Warp, Color]
    assert len(steps[1].stages) == 1
    assert all((v * 1024).is_integer() for v in steps[1].stages[0].rows)


def test_a_blur_between_makes_two_warps():
    turn = rotate(10.0, (40, 30))
    assert kinds(fused((40, 30), turn, BLUR, turn)) == [Warp, Blur, Warp]
    assert kinds(fused((40, 30), turn, brightness(1.1), BLUR, brightness(1.1))) == [Warp, Color, Blur, Color]
    assert kinds(fused((40, 30), BLUR)) == [Blur]


def test_curves_and_matrices_keep_their_order():
    (step,) = fused(
        (4, 3), brightness(1.1), ColorEffect(Curve("gamma", 0.5)), ColorEffect(Curve("gamma", 2.0)), brightness(0.9)
    )
    assert [type(s) for s in step.stages] == [Matrix3x4, Curve, Curve, Matrix3x4]


def test_a_cut_run_starts_from_its_canvas():
    """After the end of a run, what its canvas did not show is gone; before it, it is not."""
    there, back = WarpEffect(g.translation(20.0, 0.0), (40, 30)), WarpEffect(g.translation(-20.0, 0.0), (40, 30))
    picture = white((40, 30))
    assert (seen(picture, there, back) == 255).all()
    out = seen(picture, there, BLUR, back)
    assert (out[:, 30:] == 0).all()


# --- canvases that do not cut ----------------------------------------------------------------------------------------


def test_rotation_and_centre_crop_show_no_black():
    size = (100, 100)
    out = seen(white(size), rotate(45.0, size), crop(20, 20, 80, 80))  # |x| + |y| ≤ 60 < 70.7 from the centre
    assert out.shape == (60, 60, 3)
    assert out.min() == 255


def test_what_a_rotation_pushed_out_comes_back():
    size = (200, 52)  # whole blocks of 4×4, which the shrinking takes
    assert (seen(photo()[:50], rotate(30.0, (120, 50)), rotate(-30.0, (120, 50))) == photo()[:50]).all()
    out = seen(
        white(size),
        rotate(30.0, size),
        WarpEffect(g.about((100.0, 26.0), g.scaling(0.3, 0.3)), size),
        rotate(-30, size),
    )
    assert out[:, :, 0].sum() / 255 == pytest.approx(200 * 52 * 0.3**2, rel=0.03), "the whole picture, made small"


def test_a_border_that_shows_stays_as_asked():
    for border in ("constant", "replicate", "reflect", "wrap"):
        (step,) = fused((40, 30), rotate(30.0, (40, 30)), border=border, fill=(1, 2, 3))
        assert (step.border, step.fill) == (border, (1, 2, 3))


@pytest.mark.parametrize("size_wh", [(50, 37), (1, 1), (640, 3), (2000, 2)])
@pytest.mark.parametrize("factor", [1.01, 4 / 3, 1.5, 2.0, 3.7])
def test_an_upscaled_picture_has_no_dark_fringe(size_wh, factor):
    target = (round(size_wh[0] * factor) + 1, round(size_wh[1] * factor) + 1)
    assert seen(white(size_wh), stretched(size_wh, target)).min() == 255


@pytest.mark.parametrize(("width", "target"), [(3036, 3946), (4000, 5000), (6000, 7000), (12_000, 13_000)])
def test_a_large_upscaled_picture_has_no_dark_fringe(width, target):
    """The map is rounded to 2⁻²⁰; over thousands of pixels that is more than a thousandth of a pixel."""
    assert seen(white((width, 2)), stretched((width, 2), (target, 3))).min() == 255


@pytest.mark.parametrize("factor", [0.13, 0.29, 0.5, 0.77])
def test_a_downscaled_picture_has_no_dark_fringe(factor):
    target = (max(1, round(300 * factor)), max(1, round(200 * factor)))
    assert seen(white((300, 200)), stretched((300, 200), target)).min() == 255


def test_strong_shrinking_averages():
    checks = np.indices((80, 80)).sum(axis=0) % 2 * 255
    out = seen(checks.astype(np.uint8), stretched((80, 80), (10, 20)))
    assert set(np.unique(out)) <= {127, 128}, "a checkerboard becomes gray, not black or white"
    (step,) = fused((80, 80), stretched((80, 80), (10, 20)))
    assert step.reduce == (8, 4)
    assert fused((80, 80), stretched((80, 80), (60, 53)))[0].reduce == (1, 2)
    assert fused((80, 80), rotate(30.0, (80, 80)))[0].reduce == (1, 1)


# --- exact moves -----------------------------------------------------------------------------------------------------

EXACT = {
    "flip x": lambda p: (WarpEffect(g.mirror_x(p.shape[1]), p.shape[1::-1]), p[:, ::-1]),
    "flip y": lambda p: (WarpEffect(g.mirror_y(p.shape[0]), p.shape[1::-1]), p[::-1]),
    "turn": lambda p: (WarpEffect(g.quarter_turns(1, p.shape[1::-1]), p.shape[:2]), np.rot90(p, -1)),
    "turn back": lambda p: (WarpEffect(g.quarter_turns(3, p.shape[1::-1]), p.shape[:2]), np.rot90(p)),
    "crop": lambda p: (crop(1, 2, p.shape[1] - 2, p.shape[0] - 1), p[2:-1, 1:-2]),
    "crop of rows": lambda p: (crop(0, 1, p.shape[1], p.shape[0]), p[1:]),
}


@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(sorted(EXACT)), min_size=1, max_size=6))
def test_integer_moves_are_the_copies_one_after_the_other(names):
    picture = noise_picture((37, 29), 3)
    expected, effects = picture, []
    for name in names:
        move, expected = EXACT[name](expected)
        effects.append(move)
    steps = fused((37, 29), *effects)
    assert len(steps) <= 1
    assert follow(steps, (37, 29)).size_wh == expected.shape[1::-1]
    assert (rendered(picture, steps) == expected).all()


# --- frames ----------------------------------------------------------------------------------------------------------


def letterbox(size_wh, side, fill=GRAY):
    factor = side / max(size_wh)
    fitted = (round(size_wh[0] * factor), round(size_wh[1] * factor))
    offset = ((side - fitted[0]) // 2, (side - fitted[1]) // 2)
    return stretched(size_wh, fitted), PadEffect(g.translation(*map(float, offset)), (side, side), fill)


def test_letterbox():
    out = seen(white((40, 20)), *letterbox((40, 20), 80))
    assert (out[:20] == GRAY).all()
    assert (out[20:60] == 255).all()
    assert (out[60:] == GRAY).all()


def test_a_frame_without_bars_paints_nothing():
    assert kinds(fused((40, 20), pad((40, 20), 0))) == []
    assert kinds(fused((40, 20), pad((40, 20), 9), crop(12, 12, 30, 25))) == [Warp]


def test_bars_keep_their_fill_though_brightness_came_before():
    out = seen(white((40, 20)), brightness(0.5), *letterbox((40, 20), 80))
    assert (out[:20] == GRAY).all()
    assert (out[30] == 128).all()


def test_a_tone_after_the_frame_recolors_the_bars():
    out = seen(white((40, 20)), *letterbox((40, 20), 80), brightness(0.5))
    assert (out[:20] == 57).all()
    assert (out[30] == 128).all()


def test_bars_are_what_a_pixel_of_their_color_becomes():
    """Painted bars and a border of the same colour go through the same tones."""
    tones = (ColorEffect(Matrix3x4(color.saturation_hue(1.4, 0.2))), ColorEffect(Curve("gamma", 0.7)), brightness(1.2))
    frame = seen(white((6, 6)), pad((6, 6), 3, fill=(200, 90, 30)), *tones)
    border = seen(white((6, 6)), WarpEffect(g.translation(3.0, 3.0), (12, 12)), *tones, fill=(200, 90, 30))
    assert (frame == border).all()


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_bars_behind_contrast_about_the_mean_are_what_a_pixel_of_their_color_becomes(factor):
    """A plan cannot know that color, so its bars are painted before the contrast: about (255 + 0)/2, rounded up."""
    picture = white((40, 20))
    picture[:10] = 0
    out = seen(picture, *letterbox((40, 20), 80), ColorEffect(Contrast(factor)))
    assert (out[:20] == np.floor(127.5 + factor * (114 - 127.5) + 0.5)).all()
    assert (out[25] == max(0, np.floor(127.5 - factor * 127.5 + 0.5))).all()
    assert (out == seen(picture, *letterbox((40, 20), 80), ColorEffect(Matrix3x4(color.contrast(factor))))).all()


def test_each_frame_has_its_own_bars_with_contrast_between_and_behind_them():
    """The mean is the picture's, with the colors before; bars have no part in it."""
    picture = np.full((10, 10, 3), 200, np.uint8)
    contrast, half = ColorEffect(Contrast(0.5)), brightness(0.5)
    steps = fused((10, 10), half, pad((10, 10), 2, RED), contrast, pad((14, 14), 3, (20, 20, 20)), half, contrast)
    assert kinds(steps) == [Warp, Color, PadFill, Color, PadFill, Color]
    out = reference.apply(picture, steps)
    # 200 → 100 → 100 about 100 → 50; 20 → 10, half the way to 50; black → 50 → 25 → 37.5
    assert out[8, 8].tolist() == [50, 50, 50]
    assert out[0, 0].tolist() == [30, 30, 30]
    assert out[8, 4].tolist() == [70, 38, 38]  # red's 255 → 177.5 → 89 → 69.5
    about_middle = fused((10, 10), pad((10, 10), 2), ColorEffect(Matrix3x4(color.contrast(1.5))))
    assert kinds(about_middle) == [Warp, Color, PadFill], "plans without contrast about the mean are as they were"


def test_each_frame_has_its_own_bars():
    out = seen(white((10, 10)), pad((10, 10), 2, RED), brightness(0.5), pad((14, 14), 3, GRAY))
    assert (out[8] == [GRAY] * 3 + [(128, 0, 0)] * 2 + [(128, 128, 128)] * 10 + [(128, 0, 0)] * 2 + [GRAY] * 3).all()


def test_bars_turn_along():
    size = (60, 60)
    out = seen(white((40, 40)), pad((40, 40), 10), rotate(45.0, size))
    x, y = np.meshgrid(np.arange(60) + 0.5 - 30, np.arange(60) + 0.5 - 30)
    distance = (np.abs(x) + np.abs(y)) / np.sqrt(2)  # of the turned square, whose sides are 20 from the centre
    assert (out[distance < 19.9] == 255).all()
    assert (out[distance > 20.1] == RED).all(), "no black corner, no black fringe between picture and bar"


def test_what_a_pad_hid_stays_hidden():
    """Pushed half out, padded, and pulled back: the half that was outside at the pad is bar, not picture."""
    out = seen(white((40, 20)), WarpEffect(g.translation(20.0, 0.0), (40, 20)), pad((40, 20), 5), crop(25, 5, 65, 25))
    assert (out[:, :20] == 255).all()
    assert (out[:, 20:] == RED).all()


@pytest.mark.parametrize("seed", range(12))
def test_bars_after_a_crop_and_a_perspective(seed):
    """A small window of a padded canvas, tilted: far parts of the frame may lie behind the horizon of the tilt."""
    rng = np.random.default_rng(seed)
    window, bars, at = 64, 10, (20, 20)
    corners = [
        (window * (x + dx), window * (y + dy))
        for (x, y), (dx, dy) in zip(SQUARE, rng.uniform(-0.24, 0.24, (4, 2)), strict=True)
    ]
    tilt = g.then(g.scaling(1 / window, 1 / window), g.square_to_quad(corners))
    moves = (crop(*at, at[0] + window, at[1] + window), WarpEffect(tilt, (window, window)))
    out = seen(white((200, 200)), pad((200, 200), bars), *moves)

    x, y = np.meshgrid(np.arange(window) + 0.5, np.arange(window) + 0.5)
    before = g.inverse(tilt)
    back = g.move_points(before, np.stack([x, y], axis=-1)) + at  # on the padded canvas
    in_front = g.depth(before, np.stack([x, y], axis=-1)) > 0
    inside = in_front & (back > bars + 1).all(axis=-1) & (back < bars + 199).all(axis=-1)
    outside = (back < bars - 1).any(axis=-1) | (back > bars + 201).any(axis=-1) | ~in_front
    assert (out[inside] == 255).all()
    assert (out[outside] == RED).all()


@pytest.mark.parametrize(
    ("beyond", "border"), [(0.0, "replicate"), (1 / 64, "replicate"), (0.1, "constant"), (0.9, "constant")]
)
def test_the_border_shows_where_the_frame_reaches_beyond_the_picture(beyond, border):
    """A scaling keeps it a warp; by less than the grid of positions it reaches nowhere."""
    grown = g.then(g.scaling(0.5, 0.5), g.translation(beyond / 2, 0.0))
    (step,) = fused((40, 20), WarpEffect(grown, (20, 10)))
    assert step.border == border


# --- where the picture is --------------------------------------------------------------------------------------------


def test_the_track_knows_what_frames_hide():
    fuser = Fuser((40, 20))
    fuser.add(pad((40, 20), 10))
    track = fuser.canvas_state()
    assert track.size_wh == (60, 40)
    assert g.area_of(track.visible) == 40 * 20
    fuser.add(crop(0, 0, 30, 40))
    assert g.area_of(fuser.canvas_state().visible) == 20 * 20
    fuser.end_run()
    fuser.add(WarpEffect(g.translation(30.0, 0.0), (90, 40)))  # what lay outside the cropped canvas is gone
    assert g.area_of(fuser.canvas_state().visible) == 20 * 20


def test_region_of_bars_is_on_the_grid():
    steps = fused((40, 40), pad((40, 40), 3), rotate(12.345, (46, 46)))
    (bars,) = [s for s in steps if isinstance(s, PadFill)]
    assert all((v * 2**20).is_integer() for p in bars.region for v in p)
