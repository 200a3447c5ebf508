"""A short piece of the chaos test (`make chaos` is the long one), and that it would see what it looks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from chaos_checks import final_problems, problems_at_once
from chaos_real import KINDS, Outcome, Plan, hold
from places import HELPERS
from runs import run

pytestmark = pytest.mark.slow

CHAOS = HELPERS / "chaos.py"


def test_disturbed_runs_come_to_the_same_bytes():
    """A few kinds of all, in a process of its own, as it forks and this one has threads."""
    kinds = "fresh,spooled,workers,extend,retry,books,changing,to yolo,crops,convert"
    command = [sys.executable, str(CHAOS), "--runs", "10", "--seed", str(os.getpid()), "--kinds", kinds]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)  # the seed is another one each time; what fails names it
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    assert re.search(r"10 runs in .* lost 0, duplicated 0, differing 0, with problems 0", done.stdout)


def test_disturbed_processes_end_with_the_code_that_is_the_truth_and_go_on_to_the_same_bytes():
    """A few of `make chaos`: real ones, with streams in any state, struck by signals and deaths of their processes."""
    command = [sys.executable, str(HELPERS / "chaos_real.py"), "--runs", "3", "--seed", "1"]
    done = subprocess.run([*command, "--kinds", "augment,inspect"], capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    figures = "lost 0, doubled 0, differing 0, lying 0, please report 0, traceback 0, hung 0, left over 0"
    assert re.search(rf"3 real runs in .* s; {figures}$", done.stdout, re.MULTILINE)


AUGMENT, DAMAGED, INSPECT = (next(k for k in KINDS if k.name == n) for n in ("augment", "verify damaged", "inspect"))
SAID = "augpipe: no room"


@pytest.mark.parametrize(
    ("kind", "state", "event", "code", "done", "said", "flaw"),
    [
        (AUGMENT, "calm", "none", 0, True, "", None),
        (AUGMENT, "calm", "none", 0, False, "", "lying"),
        (AUGMENT, "stderr closed", "none", 0, False, "", "lying"),
        (AUGMENT, "calm", "none", 1, False, SAID, None),
        (AUGMENT, "calm", "none", 1, True, SAID, "lying"),
        (AUGMENT, "calm", "none", 2, False, SAID, "lying"),
        (AUGMENT, "calm", "int", -2, False, "augpipe: stopped", None),
        (AUGMENT, "calm", "worker", -2, False, "", "lying"),
        (AUGMENT, "calm", "worker", 1, False, "KeyError: 'x'; please report this", "please report"),
        (AUGMENT, "calm", "int", -2, False, "Traceback\n File /x/cli/main.py\nKeyboardInterrupt", "traceback"),
        (DAMAGED, "stdout closed", "none", 0, None, "", "lying"),
        (DAMAGED, "stdout closed", "none", 1, None, "", None),
        (INSPECT, "stdout full", "none", 0, None, "", "lying"),
        (INSPECT, "stdout full", "none", 1, None, SAID, None),
        (INSPECT, "calm", "none", 1, None, SAID, "lying"),
    ],
)
def test_what_an_exit_code_must_not_say_is_seen(kind, state, event, code, done, said, flaw):
    outcome = Outcome(Plan(0, kind, state, event, 0.5, False), code)
    hold(outcome, said, done)
    assert list(outcome.flaws) == ([flaw] if flaw else [])


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
