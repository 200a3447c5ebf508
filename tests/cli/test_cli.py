"""The command line as a user meets it: what it prints, where, and the exit code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from command_line import call, lines
from format_checker import check_folder

from augpipe import __version__
from augpipe.cli import running

# --- help ------------------------------------------------------------------------------------------------------------

COMMANDS = ("augment", "convert", "preview", "plan", "inspect", "verify", "doctor")


def test_help_is_quick_because_nothing_heavy_is_imported():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom augpipe.cli.main import app\n"
        "result = CliRunner().invoke(app, ['--help'])\nassert result.exit_code == 0\n"
        "print(*sorted({'torch', 'cv2', 'cupy', 'numpy', 'pydantic', 'shapely', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "command", [*COMMANDS, "recipes list", "recipes show", "recipes check", "recipes operations", "recipes schema"]
)
def test_every_command_has_help_with_an_example(command):
    result = call(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"Example: augpipe {command}" in " ".join(result.output.split())


def test_version():
    assert call("--version").output.strip() == f"augpipe {__version__}"


# --- augment ---------------------------------------------------------------------------------------------------------


def test_augment_says_what_it_did(voc, tmp_path):
    result = call("augment", voc, tmp_path / "out", "-r", "detection", "--copies", 2, "--seed", 7, "-w", 0)
    assert result.exit_code == 0
    err, out = lines(result.stderr), lines(result.stdout)
    assert err[0].startswith("device: cpu (cuda not used: ")
    assert err[1] == "source: voc, 9 pictures, 3 classes"
    assert out[0].startswith("18 samples of 9 pictures in 9 shards, ")
    assert out[-1] == str(tmp_path / "out")
    assert check_folder(tmp_path / "out") == []
    again = call("augment", voc, tmp_path / "out", "-r", "detection", "--copies", 2, "--seed", 7, "-w", 0)
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout


def test_going_on_counts_the_work_of_this_call(voc, tmp_path):
    out = tmp_path / "out"
    command = ("augment", voc, out, "-r", "gentle", "--copies", 2, "-w", 0)
    whole = lines(call(*command).stdout)[0]
    assert re.fullmatch(r"18 samples of 9 pictures in 9 shards, \d+\.\d MB, in \d+\.\d s \([\d,]+ samples/s\)", whole)
    (out / "manifest.json").unlink()
    (out / "all-000004.json").unlink()
    part = lines(call(*command).stdout)[0]
    assert re.fullmatch(
        r"18 samples of 9 pictures in 9 shards, .* MB, 2 of them now, in \d\.\d s \([\d,]+ samples/s\)", part
    )
    (out / "manifest.json").unlink()
    nothing = call(*command)
    assert nothing.exit_code == 0
    assert re.search(r"9 shards, .* MB, all of them made before; closed in \d\.\d s$", lines(nothing.stdout)[0])
    assert "samples/s" not in nothing.stdout
    assert check_folder(out) == []


def test_the_rate_is_that_of_the_samples_made_now():
    def said(made: int, seconds: float = 4.0) -> str:
        return running._work(SimpleNamespace(written=8000, made=made, seconds=seconds))

    assert said(8000) == "in 4.0 s (2,000 samples/s)"
    assert said(12) == "12 of them now, in 4.0 s (3 samples/s)"
    assert said(8000, 0.0) == "in 0.0 s"


def test_a_run_that_could_write_nothing_has_no_rate(voc, tmp_path):

    shutil.copytree(voc, tmp_path / "set")
    for path in (tmp_path / "set" / "JPEGImages").iterdir():
        path.write_bytes(b"no picture")
    result = call("augment", tmp_path / "set", tmp_path / "out", "-r", "gentle", "-w", 0)
    assert result.exit_code == 1
    assert re.fullmatch(r"0 samples of 9 pictures in 9 shards, 0\.0 MB, in \d\.\d s", lines(result.stdout)[0])


def test_what_may_pass_ends_in_1_whatever_the_limit(voc, tmp_path, monkeypatch):
    from augpipe.run import task

    def scarce(entry):
        raise MemoryError

    monkeypatch.setattr(task, "read_picture", scarce)
    result = call("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0, "--max-rejects", "100%")
    assert result.exit_code == 1
    assert "9 of 9 pictures failed for reasons that may pass" in result.stderr


def test_too_many_rejects_end_in_1(voc, tmp_path):

    shutil.copytree(voc, tmp_path / "set")
    for path in list((tmp_path / "set" / "JPEGImages").iterdir())[:3]:
        path.unlink()
    result = call("augment", tmp_path / "set", tmp_path / "out", "-r", "gentle", "-w", 0)
    assert result.exit_code == 1
    assert "rejected 3 samples of 3 pictures: missing-picture 3" in result.stdout
    assert "3 of 9 pictures were rejected; at most 1 were allowed" in result.stderr
    assert (tmp_path / "out" / "manifest.json").is_file()


USAGE = [
    (["--recipe", "detectoin"], "did you mean 'detection'?"),
    (["--recipe", "nowhere.yaml"], "nowhere.yaml: cannot read the recipe"),
    (["--recipe", "detection", "--set", "steps.afine.rotate=3"], "did you mean 'affine'?"),
    (
        ["--recipe", "detection", "--set", "steps.affine.rotate=x"],
        "--set steps.affine.rotate=x: affine.rotate",
    ),
    (["--recipe", "detection", "--device", "cuda"], "--device cuda: cannot work"),
    (["--recipe", "detection", "--device", "tpu"], "--device tpu: expected"),
    (["--recipe", "detection", "--codec", "gpu"], "--codec gpu: cannot work"),
    (["--recipe", "detection", "--copies", "-3"], "--copies -3"),
    (["--recipe", "detection", "--workers", "-1"], "--workers -1"),
    (["--recipe", "detection", "--split", "nope"], "there are first, second"),
    (["--recipe", "detection", "--split", "../x"], "--split"),
    (["--recipe", "detection", "--from", "yolo9"], "unknown format 'yolo9'"),
    (["--recipe", "detection", "--from", "coco"], "no COCO JSON"),
    (["--recipe", "detection", "--limit", "0"], "--limit 0"),
    (["--recipe", "detection", "--exif", "no"], "--exif no"),
    (["--recipe", "detection", "--max-pixels", "0"], "--max-pixels 0: expected 1 or more"),
    (["--recipe", "detection", "--max-pixels", "-5"], "--max-pixels -5: expected 1 or more"),
    (["--recipe", "detection", "--quality", "101"], "--quality 101"),
    (["--recipe", "detection", "--picture", "gif"], "--picture gif"),
    (["--recipe", "detection", "--max-rejects", "some"], "--max-rejects some"),
    (["--recipe", "detection", "--classes", "none.txt"], "none.txt"),
]


@pytest.mark.parametrize(("options", "expected"), USAGE, ids=[" ".join(o) for o, _ in USAGE])
def test_usage_errors_are_a_line_or_two_and_exit_2(voc, tmp_path, options, expected):
    result = call("augment", voc, tmp_path / "out", "-w", 0, *options)
    assert result.exit_code == 2, result.output
    complaint = [line for line in lines(result.stderr) if not line.startswith(("device:", "source:"))]
    assert 1 <= len(complaint) <= 2
    assert complaint[0].startswith("augpipe: ")
    assert expected in "\n".join(complaint)
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_recipe_error_names_file_and_line(voc, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("version: 1\nsteps:\n  - horizontal_flip\n  - afine: {rotate: 3}\n")
    result = call("augment", voc, tmp_path / "out", "-r", recipe, "-w", 0)
    assert result.exit_code == 2
    assert f"{recipe}:4: unknown operation 'afine'; did you mean 'affine'?" in result.stderr


def test_sources_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    for source, expected in (("missing", "no such file or folder"), ("empty", "no dataset that is known")):
        result = call("augment", tmp_path / source, tmp_path / "out", "-r", "gentle", "-w", 0)
        assert result.exit_code == 2
        assert expected in result.stderr


def test_debug_shows_the_traceback(tmp_path):
    result = call("augment", tmp_path / "missing", tmp_path / "out", "-r", "gentle", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("command", ["augment", "preview"])
@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("--void", 256, "--void 256: expected 0 to 255"), ("--void", -1, "--void -1: expected 0 to 255")],
)
def test_a_value_that_no_mask_holds_is_refused(voc, tmp_path, command, option, value, expected):
    words = {"augment": [tmp_path / "out"], "preview": ["-o", tmp_path / "x.png"]}[command]
    done = call(command, voc, *words, "-r", "gentle", option, value)
    assert (done.exit_code, expected in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("limit", [0, 201])
def test_a_sheet_of_no_or_too_many_pictures_is_refused(voc, tmp_path, limit):
    done = call("preview", voc, "-r", "gentle", "-o", tmp_path / "x.png", "--limit", limit)
    assert (done.exit_code, "1 to 200 pictures" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "x.png").exists()
