"""Where samples are by a shard's record: as tarfile finds them, written by every run, and never believed blindly."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from shard_folder import numbered_folder

import augpipe.formats.webdataset.folder
from augpipe.core.errors import DatasetError
from augpipe.formats.webdataset.folder import StoredSampleReader, open_folder


def by_tarfile(shard: Path) -> list[list[int]]:
    """[first byte, bytes] of every run of members with one stem."""
    spans: dict[str, list[int]] = {}
    with tarfile.open(shard) as tar:
        for member in tar:
            end = member.offset_data + -(-member.size // 512) * 512
            spans.setdefault(member.name.partition(".")[0], [member.offset, 0])[1] = end
    return [[first, end - first] for first, end in spans.values()]


def keys_of(folder: Path) -> list[str]:
    reader = StoredSampleReader(open_folder(folder).shards)
    return [reader.sample(0, member).record.key for member in range(reader.shards[0].samples)]


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    folder = numbered_folder(tmp_path / "dst", [5])
    changed(folder, lambda _: by_tarfile(folder / "all-000000.tar"))
    return folder


def changed(folder: Path, change: Callable[[Any], Any]) -> None:
    path = folder / "all-000000.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "index": change(record.get("index"))}))


def test_a_run_writes_it(voc: Path, tmp_path: Path) -> None:
    arguments = ("--recipe", "detection", "--copies", "3", "--workers", "0", "--sources-per-shard", "2")
    assert call("augment", voc, tmp_path / "dst", *arguments).exit_code == 0
    shards = sorted((tmp_path / "dst").glob("*.tar"))
    assert len(shards) > 1
    for shard in shards:
        assert json.loads(shard.with_suffix(".json").read_text())["index"] == by_tarfile(shard)


def test_no_header_is_read_where_it_is_there(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = keys_of(indexed)
    monkeypatch.delattr(augpipe.formats.webdataset.folder, "samples_of")
    assert keys_of(indexed) == expected
    assert [key[:4] for key in expected] == ["p000", "p001", "p002", "p003", "p004"]


@pytest.mark.parametrize(
    "index",
    [
        lambda i: i[:-1],
        lambda i: [*i, [i[-1][0] + i[-1][1], 512]],
        lambda i: [[first + 512, n] for first, n in i],
        lambda i: [i[0], i[0], *i[2:]],
        lambda i: [[first, float("nan")] for first, _ in i],
        lambda i: [[first, "x"] for first, _ in i],
        lambda i: {"a": 1},
        lambda i: [[0, 10**12], *i[1:]],
        lambda i: [[0, 0], [0, i[0][1]], *i[1:-1]],
        lambda i: None,
    ],
    ids=["short", "long", "late", "twice", "nan", "text", "dict", "huge", "empty", "none"],
)
def test_one_that_cannot_be_is_not_used(indexed: Path, index: Callable[[Any], Any]) -> None:
    expected = keys_of(indexed)
    changed(indexed, index)
    assert keys_of(indexed) == expected


def test_one_of_another_tar_is_an_error_not_another_sample(indexed: Path) -> None:
    """Borders moved by a header: a stretch then begins inside a sample, or holds the end of one and the next."""
    changed(indexed, lambda i: [[0, i[0][1] - 1024], [i[0][1] - 1024, i[1][1] + 1024], *i[2:]])
    with pytest.raises(DatasetError, match=r"all-000000\.tar: "):
        keys_of(indexed)


def test_the_last_sample_cannot_be_said_to_end_before_its_last_member(tmp_path: Path) -> None:
    """Its mask would be missing, which is a target of zeros."""
    folder = numbered_folder(tmp_path / "dst", [2])
    shard = folder / "all-000000.tar"
    with tarfile.open(shard) as tar:
        last = tar.getmembers()[-1].offset
    changed(folder, lambda _: [*(spans := by_tarfile(shard))[:-1], [spans[-1][0], last - spans[-1][0]]])
    reader = StoredSampleReader(open_folder(folder).shards)
    assert sorted(reader.sample(0, 1).members) == ["json", "png"]


def test_a_stretch_of_two_samples_is_none(tmp_path: Path) -> None:
    folder = numbered_folder(tmp_path / "dst", [4])
    spans = by_tarfile(folder / "all-000000.tar")
    half = spans[3][1] - 1024
    changed(folder, lambda _: [[0, spans[2][0]], spans[2], [spans[3][0], half], [spans[3][0] + half, 1024]])
    with pytest.raises(DatasetError, match=r"expected one sample, got p000-.* and p001-"):
        keys_of(folder)


def test_verify_finds_one_that_is_wrong(voc: Path, tmp_path: Path) -> None:
    dst = tmp_path / "dst"
    assert call("augment", voc, dst, "--recipe", "detection", "--workers", "0").exit_code == 0
    assert call("verify", dst, "--workers", "0").exit_code == 0
    path = min(dst.glob("*-000000.json"))
    record = json.loads(path.read_text())
    record["index"][0][1] -= 512
    path.write_text(json.dumps(record))
    result = call("verify", dst, "--workers", "0")
    assert result.exit_code == 1
    assert "its index is not where the samples of the tar are" in result.output
