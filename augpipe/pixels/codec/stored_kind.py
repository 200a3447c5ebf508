"""What a picture file stores beyond 8-bit gray or RGB, by its header: depth, alpha, bands, profile; and how.

Each note stands for something that reading drops. docs/reading.md has them in its table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image

from augpipe.pixels.codec.color_profile import is_srgb
from augpipe.pixels.codec.jpeg2000 import depth_of, is_reversible
from augpipe.pixels.codec.tiff_layout import EXTRA, PHOTOMETRIC, TiffLayout

DEPTH, ALPHA, BANDS, CMYK = "depth-reduced", "alpha-dropped", "bands-dropped", "cmyk-converted"
PROFILE, SRGB_PROFILE = "color-profile-dropped", "srgb-profile-dropped"
NOTES = (DEPTH, ALPHA, BANDS, CMYK, PROFILE, SRGB_PROFILE)

_LOSSLESS = ("PNG", "BMP", "TIFF", "PPM", "GIF")
_WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
_RGB = 2  # TIFF's photometric interpretation
_ALPHAS = (1, 2)  # TIFF's kinds of extra samples: premultiplied or not


def bits_of(image: Image.Image, data: bytes, layout: TiffLayout | None) -> int:
    """Bits of a stored sample, where it may be more than 8; else 8."""
    if image.format == "PNG":
        return 16 if data[24] == 16 else 8
    if layout is not None:
        return max(8, layout.bits)
    if image.format == "JPEG2000":
        return depth_of(data)
    return 16 if image.format == "PPM" and _maximum(image) > 255 else 8


def _maximum(image: Image.Image) -> int:
    """What the samples of a PNM count to, as Pillow read it; 65535 where its mode says that it is more than 255."""
    if image.mode == "I":
        return 65535
    numbers = [argument for tile in image.tile for argument in tile[3] if isinstance(argument, int)]  # type: ignore[attr-defined]
    return max(numbers, default=255)


def is_lossless(image: Image.Image, data: bytes) -> bool:
    """Whether the format keeps every pixel as it was given."""
    if image.format == "WEBP":
        return any(name == b"VP8L" for name in _chunks(data))
    return image.format in _LOSSLESS or (image.format == "JPEG2000" and is_reversible(data))


def _chunks(webp: bytes) -> Iterator[bytes]:
    """The names of a WebP's chunks; those of an animation's frames are within them."""
    place = 12
    while place + 8 <= len(webp):
        yield webp[place : place + 4]
        size = struct.unpack_from("<I", webp, place + 4)[0]
        place += 8 + size + size % 2


def notes_of(image: Image.Image, mode: str, bits: int, layout: TiffLayout | None) -> tuple[str, ...]:
    """What is dropped of a picture that Pillow has opened; ``mode`` is the header's."""
    found = [DEPTH] if bits > 8 else []
    if mode in _WITH_ALPHA or "transparency" in image.info:
        found.append(ALPHA)
    if mode == "CMYK":
        found.append(CMYK)
    if layout is not None and layout.first(PHOTOMETRIC, 1) in (0, 1, _RGB):
        extra = layout.bands - (3 if layout.first(PHOTOMETRIC, 1) == _RGB else 1)
        found += [BANDS] if extra > (mode in _WITH_ALPHA) else []
    return (*found, *_of_profile(image.info.get("icc_profile")))


def notes_of_bands(layout: TiffLayout, bands: tuple[int, ...]) -> tuple[str, ...]:
    """What is dropped of a TIFF of which only ``bands``, numbers from 0, are read."""
    found = [DEPTH] if layout.bits > 8 else []
    kinds = layout.tags.get(EXTRA, ())
    first = layout.bands - len(kinds)
    alphas = {first + i for i, kind in enumerate(kinds) if kind in _ALPHAS} - set(bands)
    found += [ALPHA] if alphas else []
    found += [BANDS] if layout.bands > len(set(bands) | alphas) else []
    return (*found, *_of_profile(layout.profile))


def _of_profile(profile: object) -> tuple[str, ...]:
    if not isinstance(profile, bytes) or not profile:
        return ()
    return (SRGB_PROFILE,) if is_srgb(profile) else (PROFILE,)
