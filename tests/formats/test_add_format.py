"""A format is one package: the listings in CONTRIBUTING.md are loaded as they stand, and work everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest
from builders import opened, read_all, rejected
from command_line import call
from documents import FENCE
from places import ROOT

from augpipe import formats
from augpipe.conversion import convert
from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.catalogue import FORMATS, holds_markdown, pairs, register
from augpipe.formats.registry import recognised

SECTION = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Add a format\n")[1].split("\n## ")[0]
LISTINGS = dict(zip(("__init__", "read", "write"), (text for _, text in FENCE.findall(SECTION)), strict=True))


@pytest.fixture
def tsv_format(tmp_path_factory, monkeypatch):
    """The package of the listings, beside those of augpipe, and registered as long as a test runs."""
    folder = tmp_path_factory.mktemp("formats")
    (folder / "tsv").mkdir()
    for name, text in LISTINGS.items():
        (folder / "tsv" / f"{name}.py").write_text(text)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder)])
    try:
        register(import_module("augpipe.formats.tsv").FORMAT)
        yield
    finally:
        FORMATS.pop("tsv", None)
        for name in [name for name in sys.modules if name.startswith("augpipe.formats.tsv")]:
            del sys.modules[name]


@pytest.fixture
def table(tsv_format, voc, tmp_path):
    convert(voc, tmp_path / "tsv", "tsv")
    return tmp_path / "tsv"


def test_the_listings_are_as_the_code_of_the_house(tsv_format):
    folder = formats.__path__[-1]
    command = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--ignore", "D102,D103"]
    found = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_commands_errors_and_tables_follow(tsv_format, tmp_path):
    assert {"tsv-to-coco", "tsv-to-voc", "coco-to-tsv", "shards-to-tsv"} <= set(pairs())
    assert "TSV (labels.tsv)" in call("inspect", tmp_path).stderr
    assert "| boxes | from one pixel on | yes | yes | as oriented ones | yes |" in holds_markdown()


def test_it_is_written_and_what_it_cannot_hold_is_counted(tsv_format, voc, tmp_path):
    report = convert(voc, tmp_path / "out", "tsv")
    source = opened(voc)
    objects = sum(len(labels.objects) for labels in read_all(source))
    assert (report.pictures, report.objects) == (len(source.entries), objects)
    assert report.losses["truncated, difficult and occluded flags"] > 0
    assert report.examples["truncated, difficult and occluded flags"].endswith("object 1")
    rows = (tmp_path / "out" / "labels.tsv").read_text().splitlines()
    assert len(rows) == objects
    assert {path.name for path in (tmp_path / "out" / "images").iterdir()} == {entry.key for entry in source.entries}


def test_it_is_detected_and_read_back_the_same(table, voc):
    assert recognised(str(table)) == ["tsv"]
    before, after = opened(voc), opened(table)
    assert after.format == "tsv"
    names = [{c.id: c.name for c in source.categories} for source in (before, after)]
    for one, other in zip(read_all(before), read_all(after), strict=True):
        assert one.objects.boxes_xyxy.tolist() == other.objects.boxes_xyxy.tolist()
        assert [names[0][i] for i in one.objects.category_id] == [names[1][i] for i in other.objects.category_id]


def test_it_is_converted_inspected_augmented_and_verified(table, voc, tmp_path):
    direct, round_about = (tmp_path / name for name in ("direct.json", "round_about.json"))
    assert call("convert", "voc-to-coco", voc, direct).exit_code == 0
    assert call("convert", "tsv-to-coco", table, round_about).exit_code == 0
    boxes = [[row["bbox"] for row in json.loads(path.read_text())["annotations"]] for path in (direct, round_about)]
    assert boxes[0] == boxes[1]
    report = json.loads(call("inspect", table, "--json", "-w", 0).stdout)
    assert report["format"] == "tsv"
    run = call("augment", table, tmp_path / "shards", "--recipe", "gentle", "-w", 0)
    assert run.exit_code == 0, run.stderr
    assert call("verify", tmp_path / "shards", "-w", 1).exit_code == 0
    back = call("convert", "shards-to-tsv", tmp_path / "shards", tmp_path / "back", "-w", 0)
    assert "tsv has no place for: " in back.stdout
    assert recognised(str(tmp_path / "back")) == ["tsv"]


def test_damage_is_an_error_or_a_reject(table):
    good = (table / "labels.tsv").read_text()
    first = good.partition("\t")[0]
    (table / "labels.tsv").write_text(f"{first}\t1\t2\tx\t4\tcat\n" + good)
    assert isinstance(rejected(opened(table), first), Reject)
    (table / "labels.tsv").write_text(f"{first}\t5\t2\t5\t4\tcat\n")
    labels = read_all(opened(table))
    assert [d.reason for one in labels for d in one.dropped] == ["degenerate"]
    (table / "labels.tsv").write_text("1\t2\t3\n")
    with pytest.raises(DatasetError, match=r"labels.tsv:1: expected picture,x1,y1,x2,y2,class, got 3 fields"):
        opened(table)
