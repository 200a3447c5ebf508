"""Hostile tars and zips of whole datasets. Each holds a good picture besides, unless the whole must be refused."""

from __future__ import annotations

import io
import json
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from builders import object_xml, voc_xml, write_tar
from hostile import CASES, ERROR, GOOD, READ, Case, augment
from hostile_others import patched
from hostile_pictures import zeros_packed

ZIPS, TARS = "Zips of datasets", "Tars of datasets"
XML = voc_xml(object_xml()).encode()
JPG, LABELS = "JPEGImages/b.jpg", ("Annotations/b.xml", XML)
BASE = [("Annotations/a.xml", XML), ("JPEGImages/a.jpg", GOOD)]
Members = Iterable[tuple[str, bytes]]


def archive_case(group: str, name: str, outcome: str, write: Callable[[Path], object], says: str = "") -> None:
    """An archive that a function writes, read by ``augment``."""

    def build(folder: Path) -> list[str]:
        path = folder / f"x.{'zip' if group == ZIPS else 'tar'}"
        write(path)
        return augment(path)

    CASES.append(Case(group, name, outcome, build, says))


# --- zips ------------------------------------------------------------------------------------------------------------


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], base: Members = BASE, way: int = 8) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", way) as archive:
            warnings.simplefilter("ignore")  # of a name that comes twice
            for name, data in (*base, *members):
                archive.writestr(name, data)

    return write


def bomb(name: str, other: tuple[str, bytes], gigabytes: int, says: int | None = None) -> Callable[[Path], None]:
    """A member of zeros, deflated 1,000 times, put together by hand; ``says`` is the size that its zip says."""

    def write(path: Path) -> None:
        zipped(other)(path)
        whole = path.read_bytes()
        end = whole.index(b"PK\1\2")
        stream = zeros_packed(gigabytes << 30)[2:-4]  # a zlib stream's deflate
        size = (gigabytes << 30) if says is None else says
        encoded, fields = name.encode(), (0, 8, 0, 33, zlib.crc32(b""), len(stream), size, len(name))
        local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, *fields, 0) + encoded
        entry = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, *fields, 0, 0, 0, 0, 0, end) + encoded
        directory = whole[end : whole.rindex(b"PK\5\6")] + entry
        count = len(BASE) + 2
        start = end + len(local) + len(stream)
        tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
        path.write_bytes(whole[:end] + local + stream + directory + tail)

    return write


def central(
    field: int, value: bytes, of: str = "", then: Callable[[Path], None] | None = None
) -> Callable[[Path], None]:
    """A zip whose directory says something else of a member."""

    def write(path: Path) -> None:
        (then or zipped((JPG, GOOD), LABELS))(path)
        data = path.read_bytes()
        start = data.index(b"PK\1\2")
        at = data.index((of or JPG).encode(), start) - 46
        path.write_bytes(data[: at + field] + value + data[at + field + len(value) :])

    return write


def overlapping(path: Path) -> None:
    """Ten thousand entries of a directory, all of one member: Fifield's bomb in its simplest form."""
    zipped(way=0)(path)
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    entry = data[start : data.index(b"PK\1\2", start + 1)]
    names = [entry[:46] + (b"Annotations/%05d" % i)[-17:] + entry[63:] for i in range(10_000)]
    directory = data[start:end] + b"".join(names)
    count = len(BASE) + len(names)
    path.write_bytes(
        data[:start] + directory + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
    )


def link(name: str, target: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        zipped((JPG, GOOD), LABELS)(path)
        path.write_bytes(change(path.read_bytes()))

    return write


def nested(kind: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        inner = path.with_name(f"inner.{kind}")
        zipped()(inner) if kind == "zip" else write_tar(inner, BASE)
        zipped((f"inner.{kind}", inner.read_bytes()), base=())(path)

    return write


DOCUMENT = json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}).encode()


def json_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.json", "w") as file:
        file.write(DOCUMENT[:-1])
        for _ in range(600):
            file.write(b" " * (1 << 20))
        file.write(b"}")


archive_case(ZIPS, "ten thousand names of one member, as bombs have them", ERROR, overlapping, "lies in")
archive_case(ZIPS, "a picture of 1 GB of zeros in 1 MB", "reject too-large", bomb(JPG, LABELS, 1))
archive_case(ZIPS, "the same, of which the zip says 1,000 bytes", "reject bad-archive", bomb(JPG, LABELS, 1, 1000))
archive_case(ZIPS, "an XML of 1 GB of zeros", "reject too-large", bomb(LABELS[0], (JPG, GOOD), 1))
archive_case(ZIPS, "a JSON of 600 MB of spaces in 0.6 MB", ERROR, json_bomb, "expected no JSON of that size")
archive_case(ZIPS, "members called ../../b.jpg and /etc/passwd", READ,
             zipped(("../../b.jpg", GOOD), ("/etc/passwd", b"x")), "leads out")  # fmt: skip
archive_case(ZIPS, r"a member called ..\..\b.jpg", READ, zipped(("..\\..\\b.jpg", GOOD)), "leads out")
archive_case(ZIPS, "a link to /etc/passwd for a picture", "reject missing-picture",
             zipped((link(JPG, ""), b"/etc/passwd"), LABELS), "left out")  # fmt: skip
archive_case(ZIPS, "a link to .. for a folder", READ, zipped((link("JPEGImages/up", ""), b"..")), "left out")
archive_case(ZIPS, "a name that comes twice", ERROR, zipped((JPG, GOOD), (JPG, GOOD), LABELS), "is there twice")
archive_case(ZIPS, "a file that is a folder too", ERROR, zipped(("JPEGImages", b"")), "a file and a folder at once")
archive_case(ZIPS, "names with lines and colours", READ, zipped(("JPEGImages/x\n\x1b[31m.jpg", GOOD)))
archive_case(ZIPS, "a name with a zero byte", ERROR,
             changed(lambda d: d.replace(b"b.jpg", b"b\0jpg")), "is no name")  # fmt: skip
archive_case(ZIPS, "folders 2,000 levels deep", READ, zipped((f"{'d/' * 2000}x.jpg", GOOD)))
archive_case(ZIPS, "a name of 60,000 letters", ERROR, zipped((f"{'x' * 60_000}.jpg", GOOD)), "is no name")
archive_case(ZIPS, "25,000 empty members", READ, zipped(*((f"more/{i}", b"") for i in range(25_000))))
archive_case(ZIPS, "a member with a password", ERROR, central(8, b"\1\0"), "is encrypted")
archive_case(ZIPS, "a member packed with LZMA", ERROR, central(10, b"\x0e\0"), "packed with lzma")
archive_case(ZIPS, "a checksum that is wrong", "reject bad-archive", central(16, b"\1\2\3\4"))
archive_case(ZIPS, "a member of 4 GB that is not there", "reject too-large", central(24, b"\xfe\xff\xff\xff"))
archive_case(ZIPS, "a member that begins behind the end", "reject truncated", central(42, b"\xfe\xff\xff\x7f"))
archive_case(ZIPS, "a directory of 2 GB", ERROR,
             changed(lambda d: d[:-10] + b"\xff\xff\xff\x7f" + d[-6:]), "not a zip")  # fmt: skip
archive_case(ZIPS, "half a zip", ERROR, changed(lambda d: d[: len(d) // 2]), "not a zip")
archive_case(ZIPS, "a zip in a zip", ERROR, nested("zip"), "there is an archive")
archive_case(ZIPS, "a tar in a zip", ERROR, nested("tar"), "there is an archive")

# --- tars ------------------------------------------------------------------------------------------------------------


def tarred(*members: tuple[str, bytes] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tarfile.open(path, "w", format=form) as tar:
            for member in (*BASE, *members):
                if isinstance(member, tarfile.TarInfo):
                    tar.addfile(member)
                    continue
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))

    return write


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def with_header(field: int, value: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        tarred((JPG, GOOD), LABELS)(path)
        data = path.read_bytes()
        path.write_bytes(patched(data, data.index(JPG.encode()), field, value))

    return write


def pax(**fields: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("JPEGImages/c.jpg")
    info.pax_headers = fields
    return info


def renamed(path: Path) -> None:
    tarred((JPG, GOOD), LABELS)(path)
    path.write_bytes(path.read_bytes().replace(b"JPEGImages/b.jpg", b"JPEGImages/c.jpg"))


def cut_tar(path: Path) -> None:
    tarred((JPG, GOOD), LABELS)(path)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(JPG.encode()) + 512 + len(GOOD) // 2])


archive_case(TARS, "members called ../../b.jpg and /etc/passwd", READ,
             tarred(("../../b.jpg", GOOD), ("/etc/passwd", b"x")), "leads out")  # fmt: skip
archive_case(TARS, "a link to /etc/passwd for a picture", "reject missing-picture",
             tarred(special(JPG, tarfile.SYMTYPE, "/etc/passwd"), LABELS), "left out")  # fmt: skip
archive_case(TARS, "a hard link to ../../a.jpg for a picture", "reject missing-picture",
             tarred(special(JPG, tarfile.LNKTYPE, "../../a.jpg"), LABELS), "left out")  # fmt: skip
archive_case(TARS, "a link to itself for a folder", READ,
             tarred(special("JPEGImages/up", tarfile.SYMTYPE, ".")), "left out")  # fmt: skip
archive_case(TARS, "a device for a picture", "reject missing-picture",
             tarred(special(JPG, tarfile.BLKTYPE), LABELS), "left out")  # fmt: skip
archive_case(TARS, "a pipe for an XML", READ,
             tarred(special("Annotations/c.xml", tarfile.FIFOTYPE)), "left out")  # fmt: skip
archive_case(TARS, "a member of a kind that nobody knows", READ, tarred(special("JPEGImages/c.jpg", b"Z")))
archive_case(TARS, "a name that comes twice", ERROR, tarred((JPG, GOOD), (JPG, b"x"), LABELS), "is there twice")
archive_case(TARS, "folders 2,000 levels deep", READ, tarred((f"{'d/' * 2000}x.jpg", GOOD)))
archive_case(TARS, "a name of 10 MB", ERROR, tarred((f"{'x' * 10_000_000}.jpg", GOOD)), "not a tar")
archive_case(TARS, "a picture of 8 GB that is not there", ERROR, with_header(124, b"77777777777\0"))
archive_case(TARS, "an extended header that says a size of −1", ERROR, tarred(pax(size="-1"), LABELS), "not a tar")
archive_case(TARS, "an extended header that says a size of 10 TB", ERROR, tarred(pax(size=str(10**13)), LABELS))
archive_case(TARS, "an extended header with a name that leads out", READ,
             tarred(pax(path="../../../etc/c.jpg")), "leads out")  # fmt: skip
archive_case(TARS, "an extended header of 10,000 fields", READ,
             tarred(pax(**{f"field.{i}": "x" for i in range(10_000)})))  # fmt: skip
archive_case(TARS, "half a picture, and no end", ERROR, cut_tar, "not a tar")
archive_case(TARS, "a header whose checksum is wrong", ERROR, renamed, "not a tar")
