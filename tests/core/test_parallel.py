"""Work in parts: the same results in the same order on any number of processes, and how many there are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from augpipe.core import machine, parallel, processes
from augpipe.core.errors import RunError

GIB = 1 << 30


def test_a_process_that_dies_is_told_in_one_line():
    with (
        parallel.worker_pool(1),
        pytest.raises(RunError, match=r"a process ended with exit code 3, .*\n.*, or --workers 0"),
    ):
        list(parallel.parallel_map(os._exit, [3], parallel.WORTH_PROCESSES))


def test_results_come_in_the_order_of_the_parts_and_errors_with_them():
    with parallel.worker_pool(3):
        assert list(parallel.parallel_map(abs, range(-50, 0), parallel.WORTH_PROCESSES)) == list(range(50, 0, -1))
        with pytest.raises(TypeError):
            list(parallel.parallel_map(abs, [1, "x"], parallel.WORTH_PROCESSES))


@pytest.fixture
def started(monkeypatch) -> list[int]:
    """How many processes each pool was started with."""
    counts, begin = [], parallel._Pool._begin
    monkeypatch.setattr(parallel._Pool, "_begin", lambda pool, n: counts.append(n) or begin(pool, n))
    return counts


@pytest.mark.parametrize(
    ("cores", "gib", "processes"),
    [(2, 64, [2]), (3, 64, [3]), (8, 1.5, [3]), (8, 1, []), (1, 64, [])],
)
def test_as_many_processes_as_cores_and_memory_allow(monkeypatch, started, cores, gib, processes):
    """A single one would only wait for this one."""
    monkeypatch.setattr(parallel, "cores", lambda: cores)
    monkeypatch.setattr(machine, "memory", lambda root: int(gib * GIB))
    with parallel.worker_pool(None):
        assert list(parallel.parallel_map(abs, range(-9, 0))) == list(range(9, 0, -1))
    assert started == processes


@pytest.mark.parametrize(("workers", "size", "processes"), [(0, None, []), (2, 1, []), (2, None, [2]), (5, None, [3])])
def test_small_work_is_done_here_and_no_process_is_without_a_part(started, workers, size, processes):
    with parallel.worker_pool(workers):
        assert list(parallel.parallel_map(abs, [-1, -2, -3], size)) == [1, 2, 3]
    assert started == processes


def _dying_once(part: tuple[Path, int]) -> int:
    """Kills its process the first time that a part is done which is divisible by 5."""
    marks, number = part
    if number % 5 == 0 and not (marks / str(number)).exists():
        (marks / str(number)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def _dying_over_its_result(part: tuple[Path, int]) -> bytes:
    """Kills its process while half of a result that is larger than any pipe is on its way."""
    marks, number = part
    if not (marks / "died").exists():
        (marks / "died").touch()
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes([number]) * 50_000_000


@pytest.mark.parametrize("workers", [1, 3])
def test_what_a_process_had_that_died_is_done_again(tmp_path, workers):
    with parallel.worker_pool(workers):
        parts = [(tmp_path, n) for n in range(23)]
        assert list(parallel.parallel_map(_dying_once, parts, 10**6)) == [n * n for n in range(23)]


def test_a_process_that_dies_over_half_a_result_blocks_nobody(tmp_path):
    with parallel.worker_pool(2):
        found = parallel.parallel_map(_dying_over_its_result, [(tmp_path, n) for n in range(4)])
        time.sleep(0.6)  # nobody takes the results meanwhile
        assert [result[:1] + result[-1:] for result in found] == [bytes([n, n]) for n in range(4)]


def test_where_the_system_starts_no_process_this_one_does_the_work(monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise processes.Refused("no room")

    monkeypatch.setattr(processes, "connected", refused)
    with parallel.worker_pool(3):
        assert list(parallel.parallel_map(abs, range(-30, 0))) == list(range(30, 0, -1))
        assert list(parallel.parallel_map(abs, range(-30, 0))) == list(range(30, 0, -1))
        with pytest.raises(TypeError):
            list(parallel.parallel_map(abs, ["x"]))


def test_where_it_starts_only_one_that_one_does_the_work(monkeypatch):
    made, real = [], processes.connected

    def one(*arguments, **named):
        if made:
            raise processes.Refused("no room")
        made.append(1)
        return real(*arguments, **named)

    monkeypatch.setattr(processes, "connected", one)
    with parallel.worker_pool(3):
        pids = set(parallel.parallel_map(_pid, range(30)))
    assert len(pids) == 1
    assert os.getpid() not in pids


def _pid(_: int) -> int:
    return os.getpid()


def test_what_cannot_be_sent_is_an_error_and_no_hanging():
    with parallel.worker_pool(1), pytest.raises(RunError, match=r"pickle"):
        list(parallel.parallel_map(_unsendable, [1]))


def _unsendable(_: int) -> object:
    return lambda: None


# --- in programs of their own ----------------------------------------------------------------------------------------


def said_by(program: str, folder: Path) -> str:
    """What a program of one thread says, which forks."""
    (folder / "program.py").write_text(program)
    command = [sys.executable, folder / "program.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_work_that_asks_for_processes_in_one_of_them_does_it_by_itself(tmp_path):
    program = (
        "from augpipe.core import parallel\n"
        "def work(part):\n    return sum(parallel.parallel_map(abs, [part, -2], 10**6))\n"
        "if __name__ == '__main__':\n"
        "    with parallel.worker_pool(2):\n        print(*parallel.parallel_map(work, [1, -5, 7], 10**6))\n"
    )
    assert said_by(program, tmp_path).split() == ["3", "7", "9"]


OUTLIVED = """
import os, sys, time
from augpipe.core import parallel

def pid(part):
    while len(os.listdir(sys.argv[1])) < 2:  # until both are there
        open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
        time.sleep(0.01)
    return os.getpid()

if __name__ == "__main__":
    with parallel.worker_pool(2):
        list(parallel.parallel_map(pid, range(2)))
        print("ready", flush=True)
        time.sleep(600)
"""


def test_processes_end_with_the_one_that_started_them(tmp_path):
    """Their end of the pipe is closed when the last of them has ended, however long that takes."""
    (tmp_path / "program.py").write_text(OUTLIVED)
    (tmp_path / "pids").mkdir()
    command = [sys.executable, tmp_path / "program.py", tmp_path / "pids"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    assert len(os.listdir(tmp_path / "pids")) == 2
    process.kill()
    assert process.communicate(timeout=300) == ("", None)
