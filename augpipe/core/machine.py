"""Cores and memory that this process may use, by its affinity and the limits of its control groups.

A container or a batch system gives a process less than ``os.cpu_count()`` says. Formats:
https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max, memory.max) and cgroup v1 (cpu.cfs_quota_us,
memory.limit_in_bytes).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_BYTES_OF_PARENT = 150 << 20
_BYTES_A_WORKER = 450 << 20
"""Libraries 90 MB, up to 256 MB of encoded samples, and pictures as they are usual (docs/reliability.md)."""
_UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as the largest multiple of a page


def cores(root: Path = _ROOT) -> int:
    """Cores that this process may use: the least of its affinity and its control groups' quotas, at least 1.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [-(-quota // period) for quota, period in _cpu_quotas(root)]  # rounded up
    return max(1, min(allowed, *quotas)) if quotas else allowed


def memory(root: Path = _ROOT) -> int:
    """Bytes that this process and its children may have: the least of the machine's memory and the groups' limits."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([pages, *(limit for limit in _memory_limits(root) if 0 < limit < _UNLIMITED)])


def processes_that_fit(count: int, bytes_each: int = _BYTES_A_WORKER, root: Path = _ROOT) -> int:
    """``count``, or as many processes as memory allows beside this one, at least 1.

    Args:
        count: of processes that are wanted.
        bytes_each: what one of them may take.
        root: where ``proc`` and ``sys`` are.
    """
    return max(1, min(count, (memory(root) - _BYTES_OF_PARENT) // bytes_each))


def _cpu_quotas(root: Path) -> Iterator[tuple[int, int]]:
    """(microseconds of computing, microseconds of time) of each control group that has a quota."""
    for group in _groups(root, "cpu"):
        words = _words(group / "cpu.max") or _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[0]) > 0 and int(words[1]) > 0:
            yield int(words[0]), int(words[1])


def _memory_limits(root: Path) -> Iterator[int]:
    for group in _groups(root, "memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            words = _words(group / name)
            if words and words[0].isdigit():
                yield int(words[0])


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the control groups that this process is in, and of their parents, whose limits hold too.

    In a container /proc/self/cgroup may name a path of the host, so the topmost folder is always among them.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            top = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / controller
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            yield top.joinpath(*parts[:depth])


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
