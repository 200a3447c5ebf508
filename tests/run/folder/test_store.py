"""The output folder: how files come to be in it, what a resumed run goes on from, and what is never deleted."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from builders import contents
from format_checker import check_folder
from runs import promised, run

from augpipe.core.errors import RunError, UsageError
from augpipe.run.folder.run_folder import RunFolder
from augpipe.run.folder.store import open_store


@pytest.fixture(scope="module")
def finished(voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    run(voc, folder, copies=3, seed=7)
    return folder


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A finished run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def interrupted(folder: Path) -> Path:
    """As it was before its last two shards were recorded; the tar of one of them was there already."""
    (folder / "manifest.json").unlink()
    (folder / "rejects.jsonl").unlink()
    (folder / "all-000002.json").unlink()
    (folder / "all-000005.json").unlink()
    (folder / "all-000005.tar").unlink()
    return folder


# --- a file is whole or not there ------------------------------------------------------------------------------------


def test_what_is_written_is_on_the_disk_before_what_says_so(voc, tmp_path, monkeypatch):
    """Content, then name, then the folder that holds the name, and only then the next file: a tar before its record."""
    happened: list[tuple[str, str]] = []
    flushed: dict[int, int] = {}
    fsync, replace, folder = os.fsync, os.replace, tmp_path / "out"

    def recording_fsync(handle):
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            assert found.st_ino == folder.stat().st_ino
            happened.append(("flush", "folder"))
        else:
            flushed[found.st_ino] = found.st_size
            happened.append(("flush", "file"))
        fsync(handle)

    def recording_replace(source, target):
        found = os.stat(source)
        assert flushed[found.st_ino] == found.st_size, "all of it was flushed, not a part"
        happened.append(("rename", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)
    run(voc, folder, limit=2)
    files = [f"all-00000{i}.{ending}" for i in range(2) for ending in ("tar", "json")]
    assert happened == [
        step
        for name in ("run.json", *files, "rejects.jsonl", "manifest.json")
        for step in (("flush", "file"), ("rename", name), ("flush", "folder"))
    ]


def test_a_disk_that_cannot_be_written_is_one_sentence(voc, tmp_path, monkeypatch):
    folder = tmp_path / "out"

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot be written: No space left"):
        run(voc, folder)
    assert not list(folder.glob("*.tar"))
    assert not list((folder / ".augpipe").glob("*.tmp"))
    monkeypatch.undo()
    run(voc, folder)
    assert check_folder(folder) == []


# --- going on --------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_left_alone(voc, finished):
    before = {p: p.stat().st_mtime_ns for p in finished.iterdir()}
    assert run(voc, finished, copies=3, seed=7).already_done
    assert {p: p.stat().st_mtime_ns for p in finished.iterdir()} == before


def test_an_unfinished_run_goes_on_to_the_same_bytes(voc, finished, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    kept = folder / "all-000004.tar"
    untouched = kept.stat().st_mtime_ns
    (folder / "manifest.json").unlink()
    (folder / "rejects.jsonl").unlink()
    (folder / "all-000002.json").unlink()  # a tar without its record does not exist
    (folder / "all-000005.json").unlink()
    (folder / "all-000005.tar").unlink()
    (folder / ".augpipe").mkdir()
    (folder / ".augpipe" / "all-000005.tar.99.tmp").write_bytes(b"half")
    summary = run(voc, folder, copies=3, seed=7)
    assert not summary.already_done
    assert promised(folder) == promised(finished)
    assert kept.stat().st_mtime_ns == untouched
    assert check_folder(folder) == []


def test_what_a_call_made_is_not_what_is_there(voc, folder):
    """Samples of an earlier call are written, and this call has not made them."""
    interrupted(folder)
    summary = run(voc, folder, copies=3, seed=7)
    assert (summary.written, summary.made) == (27, 6)
    again = run(voc, folder, copies=3, seed=7)
    assert (again.written, again.made, again.already_done) == (27, 0, True)
    (folder / "manifest.json").unlink()
    closed = run(voc, folder, copies=3, seed=7)
    assert (closed.written, closed.made, closed.already_done) == (27, 0, False)
    whole = run(voc, folder, copies=3, seed=7, overwrite=True)
    assert (whole.written, whole.made) == (27, 27)


def test_two_runs_into_one_folder_are_refused(voc, tmp_path):
    with RunFolder(open_store(tmp_path / "out")) as other:
        other.lock()
        with pytest.raises(UsageError, match="another run"):
            run(voc, tmp_path / "out")
    run(voc, tmp_path / "out")


# --- what is not ours ------------------------------------------------------------------------------------------------


def test_overwrite_deletes_only_what_the_records_name(voc, folder):
    (folder / "notes.txt").write_text("mine")
    run(voc, folder, copies=1, seed=9, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    names = {p.name for p in folder.iterdir()} - {"notes.txt"}
    assert names == {"run.json", "manifest.json", "rejects.jsonl"} | {
        f"all-{i:06d}.{e}" for i in range(9) for e in ("tar", "json")
    }


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["all-000099.tar", "all-000009.tar", "train-000002.tar", "all-2.tar", "mine.tar"])
def test_a_tar_that_is_no_shard_of_the_run_is_never_deleted(voc, folder, name, overwrite):
    """It cannot stay beside the shards either, where readers of *.tar would take it for one."""
    (interrupted(folder) / name).write_text("mine")
    before = contents(folder)
    with pytest.raises(UsageError) as caught:
        run(voc, folder, copies=3, seed=7, overwrite=overwrite)
    assert str(caught.value).startswith(f"{folder / name}: is no shard of the run in this folder")
    assert {path: data for path, data in contents(folder).items() if ".augpipe" not in path} == before
    (folder / name).unlink()
    run(voc, folder, copies=3, seed=7, overwrite=overwrite)
    assert check_folder(folder) == []


def test_a_tar_beside_a_finished_run_is_not_deleted_by_overwriting_it(voc, folder):
    """All shards of a finished run have records; a larger run would have a shard of that name."""
    (folder / "all-000009.tar").write_text("mine")
    before = contents(folder)
    with pytest.raises(UsageError, match="is no shard of the run"):
        run(voc, folder, copies=3, seed=7, sources_per_shard=1, originals=True, overwrite=True)
    assert contents(folder) == before


def test_a_tar_that_was_not_recorded_goes_with_its_run(voc, folder):
    (interrupted(folder) / "all-000008.json").unlink()
    run(voc, folder, copies=1, seed=9, limit=3, overwrite=True)
    assert {p.name for p in folder.glob("*.tar")} == {f"all-{i:06d}.tar" for i in range(3)}
    assert check_folder(folder) == []


@pytest.mark.parametrize("deleted", [1, 2, 3, 11, 18, 19])
def test_deleting_that_is_cut_short_leaves_no_run_that_looks_whole(voc, folder, finished, monkeypatch, deleted):
    """Wherever it stops, the same call goes on to the same bytes."""
    unlink, left = Path.unlink, deleted

    def failing(self, missing_ok=False):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", failing)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(open_store(folder)).clear(RunFolder(open_store(folder)).state())
    monkeypatch.undo()
    for record in folder.glob("all-*.json"):
        assert record.with_suffix(".tar").is_file()
    assert not run(voc, folder, copies=3, seed=7).already_done
    assert promised(folder) == promised(finished)


def test_a_record_cannot_name_a_file_elsewhere(voc, folder):
    precious = folder.parent / "precious.txt"
    precious.write_text("mine")
    path = folder / "all-000003.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": "../precious.txt"}))
    run(voc, folder, copies=1, overwrite=True)
    assert precious.read_text() == "mine"
