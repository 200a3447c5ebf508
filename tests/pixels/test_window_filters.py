"""Means, medians and weighted sums of windows: the backends alike, and OpenCV or plain numbers for what is meant."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from contents import noise_picture
from step_cases import SIZES
from step_checks import check_step

from augpipe.pixels import cpu, reference
from augpipe.pixels.steps.taps import ONE, Taps, in_whole_weights
from augpipe.pixels.steps.window_filters import WindowMean, WindowMedian

STEPS = [
    WindowMean(size_wh=(3, 3)),
    WindowMean(size_wh=(1, 7)),
    WindowMean(size_wh=(31, 5)),
    WindowMedian(side=3),
    WindowMedian(side=5),
    WindowMedian(side=7),
    Taps(taps=((0, 0, ONE),)),
    Taps(taps=((-1, 0, 1365), (0, 0, 1366), (1, 0, 1365))),
    Taps(taps=((31, -31, 9000), (-31, 31, -9000), (0, 0, ONE))),
    Taps(taps=tuple((x, 2 * x, 273 + (x == 0)) for x in range(-7, 8))),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_backends_agree(step, channels):
    check_step(step, [noise_picture(size, channels, 5) for size in (*SIZES, (1, 1), (40, 600))])


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("level", [1, 255])
def test_means_are_exact_for_every_sum_that_a_window_can_have(level, optimized):
    """Sums rise by one and by 255 along ramps of impulses, up to a whole window; the mean by plain whole numbers."""
    before = cv2.useOptimized()
    cv2.setUseOptimized(optimized)
    try:
        for w, h in [(3, 3), (5, 3), (15, 17), (17, 15), (31, 31), (63, 61), (63, 63)]:
            order = np.random.default_rng(w).permutation(300 * 200).reshape(200, 300)
            picture = np.where(order % 300 < np.arange(300), level, 0).astype(np.uint8)
            padded = np.pad(picture.astype(np.int64), ((h // 2,) * 2, (w // 2,) * 2), mode="reflect")
            sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
            sums = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
            made = cpu.apply(picture, [WindowMean(size_wh=(w, h))])
            assert (made == (2 * sums + w * h) // (2 * w * h)).all()
    finally:
        cv2.setUseOptimized(before)


@pytest.mark.parametrize("side", [3, 7])
def test_away_from_the_edge_it_is_opencv(side):
    picture, inner = noise_picture((60, 50), 3, 1), (slice(8, -8), slice(8, -8))
    mean = reference.apply(picture, [WindowMean(size_wh=(side, side))])
    assert (mean[inner] == cv2.blur(picture, (side, side))[inner]).all()
    median = reference.apply(picture, [WindowMedian(side=side)])
    assert (median[inner] == cv2.medianBlur(picture, side)[inner]).all()


def test_whole_weights_add_up_to_one():
    assert in_whole_weights([1, 1, 1]) == [1366, 1365, 1365]
    assert in_whole_weights([0.25, 0.5, 0.25]) == [1024, 2048, 1024]
    assert in_whole_weights([-1, 3]) == [-2048, 6144]
    rng = np.random.default_rng(3)
    assert all(sum(in_whole_weights(rng.uniform(0, 1, n).tolist())) == ONE for n in range(1, 200))


@pytest.mark.parametrize(
    "step",
    [
        WindowMean(size_wh=(2, 3)),
        WindowMean(size_wh=(3, 65)),
        WindowMedian(side=4),
        WindowMedian(side=9),
        Taps(taps=()),
        Taps(taps=((32, 0, ONE),)),
        Taps(taps=((0, 0, 16 * ONE),)),
    ],
    ids=str,
)
def test_what_no_backend_can_do_is_refused(step):
    assert step.fault(10**6)
