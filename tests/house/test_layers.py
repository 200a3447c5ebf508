"""The layers are those that docs/design.md draws: imports go down, and nothing imports in a circle."""

from __future__ import annotations

import ast
import re

import pytest
from import_graph import FILES, ROOT, circles, file_graph, imports_of, module_of, package_graph, package_of

PAGE = (ROOT / "docs" / "design.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", re.MULTILINE)
LAYERS = [package for package, _ in ROW.findall(PAGE)]

INSIDE_FUNCTIONS_ONLY: dict[str, str] = {}
"""Circles that are allowed as long as they are closed inside functions, with the reason. There is none."""


def declared() -> dict[str, set[str]]:
    """Package → what the page says that it imports."""
    found = {package: set(re.findall(r"`(\w+)`", text)) for package, text in ROW.findall(PAGE)}
    return {**found, "cli": set(LAYERS) - {"cli"} - found["cli"]}  # of the topmost, what it does not import


def test_the_page_has_every_package():
    there = {package_of(module) for module in FILES if module} | {"augpipe"}
    assert set(LAYERS) == there
    assert len(LAYERS) == len(set(LAYERS))


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_what_the_page_says(package):
    assert package_graph().get(package, set()) == declared()[package]


@pytest.mark.parametrize("package", LAYERS)
def test_imports_go_to_packages_further_up_the_table(package):
    below = LAYERS[LAYERS.index(package) :]
    assert declared()[package] & set(below) == set()


def test_no_file_imports_itself_through_others():
    assert circles(file_graph(inside_functions=False)) == []
    found = [group for group in circles(file_graph()) if not set(group) <= INSIDE_FUNCTIONS_ONLY.keys()]
    assert found == []


def test_drawing_knows_nothing_of_pixels():
    """A plan is made from sizes and labels: of pixels a recipe knows the step kinds, which bring no backend along."""
    graph = file_graph()
    named = {other for module in graph if module.startswith("recipe") for other in graph[module]}
    assert {m for m in named if m.startswith("pixels") and not m.startswith("pixels.steps.")} == set()
    at_the_top = file_graph(inside_functions=False)
    brought = {other for module in graph if module.startswith("pixels.steps") for other in at_the_top[module]}
    shared = {"pixels.bands", "pixels.reference"}
    assert {m for m in brought if not m.startswith(("core.", "pixels.steps."))} == shared
    assert {m for module in shared for m in at_the_top[module] if not m.startswith("core.")} == set()


def test_few_modules_lie_at_the_root_and_packages_are_small():
    root = [p.name for p in (ROOT / "augpipe").glob("*.py")]
    assert len(root) <= 5, root
    sizes = {folder: len(list(folder.glob("*.py"))) for folder in (ROOT / "augpipe").rglob("*") if folder.is_dir()}
    assert {folder.name: size for folder, size in sizes.items() if size > 16} == {}  # 15 and __init__


def test_no_file_is_long():
    lines = {m: len(p.read_text("utf-8").splitlines()) for m, p in FILES.items()}
    assert {module: count for module, count in lines.items() if count > 400} == {}


def test_no_package_is_named_like_a_function_of_the_library():
    functions = {"augment", "convert", "inspect", "verify", "preview", "read"}
    names = {p.stem for p in (ROOT / "augpipe").iterdir()}
    assert names & functions == set()


# --- the reader of imports -------------------------------------------------------------------------------------------


def test_imports_are_found_where_they_hide(tmp_path, monkeypatch):
    """At the top, in functions and classes, behind conditions, of modules and of names; not the type checker's."""
    text = """
import augpipe.run.task
from augpipe.core import geometry, plan
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from augpipe.train import dataset
else:
    from augpipe.pixels import cpu
try:
    import augpipe.survey.run as survey
except ImportError:
    pass
class A:
    from augpipe.labels.rle import rasterise
    def f(self):
        from augpipe.viz import sheet
        return lambda: __import__("augpipe")
"""
    path = ROOT / "augpipe" / "core" / "made_up.py"
    monkeypatch.setattr(type(path), "read_text", lambda self, *encoding: text)
    top = {"run.task", "core.geometry", "core.plan", "pixels.cpu", "survey.run", "labels.rle"}
    assert imports_of(path, inside_functions=False) == top
    assert imports_of(path) == top | {"viz.sheet"}
    assert module_of(path) == "core.made_up"


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert circles(graph) == [["d", "e"], ["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_no_two_public_classes_have_one_name():
    homes: dict[str, list[str]] = {}
    for file in sorted([*(ROOT / "augpipe").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(file.relative_to(ROOT).as_posix())
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


@pytest.mark.parametrize("file", sorted(FILES.values()), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_first_line_of_a_file_says_what_it_does(file):
    """docs/design.md sends a reader there."""
    assert re.match(r'""".{10,}[.:]("""$|$)|""".{10,}[.:] ', file.read_text("utf-8").split("\n")[0])
