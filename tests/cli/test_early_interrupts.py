"""Ctrl-C at many early moments: where modules are asked for, and at each line by which the command begins."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib

from places import ROOT

# As the script that pip makes for the command begins. At each moment a forked child is interrupted, and says how it
# ended; the program itself goes on to the next one.
PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
begun, asked, said = [], [], os.dup(2)

def interrupted(moment):
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(theirs, 2)
        os.dup2(theirs, 1)
        sys.settrace(None)
        sys.meta_path.remove(finder)
        signal.raise_signal(signal.SIGINT)
        return
    os.close(theirs)
    with open(ours, "rb") as file:
        text = file.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(said, f"{moment} {ended} {text!r}\\n".encode())

class Finder:
    def find_spec(self, name, path=None, target=None):
        asked.append(name)
        if begun and (len(asked) < 40 or len(asked) % 8 == 0):
            interrupted(name)

def traced(frame, event, argument):
    name = frame.f_code.co_filename
    if not name.endswith(("/cli/start.py", "/cli/main.py")):
        return None
    if event == "line" and begun:
        interrupted(f"{os.path.basename(name)}:{frame.f_lineno}")
    if event == "line" and name.endswith("start.py") and signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        begun.append(1)
    return traced

finder = Finder()
sys.meta_path.insert(0, finder)
sys.settrace(traced)
from augpipe.cli.start import main
main()
"""


def test_the_command_begins_where_an_interrupt_is_quiet():
    """Nothing is read before it but the two packages that it lies in, which import nothing."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts == {"augpipe": "augpipe.cli.start:main"}
    program = (
        "import sys; before = set(sys.modules); import augpipe.cli.start; "
        "print(*sorted(set(sys.modules) - before), signal.getsignal(signal.SIGINT) == signal.SIG_DFL)"
    )
    hearing = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {program}"
    done = subprocess.run([sys.executable, "-c", hearing], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["augpipe", "augpipe.cli", "augpipe.cli.start", "True"]


def test_ctrl_c_at_any_early_moment_ends_it_without_a_traceback():
    command = [sys.executable, "-c", PROGRAM, "recipes", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    moments = [line.split(" ", 2) for line in done.stderr.splitlines()]
    assert done.returncode == 0
    assert len(moments) > 50
    said = {"b''", repr(b"augpipe: stopped\n")}
    assert [m for m in moments if int(m[1]) != -signal.SIGINT or m[2] not in said] == []
