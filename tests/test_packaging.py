"""What is published: a wheel that holds only augpipe and works on its own, somewhere else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from installing import ROOT, build_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_only_augpipe(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "augpipe",
        next(n.split("/")[0] for n in names if "dist-info" in n),
    }
    assert "augpipe/py.typed" in names
    assert "augpipe/recipes/detection.yaml" in names
    assert "augpipe/cli/main.py" in names
    assert not [name for name in names if "test" in name]


def test_every_module_is_in_the_wheel(wheel):
    """A package missing from the list in pyproject.toml works in a checkout and is absent from the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "augpipe").rglob("*.py")}
    modules |= {p.relative_to(ROOT).as_posix() for p in (ROOT / "augpipe").rglob("*.cu")}
    modules |= {f"augpipe/{p.relative_to(ROOT).as_posix()}" for d in ("cli", "recipes") for p in (ROOT / d).glob("*.*")}
    assert {m for m in modules if "__pycache__" not in m} - names == set()


def test_the_packages_listed_are_the_folders_there():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    block = re.search(r"^packages = \[(.*?)\]", text, re.DOTALL | re.MULTILINE)
    listed = set(re.findall(r'"([\w.]+)"', block[1]))
    there = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "augpipe").rglob("__init__.py")}
    assert listed == there | {"augpipe.cli", "augpipe.recipes"}


def test_the_version_is_the_package_s(wheel):
    import augpipe

    assert f"-{augpipe.__version__}-" in wheel.name


def test_nothing_large_is_in_the_repository():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    assert {name: size for name, size in sizes.items() if size > 1_000_000} == {}


def test_no_program_hides_a_module_of_python():
    """The folder of a program comes first on its path, so ``inspect.py`` would stand in for Python's own."""
    programs = [path for folder in ("benchmarks", "examples", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert len(programs) > 10
    assert [path.name for path in programs if path.stem in sys.stdlib_module_names] == []
