"""Reading what may be damaged or made to do harm: JSON, tars, pictures and run-length codes, within bounds.

Everything here ends with a value or a ``ValueError`` (``OSError`` for a file), and holds no more than it has checked.
"""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
from PIL import Image

from augpipe.core.errors import DatasetError, one_line
from augpipe.verification.supersample import Marks

MOST_JSON = 64 << 20
"""Bytes of a JSON document."""

MOST_MEMBER = 256 << 20
"""Bytes of a picture or mask in a tar."""

_BLOCK = 512
_LARGEST = 2**53


class MemberRange(NamedTuple):
    """Where a member's bytes are in its tar."""

    offset: int
    size: int


# --- JSON ------------------------------------------------------------------------------------------------------------


def object_of(data: bytes) -> dict[str, Any]:
    """A JSON object whose numbers are all finite.

    Raises:
        ValueError: it is none, or too large or too deep to be one of ours.
    """
    if len(data) > MOST_JSON:
        raise ValueError(f"{len(data):,} bytes of JSON, expected at most {MOST_JSON:,}")
    try:
        value = json.loads(data, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {one_line(value, 40)}")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{one_line(text, 40)} is too large a number")
    return value


def _whole(text: str) -> int:
    return int(text) if len(text) < 64 else int(_finite(text))


def read_document(path: Path) -> bytes:
    """The bytes of a JSON file of the folder.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large.
    """
    if (size := path.stat().st_size) > MOST_JSON:
        raise ValueError(f"{size:,} bytes, expected at most {MOST_JSON:,}")
    return path.read_bytes()


# --- tars ------------------------------------------------------------------------------------------------------------


def samples_of(path: Path) -> Iterator[tuple[str, dict[str, MemberRange]]]:
    """(KEY, ending → place) of every run of members with one KEY, in the order of the tar.

    Raises:
        ValueError: not a tar as docs/format.md has it: plain files with ustar headers, no member twice.
        OSError: it cannot be read.
    """
    key, places = "", dict[str, MemberRange]()
    for name, place in _members(path):
        stem, _, ending = name.partition(".")
        if stem != key and places:
            yield key, places
            places = {}
        if ending in places:
            raise ValueError(f"{one_line(name, 100)} is there twice")
        key, places[ending] = stem, place
    if places:
        yield key, places


def _members(path: Path) -> Iterator[tuple[str, MemberRange]]:
    with open(path, "rb") as file:
        end, offset = path.stat().st_size, 0
        while True:
            file.seek(offset)
            header = file.read(_BLOCK)
            if len(header) < _BLOCK:
                raise ValueError(f"ends after {end:,} bytes, in the middle of a member or without its last two blocks")
            if not header.strip(b"\0"):
                return
            name, size = _header(header)
            if offset + _BLOCK + size > end:
                raise ValueError(f"{one_line(name, 100)} is cut short")
            yield name, MemberRange(offset + _BLOCK, size)
            offset += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _header(header: bytes) -> tuple[str, int]:
    """(name, size) of a plain file's ustar header."""
    try:
        checksum = int(header[148:156].strip(b"\0 ") or b"0", 8)
        size = int(header[124:136].strip(b"\0 ") or b"0", 8)
        name = header[:100].rstrip(b"\0").decode("ascii")
    except ValueError:
        raise ValueError("a header that is none of a tar") from None
    if checksum != sum(header[:148]) + 8 * 32 + sum(header[156:]) or size < 0:
        raise ValueError("a header that is none of a tar")
    if header[156:157] not in (b"0", b"\0") or header[257:262] != b"ustar" or header[345:500].strip(b"\0"):
        raise ValueError(f"{one_line(name, 100)} is no plain file of a ustar tar")
    return name, size


def members_at(file: IO[bytes], places: Mapping[str, MemberRange]) -> dict[str, bytes]:
    """Ending → bytes of a sample.

    Raises:
        ValueError: a member that is larger than any of ours.
    """
    out: dict[str, bytes] = {}
    for ending, place in places.items():
        most = MOST_JSON if ending == "json" else MOST_MEMBER
        if place.size > most:
            raise ValueError(f"its {one_line(ending, 40)} has {place.size:,} bytes, expected at most {most:,}")
        file.seek(place.offset)
        out[ending] = file.read(place.size)
    return out


# --- pictures and masks ----------------------------------------------------------------------------------------------


def pixels_of(data: bytes, size_wh: tuple[int, int] | None = None) -> np.ndarray[Any, Any]:
    """A picture or mask by Pillow: (H, W) or (H, W, 3); of gray PNGs also with 16 bits.

    Args:
        data: JPEG or PNG.
        size_wh: the size that it has to have; nothing else is decoded.

    Raises:
        ValueError: it is no such picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is compared here
            picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
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


# --- manifest.json, read and checked as far as a verification rests on it; other fields are not looked at -------------


SCHEMA = "augpipe/1"

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
    format: Literal["jpg", "png"]
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)]
    subsampling: str


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
    """manifest.json, as it stands.

    Raises:
        DatasetError: there is none, or it is not one.
    """
    path = folder / "manifest.json"
    try:
        manifest = object_of(read_document(path))
    except FileNotFoundError:
        there = "the run is not finished" if (folder / "run.json").exists() else "expected a folder that augment made"
        raise DatasetError(f"{folder}: no manifest.json; {there}") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {one_line(error)}") from error
    if manifest.get("schema") != SCHEMA:
        raise DatasetError(f"{path}: not a manifest of {SCHEMA}")
    try:
        msgspec.convert(manifest, _Manifest)
    except msgspec.ValidationError as error:
        raise DatasetError(f"{path}: not as docs/format.md has it: {one_line(error)}") from error
    return manifest
