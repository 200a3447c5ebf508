"""The command line as a user meets it: what it prints, where, and the exit code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import call, lines
from format_checker import check_folder
from runs import run

from augpipe import __version__
from augpipe.cli import running
from augpipe.core.opencv import cv2

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
    import shutil

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
    import shutil

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


# --- the other commands ----------------------------------------------------------------------------------------------


def test_plan_prints_a_json_object_a_line_and_decodes_nothing(voc, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", refuse)
    result = call("plan", voc, "-r", "detection", "--limit", 2, "--copies", 3, "--seed", 5)
    assert result.exit_code == 0
    rows = [json.loads(line) for line in lines(result.stdout)]
    assert [(row["source"], row["copy"]) for row in rows] == [
        (f"img_{i:03d}.jpg", c) for i in range(2) for c in range(3)
    ]
    assert all(row["plan"]["seed"] == 5 for row in rows)


@pytest.mark.parametrize("copies", [0, -1])
def test_no_plans_at_all_are_no_request(voc, copies):
    result = call("plan", voc, "-r", "gentle", "--copies", copies)
    assert result.exit_code == 2
    assert lines(result.stderr) == [f"augpipe: --copies {copies}: expected 1 or more"]


def test_plans_are_those_of_the_run(voc, tmp_path):
    from runs import records

    call("augment", voc, tmp_path / "out", "-r", "keypoints", "--seed", 3, "-w", 0)
    made = {(r["source"]["key"], r["copy"]): r["plan"] for r in records(tmp_path / "out").values()}
    rows = [json.loads(line) for line in lines(call("plan", voc, "-r", "keypoints", "--seed", 3).stdout)]
    assert {(row["source"], row["copy"]): row["plan"] for row in rows} == made


@pytest.mark.parametrize("command", ["augment", "plan", "preview", "inspect"])
def test_commands_that_read_labels_read_them_alike(command):
    """What changes the meaning of labels can be said to every command that shows or moves them."""
    text = call(command, "--help").output
    assert [
        option for option in ("--exif", "--voc-origin", "--from", "--split", "--classes") if option not in text
    ] == []


def test_inspect_and_plan_see_what_augment_would(voc, tmp_path):
    """Boxes that count from 0 are cut at the frame when they are taken to count from 1."""
    xml = min((voc / "Annotations").glob("*.xml"))
    folder = tmp_path / "zero"
    folder.mkdir()
    (folder / xml.name).write_text(re.sub(r"<xmin>[^<]*</xmin>", "<xmin>0</xmin>", xml.read_text()))
    picture = voc / "JPEGImages" / f"{xml.stem}.jpg"
    (folder / picture.name).write_bytes(picture.read_bytes())
    assert "clipped" in json.loads(call("inspect", folder, "--json").stdout)["oddities"]
    assert "clipped" not in json.loads(call("inspect", folder, "--json", "--voc-origin", 0).stdout)["oddities"]
    assert call("plan", folder, "-r", "detection", "--voc-origin", 2).exit_code == 2


def test_preview_writes_a_sheet(coco, tmp_path):
    result = call("preview", coco, "-r", "keypoints", "-o", tmp_path / "sheet.png", "-n", 2, "--limit", 3)
    assert result.exit_code == 0, result.output
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] > 3 * 300
    assert len(set(map(tuple, sheet.reshape(-1, 3)))) > 1000


def test_inspect_counts(voc, coco, tmp_path):
    found = json.loads(call("inspect", coco, "--json").stdout)
    document = json.loads((coco / "annotations" / "instances.json").read_text())
    assert found["pictures"] == len(document["images"])
    assert found["objects"] == len(document["annotations"])
    assert found["kinds"]["keypoints"] == sum("keypoints" in row for row in document["annotations"])
    assert found["kinds"]["captions"] == len(document["images"])
    names = {c["id"]: c["name"] for c in document["categories"]}
    assert {row["name"]: row["objects"] for row in found["classes"]} == {
        name: sum(names[row["category_id"]] == name for row in document["annotations"]) for name in names.values()
    }
    assert "9 pictures, 27 objects" in call("inspect", voc).stdout
    call("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0)
    assert "finished run, 9 samples of 9 pictures" in call("inspect", tmp_path / "out").stdout
    assert "shards, 9 pictures, 27 objects" in call("inspect", tmp_path / "out", "--from", "shards").stdout


def test_convert_both_ways(voc, tmp_path):
    result = call("convert", "voc-to-coco", voc, tmp_path / "out.json")
    assert result.exit_code == 0
    assert result.stdout.startswith("9 pictures, 27 objects to ")
    assert json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert call("convert", "voc-to-coco", voc, tmp_path / "out.json").exit_code == 2
    assert call("convert", "voc-to-coco", voc, tmp_path / "out.json", "--overwrite").exit_code == 0
    assert call("convert", "voc-to-yolo9", voc, tmp_path / "x").exit_code == 2
    assert call("convert", "voc-to-coco", voc, tmp_path / "coco").exit_code == 0
    assert call("convert", "coco-to-voc", tmp_path / "coco", tmp_path / "voc").exit_code == 0
    assert (tmp_path / "voc" / "Annotations" / "img_000.xml").is_file()


def test_doctor_finds_nothing_wrong():
    result = call("doctor")
    assert result.exit_code == 0, result.output
    assert "warp" in result.stdout
    assert result.stdout.count("fine") >= 4


def test_an_interrupt_says_how_to_go_on(voc, tmp_path, monkeypatch):
    from augpipe.run import task

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(task._ShardTask, "_commit", interrupt)
    result = call("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0)
    assert result.exit_code == 130
    assert "run the same command to go on" in result.stderr


def test_class_names_cannot_steer_the_terminal(tmp_path, voc):
    import shutil

    shutil.copytree(voc, tmp_path / "set")
    for path in (tmp_path / "set" / "Annotations").iterdir():
        path.write_text(path.read_text().replace("<name>cat</name>", "<name>c&#x9b;31mat&#10;x</name>"))
    result = call("inspect", tmp_path / "set")
    assert result.exit_code == 0
    assert "\x9b" not in result.output


def test_the_installed_command_runs(voc):
    command = Path(sys.executable).with_name("augpipe")
    done = subprocess.run(
        [command, "plan", voc, "-r", "gentle", "--limit", "1"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["source"] == "img_000.jpg"


def test_a_run_that_drops_too_much_fails_and_says_so(voc, tmp_path):
    shift = ["--set", "steps.affine.translate=[0.5, 0.6]", "--set", "labels.truncated=drop"]
    common = ["-r", "detection", "-w", 0, "--max-dropped"]
    result = call("augment", voc, tmp_path / "a", *common, "10%", *shift)
    assert result.exit_code == 1
    assert re.search(r"augpipe: \d+ of 27 objects were dropped; at most 2 were allowed", result.stderr)
    assert re.search(r"^\d+ objects?; dropped \d+: ", result.stdout, re.MULTILINE)
    assert check_folder(tmp_path / "a") == []
    result = call("augment", voc, tmp_path / "b", *common, 27, *shift[:2])
    assert result.exit_code == 0
    assert re.search(r"^\d+ objects?, truncated \d+(; dropped \d+: |$)", result.stdout, re.MULTILINE)


# --- what goes wrong in the program itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("what\nnow"), "ZeroDivisionError: what\\nnow (test_cli.py:"),
        (MemoryError(), "not enough memory"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_a_fault_is_a_line_and_a_traceback_only_on_demand(voc, monkeypatch, error, said):
    def fail(*args):
        raise error

    monkeypatch.setattr("augpipe.survey.run.open_dataset", fail)
    result = call("inspect", voc)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" in call("inspect", voc, "--debug").stderr


def test_inspect_goes_on_behind_a_fault(voc, monkeypatch):
    calls = []

    def fail(*args):
        calls.append(1)
        raise ZeroDivisionError("now what")

    monkeypatch.setattr("augpipe.survey.count.aligned", fail)
    result = call("inspect", voc)
    assert result.exit_code == 0
    assert re.search(r"^  fault +9  pictures", result.output, re.MULTILINE)
    assert len(calls) == 9


def test_a_manifest_cannot_steer_the_terminal(voc, tmp_path):
    run(voc, tmp_path / "out", limit=1)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    manifest["config"]["recipe"]["name"] = "x\x1b[2J\nnote: fine"
    manifest["config"]["versions"] = {"\x9b31m": "\u202e"}
    manifest["totals"]["label_kinds"] = {"\x1b]0;x\x07": 1}
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    result = call("inspect", tmp_path / "out")
    assert result.exit_code == 0
    assert all(c.isprintable() or c == "\n" for c in result.output)


@pytest.mark.parametrize("command", ["preview", "inspect", "verify"])
def test_sheets_are_not_drawn_into_datasets(voc, tmp_path, command):
    """There they would be pictures of it, or stand in the place of one."""
    source = Path(shutil.copytree(voc, tmp_path / "set"))
    precious = source / "JPEGImages" / "img_000.jpg"
    before = precious.read_bytes()
    assert call("augment", source, tmp_path / "out", "-r", "gentle", "-w", 0).exit_code == 0
    for place in (precious.with_suffix(".png"), precious, source / "sheet.png"):
        arguments = {
            "preview": (source, "-r", "gentle", "-o", place),
            "inspect": (source, "-o", place),
            "verify": (tmp_path / "out", "--against", source, "--sheet", place),
        }[command]
        result = call(command, *arguments)
        assert result.exit_code == 2
        assert "lies in" in result.stderr or "expected a name that ends in .png" in result.stderr
    assert precious.read_bytes() == before
    assert not (source / "sheet.png").exists()


def test_what_has_no_going_on_does_not_promise_it(voc, monkeypatch):
    from augpipe.run import dry_run

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(dry_run, "plans", interrupted)
    result = call("plan", voc, "-r", "gentle")
    assert (result.exit_code, result.stderr) == (130, "augpipe: stopped\n")
