"""A conversion that is stopped while its files get to their places: what is there, what is said, and how it goes on."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from builders import contents
from command_line import call
from dataset_folders import dataset
from stopped import Stop, stopping

from augpipe.conversion import images
from augpipe.core.errors import Reject

CALLS = {
    "convert": ["convert", "voc-to-yolo", "{voc}", "{new}"],
    "alone": ["convert", "voc-to-coco", "{voc}", "{new}.json"],
    "merge": ["dataset", "merge", "{voc}", "{coco}", "{new}", "--to", "coco"],
    "split": ["dataset", "split", "{voc}", "{new}", "--val", "50%"],
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return {"voc": datasets.make_voc(folder / "voc", 2), "coco": datasets.make_coco(folder / "coco", 2)}


def words(name: str, sets: dict[str, Path], new: Path, *more: str) -> list[str]:
    return [word.format(new=new, **sets) for word in [*CALLS[name], "--workers", "0", *more]]


def made(new: Path) -> dict[str, bytes]:
    return contents(new.parent)


def at_replacing(monkeypatch, after: int, error: BaseException) -> None:
    """Let the move of a file or folder to its place fail, once so many were moved; one time only."""
    real, moves = os.replace, []

    def replace(here, there):
        moves.append(there)
        if len(moves) == after + 1:
            raise error
        real(here, there)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("name", CALLS)
def test_stopped_before_any_change_of_a_file_it_is_made_again_to_the_same_bytes(sets, tmp_path, name):
    """By the same command, or the one that its refusal names: a part of a dataset is never taken for one."""
    whole = tmp_path / "whole" / "new"
    whole.parent.mkdir()
    with stopping(whole.parent, -1) as changes:
        assert call(*words(name, sets, whole)).exit_code == 0
    refused = 0
    for after in range(0, changes.seen, 2 if name == "convert" else 5):
        new = tmp_path / str(after) / "new"
        new.parent.mkdir()
        with stopping(new.parent, after), pytest.raises(Stop):
            call(*words(name, sets, new))
        again = call(*words(name, sets, new))
        if again.exit_code:
            refused += 1
            killed = f"{new}: holds files, and the rest of a conversion that was killed; --overwrite writes all of it"
            assert killed in again.stderr or (made(whole).items() <= made(new).items() and "exists" in again.stderr)
            assert call(*words(name, sets, new, "--overwrite")).exit_code == 0
        assert made(new) == made(whole), after
    assert refused < 8  # only while its files get to their places


@pytest.mark.parametrize("after", [0, 1, 2])
def test_who_interrupts_the_last_moves_has_a_whole_dataset(sets, tmp_path, monkeypatch, after):
    assert call(*words("convert", sets, tmp_path / "whole" / "new")).exit_code == 0
    at_replacing(monkeypatch, after, KeyboardInterrupt())
    result = call(*words("convert", sets, tmp_path / "cut" / "new"))
    assert result.exit_code == 130
    assert result.stderr == "augpipe: stopped; DST is whole, or as it was\n"
    assert made(tmp_path / "cut" / "new") == made(tmp_path / "whole" / "new")


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_disk_that_fails_at_the_last_moves_is_not_said_to_have_nothing(sets, tmp_path, monkeypatch, after):
    new = tmp_path / "new"
    at_replacing(monkeypatch, after, OSError(errno.EIO, "Input/output error", "x"))
    result = call(*words("convert", sets, new))
    assert result.exit_code == 1
    assert "nothing was written" not in result.stderr
    assert f"{new}: the conversion stopped as its files were moved to their places: Input/output error" in result.stderr
    assert "--overwrite" in result.stderr.splitlines()[-1]
    again = call(*words("convert", sets, new, "--overwrite"))
    assert again.exit_code == 0
    assert call(*words("convert", sets, tmp_path / "whole" / "new")).exit_code == 0
    assert contents(new) == contents(tmp_path / "whole" / "new")


@pytest.mark.parametrize("call_name", ["unlink", "rmdir"])
def test_what_cannot_be_tidied_is_no_reason_to_say_that_nothing_was_written(sets, tmp_path, monkeypatch, call_name):
    assert call(*words("convert", sets, tmp_path / "whole" / "new")).exit_code == 0

    def refuse(*arguments, **named):
        raise OSError(errno.EROFS, "Read-only file system", "x")

    with monkeypatch.context() as patched:
        patched.setattr(os, call_name, refuse)
        result = call(*words("convert", sets, tmp_path / "cut" / "new"))
    assert result.exit_code == 0, result.stderr
    there = {name: data for name, data in made(tmp_path / "cut" / "new").items() if ".augpipe.part" not in name}
    assert there == made(tmp_path / "whole" / "new")


def test_who_interrupts_a_conversion_to_shards_hears_that_it_goes_on(sets, tmp_path, monkeypatch):
    line = ["convert", "voc-to-shards", sets["voc"], tmp_path / "new", "--workers", 0]

    def stop(*arguments: object) -> Callable[..., None]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("augpipe.run.task.read_picture", stop)
        result = call(*line)
    assert result.exit_code == 130
    assert "augpipe: stopped; what is finished stays, run the same command to go on\n" in result.stderr
    assert call(*line).exit_code == 0


@pytest.mark.parametrize("name", CALLS)
def test_an_empty_name_of_a_source_is_not_the_working_directory(sets, tmp_path, monkeypatch, name):
    shutil.copytree(sets["voc"], tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    line = [word.replace("{voc}", "") for word in CALLS[name]]
    result = call(*[word.format(new=tmp_path / "new", **sets) for word in line])
    assert result.exit_code == 2
    assert result.stderr == "augpipe: SRC is empty; expected a file, a folder, or a pattern of tars\n"


# --- what cannot be read now -----------------------------------------------------------------------------------------


@pytest.fixture(params=["header_at", "read_place", "read_labels"])
def unreadable(request, monkeypatch) -> Callable[[], None]:
    """The disk fails once, under the header, the content or the labels of the second picture; until this is called."""
    real, seen = getattr(images, request.param), []

    def read(*arguments):
        seen.append(arguments)
        if len(seen) == 2:
            raise Reject("read", "io", "x: cannot be read: Input/output error", transient=True)
        return real(*arguments)

    monkeypatch.setattr(images, request.param, read)
    return lambda: monkeypatch.setattr(images, request.param, real)


@pytest.mark.parametrize("name", ["convert", "merge"])
def test_a_picture_that_cannot_be_read_now_is_not_left_out(sets, tmp_path, unreadable, name):
    """It is there, so a dataset without it would lack it for good, and the exit code would not tell."""
    new = tmp_path / "cut" / "new"
    result = call(*words(name, sets, new))
    assert result.exit_code == 1
    assert "cannot be read: Input/output error; the conversion stopped, and nothing was written" in result.stderr
    assert not new.exists()
    unreadable()
    (tmp_path / "whole").mkdir()
    for folder in ("cut", "whole"):
        assert call(*words(name, sets, tmp_path / folder / "new")).exit_code == 0
    assert made(new) == made(tmp_path / "whole" / "new")


def test_nor_is_a_shard_that_cannot_be_read_now(sets, tmp_path, unreadable):
    line = ["augment", sets["voc"], tmp_path / "new", "-r", "gentle", "--to", "coco", "--workers", 0]
    assert call(*line).exit_code == 1
    assert not (tmp_path / "new" / "annotations").exists()
    unreadable()
    assert call(*line).exit_code == 0
    line[2] = tmp_path / "whole"
    assert call(*line).exit_code == 0
    assert dataset(tmp_path / "new") == dataset(tmp_path / "whole")
