"""What the system refuses, wherever it does: one sentence, nothing lost, and the same call goes on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import cv2
import datasets
import pytest
from builders import contents
from runs import promised, run

from augpipe.core import opencv
from augpipe.core.errors import DatasetError, RunError, UsageError, fault, refusals_told
from augpipe.formats.coco import index
from augpipe.formats.registry import open_dataset
from augpipe.pixels import cpu
from augpipe.pixels.codec import captured_stderr, image, label_png
from augpipe.pixels.codec.header import read_header
from augpipe.run import outputs, runner, task
from augpipe.run.folder import inventory, local
from augpipe.run.folder.run_folder import RunFolder
from augpipe.run.retry import finish, retry
from augpipe.storage import fs
from augpipe.storage.byte_range import ByteRange, bytes_of


def refuse(number: int = errno.EIO) -> OSError:
    return OSError(number, os.strerror(number))


def no_memory_of_opencv() -> cv2.error:
    error = cv2.error("Insufficient memory")
    error.code = -4
    return error


def once(real, error: Exception, at: int = 1, only=lambda *args: True):
    """A function that raises when it is called for the ``at``-th time (with such arguments)."""
    calls = 0

    def call(*args, **named):
        nonlocal calls
        calls += only(*args)
        if calls == at and only(*args):
            calls += 1
            raise error
        return real(*args, **named)

    return call


@pytest.fixture(scope="module")
def finished(voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    run(voc, folder, copies=2, seed=7)
    return folder


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "rejects.jsonl").read_text("utf-8").splitlines()]


# --- one picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        (MemoryError(), "memory", True),
        (refuse(errno.EMFILE), "io", True),
        (OSError("image file is truncated"), "fault", False),
        (ValueError("of ours"), "fault", False),
    ],
)
def test_what_the_system_refuses_may_pass_and_a_fault_does_not(error, code, transient):
    with pytest.raises(type(error)) as caught:
        raise error
    reject = fault("decode", caught.value)
    assert (reject.stage, reject.code, reject.transient) == ("decode", code, transient)


@pytest.mark.parametrize(
    ("module", "name", "error", "code"),
    [
        (cpu, "decode", MemoryError(), "memory"),
        (opencv.cv2, "imdecode", no_memory_of_opencv(), "memory"),
        (opencv.cv2, "imencode", no_memory_of_opencv(), "memory"),
        (opencv.cv2, "imencode", MemoryError(), "memory"),
        (opencv.cv2, "remap", no_memory_of_opencv(), "memory"),
        (outputs, "draw", MemoryError(), "memory"),
        (outputs, "apply", MemoryError(), "memory"),
        (task, "read_header", MemoryError(), "memory"),
        (captured_stderr, "_nameless_file", refuse(errno.EMFILE), "io"),
        (captured_stderr, "_duplicate_of_stderr", refuse(errno.EMFILE), "io"),
    ],
)
def test_a_picture_for_which_there_is_no_memory_or_descriptor_is_done_again(
    voc, finished, tmp_path, monkeypatch, module, name, error, code
):
    """Never a picture read in another way, nor a reject for good."""
    with monkeypatch.context() as patch:
        patch.setattr(module, name, once(getattr(module, name), error, 3))
        assert "may pass" in run(voc, tmp_path / "out", copies=2, seed=7).failed
    assert [(row["error"], row["transient"]) for row in rows(tmp_path / "out")] == [(code, True)]
    assert retry(tmp_path / "out").failed is None
    assert promised(tmp_path / "out") == promised(finished)


@pytest.mark.parametrize("name", ["_nameless_file", "_duplicate_of_stderr"])
def test_a_tiff_or_mask_is_not_damaged_because_there_is_no_descriptor(tmp_path, monkeypatch, name):
    cv2.imwrite(str(tmp_path / "x.tif"), datasets.ground(30, 20, 1))
    data = (tmp_path / "x.tif").read_bytes()
    header = read_header(data)
    monkeypatch.setattr(
        captured_stderr, name, once(getattr(captured_stderr, name), refuse(errno.EMFILE), 1, lambda *args: True)
    )
    with pytest.raises(OSError, match="Too many open files"):
        image.decode(data, header)
    monkeypatch.setattr(
        captured_stderr, name, once(getattr(captured_stderr, name), refuse(errno.EMFILE), 1, lambda *args: True)
    )
    with pytest.raises(OSError, match="Too many open files"):
        label_png.decode_raster(data, "x.tif")


def test_without_a_descriptor_left_stderr_is_not_closed_and_none_is_lost(monkeypatch):
    """`os.dup` also fails where there is none left, which is not what a closed stderr is."""
    open_before = len(os.listdir("/proc/self/fd"))
    for name in ("dup", "memfd_create"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, once(getattr(os, name), refuse(errno.EMFILE)))
            with pytest.raises(OSError, match="Too many open files"), captured_stderr.alone():
                pass
        os.fstat(2)
    assert len(os.listdir("/proc/self/fd")) == open_before


# --- looking through the source --------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 6, 15])
def test_an_annotation_that_cannot_be_read_now_does_not_make_another_source(voc, finished, tmp_path, monkeypatch, at):
    """Its classes would be missing, and the run would be one of another fingerprint for good.

    Formats look at the begin of files before one of them reads them whole, so it fails early and late.
    """
    opening = once(os.open, refuse(), at, lambda path, *_: str(path).endswith(".xml"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opening)
        with pytest.raises(DatasetError, match=r"\.xml: cannot be read: Input/output error\nmend the disk"):
            run(voc, tmp_path / "out", copies=2, seed=7)
    assert not (tmp_path / "out").exists()
    run(voc, tmp_path / "out", copies=2, seed=7)
    assert promised(tmp_path / "out") == promised(finished)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("name", ["scandir", "stat", "listdir"])
@pytest.mark.parametrize("kind", ["voc", "coco", "masks_folder", "classes_folder"])
def test_no_picture_is_left_out_because_a_folder_or_file_cannot_be_looked_at(request, monkeypatch, kind, name, number):
    """Whichever of the calls it is that fails: a sentence, never a smaller dataset."""
    source = request.getfixturevalue(kind)
    whole = open_dataset(str(source))
    mine = lambda path=".", *_: str(path).startswith(str(source))  # noqa: E731
    for at in range(1, 400):
        with monkeypatch.context() as patch:
            failing = once(getattr(os, name), refuse(number), at, mine)
            patch.setattr(os, name, failing)
            try:
                found = open_dataset(str(source))
            except DatasetError as error:
                assert os.strerror(number) in str(error)  # noqa: PT017
                continue
            assert (found.entries, found.categories) == (whole.entries, whole.categories)
        if at > 3:
            break


def test_a_coco_file_that_cannot_be_looked_into_is_not_left_out(coco, monkeypatch):
    """The captions, say."""
    opening = once(open, refuse(), 1, lambda path, *_: str(path).endswith("captions.json"))
    monkeypatch.setattr("builtins.open", opening)
    with pytest.raises(DatasetError, match=r"cannot be read: Input/output error"):
        open_dataset(str(coco))


def test_what_is_no_file_is_still_only_absent(tmp_path):
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("loop", "folder", "pipe", "nothing", "n" * 300):
        assert not index.looks_like_coco(tmp_path / f"{name}.json")
        assert fs.size_of(tmp_path / f"{name}.json") == -1
        assert bytes_of(ByteRange(str(tmp_path / f"{name}.json"))) == b""
    assert fs.walk_files(tmp_path / "nothing") == []


def test_no_memory_while_looking_through_a_source_is_a_sentence(voc, monkeypatch):
    monkeypatch.setattr(fs, "size_of", once(fs.size_of, MemoryError()))
    with pytest.raises(DatasetError, match="not enough memory to look through it"):
        open_dataset(str(voc))


# --- the folder ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name", "error"),
    [
        (runner, "take_stock", refuse(errno.EACCES)),
        (runner, "plan_tasks", MemoryError()),
        (local, "sync_folder", refuse()),
        (RunFolder, "clean", refuse(errno.EROFS)),
        (RunFolder, "state", refuse()),
        (os, "listdir", refuse()),
    ],
)
def test_what_the_system_refuses_ends_a_run_in_one_sentence(voc, finished, tmp_path, monkeypatch, module, name, error):
    folder = Path(shutil.copytree(finished, tmp_path / "out"))
    (folder / "manifest.json").unlink()
    (folder / "all-000003.json").unlink()
    with monkeypatch.context() as patch:
        only = (lambda path, *_: Path(path) == folder) if module is os else (lambda *args: True)
        patch.setattr(module, name, once(getattr(module, name), error, 1, only))
        with pytest.raises(RunError, match="what is finished is kept") as caught:
            run(voc, folder, copies=2, seed=7)
    assert str(caught.value).count("\n") == 1
    assert str(folder) in str(caught.value)
    run(voc, folder, copies=2, seed=7)
    assert promised(folder) == promised(finished)


def test_retry_and_finish_say_it_in_one_sentence_too(finished, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(finished, tmp_path / "out"))
    for call in (retry, finish):
        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, "state", once(RunFolder.state, refuse()))
            with pytest.raises(RunError, match="Input/output error\nwhat is finished is kept"):
                call(folder)


def test_a_record_that_cannot_be_read_for_a_moment_is_not_passed_over_by_retry(voc, finished, tmp_path, monkeypatch):
    """Whether a shard is done again is said by the same look at it as whether it is there."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "decode", once(cpu.decode, MemoryError(), 3))
        run(voc, out, copies=2, seed=7)
    (row,) = rows(out)
    with monkeypatch.context() as patch:
        lost = row["shard"].replace(".tar", ".json")
        patch.setattr(inventory, "read_json", once(inventory.read_json, refuse(), 1, lambda _, name: name == lost))
        assert retry(out).failed is None
    assert promised(out) == promised(finished)


def test_a_run_whose_records_cannot_be_read_back_is_not_called_done(voc, finished, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        failing = once(inventory.read_json, refuse(), 2, lambda _, name: name.startswith("all-"))
        patch.setattr(inventory, "read_json", failing)
        with pytest.raises(RunError, match=r"all-000001 was made, but its record cannot be read\nwhat is finished"):
            run(voc, out, copies=2, seed=7)
    assert not (out / "manifest.json").exists()
    run(voc, out, copies=2, seed=7)
    assert promised(out) == promised(finished)


def test_a_listener_that_has_gone_is_not_taken_for_the_disk(tmp_path):
    with pytest.raises(BrokenPipeError), refusals_told(tmp_path):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_run_json_that_cannot_be_read_now_is_not_called_damaged(voc, finished, monkeypatch):
    """The way out of damage is to remove the folder, which here would be a pity."""
    before = contents(finished)
    monkeypatch.setattr("builtins.open", once(open, refuse(), 1, lambda path, *_: str(path).endswith("run.json")))
    with pytest.raises(RunError) as caught:
        run(voc, finished, copies=2, seed=7)
    assert "remove" not in str(caught.value)
    assert contents(finished) == before


def test_a_disk_that_does_not_tell_its_room_stops_no_run(voc, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "statvfs", once(os.statvfs, refuse(errno.ENOSYS)))
    assert run(voc, tmp_path / "out", copies=2, seed=7).failed is None
    assert promised(tmp_path / "out") == promised(finished)


def test_what_cannot_be_tidied_hides_no_other_error(voc, tmp_path, monkeypatch):
    def failing(self):
        monkeypatch.setattr(RunFolder, "is_finished", once(RunFolder.is_finished, refuse(errno.EACCES)))
        raise UsageError("the real one")

    monkeypatch.setattr(runner.PendingWork, "_job", failing)
    with pytest.raises(UsageError, match="the real one"):
        run(voc, tmp_path / "out", copies=2)


def test_overwriting_that_is_cut_short_can_go_on_beside_a_file_of_the_users(voc, finished, tmp_path, monkeypatch):
    """Without run.json the folder would be no run any more, and not empty."""
    folder = Path(shutil.copytree(finished, tmp_path / "out"))
    (folder / "notes.txt").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "begin", once(RunFolder.begin, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run(voc, folder, copies=2, seed=7, overwrite=True)
    run(voc, folder, copies=2, seed=7, overwrite=True)
    assert promised(folder) == promised(finished)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_spool_that_cannot_be_made_is_one_sentence(voc, tmp_path, monkeypatch):
    monkeypatch.setattr(task, "HELD_BYTES", 100)
    monkeypatch.setattr(tempfile, "TemporaryFile", once(tempfile.TemporaryFile, refuse(errno.EMFILE)))
    with pytest.raises(RunError, match="Too many open files"):
        run(voc, tmp_path / "out", copies=2)
