"""Encoded bytes to upright 8-bit pixels and back, on the CPU.

Pixels are uint8 arrays: (H, W) gray, or (H, W, 3) in OpenCV's order blue, green, red. OpenCV decodes JPEG, PNG, WebP
and BMP. Pillow decodes what OpenCV gets wrong: CMYK, TIFF (which it turns, premultiplies or leaves as indexes), PNM
with another maximum than 255, animated PNG; :mod:`.tiff_bands` the TIFFs that Pillow does not know. Pillow also judges
JPEGs that look damaged, since OpenCV returns half a picture and reports it on stderr only. docs/reading.md has a table
of what becomes of unusual pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

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
from augpipe.pixels.codec.pixel_reading import FULL
from augpipe.pixels.codec.tiff_bands import stored_bands
from augpipe.pixels.codec.tiff_layout import BITS, PHOTOMETRIC, layout_of
from augpipe.pixels.resample import block_means, copy_exact

_JPEGS = ("JPEG", "MPO")
_BY_OPENCV = (*_JPEGS, "PNG", "WEBP", "BMP")
_GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
_BY_PILLOW_MODES = ("CMYK", "YCbCr", "LAB", "HSV", "I", "F")
_CUT_SHORT = ("truncated", "broken data", "unexpected end", "not enough image data")
_END_OF_JPEG = b"\xff\xd9"
_NO_MEMORY = -4  # cv::Error::StsNoMem
_LOSSLESS = 101  # a quality beyond which OpenCV writes a lossless WebP
_BAND = 1 << 20  # values that are converted at a time: a picture of 64 million must not be held in several forms


FORMATS = ("auto", "jpg", "png", "webp")
SUBSAMPLINGS = ("4:2:0", "4:4:4", "none")


@dataclass(frozen=True)
class PictureFormat:
    """How output pictures are encoded.

    ``format`` is ``jpg`` (baseline), ``png``, ``webp``, or ``auto``: as :meth:`of` a source says. ``subsampling`` is
    that of the colors in ``jpg``, 4:2:0 or 4:4:4; ``none`` where no picture is one.
    """

    format: str = "jpg"
    quality: int = 90
    subsampling: str = "4:2:0"

    def of(self, header: Header) -> PictureFormat:
        """The format of the pictures that are made of a source.

        ``auto`` keeps what is lossless so, as PNG, and writes the rest as JPEG. WebP is lossless where the source is.
        """
        if self.format == "auto":
            return replace(self, format="png" if header.lossless else "jpg")
        if self.format == "webp" and header.lossless:
            return replace(self, quality=_LOSSLESS)
        return self


def is_gray(header: Header) -> bool:
    """Whether a picture is read as one channel."""
    return _is_stored_gray(header) and not header.as_rgb


def _is_stored_gray(header: Header) -> bool:
    """Whether a picture has one channel besides alpha."""
    return header.mode in _GRAY_MODES


def decode(data: bytes, header: Header, keep_truncated: bool = False, scale_denominator: int = 1) -> Pixels:
    """The upright picture: 16 bits by the header's levels, alpha dropped, palettes resolved, gray as the header says.

    Args:
        data: the file.
        header: what :func:`~augpipe.pixels.codec.header.read_header` says of it.
        keep_truncated: decode what there is of a picture that is cut short.
        scale_denominator: 2, 4 or 8 for a JPEG at that part of its size, sides rounded up.

    Raises:
        Reject: ``truncated``, ``unsupported`` or ``size-mismatch`` (the pixels are not what the header says).
    """
    pixels = _decoded(data, header, keep_truncated, scale_denominator)
    return cv2.merge((pixels, pixels, pixels)) if header.as_rgb and pixels.ndim == 2 else pixels


def _decoded(data: bytes, header: Header, keep_truncated: bool, scale_denominator: int) -> Pixels:
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
    if header.format == "TIFF" and not header.bands:  # Pillow has turned it already
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
    return (None if decoded is None else _eight_bit(decoded, header)), heard.text


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


def _eight_bit(decoded: Pixels, header: Header) -> Pixels:
    """8 bits a channel, one or three channels."""
    if decoded.dtype == np.uint16:
        decoded = _of_sixteen(decoded, header.levels)
    return np.ascontiguousarray(_without_alpha(decoded, _is_stored_gray(header)))


def _without_alpha(decoded: Pixels, gray: bool) -> Pixels:
    """One or three channels of OpenCV's one to four."""
    if decoded.ndim == 3 and (gray or decoded.shape[2] <= 2):
        return decoded[:, :, 0]
    return decoded[:, :, :3] if decoded.ndim == 3 and decoded.shape[2] == 4 else decoded


def _of_sixteen(values: Raster, levels: tuple[int, int] = FULL) -> Pixels:
    """Values from ``levels[0]`` to ``levels[1]`` as 0..255, rounded and clipped: all 16 bits are divided by 257."""
    black, span = levels[0], levels[1] - levels[0]
    out = np.empty(values.shape, np.uint8)
    for rows in bands(len(values), values[:1].size):
        light = np.clip(values[rows].astype(np.int32) - black, 0, span)
        out[rows] = (light * 255 + span // 2) // span
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
    with _damage_rejected(), muted(data):
        if header.bands:
            return _of_bands(data, header, keep_truncated)
        with opened(data, math.prod(header.stored_wh), keep_truncated) as image:
            return _eight_bit_of(image, header)


@contextmanager
def _damage_rejected() -> Iterator[None]:
    """What Pillow raises as a Reject: ``truncated`` or ``unsupported``."""
    try:
        yield
    except PARSER_FAULTS as error:
        if of_system(error):
            raise
        text = one_line(error, 120)
        code = "truncated" if any(w in text.lower() for w in _CUT_SHORT) else "unsupported"
        raise Reject("decode", code, f"the picture cannot be decoded: {text}") from error


def _of_bands(data: bytes, header: Header, keep_truncated: bool) -> Pixels:
    """The bands of a TIFF, gray or in blue, green, red."""
    layout = layout_of(data)
    white_is_zero = layout is not None and layout.first(PHOTOMETRIC, 1) == 0
    width, height = header.stored_wh
    out = np.empty((height, width, len(header.bands)), np.uint8)
    for rows, channels, values in stored_bands(data, header, keep_truncated):
        pixels = _of_sixteen(values, header.levels) if header.bits == 16 else values
        out[rows, :, channels] = 255 - pixels if white_is_zero else pixels
    return out[:, :, 0] if len(header.bands) == 1 else np.ascontiguousarray(out[:, :, ::-1])


def _eight_bit_of(image: Image.Image, header: Header) -> Pixels:
    """The pixels of Pillow's picture, gray or in blue, green, red.

    Raises:
        ValueError: 32 bits a channel, which define neither black nor white.
    """
    image.load()  # before its size is asked for: a TIFF is turned meanwhile
    gray = _is_stored_gray(header)
    convert = _conversion(image, gray, header.levels)
    width, height = image.size
    out = np.empty((height, width) if gray else (height, width, 3), np.uint8)
    for rows in bands(height, 3 * width):
        band = convert(image.crop((0, rows.start, width, rows.stop)))
        out[rows] = band if gray else band[:, :, ::-1]
    return out


def _conversion(image: Image.Image, gray: bool, levels: tuple[int, int]) -> Callable[[Image.Image], Pixels]:
    """A function from a part of Pillow's picture to gray, or red, green, blue."""
    if isinstance(image, TiffImageFile) and image.mode.startswith("I;16"):
        return _of_tiff(image, levels)
    if image.mode.startswith("I;16"):
        return lambda band: _of_sixteen(np.asarray(band), levels)
    if image.mode == "I" and image.format == "PPM":  # Pillow has scaled it to 16 bits
        return lambda band: _of_sixteen(np.asarray(band))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a channel, expected 8 or 16")
    mode = "L" if gray else "RGB"
    if image.mode == "CMYK" and image.format in _JPEGS and "adobe" not in image.info:
        # Only Adobe counts ink from 255 down; Pillow takes all for Adobe's.
        return lambda band: np.asarray(ImageChops.invert(band).convert(mode))
    return lambda band: np.asarray(band.convert(mode))


def _of_tiff(image: TiffImageFile, levels: tuple[int, int]) -> Callable[[Image.Image], Pixels]:
    """For a gray TIFF of 12 or 16 bits, whose numbers Pillow gives as stored, also where white is 0."""
    white_is_zero = image.tag_v2.get(PHOTOMETRIC) == 0
    levels = (0, 4095) if image.tag_v2.get(BITS) == (12,) else levels

    def convert(band: Image.Image) -> Pixels:
        pixels = _of_sixteen(np.asarray(band), levels)
        return 255 - pixels if white_is_zero else pixels

    return convert


def highest_of(data: bytes, header: Header) -> int:
    """The highest stored value of the samples that are read, for pictures of 16 bits whose format says of no white.

    Raises:
        Reject: as :func:`decode`.
    """
    if header.format == "PNG" and (stored := _imdecode(data, cv2.IMREAD_UNCHANGED)) is not None:
        return int(_without_alpha(stored, _is_stored_gray(header)).max())
    with _damage_rejected(), muted(data):
        if header.bands:
            return max((int(values.max()) for _, _, values in stored_bands(data, header)), default=0)
        with opened(data, math.prod(header.stored_wh)) as image:
            image.load()
            return int(np.asarray(image).max()) if image.mode.startswith("I;16") else 0


def muted(data: bytes) -> AbstractContextManager[object]:
    """Keeps libtiff, the one library of Pillow's that writes to stderr, silent."""
    return captured_stderr.together() if data[:2] in (b"II", b"MM") else nullcontext()


# --- encoding --------------------------------------------------------------------------------------------------------


def encode(pixels: Pixels, form: PictureFormat) -> bytes:
    """Encoded picture, without EXIF or color profile.

    Raises:
        Reject: if the encoder cannot write it (a side beyond the format's limit).
    """
    if form.format == "webp":
        ending, options = ".webp", [cv2.IMWRITE_WEBP_QUALITY, form.quality]
    elif form.format == "png":
        ending, options = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]
    else:
        ending, options = ".jpg", jpeg_options(form.quality, form.subsampling)
    usual = _LONGEST_USUAL_WEBP if form.format == "webp" else _LONGEST_USUAL
    try:
        # OpenCV logs a refusal besides raising it. Capturing takes a file and six system calls, so only where one is
        # likely.
        with captured_stderr.together() if max(pixels.shape[:2]) > usual else nullcontext():
            done, data = cv2.imencode(ending, pixels, options)
    except cv2.error as error:
        if (memory := as_memory_error(error)) is not error:
            raise memory from error
        raise Reject("encode", "encode", f"cannot be written as {form.format}: {one_line(error)}") from error
    if not done:
        raise Reject("encode", "encode", f"cannot be written as {form.format}: {pixels.shape[1]}×{pixels.shape[0]}")
    return data.tobytes()


_LONGEST_USUAL, _LONGEST_USUAL_WEBP = 65_000, 16_000  # somewhat less than the encoders' limits


def jpeg_options(quality: int, subsampling: str = "4:2:0") -> list[int]:
    """Baseline JPEG with 4:2:0 or 4:4:4 chroma at a quality."""
    return [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if subsampling == "4:4:4" else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_OPTIMIZE,
        0,
        cv2.IMWRITE_JPEG_PROGRESSIVE,
        0,
    ]
