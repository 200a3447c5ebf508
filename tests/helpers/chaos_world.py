"""Commands as a shell starts them with streams in any state, and their processes: see chaos_real.py."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
# Small work is spread over processes here, and goes as fast as it does.
PROGRAM = """
import augpipe.cli.start
from augpipe.cli import main
def small(words, real=main._code_of):
    from augpipe.core import parallel
    parallel.WORTH_PROCESSES, parallel._BATCH = 1, 1
    return real(words)
main._code_of = small
main.main()
"""
STATES = {
    "calm": "",
    "stdout full": ">/dev/full",
    "stdout missing": ">&-",
    "stdout closed": ">&3",
    "stderr full": "2>/dev/full",
    "stderr missing": "2>&-",
    "stderr closed": "2>&3",
}
SILENT = 60.0
"""Seconds without any processor time after which a run counts as hung, however busy the machine is."""


class Run:
    """A command with its streams, in a process group of its own."""

    def __init__(self, place: Path, words: str, state: str, program: str = PROGRAM) -> None:
        self.said, self.printed = place / "stderr", place / "stdout"
        redirection = STATES[state]
        outer = "" if redirection.startswith("2>") else f"2>{shlex.quote(str(self.said))} "
        outer += "" if redirection.startswith(">") else f">{shlex.quote(str(self.printed))} "
        line = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(program)} {words} {outer}{redirection} 3>&-"
        ours, theirs = os.pipe()
        os.close(ours)  # nobody reads descriptor 3
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec 3>&{theirs} {theirs}>&-; {line}"], start_new_session=True, pass_fds=[theirs]
        )
        os.close(theirs)

    def ended(self) -> bool:
        """Wait for its end; ``False`` if it hangs, and is killed."""
        silent, before = time.monotonic(), -1
        while self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.2)
            now = ticks(group(self.process.pid))
            if now != before:
                silent, before = time.monotonic(), now
            elif time.monotonic() - silent > SILENT:
                self.kill()
                return False
        return True

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def leaves(self) -> list[int]:
        """The processes that have not ended with it, after they have been given time."""
        end = time.monotonic() + SILENT
        while (left := group(self.process.pid)) and time.monotonic() < end:
            time.sleep(0.02)
        return left

    def text(self) -> str:
        return self.said.read_text("utf-8", "replace") if self.said.exists() else ""


# --- processes ---


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for path in _PROC.glob(f"{parent}/task/*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:  # it has ended
            continue
    return found


def _words(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def is_fork_server(pid: int) -> bool:
    return "multiprocessing.forkserver" in _words(pid)


def is_tracker(pid: int) -> bool:
    return "multiprocessing.resource_tracker" in _words(pid)


def servers(parent: int) -> list[int]:
    return [pid for pid in children(parent) if is_fork_server(pid)]


def trackers(parent: int) -> list[int]:
    return [pid for pid in children(parent) if is_tracker(pid)]


def workers(parent: int) -> list[int]:
    """What does the work: forks of a fork server, or of the process itself."""
    forked = [pid for server in servers(parent) for pid in children(server)]
    return forked or [pid for pid in children(parent) if not is_fork_server(pid) and not is_tracker(pid)]


def group(leader: int) -> list[int]:
    """The processes of a group that are not dead."""
    found = []
    for path in _PROC.glob("[0-9]*/stat"):
        fields = _fields(path)
        if len(fields) > 2 and int(fields[2]) == leader and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def ticks(pids: list[int]) -> int:
    """Processor time that processes have used, in ticks."""
    return sum(int(fields[11]) + int(fields[12]) for pid in pids if (fields := _fields(_PROC / str(pid) / "stat")))


def _fields(path: Path) -> list[str]:
    """What follows a process's name: state, parent, group … (proc_pid_stat(5))."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []
