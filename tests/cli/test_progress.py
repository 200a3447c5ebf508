"""How far a command is: lines in a log, a bar on a terminal, and neither breaks what else is said."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from augpipe.cli import progress

OFTEN = """
import sys
from augpipe.cli import progress
progress.EVERY = 0.05
from augpipe.cli.main import main
if __name__ == "__main__":
    main()
"""


def on_a_terminal(*arguments: object) -> str:
    """What a command shows on a terminal of its own."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from augpipe.cli.main import main; main()", *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs) as process:
        os.close(theirs)
        said = b""
        try:
            while chunk := os.read(ours, 1 << 16):
                said += chunk
        except OSError:  # the other side is gone
            pass
        os.close(ours)
    assert process.returncode == 0, said.decode()
    return said.decode()


def test_without_a_terminal_a_line_comes_now_and_then(voc, tmp_path):
    command = [sys.executable, "-c", OFTEN, "augment", voc, tmp_path / "out", "-r", "detection", "-n", 300, "-w", 1]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("augpipe: ")]
    assert len(lines) > 3
    expected = r"augpipe: (still at work after \d+ s|\d of 9 pictures \(\d+ %\), [\d.]+/s, about \d+ s left)"
    assert [line for line in lines if not re.fullmatch(expected, line)] == []
    assert any(" of 9 pictures" in line for line in lines)


@pytest.mark.parametrize("command", ["inspect", "convert", "verify", "preview"])
def test_every_command_tells_it(command, voc, tmp_path):
    from command_line import call

    assert call("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0).exit_code == 0
    arguments = {
        "inspect": ["inspect", voc],
        "convert": ["convert", "voc-to-coco", voc, tmp_path / "x.json"],
        "verify": ["verify", tmp_path / "out", "--against", voc],
        "preview": ["preview", voc, "-r", "gentle", "-o", tmp_path / "x.png"],
    }[command]
    program = OFTEN.replace("0.05", "0.002")
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    assert re.search(r"^augpipe: still at work after 0 s$", done.stderr, re.MULTILINE)


def has_terminals() -> bool:
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_terminals(), reason="this machine has no pseudo-terminals")
def test_the_first_lines_on_a_terminal_are_whole_and_the_bar_is_below(voc, tmp_path):
    said = on_a_terminal("augment", voc, tmp_path / "out", "-r", "gentle", "-n", 20, "-w", 1)
    device, source, rest = said.split("\r\n", 2)
    assert device.startswith("device: cpu")
    assert re.fullmatch(r"source: voc, 9 pictures, 3 classes", source)
    assert "| 0/9 [" in rest
    assert "augpipe: " not in said
    assert re.search(r"\r180 samples of 9 pictures in \d shards", rest)  # where the bar was


def test_the_line_counts_this_call_alone(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told = progress.TerminalProgress("picture")
    now[0] += 40
    assert told.line() == "still at work after 40 s"
    told.begin(1000, 400)
    now[0] += 10
    assert told.line() == "still at work after 50 s"
    told.update(100, 0)
    assert told.line() == "500 of 1,000 pictures (50 %), 10.0/s, about 50 s left"
    told.update(-20, 3)
    assert told.line() == "480 of 1,000 pictures (48 %), 8.0/s, about 65 s left, 3 samples rejected"


def test_without_a_total_it_counts_from_the_start(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told = progress.TerminalProgress("shard")
    now[0] += 20
    told.update(1)
    assert told.line() == "1 shard, 0.1/s"
    told.update(1)
    assert told.line() == "2 shards, 0.1/s"


def test_a_line_comes_every_half_minute():
    assert progress.EVERY == 30


def test_the_callers_alarm_is_what_it_was(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.01)
    said: list[str] = []
    monkeypatch.setattr(progress.typer, "echo", lambda line, err: said.append(line))
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        with progress.shown():
            end = time.monotonic() + 300
            while len(said) < 2 and time.monotonic() < end:
                time.sleep(0.005)
        assert len(said) >= 2
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("error", [RuntimeError("reentrant call"), BrokenPipeError(), OSError("closed")])
def test_a_line_that_cannot_be_written_stops_nothing(monkeypatch, error):
    def refuse(line, err):
        tried.append(line)
        raise error

    tried: list[str] = []
    monkeypatch.setattr(progress, "EVERY", 0.01)
    monkeypatch.setattr(progress.typer, "echo", refuse)
    with progress.shown():
        end = time.monotonic() + 300
        while not tried and time.monotonic() < end:
            time.sleep(0.005)
    assert tried


def test_a_thread_has_no_alarm():
    done: list[bool] = []

    def work():
        with progress.shown() as told:
            told.begin(3)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_bar_begins_at_what_is_done_and_lets_lines_pass(monkeypatch):
    made: dict[str, object] = {}

    class Bar:
        monitor_interval = 10

        def __init__(self, **options):
            made.update(options)

        @contextmanager
        def external_write_mode(self):
            made["lifted"] = True
            yield

        def update(self, count):
            made["count"] = count

        def set_postfix(self, **shown):
            made["shown"] = shown

        def close(self):
            made["closed"] = True

    monkeypatch.setattr("tqdm.tqdm", Bar)
    monkeypatch.setattr(progress.sys, "stderr", SimpleNamespace(isatty=lambda: True, fileno=lambda: 2))
    monkeypatch.setattr(progress.os, "get_terminal_size", lambda number: os.terminal_size((0, 0)))
    with progress.shown() as told:
        told.begin(10, 4)
        told.update(2, rejected=3)
        monkeypatch.setattr(progress.typer, "echo", lambda line, err: None)
        told.say("note: x")
    assert (made["total"], made["initial"], made["count"], made["shown"]["rejected"]) == (10, 4, 2, 3)
    assert (made["ncols"], made["nrows"], made["lifted"], made["closed"]) == (79, 24, True, True)
    assert Bar.monitor_interval == 0, "its thread would keep this process from forking"
