"""Writing COCO panoptic: a PNG of segment ids a picture, and a JSON beside the folder that says what each segment is.

    annotations/panoptic_SPLIT.json        images, annotations {image_id, file_name, segments_info}, categories
    annotations/panoptic_SPLIT/NAME.png    id = R + 256·G + 65536·B, 0 is unlabelled

It is written beside the JSON of instances if a picture of the dataset has such labels. Segments are as they were read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from augpipe.core.annotations import Annotations
from augpipe.formats.coco.json_fields import known

_HELD_BYTES = 64 * 1024 * 1024


class Segments(NamedTuple):
    """Of one picture: ``segments_info`` as JSON, and the PNG of its ids, ``None`` if there is none."""

    info: bytes
    png: bytes | None


def segments_of(annotations: Annotations) -> Segments | None:
    """What is written of a picture, ``None`` if it has no such labels."""
    if annotations.panoptic is None and not annotations.segments_info:
        return None
    info = msgspec.json.encode([known(s) for s in annotations.segments_info])
    if annotations.panoptic is None:
        return Segments(info, None)
    from augpipe.pixels.codec.label_png import encode_raster

    return Segments(info, encode_raster(annotations.panoptic))


class PanopticWriter:
    """Writes the JSON and its PNGs picture by picture; nothing is there until the first that has such labels."""

    def __init__(self, path: Path, categories: Iterable[Mapping[str, Any]]) -> None:
        self._path = path
        self._categories = list(categories)
        self._annotations: IO[bytes] = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 - closed in close()
        self._images: IO[bytes] = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115
        self._count = 0
        self._names: set[str] = set()

    def add(self, image: bytes, image_id: bytes, file_name: str, segments: Segments) -> None:
        """One picture: its row in ``images`` and its id, both as JSON, its name, and its segments."""
        comma = b",\n" if self._count else b""
        self._count += 1
        name = f"{os.path.splitext(file_name)[0]}.png"
        if name in self._names:  # of a.jpg and a.png
            name = f"{file_name}.png"
        self._names.add(name)
        self._images.write(comma + image)
        fields = (b'{"image_id":', image_id, b',"file_name":', msgspec.json.encode(name), b',"segments_info":')
        self._annotations.write(comma + b"".join((*fields, segments.info, b"}")))
        if segments.png is not None:
            png = self._path.with_suffix("") / name
            png.parent.mkdir(parents=True, exist_ok=True)
            png.write_bytes(segments.png)

    def discard(self) -> None:
        """Let go of what is held."""
        self._annotations.close()
        self._images.close()

    def close(self) -> None:
        """Write the JSON, if there was anything to write."""
        if self._count:
            with open(self._path, "wb") as file:
                file.write(b'{"info":{"description":"converted by augpipe"},"licenses":[],"categories":')
                file.write(msgspec.json.encode(self._categories))
                for key, rows in ((b',"images":[', self._images), (b'],"annotations":[', self._annotations)):
                    file.write(key)
                    rows.seek(0)
                    shutil.copyfileobj(rows, file)
                file.write(b"]}\n")
        self.discard()
