"""What the documentation says is true: commands run, recipes load, Python works, links lead somewhere."""

from __future__ import annotations

import gc
import re
import shlex
import shutil

import datasets
import pytest
from annotated import EXAMPLES
from command_line import call
from conversions import dota_of, yolo_of
from documents import FENCE, commands
from exports import make_exports
from packing import packed
from places import ROOT

from augpipe.recipe import yaml_reader
from augpipe.recipe.load import compiled

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
def workplace(tmp_path, voc, coco, monkeypatch):
    """A folder with what the documentation's commands expect, as the current one."""
    datasets.make_voc(tmp_path / "data" / "voc", lists=("train", "val"))
    shutil.copytree(coco, tmp_path / "data" / "coco")
    packed(voc, tmp_path / "data" / "voc.tar", "VOCdevkit/VOC2012/")
    packed(coco, tmp_path / "data" / "coco.zip")
    datasets.make_classes(tmp_path / "data" / "classes")
    yolo_of(tmp_path / "data" / "yolo", train__a="0 .5 .5 .2 .2\n", train__b="1 .5 .5 .2 .2\n")
    dota_of(tmp_path / "data" / "dota", P0001="1 1 9 1 9 9 1 9 plane 0\n")
    for name, make in EXAMPLES.items():
        make(tmp_path / "data" / name)
    make_exports(tmp_path / "data")
    (tmp_path / "my.yaml").write_text("version: 1\nsteps:\n  - horizontal_flip: {p: 0.5}\n")
    theirs = next(
        block
        for language, block in FENCE.findall((ROOT / "docs" / "import.md").read_text("utf-8"))
        if language == "yaml"
    )
    (tmp_path / "aug.yaml").write_text(theirs)
    (tmp_path / "args.yaml").write_text(
        "task: detect\nimgsz: 640\nhsv_h: 0.015\ndegrees: 5.0\nfliplr: 0.5\nmosaic: 1.0\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_runs(page, workplace):
    for line in commands(page.read_text("utf-8")):
        arguments = shlex.split(line.split(" > ")[0].split("  #")[0])[1:]
        if arguments[0] in ("augment", "tile", "crops"):
            arguments += ["--workers", "0"]
        result = call(*arguments)
        assert result.exit_code == 0, f"{page.name}: {line}\n{result.output}"


def test_the_readme_has_commands():
    assert len(commands((ROOT / "README.md").read_text("utf-8"))) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_recipe_loads(page):
    for language, block in FENCE.findall(page.read_text("utf-8")):
        if language == "yaml" and "steps:" in block:
            compiled(yaml_reader.read(page.name, block), page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_python_of_the_readme_runs(workplace):
    blocks = [b for language, b in FENCE.findall((ROOT / "README.md").read_text("utf-8")) if language == "python"]
    call("augment", "data/voc", "shards", "--recipe", "detection", "--copies", "2", "--workers", "0")
    for block in blocks:
        exec(compile(block.replace("num_workers=2", "num_workers=0"), "README.md", "exec"), {"__name__": "__main__"})
    assert len(blocks) == 2
    assert (workplace / "by_python" / "manifest.json").is_file()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_python_of_tiles_and_crops_runs(workplace):
    blocks = [
        b for language, b in FENCE.findall((ROOT / "docs" / "tile.md").read_text("utf-8")) if language == "python"
    ]
    call("crops", "data/voc", "objects", "--workers", "0", "--sources-per-shard", "99")
    names = {}
    for block in blocks:
        exec(compile(block, "tile.md", "exec"), names)
    assert len(blocks) == 2
    labels = [label for _, label in names["pairs"]]
    assert labels
    assert all(isinstance(label, int) for label in labels)
    assert names["done"].written == names["done"].pictures  # one tile each
    del names["pairs"]
    gc.collect()  # webdataset leaves its files open


def test_the_targets_of_the_makefile_are_those_named():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        for target in re.findall(r"(?:^|`|    )make (\w+)", page.read_text("utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
