"""Doing again what was lost: what may pass, what was mended, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from builders import contents
from format_checker import check_folder
from runs import promised, run

from augpipe.core.errors import RunError, UsageError
from augpipe.formats.base import SourceOptions
from augpipe.recipe.load import load
from augpipe.run import retry as retry_module
from augpipe.run import task
from augpipe.run.augment import Execution, RunOptions, Watcher, augment
from augpipe.run.config import Slice
from augpipe.run.retry import finish, retry

HERE = Execution(workers=0)


@pytest.fixture
def source(voc, tmp_path) -> Path:
    return Path(shutil.copytree(voc, tmp_path / "set"))


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("all-*.tar")}


def scarce(read):
    """Reading for which memory does not suffice twice."""

    def reading(entry):
        if entry.key in ("img_004.jpg", "img_007.jpg"):
            raise MemoryError
        return read(entry)

    return reading


def disturbed(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> None:
    """A run in which memory does not suffice for two pictures."""
    with monkeypatch.context() as patch:
        patch.setattr(task, "read_picture", scarce(task.read_picture))
        run(source, folder, copies=2, seed=7, **options)


def test_what_may_pass_is_done_again_to_the_bytes_of_a_calm_run(source, tmp_path, monkeypatch):
    run(source, tmp_path / "calm", copies=2, seed=7)
    disturbed(source, tmp_path / "out", monkeypatch)
    before = stamps(tmp_path / "out")
    summary = retry(tmp_path / "out", execution=HERE)
    assert (summary.failed, summary.rejected, summary.made) == (None, 0, 4)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")
    assert check_folder(tmp_path / "out") == []
    assert before.items() <= stamps(tmp_path / "out").items(), "two shards of one picture each had no tar before"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["command"] == "retry"
    assert retry(tmp_path / "out", execution=HERE).already_done


def test_a_retry_that_fails_again_leaves_the_row(source, tmp_path, monkeypatch):
    disturbed(source, tmp_path / "out", monkeypatch)
    before = promised(tmp_path / "out")
    monkeypatch.setattr(task, "read_picture", scarce(task.read_picture))
    assert "may pass" in str(retry(tmp_path / "out", execution=HERE).failed)
    assert promised(tmp_path / "out") == before


def test_what_will_not_pass_is_left_alone_without_all(source, tmp_path):
    (source / "JPEGImages" / "img_003.jpg").write_bytes(b"")
    run(source, tmp_path / "out", copies=2, seed=7)
    before = contents(tmp_path / "out")
    assert retry(tmp_path / "out", execution=HERE).already_done
    assert contents(tmp_path / "out") == before


def test_mended_files_are_taken_up_and_only_their_shards_made(source, voc, tmp_path):
    for name in ("img_003", "img_005"):
        (source / "JPEGImages" / f"{name}.jpg").write_bytes(b"")
    (source / "Annotations" / "img_006.xml").write_text("<annotation>")
    run(source, tmp_path / "out", copies=2, seed=7)
    before = stamps(tmp_path / "out")
    run(voc, tmp_path / "calm", copies=2, seed=7)
    for name in ("JPEGImages/img_003.jpg", "JPEGImages/img_005.jpg", "Annotations/img_006.xml"):
        shutil.copy(voc / name, source / name)
    watcher = Watcher()
    summary = retry(tmp_path / "out", everything=True, execution=HERE, watcher=watcher)
    assert (summary.rejected, summary.made) == (0, 6)
    assert "the source has changed; 6 of 9 shards are as they would be made now, and stay" in watcher.remarks
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")
    assert before.items() <= stamps(tmp_path / "out").items()
    assert check_folder(tmp_path / "out") == []
    assert augment(
        str(source), tmp_path / "out", load("detection"), RunOptions(copies=2, seed=7), execution=HERE
    ).already_done, "the folder is now the run of the mended source"


def test_a_source_that_changed_is_no_retry_without_all(source, tmp_path, monkeypatch):
    disturbed(source, tmp_path / "out", monkeypatch)
    with open(source / "JPEGImages" / "img_001.jpg", "ab") as file:
        file.write(b"\0")
    before = contents(tmp_path / "out")
    with pytest.raises(UsageError, match=r"img_001\.jpg has changed since the run; --all takes them up"):
        retry(tmp_path / "out", execution=HERE)
    assert contents(tmp_path / "out") == before


def test_files_that_were_changed_besides_are_made_again_too(source, voc, tmp_path):
    """No sample of what the source is no more may stay beside those of what it is."""
    (source / "JPEGImages" / "img_003.jpg").write_bytes(b"")
    run(source, tmp_path / "out", copies=2, seed=7)
    shutil.copy(voc / "JPEGImages" / "img_003.jpg", source / "JPEGImages")
    shutil.copy(voc / "JPEGImages" / "img_004.jpg", source / "JPEGImages" / "img_000.jpg")
    shutil.copy(voc / "Annotations" / "img_004.xml", source / "Annotations" / "img_000.xml")
    assert retry(tmp_path / "out", everything=True, execution=HERE).made == 4
    run(source, tmp_path / "calm", copies=2, seed=7)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


def test_pictures_that_came_or_went_are_another_run(source, tmp_path):
    (source / "JPEGImages" / "img_003.jpg").write_bytes(b"")
    run(source, tmp_path / "out", copies=2, seed=7)
    (source / "Annotations" / "img_008.xml").unlink()
    (source / "JPEGImages" / "img_008.jpg").unlink()  # a list names it, so alone it would be background
    with pytest.raises(UsageError, match="pictures: 9 → 8"):
        retry(tmp_path / "out", everything=True, execution=HERE)


@pytest.mark.parametrize("stop", range(1, 12))
def test_taking_over_a_changed_source_can_be_cut_short_anywhere(source, voc, tmp_path, monkeypatch, stop):
    (source / "JPEGImages" / "img_003.jpg").write_bytes(b"")
    run(source, tmp_path / "out", copies=2, seed=7)
    shutil.copy(voc / "JPEGImages" / "img_003.jpg", source / "JPEGImages")
    replace, left = os.replace, stop

    def failing(old, new):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        with pytest.raises(RunError, match="No space left"):
            retry(tmp_path / "out", everything=True, execution=HERE)
    assert not (tmp_path / "out" / "manifest.json").exists()
    retry(tmp_path / "out", everything=True, execution=HERE)
    run(voc, tmp_path / "calm", copies=2, seed=7)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


def test_an_unfinished_run_is_finished_by_retrying(source, tmp_path, monkeypatch):
    run(source, tmp_path / "calm", copies=2, seed=7)
    disturbed(source, tmp_path / "out", monkeypatch)
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out" / "all-000001.json").unlink()
    retry(tmp_path / "out", execution=HERE)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


def test_a_part_of_the_tasks_is_retried_without_those_of_other_machines(source, tmp_path, monkeypatch):
    run(source, tmp_path / "calm", copies=2, seed=7)
    disturbed(source, tmp_path / "out", monkeypatch, tasks=Slice(0, 2, 3))
    there = {path.name for path in (tmp_path / "out").glob("all-*.json")}
    summary = retry(tmp_path / "out", execution=HERE)
    assert (summary.finished, summary.rejected) == (False, 0)
    assert {path.name for path in (tmp_path / "out").glob("all-*.json")} == there
    run(source, tmp_path / "out", copies=2, seed=7)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


def test_an_extended_run_is_retried_in_all_its_parts(source, tmp_path, monkeypatch):
    run(source, tmp_path / "calm", copies=2, seed=7)
    run(source, tmp_path / "calm", copies=3, seed=7, extend=True)
    disturbed(source, tmp_path / "out", monkeypatch)
    run(source, tmp_path / "out", copies=3, seed=7, extend=True)
    retry(tmp_path / "out", execution=HERE)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


def test_everything_that_was_asked_for_is_known_from_the_folder(coco, tmp_path, monkeypatch):
    """Source, overrides, class list, split, limit: the folder is enough, wherever the call comes from."""
    set_, out = tmp_path / "set", tmp_path / "out"
    shutil.copytree(coco, set_)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("version: 1\nsteps:\n- rotate: {degrees: [3, 9]}\n")
    options = RunOptions(
        copies=2,
        originals=True,
        seed=3,
        source=SourceOptions("coco", images=set_ / "images", limit=6, exif="stored", void=7),
        sources_per_shard=2,
        truncated="keep",
    )
    read = task.read_picture

    def failing(entry):
        if entry.key.endswith("2.jpg"):
            raise MemoryError
        return read(entry)

    asked_for = (str(set_ / "annotations"), load(str(recipe), ["steps.rotate.degrees=[5, 8]"]), options)
    augment(asked_for[0], tmp_path / "calm", *asked_for[1:], execution=HERE)
    with monkeypatch.context() as patch:
        patch.setattr(task, "read_picture", failing)
        augment(asked_for[0], out, *asked_for[1:], execution=HERE)
    recipe.unlink()
    monkeypatch.chdir("/")
    assert retry(out, execution=HERE).failed is None
    assert promised(out) == promised(tmp_path / "calm")


def test_a_source_that_was_moved_is_found_where_it_is_said_to_be(source, tmp_path, monkeypatch):
    run(source, tmp_path / "calm", copies=2, seed=7)
    disturbed(source, tmp_path / "out", monkeypatch)
    os.rename(source, tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="set: the source is not there; say where it is with --source"):
        retry(tmp_path / "out", execution=HERE)
    retry(tmp_path / "out", source=str(tmp_path / "elsewhere"), execution=HERE)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


@pytest.mark.parametrize("call", [retry, finish])
def test_a_folder_without_a_run(call, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="holds no run of augpipe"):
            call(folder)
    assert not (tmp_path / "none").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_not_asked_for_by_this_version(source, tmp_path):
    run(source, tmp_path / "out", copies=2, seed=7)
    value = json.loads((tmp_path / "out" / "run.json").read_text())
    del value["request"]
    (tmp_path / "out" / "run.json").write_text(json.dumps(value))
    with pytest.raises(UsageError, match="does not say how the run was asked for; run the same augment command again"):
        retry_module.retry(tmp_path / "out", execution=HERE)
