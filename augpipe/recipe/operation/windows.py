"""How windows of whole pixels are drawn: by area and shape, inside a canvas, or around what they must hold."""

from __future__ import annotations

import math
from typing import TypeAlias

from augpipe.core.rng import OpRng
from augpipe.recipe.operation.params import Pair

Box: TypeAlias = tuple[int, int, int, int]

_CLOSE = 1e-9
"""Of a number that is whole but for rounding."""


def random_box(rng: OpRng, size_wh: tuple[int, int], area: float, ratio: Pair, suffix: str = "") -> Box:
    """A box of whole pixels at a random place of a canvas.

    Args:
        rng: draws the parameters ``ratio``, ``x`` and ``y``, each with ``suffix`` behind its name.
        size_wh: of the canvas, to which the box is limited.
        area: share of the canvas.
        ratio: least and greatest width / height, drawn evenly in its logarithm.
    """
    cw, ch = size_wh
    pixels, (low, high) = area * cw * ch, ratio
    drawn = math.exp(rng.uniform(f"ratio{suffix}", (math.log(low), math.log(high))))
    w = min(cw, max(1, math.floor(math.sqrt(pixels * drawn) + 0.5)))
    h = min(ch, max(1, math.floor(math.sqrt(pixels / drawn) + 0.5)))
    x, y = rng.integer(f"x{suffix}", 0, cw - w), rng.integer(f"y{suffix}", 0, ch - h)
    return x, y, x + w, y + h


def shape_within(rng: OpRng, size_wh: tuple[int, int], pixels: float, ratio: Pair) -> tuple[int, int]:
    """Width and height of a window of a given area that fits into a canvas.

    Width / height is drawn, as ``ratio``, evenly in its logarithm from the part of its range in which the window fits.
    Where it fits in no shape of the range, it is the largest one of the shape nearest to the canvas: the law of
    torchvision's RandomResizedCrop, which draws again until a shape fits and so ends.

    Args:
        rng: draws the parameter ``ratio``.
        size_wh: of the canvas.
        pixels: the area.
        ratio: least and greatest width / height.
    """
    cw, ch = size_wh
    low, high = max(ratio[0], pixels / ch**2), min(ratio[1], cw**2 / pixels)
    if low <= high:
        shape = _log_uniform(rng, low, high)
        height = math.sqrt(pixels / shape)
    else:
        shape = min(max(cw / ch, ratio[0]), ratio[1])
        height = min(float(ch), cw / shape)
    most = min(ch, max(1, _floor(cw / ratio[0])))
    h = min(max(1, math.floor(height + 0.5)), most)
    return _width(h, shape, ratio, (1, cw)), h


def box_around(rng: OpRng, size_wh: tuple[int, int], held: Box, ratio: Pair) -> Box:
    """A box of a canvas that holds another one whole, with width / height in a range as far as that leaves room.

    The shape is drawn evenly in its logarithm from what is possible, then the height and the place evenly. Where no
    shape of the range is possible, it is the nearest that is.

    Args:
        rng: draws the parameters ``ratio``, ``height``, ``left`` and ``top``.
        size_wh: of the canvas.
        held: what the box holds, of at least one pixel.
        ratio: least and greatest width / height.
    """
    (cw, ch), (x0, y0, x1, y1) = size_wh, held
    least_w, least_h = x1 - x0, y1 - y0
    low, high = max(ratio[0], least_w / ch), min(ratio[1], cw / least_h)
    shape = _log_uniform(rng, low, high) if low <= high else min(low, cw / least_h)
    shortest, tallest = max(least_h, _ceil(least_w / shape)), min(ch, _floor(cw / shape))
    h = rng.integer("height", shortest, tallest) if shortest <= tallest else max(least_h, tallest)
    w = _width(h, shape, ratio, (least_w, cw))
    left = rng.integer("left", max(0, x1 - w), min(x0, cw - w))
    top = rng.integer("top", max(0, y1 - h), min(y0, ch - h))
    return left, top, left + w, top + h


def enclosing_shape(held: tuple[float, ...], size_wh: tuple[int, int], ratio: Pair | None) -> Box:
    """The least window of whole pixels that holds what lies of a box on a canvas.

    With ``ratio`` its shorter side grows, on both sides alike, until width / height is within it, as far as the canvas
    lets it; at the canvas's edge the window is moved inwards.
    """
    x0, y0, x1, y1 = held
    w, h = x1 - x0, y1 - y0
    if ratio is not None:
        w, h = max(w, h * ratio[0]), max(h, w / ratio[1])
    left, right = _within(x0, x1, w, size_wh[0])
    top, bottom = _within(y0, y1, h, size_wh[1])
    return left, top, right, bottom


def _within(low: float, high: float, side: float, most: int) -> tuple[int, int]:
    """A stretch of whole pixels of 0..``most`` that holds one from ``low`` to ``high``, grown to ``side``."""
    if side > high - low:
        start = min(max((low + high - side) / 2.0, 0.0), max(0.0, most - side))
        low, high = min(start, low), max(start + side, high)
    first = min(max(_floor(low), 0), most - 1)
    return first, min(max(_ceil(high), first + 1), most)


def _log_uniform(rng: OpRng, low: float, high: float) -> float:
    return math.exp(rng.uniform("ratio", (math.log(low), math.log(high))))


def _width(height: int, shape: float, ratio: Pair, limits: tuple[int, int]) -> int:
    """The width of a shape in whole pixels within the limits; within the ratio too, where there is such a number."""
    wanted = math.floor(shape * height + 0.5)
    least, most = max(limits[0], _ceil(ratio[0] * height)), min(limits[1], _floor(ratio[1] * height))
    if least > most:
        least, most = limits
    return min(max(wanted, least), most)


def _ceil(value: float) -> int:
    return math.ceil(value - _CLOSE)


def _floor(value: float) -> int:
    return math.floor(value + _CLOSE)
