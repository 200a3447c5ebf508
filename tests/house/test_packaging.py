"""What is published: a wheel that holds only augpipe and works on its own, somewhere else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from installing import PROJECT, ROOT, build_wheel, names_of


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


# --- what has to be installed ----------------------------------------------------------------------------------------

PINNED_BY = {"pydantic_core": "pydantic"}
"""Imported, and brought in exactly one version by what is declared."""
READ_BY_USERS = {"webdataset"}
"""Asked for and not imported: training code reads shards with it (README)."""

BROUGHT_BY_USERS = {"torchvision"}
"""Imported where the user asks for its types, who has it then."""


def imported(path: Path) -> set[str]:
    """The top-level names of everything that a file imports, inside functions, too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - {"__future__", "augpipe"} - sys.stdlib_module_names


def test_what_is_imported_is_declared_and_the_other_way_round():
    packages = {module: dists[0].lower() for module, dists in metadata.packages_distributions().items()}
    packages |= {"cupy": "cupy-cuda12x", "aiohttp": "aiohttp"}  # not in this environment, or not for itself
    files = [path for folder in ("augpipe", "cli") for path in (ROOT / folder).rglob("*.py")]
    found = {packages[PINNED_BY.get(name, name)] for path in files for name in imported(path) - BROUGHT_BY_USERS}
    optional = {name.lower() for extra in ("train", "http", "plots", "gpu-cu12") for name in names_of(extra)}
    core = {name.lower() for name in names_of()}
    assert found - core - optional == set()
    assert core - found == set()
    assert {name.lower() for name in names_of("train")} - found == READ_BY_USERS


def test_the_core_needs_nothing_of_the_extras():
    """Only the training side, the device, the web reader and the plots may import what the core does not bring."""
    extra = {"torch", "torchdata", "webdataset", "cupy", "aiohttp", "matplotlib"}
    files = {p.relative_to(ROOT).as_posix(): imported(p) & extra for p in (ROOT / "augpipe").rglob("*.py")}
    elsewhere = {name for name, found in files.items() if found and not name.startswith("augpipe/train/")}
    assert elsewhere == {
        "augpipe/pixels/cuda/cupy_device.py", "augpipe/storage/http_client.py", "augpipe/survey/plots.py",
    }  # fmt: skip
    assert {name for name, found in files.items() if "torchdata" in found} == {"augpipe/train/nodes.py"}


def test_no_text_says_that_augpipe_is_on_an_index():
    code = [path for folder in ("augpipe", "cli") for path in (ROOT / folder).rglob("*.py")]
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *code]
    assert [path.name for path in texts if re.search(r"pip install '?augpipe", path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("module", "library"),
    [("augpipe.loader", "torch"), ("augpipe.nodes", "torchdata"), ("augpipe", "torch")],
)
def test_the_training_side_says_what_it_needs(module, library):
    names = "ShardNode" if module == "augpipe.nodes" else "ShardDataset"
    code = f"import sys; sys.modules[{library!r}] = None\nfrom {module} import {names}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    where = "augpipe.loader" if module == "augpipe" else module
    first, second = done.stderr.splitlines()[-2:]
    assert first.startswith(f"augpipe.core.errors.MissingLibrary: {where} needs the extra train: ")
    assert library in first
    assert second == "pip install 'torch>=2.4' 'torchdata>=0.11' 'webdataset>=0.2.100'"


def test_constraints_leave_torch_its_own_cuda():
    """Its build for CUDA asks for exact versions of packages of NVIDIA's: pinning others would refuse every install."""
    pinned = set(
        re.findall(r"^((?:nvidia|cuda|cupy)[\w-]*)==", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    )
    used = re.search(r"^GPU_LIBRARIES := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[1].split()
    assert pinned <= set(used)


def test_the_page_names_every_library_that_goes_beside_another_opencv():
    """docs/install.md's way to keep another build of OpenCV: all that the core needs, but for the build itself."""
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    named = re.search(r"pip install --no-deps \.\n +pip install ([^\n]+)\n", page)[1].split()
    declared = {re.split(r"[><=]", line)[0] for line in PROJECT["dependencies"]}
    assert set(named) == declared - {"opencv-python-headless"}
