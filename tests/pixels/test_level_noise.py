"""Noise by level and impulses: the three backends alike, and variances and shares as plain statistics find them."""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture
from step_cases import SIZES
from step_checks import check_step

from augpipe.pixels import reference
from augpipe.pixels.steps.level_noise import Impulses, LevelNoise
from augpipe.pixels.steps.noise import LENGTH

READS = ((5, 1_234_567, 3_000_001), (LENGTH - 2, 717_171, LENGTH - 1))
STEPS = [
    LevelNoise(spread=(4.0, 0.5, 0.0), reads=READS),
    LevelNoise(spread=(0.0, 0.0, 0.02), reads=READS, shared=True),
    LevelNoise(spread=(16384.0, 0.0, 0.0), reads=READS),
    Impulses(low=-500, high=600, dark=0, light=255, reads=READS),
    Impulses(low=-32768, high=300, dark=7, light=9, reads=READS),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_backends_agree(step, channels):
    check_step(step, [noise_picture(size, channels, 5) for size in (*SIZES, (1, 1), (300, 40), (70_000, 2))])


@pytest.mark.parametrize("spread", [(9.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.01), (4.0, 0.25, 0.001)])
def test_the_variance_is_that_of_the_level(spread):
    step = LevelNoise(spread=spread, reads=READS)
    for level in (40, 100, 160):
        even = np.full((400, 400, 3), level, np.uint8)
        noise = reference.apply(even, [step]).astype(float) - level
        expected = spread[0] + spread[1] * level + spread[2] * level**2
        assert noise.mean() == pytest.approx(0, abs=0.05)
        assert noise.var() == pytest.approx(expected + 1 / 12, rel=0.03)  # rounding adds a twelfth


def test_shared_noise_leaves_gray_gray():
    even = np.full((50, 60, 3), 90, np.uint8)
    own = reference.apply(even, [LevelNoise(spread=(50.0, 0.0, 0.0), reads=READS)])
    shared = reference.apply(even, [LevelNoise(spread=(50.0, 0.0, 0.0), reads=READS, shared=True)])
    assert (shared == shared[:, :, :1]).all()
    assert (own != own[:, :, :1]).any()


def test_impulses_are_whole_pixels():
    picture = noise_picture((200, 200), 3, 1)
    out = reference.apply(picture, [Impulses(low=-600, high=600, dark=3, light=250, reads=READS)])
    changed = (out != picture).any(axis=2)
    assert set(map(tuple, out[changed].tolist())) == {(3, 3, 3), (250, 250, 250)}


@pytest.mark.parametrize(
    "step",
    [
        LevelNoise(spread=(0.0, -1.0, 0.0), reads=READS),
        LevelNoise(spread=(20_000.0, 0.0, 0.0), reads=READS),
        LevelNoise(spread=(1.0, 0.0, 0.0), reads=()),
        Impulses(low=0, high=10**9, dark=0, light=0, reads=READS),
        Impulses(low=0, high=1, dark=0, light=256, reads=READS),
        Impulses(low=0, high=1, dark=0, light=0, reads=((0, 0, LENGTH), (0, 0, 0))),
    ],
    ids=str,
)
def test_what_no_backend_can_do_is_refused(step):
    assert step.fault(10**6)
