"""What pictures take: the estimate is never far below what the decoder is measured to hold, and scans are counted."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from builders import encoded, photo
from hostile_pictures import flat_jpeg, flat_png, flat_tiff, many_scans
from pictures import WRITTEN, read, rejected
from PIL import Image
from places import HELPERS

from augpipe.core.errors import Reject
from augpipe.pixels.codec.header import bytes_a_pixel, read_header, scans_of

SIDE = 2400
SMALL = Image.fromarray(photo((60, 40)))


def demand(data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as image:
        return bytes_a_pixel(image, data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(SMALL, "JPEG"), 6),
        (encoded(SMALL.convert("L"), "JPEG"), 2),
        (encoded(SMALL, "JPEG", progressive=True), 6),
        (encoded(SMALL, "JPEG", progressive=True, subsampling=0), 9),
        (encoded(SMALL.convert("CMYK"), "JPEG"), 7),
        (encoded(SMALL.convert("CMYK"), "JPEG", progressive=True, subsampling=0), 12),
        (encoded(SMALL, "PNG"), 6),
        (encoded(SMALL.convert("RGBA"), "PNG"), 8),
        (flat_png((9, 9), 16, 6), 16),
        (flat_png((9, 9), 16, 0), 4),
        (encoded(SMALL, "TIFF"), 7),
        (encoded(SMALL, "PPM"), 7),
        (encoded(SMALL, "JPEG2000"), 21),
    ],
)
def test_bytes_a_pixel(data, expected):
    assert demand(data) == expected


MEASURED = """
import sys
from hostile_table import forked, memory
from augpipe.core.opencv import cv2
from augpipe.pixels.codec.image import decode
from augpipe.pixels.codec.header import read_header

_ = cv2.imdecode  # loaded here, and not where it is measured

def peak(path):
    data = open(path, "rb").read()
    header = read_header(data)
    before = memory("VmRSS")
    decode(data, header)
    return memory("VmHWM") - before

print([forked(lambda path=path: peak(path)) for path in sys.argv[1:]])
"""


def test_decoders_hold_no_more_than_is_estimated(tmp_path):
    size = (SIDE, SIDE)
    kinds = {
        "jpeg": flat_jpeg(size),
        "progressive": flat_jpeg(size, progressive=True, subsampling=0),
        "cmyk": flat_jpeg(size, "CMYK", progressive=True),
        "png": flat_png(size, 8, 2),
        "png 16": flat_png(size, 16, 6),
        "png gray 16": flat_png(size, 16, 0),
        "tiff": flat_tiff(size, 8, 3),
        "tiff 16": flat_tiff(size, 16, 1),
        "gif": encoded(Image.new("P", size), "GIF"),
        "webp": encoded(Image.new("RGB", size), "WEBP", method=0),
        "jpeg 2000": encoded(Image.new("RGB", size), "JPEG2000"),
    }
    paths = []
    for name, data in kinds.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    env = {**os.environ, "PYTHONPATH": str(HELPERS)}
    command = [sys.executable, "-c", MEASURED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    for (name, data), held in zip(kinds.items(), eval(done.stdout), strict=True):
        assert held * 2**20 < SIDE * SIDE * demand(data) + (24 << 20), name  # and what libraries take for themselves


def test_the_limit_is_memory_where_a_kind_takes_more():
    data = flat_png((100, 100), 16, 6)
    with pytest.raises(Reject, match=r"take 0 MB to decode; expected at most 0 MB \(--max-pixels\)") as caught:
        read_header(data, 20_000)
    assert caught.value.code == "too-large"
    assert read_header(data, 25_000).stored_wh == (100, 100)


def test_a_file_counts_too():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    data = encoded(noise, "PNG")
    with pytest.raises(Reject, match="and the file, take 16 MB"):
        read_header(data, 1500 * 1500)


def test_scans_are_counted_up_to_the_end():
    assert scans_of(WRITTEN["jpeg"], 99) == 1
    assert scans_of(WRITTEN["progressive"], 99) == 10
    film = b"\xff\xda\0\x08" * 200
    assert scans_of(WRITTEN["progressive"] + film, 99) == 10
    assert scans_of(many_scans((16, 16), 30), 99) == 39
    assert scans_of(many_scans((16, 16), 300), 99) == 99


def test_jpegs_of_many_scans_are_refused():
    assert read(many_scans((16, 16), 20)).shape == (16, 16, 3)
    assert rejected(many_scans((16, 16), 60)) == "unsupported"
    assert read(WRITTEN["progressive"] + b"\xff\xda\0\x08" * 200).shape == (23, 37, 3)
