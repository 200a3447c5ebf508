"""What a picture file says of itself, read without decoding it: format, size, mode, orientation.

The header is the truth about size and orientation. Pillow reads it; the limit on pixels is checked here, before
anything is unpacked. Only formats that hold plain pictures are tried: Pillow would also open EPS, which starts
Ghostscript, and formats so loosely marked that any rubbish is one of them.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from augpipe.errors import Reject, of_system, one_line
from augpipe.pixels.demand import require_modest
from augpipe.sample import Header

MAX_PIXELS = 64_000_000
"""Pictures beyond this are rejected unless a run allows more: a worker stays under 600 MB. Kinds of pictures that take
more memory than usual may have fewer (:mod:`augpipe.pixels.demand`)."""

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
_one_at_a_time = threading.Lock()


@contextmanager
def opened(data: bytes, max_pixels: int = MAX_PIXELS, keep_truncated: bool = False) -> Iterator[Image.Image]:
    """A picture as Pillow reads it: without warnings on stderr, and strict unless ``keep_truncated``.

    Pillow's limit on pixels stays at work up to ``max_pixels``, since some of its readers allocate while they open: a
    GIF of 60 bytes can ask for 4 GB. It is only ever raised, so that nobody else's pictures are refused meanwhile.
    Warnings, limit and strictness are settings of the whole process, so one thread at a time has them.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        if before[0] is not None:
            Image.MAX_IMAGE_PIXELS = max(before[0], max_pixels // 2 + 1)  # Pillow refuses twice as much
        ImageFile.LOAD_TRUNCATED_IMAGES = keep_truncated
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                yield image
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def read_header(data: bytes, max_pixels: int = MAX_PIXELS) -> Header:
    """Format, stored size, mode and orientation of an encoded picture.

    Raises:
        Reject: ``empty-file``, ``truncated``, ``unsupported`` (no picture format that is read) or ``too-large`` (too
            many pixels, or more memory to decode it than so many usual ones take).
    """
    if not data:
        raise Reject("decode", "empty-file", "the file is empty; expected a picture")
    try:
        with opened(data, max_pixels) as image:
            size = _stored_size(image)
            if size[0] * size[1] <= max_pixels:
                require_modest(image, data, size, max_pixels)
                return Header(str(image.format), size, _orientation(image, data), _mode(image, data))
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise _too_large(count[0] if count else "too many", max_pixels) from error
    except PARSER_FAULTS as error:
        if of_system(error):
            raise
        text = _brief(error)
        code = "truncated" if _is_cut_short(data) or "truncated" in text.lower() else "unsupported"
        raise Reject("decode", code, f"not a picture that can be read: {text}") from error
    raise _too_large(f"{size[0]}×{size[1]}", max_pixels)


def _too_large(pixels: str, max_pixels: int) -> Reject:
    return Reject("decode", "too-large", f"{pixels} pixels; expected at most {max_pixels} (--max-pixels)")


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
    """Whether a WebP is shorter than it says, or a TIFF ends before its directory; Pillow knows neither then."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return data[:4] in (b"II*\0", b"MM\0*") and len(data) <= int.from_bytes(
        data[4:8], "little" if data[:1] == b"I" else "big"
    )


def _brief(error: BaseException) -> str:
    text = one_line(error, 120)
    unknown = f"unknown format, expected one of {', '.join(FORMATS)}"
    return unknown if "cannot identify" in text else text or type(error).__name__
