"""Who may write to a folder, between processes, threads of one process, and runs that are just ending."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from augpipe.core.errors import UsageError
from augpipe.run.folder import lock as lock_module
from augpipe.run.folder.lock import WHOLE, FolderLock


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "work" / "lock"


def test_a_whole_run_shuts_out_every_other(path):
    first, second = FolderLock(path), FolderLock(path)
    assert first.take(WHOLE)
    assert not second.take(WHOLE)
    assert not second.take(range(3, 4))
    first.drop()
    assert second.take(WHOLE)
    second.drop()


def test_parts_go_together_where_they_do_not_meet(path):
    locks = [FolderLock(path) for _ in range(4)]
    assert locks[0].take(range(5))
    assert locks[1].take(range(5, 9))
    assert not locks[2].take(range(8, 12))
    assert locks[3].take(range(0)), "no tasks are in nobody's way"
    assert not locks[2].take(WHOLE)
    locks[1].drop()
    assert locks[2].take(range(8, 12))
    for lock in locks:
        lock.drop()


def test_preparing_waits_for_whoever_prepares(path, monkeypatch):
    first, second = FolderLock(path), FolderLock(path)
    order, tried, hold = [], threading.Event(), second._hold

    def holding(*bytes_: int) -> bool:
        held = hold(*bytes_)
        tried.set()
        return held

    monkeypatch.setattr(second, "_hold", holding)

    def wait() -> None:
        with second.preparing():
            order.append("second")

    with first.preparing():
        thread = threading.Thread(target=wait)
        thread.start()
        assert tried.wait(300)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    monkeypatch.setattr(lock_module, "_PREPARING", 0.1)
    with first.preparing(), pytest.raises(UsageError, match="another run is preparing it"), second.preparing():
        pass
    first.drop()
    second.drop()


def test_a_lock_file_that_is_removed_is_no_lock(path):
    """A run that ends removes the file; who has opened it in between must not hold a file that nobody else sees."""
    ending, waiting, late = FolderLock(path), FolderLock(path), FolderLock(path)
    assert ending.take(WHOLE)
    assert not waiting.take(WHOLE)  # it has opened the file
    shutil.rmtree(path.parent)
    ending.drop()
    assert waiting.take(WHOLE)
    assert not late.take(WHOLE)
    waiting.drop()
    assert late.take(WHOLE)
    late.drop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_crash_leaves_no_lock(path, how):
    code = (
        "import sys, time; from pathlib import Path; from augpipe.run.folder.lock import *\n"
        "lock = FolderLock(Path(sys.argv[1])); print(lock.take(WHOLE), flush=True); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        mine = FolderLock(path)
        assert not mine.take(WHOLE)
        os.kill(process.pid, how)
    assert mine.take(WHOLE)
    mine.drop()


def test_where_locks_belong_to_the_process_they_work_between_processes(path, monkeypatch):
    """The way of systems without locks of open files."""
    monkeypatch.setattr(lock_module, "_OFD", None)
    mine = FolderLock(path)
    assert mine.take(range(3))
    code = (
        "import sys; from pathlib import Path; from augpipe.run.folder import lock; lock._OFD = None\n"
        "one = lock.FolderLock(Path(sys.argv[1])); print(one.take(range(2, 4)), one.take(range(3, 4)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
    mine.drop()


def test_a_place_where_no_folder_can_be_made_is_refused():
    """/proc says that a folder which is made there is not found, as if another run had removed it."""
    with pytest.raises(UsageError, match=r"^/proc/out: no folder can be made there; choose another DST$"):
        FolderLock(Path("/proc/out/.augpipe/lock")).take(range(1))
