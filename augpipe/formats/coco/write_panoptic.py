"""Writing COCO panoptic: a PNG of segment ids a picture, and a JSON beside the folder that says what each segment is.

    annotations/panoptic_SPLIT.json        images, annotations {image_id, file_name, segments_info}, categories
    annotations/panoptic_SPLIT/NAME.png    id = R + 256·G + 65536·B, 0 is unlabelled

It is written beside the JSON of instances if a picture of the dataset has such labels. Segments are as they were read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from augpipe.core.annotations import Annotations
from augpipe.formats.coco.document import CocoDocument
from augpipe.formats.coco.json_fields import known
from augpipe.formats.output import write_into


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
    """Writes the JSON and its PNGs; nothing is there until the first picture that has such labels."""

    def __init__(self, path: Path, categories: Sequence[Mapping[str, Any]]) -> None:
        self._path = path
        self._categories = categories
        self._json: CocoDocument | None = None
        self._names: set[str] = set()

    def add(self, image: bytes, image_id: bytes, file_name: str, segments: Segments) -> None:
        """One picture: its row in ``images`` and its id, both as JSON, its name, and its segments."""
        self._json = self._json or CocoDocument(self._path, self._categories)
        name = f"{os.path.splitext(file_name)[0]}.png"
        if name in self._names:  # of a.jpg and a.png
            name = f"{file_name}.png"
        self._names.add(name)
        fields = (b'{"image_id":', image_id, b',"file_name":', msgspec.json.encode(name), b',"segments_info":')
        self._json.add(image, b"".join((*fields, segments.info, b"}")))
        if segments.png is not None:
            write_into(self._path.with_suffix("") / name, segments.png)

    def discard(self) -> None:
        """Close the files as they are."""
        if self._json is not None:
            self._json.discard()

    def close(self) -> None:
        """Finish the JSON, if there was anything to write."""
        if self._json is not None:
            self._json.close()
