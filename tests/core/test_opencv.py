"""OpenCV is loaded where it is used, by one file, and where it cannot be loaded that file says the way out."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from installing import ROOT

from augpipe.core import opencv
from augpipe.core.opencv import BUILDS, cv2, installed_builds, way_out
from augpipe.doctor import facts
from augpipe.pixels.cuda.probe import Probe

FAULTS = {
    "another build's library": (
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
        "libGL.so.1: cannot open shared object file",
    ),
    "files removed with another build": ("", "module 'cv2' has no attribute 'remap'"),
    "a disk that fails": ("raise OSError('cannot map the file')", "cannot map the file"),
    "built for another machine": (
        "raise RuntimeError('module compiled against ABI 9')",
        "module compiled against ABI 9",
    ),
    "not there": ("raise ModuleNotFoundError(\"No module named 'cv2'\")", "No module named 'cv2'"),
}


def with_cv2(text: str, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command where ``import cv2`` finds a module of this text."""
    (folder / "cv2").mkdir(exist_ok=True)
    (folder / "cv2" / "__init__.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-P", "-c", "from augpipe.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


# Each fault in the run's workers or, which takes less time, in the command's own process, and one of them in both.
NEED_IT = [("another build's library", "augment"), *((fault, "preview") for fault in FAULTS)]


@pytest.mark.parametrize(("fault", "command"), NEED_IT)
def test_commands_that_need_it_say_why_it_does_not_load_and_the_way_out(fault, command, voc, tmp_path):
    text, why = FAULTS[fault]
    more = {"augment": [tmp_path / "out", "-w", 1], "preview": ["-o", tmp_path / "x.png"]}[command]
    done = with_cv2(text, tmp_path, command, voc, "-r", "gentle", *more)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()[-2:]
    assert first.startswith("augpipe: OpenCV cannot be loaded: ")
    assert why in first
    assert "Traceback" not in done.stderr
    assert second == "         pip install --force-reinstall --no-deps opencv-python-headless"


# Several command lines in one process, and what each of them has loaded by its end.
ONE_BY_ONE = """
import json, sys
from augpipe.cli.main import main
ends = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["augpipe", *words]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    ends.append([words, code, "cv2" in sys.modules])
print(file=sys.stderr)
print(json.dumps(ends), file=sys.stderr)
"""


def ends_of(commands: list[list[object]], **environment: str) -> list[list[object]]:
    """(Command line, exit code, whether OpenCV is loaded) of each."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-P", "-c", ONE_BY_ONE, words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stderr.splitlines()[-1])


def test_what_does_not_need_it_works(voc, tmp_path):
    """With a module that fails when it is imported."""
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(FAULTS["another build's library"][0])
    commands = [
        ["--version"],
        ["--help"],
        ["augment", "--help"],
        ["recipes", "list"],
        ["recipes", "check", "detection"],
        ["recipes", "operations", "affine"],
        ["inspect", voc],
        ["convert", "voc-to-coco", voc, tmp_path / "x.json"],
        ["plan", voc, "-r", "gentle"],
    ]
    ends = ends_of(commands, PYTHONPATH=str(tmp_path))
    assert [code for _, code, _ in ends] == [0] * len(commands), ends


@pytest.mark.parametrize("fault", FAULTS)
def test_doctor_says_why_it_does_not_load(fault, tmp_path):
    text, why = FAULTS[fault]
    done = with_cv2(text, tmp_path, "doctor")
    assert done.returncode == 1
    assert f"OpenCV cannot be loaded: {why}" in done.stdout
    assert "pip install --force-reinstall --no-deps opencv-python-headless" in done.stdout
    assert done.stderr == "augpipe: exact moves, warp, color, jpeg: not as expected on this machine\n"


def test_doctor_is_not_confused_by_what_libraries_print(tmp_path):
    text = "print('hello'); print('{}'); print('[1]'); raise ImportError('libGL')"
    done = with_cv2(text, tmp_path, "doctor")
    assert done.returncode == 1
    assert "OpenCV cannot be loaded: libGL" in done.stdout
    text = "import os, sys; sys.stderr.write('wrong processor\\n'); sys.stderr.flush(); os._exit(7)"
    done = with_cv2(text, tmp_path, "doctor")
    assert "not done: the process ended with exit code 7: wrong processor" in done.stdout


def test_doctor_outlives_a_library_that_brings_its_process_down(tmp_path):
    """As one that was built for another processor does."""
    done = with_cv2("import os, signal; os.kill(os.getpid(), signal.SIGILL)", tmp_path, "doctor")
    assert done.returncode == 1
    assert "not done: the process was ended by SIGILL" in done.stdout


def test_commands_that_do_not_load_it():
    ends = ends_of([["--version"], ["--help"], ["recipes", "list"], ["recipes", "schema"], ["doctor"]])
    assert [(code, loaded) for _, code, loaded in ends] == [(0, False)] * 5, ends


def test_one_file_imports_it():
    files = [path for folder in ("augpipe", "cli") for path in (ROOT / folder).rglob("*.py")]
    importing = [
        path.relative_to(ROOT).as_posix()
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "cv2" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cv2")
    ]
    assert importing == ["augpipe/core/opencv.py"]


def test_several_builds_are_told(monkeypatch):
    there = {"opencv-python-headless": "4.14.0", "opencv-python": "5.0.0", "opencv-contrib-python": "5.0.0"}

    def version(name):
        if name not in there:
            raise opencv.metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(opencv.metadata, "version", version)
    assert installed_builds() == {name: there[name] for name in BUILDS if name in there}
    reinstall = "pip install --force-reinstall --no-deps opencv-python-headless"
    removed = f"pip uninstall --yes opencv-python opencv-contrib-python; {reinstall}"
    assert way_out("") == removed
    assert way_out("libGL.so.1: cannot open") == f"that build needs libraries of a desktop: {removed}"
    row = dict(facts(Probe))["opencv"]
    assert "are both installed and share the folder cv2; keep one of them: pip uninstall --yes opencv-python" in row
    del there["opencv-python"], there["opencv-contrib-python"]
    assert dict(facts(Probe))["opencv"] == "opencv-python-headless 4.14.0"
    assert way_out("libGL.so.1: cannot open") == reinstall


def test_it_is_the_real_module_with_its_attributes_kept():
    import cv2 as real

    assert cv2.remap is real.remap
    assert cv2.__version__ == real.__version__
    assert "remap" in vars(cv2)
    with pytest.raises(AttributeError):
        _ = cv2.no_such_function
    with pytest.raises(AttributeError):
        _ = cv2.__wrapped__
