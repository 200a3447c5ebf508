"""A JPEG 2000 of which tiles are missing is no picture with black in it."""

from __future__ import annotations

import numpy as np
import pytest
from builders import encoded, photo
from hostile_pictures import flat_j2k
from pictures import read, rejected

from augpipe.pixels.codec.jpeg2000 import is_whole

PHOTO = photo((90, 70))


@pytest.mark.parametrize("options", [{}, {"tile_size": (32, 32)}, {"tile_size": (90, 10), "no_jp2": True}])
def test_tiles_are_counted(options):
    data = encoded(PHOTO, "JPEG2000", **options)
    assert is_whole(data)
    assert np.array_equal(read(data), PHOTO)
    last = data.rindex(b"\xff\x90\0\x0a")
    assert not is_whole(data[:last])
    assert not is_whole(data[:last] + b"\xff\xd9")
    assert rejected(data[:last] + b"\xff\xd9") == "truncated"


def test_a_header_that_claims_more_tiles():
    assert rejected(flat_j2k((400, 300))) == "truncated"


@pytest.mark.parametrize("data", [b"", b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x51" + bytes(60), b"x" * 100])
def test_what_is_none(data):
    assert not is_whole(data)
