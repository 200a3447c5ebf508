"""Kernels broken on purpose: each way must be noticed, or the tests of parity prove nothing."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from contents import noise_picture, rendered
from cpu_accelerator import CpuAccelerator
from devices import rendered_on
from step_cases import BORDERS, FILL, REGIONS, random_matrix, warps

from augpipe.core import geometry as g
from augpipe.core.plan import Contrast
from augpipe.pixels.cuda import kernel_source
from augpipe.pixels.steps import noise
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp


def probes():
    """A few cases of every kind, gray and colour."""
    far = Warp(
        matrix=g.inverse((3e4, 0.0, 1e4, 0.0, -3e4, 5.0, 0.0, -1e-3, 1.0)), size_wh=(40, 1100), border="replicate"
    )
    behind = Warp(
        matrix=g.rounded(g.inverse((0.5, -0.7, 10.0, 0.0, -0.8, 30.0, 0.0, -1 / 40, 1.0))), size_wh=(90, 70), fill=FILL
    )
    steps = [
        *(step for border in BORDERS for step in warps((37, 23), border)),
        *(Warp(matrix=g.mirror_x(37.0), size_wh=(50, 30), border=border) for border in BORDERS),
        far,
        Color(stages=(random_matrix(np.random.default_rng(2)),)),
        Color(stages=(Contrast(3.0),)),
        Blur(sigma=1.0),
        Noise(std=20.0, offset=noise.LENGTH - 100),
        Noise(std=20.0, offset=noise.LENGTH + 5),
        Noise(std=20.0, reads=((noise.LENGTH - 100, 3_000_001, 4_000_003), (9, 1_000_003, 77))),
        Cutout(boxes_xyxy=((1, 1, 5, 4),), fill=FILL),
        *(PadFill(region=region, fill=FILL) for region in REGIONS.values()),
        PadFill(region=((0.5, 0.5), (9.5, 0.5), (0.5, 9.5)), fill=FILL),
        JpegCompress(quality=80),
    ]
    cases = [(noise_picture((37, 23), channels), [step]) for channels in (1, 3) for step in steps]
    return [*cases, *((noise_picture((61, 87), 3), [step]) for step in (behind, Color(stages=(Contrast(3.0),))))]


def is_noticed(text):
    accelerator = CpuAccelerator(text=text)
    cases = probes()
    differs = any(
        (got != rendered(*case)).any() for case, got in zip(cases, rendered_on(accelerator, cases), strict=True)
    )
    gc.collect()
    return differs or bool(accelerator.damaged)


BREAKS = {
    "rounding of the warp": ("lower_right + 512) >> 10", "lower_right) >> 10"),
    "rounding to the grid": ("? __float2int_rn(fine)", "? (int)fine"),
    "positions beyond an int": ("(int)0x80000000", "0x7fffffff"),
    "the horizon": ("depth <= 1e-6f", "false"),
    "a mirrored border": (": twice - 1 - p", ": twice - p"),
    "rounding of means": ("(sums[c] + 2) >> 2", "(sums[c] + 1) >> 2"),
    "rounding of colour": ("q[4 * c + 3] + 512", "q[4 * c + 3]"),
    "the order of noise": ("C - 1 - c)", "c)"),
    "the growth of noise": ("(uint64_t)(y - 1) / 2", "(uint64_t)(y - 1)"),
    "the second read of noise": ("i < operation.count; ++i, read += 3", "i < operation.count; ++i"),
    "the rows of a sum": ("y += head_of<Sums>(pass).rows", "y += head_of<Sums>(pass).rows + 1"),
    "the columns of a sum": ("x += 32)", "x += 33)"),
    "the length of the bank": ("BANK_LENGTH 4194301", "BANK_LENGTH 4194300"),
    "an edge of a region": (">= 0.0)) outside", "> 0.0)) outside"),
    "a box": ("x + pixel * APART < x1", "x + pixel * APART <= x1"),
    "rounding of a blur": ("levels[i] = 1 << 15;", "levels[i] = 0;"),
    "halving of chroma": ("(sum + 1 + (x & 1)) >> 2", "(sum + 2) >> 2"),
    "rounding of the transform": ("return (v + (1 << (bits - 1))) >> bits;", "return v >> bits;"),
    "writing beside the picture": ("if (x + pixel * APART < pass.target_w)", "if (true)"),
}


def test_the_kernels_as_they_are():
    assert not is_noticed(kernel_source.source())


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_kernel_is_noticed(what):
    right, wrong = BREAKS[what]
    text = kernel_source.source()
    assert text.count(right) >= 1
    assert is_noticed(text.replace(right, wrong))
