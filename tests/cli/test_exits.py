"""Exit codes say what became of the work, whatever becomes of stdin, stdout and stderr."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from format_checker import check_folder
from places import ROOT
from runs import hashes, run

pytestmark = pytest.mark.slow

AUGPIPE = f'{shlex.quote(sys.executable)} -c "from augpipe.cli.main import main; main()"'

STATES = {
    "stdout closed": ">&{broken}",
    "stdout full": ">/dev/full",
    "stdout missing": ">&-",
    "stderr closed": "2>&{broken}",
    "stderr full": "2>/dev/full",
    "stderr missing": "2>&-",
    "nothing there": "<&- >&- 2>&-",
}

# Command, what it is called with, and the code that is the truth; those in PRINTED have no result but what they print.
CASES = {
    "augment": ("augment {voc} {new} -r gentle -w 0", 0),
    "augment, damaged": ("augment {damaged} {new} -r gentle -w 0 --max-rejects 0", 1),
    "retry": ("retry {shards} -w 0", 0),
    "finish": ("finish {shards}", 0),
    "convert": ("convert voc-to-coco {voc} {new}", 0),
    "convert, no source": ("convert voc-to-coco {voc}/none {new}", 2),
    "preview": ("preview {voc} -r gentle -o {new}.png --limit 1", 0),
    "plan": ("plan {voc} -r gentle", 0),
    "inspect": ("inspect {voc}", 0),
    "inspect, no source": ("inspect {voc}/none", 2),
    "verify": ("verify {shards}", 0),
    "verify, damaged": ("verify {spoilt}", 1),
    "doctor": ("doctor", 0),
    "recipes show": ("recipes show gentle", 0),
    "recipes check, unknown": ("recipes check none", 2),
    "recipes schema": ("recipes schema", 0),
    "no such option": ("augment --nothing", 2),
}
PRINTED = {"plan", "inspect", "recipes show", "recipes schema"}
IN_EVERY_STATE = {"augment", "plan", "verify, damaged"}  # one that starts processes, one that prints, one that fails


def states_of(case: str) -> list[str]:
    """All for some commands. One function looks after the streams of all, so others get a full disk and one more."""
    if case in IN_EVERY_STATE:
        return list(STATES)
    others = [state for state in STATES if state != "stdout full"]
    return ["stdout full", others[list(CASES).index(case) % len(others)]]


@pytest.fixture(scope="module")
def places(voc, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("places")
    places = {"voc": voc, **{name: folder / name for name in ("damaged", "shards", "spoilt")}}
    run(voc, places["shards"], "gentle")
    shutil.copytree(voc, places["damaged"])
    (places["damaged"] / "JPEGImages" / "img_002.jpg").write_bytes(b"")
    shutil.copytree(places["shards"], places["spoilt"])
    tar = places["spoilt"] / "all-000001.tar"
    tar.write_bytes(tar.read_bytes()[:-600] + bytes(600 - 1) + b"x")
    return places


@pytest.fixture
def broken() -> Iterator[int]:
    """A pipe that nobody reads."""
    ours, theirs = os.pipe()
    os.close(ours)
    yield theirs
    os.close(theirs)


def shell(line: str, *descriptors: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=300, check=False, pass_fds=descriptors, cwd=ROOT
    )


def files_of(new: Path) -> list[str]:
    return sorted(p.name for p in new.parent.rglob("*") if p.is_file())


@pytest.mark.parametrize("case", CASES)
def test_the_exit_code_is_that_of_the_work_in_every_state_of_the_streams(places, tmp_path, broken, case):
    words, code = CASES[case]
    made = {}
    for state in ("", *states_of(case)):
        redirection = STATES.get(state, "")
        new = tmp_path / (state.replace(" ", "-") or "calm") / "new"
        new.parent.mkdir()
        line = f"{AUGPIPE} {words.format(new=new, **places)} {redirection.format(broken=broken)}"
        done = shell(line, broken)
        wanted = 1 if state == "stdout full" and case in PRINTED else code
        right = {wanted, 141} if state == "stdout closed" and case == "plan" else {wanted}
        assert done.returncode in right, f"{state}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, state
        assert "please report" not in done.stderr, state
        if state == "stdout full" and code == 0:
            assert "augpipe: what was printed is lost: stdout: No space left on device" in done.stderr
        made[state] = (files_of(new), hashes(new) if new.is_dir() else None)
    assert {state: found for state, found in made.items() if found != made[""]} == {}


def test_who_has_read_enough_ends_plans_that_would_go_on(places):
    """As it ends every other program: 141 of the shell."""
    done = shell(f'{AUGPIPE} plan {places["voc"]} -r gentle -n 100000 | head -n1; echo "${{PIPESTATUS[0]}}"')
    assert done.stdout.splitlines()[1:] == ["141"]
    assert done.stderr == ""


def test_a_reader_who_has_gone_stops_no_work(places, tmp_path):
    line = f"{AUGPIPE} augment {places['voc']} {tmp_path / 'out'} -r gentle -w 1 2>&1 | true; echo ${{PIPESTATUS[0]}}"
    assert shell(line).stdout == "0\n"
    assert check_folder(tmp_path / "out") == []


def test_a_missing_stream_is_given_to_no_shard(places, tmp_path):
    """Its number would be that of the next file, into which a library's warnings were written."""
    line = f"{AUGPIPE} augment {places['voc']} {tmp_path / 'out'} -r gentle -w 2 <&- >&- 2>&-"
    assert shell(line).returncode == 0
    run(places["voc"], tmp_path / "calm", "gentle")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "calm")
    assert check_folder(tmp_path / "out") == []


def test_a_reader_who_is_slow_gets_everything(places):
    """Also from a pipe that another program has made non-blocking."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    words = f"plan {places['voc']} -r gentle -n 300".split()
    command = [sys.executable, "-c", "from augpipe.cli.main import main; main()", *words]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        time.sleep(0.5)
        with open(ours, "rb") as file:
            lines = file.read().splitlines()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert len(lines) == 2700


# What is started in the background of a shell is born deaf to Ctrl-C.
HEARING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("bash", ["bash", "-c", sys.argv[1]])
"""
LOOP = 'for i in 1 2 3; do echo "$i"; {augpipe} augment {voc} {out} -r gentle -n 4000 -w 1 2>/dev/null; done'


def test_ctrl_c_ends_the_loop_of_a_shell(places, tmp_path):
    """Which it does if the command died by the signal, and does not if that made it exit."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", HEARING, LOOP.format(augpipe=AUGPIPE, voc=places["voc"], out=out)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=ROOT,
    )
    while not (out / "run.json").exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=300)[0] == "1\n"
    assert process.returncode == -signal.SIGINT


IMPORTING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from augpipe.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "module", ["augpipe.cli.streams", "typer", "augpipe.cli.augment", "augpipe.formats.catalogue", "numpy", "msgspec"]
)
def test_ctrl_c_while_libraries_load_ends_it_without_a_traceback(places, tmp_path, module):
    command = [sys.executable, "-c", IMPORTING.format(module=module), "augment", places["voc"], tmp_path / "out"]
    done = subprocess.run([*map(str, command), "-r", "gentle"], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stderr in ("", "augpipe: stopped; what is finished stays, run the same command to go on\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_who_has_a_signal_ignored_is_not_interrupted_by_it(places, tmp_path, number):
    """As nohup has SIGHUP, and a shell SIGINT of what runs in its background."""
    out = tmp_path / "out"
    program = f"import signal; signal.signal({int(number)}, signal.SIG_IGN); from augpipe.cli.main import main; main()"
    command = [sys.executable, "-c", program, "augment", places["voc"], out, "-r", "gentle", "-n", 60, "-w", 1]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL, start_new_session=True)
    while not list(out.glob("*.tar")) and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, number)
    assert process.wait(timeout=300) == 0
    assert check_folder(out) == []


def test_a_command_line_that_does_not_load_says_so(tmp_path):
    program = "import sys; sys.modules['typer'] = None; from augpipe.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program, "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("augpipe: does not load: ModuleNotFoundError: import of typer halted")
    assert len(done.stderr.splitlines()) == 2
