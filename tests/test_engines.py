"""Workers that die, fail or are too many; and what a run holds in memory as the data grows."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pytest
from format_checker import check_folder
from runs import hashes, run

from augpipe.errors import RunError
from augpipe.formats import open_dataset
from augpipe.run import augment as augment_module
from augpipe.run.job import plan_tasks
from augpipe.run.keys import require_unique


@dataclass(frozen=True)
class Saboteur:
    """A reader that does harm when it comes to one picture: the first ``times`` times, counted in a file."""

    reader: Any
    victim: str
    marks: str
    times: int
    how: str

    def annotations(self, entry):
        if entry.key == self.victim:
            done = len(os.listdir(self.marks))
            if done < self.times:
                (Path(self.marks) / str(done)).touch()
                if self.how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise RuntimeError("a fault in the program")
        return self.reader.annotations(entry)


def sabotage(monkeypatch, marks: Path, times: int, how: str) -> None:
    real = augment_module._job
    marks.mkdir()

    def job(prepared):
        made = real(prepared)
        saboteur = Saboteur(made.reader, "img_004.jpg", str(marks), times, how)
        return type(made)(**{**made.__dict__, "reader": saboteur})

    monkeypatch.setattr(augment_module, "_job", job)


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(voc, tmp_path, monkeypatch):
    run(voc, tmp_path / "calm", copies=2)
    sabotage(monkeypatch, tmp_path / "marks", 2, "kill")
    run(voc, tmp_path / "out", copies=2, workers=2)
    assert len(os.listdir(tmp_path / "marks")) == 2
    assert hashes(tmp_path / "out") == hashes(tmp_path / "calm")
    assert check_folder(tmp_path / "out") == []


def test_a_worker_that_always_dies_ends_the_run_and_the_rest_is_kept(voc, tmp_path, monkeypatch):
    sabotage(monkeypatch, tmp_path / "marks", 99, "kill")
    with pytest.raises(RunError, match=r"died 3 times .* run the same command to go on"):
        run(voc, tmp_path / "out", copies=1, workers=1)
    done = hashes(tmp_path / "out")
    assert len(os.listdir(tmp_path / "marks")) == 3
    monkeypatch.undo()
    run(voc, tmp_path / "out", copies=1)
    assert done.items() <= hashes(tmp_path / "out").items()
    assert check_folder(tmp_path / "out") == []


def test_a_fault_that_one_picture_brings_out_costs_that_picture(voc, tmp_path, monkeypatch):
    sabotage(monkeypatch, tmp_path / "marks", 1, "raise")
    summary = run(voc, tmp_path / "out", copies=2, workers=1)
    assert (summary.rejects, summary.rejected, summary.failed) == ({"fault": 1}, 2, None)
    (row,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (row["source"], row["copies"], row["error"], row["transient"]) == ("img_004.jpg", [0, 1], "fault", False)
    assert re.fullmatch(
        r"RuntimeError: a fault in the program \(test_engines.py:\d+\); please report this", row["message"]
    )
    assert check_folder(tmp_path / "out") == []


@pytest.mark.parametrize(("place", "stage"), [("augpipe.run.task.draw", "plan"), ("augpipe.run.task.apply", "plan")])
def test_a_fault_in_plan_or_labels_costs_one_copy(voc, tmp_path, monkeypatch, place, stage):
    module, name = place.rsplit(".", 1)
    real, calls = getattr(importlib.import_module(module), name), []

    def once(*args):
        calls.append(args)
        if len(calls) == 2:
            raise ZeroDivisionError("of ours")
        return real(*args)

    monkeypatch.setattr(place, once)
    summary = run(voc, tmp_path / "out", copies=2)
    assert (summary.rejects, summary.rejected) == ({"fault": 1}, 1)
    (row,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (row["copies"], row["stage"], row["error"]) == ([1], stage, "fault")
    assert check_folder(tmp_path / "out") == []


def test_a_fault_of_a_whole_shard_is_one_sentence_with_the_traceback_as_its_cause(voc, tmp_path, monkeypatch):
    real = augment_module._job
    monkeypatch.setattr(
        augment_module, "_job", lambda run: type(real(run))(**{**real(run).__dict__, "categories": None})
    )
    with pytest.raises(
        RunError, match=r"^shard all-000000: TypeError: .*; finished shards are kept; --debug"
    ) as caught:
        run(voc, tmp_path / "out", workers=1)
    assert "\n" not in str(caught.value)
    assert "Traceback" in str(caught.value.__cause__)


def test_no_worker_outlives_the_run(voc, tmp_path):
    import multiprocessing

    run(voc, tmp_path / "out", workers=2)
    assert multiprocessing.active_children() == []


def test_more_workers_than_tasks(voc, tmp_path):
    run(voc, tmp_path / "out", workers=5, limit=2)
    assert check_folder(tmp_path / "out") == []


def test_an_interrupt_stops_the_workers_and_leaves_a_run_that_goes_on(voc, tmp_path):
    class Interrupting:
        def __init__(self) -> None:
            self.done = 0

        def __call__(self, pictures, rejected):
            self.done += pictures
            if self.done >= 3:
                raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        watch(voc, out, Interrupting(), 1)
    assert not (out / "manifest.json").exists()
    run(voc, out, copies=2)
    assert check_folder(out) == []


@pytest.mark.parametrize("seconds", [0.6, 1.2])
def test_ctrl_c_while_things_are_being_started_is_one_line(voc, tmp_path, seconds):
    """The terminal sends it to every process; the fork server is loading torch then."""
    program = "from augpipe.cli.main import main; main()"
    command = [sys.executable, "-c", program, "augment", voc, tmp_path / "out", "-r", "detection", "-n", "200"]
    started = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, start_new_session=True, text=True)
    time.sleep(seconds)
    os.killpg(started.pid, signal.SIGINT)
    said = started.communicate(timeout=30)[1]
    assert started.returncode == 1
    assert [line for line in said.splitlines() if not line.startswith(("device:", "source:"))] == [
        "augpipe: stopped; what is finished stays, run the same command to go on"
    ]


def test_a_killed_worker_leaves_nothing_to_clean_up(voc, tmp_path):
    """Semaphores of the system would outlive it, and a warning about them come at the end."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import os, signal, threading, multiprocessing
from pathlib import Path
from runs import run
def kill():
    while not multiprocessing.active_children(): pass
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
threading.Timer(0.0, kill).start()
run(Path({str(voc)!r}), Path({str(tmp_path / "out")!r}), "detection", copies=60, workers=2)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert check_folder(tmp_path / "out") == []


def watch(source: Path, folder: Path, progress: Any, workers: int) -> None:
    from augpipe.recipe.load import load
    from augpipe.run.augment import RunOptions, Watcher, augment

    class Told(Watcher):
        def progress(self, pictures, rejected):
            progress(pictures, rejected)

    augment(str(source), folder, load("detection"), RunOptions(copies=2), workers=workers, watcher=Told())


def test_progress_adds_up(voc, tmp_path):
    for workers in (0, 2):
        seen: list[int] = []
        watch(voc, tmp_path / str(workers), lambda pictures, rejected, seen=seen: seen.append(pictures), workers)
        assert sum(seen) == 9


# --- memory ----------------------------------------------------------------------------------------------------------


def held_by_parent(source: Path) -> int:
    """Bytes that the parent holds once the source is indexed and its tasks are planned."""
    tracemalloc.start()
    dataset = open_dataset(str(source))
    require_unique(entry.key for entry in dataset.entries)
    tasks = plan_tasks(dataset.entries, 0, 10, "all")
    next(tasks)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


@pytest.mark.parametrize("make", [datasets.make_voc, datasets.make_coco])
def test_the_parent_grows_by_less_than_a_kilobyte_a_picture(tmp_path, make):
    few, many = 30, 300
    small, large = make(tmp_path / "small", few), make(tmp_path / "large", many)
    held_by_parent(small)  # imports and caches do not count
    growth = (held_by_parent(large) - held_by_parent(small)) / (many - few)
    assert growth < 1024, f"{growth:.0f} bytes a picture"


def test_a_worker_stays_under_600_megabytes(tmp_path):
    """VOC-sized pictures, hundreds of samples a shard; everything in one process, so the parent's share counts too."""
    source = tmp_path / "set"
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import datasets, re
from runs import run
datasets.size_of = lambda i: (500, 375)
datasets.make_voc(Path({str(source)!r}), 24)
run(Path({str(source)!r}), Path({str(tmp_path / "out")!r}), "segmentation", copies=12, sources_per_shard=24)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
    # Not ru_maxrss: a new program inherits that of the process which started it.
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 50 * 1024 < int(done.stdout) < 600 * 1024
