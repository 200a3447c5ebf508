"""Which file of the product imports which, read from the code: at the top of files and inside functions."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from places import ROOT

Graph = dict[str, set[str]]


def module_of(path: Path) -> str:
    """``augpipe/run/task.py`` as ``run.task``, ``cli/main.py`` as ``cli.main``, a package by its own name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "augpipe" else parts
    return ".".join(parts).removesuffix("__init__").rstrip(".")


FILES = {module_of(p): p for folder in ("augpipe", "cli") for p in (ROOT / folder).rglob("*.py")}


def imports_of(path: Path, *, inside_functions: bool = True) -> set[str]:
    """The modules of the product that a file imports; not those that only the type checker sees."""
    found: set[str] = set()

    def visit(node: ast.AST, deep: bool) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for child in node.orelse:
                visit(child, deep)
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            deep = True
        if not (deep and not inside_functions):
            found.update(_named(node, path))
        for child in ast.iter_child_nodes(node):
            visit(child, deep)

    visit(ast.parse(path.read_text("utf-8")), False)
    return found - {module_of(path)}


def _named(node: ast.AST, path: Path) -> set[str]:
    if isinstance(node, ast.Import):
        names = {alias.name for alias in node.names if alias.name.startswith("augpipe.")}
        return {name.removeprefix("augpipe.") for name in names}
    if not isinstance(node, ast.ImportFrom):
        return set()
    if node.level:  # of the command line, whose files name each other
        base = ".".join([module_of(path).split(".")[0], *(node.module or "").split(".")]).rstrip(".")
    elif node.module == "augpipe" or (node.module or "").startswith("augpipe."):
        base = (node.module or "").removeprefix("augpipe").lstrip(".")
    else:
        return set()
    return {found for alias in node.names if (found := _one(base, alias.name)) is not None}


def _one(base: str, name: str) -> str | None:
    full = f"{base}.{name}".strip(".")
    return full if full in FILES else base if base in FILES and base else None


def file_graph(*, inside_functions: bool = True) -> Graph:
    """Module → the modules that it imports."""
    return {name: imports_of(path, inside_functions=inside_functions) for name, path in FILES.items() if name}


def package_of(module: str) -> str:
    """The package at the top that a module is in; modules at the root are ``augpipe``."""
    top = module.partition(".")[0]
    return top if (ROOT / "augpipe" / top).is_dir() or top == "cli" else "augpipe"


def package_graph() -> Graph:
    """Package at the top → the packages that its files import, itself left out."""
    out: Graph = defaultdict(set)
    for module, imported in file_graph().items():
        out[package_of(module)] |= {package_of(other) for other in imported} - {package_of(module)}
    return dict(out)


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules of which each can be reached from each (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1:
                found.append(group)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found
