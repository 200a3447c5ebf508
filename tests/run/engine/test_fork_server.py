"""The fork server is begun before anything heavy is loaded, and only where there will be work for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

WATCHED = """
import sys
from multiprocessing import forkserver

start = forkserver.ensure_running

def watched():
    print("started", [name for name in ("numpy", "cv2", "augpipe.recipe.load") if name in sys.modules])
    start()

forkserver.ensure_running = watched
from augpipe.cli.main import main

if __name__ == "__main__":
    main()
"""


def started(*arguments):
    """What was loaded each time that the fork server was to run."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return [line.removeprefix("started ") for line in done.stdout.splitlines() if line.startswith("started ")]


def test_it_loads_its_libraries_while_the_command_loads_its_own(voc, tmp_path):
    assert started("augment", voc, tmp_path / "out", "-r", "gentle", "--workers", 1)[0] == "[]"
    assert started("augment", voc, tmp_path / "out", "-r", "gentle") == []  # there is nothing to do


def test_no_worker_needs_none_and_nor_does_little_work(voc, tmp_path):
    assert started("augment", voc, tmp_path / "out", "-r", "gentle", "--workers", 0) == []
    assert started("augment", voc, tmp_path / "little", "-r", "gentle") == []


@pytest.mark.parametrize("module", ["augpipe.run.engine.fork_server", "augpipe.cli.running"])
def test_what_begins_it_loads_nothing_heavy(module):
    program = (
        f"import sys, {module}; print(not sys.modules.keys() & {{'numpy', 'cv2', 'torch', 'augpipe.recipe.load'}})"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "True\n"
    )
