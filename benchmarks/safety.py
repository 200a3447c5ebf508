"""What safety costs: flushing every file to the disk, and finding out that a finished run has nothing left to do.

    python benchmarks/safety.py [--pictures 96] [--rounds 7] [--samples 10000] [--folder DIR] [--out OUT]

- `fsync`: the same run with `os.fsync` and with a function in its place that does nothing, in one process, one after
  the other in turns; the median over the turns of (with / without). Pictures are as large as Pascal VOC's.
  Beside it the share of the time that is spent inside the calls, which is measured directly: on a machine that others
  use, too, two runs differ by more than flushing costs, and then the ratio tells nothing.
- `going on`: `augpipe augment` into a finished run of so many samples, four copies of each picture, by the command line
  with its start-up; small pictures, as only their number counts.

The folder decides: a disk in memory flushes for nothing. Writes a table (OUT.md) and the numbers (OUT.json).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

import datasets  # noqa: E402
from boxes import commit  # noqa: E402

from augpipe.recipe.load import load  # noqa: E402
from augpipe.run.augment import Execution, RunOptions, augment  # noqa: E402

COPIES, SEED = 4, 7
SIZE_WH = (500, 375)
PROGRAM = "from augpipe.cli.main import main; main()"


def seconds_of(source: Path, folder: Path) -> float:
    """One run, in this process."""
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()
    started = time.perf_counter()
    augment(
        str(source), folder, load("detection"), RunOptions(copies=COPIES, seed=SEED), execution=Execution(workers=0)
    )
    return time.perf_counter() - started


def cost_of_fsync(place: Path, pictures: int, rounds: int) -> dict[str, Any]:
    """Runs with and without, in turns, and the order of the two turned round each time."""
    datasets.size_of = lambda i: SIZE_WH  # type: ignore[assignment]
    source = datasets.make_voc(place / "voc", pictures)
    flush, flushes, inside = os.fsync, 0, 0.0

    def counting(handle: int) -> None:
        nonlocal flushes, inside
        flushes += 1
        started = time.perf_counter()
        flush(handle)
        inside += time.perf_counter() - started

    arms = {"with": counting, "without": lambda handle: None}
    seconds_of(source, place / "warm")
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    for turn in range(rounds):
        for arm in sorted(arms, reverse=bool(turn % 2)):
            os.fsync = arms[arm]  # type: ignore[assignment]
            try:
                times[arm].append(seconds_of(source, place / arm))
            finally:
                os.fsync = flush
    ratios = [a / b for a, b in zip(times["with"], times["without"], strict=True)]
    return {
        "pictures": pictures,
        "copies": COPIES,
        "size_wh": SIZE_WH,
        "rounds": rounds,
        "flushes_a_run": flushes // rounds,
        "seconds_with": round(statistics.median(times["with"]), 3),
        "seconds_without": round(statistics.median(times["without"]), 3),
        "seconds_inside_fsync_a_run": round(inside / rounds, 4),
        "share_inside_fsync": round(inside / sum(times["with"]), 4),
        "median_ratio": round(statistics.median(ratios), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
    }


def cost_of_flushing_alone(place: Path, flushes: int) -> float:
    """Seconds that so many flushes of small new files take with nothing else going on."""
    handles = []
    for i in range(flushes):
        handles.append(os.open(place / f"flushed {i}", os.O_WRONLY | os.O_CREAT))
        os.write(handles[-1], b"x" * 4096)
    started = time.perf_counter()
    for handle in handles:
        os.fsync(handle)
        os.close(handle)
    return round(time.perf_counter() - started, 4)


def cost_of_going_on(place: Path, samples: int, rounds: int) -> dict[str, Any]:
    """Calls of the command line on a finished run, and of `--help` beside them."""
    datasets.size_of = lambda i: (40, 30)  # type: ignore[assignment]
    source = datasets.make_voc(place / "small", samples // COPIES, 1)
    folder = place / "finished"
    arguments = ["augment", str(source), str(folder), "-r", "detection", "-n", str(COPIES), "--seed", str(SEED)]
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, capture_output=True)
    times, cpu, starts = [], [], []
    for _ in range(rounds):
        before, started = os.times(), time.perf_counter()
        done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, capture_output=True, text=True)
        times.append(time.perf_counter() - started)
        after = os.times()
        cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
        assert "nothing to do" in done.stdout
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", PROGRAM, "--help"], check=True, capture_output=True)
        starts.append(time.perf_counter() - started)
    return {
        "samples": samples,
        "rounds": rounds,
        "median_seconds": round(statistics.median(times), 3),
        "median_cpu_seconds": round(statistics.median(cpu), 3),
        "worst_seconds": round(max(times), 3),
        "help_seconds": round(statistics.median(starts), 3),
    }


def main() -> int:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; that of temporary files if not given")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "safety", help="without ending")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        place = Path(folder)
        fsync = cost_of_fsync(place, options.pictures, options.rounds)
        fsync["seconds_of_flushing_small_files_alone"] = cost_of_flushing_alone(place, fsync["flushes_a_run"])
        going_on = cost_of_going_on(place, options.samples, options.rounds)
    packages = ["augpipe", "numpy", "opencv-python-headless", "torch", "typer"]
    document = {
        "fsync": fsync,
        "going_on": going_on,
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "cores": os.cpu_count(),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    text = page(document, options)
    options.out.with_suffix(".md").write_text(text, "utf-8")
    print(text)
    return 0


def page(document: dict[str, Any], options: argparse.Namespace) -> str:
    """The results as Markdown."""
    fsync, on = document["fsync"], document["going_on"]
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    width, height = fsync["size_wh"]
    made_of = f"{fsync['pictures']} pictures of {width}×{height}, {fsync['copies']} copies"
    turns = f"{fsync['rounds']} turns ({min(fsync['ratios']):.3f} to {max(fsync['ratios']):.3f})"
    alone = 1000 * fsync["seconds_of_flushing_small_files_alone"]
    rows = [
        (f"a run of {made_of}, with fsync", f"{fsync['seconds_with']:.2f} s"),
        ("the same without", f"{fsync['seconds_without']:.2f} s"),
        (f"with / without, median of {turns}", f"{fsync['median_ratio']:.3f}"),
        ("share of the run's time that is spent inside fsync", f"{100 * fsync['share_inside_fsync']:.2f} %"),
        ("calls of fsync in a run", fsync["flushes_a_run"]),
        ("so many flushes of small files, with nothing else", f"{alone:.0f} ms"),
        (f"`augpipe augment` into a finished run of {on['samples']:,} samples", f"{on['median_seconds']:.2f} s"),
        (f"the slowest of {on['rounds']}", f"{on['worst_seconds']:.2f} s"),
        ("its processor time", f"{on['median_cpu_seconds']:.2f} s"),
        ("`augpipe --help` beside it", f"{on['help_seconds']:.2f} s"),
    ]
    spread = max(fsync["ratios"]) - min(fsync["ratios"])
    verdict = (
        f"The ratios of single turns differ by {100 * spread:.0f} %, which is more than the 3 % in question: the ratio "
        "decides nothing here,\nand the share inside fsync is the figure to look at."
        if spread > 0.03
        else "The ratios of single turns differ by less than the 3 % in question."
    )
    table = "\n".join(f"| {what} | {value} |" for what, value in rows)
    call = f"--pictures {options.pictures} --rounds {options.rounds} --samples {options.samples}"
    return f"""# What safety costs

| | |
|---|--:|
{table}

{verdict}

Made by `python benchmarks/safety.py {call}`
at commit {document["commit"]},
on {document["cores"]} cores with a load of {document["load_average"][0]} from this and other work, with
{versions}.
"""


if __name__ == "__main__":
    sys.exit(main())
