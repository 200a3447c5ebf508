"""A library that does not load ends a command with its one sentence, and is not the fault of every picture."""

from __future__ import annotations

import pytest
from command_line import call

from augpipe.core.errors import MissingLibrary
from augpipe.pixels import cpu
from augpipe.run import task
from augpipe.survey import count

WHY = ("OpenCV cannot be loaded: libx.so: no such file", "pip install opencv-python-headless")


def missing(*_: object, **__: object) -> None:
    raise MissingLibrary("\n".join(WHY))


@pytest.mark.parametrize(("module", "name"), [(task, "read_header"), (task, "upright_labels"), (cpu, "decode")])
def test_a_missing_library_ends_a_run_and_not_each_picture(voc, tmp_path, monkeypatch, module, name):
    command = ["augment", str(voc), str(tmp_path / "out"), "-r", "gentle", "-w", "0"]
    monkeypatch.setattr(module, name, missing)
    done = call(*command)
    assert done.exit_code == 1
    assert [line.strip() for line in done.stderr.splitlines()[-2:]] == [f"augpipe: {WHY[0]}", WHY[1]]
    assert list((tmp_path / "out").glob("all-*")) == []
    assert not (tmp_path / "out" / "rejects.jsonl").exists()
    monkeypatch.undo()
    assert call(*command).exit_code == 0


def test_a_missing_library_ends_inspect(voc, monkeypatch):
    monkeypatch.setattr(count, "start_and_header", missing)
    done = call("inspect", str(voc), "-w", "0")
    assert done.exit_code == 2
    assert [line.strip() for line in done.stderr.splitlines()] == [f"augpipe: {WHY[0]}", WHY[1]]
