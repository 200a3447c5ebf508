"""CVAT's XML that is almost right, or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from builders import encoded, photo
from fuzzing import ODD_NUMBERS, ODD_TEXTS, damaged, fuzzed, only_our_errors, turn, use
from hypothesis import given
from hypothesis import strategies as st

ELEMENTS = (
    '<box label="b" occluded="0" xtl="{}" ytl="2" xbr="{}" ybr="8" rotation="{}" z_order="0"/>',
    '<polygon label="b" points="{},2;9,{};9,8"><attribute name="x">{}</attribute></polygon>',
    '<mask label="b" rle="{}, 2, {}" left="{}" top="2" width="2" height="2"/>',
    '<ellipse label="b" cx="{}" cy="4" rx="{}" ry="2" rotation="{}"/>',
    '<skeleton label="p"><points label="n" outside="0" points="{},{}"/><points label="m" points="{},9"/></skeleton>',
    '<points label="q" points="{},2;9,{};9,{}"/>',
    '<polyline label="q" points="{},2;9,{};9,{}"/>',
    '<tag label="t{}{}{}"/>',
)
NUMBERS = [(3, 8, 5), (1, 7, 0), (1, 1, 3), (5, 3, 10), (1, 2, 8), (1, 2, 3), (1, 2, 3), (1, 2, 3)]


def document(elements: str) -> bytes:
    head = '<annotations><meta><task><labels><label><name>b</name></label></labels></task></meta><image id="0" '
    return f'{head}name="a.jpg" width="20" height="10">{elements}</image></annotations>'.encode("utf-8", "replace")


GOOD = document("".join(e.format(*n) for e, n in zip(ELEMENTS, NUMBERS, strict=True)))
words = st.sampled_from(tuple(str(v).replace("&", "").replace("<", "") for v in (*ODD_NUMBERS, *ODD_TEXTS)))
rows = st.lists(st.builds(str.format, st.sampled_from(ELEMENTS), words, words, words), max_size=4)


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jpg").write_bytes(encoded(photo((20, 10))))
        yield Path(folder)


def test_the_document_that_is_changed_is_read(place):
    (place / "annotations.xml").write_bytes(GOOD)
    assert use(place) == ["read"]


@given(data=damaged((GOOD,)) | rows.map(lambda r: document("".join(r))))
@fuzzed(300)
def test_files_that_are_changed(place, data: bytes):
    (place / "annotations.xml").write_bytes(data)
    only_our_errors(lambda: use(place, format="cvat"))


@given(data=damaged((GOOD,)) | rows.map(lambda r: document("".join(r))))
@fuzzed(30)
def test_conversions(place, data: bytes):
    (place / "annotations.xml").write_bytes(data)
    for after in ("coco", "voc", "dota", "yolo"):
        with tempfile.TemporaryDirectory() as folder:
            only_our_errors(lambda after=after, folder=folder: turn(place, Path(folder) / "sub" / after, "cvat", after))
