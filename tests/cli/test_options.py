"""Every option of every command does what it says: `option_table` has one row an option, or the test that tries it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from builders import contents, object_xml, voc_xml, write_voc
from command_line import call
from option_table import EVERYWHERE, RECIPES, ROWS, TRIED, Row, options_of, plain, two_classes, two_folders_of_pictures
from places import TESTS
from runs import promised

from augpipe.core import parallel
from augpipe.formats.registry import open_dataset
from augpipe.recipe.load import load
from augpipe.run.dry_run import plans, samples
from augpipe.run.engine.local import LocalProcesses
from augpipe.viz.sheet import MARGIN, TITLE_HEIGHT

SETS = [pytest.param(row, id=name) for name, row in ROWS.items() if "augment" in row.commands]
OTHERS = [
    pytest.param(row, command, id=f"{command} {name}")
    for name, row in ROWS.items()
    for command in row.commands
    if command != "augment"
]


# --- no option is forgotten ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", TRIED)
def test_every_option_has_a_row_or_a_test(command):
    in_table = {
        name
        for name, row in ROWS.items()
        if command in row.commands or (command == "convert" and any("-to-" in c for c in row.commands))
    }
    tried = {**EVERYWHERE, **TRIED[command]}
    assert set(options_of(command)) - in_table - set(tried) == set()
    assert set(TRIED[command]) <= set(options_of(command))
    for name in set(options_of(command)) & set(tried) - in_table:
        file, _, test = tried[name].partition("::")
        assert re.search(rf"^def {test}\(", (TESTS / file).read_text("utf-8"), re.MULTILINE), tried[name]


# --- what an option decides ------------------------------------------------------------------------------------------


def made(row: Row, folder: Path) -> Path:
    """The source of a row, and the recipes beside it."""
    for name, text in RECIPES.items():
        (folder / name).write_text(text)
    return row.source(folder)


def filled(arguments: tuple[str, ...], folder: Path) -> list[str]:
    return [argument.format(folder=folder) for argument in arguments]


def succeeds(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout


def configuration(folder: Path, path: str) -> Any:
    """The value at a path of run.json's configuration; ``None`` if it is not there, as where it is the default."""
    value = json.loads((folder / "run.json").read_bytes())["config"]
    for name in path.split("."):
        value = value.get(name)
    return value


@pytest.mark.parametrize("row", SETS)
def test_augment_and_what_goes_on_with_its_folder(row, tmp_path):
    """Other bytes, another configuration, no mixture of both, and `retry` and `verify` know it from the folder."""
    source = made(row, tmp_path)
    recipe = [] if row.one[:1] == ("-r",) else ["-r", tmp_path / row.recipe]
    folders = []
    for name, value in (("one", row.one), ("two", row.two)):
        arguments = [
            "augment",
            source,
            tmp_path / f"out {name}",
            "-w",
            0,
            *recipe,
            *row.always,
            *filled(value, tmp_path),
        ]
        succeeds(*arguments)
        folders.append((tmp_path / f"out {name}", arguments))
    (one, _), (two, as_two) = folders
    assert promised(one)["tars"] != promised(two)["tars"]
    assert configuration(one, row.config) != configuration(two, row.config)

    before = contents(one)
    mixed = call(*as_two[:2], one, *as_two[3:])
    assert mixed.exit_code == 2, mixed.output
    assert len(mixed.stderr.strip().splitlines()) <= 3
    assert f"{one}" in mixed.stderr
    assert contents(one) == before

    for folder, arguments in folders:
        whole = promised(folder)
        for lost in list(whole["tars"])[:1]:
            (folder / lost).unlink()
        succeeds("retry", folder, "-w", 0, *row.always)
        assert promised(folder) == whole
        places = [a for i, a in enumerate(arguments) if {"--classes", "--images"} & {a, arguments[i - 1]}]
        succeeds("verify", folder, "--against", source, "-w", 0, *places)


def shown(command: str, row: Row, value: tuple[str, ...], source: Path, folder: Path) -> Any:
    """What a command makes of a source with some value: nothing that only repeats the value."""
    arguments = filled(value, folder)
    recipe = [] if row.one[:1] == ("-r",) else ["-r", folder / row.recipe]
    if command == "plan":
        return re.sub(r'"seed":\d+', "", succeeds("plan", source, *recipe, *arguments))
    if command == "preview":
        succeeds("preview", source, "-o", folder / "sheet.png", *recipe, *arguments)
        return cv2.imread(str(folder / "sheet.png"))[MARGIN + TITLE_HEIGHT :]
    if command == "inspect":
        return json.loads(succeeds("inspect", source, "--json", *arguments))
    target = folder / "target"
    if command == "tile":
        succeeds("tile", source, target, "--size", 320, "--pad", "-w", 0, "--overwrite", *row.always, *arguments)
        return promised(target)["tars"]
    succeeds("convert", command, source, target, *arguments)
    found = contents(target)
    shutil.rmtree(target)
    return found


@pytest.mark.parametrize(("row", "command"), OTHERS)
def test_other_commands_take_it_with_the_same_meaning(row, command, tmp_path):
    source = made(row, tmp_path)
    one, two = (shown(command, row, value, source, tmp_path) for value in (row.one, row.two))
    assert not np.array_equal(one, two) if isinstance(one, np.ndarray) else one != two


def test_classes_decide_what_can_be_planned(tmp_path):
    source = two_classes(tmp_path)
    (tmp_path / "cats.txt").write_text("cat\n")
    assert '"plan"' in succeeds("plan", source, "-r", "gentle", "--classes", tmp_path / "one.txt")
    (tmp_path / "own.yaml").write_text(
        "version: 1\nlabels: {classes: {dog: {min_side: 3}}}\nsteps: [horizontal_flip]\n"
    )
    own = ("-r", tmp_path / "own.yaml")
    assert '"plan"' in succeeds("plan", source, *own)
    for chosen in (("--classes", tmp_path / "cats.txt"), ("--map", "dog=cat")):
        for command in (("plan", source), ("preview", source, "-o", tmp_path / "sheet.png")):
            result = call(*command, *own, *chosen)
            assert result.exit_code == 2
            assert "no class 'dog' in the dataset" in result.stderr


def test_a_preview_is_spread_over_the_dataset(tmp_path):
    dataset = open_dataset(str(plain(tmp_path)))
    found = [sampled.key for sampled in samples(dataset, load("gentle"), 0, 1, most=2)]
    assert found == [dataset.entries[i].key for i in (0, 2)]


def test_an_empty_dataset_has_no_plans(tmp_path):
    """That none of its pictures is there is no reason to look for them elsewhere."""
    dataset = replace(open_dataset(str(plain(tmp_path))), entries=[])
    assert list(plans(dataset, load("gentle"), 0, 1)) == []


def test_verify_reads_a_source_as_it_is_told_to(tmp_path):
    for option, source in (("--classes", two_classes(tmp_path)), ("--images", two_folders_of_pictures(tmp_path))):
        one, two = (tmp_path / f"{name}{'.txt' if option == '--classes' else ''}" for name in ("one", "two"))
        out = tmp_path / option.strip("-")
        succeeds("augment", source, out, "-r", "gentle", "-w", 0, option, one)
        succeeds("verify", out, "--against", source, "-w", 0, option, one)
        assert call("verify", out, "--against", source, "-w", 0, option, two).exit_code == 1


def test_so_many_samples_are_compared(tmp_path):
    source = plain(tmp_path)
    succeeds("augment", source, tmp_path / "out", "-r", "gentle", "-n", 2, "-w", 0)
    for asked, compared in ((), 8), (("--samples", 3), 3), (("--samples", 99), 8):
        verdict = json.loads(succeeds("verify", tmp_path / "out", "--against", source, "-w", 0, "--json", *asked))
        assert (verdict["samples"], verdict["checked"]) == (8, compared)


# --- what must change nothing ----------------------------------------------------------------------------------------


def test_limits_decide_the_exit_code_alone(tmp_path):
    """A picture of two is rejected; of the other, half the objects are dropped, as they become smaller."""
    small = object_xml("dog", (1, 1, 2, 2))
    source = write_voc(tmp_path / "voc", {"a": voc_xml(object_xml(), small), "b": voc_xml(object_xml())})
    (source / "JPEGImages" / "b.jpg").write_bytes(b"none")
    (tmp_path / "r.yaml").write_text("version: 1\nlabels: {min_side: 3}\nsteps: [{resize: {longest: 18}}]\n")
    allowed = ("--max-rejects", "50%", "--max-dropped", "1")
    codes = {
        ("--max-rejects", "0"): 1,
        ("--max-rejects", "50%"): 0,
        ("--max-rejects", "1", "--max-dropped", "0"): 1,
        allowed: 0,
    }
    out = tmp_path / "out"
    for given, code in codes.items():
        fresh = call("augment", source, out, "-r", tmp_path / "r.yaml", "-w", 0, "--overwrite", *given)
        for result in (fresh, call("retry", out, "-w", 0, "--all", *given), call("finish", out, *given)):
            assert result.exit_code == code, (given, result.output)
    before = promised(out)
    succeeds("augment", source, tmp_path / "again", "-r", tmp_path / "r.yaml", "-w", 0, *allowed)
    assert promised(tmp_path / "again") == before


@pytest.fixture
def pools(monkeypatch) -> list[int]:
    """How many processes were started at a time."""
    found, begin = [], parallel._Pool._begin
    monkeypatch.setattr(parallel, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(parallel._Pool, "_begin", lambda pool, n: found.append(n) or begin(pool, n))
    return found


def test_copies_are_added_to_as_many_or_fewer(tmp_path):
    source = plain(tmp_path)
    arguments = ("augment", source, tmp_path / "out", "-r", "gentle", "-w", 0)
    succeeds(*arguments, "-n", 2)
    assert "nothing to do" in succeeds(*arguments, "-n", 2, "--extend", 2)
    assert call(*arguments, "-n", 3, "--extend", 2).exit_code == 2
    succeeds(*arguments, "-n", 2, "--extend", 3)


def test_workers_are_processes_and_change_nothing(tmp_path, pools):
    source = plain(tmp_path)
    succeeds("augment", source, tmp_path / "out", "-r", "gentle", "-w", 0, "--sources-per-shard", 1)
    calls = {
        "inspect": ("inspect", source, "--json"),
        "verify": ("verify", tmp_path / "out", "--against", source, "--json"),
        "convert": ("convert", "voc-to-coco", source, tmp_path / "converted", "--overwrite"),
    }
    for command, arguments in calls.items():
        alone = succeeds(*arguments, "-w", 0)
        assert pools == [], command
        assert succeeds(*arguments, "-w", 2) == alone
        assert set(pools) <= {1, 2}, command
        assert pools, command
        pools.clear()


def test_the_time_limit_comes_to_the_engine(tmp_path, monkeypatch):
    found = []

    def started(
        self: LocalProcesses,
        workers: int,
        patience: float | None = None,
        *,
        start=LocalProcesses.__init__,
        **more: bool,
    ) -> None:
        found.append((workers, patience))
        start(self, workers, patience, **more)

    monkeypatch.setattr(LocalProcesses, "__init__", started)
    source, out = plain(tmp_path), tmp_path / "out"
    succeeds("augment", source, out, "-r", "gentle", "-w", 1, "--time-limit", 77)
    next(out.glob("*.tar")).unlink()
    succeeds("retry", out, "-w", 1, "--time-limit", 66)
    assert found == [(1, 77.0), (1, 66.0)]


@pytest.mark.parametrize(("command", "option"), [("preview", "-o"), ("inspect", "-o"), ("verify", "--sheet")])
def test_a_sheet_needs_a_folder_that_is_there(tmp_path, command, option):
    """It is refused before the work, and before what is wrong with the work."""
    source = plain(tmp_path)
    if command == "verify":
        succeeds("augment", source, tmp_path / "out", "-r", "gentle", "-w", 0)
    arguments = {
        "preview": (source, "-r", "gentle"),
        "inspect": (source,),
        "verify": (tmp_path / "out", "--against", source),
    }
    for place in (tmp_path / "no" / "sheet.png", tmp_path / "voc" / ".." / "no" / "sheet.png"):
        result = call(command, *arguments[command], option, place)
        assert result.exit_code == 2
        assert "its folder does not exist" in result.stderr
    nothing = {"preview": ("gone", "-r", "gentle"), "inspect": ("gone",), "verify": ("gone", "--against", "gone")}
    assert "its folder does not exist" in call(command, *nothing[command], option, tmp_path / "no" / "sheet.png").stderr
    (tmp_path / "sheet.png").mkdir()
    assert call(command, *arguments[command], option, tmp_path / "sheet.png").exit_code == 2
