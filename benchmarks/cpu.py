"""augpipe beside Albumentations, torchvision v2, Kornia, imgaug and DALI on the CPU, by the contract of README.md.

    python benchmarks/cpu.py [--photos DIR] [--minutes 20] [--only detection,large] [--contenders augpipe,DALI]

Every contender is a program of its own that reads the same dataset and writes shards with pictures and labels. They
take turns, round after round, so that a machine that slows down does so for all; ratios are those of runs of one round.
Who takes longer than ``--patience`` seconds runs once. Rounds are begun until the time is over, each workload at least
once as long as there is time.

Writes OUT.json (every run, versions, commit, machine), OUT.md and OUT.png.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import about
import cpu_page
from contest import (
    CONTENDERS,
    WORKLOADS,
    Contender,
    Task,
    Workload,
    adopt,
    by_name,
    run,
)

RUNS_OF_START = 3


@dataclass
class Cell:
    """The runs of one contender on one workload; ``rounds`` says in which each was."""

    workload: str
    copies: int
    contender: str
    kind: str
    samples: int
    rounds: list[int] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    why: str = ""


class Contest:
    """The turns, and what came of them."""

    def __init__(self, options: argparse.Namespace, place: Path) -> None:
        self._options, self._place = options, place
        self._peers = options.peers or about.peers_folder()
        self._contenders: list[Contender] = by_name(options.contenders, CONTENDERS)
        self._workloads: list[Workload] = by_name(options.only, WORKLOADS)
        self._cells: dict[tuple[str, int, str], Cell] = {}
        self._end = time.monotonic() + 60 * options.minutes
        self.start: dict[str, dict[str, list[float]]] = {}
        self._starts = 0 if options.quick else RUNS_OF_START
        self.facts = about.facts(self._peers)
        self._adopting = self.facts["processor_time_of_all_processes"] = adopt()

    def prepare(self) -> None:
        """Make the datasets, and let every program be loaded once, so that the disk is warm for all."""
        for one in self._workloads:
            count, size = self._count(one), self._size(one)
            print(f"{one.name}: {count} pictures of {size[0]}×{size[1]}", file=sys.stderr, flush=True)
            one.make(self._place / one.name, self._options.photos, size, count)
        first = self._workloads[0]
        first.make(self._place / "start", self._options.photos, self._size(first), 1)
        for contender in self._contenders:
            self._start(contender)

    def _count(self, one: Workload) -> int:
        return max(2, round(self._options.pictures * one.share))

    def _size(self, one: Workload) -> tuple[int, int]:
        return (160, 120) if self._options.quick else one.size_wh

    def _task(self, one: Workload, copies: int) -> Task:
        return Task(self._place / one.name, one.recipe, copies, self._options.workers)

    def _start(self, contender: Contender) -> None:
        """One picture, one copy: what a program takes before it works. Its first time warms up and does not count."""
        first = self._workloads[0]
        task = replace(self._task(first, 1), source=self._place / "start")
        found = run(contender, task, self._place / "out", self._peers, 1, self._adopting)
        if found.why:
            print(f"{contender.name}: {found.why}", file=sys.stderr, flush=True)
            return
        times = self.start.setdefault(contender.name, {"wall": [], "processor": []})
        times["wall"].append(round(found.wall, 3))
        times["processor"].append(round(found.processor, 3))

    def play(self) -> None:
        """Round after round over all workloads."""
        for number in range(self._options.rounds):
            for one in self._workloads:
                for copies in self._options.copies:
                    # Round by round the other way, so that nobody always comes after the same one.
                    order = self._contenders[:: -1 if number % 2 else 1]
                    for contender in order:
                        self._turn(one, copies, contender, number)
                    self.write()
            for contender in self._contenders:
                if number < self._starts and contender.name in self.start and time.monotonic() < self._end:
                    self._start(contender)
        self.write()

    def _turn(self, one: Workload, copies: int, contender: Contender, number: int) -> None:
        samples = self._count(one) * copies
        key = (one.name, copies, contender.name)
        cell = self._cells.setdefault(key, Cell(one.name, copies, contender.name, contender.kind, samples))
        if time.monotonic() > self._end:
            cell.why = cell.why or ("" if cell.wall else "there was no time left for it")
            return
        if cell.why or (cell.wall and cell.wall[-1] > self._options.patience):
            return
        expected = None if cell.wall else samples
        found = run(contender, self._task(one, copies), self._place / "out", self._peers, expected, self._adopting)
        if found.why:
            cell.why = found.why
            return
        cell.rounds.append(number)
        cell.wall.append(round(found.wall, 4))
        cell.processor.append(round(found.processor, 4))
        rate = samples / found.wall
        print(f"{one.name} ×{copies} {contender.name}: {rate:.0f} samples/s", file=sys.stderr, flush=True)

    def write(self) -> None:
        """What there is by now, so that a run that is ended early has not been for nothing."""
        options = self._options
        used = {name: getattr(options, name) for name in ("pictures", "workers", "rounds", "patience", "minutes")}
        pictures = {w.name: {"pictures": self._count(w), "size_wh": self._size(w)} for w in self._workloads}
        document = {
            "facts": self.facts,
            "options": {**used, "quick": options.quick, "photos": options.photos.name if options.photos else "shipped"},
            "workloads": pictures,
            # The first run of each loads everything from the disk.
            "start": {
                name: {measure: values[1:] or values for measure, values in times.items()}
                for name, times in self.start.items()
            },
            "cells": [asdict(cell) for cell in self._cells.values()],
        }
        document["goals"] = cpu_page.goals(document)
        about.write(options.out, document, cpu_page.page)
        cpu_page.plot(document, options.out.with_suffix(".png"))


def parsed() -> argparse.Namespace:
    parser = about.parser(__doc__, "cpu")
    number = about.at_least_one
    parser.add_argument("--pictures", type=number, default=300, help="of the detection workload; others have a share")
    parser.add_argument("--copies", type=lambda text: [number(n) for n in text.split(",")], default=[4, 1])
    parser.add_argument("--workers", type=number, default=2)
    parser.add_argument("--rounds", type=number, default=5)
    parser.add_argument("--patience", type=float, default=20.0, help="seconds; who takes longer runs once")
    parser.add_argument("--minutes", type=float, default=20.0, help="no run is begun after them")
    parser.add_argument("--only", default=",".join(w.name for w in WORKLOADS), help="workloads, with commas")
    parser.add_argument("--contenders", default=",".join(c.name for c in CONTENDERS))
    parser.add_argument("--peers", type=Path, help="folder of the peers' libraries; that of `make peers` if not given")
    options = parser.parse_args()
    if options.quick:
        options.pictures, options.rounds = min(options.pictures, 6), 1
    return options


def main() -> None:
    options = parsed()
    with tempfile.TemporaryDirectory() as name:
        contest = Contest(options, Path(name))
        contest.prepare()
        contest.play()
    print(options.out.with_suffix(".md").read_text("utf-8"))


if __name__ == "__main__":
    main()
