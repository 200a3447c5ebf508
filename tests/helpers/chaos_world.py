"""Processes of this machine, as a disturber of real runs finds them: see chaos_real.py."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for path in _PROC.glob(f"{parent}/task/*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:  # it has ended
            continue
    return found


def descendants(parent: int) -> list[int]:
    """All processes that come from a process, those nearest to it first."""
    found: list[int] = []
    for child in children(parent):
        found += [child, *descendants(child)]
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
