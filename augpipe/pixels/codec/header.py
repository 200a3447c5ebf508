"""A picture's header, read by Pillow without decoding: format, size, mode, orientation; and what decoding will cost.

Limits on pixels and memory are checked here, before anything is unpacked. Only formats of plain pictures are tried:
Pillow would also open EPS, which starts Ghostscript, and formats whose mark nearly any file fits.
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
from itertools import islice
from typing import Literal

from PIL import Image, ImageFile

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject, of_system, one_line
from augpipe.pixels.codec.jpeg_segments import SOS, segments
from augpipe.pixels.codec.pixel_reading import FULL, PixelReading
from augpipe.pixels.codec.stored_kind import bits_of, is_lossless, notes_of, notes_of_bands
from augpipe.pixels.codec.tiff_layout import EXTRA, ORIENTATION, PHOTOMETRIC, TiffLayout, layout_of

MAX_PIXELS = 64_000_000
"""Larger pictures are rejected unless a run allows more: a worker stays under 600 MB. Kinds that take more memory a
pixel than usual may have fewer, see :func:`require_modest`."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000")
"""Pillow's names of what is read, whatever the file is called. JPEG includes multi-picture JPEGs (MPO)."""

_WIDTH, _HEIGHT = 256, 257  # TIFF 6.0 tags
_PNG_GRAY_ALPHA = 4  # color type, byte 25 of every PNG
_TIFF_RGB = 2  # photometric interpretation
_PREMULTIPLIED = (1,)  # kinds of extra samples

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

    Pillow's own limit applies up to ``max_pixels``, since some readers allocate while they open: a GIF of 60 bytes can
    ask for 4 GB. It is only raised, so pictures of other code are not refused. Warnings, limit and strictness belong to
    the process, so one thread at a time changes them.
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


def read_header(data: bytes, max_pixels: int = MAX_PIXELS, reading: PixelReading = PixelReading()) -> Header:  # noqa: B008 - frozen
    """Format, stored size, mode and orientation of an encoded picture, and how its pixels are to be read.

    Raises:
        Reject: ``empty-file``, ``truncated``, ``unsupported`` (no picture format that is read, or without a band that
            is asked for) or ``too-large`` (too many pixels, or more memory to decode it than so many usual ones take).
    """
    if not data:
        raise Reject("decode", "empty-file", "the file is empty; expected a picture")
    layout = layout_of(data)
    if layout is not None and (bands := _bands_of(layout, reading)):
        return _of_bands(data, layout, bands, max_pixels, reading)
    try:
        with opened(data, max_pixels) as image:
            size = _stored_size(image)
            if size[0] * size[1] <= max_pixels:
                require_modest(image, data, size, max_pixels, as_rgb=reading.channels == "rgb")
                return _of_image(image, data, size, layout, reading)
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise _too_large(count[0] if count else "too many", max_pixels) from error
    except PARSER_FAULTS as error:
        if of_system(error):
            raise
        text = _brief(error, layout)
        code = "truncated" if _is_cut_short(data) or "truncated" in text.lower() else "unsupported"
        raise Reject("decode", code, f"not a picture that can be read: {text}") from error
    raise _too_large(f"{size[0]}×{size[1]}", max_pixels)


def _of_image(
    image: Image.Image, data: bytes, size_wh: tuple[int, int], layout: TiffLayout | None, reading: PixelReading
) -> Header:
    mode, bits = _mode(image, data), bits_of(image, data, layout)
    has_levels = bits == 16 and image.format in ("PNG", "TIFF")  # others say what is white
    return Header(
        str(image.format),
        size_wh,
        _orientation(image, data),
        mode,
        bits,
        levels=(reading.levels or FULL) if has_levels else FULL,
        as_rgb=reading.channels == "rgb",
        lossless=is_lossless(image, data),
        notes=notes_of(image, mode, bits, layout),
    )


# --- a TIFF of bands that Pillow does not know, or would take the high bytes of ---------------------------------------


def _bands_of(layout: TiffLayout, reading: PixelReading) -> tuple[int, ...]:
    """Numbers from 0 of the bands to be read one by one; none where Pillow reads the file as it is meant.

    Raises:
        Reject: ``unsupported``: a band is asked for that it does not have.
    """
    if not layout.is_readable():
        return ()
    if layout.bands == 1:
        return (0,) if layout.big and layout.order == ">" else ()  # which Pillow does not open
    if reading.bands is not None:
        asked = ",".join(map(str, reading.bands))
        if max(reading.bands) > layout.bands:
            message = f"the TIFF has {layout.bands} bands; --bands {asked} expects {max(reading.bands)} or more"
            raise Reject("decode", "unsupported", message)
        return tuple(band - 1 for band in reading.bands)
    as_pillow_does = layout.bits == 8 or layout.tags.get(EXTRA) == _PREMULTIPLIED
    if layout.first(PHOTOMETRIC, 1) == _TIFF_RGB and layout.bands in (3, 4) and as_pillow_does:
        return ()
    return (0,) if layout.bands == 2 else (0, 1, 2)  # two are gray, and something beside it


def _of_bands(
    data: bytes, layout: TiffLayout, bands: tuple[int, ...], max_pixels: int, reading: PixelReading
) -> Header:
    size, sample = layout.size_wh, layout.bits // 8
    if size[0] * size[1] > max_pixels:
        raise _too_large(f"{size[0]}×{size[1]}", max_pixels)
    # Pillow holds all bands; the file is there twice, with another directory.
    _require_bytes(size, layout.bands * sample + 3.0, 2 * len(data), max_pixels)
    orientation = layout.first(ORIENTATION, 1)
    return Header(
        "TIFF",
        size,
        orientation if 1 <= orientation <= 8 else 1,
        "L" if len(bands) == 1 else "RGB",
        layout.bits,
        bands,
        (reading.levels or FULL) if layout.bits == 16 else FULL,
        reading.channels == "rgb",
        lossless=True,
        notes=notes_of_bands(layout, bands),
    )


def _too_large(pixels: str, max_pixels: int) -> Reject:
    return Reject("decode", "too-large", f"{pixels} pixels; expected at most {max_pixels} (--max-pixels)")


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Size of the stored pixels. For a turned TIFF some versions of Pillow give the upright one."""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        return int(tags[_WIDTH]), int(tags[_HEIGHT])
    return image.size


def _mode(image: Image.Image, data: bytes) -> str:
    """Pillow's mode, but LA for 16-bit gray with alpha, which Pillow calls RGBA."""
    return "LA" if image.format == "PNG" and data[25] == _PNG_GRAY_ALPHA else image.mode


def _orientation(image: Image.Image, data: bytes) -> int:
    """EXIF orientation 1..8; 1 for other values and damaged EXIF."""
    try:
        if image.format == "PNG" and (block := _png_exif(data)):
            image.info["exif"] = block
        # Not image.getexif(): that of a PNG decodes all of it, to see whether EXIF follows the pixels.
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except PARSER_FAULTS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _png_exif(data: bytes) -> bytes:
    """The EXIF chunk of a PNG, which may follow the pixels; empty if there is none."""
    place = 8
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        if name == b"eXIf":
            return data[place + 8 : place + 8 + size]
        place += size + 12
    return b""


def _is_cut_short(data: bytes) -> bool:
    """Whether a WebP is shorter than its length field, or a TIFF ends before its directory: Pillow knows neither."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    order: Literal["little", "big"] = "little" if data[:1] == b"I" else "big"
    return data[:4] in (b"II*\0", b"MM\0*") and len(data) <= int.from_bytes(data[4:8], order)


def _brief(error: BaseException, layout: TiffLayout | None) -> str:
    text = one_line(error, 120)
    if layout is not None and ("cannot identify" in text or not text):
        return f"{layout.described()}; expected whole numbers of 8 or 16 bits: save it as PNG, or as such a TIFF"
    unknown = f"unknown format, expected one of {', '.join(FORMATS)}"
    return unknown if "cannot identify" in text else text or type(error).__name__


# --- the memory and time of decoding ---------------------------------------------------------------------------------

USUAL = 6.5
"""Bytes a pixel: three 8-bit channels twice, in OpenCV and in NumPy, and half a byte of file."""

_FREE_BYTES = 1 << 22  # of a file, not counted, so that a low limit on pixels is none on metadata

MOST_SCANS = 50
"""Of a progressive JPEG. Usual are ten; each takes time for the whole picture, and hardly a byte of the file."""

_GRAYS = ("1", "L", "I;16", "I;16B", "I;16L")
_PILLOWS_BYTES = {"1": 1.0, "L": 1.0, "P": 1.0, "I;16": 2.0, "I;16B": 2.0, "I;16L": 2.0}  # four for all other modes
_CHANNELS_OF_PNG = {0: 1.0, 2: 3.0, 3: 3.0, 4: 4.0, 6: 4.0}  # by color type, as OpenCV decodes them


def require_modest(
    image: Image.Image, data: bytes, size_wh: tuple[int, int], max_pixels: int, *, as_rgb: bool = False
) -> None:
    """Refuse a picture that would take more memory than a usual one of ``max_pixels``, or far too much time.

    ``as_rgb`` is whether gray becomes three channels.

    Raises:
        Reject: ``too-large`` or ``unsupported``.
    """
    more = 3.0 if as_rgb and image.mode in _GRAYS else 0.0
    _require_bytes(size_wh, bytes_a_pixel(image, data) + more, len(data), max_pixels)
    if _is_progressive(image) and scans_of(data, MOST_SCANS + 1) > MOST_SCANS:
        message = f"a JPEG of more than {MOST_SCANS} scans, which may be an attack; save it again"
        raise Reject("decode", "unsupported", message)


def _require_bytes(size_wh: tuple[int, int], each: float, file: int, max_pixels: int) -> None:
    """Raise a ``too-large`` Reject if pixels of ``each`` bytes and a file take more than usual ones of that number."""
    needed, allowed = size_wh[0] * size_wh[1] * each + max(0, file - _FREE_BYTES), USUAL * max_pixels
    if needed > allowed:
        size = f"{size_wh[0]}×{size_wh[1]} pixels of this kind, and the file, take {needed / 1e6:,.0f} MB to decode"
        raise Reject("decode", "too-large", f"{size}; expected at most {allowed / 1e6:,.0f} MB (--max-pixels)")


def bytes_a_pixel(image: Image.Image, data: bytes) -> float:
    """The most bytes a pixel that decoding holds at a time, without the file itself."""
    gray = image.mode in _GRAYS
    result = 1.0 if gray else 3.0
    if image.format in ("JPEG", "MPO"):
        kept = _coefficients(image) if _is_progressive(image) else 0.0
        return max(kept + 4.0, 7.0) if image.mode == "CMYK" else max(kept + result, 2.0 * result)
    if image.format == "PNG":
        channels = 4.0 if "transparency" in image.info and not gray else _CHANNELS_OF_PNG.get(data[25], 4.0)
        return 2.0 * channels * (2.0 if data[24] == 16 else 1.0)
    if image.format == "WEBP":
        return 8.0 if image.mode == "RGBA" else 6.0
    if image.format == "BMP":
        return 2.0 * result if data[28] != 32 else 8.0
    if image.format == "JPEG2000":  # OpenJPEG counts in 32 bits
        return 7.0 * len(image.getbands())
    held = _PILLOWS_BYTES.get(image.mode, 4.0)
    return held * (2.0 if image.format == "GIF" else 1.0) + result


def _is_progressive(image: Image.Image) -> bool:
    return image.format in ("JPEG", "MPO") and "progressive" in image.info


def _coefficients(image: Image.Image) -> float:
    """Bytes of coefficients a pixel that decoding a progressive JPEG keeps: two for each sample of each channel."""
    layers = getattr(image, "layer", None) or [(0, 1, 1, 0)] * 4  # (name, samples across, samples down, table)
    most = max(across * down for _, across, down, _ in layers) or 1
    return float(sum(2.0 * across * down / most for _, across, down, _ in layers))


def scans_of(jpeg: bytes, most: int) -> int:
    """Number of scans in a JPEG, counted up to ``most``; what follows its end, such as a film, is not looked at."""
    return len(list(islice((s for s in segments(jpeg) if s.marker == SOS), most)))
