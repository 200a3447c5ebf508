"""Bars, dots and maps on a canvas, drawn with the project's own ink: what a sheet of plots is made of.

A chart gets the box that it may fill and numbers; what it writes is shortened to fit, never drawn over something else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from augpipe.core.opencv import cv2
from augpipe.core.plan import Rgb
from augpipe.viz import canvas as ink
from augpipe.viz.canvas import Box, Canvas

INK: Rgb = (32, 33, 36)
SOFT: Rgb = (105, 107, 112)
HAIR: Rgb = (226, 226, 223)
SERIES: tuple[Rgb, Rgb] = ((58, 110, 190), (233, 136, 42))
_TEXT = 12.0
_LINE = 15.0
_BESIDE = 16.0  # half of a wide word below the right end of an axis


@dataclass(frozen=True)
class Mark:
    """A place on an axis: ``at`` in bins from the left, and the words below it."""

    at: float
    words: str


def short(value: float) -> str:
    """A number in few letters: ``950``, ``1.2k``, ``35k``, ``4.1M``."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            part = value / factor
            return f"{part:.1f}".removesuffix(".0") + unit if part < 10 else f"{part:,.0f}{unit}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def ticks(top: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to at least ``top``, evenly spaced, at most ``most`` steps."""
    if top <= 0.0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(top / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor * most >= top)
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def write(canvas: Canvas, words: str, at: tuple[float, float], colour: Rgb = SOFT, align: float = 0.0) -> None:
    """Words on a baseline; ``align`` 0 starts at the place, 0.5 is centred on it, 1 ends there."""
    shown = ink.shown(words)
    canvas.text(shown, (at[0] - align * ink.text_width(shown, _TEXT), at[1]), _TEXT, colour)


def _fill(canvas: Canvas, box: Box, colour: Rgb, opacity: float = 1.0) -> None:
    x0, y0, x1, y1 = window = canvas.window(box)
    if x1 > x0 and y1 > y0:
        canvas.lay(ink.box_coverage(box, window), (x0, y0), colour, opacity)


# --- bars to the right, with names -----------------------------------------------------------------------------------


def rows_that_fit(area: Box, series: int) -> int:
    """How many named bars go into a box."""
    return max(1, int((area[3] - area[1]) // _pitch(series)))


def _pitch(series: int) -> float:
    return 19.0 if series == 1 else 31.0


def named_bars(
    canvas: Canvas, area: Box, rows: Sequence[tuple[str, Sequence[float], Sequence[str]]], more: str = ""
) -> None:
    """A line for each row: its name, a bar for each of its values, and what is written behind each bar.

    Args:
        canvas: to draw on.
        area: the box to fill.
        rows: (name, values, words behind), not more than fit, with room for a line if there is ``more``.
        more: a line below the last one, as "and 12 more".
    """
    x0, y0, x1, _ = area
    series = len(rows[0][1]) if rows else 1
    names = [ink.fitted(ink.shown(name), _TEXT, 0.34 * (x1 - x0)) for name, _, _ in rows]
    left = x0 + max((ink.text_width(name, _TEXT) for name in names), default=0.0) + 8.0
    behind = max((ink.text_width(ink.shown(w), _TEXT) for _, _, words in rows for w in words), default=0.0) + 8.0
    most = max((v for _, values, _ in rows for v in values), default=0.0) or 1.0
    grown = min(2.0, max(1.0, (area[3] - y0) / (_pitch(series) * max(1, len(rows) + bool(more)))))
    pitch, thick = grown * _pitch(series), grown * 12.0
    for i, (name, (_, values, words)) in enumerate(zip(names, rows, strict=True)):
        top = y0 + i * pitch
        write(canvas, name, (left - 8.0, top + series * (thick + 1.0) / 2.0 + 4.0), INK, 1.0)
        for k, value in enumerate(values):
            y = top + k * (thick + 1.0)
            end = left + (x1 - behind - left) * value / most
            _fill(canvas, (left, y, max(end, left + (1.0 if value > 0 else 0.0)), y + thick), SERIES[k])
            write(canvas, words[k], (end + 5.0, y + thick / 2.0 + 4.0))
    if more:
        write(canvas, more, (left, y0 + len(rows) * pitch + 11.0))


# --- bars upwards ----------------------------------------------------------------------------------------------------


def histogram(
    canvas: Canvas, area: Box, series: Sequence[Sequence[float]], marks: Sequence[Mark], lines: Sequence[Mark] = ()
) -> None:
    """Bars side by side for each bin, a scale on the left, ``marks`` below, and ``lines`` across with words on top."""
    most = max((v for values in series for v in values), default=0.0)
    x0, y0, x1, y1, top = _frame(canvas, area, most, _LINE if lines else 0.0)
    bins = max(map(len, series))
    wide = (x1 - x0) / bins
    gap = 0.12 * wide if wide > 6.0 else 0.5
    for line in lines:
        x = round(x0 + line.at * wide)
        _fill(canvas, (x, y0 - _LINE, x + 1.0, y1), SOFT, 0.5)
        write(canvas, line.words, (x + 4.0, y0 - 5.0))
    each = (wide - 2.0 * gap) / len(series)
    for k, values in enumerate(series):
        for i, value in enumerate(values):
            left = x0 + i * wide + gap + k * each
            high = max((y1 - y0) * value / top, 1.0 if value > 0 else 0.0)
            _fill(canvas, (left, y1 - high, left + each, y1), SERIES[k])
    _write_marks(canvas, [(x0 + mark.at * wide, mark.words) for mark in marks], y1 + _LINE, x1 + _BESIDE)


def _frame(canvas: Canvas, area: Box, most: float, room: float = 0.0) -> tuple[float, float, float, float, float]:
    """The scale on the left and its lines; (x0, y0, x1, y1) of what is left for the chart, and what it counts to."""
    x0, y0, x1, y1 = area[0], area[1] + room, area[2] - _BESIDE, area[3]
    steps = ticks(most)
    left = x0 + max(ink.text_width(short(step), _TEXT) for step in steps) + 8.0
    low, high = y1 - _LINE - 6.0, y0 + 6.0
    for step in steps:
        y = round(low - (low - high) * step / steps[-1])
        _fill(canvas, (left, y, x1, y + 1.0), HAIR if step else SOFT)
        write(canvas, short(step), (left - 8.0, y + 4.0), SOFT, 1.0)
    return left, high, x1, low, steps[-1]


def _write_marks(canvas: Canvas, marks: Sequence[tuple[float, str]], y: float, right: float) -> None:
    """Words below an axis, centred on their places, without those that would touch the one before."""
    end = -math.inf
    for x, words in marks:
        half = ink.text_width(ink.shown(words), _TEXT) / 2.0
        centre = min(x, right - half)
        if centre - half > end + 6.0:
            write(canvas, words, (centre, y), SOFT, 0.5)
            end = centre + half


# --- dots and maps ---------------------------------------------------------------------------------------------------


def dots(canvas: Canvas, area: Box, series: Sequence[Sequence[tuple[float, float, float]]]) -> None:
    """A dot for each (x, y, count), both axes from 0; its area grows with its count. Those of a second are rings."""
    points = [p for values in series for p in values]
    x0, y0, x1, y1, top = _frame(canvas, area, max((y for _, y, _ in points), default=0.0))
    across = ticks(max((x for x, _, _ in points), default=0.0), 7)
    most = [max((n for _, _, n in values), default=1.0) for values in series]
    placed = [
        (0.9 * math.sqrt(n / most[k]), x0 + (x1 - x0) * x / across[-1], y1 - (y1 - y0) * y / top, k)
        for k, values in enumerate(series)
        for x, y, n in values
    ]
    for size, x, y, k in sorted(placed, key=lambda dot: (dot[3], -dot[0])):
        radius = 2.5 + 11.0 * size
        if k == 0:
            canvas.disc((x, y), radius, SERIES[k], 0.55)
        canvas.disc((x, y), radius, SERIES[k], 0.9, hole=max(0.5, radius - (1.2 if k == 0 else 2.0)))
    _write_marks(canvas, [(x0 + (x1 - x0) * t / across[-1], short(t)) for t in across], y1 + _LINE, x1 + _BESIDE)


_HEAT = np.array(
    [(244, 244, 241), (200, 222, 238), (126, 178, 220), (58, 110, 190), (28, 56, 120), (12, 24, 60)], np.float64
)


def heat(canvas: Canvas, area: Box, grid: Sequence[Sequence[int]], words: str) -> None:
    """A map of counts, white for none, dark for the most; ``words`` stand below it."""
    x0, y0, x1, y1 = area
    w, h = x1 - x0, y1 - y0 - _LINE - 4.0
    side = min(w, h / 0.75)  # 4:3, as most pictures are
    size = round(side), round(0.75 * side)
    left, top = round(x0 + (w - size[0]) / 2.0), round(y0 + (h - size[1]) / 2.0)
    counts = np.asarray(grid, np.float64)
    share = np.sqrt(counts / (counts.max() or 1.0)) * (len(_HEAT) - 1)  # the root shows single boxes, too
    colours = np.stack([np.interp(share, range(len(_HEAT)), _HEAT[:, c]) for c in range(3)], axis=-1)
    shown = cv2.resize(np.rint(colours).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    canvas.pixels[top : top + size[1], left : left + size[0]] = shown
    canvas.frame((left, top, left + size[0], top + size[1]), -1.0, (190, 190, 187))
    write(canvas, words, (left + size[0] / 2.0, top + size[1] + _LINE), SOFT, 0.5)
