"""Fork servers that die, and systems that allow fewer processes, threads or descriptors than are asked for."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chaos_world import children, is_fork_server
from format_checker import check_folder
from runs import hashes, run

COMMAND = [sys.executable, "-c", "from augpipe.cli.main import main; main()"]
AUGMENT = ("-r", "gentle", "-n", "40", "--seed", "7", "--sources-per-shard", "1")

BESIDE = ("device:", "source:", "note: several splits")  # what a run says before it begins


@pytest.fixture(scope="module")
def calm(voc, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("calm") / "out"
    run(voc, folder, "gentle", copies=40, seed=7, sources_per_shard=1)
    return hashes(folder)


def server_of(parent: int) -> int | None:
    return next((pid for pid in children(parent) if is_fork_server(pid)), None)


@pytest.mark.parametrize(("workers", "deaths"), [(4, 1), (2, 3)])
def test_a_fork_server_that_dies_is_started_again_and_nothing_is_lost(voc, calm, tmp_path, workers, deaths):
    out = tmp_path / "out"
    command = [*COMMAND, "augment", voc, out, *AUGMENT, "-w", workers]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    killed: set[int] = set()
    while len(killed) < deaths and process.poll() is None:
        server = server_of(process.pid)
        if server is not None and server not in killed and len(list(out.glob("*.json"))) > len(killed):
            killed.add(server)
            os.kill(server, signal.SIGKILL)
        time.sleep(0.005)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert killed
    assert "Traceback" not in said
    told = [line for line in said.splitlines() if not line.startswith(BESIDE)]
    again = r"note: all-00000\d: the process that starts workers ended; it is done again"
    assert [line for line in told if not re.fullmatch(again, line)] == []
    assert hashes(out) == calm
    assert check_folder(out) == []


def test_a_resource_tracker_that_dies_is_started_again_without_a_word(voc, tmp_path):
    program = """
import os, signal, sys
from multiprocessing import resource_tracker
from augpipe.run.engine import fork_server
fork_server.start()
os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)
os.waitid(os.P_PID, resource_tracker._resource_tracker._pid, os.WEXITED | os.WNOWAIT)
from augpipe.cli.main import main
main()
"""
    command = [sys.executable, "-c", program, "augment", voc, tmp_path / "out", *AUGMENT, "-w", 2]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith(BESIDE)] == []


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descriptors", [8, 14, 20, 26])
def test_where_descriptors_are_few_there_are_fewer_workers_or_one_sentence(voc, calm, tmp_path, descriptors):
    line = f'ulimit -n {descriptors}; exec "$@"'
    out = tmp_path / "out"
    command = ["bash", "-c", line, "bash", *COMMAND, "augment", voc, out, *AUGMENT, "-w", 6]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    assert_fewer_or_one_sentence(done, out, calm)
    assert done.returncode == (0 if descriptors > 14 else done.returncode)


def can_be_limited() -> bool:
    """Root has no limit of processes, so it has to be another user, who may still read what root may."""
    return os.geteuid() == 0 and shutil.which("setpriv") is not None and resource.RLIMIT_NPROC is not None


ANOTHER = ["setpriv", "--reuid", "54321", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


@pytest.mark.skipif(not can_be_limited(), reason="only root can be a user without any other processes")
@pytest.mark.parametrize("processes", [1, 4, 6, 12])
def test_where_processes_are_few_there_are_fewer_workers_or_one_sentence(voc, calm, tmp_path, processes):
    """A limit counts threads like processes: those of all programs of the user."""
    out = tmp_path / "out"
    line = f'ulimit -u {processes}; exec "$@"'
    command = [*ANOTHER, "bash", "-c", line, "bash", *COMMAND, "augment", voc, out, *AUGMENT, "-w", 6]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    assert_fewer_or_one_sentence(done, out, calm)
    if processes != 6:  # which is enough or not, as threads that are just ending still count
        assert done.returncode == (processes < 6)


def assert_fewer_or_one_sentence(done: subprocess.CompletedProcess[str], out: Path, calm: dict[str, str]) -> None:
    assert "Traceback" not in done.stderr
    assert "please report" not in done.stderr
    if done.returncode == 0:
        assert hashes(out) == calm
        assert check_folder(out) == []
        return
    assert done.returncode in (1, 2)
    said = [line for line in done.stderr.splitlines() if not line.startswith(("device:", "source:", "note: "))]
    assert len(said) <= 2, done.stderr
    assert said[0].startswith("augpipe: ")


@pytest.mark.parametrize("kilobytes", [60_000, 220_000, 360_000, 1_500_000])
def test_where_address_space_is_scarce_there_is_one_sentence_or_the_work_is_done(voc, tmp_path, kilobytes):
    """How much that takes is another thing on each machine; that it ends, and how, is not."""
    words = shlex.join([*COMMAND, "augment", str(voc), str(tmp_path / "out"), "-r", "gentle", "-w", "1"])
    line = ["bash", "-c", f"ulimit -v {kilobytes} && exec {words}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr
    assert "please report" not in done.stderr
    assert "reinstall" not in done.stderr, "a library that is whole and has no room"
    assert done.returncode in {0, 1, 2}
    if done.returncode == 0:
        assert check_folder(tmp_path / "out") == []
    else:
        assert "memory" in done.stderr.lower()
