"""A short piece of the chaos test of servers (`make chaos` is the long one), and that it sees what it looks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from places import HELPERS

pytestmark = pytest.mark.slow


def chaos(*options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as it changes the environment and the module of servers."""
    command = [sys.executable, str(HELPERS / "chaos_servers.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(" ".join(command), done.stdout, done.stderr)
    return done


def test_runs_from_servers_that_fail_come_to_the_same_bytes():
    """The seed is another one each time; what fails names it."""
    done = chaos("--runs", "7", "--seed", str(os.getpid()))
    assert done.returncode == 0
    assert re.search(r"7 runs .* lost 0, duplicated 0, differing 0, with problems 0", done.stdout)


def test_a_failure_that_is_taken_for_a_missing_file_is_found():
    assert chaos("--runs", "1", "--seed", "1", "--worse").returncode == 1
