"""Every path that a command writes to is looked at before any work."""

from __future__ import annotations

import os

import pytest
from command_line import call

from augpipe.core.errors import UsageError
from augpipe.core.paths import local_path

COMMANDS = {
    "augment": ["augment", "VOC", "PLACE", "-r", "gentle"],
    "convert": ["convert", "voc-to-coco", "VOC", "PLACE"],
    "convert to a json": ["convert", "voc-to-coco", "VOC", "PLACE.json"],
    "preview": ["preview", "VOC", "-r", "gentle", "-o", "PLACE.png"],
    "inspect": ["inspect", "VOC", "-o", "PLACE.png"],
    "verify": ["verify", "PLACE"],
    "verify with a sheet": ["verify", "VOC", "--against", "VOC", "--sheet", "PLACE.png"],
    "retry": ["retry", "PLACE"],
    "finish": ["finish", "PLACE"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["s3://bucket/out", "GS://bucket/out", "hdfs:///out", "memory://out"])
def test_a_scheme_is_one_line_exit_2_and_leaves_nothing(command, place, voc, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*[str(voc) if word == "VOC" else word.replace("PLACE", place) for word in COMMANDS[command]])
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert f"{place.partition(':')[0].lower()}:// is neither written to" in first
    assert second.strip().startswith("use a local path and copy it")
    assert os.listdir(tmp_path) == []


def test_the_way_out_works(voc, tmp_path, monkeypatch):
    """A local folder may be called like that."""
    monkeypatch.chdir(tmp_path)
    assert call("augment", voc, "./s3://bucket/out", "-r", "gentle", "-w", 0).exit_code == 0
    assert (tmp_path / "s3:" / "bucket" / "out" / "manifest.json").is_file()
    assert call("verify", "./s3:/bucket/out").exit_code == 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "DST is empty; expected a path"),
        ("  ", "DST is empty; expected a path"),
        ("a\0b", r"DST a\\x00b: holds a zero character"),
        ("file:///tmp/out", "DST file:///tmp/out: expected a path, not a URL; leave file:// out"),
        ("s3://u:p@bucket/\x1b[31m", r"DST s3://u:p@bucket/\\x1b\[31m: expected a local path"),
    ],
)
def test_what_is_no_path(path, said):
    with pytest.raises(UsageError, match=said):
        local_path(path)


@pytest.mark.parametrize("path", ["out", "./s3://x", "/a:/b", "C:/out", "a b", "x:y", "s3:"])
def test_what_is_one(path, tmp_path):
    plain = path.replace("//", "/").removeprefix("./")
    assert str(local_path(path)) == (os.path.abspath(path) if path == "./s3://x" else plain)
    assert local_path(local_path(path)) == local_path(path)
    assert local_path(tmp_path) == tmp_path
