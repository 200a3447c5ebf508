"""Processes see nothing of the working directory, and the caller's program is not run again in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call
from places import HELPERS

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
    monkeypatch.setattr(sys, "path", [Path(tmp_path), ".", *sys.path])  # a Path is one for Python's import, too
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


def said_by(program: str, folder: Path, **environment: str) -> list[str]:
    """The lines of a program in a folder, which is its working directory."""
    (folder / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, folder / "program.py"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


PATH_OF_A_WORKER = """
import os, sys
from augpipe.core import processes
{before}
ours, theirs = processes.context().Pipe()
code = "import sys; connection.send([str(entry) for entry in sys.path])"
process = processes.context().Process(target=exec, args=(code, {{"connection": theirs}}))
process.start()
print(*ours.recv(), sep="\\n")
process.join()
"""


@pytest.mark.parametrize(
    "before",
    [
        "sys.path[:0] = ['', '.']",
        "sys.path.insert(0, os.getcwd() + '/')",
        "sys.path.insert(0, os.getcwd() + '/../' + os.path.basename(os.getcwd()))",
        "os.mkdir('more'); sys.path.insert(0, os.getcwd()); os.chdir('more'); sys.path.insert(0, os.getcwd())",
        "import multiprocessing as m; p = m.get_context('forkserver').Process(target=print); p.start(); p.join()",
    ],
    ids=["dots", "slash", "another way", "changed", "the caller's fork server"],
)
def test_no_spelling_of_the_working_directory_is_on_a_workers_path(tmp_path, before):
    program = PATH_OF_A_WORKER.format(before=f"if __name__ == '__main__':\n    {before}")
    if "fork server" in before or "forkserver" in before:
        program = program.replace("ours, theirs", "if __name__ != '__main__': sys.exit()\nours, theirs")
    path = [entry for entry in said_by(program, tmp_path) if entry]
    assert [entry for entry in path if os.path.realpath(entry) in (str(tmp_path), str(tmp_path / "more"))] == []
    assert any(entry.endswith("site-packages") for entry in path)


def test_what_pythonpath_names_is_kept_though_it_is_the_working_directory(tmp_path):
    start = "processes.start_fork_server([])"
    for name in (str(tmp_path), "."):
        assert str(tmp_path) in said_by(PATH_OF_A_WORKER.format(before=start), tmp_path, PYTHONPATH=name)
    command = "from augpipe.core.processes import python_command; import subprocess\n"
    command += "subprocess.run(python_command('import sys; print(*sys.path, sep=chr(10))'))"
    assert str(tmp_path) in said_by(command, tmp_path, PYTHONPATH=str(tmp_path))
    assert str(tmp_path) not in said_by(command, tmp_path)


def test_the_callers_own_processes_keep_the_path_that_they_had(tmp_path):
    """They come from the same fork server, and may start programs that import their neighbours."""
    (tmp_path / "neighbour.py").write_text("print('imported')")
    (tmp_path / "child.py").write_text("import neighbour")
    program = """
import multiprocessing, subprocess, sys
from augpipe.core import processes

def run():
    subprocess.run([sys.executable, "child.py"])

if __name__ == "__main__":
    processes.start_fork_server([])
    process = multiprocessing.get_context("forkserver").Process(target=run)
    process.start()
    process.join()
"""
    assert said_by(program, tmp_path) == ["imported"]


def test_a_working_directory_that_is_gone_stops_nothing(tmp_path):
    (tmp_path / "gone").mkdir()
    program = """
import os, subprocess, sys
os.chdir("gone"); os.rmdir("../gone")
from augpipe.core.processes import import_error, python_command
subprocess.run(python_command("print('fine')"), check=True)
from augpipe.cli.main import main
sys.argv = ["augpipe", "doctor"]
main()
"""
    said = said_by(program, tmp_path)
    assert said[0] == "fine"
    assert len([line for line in said if line.endswith("  fine")]) == 4


def test_a_run_works_where_the_working_directory_is_gone(voc, tmp_path):
    (tmp_path / "gone").mkdir()
    program = f"""
import os, sys
os.chdir("gone"); os.rmdir("../gone")
from augpipe.cli.main import main
sys.argv = ["augpipe", "augment", {str(voc)!r}, {str(tmp_path / "out")!r}, "-r", "gentle", "-w", "2"]
main()
"""
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, tmp_path / "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_relative_path_in_a_working_directory_that_is_gone_has_a_way_out(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = call("convert", "voc-to-coco", "SRC", "out", "-w", 0)
    assert done.exit_code != 0
    assert done.stderr.splitlines()[-1].strip().startswith("the working directory has been deleted; go to another one")


def test_threads_start_processes_at_the_same_time(tmp_path):
    program = """
import os, sys, threading
from augpipe.core import processes
main = sys.modules["__main__"]
def start():
    for _ in range(5):
        process = processes.context().Process(target=os.write, args=(1, b"x\\n"))
        process.start()
        process.join()
threads = [threading.Thread(target=start) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sys.modules["__main__"] is main, os.environ.get("PYTHONSAFEPATH"))
"""
    assert sorted(said_by(program, tmp_path)) == ["True None", *["x"] * 20]


WITH_THREADS = """
import os, threading
from augpipe.core.parallel import worker_pool, parallel_map
seen = []
os.register_at_fork(before=lambda: seen.append("forked"))
stay = threading.Event()
if {threads}:
    threading.Thread(target=stay.wait).start()
with worker_pool(2):
    print(list(parallel_map(abs, [-1, -2, -3])), seen[:1])
stay.set()
"""


@pytest.mark.parametrize(("threads", "expected"), [(False, "['forked']"), (True, "[]")])
def test_a_program_with_threads_is_not_forked(tmp_path, threads, expected):
    """A lock that another thread holds stays held in a fork for ever."""
    assert said_by(WITH_THREADS.format(threads=threads), tmp_path) == [f"[1, 2, 3] {expected}"]


def test_the_command_line_is_a_program_of_one_thread(tmp_path):
    """Else convert, inspect and verify would start processes the slow way."""
    program = """
import os, sys
from augpipe.cli.main import main
sys.argv = ["augpipe", "--version"]
try: main()
except SystemExit: pass
import numpy, augpipe.conversion, augpipe.survey
print(len(os.listdir("/proc/self/task")))
"""
    assert said_by(program, tmp_path)[-1] == "1"


def test_the_fork_server_of_a_run_has_what_makes_shards_loaded(tmp_path):
    program = """
from augpipe.core import processes
from augpipe.run.engine import fork_server
fork_server.start()
code = "import sys; print(*({'cv2', 'augpipe.run.task', 'augpipe.run.engine.worker', 'torch'} & set(sys.modules)))"
process = processes.context().Process(target=exec, args=(code,))
process.start()
process.join()
"""
    assert set(said_by(program, tmp_path)[0].split()) == {"cv2", "augpipe.run.task", "augpipe.run.engine.worker"}


DAEMONIC = """
import multiprocessing, sys
sys.path.insert(0, {tests!r})
import augpipe
from augpipe.run.augment import Execution
from augpipe.verification import verify

def work(source):
    try:
        augpipe.augment(source, "out", "gentle", execution=Execution(workers=2))
    except augpipe.AugpipeError as error:
        print(type(error).__name__, str(error).replace("\\n", " | "))
    print(augpipe.augment(source, "out", "gentle", execution=Execution(workers=0)).written)
    print(verify("out", source).ok)
    try:
        verify("out", source, workers=2)
    except augpipe.AugpipeError as error:
        print(type(error).__name__, str(error).replace("\\n", " | "))

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(work, [{source!r}])
"""


def test_a_worker_of_a_pool_is_told_that_it_may_have_no_processes(tmp_path, voc):
    said = said_by(DAEMONIC.format(tests=str(HELPERS), source=str(voc)), tmp_path)
    refused = "RunError workers do not start: this process is a worker of a pool itself, which may have none | what is"
    assert [line.startswith(refused) for line in said] == [True, False, False, True]
    assert said[1:3] == ["9", "True"]


@pytest.mark.parametrize("variable", [("TMPDIR", "x" * 200)])
def test_a_fork_server_that_cannot_be_started_has_a_way_out(tmp_path, voc, variable):
    """Its socket lies in the folder for temporary files, and the name of a socket may have 107 letters."""
    name, value = variable
    folder = tmp_path / value
    folder.mkdir()
    command = [sys.executable, "-c", "from augpipe.cli.main import main; main()", "augment", voc, tmp_path / "out"]
    environment = {**os.environ, name: str(folder)}
    done = subprocess.run(
        [*map(str, command), "-r", "gentle", "-w", "1"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "augpipe: workers do not start: AF_UNIX path too long",
        "         what is finished is kept; --workers 0 takes this process alone",
    ]
    done = subprocess.run(
        [*map(str, command), "-r", "gentle", "-w", "0"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
