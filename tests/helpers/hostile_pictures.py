"""Hostile pictures: small files that ask for much memory or time, headers that lie, and files that are none."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from builders import encoded, photo
from hostile import CASES, GOOD, READ, Case, augment, case
from pictures import BOMBS, SIZE, WRITTEN, chunk, gif, resized, tiff
from PIL import Image

PICTURES = "Pictures"


def picture(name: str, outcome: str, data: bytes | Callable[[], bytes], says: str = "") -> None:
    """A picture in a folder of classes, beside a good one."""

    def build(folder: Path) -> list[str]:
        for label, content in (("a", GOOD), ("b", data() if callable(data) else data)):
            (folder / "SRC" / label).mkdir(parents=True)
            (folder / "SRC" / label / f"{label}.jpg").write_bytes(content)
        return augment(folder / "SRC")

    CASES.append(Case(PICTURES, name, outcome, build, says))


def flat_png(
    size_wh: tuple[int, int], depth: int, color: int, *before: bytes, interlaced: int = 0, rows: int | None = None
) -> bytes:
    """A PNG of nothing but zeros, packed a thousand times smaller; ``rows`` as many as are really there."""
    width, height = size_wh
    line = 1 + -(-width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color] // 8)
    # The seven passes of Adam7 have as many bytes in their rows together, and a few more that begin them.
    size = (height if rows is None else rows) * line + (height * 16 if interlaced else 0)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))
    palette = chunk(b"PLTE", bytes(6)) if color == 3 else b""
    end = chunk(b"IDAT", zeros_packed(size)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + palette + b"".join(before) + end


def zeros_packed(size: int) -> bytes:
    """So many zeros, packed a thousand times smaller: one block of zlib's, which stands by itself, again and again."""
    blocks, rest = divmod(size, 1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(bytes(rest)) + packer.flush()
    return b"\x78\xda" + block * blocks + end + struct.pack(">HH", size % 65521, 1)  # of Adler-32


def flat_jpeg(size_wh: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    return encoded(Image.new(mode, size_wh), "JPEG", **options)


def many_scans(size_wh: tuple[int, int], count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again, each of them a pass over the whole picture."""
    data = flat_jpeg(size_wh, progressive=True)
    start = data.rindex(b"\xff\xda")
    tables = data.rfind(b"\xff\xc4", 0, start)
    return data[:tables] + data[tables:-2] * count + data[-2:]


def two_frames(first: tuple[int, int], second: tuple[int, int]) -> bytes:
    """A JPEG with two frame headers, of which the second says another size."""
    data = WRITTEN["jpeg"]
    start = data.index(b"\xff\xc0")
    frame = data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    heads = [frame[:5] + struct.pack(">HH", h, w) + frame[9:] for w, h in (first, second)]
    return data[:start] + b"".join(heads) + data[start + len(frame) :]


def flat_j2k(size_wh: tuple[int, int]) -> bytes:
    """A small JPEG 2000 that claims to be larger, in its box and in its stream."""
    data = bytearray(WRITTEN["jpeg 2000"])
    struct.pack_into(">II", data, data.index(b"ihdr") + 4, size_wh[1], size_wh[0])
    struct.pack_into(">II", data, data.index(b"\xff\x51") + 6, *size_wh)
    return bytes(data)


def flat_tiff(size_wh: tuple[int, int], bits: int, samples: int, rows: int = 16) -> bytes:
    """A TIFF of zeros in packed strips, all of which are the same bytes of the file."""
    width, height = size_wh
    strip = zlib.compress(bytes(rows * width * samples * bits // 8), 9)
    count = -(-height // rows)
    values = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 8),
        (262, 3, 2 if samples > 2 else 1),
        (277, 3, samples),
        (278, 4, rows),
        (284, 3, 1),
    ]
    extra, tags = b"", []
    base = 8 + 2 + 12 * (len(values) + 2 + (samples > 1)) + 4

    def array(tag: int, kind: int, numbers: list[int]) -> None:
        nonlocal extra
        tags.append(struct.pack("<HHII", tag, kind, len(numbers), base + len(extra)))
        extra += struct.pack(f"<{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)

    for tag, kind, value in values:
        if tag == 258 and samples > 1:
            array(258, 3, [bits] * samples)
            continue
        tags.append(struct.pack("<HHII", tag, kind, 1, value))
    if samples > 3:
        tags.append(struct.pack("<HHII", 338, 3, 1, 2))
    place = base + (samples * 2 if samples > 1 else 0) + 8 * count
    array(273, 4, [place] * count)
    array(279, 4, [len(strip)] * count)
    tags.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    body = struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + body).ljust(base, b"\0") + extra + strip


BIG = (8000, 8000)
for bomb, content in BOMBS.items():
    picture(f"{bomb}: a header of more than 64 million pixels", "reject too-large", content)
picture("PNG of 8000×8000 zeros in 190 kB", READ, lambda: flat_png(BIG, 8, 2))
picture("the same, interlaced", READ, lambda: flat_png(BIG, 8, 2, interlaced=1))
picture("the same, one bit a pixel", READ, lambda: flat_png(BIG, 1, 0))
picture("the same, a palette", READ, lambda: flat_png(BIG, 8, 3))
picture("the same, 16 bits and gray", READ, lambda: flat_png(BIG, 16, 0))
picture("the same, 16 bits and three channels", "reject too-large", lambda: flat_png(BIG, 16, 2))
picture("the same, 16 bits and four channels", "reject too-large", lambda: flat_png(BIG, 16, 6))
picture("PNG of 1×1 with ten million rows in its stream", READ, lambda: flat_png((1, 1), 8, 2, rows=10_000_000))
picture(
    "PNG with a text of 1 GB in 1 MB",
    "reject unsupported",
    lambda: flat_png(SIZE, 8, 2, chunk(b"zTXt", b"x\0\0" + zeros_packed(1 << 30))),
)
picture(
    "PNG with a colour profile of 1 GB in 1 MB",
    "reject unsupported",
    lambda: flat_png(SIZE, 8, 2, chunk(b"iCCP", b"x\0\0" + zeros_packed(1 << 30))),
)
picture("PNG with 30,000 texts", READ, lambda: flat_png(SIZE, 8, 2, chunk(b"tEXt", b"k\0" + b"v" * 30) * 30_000))
picture(
    "PNG with two headers, 1×1 and 60000×60000",
    "reject too-large",
    lambda: flat_png((1, 1), 8, 2, flat_png((60000, 60000), 8, 2, rows=1)[8:33]),
)
picture("JPEG of 8000×8000", READ, lambda: flat_jpeg(BIG))
picture("the same, progressive", READ, lambda: flat_jpeg(BIG, progressive=True))
picture(
    "the same, progressive and without subsampling",
    "reject too-large",
    lambda: resized(flat_jpeg(SIZE, progressive=True, subsampling=0), BIG),
)
picture(
    "the same, progressive CMYK", "reject too-large", lambda: resized(flat_jpeg(SIZE, "CMYK", progressive=True), BIG)
)
picture("progressive JPEG of 4000×4000 with 2,000 scans", "reject unsupported", lambda: many_scans((4000, 4000), 2000))
picture("JPEG with two frames, 16×16 and 60000×60000", "reject too-large", lambda: two_frames((16, 16), (60000, 60000)))
picture(
    "JPEG whose header says less than its stream holds", READ, lambda: resized(encoded(photo((400, 300))), (40, 30))
)
picture(
    "JPEG of 65535×976 in its header, and no more", "reject too-large", lambda: resized(WRITTEN["jpeg"], (65535, 976))
)
picture("JPEG 2000 of 8000×8000 in its header, and no more", "reject too-large", lambda: flat_j2k(BIG))
picture("JPEG 2000 of 3000×3000 in its header, and no more", "reject truncated", lambda: flat_j2k((3000, 3000)))
picture("WebP of 8000×8000", READ, lambda: encoded(Image.new("RGB", BIG), "WEBP", quality=1, method=0))
picture("GIF of 8000×8000, one pixel of it drawn", READ, lambda: gif(BIG, (1, 1)))
picture("TIFF of 8000×8000, all strips the same bytes", "reject too-large", lambda: flat_tiff(BIG, 8, 3))
picture("the same, 16 bits and gray", READ, lambda: flat_tiff(BIG, 16, 1))
picture("TIFF of 4000×4000, all strips the same bytes", READ, lambda: flat_tiff((4000, 4000), 8, 3))
picture("TIFF whose directory leads to itself", "reject unsupported", b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(20))
picture(
    "TIFF with a tag of four billion values",
    "reject unsupported",
    tiff(np.zeros((4, 4))).replace(struct.pack("<HHI", 273, 3, 1), struct.pack("<HHI", 273, 4, 2**32 - 1)),
)
picture(
    "BMP of 8000×8000 in its header, and no more",
    "reject truncated",
    WRITTEN["bmp"][:18] + struct.pack("<ii", *BIG) + WRITTEN["bmp"][26:],
)
picture("PNM of 7000×7000 in its header, and no more", "reject truncated", b"P6 7000 7000 255\n" + bytes(64))
picture(
    "EPS, which would start Ghostscript",
    "reject unsupported",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n",
)
picture("SVG with a script", "reject unsupported", b'<svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>')


@case(PICTURES, "a file of 100 GB, all of it a hole", "reject too-large", "")
def _(folder: Path) -> list[str]:
    arguments = _classes(folder)
    with open(folder / "SRC" / "b" / "b.jpg", "wb") as file:
        file.truncate(100 << 30)
    return arguments


@case(PICTURES, "a pipe, a folder, and links to /dev/zero and to nothing, called like pictures", "reject missing-file")
def _(folder: Path) -> list[str]:
    arguments = _classes(folder)
    os.mkfifo(folder / "SRC" / "b" / "b.jpg")
    (folder / "SRC" / "b" / "c.jpg").mkdir()
    (folder / "SRC" / "b" / "d.jpg").symlink_to("/dev/zero")
    (folder / "SRC" / "b" / "e.jpg").symlink_to("nothing")
    return arguments


def _classes(folder: Path) -> list[str]:
    for label in "ab":
        (folder / "SRC" / label).mkdir(parents=True)
    (folder / "SRC" / "a" / "a.jpg").write_bytes(GOOD)
    (folder / "SRC" / "b" / "good.jpg").write_bytes(GOOD)
    return augment(folder / "SRC")


# --- masks -----------------------------------------------------------------------------------------------------------


def mask(name: str, outcome: str, data: Callable[[], bytes], says: str = "") -> None:
    """A mask beside a good one."""

    def build(folder: Path) -> list[str]:
        for stem, content in (("a", encoded(np.zeros((10, 20), np.uint8), "PNG")), ("b", data())):
            for place, made in (("images", GOOD), ("masks", content)):
                (folder / "SRC" / place).mkdir(parents=True, exist_ok=True)
                (folder / "SRC" / place / f"{stem}.png").write_bytes(made)
        return augment(folder / "SRC")

    CASES.append(Case("Masks", name, outcome, build, says))


mask("PNG of 60000×60000 in its header", "reject bad-mask", lambda: BOMBS["png"])
mask("PNG of 16000×16000 zeros in 250 kB", "reject bad-mask", lambda: flat_png((16000, 16000), 8, 0))
mask("PNG of 10500×10500 zeros", "reject size-mismatch", lambda: flat_png((10500, 10500), 8, 0))
mask("the same, a palette", "reject size-mismatch", lambda: flat_png((10500, 10500), 8, 3))
mask("PNG of 8000×8000 zeros, one bit a pixel", "reject size-mismatch", lambda: flat_png(BIG, 1, 0))
mask("PNG of 8000×8000 zeros of 16 bits", "reject size-mismatch", lambda: flat_png(BIG, 16, 0))
mask("PNG of 8000×8000 zeros in three channels", "reject bad-mask", lambda: flat_png(BIG, 8, 2))
mask("PNG of 4500×4500 zeros in three channels", "reject size-mismatch", lambda: flat_png((4500, 4500), 8, 2))
