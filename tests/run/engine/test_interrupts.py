"""Ctrl-C and other signals while a run is being started and while it goes on, and what is left of its processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from format_checker import check_folder
from places import HELPERS
from runs import run

from augpipe.pixels.factory import WorkerSlot
from augpipe.recipe.load import load
from augpipe.run.augment import Execution, RunOptions, Watcher, augment
from augpipe.run.engine.local import LocalProcesses


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


@pytest.mark.parametrize("seconds", [0.0, 0.5])
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


@pytest.mark.parametrize(("workers", "number"), [(0, signal.SIGTERM), (1, signal.SIGINT)])
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
run(Path({str(voc)!r}), Path({str(tmp_path / "out")!r}), "detection", copies=20, workers=2)
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
