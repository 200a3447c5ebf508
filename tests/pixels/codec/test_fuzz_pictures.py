"""Pictures and masks that are almost right, or not at all: pixels of the header's size or a reject, and silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fuzzing import damaged, fuzzed
from hypothesis import given
from hypothesis import strategies as st
from pictures import BOMBS, WRITTEN, gif, png, resized, tiff, webp_canvas

from augpipe.core.errors import Reject
from augpipe.pixels.codec.header import FORMATS, read_header
from augpipe.pixels.codec.image import decode, is_gray
from augpipe.pixels.codec.label_png import decode_raster

FILES = (
    *WRITTEN.values(),
    *BOMBS.values(),
    tiff(np.arange(96, dtype=np.uint16).reshape(8, 12), ">", 16, 0, 6),
    tiff(np.arange(96, dtype=np.uint16).reshape(8, 12), bits=12),
    png((5, 4), 16, 6, bytes(range(160))),
    png((5, 4), 2, 3, bytes(8)),
    gif((10, 10), (8, 8)),
    webp_canvas((60, 40)),
    resized(WRITTEN["jpeg"], (100, 100)),
)
CODES = {"empty-file", "truncated", "unsupported", "too-large", "size-mismatch"}
MOST_PIXELS = 1_000_000  # so that no example takes long


def code_of(reject: Reject) -> str:
    """The code of a reject whose message is one line."""
    assert "\n" not in reject.message
    return reject.code


def picture(data: bytes, keep_truncated: bool) -> str:
    """``read``, or the code of the reject; anything else is raised."""
    try:
        header = read_header(data, MOST_PIXELS)
        pixels = decode(data, header, keep_truncated)
    except Reject as reject:
        return code_of(reject)
    assert header.format in (*FORMATS, "MPO")
    assert pixels.dtype == np.uint8
    assert pixels.shape[1::-1] == header.upright_wh
    assert (pixels.ndim == 2) == is_gray(header)
    return "read"


def test_the_files_that_are_changed_are_read():
    assert all(picture(data, False) == "read" for data in WRITTEN.values())


@given(data=damaged(FILES, most=6), keep=st.booleans())
@fuzzed(400)
def test_pictures_of_which_bytes_are_changed(data: bytes, keep: bool):
    assert picture(data, keep) in {*CODES, "read"}


@st.composite
def joined(draw: Callable[..., Any]) -> bytes:
    """The beginning of one file and the end of another."""
    one, other = draw(st.sampled_from(FILES)), draw(st.sampled_from(FILES))
    return one[: draw(st.integers(0, len(one)))] + other[draw(st.integers(0, len(other))) :]


@given(data=joined(), keep=st.booleans())
@fuzzed(150)
def test_the_beginning_of_one_and_the_end_of_another(data: bytes, keep: bool):
    assert picture(data, keep) in {*CODES, "read"}


MARKS = (b"", b"\xff\xd8\xff",
         b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBP", b"BM", b"II*\0", b"MM\0*", b"GIF89a", b"P6 ",
         b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")  # fmt: skip


@given(mark=st.sampled_from(MARKS), data=st.binary(max_size=300))
@fuzzed(120)
def test_any_bytes_behind_a_mark(mark: bytes, data: bytes):
    assert picture(mark + data, False) in {*CODES, "read"}


@given(data=damaged(FILES) | st.binary(max_size=100))
@fuzzed(200)
def test_masks_of_which_bytes_are_changed(data: bytes):
    try:
        raster = decode_raster(data, "x.png", MOST_PIXELS)
    except Reject as reject:
        found = code_of(reject)
    else:
        found = f"{raster.ndim} {raster.dtype}"
    assert found in ("bad-mask", "2 uint8", "2 uint16", "2 uint32")


@pytest.fixture(autouse=True)
def silence(capfd):
    """C libraries print what they think of a file."""
    yield
    assert capfd.readouterr() == ("", "")
