"""Little work is done by one fork of the process itself, with no server, and as safely as by any other worker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from runs import hashes, run

from augpipe.pixels.cuda.select import Device
from augpipe.run.config import Execution
from augpipe.run.engine.little_work import MOST_BYTES, looks_little
from augpipe.run.engine.registry import engine_for

# The fork has what the program has changed: the first that reads a picture is killed.
PROGRAM = """
import os, pathlib, signal, sys
from multiprocessing import forkserver
from augpipe.run import task

read, mark = task.read_picture, pathlib.Path(sys.argv.pop(1))

def killed_once(entry):
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return read(entry)

task.read_picture = killed_once
forkserver.ensure_running = lambda: print("a fork server")
os.register_at_fork(before=lambda: print("a fork", flush=True))
from augpipe.cli.main import main
main()
"""


def told(mark, *arguments):
    command = [sys.executable, "-c", PROGRAM, mark, "augment", *arguments]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # as the command itself has it, before NumPy is loaded
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env=alone)


def test_one_fork_does_it_and_another_takes_over_where_that_is_killed(voc, tmp_path):
    run(voc, tmp_path / "calm", copies=2)
    done = told(tmp_path / "mark", voc, tmp_path / "out", "-r", "detection", "-n", 2)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("a fork")] == ["a fork", "a fork"]
    assert "the worker was ended by SIGKILL" in done.stderr
    assert hashes(tmp_path / "out") == hashes(tmp_path / "calm")


@pytest.mark.parametrize(("workers", "may_fork"), [(None, True), (1, False), (2, False)])
def test_a_number_that_was_asked_for_is_obeyed(workers, may_fork):
    engine = engine_for("local", Execution(workers=workers), Device())
    assert engine._may_fork is may_fork


def test_what_looks_little(tmp_path):
    folder = tmp_path / "set" / "images"
    folder.mkdir(parents=True)
    os.truncate(os.open(folder / "a.jpg", os.O_CREAT | os.O_WRONLY), MOST_BYTES // 4)
    source = str(folder.parent)
    assert looks_little(source, 4, None)
    assert not looks_little(source, 5, None), "as much as a second worker is worth"
    assert not looks_little(source, 4, 2), "somebody asked for two"
    for missing in (str(folder / "a.jpg"), str(tmp_path / "none"), "https://example.org/set", "shard-{0..3}.tar", "\0"):
        assert not looks_little(missing, 1, None)
    for i in range(200):
        (folder / f"{i}.txt").touch()
    assert not looks_little(source, 1, None)
