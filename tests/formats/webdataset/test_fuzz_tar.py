"""Tars, ours and others', that are almost right, or not at all: for reading, verifying and training."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import encoded, object_xml, photo, rle_json, row, voc_xml, write_tar
from forge import forged
from fuzzing import ODD_TEXTS, as_json, damaged, fuzzed, mutated, only_our_errors, use
from hypothesis import given
from hypothesis import strategies as st
from runs import run, samples

from augpipe.train.dataset import ShardDataset
from augpipe.verification.run import verify

PICTURE = encoded(photo((20, 10)))
MASK = np.zeros((10, 20), np.uint8)
MASK[2:7, 3:9] = 1
FOREIGN: tuple[tuple[str, bytes], ...] = (
    ("a.jpg", PICTURE),
    (
        "a.json",
        as_json(
            [row(category_id=1, category="cat", segmentation=rle_json(MASK)), {"bbox": [1, 1, 3, 3], "category_id": 2}]
        ),
    ),
    ("sub.d/b.c.jpg", PICTURE),
    ("sub.d/b.jpg", PICTURE),
    ("sub.d/b.xml", voc_xml(object_xml()).encode()),
    ("c.png", encoded(photo((20, 10)), "PNG")),
    ("c.cls", b"2\n"),
)
FORMS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
KINDS = (
    tarfile.REGTYPE,
    tarfile.AREGTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
    tarfile.CONTTYPE,
    tarfile.GNUTYPE_SPARSE,
    b"Z",
)
NAMES = (
    *(n for n in ODD_TEXTS if "\0" not in n and "\ud800" not in n),
    "a.jpg",
    "a.json",
    "a.cls",
    "a.xml",
    ".jpg",
    "a.",
    "./a.jpg",
    "../a.json",
    "/a.jpg",
    "x/../a.jpg",
    "a.jpg/",
    "é.jpg",
    "a.semantic.png",
    "b.\n.jpg",
    "a" * 300 + ".jpg",
)


def tar_of(members: Any, form: int, sparse: bool = False) -> bytes:
    """A tar of (name, content, kind) in one of tarfile's forms; ``sparse`` says of some that they have holes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form, errors="replace") as tar:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "a.jpg", len(content)
            if sparse and form == tarfile.PAX_FORMAT and len(content) % 2:
                info.pax_headers = {"comment": "x", "GNU.sparse.map": "0,1"}
            try:
                tar.addfile(info, io.BytesIO(content))
            except (ValueError, UnicodeError):  # a name that this form cannot hold
                continue
    return file.getvalue()


PLAIN = tuple(tar_of([(n, c, tarfile.REGTYPE) for n, c in FOREIGN], form) for form in FORMS)


@st.composite
def header_fields(draw: Callable[..., Any]) -> bytes:
    """A tar in which one field of one header says something else, with a checksum that fits."""
    data = bytearray(draw(st.sampled_from(PLAIN)))
    offset = draw(st.integers(0, len(data) // 512 - 1)) * 512
    start = draw(st.sampled_from((0, 100, 108, 124, 136, 156, 157, 257, 263, 345, 386, 482, 483)))
    value = draw(
        st.sampled_from(
            (
                b"77777777777\0",
                b"\x80" + b"\xff" * 11,
                b"\x80" + bytes(10) + b"\1",
                b"-0000000001\0",
                b"S",
                b"x",
                b"g",
                b"L",
                b"K",
                b"\xff" * 12,
                b"00000000000\0",
                b"../../a.jpg\0",
            )
        )
        | st.binary(min_size=1, max_size=12)
    )
    data[offset + start : offset + start + len(value)] = value
    header = data[offset : offset + 512]
    header[148:156] = b" " * 8
    data[offset + 148 : offset + 156] = b"%06o\0 " % sum(header)
    return bytes(data)


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def own(tmp_path_factory, coco) -> Path:
    folder = tmp_path_factory.mktemp("own")
    run(coco, folder / "out", "keypoints", copies=1, limit=3)
    return folder / "out"


def test_the_tars_that_are_changed_are_read(place):
    for data in PLAIN:
        (place / "x.tar").write_bytes(data)
        assert use(place / "x.tar") == ["read", "read", "read"]


@given(data=header_fields())
@fuzzed(100)
def test_headers_that_say_something_else(tmp_path_factory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "headers.tar"
    path.write_bytes(data)
    only_our_errors(lambda: use(path))


@given(data=damaged(PLAIN) | st.binary(max_size=2000))
@fuzzed(80)
def test_tars_of_which_bytes_are_changed(tmp_path_factory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "bytes.tar"
    path.write_bytes(data)
    only_our_errors(lambda: use(path))


@given(
    members=st.lists(
        st.tuples(
            st.sampled_from(NAMES), st.sampled_from([c for _, c in FOREIGN] + [b"", b"[]"]), st.sampled_from(KINDS)
        ),
        max_size=8,
    ),
    form=st.sampled_from(FORMS),
)
@fuzzed(80)
def test_members_of_any_name_and_kind(tmp_path_factory, members: Any, form: int):
    path = tmp_path_factory.getbasetemp() / "members.tar"
    path.write_bytes(tar_of(members, form, sparse=True))
    only_our_errors(lambda: use(path))


@given(
    value=mutated(json.loads(FOREIGN[1][1]), most=5) | mutated({"annotations": json.loads(FOREIGN[1][1]), "width": 20})
)
@fuzzed(100)
def test_objects_of_others(tmp_path_factory, value: Any):
    path = tmp_path_factory.getbasetemp() / "objects.tar"
    path.write_bytes(
        tar_of([("a.jpg", PICTURE, tarfile.REGTYPE), ("a.json", as_json(value), tarfile.REGTYPE)], FORMS[0])
    )
    only_our_errors(lambda: use(path))


# --- ours ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(own) -> tuple[str, dict[str, bytes]]:
    """A sample with objects of all kinds."""
    return max(samples(own).items(), key=lambda item: len(item[1]["json"]))


@given(data=st.data())
@fuzzed(100)
def test_our_records_of_which_a_little_is_changed(tmp_path_factory, sample, data: st.DataObject):
    key, files = sample
    record = data.draw(mutated(json.loads(files["json"]), most=4))
    folder = tmp_path_factory.getbasetemp() / "record"
    folder.mkdir(exist_ok=True)
    write_tar(folder / "x.tar", [(f"{key}.jpg", files["jpg"]), (f"{key}.json", as_json(record))])
    only_our_errors(lambda: use(folder / "x.tar"))


@given(data=st.data())
@fuzzed(80)
def test_our_manifest_of_which_a_little_is_changed(tmp_path_factory, own, data: st.DataObject):
    name = data.draw(st.sampled_from(("manifest.json", "manifest.json", "run.json")))
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as parent:
        folder = Path(parent) / "x"
        shutil.copytree(own, folder)
        document = json.loads((own / name).read_text())
        (folder / name).write_bytes(as_json(data.draw(mutated(document))))
        if name == "run.json":
            (folder / "manifest.json").unlink()
        only_our_errors(lambda: use(folder))
        only_our_errors(lambda: list(ShardDataset(folder)))


@given(data=st.data())
@fuzzed(25)
def test_training_on_records_of_which_a_little_is_changed(tmp_path_factory, own, data: st.DataObject):
    """Manifest and hashes fit, so nothing but the record itself can tell."""

    def change(found: dict[str, tuple[dict[str, Any], Any]]) -> None:
        key = data.draw(st.sampled_from(sorted(found)))
        found[key] = (data.draw(mutated(found[key][0], odd=SMALL)), found[key][1])

    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as parent:
        folder = forged(own, Path(parent) / "x", change)
        only_our_errors(lambda: list(ShardDataset(folder)))
        only_our_errors(lambda: verify(folder, workers=0))


SMALL: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2,
    0.5,
    1e7,
    1e300,
    2**63,
    10**40,
    "",
    "x",
    "\x1b[31m",
    [],
    {},
    [[]],
    [0, 0],
    [1e300] * 6,
    [[0, 0, 1e300, 0, 0, 1e300]],
    [[0, 0, 1e9, 0, 0, 1e9]],
    {"size": [10, 20], "counts": "0"},
    "../../x",
)


@given(data=damaged((b"",)) | st.binary(max_size=10), where=st.floats(0, 1), manifest=st.booleans())
@fuzzed(30)
def test_shards_of_which_bytes_are_changed(tmp_path_factory, own, data: bytes, where: float, manifest: bool):
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as parent:
        folder = Path(parent) / "x"
        shutil.copytree(own, folder)
        path = folder / "manifest.json" if manifest else sorted(folder.glob("*.tar"))[0]
        content = bytearray(path.read_bytes())
        at = int(where * len(content))
        content[at : at + len(data)] = data[: len(content) - at]
        path.write_bytes(content)
        only_our_errors(lambda: use(folder))
        only_our_errors(lambda: list(ShardDataset(folder)))
        only_our_errors(lambda: verify(folder, workers=0))
