"""A short piece of the chaos test (`make chaos` is the long one), and that it would see what it looks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from chaos import final_problems, problems_at_once
from places import HELPERS
from runs import run

CHAOS = HELPERS / "chaos.py"


def test_disturbed_runs_come_to_the_same_bytes():
    """In a process of its own, as it forks and this one has threads."""
    command = [sys.executable, str(CHAOS), "--runs", "48", "--seed", str(os.getpid())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)  # the seed is another one each time; what fails names it
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    assert re.search(r"48 runs in .* lost 0, duplicated 0, differing 0, with problems 0", done.stdout)


@pytest.fixture(scope="module")
def finished(voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    run(voc, folder, copies=2, seed=7)
    return folder


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "seen"),
    [
        (lambda f: _flip(f / "all-000002.tar"), "its tar is not the one of the record"),
        (lambda f: (f / "all-000002.tar").unlink(), "has a record and no tar"),
        (lambda f: (f / "all-000002.json").unlink(), "has no such record"),
        (lambda f: (f / "rejects.jsonl").unlink(), "is there before rejects.jsonl"),
        (lambda f: (f / "x.tmp").touch(), "left over"),
    ],
)
def test_what_must_not_be_after_a_fault_is_seen(finished, tmp_path, harm, seen):
    folder = Path(shutil.copytree(finished, tmp_path / "out"))
    assert [*problems_at_once(folder, ""), *final_problems(folder, finished)] == []
    harm(folder)
    assert any(seen in problem for problem in problems_at_once(folder, ""))
    assert final_problems(folder, finished)
