"""Several ranges of one file: the right bytes, few calls of the system, and nothing left open."""

from __future__ import annotations

import os
import random

import pytest

from augpipe.core.errors import Reject
from augpipe.storage import byte_range
from augpipe.storage.byte_range import kept_open, read_ranges

DATA = random.Random(1).randbytes(200_000)
FAR_APART = [(5, 7), (150_000, 1), (12, 0), (12, 30), (60_000, 50_000), (0, 5)]
NEIGHBOURS = [(k * 100, 90) for k in range(50)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(DATA)
    return str(path)


@pytest.fixture
def calls(monkeypatch):
    """Names of the calls of the system that read files, in order."""
    made = []

    def counted(name):
        real = getattr(os, name)
        monkeypatch.setattr(byte_range.os, name, lambda *a, **k: made.append(name) or real(*a, **k))

    for name in ("open", "pread", "close"):
        counted(name)
    return made


@pytest.mark.parametrize("ranges", [FAR_APART, NEIGHBOURS, [], [(0, len(DATA))]])
def test_ranges_are_those_bytes(file, ranges):
    assert read_ranges(file, ranges) == [DATA[start : start + size] for start, size in ranges]


def test_neighbours_are_read_together(file, calls):
    read_ranges(file, NEIGHBOURS)
    assert calls == ["open", "pread", "close"]


def test_a_file_that_stays_open_is_opened_once_and_closed_in_the_end(file, calls):
    with kept_open():
        for _ in range(3):
            assert read_ranges(file, NEIGHBOURS[:1]) == [DATA[:90]]
        assert calls == ["open", "pread", "pread", "pread"]
    assert calls[4:] == ["close"]
    read_ranges(file, NEIGHBOURS[:1])
    assert calls[5:] == ["open", "pread", "close"]


def test_no_more_files_stay_open_than_may(tmp_path, monkeypatch, calls):
    monkeypatch.setattr(byte_range, "_MOST_OPEN", 2)
    paths = [tmp_path / str(k) for k in range(4)]
    for path in paths:
        path.write_bytes(DATA[:10])
    with kept_open():
        for path in [*paths, *paths]:
            assert read_ranges(str(path), [(2, 3)]) == [DATA[2:5]]
        assert calls.count("open") == 2 + 2 * 2
        assert calls.count("close") == 2 * 2
    assert calls.count("close") == calls.count("open")


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_no_file_or_too_short_is_a_reject(file, tmp_path, keep, calls):
    os.mkfifo(tmp_path / "pipe")

    def code(path, ranges):
        with pytest.raises(Reject) as caught:
            read_ranges(str(path), ranges)
        return caught.value.code

    def codes():
        return [
            code(tmp_path / "gone", [(0, 1)]),
            code(tmp_path / "pipe", [(0, 1)]),
            code(file, [(len(DATA) - 5, 6)]),
            code(file, [(0, byte_range.LARGEST_FILE + 1)]),
        ]

    if keep:
        with kept_open():
            found = codes()
    else:
        found = codes()
    assert found == ["missing-file", "missing-file", "truncated", "too-large"]
    assert calls.count("close") == calls.count("open") - 1  # one of them was not there
