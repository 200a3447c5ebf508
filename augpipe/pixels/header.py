"""What a picture file says of itself, read without decoding it: format, size, mode, orientation.

The header is the truth about size and orientation. Pillow reads it; the limit on pixels is checked here, before
anything is unpacked. Only formats that hold plain pictures are tried: Pillow would also open EPS, which starts
Ghostscript, and formats so loosely marked that any rubbish is one of them.
"""

from __future__ import annotations

import io
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from augpipe.errors import Reject, one_line
from augpipe.sample import Header

MAX_PIXELS = 64_000_000
"""Pictures beyond this are rejected unless a run allows more: a worker stays under 600 MB."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000")
"""What is read, whatever the file is called. JPEG takes multi-picture JPEGs (MPO) with it."""

_ORIENTATION = 274  # TIFF 6.0 tags
_WIDTH, _HEIGHT = 256, 257
_PNG_GRAY_ALPHA = 4  # the colour type, byte 25 of every PNG

PARSER_FAULTS = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError,
    ZeroDivisionError, AssertionError, RuntimeError, NotImplementedError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's parsers raise on hostile files, besides the OSError that they document."""

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else what it logs of hostile files goes to stderr
Image.MAX_IMAGE_PIXELS = None  # our own limit is checked first, and is an error instead of a warning
_one_at_a_time = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings, which go to stderr; a lock, as the warnings module has one state for all threads."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(data: bytes, max_pixels: int = MAX_PIXELS) -> Header:
    """Format, stored size, mode and orientation of an encoded picture.

    Raises:
        Reject: ``empty-file``, ``truncated``, ``unsupported`` (no picture format that is read) or ``too-large``.
    """
    if not data:
        raise Reject("decode", "empty-file", "the file is empty; expected a picture")
    try:
        with quiet(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            size = _stored_size(image)
            if min(size) >= 1 and size[0] * size[1] <= max_pixels:
                return Header(str(image.format), size, _orientation(image, data), _mode(image, data))
    except PARSER_FAULTS as error:
        text = _brief(error)
        code = "truncated" if _is_cut_short(data) or "truncated" in text.lower() else "unsupported"
        raise Reject("decode", code, f"not a picture that can be read: {text}") from error
    if min(size) < 1:
        raise Reject("decode", "unsupported", f"a picture of {size[0]}×{size[1]} pixels")
    message = f"{size[0]}×{size[1]} pixels; expected at most {max_pixels} (--max-pixels)"
    raise Reject("decode", "too-large", message)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Size of the stored pixels. Of a turned TIFF some versions of Pillow tell the upright one."""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        return int(tags[_WIDTH]), int(tags[_HEIGHT])
    return image.size


def _mode(image: Image.Image, data: bytes) -> str:
    """Pillow's mode; gray with alpha of 16 bits, which Pillow calls RGBA, is gray all the same."""
    return "LA" if image.format == "PNG" and data[25] == _PNG_GRAY_ALPHA else image.mode


def _orientation(image: Image.Image, data: bytes) -> int:
    """EXIF orientation 1..8 as Pillow finds it; 0, values above 8 and damaged EXIF count as 1."""
    try:
        if image.format == "PNG" and (block := _png_exif(data)):
            image.info["exif"] = block
        # Not image.getexif(): a PNG's own decodes all of it, to see whether EXIF stands behind the pixels.
        value = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except PARSER_FAULTS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _png_exif(data: bytes) -> bytes:
    """The EXIF chunk of a PNG, which may stand behind the pixels; empty if there is none."""
    place = 8
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        if name == b"eXIf":
            return data[place + 8 : place + 8 + size]
        place += size + 12
    return b""


def _is_cut_short(data: bytes) -> bool:
    """Whether a WebP is shorter than it says; Pillow then takes it for no picture at all."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little")


def _brief(error: BaseException) -> str:
    text = one_line(error, 120)
    unknown = f"unknown format, expected one of {', '.join(FORMATS)}"
    return unknown if "cannot identify" in text else text or type(error).__name__
