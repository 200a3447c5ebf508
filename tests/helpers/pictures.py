"""Picture files for the tests of reading, most of them odd: made by Pillow, or byte by byte where no writer would."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib

import numpy as np
import pytest
from builders import encoded, photo
from PIL import Image, ImageOps

from augpipe.core.errors import Reject
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import decode, is_gray

SIZE = (37, 23)  # odd and not square, so that a swap shows
PHOTO = photo(SIZE)
PICTURE = Image.fromarray(PHOTO)
GRAY = PICTURE.convert("L")

WRITTEN = {
    "jpeg": encoded(PHOTO, "JPEG"),
    "progressive": encoded(PHOTO, "JPEG", progressive=True),
    "jpeg gray": encoded(GRAY, "JPEG"),
    "jpeg cmyk": encoded(PICTURE.convert("CMYK"), "JPEG"),
    "png": encoded(PHOTO, "PNG"),
    "png palette": encoded(PICTURE.convert("P"), "PNG"),
    "webp": encoded(PHOTO, "WEBP"),
    "webp lossless": encoded(PHOTO, "WEBP", lossless=True),
    "bmp": encoded(PHOTO, "BMP"),
    "tiff": encoded(PHOTO, "TIFF"),
    "tiff lzw": encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "pnm": encoded(PHOTO, "PPM"),
    "gif": encoded(PHOTO, "GIF"),
    "jpeg 2000": encoded(PHOTO, "JPEG2000"),
}
"""One file of each kind that is read, 37×23."""


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(size_wh: tuple[int, int], depth: int, color: int, rows: bytes, *before: bytes) -> bytes:
    """A PNG of any bit depth and colour type; ``rows`` are the packed rows without their filter bytes."""
    width, height = size_wh
    step = len(rows) // height
    body = b"".join(b"\0" + rows[y * step : (y + 1) * step] for y in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, order: str = "<", bits: int = 16, photometric: int = 1, orientation: int = 1) -> bytes:
    """A gray TIFF (H, W) of 12 or 16 bits, uncompressed; photometric 0 counts from white, 1 from black."""
    height, width = values.shape
    pixels = values.astype(f"{order}u2").tobytes() if bits == 16 else b"".join(map(_packed_12, values))
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (274, orientation),
               (277, 1), (278, height), (279, len(pixels))]  # fmt: skip
    directory = struct.pack(f"{order}H", len(entries))
    for tag, value in entries:
        directory += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", 8 + len(pixels)) + pixels + directory + bytes(4)


def band_tiff(
    values: np.ndarray, order: str = "<", *, apart: bool = False, packed: bool = False, tile: int = 0, big: bool = False
) -> bytes:
    """A TIFF of bands (H, W, N) of uint8 or uint16 by the words of TIFF 6.0, and of no kind that Pillow knows.

    ``packed`` deflates it, with differences between neighbours where bands lie beside each other; ``tile`` is the side
    of square tiles, a multiple of 16, else there are strips of 5 rows; ``big`` makes a BigTIFF.
    """
    height, width, count = values.shape
    stored = values.astype(values.dtype.newbyteorder(order))
    parts = []
    for plane in np.moveaxis(stored, -1, 0)[..., None] if apart else [stored]:
        down, across = (tile, tile) if tile else (5, width)
        for y in range(0, height, down):
            for x in range(0, width, across):
                block = plane[y : y + down, x : x + across]
                if tile:
                    block = np.pad(block, ((0, tile - block.shape[0]), (0, tile - block.shape[1]), (0, 0)), mode="edge")
                if packed and not apart:
                    block = np.diff(block, axis=1, prepend=np.zeros_like(block[:, :1])).astype(stored.dtype)
                parts.append(zlib.compress(block.tobytes()) if packed else block.tobytes())
    places = np.cumsum([16, *map(len, parts)]).tolist()[:-1]
    rows = {256: [width], 257: [height], 258: [8 * values.itemsize] * count, 259: [8 if packed else 1], 262: [1],
            277: [count], 284: [2 if apart else 1], 317: [2 if packed and not apart else 1]}  # fmt: skip
    where = {322: [tile], 323: [tile], 324: places} if tile else {273: places, 278: [5]}
    rows |= where | {325 if tile else 279: [len(part) for part in parts]}
    form, size, mark, count_form = ("Q", 8, b"+", "Q") if big else ("I", 4, b"*", "H")
    at = 16 + sum(map(len, parts))
    behind, directory, more = at + struct.calcsize(count_form) + len(rows) * (4 + 2 * size) + size, b"", b""
    for tag, numbers in sorted(rows.items()):
        content = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(content) > size:
            content, more = struct.pack(f"{order}{form}", behind + len(more)), more + content
        directory += struct.pack(f"{order}HH{form}", tag, 4, len(numbers)) + content.ljust(size, b"\0")
    letters = b"II" + mark + b"\0" if order == "<" else b"MM\0" + mark
    head = letters + (struct.pack(f"{order}HHQ", 8, 0, at) if big else struct.pack(f"{order}I", at))
    directory = struct.pack(f"{order}{count_form}", len(rows)) + directory + bytes(size)
    return head.ljust(16, b"\0") + b"".join(parts) + directory + more


def _packed_12(row: np.ndarray) -> bytes:
    bits = "".join(f"{value:012b}" for value in row)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def resized(jpeg: bytes, size_wh: tuple[int, int]) -> bytes:
    """A JPEG, baseline or progressive, whose header claims another size."""
    place = re.search(rb"\xff[\xc0\xc2]", jpeg).end() + 3
    return jpeg[:place] + struct.pack(">HH", size_wh[1], size_wh[0]) + jpeg[place + 4 :]


def gif(screen_wh: tuple[int, int], frame_wh: tuple[int, int], disposal: int = 2) -> bytes:
    """A GIF of 55 bytes; with disposal 2 Pillow fills the whole frame while it opens."""
    return (
        b"GIF89a" + struct.pack("<HH", *screen_wh) + b"\x80\0\0\0\0\0\xff\xff\xff"
        + b"\x21\xf9\x04" + bytes([disposal << 2]) + bytes(4)
        + b"\x2c" + struct.pack("<HHHH", 0, 0, *frame_wh) + b"\0\x02\x02\x44\x01\0;"
    )  # fmt: skip


def webp_canvas(size_wh: tuple[int, int]) -> bytes:
    """A WebP whose extended header claims a canvas."""
    width, height = ((side - 1).to_bytes(3, "little") for side in size_wh)
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + width + height + WRITTEN["webp"][12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _patched(data: bytes, place: int, form: str, *values: int) -> bytes:
    patch = struct.pack(form, *values)
    return data[:place] + patch + data[place + len(patch) :]


BOMBS = {
    "png": png((60000, 60000), 8, 2, bytes(60000)),
    "jpeg": resized(WRITTEN["jpeg"], (60000, 60000)),
    "bmp": _patched(WRITTEN["bmp"], 18, "<ii", 60000, 60000),
    "pnm": b"P6 60000 60000 255\n" + bytes(64),
    "jpeg 2000": _patched(WRITTEN["jpeg 2000"], WRITTEN["jpeg 2000"].index(b"ihdr") + 4, ">II", 60000, 60000),
    "tiff": tiff(np.zeros((4, 4))).replace(
        struct.pack("<HHIHH", 256, 3, 1, 4, 0), struct.pack("<HHII", 256, 4, 1, 3_600_000_000)
    ),
    "webp": webp_canvas((60000, 60000)),
    "gif screen": gif((65535, 65535), (1, 1)),
    "gif frame": gif((10, 10), (65535, 65535)),
    "gif of 64 million and a bit": gif((8001, 8000), (1, 1)),
}
"""Small files that claim more than 64 million pixels."""


# --- reading them ----------------------------------------------------------------------------------------------------


def read(data: bytes, keep_truncated: bool = False) -> np.ndarray:
    """Gray (H, W) or red, green, blue (H, W, 3)."""
    header = read_header(data)
    pixels = decode(data, header, keep_truncated)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.shape[1::-1] == header.upright_wh
    assert (pixels.ndim == 2) == is_gray(header)
    return pixels if pixels.ndim == 2 else pixels[:, :, ::-1]


def rejected(data: bytes, keep_truncated: bool = False) -> str:
    with pytest.raises(Reject) as caught:
        read(data, keep_truncated)
    assert caught.value.stage == "decode"
    assert "\n" not in caught.value.message
    return caught.value.code


def by_pillow(data: bytes) -> np.ndarray:
    """What :func:`read` should give, by Pillow; 16 bits divided in float."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data))
        upright = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            return np.rint(np.asarray(upright).astype(float) / 257).astype(np.uint8)
        return np.asarray(upright.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
