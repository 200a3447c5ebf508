"""Workers that die, fail or are too many; and what a run holds in memory as the data grows."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from format_checker import check_folder
from places import HELPERS
from runs import Listening, hashes, promised, run

from augpipe.core.errors import RunError
from augpipe.pixels.factory import WorkerSlot
from augpipe.recipe.load import load
from augpipe.run import runner
from augpipe.run.augment import Execution, RunOptions, Summary, augment
from augpipe.run.engine import local, worker
from augpipe.run.engine.worker import OUT_OF_MEMORY, Ready
from augpipe.run.retry import retry


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
                if self.how == "hang":
                    time.sleep(1000)
                if self.how == "exit":
                    os._exit(OUT_OF_MEMORY)
                raise RuntimeError("a fault in the program")
        return self.reader.annotations(entry)


def sabotage(monkeypatch, marks: Path, times: int, how: str) -> None:
    real = runner.PendingWork._job
    marks.mkdir()

    def job(self):
        made = real(self)
        return replace(made, reader=Saboteur(made.reader, "img_004.jpg", str(marks), times, how))

    monkeypatch.setattr(runner.PendingWork, "_job", job)


def _no_library() -> None:
    raise ImportError("libGL.so.1: no such file")


class Unloadable:
    """Cannot be received: ``load`` is called in its place."""

    def __init__(self, load: Any, *arguments: Any) -> None:
        self.load, self.arguments = load, arguments

    def __reduce__(self):
        return self.load, self.arguments


def listened(source: Path, folder: Path, **how: Any) -> tuple[Summary, Listening]:
    listener = Listening()
    options = RunOptions(copies=2)
    return augment(
        str(source), folder, load("detection"), options, execution=Execution(**how), watcher=listener
    ), listener


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(voc, tmp_path, monkeypatch):
    run(voc, tmp_path / "calm", copies=2)
    sabotage(monkeypatch, tmp_path / "marks", 2, "kill")
    _, listener = listened(voc, tmp_path / "out", workers=2)
    assert len(os.listdir(tmp_path / "marks")) == 2
    assert hashes(tmp_path / "out") == hashes(tmp_path / "calm")
    assert check_folder(tmp_path / "out") == []
    said = r"all-00000\d: the worker was ended by SIGKILL, perhaps by .* memory; it is done again"
    assert [bool(re.fullmatch(said, sentence)) for sentence in listener.troubles] == [True, True]
    assert listener.pictures == 9, "what was lost with a worker does not count twice"


@pytest.mark.parametrize(
    ("how", "error", "times"), [("kill", "crash", 5), ("hang", "timeout", 2), ("exit", "memory", 5)]
)
def test_a_picture_that_brings_workers_down_is_found_and_the_rest_goes_on(
    voc, tmp_path, monkeypatch, how, error, times
):
    """Three attempts, then each picture alone, twice; one that hangs is not waited for so often."""
    run(voc, tmp_path / "calm", copies=2, sources_per_shard=4)
    sabotage(monkeypatch, tmp_path / "marks", 99, how)
    options = RunOptions(copies=2, sources_per_shard=4)
    execution = Execution(workers=2, patience=3.0)
    summary = augment(str(voc), tmp_path / "out", load("detection"), options, execution=execution)
    assert len(os.listdir(tmp_path / "marks")) == times
    assert (summary.rejects, summary.rejected, summary.written) == ({error: 1}, 2, 16)
    assert "may pass" in summary.failed
    (row,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert (row["source"], row["copies"], row["transient"]) == ("img_004.jpg", [0, 1], True)
    assert check_folder(tmp_path / "out") == []
    monkeypatch.undo()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    assert retry(tmp_path / "out", execution=Execution(workers=0)).failed is None
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")
    assert sum(path.stat().st_mtime_ns != time for path, time in before.items()) == 1
    assert check_folder(tmp_path / "out") == []


class Starts:
    """Counts the processes that an engine starts; ``target`` runs in them."""

    def __init__(self, monkeypatch, target: Any) -> None:
        self.count, real = 0, local.LocalProcesses._started

        def started(engine, job, seat):
            self.count += 1
            return real(engine, job, seat)

        monkeypatch.setattr(local.LocalProcesses, "_started", started)
        monkeypatch.setattr(local, "serve", target)


def test_a_worker_that_dies_without_a_word_is_tried_three_times(voc, tmp_path, monkeypatch):
    starts = Starts(monkeypatch, signal.raise_signal)
    with pytest.raises(RunError, match="the worker ended with exit code 1"):
        run(voc, tmp_path / "out", workers=1)
    assert starts.count == 3


def _ready_then_dead(connection):
    """A worker that starts, and dies over its first order."""
    connection.recv_bytes()
    connection.send(Ready())
    connection.recv()
    os._exit(1)


def test_a_worker_that_dies_without_any_picture_too_ends_the_run(voc, tmp_path, monkeypatch):
    """What it dies of is not a picture; and as it has started each time, none of its starts counts as a false one."""
    starts = Starts(monkeypatch, _ready_then_dead)
    said = r"^shard .*: the worker ended with exit code 1, even without any of its pictures\nwhat is finished is kept"
    with pytest.raises(RunError, match=said):
        run(voc, tmp_path / "out", workers=1, limit=1, max_rejects="100%")
    assert starts.count == 3 + 2 + 3


def test_what_keeps_libraries_from_loading_is_found_out(voc, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "serve", signal.raise_signal)
    monkeypatch.setattr(local, "import_error", lambda module: f"ImportError: {module}: no libGL")
    with pytest.raises(RunError, match=r"^workers do not start: ImportError: augpipe.run.task: no libGL\n"):
        run(voc, tmp_path / "out", workers=1)


def test_a_worker_ignores_ctrl_c_and_keeps_memory(monkeypatch):
    """The parent alone decides what Ctrl-C means; to ask for memory anew takes 40 % of a warp's time."""
    done: list[Any] = []
    monkeypatch.setattr(worker.signal, "signal", lambda number, handler: done.append((number, handler)))
    monkeypatch.setattr("augpipe.run.engine.worker.keep_freed_memory", lambda: done.append("kept"))
    monkeypatch.setattr("augpipe.pixels.factory.backend_for", lambda *_: done.append("backend"))
    ours, theirs = multiprocessing.Pipe()
    ours.send(worker.Start(SimpleNamespace(device=None, backend_options=None), WorkerSlot()))
    ours.send(None)
    monkeypatch.setattr(worker.gc, "freeze", lambda: None)
    monkeypatch.setattr(worker, "_end_with", lambda connection: None)  # it would end this process
    worker.serve(theirs)
    assert done == [(signal.SIGINT, signal.SIG_IGN), "kept", "backend"]
    assert isinstance(ours.recv(), Ready)


def test_workers_that_do_not_start_end_the_run(voc, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "serve", signal.raise_signal)  # of a Connection: TypeError
    with pytest.raises(RunError, match=r"^workers do not start: the worker ended with exit code 1\nwhat .* is kept; "):
        run(voc, tmp_path / "out", workers=2)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (Unloadable(_no_library), "ImportError: libGL.so.1: no such file"),
        (Unloadable(sys.exit, "this library wants Python 4"), "SystemExit: this library wants Python 4"),
        (Unloadable(getattr, 7, "nothing"), "AttributeError: 'int' object has no attribute 'nothing'"),
    ],
)
def test_a_worker_that_cannot_start_says_its_own_error(voc, tmp_path, monkeypatch, job, said):
    """What the job consists of is loaded in the worker, where a library may be missing."""
    monkeypatch.setattr(runner.PendingWork, "_job", lambda self: job)
    with pytest.raises(RunError, match=rf"^workers do not start: {re.escape(said)}.*\nwhat is finished is kept; "):
        run(voc, tmp_path / "out", workers=2)


def test_a_fork_server_that_is_gone_is_said(voc, tmp_path, monkeypatch):
    def refused(self):
        raise EOFError

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", refused)
    with pytest.raises(RunError, match=r"^workers do not start: the fork server ended\n"):
        run(voc, tmp_path / "out", workers=2)


def test_a_worker_without_a_parent_ends_at_once(voc, tmp_path):
    """Whoever killed the parent and goes on must not meet workers that still write."""
    code = f"""
import sys; sys.path.insert(0, {str(HELPERS)!r})
import multiprocessing, os, signal
from pathlib import Path
from runs import run
from augpipe.run import runner
class Killing(runner.Watcher):
    def progress(self, pictures, rejected):
        print(*(p.pid for p in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
from augpipe.recipe.load import load
from augpipe.run.augment import RunOptions, augment, Execution
augment({str(voc)!r}, Path({str(tmp_path / "out")!r}), load("detection"), RunOptions(copies=300),
        execution=Execution(workers=2), watcher=Killing())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    workers = [int(pid) for pid in done.stdout.split()]
    assert workers
    end = time.monotonic() + 300
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < end:
        time.sleep(0.02)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


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


@pytest.mark.parametrize(
    ("place", "stage"), [("augpipe.run.outputs.draw", "plan"), ("augpipe.run.outputs.apply", "plan")]
)
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
    real = runner.PendingWork._job
    monkeypatch.setattr(runner.PendingWork, "_job", lambda self: replace(real(self), categories=None))
    with pytest.raises(
        RunError, match=r"^shard all-000000: TypeError: .*; finished shards are kept; --debug"
    ) as caught:
        run(voc, tmp_path / "out", workers=1)
    assert "\n" not in str(caught.value)
    assert "Traceback" in str(caught.value.__cause__)


def test_no_worker_outlives_the_run(voc, tmp_path):
    run(voc, tmp_path / "out", workers=2)
    assert multiprocessing.active_children() == []


def test_more_workers_than_tasks(voc, tmp_path):
    run(voc, tmp_path / "out", workers=5, limit=2)
    assert check_folder(tmp_path / "out") == []
