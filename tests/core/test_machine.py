"""Cores and memory are those that this process may use, not those that the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from augpipe.core import machine
from augpipe.core.machine import cores, memory, processes_that_fit


def machine_with(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """A folder with proc/self/cgroup and files below sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {}, 16),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 16),
        ("0::/a.slice/b.scope\n", {"a.slice/cpu.max": "300000 100000", "a.slice/b.scope/cpu.max": "max 100000"}, 3),
        ("0::/a/b\n", {"a/cpu.max": "900000 100000", "a/b/cpu.max": "200000 100000"}, 2),
        # A container: the path is the host's, its own group is the topmost that it sees.
        ("0::/system.slice/docker-1.scope\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/../..\n", {"cpu.max": "200000 100000"}, 2),
        ("4:cpu,cpuacct:/box\n", {"cpu/box/cpu.cfs_quota_us": "250000", "cpu/box/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpu,cpuacct:/box\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        # cpuset says which cores, its folder in another hierarchy no quota.
        ("3:cpuset:/box\n", {"cpu/box/cpu.cfs_quota_us": "100000", "cpu/box/cpu.cfs_period_us": "100000"}, 16),
        ("", {"cpu.max": "100000 100000"}, 16),
        ("nonsense", {"cpu.max": "1 1"}, 16),
        ("0::/\n", {"cpu.max": "0 100000"}, 16),
        ("0::/\n", {"cpu.max": "100000 0"}, 16),
    ],
)
def test_cores(tmp_path, cgroup, files, expected):
    assert cores(machine_with(tmp_path, cgroup, files)) == expected


def test_without_proc_it_is_the_affinity(tmp_path):
    assert cores(tmp_path) == 16


def test_affinity_counts(monkeypatch):
    monkeypatch.undo()
    code = "from augpipe.core.machine import cores; print(cores())"
    one = min(os.sched_getaffinity(0))
    pinned = f"import os; os.sched_setaffinity(0, {{{one}}}); {code}"
    assert subprocess.run([sys.executable, "-c", pinned], capture_output=True, text=True, check=True).stdout == "1\n"


GIB = 1 << 30


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "max\n"}, 64 * GIB),
        ("0::/\n", {"memory.max": f"{2 * GIB}\n"}, 2 * GIB),
        ("0::/a\n", {"memory.max": f"{4 * GIB}", "a/memory.max": "max", "a/memory.high": f"{3 * GIB}"}, 3 * GIB),
        ("9:memory:/a\n", {"memory/a/memory.limit_in_bytes": f"{GIB}"}, GIB),
        ("9:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, 64 * GIB),
        ("0::/\n", {"memory.max": "0"}, 64 * GIB),
    ],
)
def test_memory(tmp_path, monkeypatch, cgroup, files, expected):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 16 << 20, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert memory(machine_with(tmp_path, cgroup, files)) == expected


@pytest.mark.parametrize(("gib", "expected"), [(0.25, 1), (0.5, 1), (1, 1), (2, 4), (4, 8), (8, 16), (64, 16)])
def test_processes_that_fit_into_memory(monkeypatch, gib, expected):
    monkeypatch.setattr(machine, "memory", lambda root: int(gib * GIB))
    assert processes_that_fit(16) == expected


def test_a_run_says_that_memory_decided(voc, tmp_path, monkeypatch):
    from command_line import call

    from augpipe.pixels import factory

    monkeypatch.setattr(factory, "cores", lambda: 8)
    monkeypatch.setattr(factory, "memory", lambda: GIB)
    monkeypatch.setattr(machine, "memory", lambda root: GIB)
    result = call("augment", voc, tmp_path / "out", "-r", "gentle")
    assert result.exit_code == 0
    assert "note: 1 worker for 8 cores, as memory is 1.0 GiB; --workers N takes others" in result.stderr
    result = call("augment", voc, tmp_path / "asked", "-r", "gentle", "-w", 1)
    assert "as memory is" not in result.stderr
