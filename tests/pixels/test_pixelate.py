"""Blocks: the three backends alike, and Pillow's box filter and plain numbers for what is meant."""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture
from PIL import Image
from step_cases import SIZES
from step_checks import check_step

from augpipe.pixels import reference
from augpipe.pixels.steps.pixelate import Pixelate


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8, 9, 64])
def test_backends_agree(factor, smooth):
    sizes = [*SIZES, (1, 1), (200, 3), (5, 600)]
    check_step(Pixelate(factor=factor, smooth=smooth), [noise_picture(s, c, 5) for s in sizes for c in (1, 3)])


@pytest.mark.parametrize("factor", [2, 4, 6, 7])
def test_means_round_halves_up(factor):
    """Every sum that blocks of two levels can have, by whole numbers."""
    sums = np.arange(factor**2 + 1)
    blocks = np.zeros((len(sums), factor**2), np.uint8)
    for count in sums:
        blocks[count, :count] = 1
    column = (254 + blocks).reshape(-1, factor)
    made = Pixelate(factor=factor, smooth=False).on_cpu(column, None)
    expected = (254 * factor**2 + sums + factor**2 // 2) // factor**2
    assert (made[::factor, 0] == expected).all()


def test_blocks_are_pillows_reduced_picture():
    picture = noise_picture((60, 40), 3, 2)
    small = Image.fromarray(picture).reduce(4)
    expected = np.asarray(small.resize((60, 40), Image.Resampling.NEAREST)).astype(int)
    made = reference.apply(picture, [Pixelate(factor=4, smooth=False)]).astype(int)
    assert np.abs(made - expected).max() <= 1  # Pillow rounds halves in another way


def test_smooth_blocks_are_pillows_bilinear_enlargement():
    picture = noise_picture((64, 48), 3, 2)
    small = Image.fromarray(reference.apply(picture, [Pixelate(factor=4, smooth=False)])[::4, ::4])
    expected = np.asarray(small.resize((64, 48), Image.Resampling.BILINEAR)).astype(int)
    made = reference.apply(picture, [Pixelate(factor=4, smooth=True)]).astype(int)
    assert np.abs(made - expected).max() <= 1


def test_an_impossible_factor_is_refused():
    assert Pixelate(factor=0, smooth=False).fault(10**6)
    assert Pixelate(factor=65, smooth=True).fault(10**6)
