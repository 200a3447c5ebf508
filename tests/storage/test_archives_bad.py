"""Archives that are damaged or made to do harm: an error, a reject of one picture, or left out and told.

docs/hostile.md has more of them, with what each takes; here is what is said, to the word.
"""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import keys, object_xml, opened, said, voc_xml, write_tar, write_voc
from packing import packed, write_zip

from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import read_picture


def good(tmp_path: Path) -> dict[str, bytes]:
    root = write_voc(tmp_path / "good", {"a": voc_xml(object_xml())})
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["/etc/b.jpg", "../b.jpg", "x/../../b.jpg", "C:/b.jpg", "//b.jpg"])
@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_names_that_lead_out_are_left_out_and_told(name, ending, tmp_path):
    files = {**good(tmp_path), name: b"x"}
    path = tmp_path / f"x.{ending}"
    if ending == "zip":
        write_zip(path, files)
    else:
        write_tar(path, list(files.items()))
    dataset = opened(path)
    assert keys(dataset) == ["a.jpg"]
    assert dataset.remarks == (f"x.{ending}: left out: {name}, a name that leads out of it",)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_a_name_that_comes_twice_is_refused(ending, tmp_path):
    files = [*good(tmp_path).items(), ("JPEGImages/a.jpg", b"other")]
    path = tmp_path / f"x.{ending}"
    write_zip(path, files) if ending == "zip" else write_tar(path, files)
    assert said(path) == f"x.{ending}!JPEGImages/a.jpg: is there twice; names must be unique, pack it again"
    dotted = [*good(tmp_path).items(), ("./JPEGImages//a.jpg", b"other")]
    write_zip(path, dotted) if ending == "zip" else write_tar(path, dotted)
    assert "is there twice" in said(path)


def test_a_file_that_is_a_folder_too_is_refused(tmp_path):
    path = write_zip(tmp_path / "x.zip", {**good(tmp_path), "JPEGImages": b""})
    assert said(path) == "x.zip!JPEGImages: is a file and a folder at once; pack it again"


def test_links_in_a_zip_are_left_out(tmp_path):
    path = write_zip(tmp_path / "x.zip", good(tmp_path))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("JPEGImages/b.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert opened(path).remarks == ("x.zip: left out: 1 link (pack it again with --dereference --hard-dereference)",)


def central(data: bytes, field: int, value: bytes, number: int = 0) -> bytes:
    """A zip whose directory says something else of its member of that number."""
    at = -1
    for _ in range(number + 1):
        at = data.index(b"PK\1\2", at + 1)
    return data[: at + field] + value + data[at + field + len(value) :]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: central(d, 8, b"\1\0"), "is encrypted; unpack the zip with its password"),
        (lambda d: central(d, 10, b"\x0e\0"), "is packed with lzma; unpack it, or pack it with plain 'zip -r'"),
        (lambda d: central(d, 42, b"\0\0\0\0", 1), "lies in "),
        (lambda d: d[: len(d) // 2], "not a zip that can be read"),
        (lambda d: central(d, 28, b"\xff\xff"), "not a zip that can be read"),
        (lambda d: b"", "not a zip that can be read"),
        (lambda d: d[:-22] + d[-22:-10] + b"\xff\xff\xff\x7f" + d[-6:], "not a zip that can be read"),
    ],
    ids=["encrypted", "lzma", "overlapping", "cut", "long name", "empty", "huge directory"],
)
def test_zips_that_are_none_or_cannot_be_read(change, expected, tmp_path):
    path = write_zip(tmp_path / "x.zip", good(tmp_path))
    path.write_bytes(change(path.read_bytes()))
    assert expected in said(path)
    assert str(path) in said(path)


def picture_of(dataset, tmp_path: Path) -> Reject:
    with pytest.raises(Reject) as caught:
        read_picture(dataset.entries[0])
    assert caught.value.stage == "read"
    return caught.value


def test_a_damaged_member_is_a_reject(tmp_path):
    path = write_zip(tmp_path / "x.zip", good(tmp_path), zipfile.ZIP_STORED)
    whole = path.read_bytes()
    picture = good(tmp_path)["JPEGImages/a.jpg"]
    at = whole.index(picture)
    path.write_bytes(whole[: at + 50] + bytes([whole[at + 50] ^ 1]) + whole[at + 51 :])
    reject = picture_of(opened(path), tmp_path)
    assert reject.code == "bad-archive"
    assert reject.message.startswith("x.zip!JPEGImages/a.jpg: its bytes in the archive are damaged")
    header = whole.rindex(b"PK\3\4", 0, at)
    path.write_bytes(whole[:header] + b"XX" + whole[header + 2 :])
    assert "no member begins at byte" in picture_of(opened(path), tmp_path).message


def test_a_bomb_is_never_blown_up(tmp_path):
    """A member that says it is small and is not, and one that says how large it is."""
    files = good(tmp_path)
    zeros = write_zip(tmp_path / "x.zip", {**files, "JPEGImages/a.jpg": bytes(50_000_000)})
    data = zeros.read_bytes()
    number = [i.filename for i in zipfile.ZipFile(zeros).infolist()].index("JPEGImages/a.jpg")
    zeros.write_bytes(central(data, 24, (1000).to_bytes(4, "little"), number))
    assert picture_of(opened(zeros), tmp_path).code == "bad-archive"
    zeros.write_bytes(central(data, 24, (1 << 30).to_bytes(4, "little"), number))
    assert picture_of(opened(zeros), tmp_path).code == "too-large"


def test_a_json_that_is_a_bomb_or_damaged_is_an_error(tmp_path):
    document = json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}).encode()
    path = write_zip(tmp_path / "x.zip", {"a.json": document + b" " * 3_000_000})
    data = path.read_bytes()
    path.write_bytes(central(data, 24, (len(document)).to_bytes(4, "little")))
    assert "x.zip!a.json: damaged in its archive: it holds more than its directory says" in said(path)
    path.write_bytes(central(data, 16, b"\1\2\3\4"))
    assert "x.zip!a.json: damaged in its archive: its checksum is wrong" in said(path)
    path.write_bytes(central(data, 24, (0xF0000000).to_bytes(4, "little")))
    assert "expected no JSON of that size" in said(path)


def test_zip64_is_read(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in good(tmp_path).items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    assert read_picture(opened(path).entries[0]) == good(tmp_path)["JPEGImages/a.jpg"]
    many = write_zip(tmp_path / "many.zip", {**good(tmp_path), **{f"more/{i}": b"" for i in range(1 << 16)}})
    assert keys(opened(many)) == ["a.jpg"]


def test_random_damage_of_a_zip_is_an_error_or_a_reject(tmp_path):
    rng = np.random.default_rng(3)
    path = write_zip(tmp_path / "x.zip", good(tmp_path))
    whole, ended = path.read_bytes(), {"read": 0, "reject": 0, "refused": 0}
    start = whole.index(b"PK\1\2")
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(3):
            data[int(rng.integers(start if rng.random() < 0.8 else 0, len(data)))] = int(rng.integers(256))
        path.write_bytes(data)
        try:
            dataset = opened(path)
            for entry in dataset.entries:
                dataset.reader.annotations(entry)
                read_picture(entry)
            ended["read"] += 1
        except DatasetError:
            ended["refused"] += 1
        except Reject:
            ended["reject"] += 1
    assert min(ended.values()) > 3, ended


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    path = write_zip(tmp_path / "x.zip", {n.replace("a.", "bb."): d for n, d in good(tmp_path).items()})
    path.write_bytes(path.read_bytes().replace(b"bb.", b"\xe9\xff."))
    assert "is not UTF-8; rename the file" in said(path)


def test_an_archive_that_goes_away_or_is_cut_is_a_reject(voc, tmp_path):
    path = packed(voc, tmp_path / "voc.zip")
    dataset = opened(path)
    path.unlink()
    assert picture_of(dataset, tmp_path).code == "missing-file"
    path.write_bytes(b"PK")
    assert picture_of(dataset, tmp_path).code == "truncated"


@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_folders_nested_without_end_are_walked(ending, tmp_path):
    """Deeper than Python calls itself; beside the dataset, and in it."""
    deep = "d/" * 1500
    files = {**good(tmp_path), f"{deep}x.txt": b"x", f"JPEGImages/{deep}x.txt": b"x", f"Annotations/{deep}x.txt": b"x"}
    path = tmp_path / f"x.{ending}"
    write_zip(path, files) if ending == "zip" else write_tar(path, list(files.items()), tarfile.PAX_FORMAT)
    assert keys(opened(path)) == ["a.jpg"]
    assert keys(opened(path, format="voc")) == ["a.jpg"]
    assert keys(opened(path, format="imagefolder")) == ["JPEGImages/a.jpg"]
    for format in ("coco", "yolo", "dota", "masks"):
        said(path, format=format)
