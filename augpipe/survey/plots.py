"""One sheet of plots of one or two reports: classes, box sizes, aspects, objects a picture, picture sizes, centres.

Two datasets rarely have as many objects, so they are compared by shares, one by counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augpipe.core.annotations import U8
from augpipe.core.errors import one_line
from augpipe.core.extras import missing
from augpipe.survey.report import SurveyReport, weight_of
from augpipe.survey.table import counts_of

try:
    from matplotlib import font_manager, rc_context
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.ticker import EngFormatter, MaxNLocator
except ImportError as error:
    raise missing("augpipe inspect -o", "plots", error) from error

COLORS = ("#3a6ebe", "#e9882a")
INK, SOFT, GROUND = "#202124", "#696b70", "#f7f7f5"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,  # a class may be called $x$
    "text.usetex": False,
    "text.color": INK,
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "xtick.labelcolor", "ytick.labelcolor"), SOFT),
    **dict.fromkeys(("axes.spines.right", "axes.spines.top"), False),
    "axes.axisbelow": True,
    "grid.color": "#e2e2df",
}
"""Settings of matplotlib under which a figure is made and drawn, whatever its user has configured."""

_DPI = 100
_PANEL = (6.4, 3.8)  # inches
_MOST_BINS = 40
_MOST_ROWS = 16

Reports = Sequence[SurveyReport]
Panel = tuple[str, Callable[[SubFigure, Reports], None]]


def sheet(reports: Reports) -> U8:
    """The RGB picture of all plots that one report, or two side by side, have numbers for."""
    return drawn(figure(reports))


def drawn(made: Figure) -> U8:
    """The RGB pixels of a figure."""
    canvas = FigureCanvasAgg(made)
    with rc_context(STYLE):
        canvas.draw()
    return np.array(canvas.buffer_rgba())[:, :, :3]


def figure(reports: Reports) -> Figure:
    """The figure of :func:`sheet`, before it is drawn."""
    panels = list(_panels(reports))
    columns = min(2, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    head = 0.25 + 0.3 * len(reports)
    with rc_context(STYLE):
        size = (columns * _PANEL[0], head + rows * _PANEL[1])
        whole = Figure(size, dpi=_DPI, facecolor=GROUND, layout="constrained")
        whole.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
        top, body = whole.subfigures(2, 1, height_ratios=(head, rows * _PANEL[1]))
        _write_head(top, reports)
        cells = body.subfigures(rows, columns, squeeze=False, wspace=0.025, hspace=0.04).ravel()
        for cell, (title, draw) in zip(cells, panels, strict=False):
            cell.set_facecolor("white")
            cell.suptitle(title, x=0.03, ha="left", size=11)
            draw(cell, reports)
    return whole


def shown(text: object, most: int) -> str:
    """At most ``most`` characters on one line, with '?' for those that the font lacks."""
    known = font_manager.get_font(font_manager.findfont(str(STYLE["font.family"]))).get_charmap()
    line = "".join(c if ord(c) in known else "?" for c in one_line(text))
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _write_head(top: SubFigure, reports: Reports) -> None:
    """The path of each dataset, in the colour of its bars, and what it holds."""
    top.set_facecolor(GROUND)
    for k, report in enumerate(reports):
        y = 1.0 - (k + 0.7) / (len(reports) + 0.4)
        classes = "1 class" if len(report.classes) == 1 else f"{len(report.classes):,} classes"
        color = COLORS[k] if len(reports) > 1 else INK
        top.text(0.015, y, shown(report.path, 44), size=13, color=color, va="center")
        top.text(0.985, y, f"{report.format} · {counts_of(report)} · {classes}", color=SOFT, va="center", ha="right")


def _panels(reports: Reports) -> Iterator[Panel]:
    """The title and the function of each panel that there are numbers for."""
    two = len(reports) > 1
    objects, pictures = ("% of objects", "% of pictures") if two else ("objects", "pictures")
    weight = weight_of(reports)
    if any(weight.of(row) for report in reports for row in report.classes):
        unit = {"objects": "Objects", "tags": "Pictures", "pixels": "Pixels"}[weight.name]
        yield f"{unit} per class{' · % of each dataset' if two else ''}", _draw_classes
    has_boxes = any(report.every.objects for report in reports)
    if has_boxes:
        yield f"Box sizes, root of the area in pixels · {objects}", _draw_box_sizes
        yield f"Aspect ratios, width : height · {objects}", _draw_aspects
        yield f"Objects per picture · {pictures}", _draw_per_picture
    if any(report.pictures.sizes for report in reports):
        yield "Picture sizes, width and height in pixels", _draw_picture_sizes
    if has_boxes:
        yield "Centres of boxes in the picture", _draw_centres


def _scaled(counts: Sequence[float], reports: Reports) -> list[float]:
    """Counts of one dataset as they are, of two in percent."""
    total = sum(counts) or 1.0
    return list(counts) if len(reports) == 1 else [100.0 * n / total for n in counts]


# --- kinds of charts -------------------------------------------------------------------------------------------------


def named_bars(
    axes: Axes, names: Sequence[str], series: Sequence[Sequence[float]], words: Sequence[Sequence[str]]
) -> None:
    """Bars to the right: a row for each name with a bar of each series, and ``words`` behind each bar."""
    thick = 0.8 / len(series)
    places = np.arange(len(names))
    for k, values in enumerate(series):
        bars = axes.barh(places - 0.4 + (k + 0.5) * thick, values, 0.9 * thick, color=COLORS[k])
        axes.bar_label(bars, words[k], padding=3, color=SOFT, size=8)
    axes.set_yticks(places, names, color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.set_xticks(())
    axes.spines["bottom"].set_visible(False)
    axes.margins(x=0.15)


def _histogram(axes: Axes, series: Sequence[Sequence[float]], ticks: Sequence[tuple[float, str]]) -> None:
    """Bars upwards, side by side for each bin; ``ticks`` are (place in bins from the left, words)."""
    wide = 0.86 / len(series)
    for k, values in enumerate(series):
        axes.bar(np.arange(len(values)) + 0.07 + (k + 0.5) * wide, values, wide, color=COLORS[k])
    axes.set_xlim(0, max(map(len, series)))
    axes.set_xticks([place for place, _ in ticks], [words for _, words in ticks])
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=len(series) == 1))
    _scale(axes.yaxis)
    axes.grid(axis="y")


def _scale(axis: Any) -> None:
    axis.set_major_formatter(EngFormatter(sep=""))


# --- panels ----------------------------------------------------------------------------------------------------------


def _draw_classes(cell: SubFigure, reports: Reports) -> None:
    """Bars of the most frequent classes."""
    weight, axes = weight_of(reports), cell.subplots()
    columns = [weight.by_name(report) for report in reports]
    shares = [{name: n / (sum(column.values()) or 1) for name, n in column.items() if n} for column in columns]
    names = sorted(
        dict.fromkeys(name for side in shares for name in side), key=lambda n: -sum(s.get(n, 0.0) for s in shares)
    )
    most = _MOST_ROWS // len(reports)
    some = names if len(names) <= most else names[: most - 1]
    words = [[f"{column.get(name, 0):,}" for name in some] for column in columns]
    if len(reports) > 1:
        words = [[f"{side.get(name, 0.0):.1%}" for name in some] for side in shares]
    values = [[side.get(name, 0.0) for name in some] for side in shares]
    named_bars(axes, [shown(name, 28) or "(no name)" for name in some], values, words)
    if len(names) > len(some):
        axes.set_xlabel(f"and {len(names) - len(some):,} more", color=SOFT, loc="left")


def _draw_box_sizes(cell: SubFigure, reports: Reports) -> None:
    """Two bins an octave, from the first to the last octave that has a box, with COCO's limits of areas."""
    used = [i // 2 for report in reports for i, n in enumerate(report.plots.box_counts) if n]
    first, end = min(used, default=0), max(used, default=0) + 1
    axes = cell.subplots()
    ticks = [(2.0 * (octave - first), f"{2**octave}") for octave in range(first, end + 1)]
    series = [_scaled(report.plots.box_counts, reports)[2 * first : 2 * end] for report in reports]
    _histogram(axes, series, ticks)
    for words, px in (("medium", 32.0), ("large", 96.0)):
        place = 2.0 * (math.log2(px) - first)
        if 0.0 < place < len(series[0]):
            axes.axvline(place, color=SOFT, linewidth=0.8, alpha=0.6)
            axes.text(place, 1.01, words, color=SOFT, size=8, ha="center", transform=axes.get_xaxis_transform())


def _draw_aspects(cell: SubFigure, reports: Reports) -> None:
    names = ("1:8", "1:4", "1:2", "1:1", "2:1", "4:1", "8:1")
    ticks = [(0.5 + 4.0 * i, name) for i, name in enumerate(names)]
    _histogram(cell.subplots(), [_scaled(r.plots.aspect_counts, reports) for r in reports], ticks)


def _draw_per_picture(cell: SubFigure, reports: Reports) -> None:
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
    words = [f"{i * step}" if step == 1 else f"{i * step}–{(i + 1) * step - 1}" for i in range(bins)]
    _histogram(cell.subplots(), series, [(i + 0.5, words[i]) for i in range(0, bins, max(1, bins // 10))])


def _draw_picture_sizes(cell: SubFigure, reports: Reports) -> None:
    """A dot for each size, its area by how many pictures have it; those of a second dataset are rings."""
    axes = cell.subplots()
    for k, report in enumerate(reports):
        width, height, count = np.reshape(report.plots.picture_sizes, (-1, 3)).T
        face = COLORS[k] if k == 0 else "none"
        area = 20.0 + 380.0 * count / max(1, count.max(initial=1))
        axes.scatter(width, height, area, facecolor=face, edgecolor=COLORS[k], alpha=(0.55, 0.9)[k])
    axes.margins(0.12)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    _scale(axes.xaxis)
    _scale(axes.yaxis)
    axes.grid()


def _draw_centres(cell: SubFigure, reports: Reports) -> None:
    """A map of counts for each dataset; the square root of a count gives its colour, which shows single boxes, too."""
    for report, axes in zip(reports, cell.subplots(1, len(reports), squeeze=False)[0], strict=True):
        counts = np.asarray(report.plots.centres)
        axes.imshow(np.sqrt(counts), "Blues", extent=(0, 4, 0, 3), interpolation="nearest")  # 4:3, as most pictures
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(True)
        name = f"{shown(Path(report.path).name, 20)}\n" if len(reports) > 1 else ""
        boxes = "1 box" if counts.max() == 1 else f"{counts.max():,} boxes"
        axes.set_xlabel(f"{name}darkest: {boxes} a cell", color=SOFT)
