"""Samples in tars: which members belong together, and tars that are none."""

from __future__ import annotations

import io
import os
import random
import signal
import tarfile
from pathlib import Path

import pytest
from builders import write_tar

from augpipe.core.errors import DatasetError
from augpipe.formats.webdataset.index import samples_of, tar_paths

FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def samples(*paths: Path) -> dict[str, list[str]]:
    """Key → endings."""
    return {key: list(members) for key, members in samples_of(paths, [])}


def refused(*paths: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        samples(*paths)
    return str(caught.value)


# --- members ---------------------------------------------------------------------------------------------------------


def test_members_up_to_the_first_dot_are_a_sample(tmp_path):
    names = ["a.jpg", "a.json", "a.semantic.png", "x/a.jpg", "x/a.cls", "v1.2/b.c.jpg", "v1.2/b.JSON"]
    path = write_tar(tmp_path / "x.tar", [(name, b"1") for name in names])
    assert samples(path) == {
        "a": ["jpg", "json", "semantic.png"],
        "x/a": ["jpg", "cls"],
        "v1.2/b": ["c.jpg", "json"],
    }


@pytest.mark.parametrize("form", FORMS)
def test_places_are_those_of_the_bytes(tmp_path, form):
    long = "x/" * 20 + "y" * 80 if form == "ustar" else "z/" * 60 + "y" * 200
    members = [("a.jpg", b"one" * 300), ("a.json", b""), (f"{long}.jpg", b"two"), ("né.jpg", b"three")]
    path = write_tar(tmp_path / "x.tar", members, FORMS[form])
    data = path.read_bytes()
    found = [(f"{key}.{ending}", data[place.offset : place.offset + place.size])
             for key, sample in samples_of([path], []) for ending, place in sample.items()]  # fmt: skip
    assert found == members


def test_names_without_stem_or_ending_are_skipped(tmp_path):
    path = write_tar(tmp_path / "x.tar", [(n, b"1") for n in ("README", ".hidden.jpg", "x/._a.jpg", "a.jpg", "x/b")])
    assert samples(path) == {"a": ["jpg"]}


def test_links_devices_and_folders_are_no_members(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for i, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
                                  tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE)):  # fmt: skip
            info = tarfile.TarInfo(f"{i}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        info = tarfile.TarInfo("good.jpg")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"data"))
    assert samples(path) == {"good": ["jpg"]}


def test_absolute_names_and_those_with_dots_are_only_names(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("/etc/a.jpg", b"1"), ("../../b.jpg", b"2")])
    assert sorted(samples(path)) == ["../../b", "/etc/a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tar"]


def test_a_key_that_comes_again_is_refused(tmp_path):
    one = write_tar(tmp_path / "one.tar", [("a.jpg", b"1"), ("b.jpg", b"1")])
    two = write_tar(tmp_path / "two.tar", [("c.jpg", b"1"), ("b.jpg", b"1")])
    assert refused(one, two) == f"{two}: sample 'b' is also in one.tar; keys must be unique"
    again = write_tar(tmp_path / "again.tar", [("a.jpg", b"1"), ("b.jpg", b"1"), ("a.json", b"1")])
    assert "sample 'a' is also in another place of this tar" in refused(again)
    twice = write_tar(tmp_path / "twice.tar", [("a.jpg", b"1"), ("a.JPG", b"2")])
    assert refused(twice) == f"{twice}: the member 'a.JPG' is there twice; names must be unique"


# --- tars that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8b\x08" + b"x" * 2000, b"x" * 5000],
                         ids=["empty", "text", "gzip", "rubbish"])  # fmt: skip
def test_files_that_are_no_tars(tmp_path, data):
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    assert refused(path).startswith(f"{path}: not a tar that can be read: ")


def test_a_tar_cut_in_a_member_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1" * 700), ("a.json", b"2" * 700)])
    whole = path.read_bytes()
    for size in (100, 511, 513, 800, 1700, 2047, 2300):
        path.write_bytes(whole[:size])
        assert "not a tar that can be read" in refused(path)


def test_a_tar_without_its_end_is_told(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1" * 700), ("b.jpg", b"2")])
    remarks: list[str] = []
    assert len(list(samples_of([path], remarks))) == 2
    assert remarks == []
    path.write_bytes(path.read_bytes()[:1536])
    assert len(list(samples_of([path], remarks))) == 1
    assert remarks == ["x.tar has no end mark; if writing it was interrupted, samples are missing"]


def test_a_tar_behind_a_tar_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1")])
    path.write_bytes(path.read_bytes() + write_tar(tmp_path / "y.tar", [("b.jpg", b"1")]).read_bytes())
    assert "another tar follows behind its end" in refused(path)


def with_header(data: bytes, offset: int, field: slice, value: bytes) -> bytes:
    """A tar whose header at ``offset`` says something else, with a checksum that fits."""
    header = bytearray(data[offset : offset + 512])
    header[field] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:offset] + bytes(header) + data[offset + 512 :]


def test_a_damaged_header_is_not_the_end(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1" * 700), ("b.jpg", b"2"), ("c.jpg", b"3")])
    data = bytearray(path.read_bytes())
    data[1536 + 20] ^= 1
    path.write_bytes(data)
    assert refused(path).endswith("not a tar that can be read: damaged at byte 1536")


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\xff" * 10 + b"\xfa\0", b"-0000001000\0", b"\x80" + b"\xff" * 11,
                                  b"77777777777\0"])  # fmt: skip
def test_a_header_that_leads_round_in_circles_ends(tmp_path, size):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1" * 700), ("b.jpg", b"2"), ("c.jpg", b"3")])
    path.write_bytes(with_header(path.read_bytes(), 1536, slice(124, 136), size))
    signal.alarm(300)  # without the check it never ends
    try:
        assert "not a tar that can be read" in refused(path)
    finally:
        signal.alarm(0)


def test_random_damage_is_an_error_or_a_shorter_list(tmp_path):
    rng = random.Random(5)
    whole = {}
    for name, form in FORMS.items():
        members = [("a.jpg", b"x" * 700), ("d/" * 20 + "l" * 90 + ".jpg", b"y"), ("é" * 40 + ".xml", b"z")]
        whole[name] = write_tar(tmp_path / f"{name}.tar", members, form).read_bytes()
    path, ended = tmp_path / "x.tar", {"read": 0, "refused": 0}
    for _ in range(300):
        data = rng.choice(list(whole.values()))
        offset = rng.randrange(len(data) // 512) * 512
        start = rng.choice((0, 124, 156, 257, rng.randrange(500)))
        value = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 12)))
        data = with_header(data, offset, slice(start, start + len(value)), value)
        path.write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        try:
            samples(path)
            ended["read"] += 1
        except DatasetError:
            ended["refused"] += 1
    assert min(ended.values()) > 10


# --- which tars ------------------------------------------------------------------------------------------------------


def test_a_tar_a_folder_and_a_pattern(tmp_path):
    for i in range(3):
        write_tar(tmp_path / f"x-{i:03d}.tar", [(f"{i}.jpg", b"1")])
    (tmp_path / "other.txt").write_text("x")
    names = [f"x-{i:03d}.tar" for i in range(3)]
    assert [p.name for p in tar_paths(str(tmp_path))] == names
    assert [p.name for p in tar_paths(str(tmp_path / "x-001.tar"))] == ["x-001.tar"]
    assert [p.name for p in tar_paths(f"{tmp_path}/x-{{000..002}}.tar")] == names
    assert [p.name for p in tar_paths(f"{tmp_path}/x-{{000,002}}.tar")] == ["x-000.tar", "x-002.tar"]


def test_braces_in_a_files_own_name(tmp_path):
    path = write_tar(tmp_path / "x{1}.tar", [("a.jpg", b"1")])
    assert tar_paths(str(path)) == [path]


@pytest.mark.parametrize(
    ("src", "expected"),
    [
        ("pipe:cat x.tar", "pipes are not read; save the shards as files first"),
        ("x.tar.gz", "a compressed tar cannot be read at random"),
        ("x.tgz", "a compressed tar cannot be read at random"),
        ("x.tar.zst", "a compressed tar cannot be read at random"),
        ("x-{000..001}.tar", "no such file (2 of 2 of the pattern missing)"),
        ("x-{000..001.tar", "the braces do not match"),
        ("x-{0..100001}.tar", "names 100,002 files; expected at most 100,000"),
    ],
)
def test_names_that_cannot_be_read(tmp_path, monkeypatch, src, expected):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError) as caught:
        tar_paths(src)
    assert expected in str(caught.value)


# --- what is left out ------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.LNKTYPE), ("c.jpg", tarfile.CHRTYPE),
                           ("d.jpg", tarfile.GNUTYPE_SPARSE), ("e", tarfile.DIRTYPE), ("README", tarfile.REGTYPE),
                           (".hidden.jpg", tarfile.REGTYPE), ("x/.DS_Store", tarfile.REGTYPE)):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "good.jpg"
            tar.addfile(info)
    remarks: list[str] = []
    assert list(samples_of([path], remarks)) == []
    assert remarks == [
        "x.tar: left out: 1 device",
        "x.tar: left out: 1 file without an ending",
        "x.tar: left out: 2 links (pack it again with --dereference --hard-dereference)",
        "x.tar: left out: 1 sparse file (pack it again without --sparse)",
    ]


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_a_header_of_many_gigabytes_is_not_read(tmp_path, kind):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1"), ("b.jpg", b"2")])
    data = with_header(path.read_bytes(), 1024, slice(156, 157), kind)
    path.write_bytes(with_header(data, 1024, slice(124, 136), b"77777777777\0"))
    with open(path, "r+b") as file:
        file.truncate(9 << 30)
    assert "a header of 8589934592 bytes" in refused(path)


def test_a_pipe_called_tar_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.tar")
    assert "not a tar that can be read" in refused(tmp_path / "x.tar")
