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
import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
from format_checker import check_folder
from places import HELPERS
from runs import Listening, hashes, promised, run

from augpipe.core.errors import RunError
from augpipe.formats.registry import open_dataset
from augpipe.pixels.factory import WorkerSlot
from augpipe.recipe.load import load
from augpipe.run import runner
from augpipe.run.augment import Execution, RunOptions, Summary, Watcher, augment
from augpipe.run.engine import local, worker
from augpipe.run.engine.local import LocalProcesses
from augpipe.run.engine.worker import OUT_OF_MEMORY, Ready
from augpipe.run.folder.samples import require_unique
from augpipe.run.folder.state import RunState
from augpipe.run.job import plan_tasks
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


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.9])
def test_ctrl_c_while_things_are_being_started_is_one_line(voc, tmp_path, seconds):
    """The terminal sends it to every process; the fork server is loading libraries then."""
    # What is started in the background of a shell is born deaf to Ctrl-C; a terminal's program is not.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = f"{hear}from augpipe.cli.main import main; main()"
    command = [sys.executable, "-c", program, "augment", voc, tmp_path / "out", "-r", "detection", "-n", "9000"]
    words = tmp_path / "stderr"
    with words.open("w") as stderr:
        started = subprocess.Popen([*map(str, command)], stderr=stderr, start_new_session=True)
    while "device:" not in words.read_text() and started.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(timeout=300) == -signal.SIGINT
    beside = ("device:", "source:", "note: several splits")
    assert [line for line in words.read_text().splitlines() if not line.startswith(beside)] == [
        "augpipe: stopped; what is finished stays, run the same command to go on"
    ]


SWALLOWED = """
import os, signal
from augpipe.cli import main
from augpipe.run import augment
real = augment.open_dataset
def opened(*arguments):
    try:
        os.kill(os.getpid(), {number})
        for _ in range(1000): pass
    except BaseException:  # as a library may have it that is being loaded
        pass
    return real(*arguments)
augment.open_dataset = opened
main.main()
"""


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_a_library_swallows_is_raised_again(voc, tmp_path, workers, number):
    hear = f"import signal; signal.signal({int(number)}, signal.default_int_handler)"
    program = hear + SWALLOWED.format(number=int(number))
    command = [sys.executable, "-c", program, "augment", voc, tmp_path / "out", "-r", "gentle", "-w", workers]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -number
    assert done.stderr.endswith("augpipe: stopped; what is finished stays, run the same command to go on\n")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_ctrl_c_waits_until_a_worker_has_all_it_needs():
    """One that was told half of it would end with a traceback of its own, under the one line of the parent."""
    told: list[str] = []

    class Process:
        def __init__(self, **_: Any) -> None:
            told.append("made")

        def start(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            told.append("started")

    engine = LocalProcesses(1)
    engine._context = SimpleNamespace(Pipe=multiprocessing.Pipe, Process=Process)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has jobs in the background ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            engine._started(None, WorkerSlot())  # type: ignore[arg-type]
        assert told == ["made", "started"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_killed_worker_leaves_nothing_to_clean_up(voc, tmp_path):
    """Semaphores of the system would outlive it, and a warning about them come at the end."""
    code = f"""
import sys; sys.path.insert(0, {str(HELPERS)!r})
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
    class Told(Watcher):
        def progress(self, pictures, rejected):
            progress(pictures, rejected)

    augment(
        str(source),
        folder,
        load("detection"),
        RunOptions(copies=2),
        execution=Execution(workers=workers),
        watcher=Told(),
    )


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
    config = {"source": {"pictures": len(dataset.entries)}, "sources_per_shard": 10, "split": None}
    state = RunState({**config, "seed": 0, "copies": 1, "originals": False}, (1,))
    tasks = plan_tasks(state, dataset.entries, lambda index: True)
    next(tasks)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


# Of VOC it holds what the XML says, too, up to 64 MB in all.
@pytest.mark.parametrize(("make", "most"), [(datasets.make_voc, 1536), (datasets.make_coco, 1024)])
def test_the_parent_grows_by_little_a_picture(tmp_path, make, most):
    few, many = 30, 300
    small, large = make(tmp_path / "small", few), make(tmp_path / "large", many)
    held_by_parent(small)  # imports and caches do not count
    # The least of three: what another thread or a cache holds by chance is not of the pictures.
    least = [min(held_by_parent(source) for _ in range(3)) for source in (small, large)]
    growth = (least[1] - least[0]) / (many - few)
    assert growth < most, f"{growth:.0f} bytes a picture"


def test_a_worker_stays_under_600_megabytes(tmp_path):
    """VOC-sized pictures, hundreds of samples a shard; everything in one process, so the parent's share counts too."""
    source = tmp_path / "set"
    code = f"""
import sys; sys.path.insert(0, {str(HELPERS)!r})
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
