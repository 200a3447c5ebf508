"""Processes see nothing of the working directory, and the caller's program is not run again in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from augpipe.core.processes import import_error, python_command

TRAPS = ("augpipe", "random", "cv2", "numpy", "tempfile", "signal", "pickle", "socket", "json", "select")


def laid_in(folder: Path) -> Path:
    """Modules that leave a mark when they are imported, and then fail; returns the mark."""
    for name in TRAPS:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'mark')!r}, 'a').write('{name} ')\nraise SystemExit(9)\n"
        )
    return folder / "mark"


PROGRAM = """
import sys
sys.path[:] = [entry for entry in sys.path if entry != {here!r}]
from augpipe.core.processes import context, start_fork_server
start_fork_server(["augpipe.core.parallel"])
sys.path.insert(0, {here!r})
process = context().Process(target=print, args=("from the process",), kwargs={{"flush": True}})
process.start()
process.join()
print(process.exitcode)
"""


def test_the_fork_server_its_tracker_and_workers_import_nothing_from_the_working_directory(tmp_path):
    away, here = tmp_path / "away", tmp_path / "here"
    away.mkdir()
    here.mkdir()
    mark = laid_in(here)
    (away / "program.py").write_text(PROGRAM.format(here=str(here)))
    done = subprocess.run([sys.executable, away / "program.py"], cwd=here, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split("\n")[:2]) == ("", ["from the process", "0"])
    assert not mark.exists()


def test_a_worker_has_the_path_of_its_parent_less_the_working_directory(tmp_path):
    (tmp_path / "more").mkdir()
    program = f"""
import sys
sys.path[:0] = ["", {str(tmp_path)!r}, {str(tmp_path / "more")!r}]
from multiprocessing import Pipe
from augpipe.core import processes
ours, theirs = Pipe()
processes.start_fork_server([])
code = "import sys; connection.send(sys.path)"
process = processes.context().Process(target=exec, args=(code, {{"connection": theirs}}))
process.start()
print(*ours.recv(), sep="\\n")
process.join()
"""
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path = done.stdout.splitlines()
    assert str(tmp_path / "more") in path
    assert not {"", str(tmp_path)} & set(path)
    assert any(entry.endswith("site-packages") for entry in path)


def test_the_program_is_not_run_again_though_nothing_guards_it(tmp_path):
    """And what other threads look up in ``__main__`` meanwhile is there."""
    program = """
print("run")
from augpipe.core.processes import clean_start, context
def function(): return 7
process = context().Process(target=print, args=("from the process",), kwargs={"flush": True})
process.start()
process.join()
with clean_start():
    import pickle, sys
    assert pickle.loads(pickle.dumps(function))() == 7
    assert not hasattr(sys.modules["__main__"], "__file__")
assert sys.modules["__main__"].function is function
"""
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=False)
    assert (done.stderr, sorted(done.stdout.splitlines())) == ("", ["from the process", "run"])


def test_the_environment_is_as_it_was():
    code = (
        "import os; from augpipe.core.processes import clean_start\n"
        "with clean_start(): pass\n"
        "print(os.environ.get('PYTHONSAFEPATH'))"
    )
    for value in ({}, {"PYTHONSAFEPATH": "0"}):
        done = subprocess.run([sys.executable, "-c", code], env=value, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == value.get("PYTHONSAFEPATH", "None")


def test_a_command_of_python_finds_what_is_found_here_and_nothing_in_the_working_directory(tmp_path, monkeypatch):
    away = tmp_path / "away"
    away.mkdir()
    (away / "found_away.py").write_text("")
    mark = laid_in(tmp_path)
    monkeypatch.syspath_prepend(str(away))
    monkeypatch.chdir(tmp_path)
    code = "import found_away, random, numpy, augpipe.core.machine"
    subprocess.run(python_command(code), check=True)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", None),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ImportError('libGL.so.1: cannot open')", "ImportError: libGL.so.1: cannot open"),
        ("import os; os._exit(3)", "Python ended with 3"),
    ],
)
def test_why_a_module_cannot_be_imported(tmp_path, monkeypatch, text, why):
    (tmp_path / "tried.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert import_error("tried") == why
