"""What is published: a wheel that holds only augpipe and works on its own, somewhere else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy of what git would publish, so that stray files and build folders cannot help.
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


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


def test_the_wheel_runs_in_an_empty_environment_from_another_folder(wheel, voc, tmp_path):
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # What augpipe depends on is taken from here, without the editable augpipe: .pth files are not followed twice.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = home / "bin" / "python"
    away = tmp_path / "elsewhere"
    away.mkdir()

    def call(*arguments: str) -> str:
        code = "import sys; from augpipe.cli.main import main; sys.argv[0] = 'augpipe'; main()"
        done = subprocess.run([python, "-c", code, *arguments], cwd=away, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [python, "-c", "import augpipe; print(augpipe.__file__)"], cwd=away, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(home))
    assert "detection" in call("recipes", "list")
    call("augment", str(voc), "out", "--recipe", "gentle", "--workers", "1", "--limit", "3")
    assert json.loads((away / "out" / "manifest.json").read_text())["totals"]["written"] == 3


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
