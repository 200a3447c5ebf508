"""A first run works wherever one stands: with a wheel in an environment of its own, in folders that hide modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import datasets
import pytest
from installing import ROOT, build_wheel, install

pytestmark = pytest.mark.slow

TRAPS = (
    "augpipe", "cli", "cv2", "numpy", "random", "json", "tempfile", "signal", "pickle", "socket", "select", "typing",
    "msgspec", "shapely", "pydantic", "PIL", "multiprocessing", "concurrent", "typer", "tqdm", "yaml", "ctypes",
)  # fmt: skip


@pytest.fixture(scope="module")
def augpipe(tmp_path_factory) -> Path:
    """The command of an installation that is not editable."""
    folder = tmp_path_factory.mktemp("installed")
    return install(build_wheel(folder), folder / "env")


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """A VOC dataset of so many pictures that conversion and inspection start processes."""
    folder = datasets.make_voc(tmp_path_factory.mktemp("many") / "voc", 2)
    picture = next((folder / "JPEGImages").iterdir())
    label = next((folder / "Annotations").iterdir())
    for number in range(3000):
        (folder / "JPEGImages" / f"more_{number}.jpg").hardlink_to(picture)
        text = label.read_text().replace(picture.name, f"more_{number}.jpg")
        (folder / "Annotations" / f"more_{number}.xml").write_text(text)
    return folder


def place_with_traps(folder: Path) -> Path:
    """A folder with modules that leave a mark when they are imported, and fail."""
    for name in TRAPS:
        code = f"open({str(folder / 'MARK')!r}, 'a').write('{name} ')\nraise SystemExit('{name} of the folder')\n"
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(code)
    return folder


def a_clone(folder: Path) -> Path:
    """A checkout: ``augpipe/`` is there, and has no ``augpipe.cli``."""
    shutil.copytree(ROOT / "augpipe", folder / "augpipe")
    shutil.copytree(ROOT / "cli", folder / "cli")
    return folder


@pytest.mark.parametrize("place", [place_with_traps, a_clone], ids=["traps", "clone"])
def test_every_command_that_starts_processes_works_in_any_folder(place, augpipe, voc, many, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    place(here)

    def call(*arguments: object) -> str:
        done = subprocess.run(
            [augpipe, *map(str, arguments)], cwd=here, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        assert not (here / "MARK").exists(), (arguments, (here / "MARK").read_text())
        return done.stdout

    out = tmp_path / "out"
    call("augment", voc, out, "-r", "detection", "-n", 2, "-w", 2)
    assert json.loads((out / "manifest.json").read_text())["totals"]["written"] == 18
    call("retry", out, "--all", "-w", 2)
    call("convert", "voc-to-coco", many, tmp_path / "many.json", "-w", 2)
    assert len(json.loads((tmp_path / "many.json").read_text())["images"]) == 3002
    if place is a_clone:  # it hides one package; the other place hides many, and is tried with every command
        return
    assert "nothing is off" in call("verify", out, "--against", voc, "-w", 2)
    assert "3,002" in call("inspect", many, "-w", 2)
    call("preview", voc, "-r", "detection", "-o", tmp_path / "sheet.png")
    assert "fine" in call("doctor")
    assert "detection" in call("recipes", "list")
    assert call("plan", voc, "-r", "detection", "--limit", 1).startswith("{")


SCRIPT = """
import sys
print("run", flush=True)
from augpipe import RunOptions, augment, load_recipe
from augpipe.run.augment import Execution
done = augment(*sys.argv[1:], load_recipe("gentle"), RunOptions(copies=2), execution=Execution(workers=2))
print(done.written)
"""


def test_a_script_that_guards_nothing_is_not_run_again(augpipe, voc, tmp_path):
    """multiprocessing runs the caller's program in every worker, so without a guard it would start itself again."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    here = tmp_path / "here"
    here.mkdir()
    place_with_traps(here)
    command = [augpipe.with_name("python"), script, voc, tmp_path / "out"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout.split(), done.stderr) == (["run", "18"], "")
    assert not (here / "MARK").exists()


def test_it_is_the_wheel_that_runs(augpipe, tmp_path):
    code = "import augpipe, augpipe.cli.main; print(augpipe.__file__, augpipe.cli.main.__file__)"
    done = subprocess.run(
        [augpipe.with_name("python"), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert all(path.startswith(str(augpipe.parent.parent)) for path in done.stdout.split())


def test_without_a_home_and_a_writable_folder(augpipe, voc, tmp_path):
    """As an ordinary user of a container may be; root writes to any folder as long as it has its capabilities."""
    here = tmp_path / "here"
    here.mkdir()
    here.chmod(0o555)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    unprivileged: list[object] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if unprivileged and shutil.which("setpriv") is None:
        pytest.skip("setpriv, by which root gives up its rights, is not there")
    tried = subprocess.run([*unprivileged, "touch", here / "x"], capture_output=True, check=False)
    assert tried.returncode != 0
    for arguments in (["doctor"], ["augment", voc, tmp_path / "out", "-r", "gentle", "-w", "2"]):
        done = subprocess.run(
            [*unprivileged, augpipe, *arguments],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert list(here.iterdir()) == []
