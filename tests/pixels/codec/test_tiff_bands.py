"""TIFFs of any number of bands: written here by the words of TIFF 6.0 from NumPy's numbers, which must come back."""

from __future__ import annotations

import contextlib
import itertools
import struct

import numpy as np
import pytest
from pictures import band_tiff
from PIL import Image, UnidentifiedImageError

from augpipe.core.errors import Reject
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import decode, highest_of
from augpipe.pixels.codec.pixel_reading import PixelReading


def values(bands: int, kind: type = np.uint8, most: int = 256) -> np.ndarray:
    return np.random.default_rng(bands).integers(0, most, (19, 23, bands)).astype(kind)


def read_rgb(data: bytes, reading: PixelReading = PixelReading()) -> np.ndarray:  # noqa: B008 - frozen
    pixels = decode(data, read_header(data, reading=reading))
    return pixels if pixels.ndim == 2 else pixels[:, :, ::-1]


FORMS = [
    {"order": order, "apart": apart, "packed": packed, "tile": tile, "big": big}
    for order, apart, packed, tile, big in itertools.product("<>", (False, True), (False, True), (0, 16), (False, True))
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bands", [2, 4, 5, 8])
def test_bands_of_every_form_come_back(bands, form):
    eight = values(bands)
    first = eight[:, :, 0] if bands == 2 else eight[:, :, :3]
    assert np.array_equal(read_rgb(band_tiff(eight, **form)), first)
    chosen = (bands, 1, 2)
    assert np.array_equal(
        read_rgb(band_tiff(eight, **form), PixelReading(bands=chosen)), eight[:, :, [b - 1 for b in chosen]]
    )
    sixteen = values(bands, np.uint16, 65536)
    rounded = np.rint(sixteen / 257).astype(np.uint8)
    data = band_tiff(sixteen, **form)
    assert np.array_equal(read_rgb(data), rounded[:, :, 0] if bands == 2 else rounded[:, :, :3])
    header = read_header(data, reading=PixelReading(bands=chosen))
    assert highest_of(data, header) == sixteen[:, :, [b - 1 for b in chosen]].max()


def test_pillow_does_not_open_them(tmp_path):
    (tmp_path / "a.tif").write_bytes(band_tiff(values(5)))
    with pytest.raises(UnidentifiedImageError):
        Image.open(tmp_path / "a.tif")


def test_what_is_dropped_is_noted():
    assert read_header(band_tiff(values(2))).notes == ("bands-dropped",)
    assert read_header(band_tiff(values(5, np.uint16))).notes == ("depth-reduced", "bands-dropped")
    assert read_header(band_tiff(values(3))).notes == ()


def test_three_bands_of_16_bits_are_not_cut_to_their_high_bytes():
    sixteen = values(3, np.uint16, 4096)
    assert np.array_equal(
        read_rgb(band_tiff(sixteen), PixelReading(levels=(0, 4095))), np.rint(sixteen / 4095 * 255).astype(np.uint8)
    )


def test_a_band_that_is_not_there_is_named():
    with pytest.raises(Reject, match="the TIFF has 4 bands; --bands 7,2,1 expects 7 or more"):
        read_header(band_tiff(values(4)), reading=PixelReading(bands=(7, 2, 1)))


def test_a_tiff_that_is_not_read_is_still_called_a_tiff():
    """Sample format 3 is floating point."""
    floats = band_tiff(values(5, np.uint16))
    directory = struct.unpack_from("<I", floats, 4)[0]
    count = struct.unpack_from("<H", floats, directory)[0]
    rows = [floats[directory + 2 + 12 * i : directory + 14 + 12 * i] for i in range(count)]
    rows.append(struct.pack("<HHII", 339, 4, 1, 3))
    again = struct.pack("<H", count + 1) + b"".join(rows) + bytes(4)
    data = floats[:4] + struct.pack("<I", len(floats)) + floats[8:] + again
    with pytest.raises(Reject) as caught:
        read_header(data)
    assert caught.value.code == "unsupported"
    assert "a TIFF of 5 bands of 16-bit floating-point numbers" in caught.value.message
    assert "unknown format" not in caught.value.message


def test_many_bands_count_as_memory():
    data = band_tiff(np.zeros((40, 40, 100), np.uint8))
    assert read_header(data).stored_wh == (40, 40)
    with pytest.raises(Reject) as caught:
        read_header(data, 40 * 40)
    assert caught.value.code == "too-large"


@pytest.mark.parametrize("seed", range(60))
def test_damage_ends_as_a_reject(seed):
    rng = np.random.default_rng(seed)
    form = FORMS[seed % len(FORMS)]
    data = bytearray(band_tiff(values(5, np.uint16), **form))
    if seed % 3 == 0:
        del data[int(rng.integers(20, len(data))) :]
    for _ in range(int(rng.integers(1, 12))):
        place = int(rng.integers(4, len(data)) if seed % 2 else len(data) - rng.integers(1, min(300, len(data) - 4)))
        data[place] = int(rng.integers(256))
    with contextlib.suppress(Reject):
        decode(bytes(data), read_header(bytes(data), 1_000_000))
