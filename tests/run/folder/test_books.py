"""Finished means that the books agree: what was damaged since is seen by every command that goes on, and made again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import contents
from command_line import call
from format_checker import check_folder
from pairing import some_pairs
from runs import promised, promised_manifest, run

from augpipe.core.errors import UsageError
from augpipe.run.folder.local import sync_folder
from augpipe.run.retry import finish

RUN = {"copies": 2, "seed": 7}


@pytest.fixture(scope="module")
def source(voc, tmp_path_factory) -> Path:
    """A source with one picture that is none, so that there are rejects."""
    root = Path(shutil.copytree(voc, tmp_path_factory.mktemp("source") / "voc"))
    sorted((root / "JPEGImages").iterdir())[2].write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "out"
    run(source, folder, max_rejects="9", **RUN)
    return folder


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def changed(name: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    def harm(folder: Path) -> None:
        value = json.loads((folder / name).read_bytes())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return harm


def cut(name: str, share: float) -> Callable[[Path], object]:
    def harm(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return harm


def twice(folder: Path) -> None:
    path = folder / "rejects.jsonl"
    path.write_bytes(2 * path.read_bytes())


def pipe(name: str) -> Callable[[Path], object]:
    def harm(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return harm


BOOKS = {
    "manifest cut": cut("manifest.json", 0.5),
    "manifest empty": cut("manifest.json", 0.0),
    "manifest gone": lambda f: (f / "manifest.json").unlink(),
    "manifest of numbers": lambda f: (f / "manifest.json").write_text("[1]"),
    "manifest of another schema": changed("manifest.json", lambda m: m.update(schema="augpipe/2")),
    "a shard too few": changed("manifest.json", lambda m: m["shards"].pop()),
    "a shard of another hash": changed("manifest.json", lambda m: m["shards"][1].update(sha256="0" * 64)),
    "other totals": changed("manifest.json", lambda m: m["totals"].update(written=1)),
    "other config": changed("manifest.json", lambda m: m["config"].update(seed=8)),
    "another digest": changed("manifest.json", lambda m: m.update(digest="x")),
    "manifest a pipe": pipe("manifest.json"),
    "rejects cut": cut("rejects.jsonl", 0.5),
    "rejects empty": cut("rejects.jsonl", 0.0),
    "rejects twice": twice,
    "rejects gone": lambda f: (f / "rejects.jsonl").unlink(),
    "rejects a pipe": pipe("rejects.jsonl"),
    "both gone": lambda f: [(f / name).unlink() for name in ("manifest.json", "rejects.jsonl")],
}


@pytest.mark.parametrize(("name", "command"), some_pairs([*BOOKS], ["again", "check", "retry", "finish"], 2))
def test_books_that_are_not_what_the_records_say_are_made_again(source, whole, folder, name, command):
    BOOKS[name](folder)
    words = {
        "again": ["augment", str(source), str(folder), "-r", "detection", "--copies", "2", "--seed", "7", "-w", "0"],
        "retry": ["retry", str(folder), "--source", str(source), "-w", "0"],
        "finish": ["finish", str(folder)],
    }
    words["check"] = [*words["again"], "--check"]
    done = call(*words[command], "--max-rejects", "9")
    assert done.exit_code == 0, done.output
    assert promised(folder) == promised(whole)
    assert promised_manifest(folder) == promised_manifest(whole)
    assert check_folder(folder) == []
    assert "nothing to do" not in done.output
    assert "closed in" in done.output
    if "gone" not in name and "pipe" not in name:
        assert f"note: {name.split()[0] if name[:2] in ('ma', 're') else 'manifest'}" in done.output
    again = call(*words[command], "--max-rejects", "9")
    assert "nothing to do, the run is finished" in again.output


def old(folder: Path) -> None:
    """As a version that counted less wrote it, and a later one that says more."""
    changed("manifest.json", lambda m: [m["totals"].pop(name) for name in ("truncated", "notes", "label_kinds")])(
        folder
    )
    changed("manifest.json", lambda m: m.pop("parts"))(folder)
    changed("manifest.json", lambda m: m.update(more={"x": 1}, finished="2001", seconds=9, command="x"))(folder)
    rows = [json.loads(line) for line in (folder / "rejects.jsonl").read_bytes().splitlines()]
    (folder / "rejects.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def test_books_of_other_versions_are_left_as_they_are(source, folder):
    old(folder)
    before = contents(folder)
    assert run(source, folder, max_rejects="9", **RUN).already_done
    assert finish(folder).already_done
    assert contents(folder) == before


RECORDS = {
    "rejects of numbers": lambda r: r.update(rejects=[1]),
    "no name": lambda r: r.pop("name"),
    "rejects without copies": lambda r: r.update(rejects=[{"source": "x"}]),
    "rejects that do not add up": lambda r: r.update(rejected=r["rejected"] + 1, samples=r["samples"] - 1),
    "dropped of texts": lambda r: r.update(dropped={"outside": "many"}),
    "kinds of lists": lambda r: r.update(label_kinds={"boxes": []}),
    "notes of none": lambda r: r.update(notes={"x": None}),
    "sources of numbers": lambda r: r["task"].update(sources=list(range(len(r["task"]["sources"])))),
    "copies of one number": lambda r: r["task"].update(copies=[0]),
    "versions of a list": lambda r: r["run"].update(versions=[1]),
    "a hash that is none": lambda r: r.update(sha256=5),
    "run of a number": lambda r: r.update(run=5),
    "truncated of text": lambda r: r.update(truncated="x"),
}


@pytest.mark.parametrize(("name", "finished"), some_pairs([*RECORDS], [True, False], 1))
def test_a_shard_whose_record_has_odd_fields_is_made_again(source, whole, folder, name, finished):
    if not finished:
        (folder / "manifest.json").unlink()
    changed("all-000001.json", RECORDS[name])(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(
        UsageError, match=r"1 of 9 shards are missing; all-000001: its record is not as docs/format\.md"
    ):
        finish(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    summary = run(source, folder, max_rejects="9", **RUN)
    assert (summary.made, summary.already_done) == (2, False)
    assert promised(folder) == promised(whole)
    assert check_folder(folder) == []


@pytest.mark.parametrize("name", ["all-000001.json", "all-000001.tar"])
def test_a_pipe_in_place_of_a_shard_or_record_is_no_reason_to_wait(source, whole, folder, name):
    pipe(name)(folder)
    found = call("verify", str(folder))
    assert found.exit_code == 1
    assert f"{name}: cannot be read: [Errno 2] it is no regular file" in found.output
    with pytest.raises(UsageError, match="1 of 9 shards are missing; all-000001"):
        finish(folder)
    assert run(source, folder, max_rejects="9", **RUN).made == 2
    assert promised(folder) == promised(whole)


@pytest.mark.parametrize("number", [22, 95])
def test_a_folder_that_cannot_be_flushed_is_no_reason_to_stop(source, tmp_path, monkeypatch, number):
    """Some file systems of networks and user space know no fsync of a folder, and say so by EINVAL."""
    fsync = os.fsync

    def of_files(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", of_files)
    run(source, tmp_path / "out", max_rejects="9", **RUN)
    assert check_folder(tmp_path / "out") == []
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)
