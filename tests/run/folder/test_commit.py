"""A commit can be repeated: two attempts at one shard may be alive at once, and the later one changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from runs import promised, run

from augpipe.core.errors import Reject, RunError
from augpipe.pixels.factory import backend_for
from augpipe.run import augment, task
from augpipe.run.folder.local import LocalStore
from augpipe.run.job import Attempt
from augpipe.run.retry import retry


class Twice:
    """Makes every shard, then lets ``late`` make it again."""

    def __init__(self, late) -> None:
        self.late = late

    def get_ready(self) -> None:
        pass

    def run(self, job, tasks, listener) -> None:
        backend = backend_for(job.device, job.backend_options)
        for one in tasks:
            task.run_task(job, one, backend)
            self.late(job, one, backend)


def files_of(folder):
    """Name → (inode, content) of all that a finished folder holds but run.json and the manifest."""
    return {p.name: (p.stat().st_ino, p.read_bytes()) for p in folder.glob("all-*")}


@pytest.fixture
def late(monkeypatch):
    """Let a second attempt follow each first one."""
    return lambda attempt: monkeypatch.setattr(augment, "engine_for", lambda *_: Twice(attempt))


def test_a_second_attempt_changes_nothing(voc, tmp_path, late):
    seen = []

    def again(job, one, backend):
        before = files_of(job.store.folder)
        task.run_task(job, one, backend, Attempt(2))
        assert files_of(job.store.folder) == before
        seen.append(one.name)

    late(again)
    run(voc, tmp_path / "out", copies=2)
    assert len(seen) > 1


def test_a_second_attempt_that_ends_in_its_commit_leaves_the_shard(voc, tmp_path, late, monkeypatch):
    """It removed the record first, so a finished folder had lost a shard."""

    def cut_short(*arguments):
        raise RunError("the disk is full")

    def again(job, one, backend):
        with monkeypatch.context() as patched:
            patched.setattr(LocalStore, "put", cut_short)
            task.run_task(job, one, backend, Attempt(2))

    late(again)
    run(voc, tmp_path / "out", copies=2)
    assert (tmp_path / "out" / "all-000000.json").is_file()


def test_one_that_has_lost_a_picture_does_not_replace_one_that_has_not(voc, tmp_path, late):
    run(voc, tmp_path / "calm", copies=2)

    def again(job, one, backend):
        lost = {one.entries[0].key: Reject("pixels", "crash", "a worker died", transient=True)}
        task.run_task(job, one, backend, Attempt(2, lost))

    late(again)
    run(voc, tmp_path / "out", copies=2)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tar, record: tar.unlink(),
        lambda tar, record: tar.write_bytes(tar.read_bytes()[:-512] + bytes(511) + b"x"),
        lambda tar, record: record.write_bytes(b"{"),
        lambda tar, record: record.write_text(json.dumps({**json.loads(record.read_text()), "config": "other"})),
        lambda tar, record: record.write_text(record.read_text().replace('"fingerprint":"', '"fingerprint":"0')),
    ],
    ids=["no tar", "another tar", "no json", "another configuration", "other sources"],
)
def test_a_shard_that_is_not_whole_or_not_this_one_is_made_again(voc, tmp_path, late, spoil):
    run(voc, tmp_path / "calm", copies=2)

    def again(job, one, backend):
        spoil(job.store.folder / f"{one.name}.tar", job.store.folder / f"{one.name}.json")
        task.run_task(job, one, backend, Attempt(2))

    late(again)
    run(voc, tmp_path / "out", copies=2)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


def test_a_shard_that_is_to_be_made_again_is(voc, tmp_path, monkeypatch):
    """The record that stands there is the one to be replaced."""
    run(voc, tmp_path / "calm", copies=2)
    real = task.run_task

    def losing(job, one, backend, attempt=None, progress=None):
        lost = {one.entries[0].key: Reject("pixels", "crash", "a worker died", transient=True)}
        real(job, one, backend, Attempt(1, lost))

    with monkeypatch.context() as patched:
        patched.setattr(task, "run_task", losing)
        run(voc, tmp_path / "out", copies=2)
    assert (tmp_path / "out" / "rejects.jsonl").stat().st_size
    assert retry(tmp_path / "out", execution=replace(augment.Execution(), workers=0)).failed is None
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")
