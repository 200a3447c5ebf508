"""Every file of the repository that a page or a docstring names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from places import ROOT

import augpipe

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/*.md"), *ROOT.glob("benchmarks/*.md")])
TO_BE_ADDED = ("sepia", "median")
"""Files that CONTRIBUTING.md shows how to add."""

_PATH = re.compile(r"`((?:augpipe|cli|tests|docs|benchmarks|examples|recipes)/[\w./*-]*)(?:::\w+)?`")
_MODULE = re.compile(r":(?:mod|func|class|data|meth):`~?(augpipe(?:\.\w+)+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_that_a_page_names_exist(page):
    if page.name == "CHANGELOG.md":  # tells of the past
        return
    named = set(_PATH.findall(page.read_text("utf-8")))
    assert [name for name in sorted(named) if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    return Path(name).stem in TO_BE_ADDED or bool(list(ROOT.glob(name.replace("NAME", "*"))))


def test_modules_and_names_that_docstrings_refer_to_exist():
    missing = []
    for file in sorted([*(ROOT / "augpipe").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]):
        for name in _MODULE.findall(file.read_text("utf-8")):
            if not _exists(name):
                missing.append(f"{file.relative_to(ROOT)}: {name}")
    assert missing == []


def _exists(name: str) -> bool:
    """Whether a dotted name is a module's file, or a name that such a file defines."""
    parts = name.split(".")
    if len(parts) == 2 and parts[1] in augpipe.__all__:
        return True
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.is_dir():
            return length == len(parts)
        if path.with_suffix(".py").exists():
            text = path.with_suffix(".py").read_text("utf-8")
            return all(re.search(rf"^\s*(?:class|def) {part}\b|^\s*{part}\b.*=", text, re.M) for part in parts[length:])
    return False
