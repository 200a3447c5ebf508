"""The examples in docstrings run, where ``data/voc`` is a dataset."""

from __future__ import annotations

import doctest
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installing import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "augpipe").rglob("*.py")
    if "\n>>> " in path.read_text("utf-8") or "    >>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module, voc, tmp_path, monkeypatch):
    shutil.copytree(voc, tmp_path / "data" / "voc")
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0


def test_there_are_some_and_none_is_skipped():
    assert len(MODULES) > 5
    assert [m for m in MODULES if "doctest: +SKIP" in Path(importlib.import_module(m).__file__).read_text()] == []


LIBRARY = """
import sys
from pathlib import Path
import augpipe
from augpipe.conversion import convert
from augpipe.run.retry import finish, retry
from augpipe.survey import survey
from augpipe.verification import verify

kind = {"str": str, "path": Path}[sys.argv[1]]
shards, recipe = kind("shards"), kind("recipes/mine.yaml")
assert augpipe.augment(kind("data/voc"), shards, recipe).written == 9
assert augpipe.load_recipe(recipe).name == "mine"
assert len(augpipe.open_dataset(kind("data/voc")).entries) == 9
assert retry(shards, source=kind("data/voc")).failed is None
assert finish(shards).written == 9
assert verify(shards, kind("data/voc")).ok
assert survey(kind("data/voc")).pictures.count == 9
assert convert(kind("data/voc"), kind("coco"), "coco").pictures == 9
assert len(augpipe.ShardDataset(shards)) == 9
print("fine")
"""


@pytest.mark.parametrize("kind", ["str", "path"])
def test_the_library_takes_names_and_paths_in_a_script_without_a_guard(kind, voc, tmp_path):
    shutil.copytree(voc, tmp_path / "data" / "voc")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.yaml").write_text("version: 1\nsteps:\n- horizontal_flip\n")
    (tmp_path / "script.py").write_text(LIBRARY)
    done = subprocess.run(
        [sys.executable, "script.py", kind], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout) == ("", "fine\n")


@pytest.mark.parametrize(
    "place", ["s3://bucket/out", "gs://bucket/out", "https://host/out", "memory://x", "s3:/bucket/out"]
)
def test_a_place_that_is_not_local_is_refused_by_every_function(place, voc, tmp_path, monkeypatch):
    """It was written into a local folder of that name, and said to be fine."""
    import numpy as np

    import augpipe
    from augpipe.conversion import convert
    from augpipe.run.retry import finish, retry
    from augpipe.verification import open_source, verify
    from augpipe.viz.sheet import save_png

    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: augpipe.augment(voc, place, "gentle"),
        lambda: retry(place),
        lambda: finish(place),
        lambda: convert(voc, place, "coco"),
        lambda: convert(voc, f"{place}.json", "coco"),
        lambda: verify(place),
        lambda: open_source(voc, place),
        lambda: augpipe.ShardDataset(place),
        lambda: save_png(f"{place}.png", np.zeros((4, 4, 3), np.uint8)),
    ):
        with pytest.raises(augpipe.UsageError, match="expected a local path"):
            call()
    assert os.listdir(tmp_path) == []
