"""Reading pictures, run-length codes and manifests that may be damaged or made to do harm, within bounds.

JSON documents and tars are read by :mod:`augpipe.formats.webdataset.safe_parse`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from PIL import Image

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.webdataset import safe_parse
from augpipe.pixels.codec.pixel_reading import from_json
from augpipe.verification.supersample import Marks

# --- pictures and masks ----------------------------------------------------------------------------------------------


PICTURES = ("jpg", "png", "webp")


def picture_in(members: Mapping[str, bytes]) -> tuple[str, bytes]:
    """(ending, file) of the picture of a sample.

    Raises:
        ValueError: it has none, or several.
    """
    found = [ending for ending in PICTURES if ending in members]
    if len(found) != 1:
        raise ValueError(f"has {' and '.join(found) or 'none'} of {', '.join(PICTURES)}, expected one picture")
    return found[0], members[found[0]]


def pixels_of(data: bytes, size_wh: tuple[int, int] | None = None) -> np.ndarray[Any, Any]:
    """A picture or mask by Pillow: (H, W) or (H, W, 3); of gray PNGs also with 16 bits.

    Args:
        data: JPEG, PNG or WebP.
        size_wh: the size that it has to have; nothing else is decoded.

    Raises:
        ValueError: it is no such picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is compared here
            picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
            if size_wh is not None and picture.size != size_wh:
                raise ValueError(f"is {picture.size}, expected {size_wh}")
            if picture.mode not in ("L", "RGB", "I;16", "I"):
                raise ValueError(f"has pixels of the kind {picture.mode}, expected gray or RGB")
            picture.load()
    except ValueError:
        raise
    except MemoryError:
        raise ValueError("not enough memory to decode it") from None
    except Exception as error:  # damage comes out of Pillow as almost anything
        raise ValueError(f"no picture: {one_line(error, 120)}") from error
    return np.asarray(picture)


def bitmap_of_code(segmentation: Mapping[str, Any], size_wh: tuple[int, int]) -> Marks:
    """A written run-length code as pixels: (H, W). Decoded here, from the words of COCO's own ``maskApi.c``.

    Raises:
        ValueError: it is no code of a picture of that size.
    """
    width, height = size_wh
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width] or not isinstance(counts, str):
        raise ValueError(f"its mask has the size {one_line(size, 40)} (height, width), its picture {[height, width]}")
    runs: list[int] = []
    value = shift = 0
    for char in counts.encode("ascii", "replace"):
        bits = char - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its mask is no run-length code")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last five bits of a number; their highest is the sign
            value -= (bits & 16) << (shift - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift or sum(runs) != width * height or min(runs, default=0) < 0:
        raise ValueError(f"its mask is no run-length code of {width}×{height} pixels")
    down = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    marks: Marks = down.reshape(width, height).T
    return marks


# --- manifest.json, checked as far as a verification rests on it ------------------------------------------------------


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class _Recipe(msgspec.Struct):
    canonical: str


class _Source(msgspec.Struct):
    format: str
    fingerprint: str
    pictures: Count


class _Reading(msgspec.Struct):
    exif: Literal["upright", "stored"] = "upright"
    voc_origin: Literal[0, 1] = 1
    max_pixels: Annotated[int, msgspec.Meta(ge=1)] = 1
    truncated: Literal["reject", "keep"] = "reject"


class _Picture(msgspec.Struct):
    format: Literal["auto", "jpg", "png", "webp"]
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)]
    subsampling: str
    range: tuple[Count, Count] = (0, 1)
    bands: tuple[Count, Count, Count] = (1, 1, 1)
    channels: Literal["source", "rgb"] = "source"


class _Void(msgspec.Struct):
    semantic: Annotated[int, msgspec.Meta(ge=0, le=65535)]


class _Config(msgspec.Struct):
    recipe: _Recipe
    seed: int
    copies: Count
    originals: bool
    split: str | None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None
    source: _Source
    picture: _Picture
    categories: list[dict[str, Any]]
    void: _Void
    reading: _Reading = msgspec.field(default_factory=_Reading)


class _Shard(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+\.tar$")]
    samples: Count
    bytes: Count
    sha256: str | None


class _Totals(msgspec.Struct):
    pictures: Count
    expected: Count
    written: Count
    rejected: Count
    objects: Count
    dropped: dict[str, Count]


class _Manifest(msgspec.Struct):
    config: _Config
    digest: str
    shards: list[_Shard]
    totals: _Totals


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, checked but otherwise as it stands; DatasetError if there is none, or it is not one."""
    manifest = safe_parse.read_manifest(folder)
    try:
        msgspec.convert(manifest, _Manifest)
        from_json(manifest["config"]["picture"])
    except (msgspec.ValidationError, ValueError) as error:
        raise DatasetError(f"{folder / 'manifest.json'}: not as docs/format.md has it: {one_line(error)}") from error
    return manifest
