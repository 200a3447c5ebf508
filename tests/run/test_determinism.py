"""The same bytes, whatever varies that must not matter; each variation is a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import pytest
from format_checker import check_folder
from killed import PROGRAM, Moment, killed_at, records
from places import HELPERS
from runs import promised, promised_manifest, run
from runs import records as samples_of

from augpipe.run.retry import finish

OPTIONS = ("--recipe", "detection", "--copies", "3", "--seed", "7")

# Names in the child are put in another order each time they are listed.
SHUFFLED = """
import os, random
class Entries:
    def __init__(self, found):
        self.found = list(found)
        random.shuffle(self.found)
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def __iter__(self): return iter(self.found)
    def __next__(self):
        if not self.found: raise StopIteration
        return self.found.pop()
    def close(self): pass
scandir, listdir = os.scandir, os.listdir
os.scandir = lambda *args: Entries(scandir(*args))
def shuffled(*args):
    return list(Entries(listdir(*args)))
os.listdir = shuffled
"""
ANEW = "import multiprocessing; multiprocessing.get_all_start_methods = lambda: ['spawn']\n"


def child(source: Path | str, folder: Path | str, *options: str, before: str = "", **how: Any) -> None:
    """Augment in a process of its own."""
    environment = {**os.environ, **how.pop("environment", {})}
    options = options if "--workers" in options else (*options, "--workers", "0")
    arguments = [sys.executable, "-c", before + PROGRAM, "augment", str(source), str(folder), *OPTIONS, *options]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, done.stderr


def assert_same(folder: Path, other: Path) -> None:
    assert promised(folder) == promised(other)
    assert promised_manifest(folder) == promised_manifest(other)
    assert {path.name for path in folder.iterdir()} == {path.name for path in other.iterdir()}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Eight pictures; two names differ in nothing but case, and two have letters that can be written in two ways."""
    folder = datasets.make_voc(tmp_path_factory.mktemp("determinism") / "voc", 8)
    for stem, name in (("img_005", "IMG_000"), ("img_006", "zoë"), ("img_007", "Ångström")):
        for sub, ending in (("Annotations", "xml"), ("JPEGImages", "jpg")):
            (folder / sub / f"{stem}.{ending}").rename(folder / sub / f"{unicodedata.normalize('NFC', name)}.{ending}")
    return folder


@pytest.fixture(scope="module")
def calm(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("calm") / "out"
    child(source, folder)
    assert check_folder(folder) == []
    return folder


# --- how it is carried out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_do_not_change_a_byte(source, calm, tmp_path, workers):
    child(source, tmp_path / "out", "--workers", str(workers))
    assert_same(tmp_path / "out", calm)


def test_workers_that_are_started_anew_do_not_change_a_byte(source, calm, tmp_path):
    """As where there is no fork server; they are not children of a process that has the program's main in it."""
    program = tmp_path / "program.py"
    program.write_text(f"{ANEW}if __name__ == '__main__':\n    {PROGRAM}\n")
    command = [sys.executable, str(program), "augment", str(source), str(tmp_path / "out"), *OPTIONS, "--workers", "2"]
    subprocess.run(command, check=True, capture_output=True)
    assert_same(tmp_path / "out", calm)


def test_going_on_in_another_way_does_not_change_a_byte(source, calm, tmp_path):
    """Killed with one worker, gone on with none and with two."""
    out = tmp_path / "out"
    assert killed_at(source, out, [*OPTIONS, "--workers", "1"], Moment(records=2))
    there = len(records(out))
    assert 2 <= there < 8
    child(source, out, "--workers", "2")
    assert_same(out, calm)


def test_slices_in_any_order_and_apart_do_not_change_a_byte(source, calm, tmp_path):
    slices = ("1..3/3", "0..1/3")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda i: child(source, tmp_path / str(i), "--tasks", slices[i]), range(2)))
    merged = tmp_path / "0"
    for path in (tmp_path / "1").glob("all-*"):
        shutil.copy(path, merged)
    assert not (merged / "manifest.json").exists()
    finish(merged)
    assert_same(merged, calm)


# --- where it is carried out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        {
            "OPENCV_CPU_DISABLE": "AVX2,AVX512_SKX,AVX512-SKX,AVX,FP16,SSE4.2,SSE4_2",
            "LC_ALL": "C",
            "LANG": "C",
            "PYTHONHASHSEED": "12345",
            "TZ": "Asia/Kathmandu",
        },
        {
            "OPENCV_CPU_DISABLE": "AVX512_SKX,AVX512-SKX",
            "LC_ALL": "tr_TR.UTF-8",
            "PYTHONHASHSEED": "0",
            "TZ": "America/St_Johns",
        },
    ],
    ids=["plain", "turkish"],
)
def test_the_environment_does_not_change_a_byte(source, calm, tmp_path, environment):
    child(source, tmp_path / "out", environment=environment)
    assert_same(tmp_path / "out", calm)


def test_place_and_umask_do_not_change_a_byte(source, calm, tmp_path):
    copied = shutil.copytree(source, tmp_path / "elsewhere" / "set")
    child("elsewhere/set", "out", cwd=tmp_path, umask=0o077)
    assert copied.is_dir()
    assert_same(tmp_path / "out", calm)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o600}


def test_the_order_of_the_file_system_does_not_change_a_byte(voc, coco, masks_folder, classes_folder, tmp_path):
    sources = (voc, coco, masks_folder, classes_folder)
    to_helpers = f"import sys; sys.path.insert(0, {str(HELPERS)!r})"
    code = f"{SHUFFLED}\n{to_helpers}\nfrom pathlib import Path\nfrom runs import run\n"
    for i, found in enumerate(sources):
        run(found, tmp_path / f"calm {i}", "classification", copies=2)
        code += f"run({str(found)!r}, Path({str(tmp_path / f'out {i}')!r}), 'classification', copies=2)\n"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    for i in range(len(sources)):
        assert promised(tmp_path / f"out {i}") == promised(tmp_path / f"calm {i}")


def test_the_form_of_file_names_does_not_change_a_byte(source, calm, tmp_path):
    """macOS takes letters apart; source keys are composed, wherever the set was copied from."""
    copied = shutil.copytree(source, tmp_path / "set")
    changed = 0
    for path in [p for p in copied.rglob("*") if p.is_file()]:
        name = unicodedata.normalize("NFD", path.name)
        changed += name != path.name
        path.rename(path.with_name(name))
    assert changed == 4
    run(copied, tmp_path / "out", copies=3, seed=7)
    assert_same(tmp_path / "out", calm)


def test_names_that_differ_in_case_alone_are_two_pictures(source, calm):
    hashes = {record["source"]["key"]: record["source"]["sha256"] for record in samples_of(calm).values()}
    assert {"img_000.jpg", "IMG_000.jpg", "zoë.jpg", "Ångström.jpg"} <= hashes.keys()
    assert len(set(hashes.values())) == len(hashes) == 8
