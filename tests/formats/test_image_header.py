"""Headers that a conversion reads by itself say what Pillow says of the whole file, or leave it to Pillow."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image
from places import SHARED

from augpipe.core.errors import Reject
from augpipe.formats.image_header import header_at, plain_jpeg
from augpipe.pixels.codec.header import read_header
from augpipe.storage.byte_range import ByteRange

NO_LIMIT = 2**62


def jpeg(mode: str = "RGB", size: tuple[int, int] = (37, 21), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 90).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return jpeg(exif=exif)


@pytest.mark.parametrize(
    ("data", "understood"),
    [
        (jpeg(), True),
        (jpeg("L"), True),
        (jpeg(comment=b"x" * 300), True),
        (jpeg(size=(65_000, 3), quality=5, restart_marker_blocks=4), True),
        (jpeg(progressive=True), False),
        (jpeg("CMYK"), False),
        (jpeg(icc_profile=b"x" * 200), False),
        (turned(), False),
        (b"", False),
        (b"\xff\xd8\xff\xe0", False),
        (jpeg()[:160], False),
    ],
)
def test_a_plain_jpeg_is_understood_and_nothing_else(data, understood):
    found = plain_jpeg(data)
    assert (found is not None) == understood
    if found is not None:
        assert found == read_header(data, NO_LIMIT)


@pytest.mark.parametrize("data", [jpeg(), jpeg("L", comment=b"a comment"), turned(), jpeg(progressive=True)])
def test_damage_never_makes_them_disagree(data):
    """What is understood is what Pillow makes of the same bytes; a file that Pillow refuses is understood never."""
    rng, understood = random.Random(1), 0
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(min(len(data), 640))] = rng.choice((0, 1, 255, rng.randrange(256)))
        damaged = damaged[: rng.choice((len(damaged), rng.randrange(1, len(damaged))))]
        found = plain_jpeg(bytes(damaged))
        if found is not None:
            assert found == read_header(bytes(damaged), NO_LIMIT)
            understood += 1
    assert understood > 100 or plain_jpeg(data) is None


def test_every_real_picture_has_the_header_that_pillow_reads(tmp_path):
    if not SHARED.is_dir():
        pytest.skip("the real data is not there")
    plain = 0
    for path in SHARED.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        plain += plain_jpeg(data[:4096]) is not None
        try:
            expected = read_header(data, NO_LIMIT)
        except Reject:
            with pytest.raises(Reject):
                header_at(ByteRange(str(path)))
        else:
            assert header_at(ByteRange(str(path))) == expected, path
    assert plain > 500
