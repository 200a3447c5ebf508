"""manifest.json, read and checked as far as a verification rests on it; other fields are not looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from augpipe.errors import DatasetError, one_line
from augpipe.verify.parse import object_of, read_document

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
