"""An engine and a store are one class each: the listings of CONTRIBUTING.md carry out a real run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from documents import FENCE
from places import ROOT
from runs import hashes, promised

import augpipe
from augpipe.core.errors import RunError, UsageError
from augpipe.formats.webdataset.schema import MANIFEST, REJECTS
from augpipe.run.folder.local import LocalStore
from augpipe.run.folder.run_folder import RUN
from augpipe.run.retry import finish, retry

PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
OPTIONS = augpipe.RunOptions(copies=2, seed=7)


def listed(name: str) -> type[Any]:
    """The class of that name from the page."""
    (text,) = (block for language, block in FENCE.findall(PAGE) if language == "python" and f"class {name}" in block)
    space: dict[str, Any] = {}
    exec(text, space)
    return space[name]


@pytest.fixture(scope="module")
def local(voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    augpipe.augment(voc, folder, "detection", OPTIONS)
    return folder


def test_another_engine_makes_the_same_bytes(voc, local, tmp_path):
    done = augpipe.augment(voc, tmp_path / "out", "detection", OPTIONS, engine=listed("Threads")())
    assert (done.written, done.failed) == (18, None)
    assert promised(tmp_path / "out") == promised(local)


class InOrder:
    """One task after the other; records the order, and stops before a task."""

    def __init__(self, stop: str = "") -> None:
        self.stop, self.order = stop, []

    def get_ready(self) -> None:
        pass

    def run(self, job, tasks, listener) -> None:
        from augpipe.pixels.factory import backend_for
        from augpipe.run.task import run_task

        for task in tasks:
            if task.name == self.stop:
                raise KeyboardInterrupt
            run_task(job, task, backend_for(job.device, job.backend_options), progress=listener.progress)
            self.order.append(task.name)


def test_another_store_holds_the_same_bytes(voc, local):
    """Also after an interrupt, when the run goes on with what is missing."""
    store = listed("MemoryStore")()
    first, second = InOrder("all-000005"), InOrder()
    with pytest.raises(KeyboardInterrupt):
        augpipe.augment(voc, store, "detection", OPTIONS, engine=first)
    assert MANIFEST not in store.names()
    done = augpipe.augment(voc, store, "detection", OPTIONS, engine=second)
    assert first.order + second.order == [f"all-{i:06d}" for i in range(9)]
    assert (done.folder, done.written, done.made) == ("memory", 18, 8)
    assert {n: hashlib.sha256(data).hexdigest() for n, data in store.files.items() if n.endswith(".tar")} == hashes(
        local
    )
    assert store.names() == LocalStore(local).names()
    assert {name: store.files[name] for name in (RUN, REJECTS)} == {
        name: (local / name).read_bytes() for name in (RUN, REJECTS)
    }
    assert augpipe.augment(voc, store, "detection", OPTIONS).already_done
    assert finish(store).already_done
    assert retry(store).already_done


def test_a_store_is_overwritten_and_extended_like_a_folder(voc, local):
    from augpipe.run.augment import Execution

    store, engine = listed("MemoryStore")(), listed("Threads")()
    augpipe.augment(voc, store, "gentle", OPTIONS, engine=engine)
    with pytest.raises(UsageError, match=r"^memory: holds a run of another configuration"):
        augpipe.augment(voc, store, "detection", OPTIONS, engine=engine)
    augpipe.augment(voc, store, "detection", OPTIONS, engine=engine, execution=Execution(overwrite=True))
    assert {n: hashlib.sha256(data).hexdigest() for n, data in store.files.items() if n.endswith(".tar")} == hashes(
        local
    )
    more = augpipe.RunOptions(copies=3, seed=7)
    done = augpipe.augment(voc, store, "detection", more, engine=engine, execution=Execution(extend=True))
    assert (done.written, done.made, done.shards) == (27, 9, 18)


def test_an_unknown_engine_is_refused(voc, tmp_path):
    with pytest.raises(UsageError, match="engine spark: expected local, or an object"):
        augpipe.augment(voc, tmp_path / "out", "detection", OPTIONS, engine="spark")
    assert not (tmp_path / "out").exists()


class Elsewhere:
    """Takes the tasks, and nothing of them reaches the store, as with a store that its processes do not share."""

    def get_ready(self):
        pass

    def run(self, job, tasks, listener):
        list(tasks)


@pytest.mark.parametrize(
    ("store", "check"),
    [("MemoryStore", "whether the engine's processes reach the store"), (None, "whether the disk is sound")],
)
def test_shards_that_do_not_arrive_end_the_run_with_what_to_check(voc, tmp_path, store, check):
    place = listed(store)() if store else tmp_path / "out"
    with pytest.raises(
        RunError, match=rf"all-000000 was made, but its record is gone\nwhat is finished .*; see {check}"
    ):
        augpipe.augment(voc, place, "gentle", OPTIONS, engine=Elsewhere())
