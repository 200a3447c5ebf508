"""The reference against numbers that can be worked out by hand; if it is wrong, nothing else can be right."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from augpipe.core.geometry import mirror_x, quarter_turns, scaling, translation
from augpipe.core.plan import Curve, Matrix3x4
from augpipe.pixels.reference import apply, levels_of
from augpipe.pixels.steps import noise, warp
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

BRIGHTER = Matrix3x4((1.5, 0.0, 0.0, 0.0, 0.0, 1.5, 0.0, 0.0, 0.0, 0.0, 1.5, 0.0))
DARKER = Matrix3x4((0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0))


def row(*levels):
    return np.array([levels], np.uint8)


def test_shares_nothing_with_the_backend():
    script = (
        "import sys, augpipe.pixels.reference, augpipe.pixels.steps; "
        "print('cv2' in sys.modules, 'augpipe.pixels.resample' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_doubling_takes_quarters_between_the_centres():
    step = Warp(matrix=scaling(2.0, 1.0), size_wh=(4, 1), border="replicate")
    assert apply(row(0, 100), [step]).tolist() == [[0, 25, 75, 100]]


def test_constant_border_blends_into_the_outermost_half_pixel():
    step = Warp(matrix=scaling(2.0, 1.0), size_wh=(4, 1), fill=(200, 200, 200))
    assert apply(row(0, 100), [step]).tolist() == [[50, 25, 75, 125]]


def test_positions_are_rounded_to_a_thirty_second_of_a_pixel():
    at = 0.3  # 9.6 / 32 rounds to 10 / 32
    step = Warp(matrix=translation(-at, 0.0), size_wh=(1, 1), border="replicate")
    assert apply(row(0, 255), [step]).item() == round(255 * 10 / 32)


@pytest.mark.parametrize(
    ("border", "expected"),
    [
        ("constant", [9, 9, 9, 9, 10, 20, 30, 9, 9, 9, 9]),
        ("replicate", [10, 10, 10, 10, 10, 20, 30, 30, 30, 30, 30]),
        ("reflect", [30, 30, 20, 10, 10, 20, 30, 30, 20, 10, 10]),
        ("wrap", [30, 10, 20, 30, 10, 20, 30, 10, 20, 30, 10]),
    ],
)
@pytest.mark.parametrize("shift", [4.0, 4.0 + 1 / 128], ids=["copied", "interpolated"])
def test_borders(border, expected, shift):
    step = Warp(matrix=translation(shift, 0.0), size_wh=(11, 1), border=border, fill=(9, 9, 9))
    assert apply(row(10, 20, 30), [step]).tolist() == [expected]


def test_flip_and_turn_copy():
    picture = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert apply(picture, [Warp(matrix=mirror_x(3), size_wh=(3, 2))]).tolist() == [[3, 2, 1], [6, 5, 4]]
    turned = apply(picture, [Warp(matrix=quarter_turns(1, (3, 2)), size_wh=(2, 3))])
    assert turned.tolist() == [[4, 1], [5, 2], [6, 3]]  # clockwise


def test_reduction_takes_rounded_means_and_repeats_the_last_column():
    picture = np.array([[10, 20, 7], [30, 41, 8]], np.uint8)  # means 25.25 and (7 + 7 + 8 + 8) / 4
    step = Warp(matrix=scaling(0.5, 0.5), size_wh=(2, 1), reduce=(2, 2))
    assert apply(picture, [step]).tolist() == [[25, 8]]


def test_nothing_is_seen_behind_the_horizon():
    # A place (x, y) of the canvas comes from (10, 10 − y) / (1 − y/5): rows 0..4 are in front of the horizon, y = 5.
    # Rows from 10 on would show the picture too, from below.
    back = np.array([[0, 0, 10], [1, -1, 10], [0, -0.2, 1]])
    matrix = tuple(np.linalg.inv(back).ravel().tolist())
    out = apply(np.full((40, 40), 200, np.uint8), [Warp(matrix=matrix, size_wh=(3, 20))])
    assert out[:2].min() == 200
    assert out[5:].max() == 0
    back[0, 2] = -10
    mirrored = tuple(np.linalg.inv(back).ravel().tolist())
    assert apply(np.full((40, 40), 200, np.uint8), [Warp(matrix=mirrored, size_wh=(3, 20))]).max() == 0


def test_bars_spare_what_has_its_centre_inside():
    step = PadFill(region=((0.0, 0.0), (2.6, 0.0), (2.6, 1.0), (0.0, 1.0)), fill=(0, 255, 0))
    out = apply(np.zeros((1, 4, 3), np.uint8), [step])
    assert out[0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 255, 0]]
    green_as_gray = round(0.587 * 255)
    assert apply(row(1, 1, 1, 1), [step]).tolist() == [[1, 1, 1, green_as_gray]]


def test_neighbouring_matrices_round_and_clip_once():
    assert apply(row(200), [Color(stages=(BRIGHTER, DARKER))]).item() == 150
    assert apply(row(200), [Color(stages=(BRIGHTER, Curve("gamma", 1.0), DARKER))]).item() == 128  # 255 / 2, half up


def test_curves_in_a_row_round_once():
    there_and_back = Color(stages=(Curve("gamma", 4.0), Curve("gamma", 0.25)))
    levels = np.arange(256, dtype=np.uint8)[None]
    assert (apply(levels, [there_and_back]) == levels).all()


def test_gray_matrix_is_the_first_row_on_a_gray_color():
    stage = Matrix3x4((0.25, 0.5, 0.0, 3.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0))
    assert apply(row(100), [Color(stages=(stage,))]).item() == 78


def test_blur_is_the_gaussian():
    dot = np.zeros((9, 9), np.uint8)
    dot[4, 4] = 255
    out = apply(dot, [Blur(sigma=1.0)])
    assert out[4, 4] == round(255 / (2 * np.pi))
    assert out[4, 6] == round(255 / (2 * np.pi) * np.exp(-2.0))


def test_blur_mirrors_without_the_edge_pixel():
    # Seen from the first pixel, the second is on both sides: twice the weight of one neighbour.
    weight = np.exp(-0.5) / (1 + 2 * np.exp(-0.5) + 2 * np.exp(-2.0) + 2 * np.exp(-4.5))
    assert apply(row(0, 200, 0, 0, 0, 0, 0), [Blur(sigma=1.0)])[0, 0] == round(2 * weight * 200)


def test_noise_reads_the_bank_round_and_round():
    bank = noise.bank()
    out = apply(np.full((1, 2, 3), 100, np.uint8), [Noise(std=1.0, offset=noise.LENGTH - 2)])
    numbers = [bank[-2], bank[-1], bank[0], bank[1], bank[2], bank[3]]  # blue, green, red of the first pixel
    levels = [100 + ((256 * int(n) + 32768) >> 16) for n in numbers]
    assert out[0].tolist() == [levels[2::-1], levels[:2:-1]]


def test_erase_ends_before_its_last_corner():
    step = Cutout(boxes_xyxy=((-3, 0, 1, 5), (2, 0, 3, 1)), fill=(7, 7, 7))
    assert apply(row(0, 0, 0, 0), [step]).tolist() == [[7, 0, 7, 0]]


def test_recode_keeps_flat_ground():
    picture = np.full((16, 16, 3), 128, np.uint8)
    assert (apply(picture, [JpegCompress(quality=90)]) == 128).all()


def warped_exactly(picture, matrix, size_wh):
    """Without any rounding, of positions or levels."""
    x, y, in_front = warp._source_points(matrix, size_wh)
    return warp.interpolated(levels_of(picture), x - 0.5, y - 0.5, in_front, "constant", np.zeros(1))[:, :, 0]


def test_exact_warp_agrees_with_pillow_inside():
    """Pillow's affine transform is a third interpolation; it truncates where we round, hence one level."""
    picture = np.random.default_rng(3).integers(0, 256, (20, 30), dtype=np.uint8)
    matrix = (1.1, 0.2, 2.0, -0.3, 0.9, 8.0, 0.0, 0.0, 1.0)
    back = np.linalg.inv(np.reshape(matrix, (3, 3)))
    theirs = Image.fromarray(picture).transform(
        (30, 20), Image.Transform.AFFINE, back[:2].ravel().tolist(), Image.Resampling.BILINEAR
    )
    ours = warped_exactly(picture, matrix, (30, 20))
    inside = warped_exactly(np.full_like(picture, 255), matrix, (30, 20)) > 254.999
    assert inside.mean() > 0.5
    assert np.abs(ours - np.asarray(theirs, np.float64))[inside].max() <= 1.0
