"""What decoding a picture takes, told from its header: bytes of memory for a pixel, and how often it is gone through.

A limit on pixels alone does not bound memory: of a picture of 64 million pixels, a usual JPEG takes 380 MB while it is
decoded, and a PNG of four channels of 16 bits 1.2 GB, though zeros make it a file of a few hundred kilobytes. So a
picture may take what a usual one of the most pixels takes; what takes more for a pixel may have fewer of them.

The numbers were measured (``docs/hostile.md``): what the library holds, and the array that comes of it.
"""

from __future__ import annotations

import re

from PIL import Image

from augpipe.errors import Reject

USUAL = 6.5
"""Bytes a pixel: three channels of 8 bits twice, as OpenCV makes and as NumPy gets them, and half a byte of file."""

_BESIDE = 1 << 22  # bytes of a file that count for nothing, so that a low limit on pixels is none on metadata

MOST_SCANS = 50
"""Passes over the picture that a progressive JPEG may have. Usual are ten; each takes time, and next to no bytes."""

_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")
_SCAN, _END = 0xDA, 0xD9
_PILLOWS_BYTES = {"1": 1.0, "L": 1.0, "P": 1.0, "I;16": 2.0, "I;16B": 2.0, "I;16L": 2.0}  # four for all other modes
_CHANNELS_OF_PNG = {
    0: 1.0,
    2: 3.0,
    3: 3.0,
    4: 4.0,
    6: 4.0,
}  # by colour type, as OpenCV gives them: gray with alpha as four


def require_modest(image: Image.Image, data: bytes, size_wh: tuple[int, int], max_pixels: int) -> None:
    """Refuse a picture that would take more memory than a usual one of ``max_pixels``, or far too much time.

    Args:
        image: as Pillow has opened it; nothing is decoded.
        data: the file.
        size_wh: of the stored pixels.
        max_pixels: what is allowed.

    Raises:
        Reject: ``too-large`` or ``unsupported``.
    """
    needed = size_wh[0] * size_wh[1] * bytes_a_pixel(image, data) + max(0, len(data) - _BESIDE)
    allowed = USUAL * max_pixels
    if needed > allowed:
        size = f"{size_wh[0]}×{size_wh[1]} pixels of this kind, and the file, take {needed / 1e6:,.0f} MB to decode"
        raise Reject("decode", "too-large", f"{size}; expected at most {allowed / 1e6:,.0f} MB (--max-pixels)")
    if _is_progressive(image) and scans_of(data, MOST_SCANS + 1) > MOST_SCANS:
        message = f"a JPEG of more than {MOST_SCANS} scans, which may be an attack; save it again"
        raise Reject("decode", "unsupported", message)


def bytes_a_pixel(image: Image.Image, data: bytes) -> float:
    """The most that decoding holds at a time, for each pixel; without the file itself."""
    gray = image.mode in ("1", "L", "I;16", "I;16B", "I;16L")
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
    """Bytes of coefficients that a progressive JPEG keeps for a pixel: two for each sample, of all channels."""
    layers = getattr(image, "layer", None) or [(0, 1, 1, 0)] * 4  # (name, samples across, samples down, table)
    most = max(across * down for _, across, down, _ in layers) or 1
    return float(sum(2.0 * across * down / most for _, across, down, _ in layers))


def scans_of(jpeg: bytes, most: int) -> int:
    """How many scans a JPEG has, counted up to ``most``; what follows its end, such as a film, is not looked at."""
    place = count = 0
    while count < most and (marker := _MARKER.search(jpeg, place)) is not None:
        kind = marker[1][0]
        if kind == _END:
            break
        count += kind == _SCAN
        place = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return count
