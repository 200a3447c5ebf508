"""The commands that work on a folder, as a terminal or a supervisor of processes meets them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call
from format_checker import check_folder
from runs import hashes, run

# What is started in the background of a shell, or by nohup, is born deaf to these.
HEARING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
)
STOPPED = "augpipe: stopped; what is finished stays, run the same command to go on"


def begun(voc: Path, out: Path, *more: object) -> subprocess.Popen[str]:
    """An augment of many samples in a process group of its own, once its first shard is there."""
    program = f"{HEARING}from augpipe.cli.main import main; main()"
    arguments = ["augment", voc, out, "-r", "detection", "-n", 100, "--seed", 7, "-w", 2, *more]
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, text=True)
    while not list(out.glob("all-*.json")) and process.poll() is None:
        time.sleep(0.01)
    return process


@pytest.fixture(scope="module")
def calm(voc, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("calm") / "out"
    run(voc, folder, copies=100, seed=7, workers=2)
    return hashes(folder)


@pytest.mark.parametrize(
    ("how", "whom"), [(signal.SIGTERM, "parent"), (signal.SIGINT, "group"), (signal.SIGHUP, "group")]
)
def test_a_signal_ends_a_run_with_one_line_and_it_goes_on(voc, calm, tmp_path, how, whom):
    out = tmp_path / "out"
    process = begun(voc, out)
    (os.kill if whom == "parent" else os.killpg)(process.pid, how)
    there = len(list(out.glob("all-*.json")))
    said = process.communicate(timeout=300)[1].splitlines()
    assert process.returncode == -how
    assert len(list(out.glob("all-*.json"))) <= there + 2, "no more than each worker was about to finish"
    # Workers of the group may have died before their parent heard of it.
    beside = ("device:", "source:", "note: several splits", "note: all-")
    assert [line for line in said if not line.startswith(beside)] == [STOPPED]
    assert not (out / "manifest.json").exists()
    run(voc, out, copies=100, seed=7, workers=2)
    assert hashes(out) == calm
    assert check_folder(out) == []


def test_a_second_interrupt_stops_at_once(voc, tmp_path, monkeypatch):
    """Workers that do not go are not waited for."""
    stopping = tmp_path / "stopping"
    slow = f"""
import augpipe.run.engine.local as local, pathlib, time
def stop(workers):
    pathlib.Path({str(stopping)!r}).touch()
    time.sleep(600)
local._stop = stop
"""
    program = HEARING + slow + "from augpipe.cli.main import main; main()"
    arguments = ["augment", voc, tmp_path / "out", "-r", "detection", "-n", 400, "-w", 1]
    process = subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], start_new_session=True)
    while not list((tmp_path / "out").glob("all-*.json")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    while not stopping.exists():
        time.sleep(0.01)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=300) == -signal.SIGINT


def test_retry_and_finish_say_what_they_did(voc, tmp_path, monkeypatch):
    from augpipe.run import task

    real = task.read_picture

    def scarce(entry):
        if entry.key == "img_004.jpg":
            raise MemoryError
        return real(entry)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(task, "read_picture", scarce)
        lost = call("augment", voc, out, "-r", "gentle", "-n", 2, "-w", 0)
    assert lost.exit_code == 1
    assert f"'augpipe retry {out}' does them again" in lost.stderr
    again = call("retry", out, "-w", 0)
    assert again.exit_code == 0
    assert "18 samples of 9 pictures in 9 shards" in again.stdout
    assert "2 of them now" in again.stdout
    assert call("retry", out, "-w", 0).stdout == f"{out}: nothing to do, the run is finished\n"
    (out / "manifest.json").unlink()
    closed = call("finish", out)
    assert closed.exit_code == 0
    assert "all of them made before" in closed.stdout
    assert json.loads((out / "manifest.json").read_text())["command"] == "finish"


def test_what_was_rejected_is_said_again(voc, tmp_path):
    import shutil

    shutil.copytree(voc, tmp_path / "set")
    (tmp_path / "set" / "JPEGImages" / "img_001.jpg").write_bytes(b"")
    arguments = ("augment", tmp_path / "set", tmp_path / "out", "-r", "gentle", "-w", 0)
    call(*arguments)
    said = call(*arguments).stdout
    assert "rejected 1 sample of 1 picture: empty-file 1; after mending files, 'augpipe retry" in said


def test_extending_says_what_it_is_not(voc, tmp_path):
    base = ("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0)
    assert call(*base, "--copies", 2).exit_code == 0
    extended = call(*base, "--copies", 2, "--extend", 3)
    assert extended.exit_code == 0
    assert "copies from 2 on have shards of their own" in extended.stderr
    assert "one run with --copies 3, the shards are not" in extended.stderr
    refused = call(*base, "--copies", 4, "--extend", 3)
    assert refused.exit_code == 2
    assert "expected 4 or more" in refused.stderr


def test_parts_say_what_is_left(voc, tmp_path):
    base = ("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0)
    first = call(*base, "--tasks", "0..1/3")
    assert first.exit_code == 0
    assert first.stdout.startswith(
        f"3 of 9 shards are there; who makes the last one closes the run, or augpipe finish {tmp_path / 'out'}\n"
        "3 samples of 3 pictures in 3 shards"
    )
    missing = call("finish", tmp_path / "out")
    assert missing.exit_code == 2
    assert "6 of 9 shards are missing" in missing.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tasks", "1/3"), "--tasks 1/3: expected FIRST..END/PIECES"),
        (("--time-limit", "0"), "--time-limit 0: expected 1 or more seconds"),
        (("--overwrite", "--check"), "--overwrite deletes the run in DST, --check goes on with it"),
        (("--overwrite", "--tasks", "0..1/2"), "--tasks goes on with it"),
    ],
)
def test_what_cannot_be_is_refused(voc, tmp_path, options, said):
    result = call("augment", voc, tmp_path / "out", "-r", "gentle", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_too_small_is_told_before_the_start(voc, tmp_path, monkeypatch):
    real = os.statvfs

    class Small:
        f_bavail, f_frsize = 10, 4096

    monkeypatch.setattr(os, "statvfs", lambda path: Small)
    result = call("augment", voc, tmp_path / "out", "-r", "gentle", "-n", 20, "-w", 0)
    assert result.exit_code == 0
    assert re.search(r"note: about \d\.\d MB will be written, and .* has room for 0\.0 MB; when", result.stderr)
    assert "when the disk is full the run stops, and goes on after room was made" in result.stderr
    monkeypatch.setattr(os, "statvfs", real)
    assert "disk is full" not in call("augment", voc, tmp_path / "other", "-r", "gentle", "-w", 0).stderr


@pytest.mark.parametrize(("picture", "factor"), [("jpg", 2.5), ("png", 2.5)])
def test_the_guess_of_bytes_is_of_the_right_size(voc, tmp_path, picture, factor):
    from augpipe.formats.registry import open_dataset
    from augpipe.pixels.codec.image import PictureFormat
    from augpipe.recipe.load import load
    from augpipe.run.dry_run import bytes_of_samples

    form = PictureFormat(picture, 90, "4:2:0" if picture == "jpg" else "none")
    summary = run(voc, tmp_path / "out", copies=4, picture=form)
    guessed = bytes_of_samples(open_dataset(str(voc)), load("detection"), 0, form, 36)
    assert summary.bytes / factor < guessed < summary.bytes * factor
