"""Pascal VOC XML that is almost right, or not at all, and masks and lists beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from builders import encoded, photo, write_mask
from fuzzing import damaged, fuzzed, only_our_errors, turn, use
from hypothesis import given
from hypothesis import strategies as st
from voc_files import FILES, VALID, rewritten


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        (root / "Annotations").mkdir(parents=True)
        (root / "JPEGImages").mkdir()
        (root / "JPEGImages" / "a.jpg").write_bytes(encoded(photo((20, 10))))
        yield root


def put(place: Path, data: bytes) -> None:
    (place / "Annotations" / "a.xml").write_bytes(data)


def test_the_document_that_is_changed_is_read(place):
    put(place, VALID.encode())
    assert use(place) == ["read"]


@given(text=rewritten())
@fuzzed(150)
def test_documents_of_which_a_little_is_changed(place, text: str):
    put(place, text.encode("utf-8", "replace"))
    only_our_errors(lambda: use(place, format="voc"))


@given(text=rewritten())
@fuzzed(35)
def test_conversions_of_documents_of_which_a_little_is_changed(place, text: str):
    put(place, text.encode("utf-8", "replace"))
    for after in ("coco", "voc"):
        with tempfile.TemporaryDirectory() as folder:
            only_our_errors(lambda after=after, folder=folder: turn(place, Path(folder) / "sub" / after, "voc", after))
            assert {p.name for p in Path(folder).iterdir()} <= {"sub"}


@given(data=damaged(FILES))
@fuzzed(130)
def test_files_of_which_bytes_are_changed(place, data: bytes):
    put(place, data)
    only_our_errors(lambda: use(place, format="voc"))


@given(data=st.binary(max_size=300))
@fuzzed(25)
def test_any_bytes(place, data: bytes):
    put(place, data)
    only_our_errors(lambda: use(place, format="voc"))


def masks(folder: Path) -> tuple[bytes, ...]:
    values = np.arange(200).reshape(10, 20) % 5
    forms = [("L", None), ("P", None), ("RGB", None), ("1", None)]
    paths = [write_mask(folder / f"{i}.png", values, mode) for i, (mode, _) in enumerate(forms)]
    return (*(p.read_bytes() for p in paths), encoded(values.astype(np.uint16) * 300, "PNG"))


with tempfile.TemporaryDirectory() as made:
    MASKS = masks(Path(made))


@given(data=damaged(MASKS), other=damaged(MASKS), labelmap=st.none() | damaged((b"background:0,0,0::\ncat:1,2,3::\n",)))
@fuzzed(60)
def test_masks_and_their_names(place, data: bytes, other: bytes, labelmap: bytes | None):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in (("SegmentationClass", data), ("SegmentationObject", other), ("Annotations", b"")):
            (root / name).mkdir()
            (root / name / ("a.png" if content else "a.xml")).write_bytes(content or VALID.encode())
        (root / "a.jpg").write_bytes((place / "JPEGImages" / "a.jpg").read_bytes())
        if labelmap is not None:
            (root / "labelmap.txt").write_bytes(labelmap)
        only_our_errors(lambda: use(root, format="voc"))


@given(data=damaged((b"a\n", b"a 1\na -1\nb.jpg 0\n", "é\n".encode()), most=6))
@fuzzed(30)
def test_lists_of_a_split(place, data: bytes):
    put(place, VALID.encode())
    (place / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    (place / "ImageSets" / "Main" / "s.txt").write_bytes(data)
    only_our_errors(lambda: use(place, format="voc", split="s"))
