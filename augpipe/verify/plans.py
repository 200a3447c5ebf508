"""Whether a plan can be followed: sizes that fit into memory, maps that have an inverse, numbers in their ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from augpipe.plan import AnyStep, Bars, Colour, Curve, Erase, Filter, Noise, Recode, Warp

MOST_STEPS = 1000
MOST_PIXELS = 64_000_000
"""Of a canvas, unless the source itself is larger; augment draws none that are."""

_MOST_BOXES = 1000
_MOST_SIGMA = 50.0
_MOST_STD = 128.0


def fault_of(steps: Sequence[AnyStep], size_wh: tuple[int, int]) -> str | None:
    """Why a plan cannot be followed for a source of this size, in words; ``None`` if it can."""
    if len(steps) > MOST_STEPS:
        return f"{len(steps)} steps"
    most = max(MOST_PIXELS, math.prod(size_wh))
    for number, step in enumerate(steps):
        try:
            fault = _fault(step, most)
        except (TypeError, ValueError, OverflowError) as error:
            fault = str(error)
        if fault is not None:
            return f"step {number}, {type(step).__name__.lower()}: {fault}"
    return None


def _fault(step: AnyStep, most: int) -> str | None:
    if isinstance(step, Warp):
        return _warp_fault(step, most)
    if isinstance(step, Bars):
        sound = len(step.region) <= MOST_STEPS and all(abs(v) < most**2 for point in step.region for v in point)
        return _colour_fault(step.fill) if sound else "a region that is none"
    if isinstance(step, Erase):
        sound = len(step.boxes_xyxy) <= _MOST_BOXES and all(abs(v) < most for box in step.boxes_xyxy for v in box)
        return _colour_fault(step.fill) if sound else "boxes that are none"
    if isinstance(step, Colour):
        numbers = [v for stage in step.stages for v in ([stage.amount] if isinstance(stage, Curve) else stage.rows)]
        shaped = all(isinstance(stage, Curve) or len(stage.rows) == 12 for stage in step.stages)
        sound = shaped and len(step.stages) <= MOST_STEPS and all(abs(v) < most for v in numbers)
        return None if sound else "stages that are none"
    return _tone_fault(step)


def _tone_fault(step: AnyStep) -> str | None:
    if isinstance(step, Filter):
        return None if 0.0 < step.sigma <= _MOST_SIGMA else f"sigma {step.sigma}"
    if isinstance(step, Noise):
        return None if 0.0 <= step.std <= _MOST_STD and 0 <= step.offset < 2**63 else f"std {step.std}"
    if isinstance(step, Recode):
        return None if 1 <= step.quality <= 100 else f"quality {step.quality}"
    return None


def _warp_fault(step: Warp, most: int) -> str | None:
    w, h = step.size_wh
    matrix = np.array(step.matrix, np.float64)
    if not (w >= 1 and h >= 1 and w * h <= most):
        return f"a canvas of {w}×{h}"
    if matrix.size != 9 or not (np.abs(matrix) < most).all():
        return "a matrix that is none"
    try:
        back = np.linalg.inv(matrix.reshape(3, 3))
    except np.linalg.LinAlgError:
        return "a matrix that has no inverse"
    if not np.isfinite(back).all():
        return "a matrix that has no inverse"
    if not all(1 <= k <= most for k in step.reduce):
        return f"reduced by {step.reduce}"
    return _colour_fault(step.fill)


def _colour_fault(fill: Sequence[int]) -> str | None:
    return None if all(0 <= level <= 255 for level in fill) else f"the colour {tuple(fill)}"
