"""The results of ``cpu.py`` for people: the table, the goals, what was lost, and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from augpipe.survey import plots

US = "augpipe"
MEASURES = {"whole": "as a whole", "working": "without start-up", "processor": "by processor time without start-up"}

GOALS = (
    ("detection", 4, "Albumentations", 4.0),
    ("detection", 1, "Albumentations", 2.7),
    ("detection", 4, "decode once + encode", 0.5),
    ("detection", 1, "decode once + encode", 0.5),
    ("segmentation", 4, "Albumentations", 4.0),
    ("flip", 4, "decode once + encode", 0.9),
    ("large", 4, "Albumentations", 5.0),
)  # fmt: skip


HEAD = """By the contract in [../README.md](../README.md). Samples/s are those of whole programs, start-up included:
a median, with the lowest and highest of so many runs. *Working* is without start-up, *CPU* the processor time of all
processes, without start-up too. The last columns say how many times as fast augpipe was in the same round: as a whole,
without start-up, and by processor time, which other work on the machine disturbs least."""


def start_of(document: dict[str, Any], contender: str, measure: str = "wall") -> float:
    """Median seconds for one copy of one picture, on the wall or of the processor; 0 where that was not measured."""
    return statistics.median(document["start"].get(contender, {}).get(measure) or [0.0])


def _cell(document: dict[str, Any], workload: str, copies: int, contender: str) -> dict[str, Any] | None:
    for cell in document["cells"]:
        if (cell["workload"], cell["copies"], cell["contender"]) == (workload, copies, contender) and cell["wall"]:
            return dict(cell)
    return None


def ratios(document: dict[str, Any], cell: dict[str, Any], measure: str = "whole") -> list[float]:
    """How many times as fast as the contender of ``cell`` we are, in each round that both ran in.

    ``whole``: the programs. Without the start-up of both: ``working`` by the wall, ``processor`` by processor time. A
    run of which less than half its start-up is left without it says nothing of the work, and is left out there.
    """
    ours = _cell(document, cell["workload"], cell["copies"], US)
    if ours is None:
        return []
    mine, theirs = _times(document, ours, measure), _times(document, cell, measure)
    return [theirs[number] / mine[number] for number in theirs if number in mine]


def _times(document: dict[str, Any], cell: dict[str, Any], measure: str) -> dict[int, float]:
    """Round → seconds."""
    which = "processor" if measure == "processor" else "wall"
    start = start_of(document, cell["contender"], which) if measure != "whole" else 0.0
    times = zip(cell["rounds"], cell[which], strict=True)
    return {number: seconds - start for number, seconds in times if seconds > 1.5 * start}


def goals(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal with the median ratio of whole programs and of what is left of them without their start-up."""
    found = []
    for workload, copies, contender, least in GOALS:
        cell = _cell(document, workload, copies, contender)
        values: dict[str, float | None] = dict.fromkeys(MEASURES)
        for name in values:
            of_rounds = ratios(document, cell, name) if cell else []
            values[name] = round(statistics.median(of_rounds), 3) if of_rounds else None
        found.append({"workload": workload, "copies": copies, "against": contender, "least": least, **values})
    return found


def losses(document: dict[str, Any]) -> Iterator[str]:
    """Where another program was ahead, by any measure."""
    for cell in document["cells"]:
        if cell["kind"] != "peer" or not cell["wall"]:
            continue
        for measure, words in MEASURES.items():
            of_rounds = ratios(document, cell, measure)
            if of_rounds and (median := statistics.median(of_rounds)) < 1.0:
                yield (
                    f"{cell['workload']}, {_copies(cell['copies'])}: {cell['contender']} is ahead {words}, "
                    f"augpipe has {median:.2f} of its rate"
                )


def _spread(values: list[float], form: str) -> str:
    middle = f"{statistics.median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}}–{max(values):{form}})"


def _row(document: dict[str, Any], cell: dict[str, Any]) -> str:
    name = f"**{US}**" if cell["contender"] == US else cell["contender"]
    if not cell["wall"]:
        return f"| {name} | {cell['why'] or 'not run'} | | | | | | |"
    samples = cell["samples"]
    rates = [samples / wall for wall in cell["wall"]]
    left = list(_times(document, cell, "working").values())
    working = f"{samples / statistics.median(left):.0f}" if left else ""
    used = list(_times(document, cell, "processor").values())
    processor = f"{1000 * statistics.median(used) / samples:.2f}" if used else ""
    times = [""] * len(MEASURES)
    if cell["contender"] != US:
        times = [_spread(r, ".2f") if (r := ratios(document, cell, measure)) else "" for measure in MEASURES]
    return f"| {name} | {_spread(rates, '.0f')} | {working} | {processor} | {len(rates)} | {' | '.join(times)} |"


def page(document: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["# The CPU, measured", ""]
    if document["options"]["quick"]:
        lines += ["**A quick run, to see whether it runs at all. Its numbers mean nothing.**", ""]
    lines += [HEAD, ""]
    lines += ["| goal | at least | whole | working | CPU |", "|---|--:|--:|--:|--:|"]
    for goal in document["goals"]:
        what = f"{goal['workload']}, {_copies(goal['copies'])}, beside {goal['against']}"
        shown = " | ".join(_verdict(goal[name], goal["least"]) for name in MEASURES)
        lines.append(f"| {what} | {goal['least']} | {shown} |")
    lost = list(losses(document))
    lines += ["", "## Lost", "", *([f"- {one}" for one in lost] or ["Nothing."]), ""]
    for name, copies in dict.fromkeys((cell["workload"], cell["copies"]) for cell in document["cells"]):
        made = document["workloads"][name]
        size = "×".join(map(str, made["size_wh"]))
        lines += [f"## {name}, {_copies(copies)}", ""]
        lines += [f"{made['pictures']} pictures of {size}.", ""]
        lines += ["| | samples/s | working | CPU ms a sample | runs | augpipe × | working × | CPU × |"]
        lines += ["|---|--:|--:|--:|--:|--:|--:|--:|"]
        cells = [c for c in sorted(document["cells"], key=_place) if (c["workload"], c["copies"]) == (name, copies)]
        lines += [_row(document, cell) for cell in cells] + [""]
    lines += ["## Start-up", "", "Seconds for one copy of one picture.", "", "| | s |", "|---|--:|"]
    lines += [f"| {name} | {_spread(times['wall'], '.2f')} |" for name, times in document["start"].items()]
    lines += ["", *(f"- {name}: {_flat(value)}" for name, value in document["facts"].items())]
    lines += [f"- {name}: {_flat(value)}" for name, value in document["options"].items()]
    return "\n".join(lines) + "\n"


def _place(cell: dict[str, Any]) -> int:
    """We, the peers, the floors; within them as they came."""
    return ("augpipe", "peer", "floor").index(cell["kind"])


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number} copies"


def _verdict(value: float | None, least: float) -> str:
    if value is None:
        return "not measured"
    return f"{value:.2f}, {'met' if value >= least else 'missed'}"


def _flat(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def plot(document: dict[str, Any], path: Path) -> None:
    """Samples a second of everybody, a panel a workload, as a PNG."""
    names = list(dict.fromkeys(cell["workload"] for cell in document["cells"]))
    copies = sorted({cell["copies"] for cell in document["cells"]}, reverse=True)[:2]
    if not names:
        return
    contenders = list(dict.fromkeys(cell["contender"] for cell in sorted(document["cells"], key=_place)))
    rows, panel = -(-len(names) // 2), 0.6 + 0.2 * len(copies) * len(contenders)
    cores = f"{document['options']['workers']} cores, {document['facts']['processor']}; start-up included"
    with rc_context(plots.STYLE):
        figure = Figure((11.8, 0.9 + rows * panel), dpi=100, facecolor=plots.GROUND, layout="constrained")
        figure.suptitle(f"Augmented samples a second, from files to shards\n{cores}", x=0.02, ha="left", size=12)
        grid = figure.subplots(rows, 2, squeeze=False).ravel()
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(grid, names, strict=False):
            cells = [[_cell(document, name, number, contender) for contender in contenders] for number in copies]
            rates = [[c["samples"] / statistics.median(c["wall"]) if c else 0.0 for c in row] for row in cells]
            words = [[f"{r:.0f}" if r else "none" for r in row] for row in rates]
            plots.named_bars(axes, contenders, rates, words)
            axes.set_title(name, loc="left", size=11)
        patches = [Patch(color=color) for color in plots.COLORS[: len(copies)]]
        figure.legend(patches, [f"{_copies(number)} of each picture" for number in copies], loc="upper right")
    Image.fromarray(plots.drawn(figure)).save(path, optimize=True)
