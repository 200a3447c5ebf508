"""Encoded bytes to upright 8-bit pixels and back, on the CPU.

Pixels are uint8 arrays: (H, W) gray, or (H, W, 3) in OpenCV's order blue, green, red. OpenCV decodes JPEG, PNG, WebP
and BMP. Pillow decodes what OpenCV gets wrong: CMYK, TIFF (which it turns, premultiplies or leaves as indexes), PNM
with another maximum than 255, animated PNG. Pillow also judges JPEGs that look damaged, since OpenCV returns half a
picture and reports it on stderr only. docs/reading.md has a table of what becomes of unusual pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops
from PIL.TiffImagePlugin import TiffImageFile

from augpipe.core.annotations import Header, Raster
from augpipe.core.errors import Reject, of_system, one_line
from augpipe.core.geometry import upright
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pixels
from augpipe.pixels.codec import captured_stderr
from augpipe.pixels.codec.header import PARSER_FAULTS, opened
from augpipe.pixels.codec.jpeg2000 import is_whole
from augpipe.pixels.resample import block_means, copy_exact

_JPEGS = ("JPEG", "MPO")
_BY_OPENCV = (*_JPEGS, "PNG", "WEBP", "BMP")
_GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
_BY_PILLOW_MODES = ("CMYK", "YCbCr", "LAB", "HSV", "I", "F")
_CUT_SHORT = ("truncated", "broken data", "unexpected end", "not enough image data")
_END_OF_JPEG = b"\xff\xd9"
_NO_MEMORY = -4  # cv::Error::StsNoMem
_BITS, _PHOTOMETRIC = 258, 262  # TIFF 6.0 tags
_BAND = 1 << 20  # values that are converted at a time: a picture of 64 million must not be held in several forms


@dataclass(frozen=True)
class PictureFormat:
    """How output pictures are encoded: ``jpg`` (baseline, 4:2:0) or ``png``."""

    format: str = "jpg"
    quality: int = 90
    subsampling: str = "4:2:0"


def is_gray(header: Header) -> bool:
    """Whether a picture has one channel besides alpha."""
    return header.mode in _GRAY_MODES


def decode(data: bytes, header: Header, keep_truncated: bool = False, scale_denominator: int = 1) -> Pixels:
    """The upright picture: 16-bit divided by 257, alpha dropped, palettes resolved, gray kept gray.

    Args:
        data: the file.
        header: what :func:`~augpipe.pixels.codec.header.read_header` says of it.
        keep_truncated: decode what there is of a picture that is cut short.
        scale_denominator: 2, 4 or 8 for a JPEG at that part of its size, sides rounded up.

    Raises:
        Reject: ``truncated``, ``unsupported`` or ``size-mismatch`` (the pixels are not what the header says).
    """
    pixels = None
    if header.format in _BY_OPENCV and header.mode not in _BY_PILLOW_MODES and not _is_animated_png(data, header):
        pixels, messages = _by_opencv(data, header, scale_denominator)
        doubtful = header.format in _JPEGS and (messages or data.rstrip(b"\0")[-2:] != _END_OF_JPEG)
        if pixels is not None and doubtful and not keep_truncated:
            _require_whole(data, header, messages)
    if pixels is not None:
        _require_size(pixels, header.stored_wh, scale_denominator)
        return turned_upright(pixels, header)
    pixels = _by_pillow(data, header, keep_truncated)
    if header.format == "TIFF":  # Pillow has turned it already
        _require_size(pixels, header.upright_wh)
        return pixels
    _require_size(pixels, header.stored_wh)
    if scale_denominator > 1:
        pixels = block_means(pixels, (scale_denominator, scale_denominator))
    return turned_upright(pixels, header)


def _require_size(pixels: Pixels, size_wh: tuple[int, int], divisor: int = 1) -> None:
    height, width = pixels.shape[:2]
    if (width, height) != (-(-size_wh[0] // divisor), -(-size_wh[1] // divisor)):
        message = f"the header says {size_wh[0]}×{size_wh[1]}, the pixels are {width * divisor}×{height * divisor}"
        raise Reject("decode", "size-mismatch", message)


def turned_upright(pixels: Pixels, header: Header) -> Pixels:
    """Stored pixels, at any part of their size, with the EXIF orientation applied."""
    if header.orientation == 1:
        return pixels
    height, width = pixels.shape[:2]
    matrix = upright(header.orientation, (width, height))
    upright_wh = (height, width) if header.orientation >= 5 else (width, height)
    return copy_exact(pixels, matrix, upright_wh, "constant", (0, 0, 0))


def _is_animated_png(data: bytes, header: Header) -> bool:
    """Whether a PNG announces more frames before its pixels; OpenCV would compose a frame of its own."""
    return header.format == "PNG" and data.find(b"acTL", 0, max(data.find(b"IDAT"), 0)) >= 0


def _flags(kind: str, divisor: int) -> int:
    """OpenCV's flags for a JPEG in ``GRAYSCALE`` or ``COLOR`` at 1, 1/2, 1/4 or 1/8 of its size."""
    return int(getattr(cv2, f"IMREAD_{kind}" if divisor == 1 else f"IMREAD_REDUCED_{kind}_{divisor}"))


def _by_opencv(data: bytes, header: Header, scale_denominator: int) -> tuple[Pixels | None, str]:
    """(pixels or None, what the codec wrote to stderr)."""
    if header.format in _JPEGS:
        flags = _flags("GRAYSCALE" if header.mode == "L" else "COLOR", scale_denominator)
    else:
        flags = cv2.IMREAD_UNCHANGED
    with captured_stderr.together() as heard:
        decoded = _imdecode(data, flags)
    if heard.text and not heard.alone:
        with captured_stderr.alone() as heard:
            decoded = _imdecode(data, flags)
    return (None if decoded is None else _eight_bit(decoded, is_gray(header))), heard.text


def _imdecode(data: bytes, flags: int) -> Pixels | None:
    """OpenCV's pixels as they are stored; ``None`` if it has none."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if (memory := as_memory_error(error)) is not error:
            raise memory from error
        return None


def as_memory_error(error: Exception) -> Exception:
    """The error itself, or a MemoryError for OpenCV's own error of that meaning, so that the picture is not blamed."""
    if isinstance(error, cv2.error) and getattr(error, "code", None) == _NO_MEMORY:
        return MemoryError(one_line(error))
    return error


def _eight_bit(decoded: Pixels, gray: bool) -> Pixels:
    """8 bits a channel, one or three channels."""
    if decoded.dtype == np.uint16:
        decoded = _of_sixteen(decoded)
    if decoded.ndim == 3 and (gray or decoded.shape[2] <= 2):
        decoded = decoded[:, :, 0]
    if decoded.ndim == 3 and decoded.shape[2] == 4:
        decoded = decoded[:, :, :3]
    return np.ascontiguousarray(decoded)


def _of_sixteen(values: Raster, white: int = 65535) -> Pixels:
    """0..``white`` as 0..255, rounded: 16 bits are divided by 257."""
    out = np.empty(values.shape, np.uint8)
    for rows in bands(len(values), values[:1].size):
        out[rows] = (values[rows].astype(np.uint32) * 255 + white // 2) // white
    return out


def bands(height: int, row: int) -> Iterator[slice]:
    """Slices of rows with about a million values each; ``row`` is the number of values in one row."""
    step = max(1, _BAND // max(1, row))
    return (slice(y, min(y + step, height)) for y in range(0, height, step))


def _require_whole(data: bytes, header: Header, messages: str) -> None:
    """Have Pillow's strict decoder judge a JPEG that looks damaged.

    Raises:
        Reject: ``truncated``.
    """
    cut_short = "premature end" in messages.lower()
    if not cut_short:
        try:
            with opened(data, math.prod(header.stored_wh)) as image:
                image.load()
        except PARSER_FAULTS as error:
            if of_system(error):
                raise
            cut_short = True
    if cut_short:
        message = f"the JPEG is cut short or damaged: {one_line(messages.strip(), 100) or 'its end is missing'}"
        raise Reject("decode", "truncated", message)


def _by_pillow(data: bytes, header: Header, keep_truncated: bool) -> Pixels:
    if header.format == "JPEG2000" and not keep_truncated and not (_END_OF_JPEG in data and is_whole(data)):
        raise Reject("decode", "truncated", "the JPEG 2000 is cut short: its end, or a tile of it, is missing")
    try:
        with muted(data), opened(data, math.prod(header.stored_wh), keep_truncated) as image:
            return _eight_bit_of(image, is_gray(header))
    except PARSER_FAULTS as error:
        if of_system(error):
            raise
        text = one_line(error, 120)
        code = "truncated" if any(w in text.lower() for w in _CUT_SHORT) else "unsupported"
        raise Reject("decode", code, f"the picture cannot be decoded: {text}") from error


def _eight_bit_of(image: Image.Image, gray: bool) -> Pixels:
    """The pixels of Pillow's picture, gray or in blue, green, red.

    Raises:
        ValueError: 32 bits a channel, which define neither black nor white.
    """
    image.load()  # before its size is asked for: a TIFF is turned meanwhile
    convert = _conversion(image, gray)
    width, height = image.size
    out = np.empty((height, width) if gray else (height, width, 3), np.uint8)
    for rows in bands(height, 3 * width):
        band = convert(image.crop((0, rows.start, width, rows.stop)))
        out[rows] = band if gray else band[:, :, ::-1]
    return out


def _conversion(image: Image.Image, gray: bool) -> Callable[[Image.Image], Pixels]:
    """A function from a part of Pillow's picture to gray, or red, green, blue."""
    if isinstance(image, TiffImageFile) and image.mode.startswith("I;16"):
        return _of_tiff(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):  # a PNM is scaled to 16 bits
        return lambda band: _of_sixteen(np.asarray(band))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a channel, expected 8 or 16")
    mode = "L" if gray else "RGB"
    if image.mode == "CMYK" and image.format in _JPEGS and "adobe" not in image.info:
        # Only Adobe counts ink from 255 down; Pillow takes all for Adobe's.
        return lambda band: np.asarray(ImageChops.invert(band).convert(mode))
    return lambda band: np.asarray(band.convert(mode))


def _of_tiff(image: TiffImageFile) -> Callable[[Image.Image], Pixels]:
    """For a gray TIFF of 12 or 16 bits, whose numbers Pillow gives as stored, also where white is 0."""
    white_is_zero = image.tag_v2.get(_PHOTOMETRIC) == 0
    white = 4095 if image.tag_v2.get(_BITS) == (12,) else 65535

    def convert(band: Image.Image) -> Pixels:
        pixels = _of_sixteen(np.asarray(band), white)
        return 255 - pixels if white_is_zero else pixels

    return convert


def muted(data: bytes) -> AbstractContextManager[object]:
    """Keeps libtiff, the one library of Pillow's that writes to stderr, silent."""
    return captured_stderr.together() if data[:2] in (b"II", b"MM") else nullcontext()


# --- encoding --------------------------------------------------------------------------------------------------------


def encode(pixels: Pixels, form: PictureFormat) -> bytes:
    """Encoded picture, without EXIF or color profile.

    Raises:
        Reject: if the encoder cannot write it (a side beyond the format's limit).
    """
    if form.format == "jpg":
        ending, options = ".jpg", jpeg_options(form.quality)
    else:
        ending, options = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]
    try:
        # OpenCV logs a refusal besides raising it. Capturing takes a file and six system calls, so only where one is
        # likely.
        with captured_stderr.together() if max(pixels.shape[:2]) > _LONGEST_USUAL else nullcontext():
            done, data = cv2.imencode(ending, pixels, options)
    except cv2.error as error:
        if (memory := as_memory_error(error)) is not error:
            raise memory from error
        raise Reject("encode", "encode", f"cannot be written as {form.format}: {one_line(error)}") from error
    if not done:
        raise Reject("encode", "encode", f"cannot be written as {form.format}: {pixels.shape[1]}×{pixels.shape[0]}")
    return data.tobytes()


_LONGEST_USUAL = 65_000  # somewhat less than any encoder's limit


def jpeg_options(quality: int) -> list[int]:
    """Baseline JPEG with 4:2:0 chroma at a quality."""
    return [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_OPTIMIZE,
        0,
        cv2.IMWRITE_JPEG_PROGRESSIVE,
        0,
    ]
