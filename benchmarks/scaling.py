"""How a run grows: with workers, with pictures, and what it takes until the first sample.

    python benchmarks/scaling.py [--photos DIR] [--rounds 5] [--out OUT]

- `workers`: samples a second of `augpipe augment` with 1, 2, … workers on as many cores, in turns; start-up, which is
  that of one picture, is taken off. Beside it the memory that the largest worker and the parent have had at their peak.
- `pictures`: what one more picture takes, and the memory, as the dataset grows ten- and a hundredfold. Small pictures,
  as what could grow is all but the pixels; processor time of all processes.
- `start`: seconds from the call until one picture is done, beside a call that loads nothing.

Linux alone: memory is read from /proc. Writes OUT.json and OUT.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import about
import material
from about import ROOT, peers_folder
from contest import CONTENDERS, Task, adopt, environment, run

OURS = next(one for one in CONTENDERS if one.kind == "augpipe")
RECIPE = ROOT / "recipes" / "detection.yaml"
SIZE_WH, SMALL_WH = (640, 480), (96, 72)


@dataclass(frozen=True)
class Memory:
    """MB at the peak: of the process that was called, and of the largest and all of those that it started."""

    parent: float
    largest_worker: float
    workers: int


def memory_of(task: Task, out: Path) -> Memory:
    """A run that is watched."""
    shutil.rmtree(out, ignore_errors=True)
    process = subprocess.Popen(
        OURS.command(task, out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
    )
    peaks: dict[int, float] = {}
    above: dict[int, int] = {}
    while process.poll() is None:
        for pid in [process.pid, *_below(process.pid)]:
            with suppress(OSError, StopIteration, ValueError):
                status = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
                line = next(line for line in status if line.startswith("VmHWM"))
                peaks[pid] = max(peaks.get(pid, 0.0), int(line.split()[1]) / 1024)
                stat = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
                above[pid] = int(stat[1])
        time.sleep(0.02)
    shutil.rmtree(out, ignore_errors=True)
    if process.returncode:
        raise SystemExit(f"augpipe ended with exit code {process.returncode}")
    # Workers are the children of the fork server, which is a child of the parent.
    grandchildren = [pid for pid, parent in above.items() if process.pid not in (pid, parent)]
    workers = [peaks[pid] for pid in grandchildren] or [peaks[process.pid]]
    return Memory(round(peaks[process.pid], 1), round(max(workers), 1), len(grandchildren))


def _below(pid: int) -> list[int]:
    """All descendants of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children = [int(child) for child in task.read_text("utf-8").split()]
            found += [*children, *(one for child in children for one in _below(child))]
    return found


class Scaling:
    """The three measurements in one folder."""

    def __init__(self, options: argparse.Namespace, place: Path) -> None:
        self._options, self._place, self._peers = options, place, peers_folder()
        self._adopting = adopt()
        quick = options.quick
        self._single = material.voc(place / "single", options.photos, SMALL_WH if quick else SIZE_WH, 1)

    def _run(self, source: Path, copies: int, workers: int) -> Any:
        found = run(
            OURS, Task(source, RECIPE, copies, workers), self._place / "out", self._peers, adopting=self._adopting
        )
        if found.why:
            raise SystemExit(f"augpipe: {found.why}")
        return found

    def start(self) -> dict[str, Any]:
        """Of the whole command with one picture, and of its help, which loads nothing."""
        walls, helps = [], []
        for _ in range(self._options.rounds + 1):
            walls.append(self._run(self._single, 1, 1).wall)
            started = time.perf_counter()
            program = [sys.executable, "-c", "from augpipe.cli.main import main; main()", "--help"]
            subprocess.run(program, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
            helps.append(time.perf_counter() - started)
        return {"one_picture": _summary(walls[1:]), "help": _summary(helps[1:])}

    def workers(self) -> list[dict[str, Any]]:
        """A row for each number of workers."""
        options = self._options
        size = SMALL_WH if options.quick else SIZE_WH
        source = material.voc(self._place / "workers", options.photos, size, options.pictures)
        samples = options.pictures * 4
        most = min(options.workers, os.cpu_count() or 1)
        walls: dict[int, list[float]] = {n: [] for n in range(1, most + 1)}
        starts: dict[int, list[float]] = {n: [] for n in walls}
        for _ in range(options.rounds):
            for number, seconds in walls.items():
                starts[number].append(self._run(self._single, 1, number).wall)
                seconds.append(self._run(source, 4, number).wall)
        rows = []
        for number, seconds in walls.items():
            start = statistics.median(starts[number])
            rates = [samples / max(s - start, 0.001) for s in seconds]
            memory = memory_of(Task(source, RECIPE, 4, number), self._place / "out")
            rows.append({
                "workers": number, "samples": samples, "rate": _summary(rates), "whole": _summary(seconds),
                "worker_mb": memory.largest_worker, "parent_mb": memory.parent,
            })  # fmt: skip
        one = rows[0]["rate"]["median"]
        return [{**row, "times": round(row["rate"]["median"] / one, 3)} for row in rows]

    def pictures(self) -> list[dict[str, Any]]:
        """A row for each size of the dataset, with what a picture more has taken since the size before."""
        options = self._options
        counts = [options.least * factor for factor in options.factors]
        sources = [material.voc(self._place / f"of {n}", options.photos, SMALL_WH, n) for n in counts]
        runs = [[self._run(source, 1, options.workers) for source in sources] for _ in range(options.rounds)]
        rows: list[dict[str, Any]] = []
        for i, count in enumerate(counts):
            memory = memory_of(Task(sources[i], RECIPE, 1, options.workers), self._place / "out")
            row = {
                "pictures": count,
                "wall": _summary([turn[i].wall for turn in runs]),
                "parent_mb": memory.parent,
                "worker_mb": memory.largest_worker,
            }
            if i:
                added = count - counts[i - 1]
                row["ms_more"] = _summary([1000 * (t[i].processor - t[i - 1].processor) / added for t in runs])
            rows.append(row)
        return rows


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "least": round(min(values), 4),
        "most": round(max(values), 4),
        "runs": len(values),
    }


def _shown(value: dict[str, float], form: str) -> str:
    return f"{value['median']:{form}} ({value['least']:{form}}–{value['most']:{form}})"


def page(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    start = result["start"]
    lines = ["# Scaling", "", "Medians, with the lowest and highest. Recipe `detection`.", ""]
    lines += ["| workers, each on a core | samples/s without start-up | times one | MB a worker | MB of the parent |"]
    lines += ["|--:|--:|--:|--:|--:|"]
    for row in result["workers"]:
        lines.append(
            f"| {row['workers']} | {_shown(row['rate'], '.0f')} | {row['times']:.2f} | {row['worker_mb']:.0f} "
            f"| {row['parent_mb']:.0f} |"
        )
    lines += ["", f"| pictures of {SMALL_WH[0]}×{SMALL_WH[1]} | ms for one more, of the processor | seconds in all |"]
    lines[-1] += " MB a worker | MB of the parent |"
    lines += ["|--:|--:|--:|--:|--:|"]
    for row in result["pictures"]:
        more = _shown(row["ms_more"], ".2f") if "ms_more" in row else ""
        lines.append(
            f"| {row['pictures']:,} | {more} | {_shown(row['wall'], '.2f')} "
            f"| {row['worker_mb']:.0f} | {row['parent_mb']:.0f} |"
        )
    lines += ["", f"One picture, from the call to the end: {_shown(start['one_picture'], '.2f')} s;"]
    lines += [f"`augpipe --help`: {_shown(start['help'], '.2f')} s.", ""]
    lines += [f"- {name}: {value}" for name, value in result["facts"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = about.parser(__doc__, "scaling")
    parser.add_argument("--pictures", type=about.at_least_one, default=300)
    parser.add_argument("--least", type=about.at_least_one, default=100, help="pictures of the smallest of the three")
    parser.add_argument("--workers", type=about.at_least_one, default=2)
    parser.add_argument("--rounds", type=about.at_least_one, default=5)
    options = parser.parse_args()
    options.factors = (1, 10) if options.quick else (1, 10, 100)
    if options.quick:
        options.pictures, options.least, options.rounds = 8, 2, 1
    facts = about.facts(peers_folder())
    with tempfile.TemporaryDirectory() as name:
        scaling = Scaling(options, Path(name))
        result = {
            "start": scaling.start(),
            "workers": scaling.workers(),
            "pictures": scaling.pictures(),
            "facts": facts,
        }
    about.write(options.out, result, page)
    print(page(result))


if __name__ == "__main__":
    main()
