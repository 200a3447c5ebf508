"""One sheet of plots of one or two reports: classes, box sizes, aspects, objects a picture, picture sizes, centres.

Two datasets rarely have as many objects, so they are compared by shares, one by counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from augpipe.core.annotations import U8
from augpipe.core.errors import one_line
from augpipe.formats.base import plural
from augpipe.survey import charts
from augpipe.survey.charts import INK, SERIES, SOFT, Mark
from augpipe.survey.report import SurveyReport, Weight, weight_of
from augpipe.viz import canvas as ink
from augpipe.viz.canvas import Box, Canvas

_GROUND = (247, 247, 245)
_PANEL = (255, 255, 255)
_WIDTH, _HEIGHT = 620, 380  # of a panel
_MARGIN, _GAP, _HEAD = 24, 16, 66
_PAD, _TITLE = 18, 40
_MOST_BINS = 40

Panel = tuple[str, Callable[[Canvas, Box], None]]


def sheet(reports: Sequence[SurveyReport]) -> U8:
    """An RGB picture of all plots that one report, or two beside each other, have numbers for."""
    panels = _panels(reports)
    columns = min(2, max(1, len(panels)))
    rows = -(-len(panels) // columns)
    width = 2 * _MARGIN + columns * _WIDTH + (columns - 1) * _GAP
    head = _HEAD + 34 * (len(reports) - 1)
    height = head + rows * (_HEIGHT + _GAP) + _MARGIN - _GAP
    canvas = Canvas(np.full((height, width, 3), _GROUND, np.uint8))
    _write_head(canvas, reports, width)
    for i, (title, draw) in enumerate(panels):
        x = _MARGIN + (i % columns) * (_WIDTH + _GAP)
        y = head + (i // columns) * (_HEIGHT + _GAP)
        canvas.plate((x, y, x + _WIDTH, y + _HEIGHT), 6.0, _PANEL)
        canvas.text(ink.fitted(ink.shown(title), 14.0, _WIDTH - 2 * _PAD), (x + _PAD, y + 27), 14.0, INK)
        draw(canvas, (x + _PAD, y + _TITLE, x + _WIDTH - _PAD, y + _HEIGHT - 12))
    return canvas.pixels


def _write_head(canvas: Canvas, reports: Sequence[SurveyReport], width: int) -> None:
    for k, report in enumerate(reports):
        x, y = _MARGIN, 34 + 34 * k
        if len(reports) > 1:
            canvas.plate((x, y - 11, x + 12, y + 1), 2.0, SERIES[k])
            x += 20
        name = ink.fitted(ink.shown(one_line(report.path)), 19.0, 0.55 * width)
        canvas.text(name, (x, y), 19.0, INK)
        counts = f"{plural(report.pictures.count, 'picture')}, {plural(report.every.objects, 'object')}"
        words = ink.shown(f"{report.format} · {counts} · {_classes(len(report.classes))}")
        start = x + ink.text_width(name, 19.0) + 16
        canvas.text(ink.fitted(words, 13.0, width - _MARGIN - start), (start, y), 13.0, SOFT)


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count:,} classes"


def _panels(reports: Sequence[SurveyReport]) -> list[Panel]:
    """Titles and how to draw, of what there is."""
    out: list[Panel] = []
    counted = "% of objects" if len(reports) > 1 else "objects"
    weight = weight_of(reports)
    if any(report.classes for report in reports):
        unit = {"objects": "Objects", "tags": "Pictures", "pixels": "Pixels"}[weight.name]
        share = " · % of each dataset" if len(reports) > 1 else ""
        out.append((f"{unit} per class{share}", lambda c, b: _draw_classes(c, b, reports, weight)))
    if any(report.every.objects for report in reports):
        out += [
            (f"Box sizes, root of the area in pixels · {counted}", lambda c, b: _draw_sizes(c, b, reports)),
            (f"Aspect ratios, width : height · {counted}", lambda c, b: _draw_aspects(c, b, reports)),
            (f"Objects per picture · {_of_pictures(reports)}", lambda c, b: _draw_per_picture(c, b, reports)),
        ]
    if any(report.pictures.sizes for report in reports):
        out.append(("Picture sizes, width and height in pixels", lambda c, b: _draw_pictures(c, b, reports)))
    if any(report.every.objects for report in reports):
        out.append(("Centres of boxes in the picture", lambda c, b: _draw_centres(c, b, reports)))
    return out


def _of_pictures(reports: Sequence[SurveyReport]) -> str:
    return "% of pictures" if len(reports) > 1 else "pictures"


def _scaled(counts: Sequence[float], reports: Sequence[SurveyReport]) -> list[float]:
    """Counts of one dataset as they are, of two in percent."""
    total = sum(counts) or 1.0
    return list(counts) if len(reports) == 1 else [100.0 * n / total for n in counts]


# --- panels ----------------------------------------------------------------------------------------------------------


def _draw_classes(canvas: Canvas, area: Box, reports: Sequence[SurveyReport], weight: Weight) -> None:
    """Bars of the most frequent classes."""
    columns = [weight.by_name(report) for report in reports]
    totals = [sum(column.values()) or 1 for column in columns]
    names = list(dict.fromkeys(name for column in columns for name, count in column.items() if count))
    names.sort(key=lambda n: -sum(c.get(n, 0) / t for c, t in zip(columns, totals, strict=True)))
    fit = charts.rows_that_fit(area, len(reports))
    shown = names if len(names) <= fit else names[: fit - 1]
    rows = []
    for name in shown:
        counts = [column.get(name, 0) for column in columns]
        values = [n / t for n, t in zip(counts, totals, strict=True)]
        words = [f"{n:,}" for n in counts] if len(reports) == 1 else [f"{100 * v:.1f}%" for v in values]
        rows.append((name or "(no name)", values, words))
    more = f"and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    charts.named_bars(canvas, area, rows, more)


def _draw_sizes(canvas: Canvas, area: Box, reports: Sequence[SurveyReport]) -> None:
    edges = reports[0].plots.box_edges
    first, end = _used([report.plots.box_counts for report in reports], 2)
    places = {px: 2.0 * math.log2(px) - first for px in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)}
    bins = end - first
    marks = [Mark(at, f"{px}") for px, at in places.items() if 0 <= at <= bins]
    limits = (("medium", 32.0), ("large", 96.0))  # COCO's, of boxes here
    lines = [Mark(2.0 * math.log2(px) - first, words) for words, px in limits if edges[first] < px < edges[end]]
    series = [_scaled(report.plots.box_counts, reports)[first:end] for report in reports]
    charts.histogram(canvas, area, series, marks, lines)


def _used(columns: Sequence[Sequence[int]], step: int) -> tuple[int, int]:
    """The bins from the first to the last that has something, widened to whole steps."""
    filled = [i for column in columns for i, n in enumerate(column) if n]
    low, high = min(filled, default=0), max(filled, default=0) + 1
    return low // step * step, min(-(-high // step) * step, len(columns[0]))


def _draw_aspects(canvas: Canvas, area: Box, reports: Sequence[SurveyReport]) -> None:
    names = ("1:8", "1:4", "1:2", "1:1", "2:1", "4:1", "8:1")
    marks = [Mark(0.5 + 4.0 * i, name) for i, name in enumerate(names)]
    charts.histogram(canvas, area, [_scaled(r.plots.aspect_counts, reports) for r in reports], marks)


def _draw_per_picture(canvas: Canvas, area: Box, reports: Sequence[SurveyReport]) -> None:
    """A bar for each number of objects, or for several where pictures have many."""
    most = max((n for report in reports for n, _ in report.plots.per_picture), default=0)
    step = -(-(most + 1) // _MOST_BINS)
    bins = most // step + 1
    series = []
    for report in reports:
        counts = [0.0] * bins
        for number, pictures in report.plots.per_picture:
            counts[number // step] += pictures
        series.append(_scaled(counts, reports))
    every = max(1, bins // 10)
    words = [f"{i * step}" if step == 1 else f"{i * step}-{i * step + step - 1}" for i in range(bins)]
    charts.histogram(canvas, area, series, [Mark(i + 0.5, words[i]) for i in range(0, bins, every)])


def _draw_pictures(canvas: Canvas, area: Box, reports: Sequence[SurveyReport]) -> None:
    charts.dots(canvas, area, [[(float(w), float(h), float(n)) for w, h, n in r.plots.picture_sizes] for r in reports])


def _draw_centres(canvas: Canvas, area: Box, reports: Sequence[SurveyReport]) -> None:
    x0, y0, x1, y1 = area
    wide = (x1 - x0 - 16.0 * (len(reports) - 1)) / len(reports)
    for k, report in enumerate(reports):
        left = x0 + k * (wide + 16.0)
        most = max(map(max, report.plots.centres))
        words = f"darkest: {plural(most, 'box').replace('boxs', 'boxes')} a cell"
        if len(reports) > 1:
            words = f"{ink.fitted(ink.shown(one_line(Path(report.path).name)), 12.0, 0.4 * wide)} · {words}"
        charts.heat(canvas, (left, y0, left + wide, y1), report.plots.centres, words)
