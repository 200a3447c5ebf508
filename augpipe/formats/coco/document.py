"""A COCO JSON that is written in pieces, so that its size does not matter."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from augpipe.core.annotations import Category
from augpipe.formats.coco.json_fields import category_json

HELD_BYTES = 64 * 1024 * 1024
BETWEEN = b",\n"
"""What stands between two rows, and in no row."""


def categories_json(categories: Iterable[Category]) -> list[dict[str, Any]]:
    """The list of categories of a COCO JSON."""
    rows = map(category_json, categories)
    return [{k: v for k, v in row.items() if k not in ("label", "flip_pairs")} for row in rows]


class CocoDocument:
    """A JSON with categories, images and annotations. Images come first in the file, so annotations wait in a
    temporary one until the end."""

    def __init__(self, path: Path, categories: Iterable[Mapping[str, Any]]) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed in discard()
        self._annotations: IO[bytes] = tempfile.SpooledTemporaryFile(HELD_BYTES)  # noqa: SIM115
        self._between = [b"", b""]
        self._file.write(b'{"info":{"description":"converted by augpipe"},"licenses":[],"categories":')
        self._file.write(msgspec.json.encode(list(categories)) + b',"images":[')

    def add(self, images: bytes, annotations: bytes) -> None:
        """More rows of the two lists, as JSON with commas between; there may be none."""
        for k, (file, rows) in enumerate(((self._file, images), (self._annotations, annotations))):
            if rows:
                file.write(self._between[k] + rows)
                self._between[k] = BETWEEN

    def close(self) -> None:
        """Finish the document."""
        self._file.write(b'],"annotations":[')
        self._annotations.seek(0)
        shutil.copyfileobj(self._annotations, self._file)
        self._file.write(b"]}\n")
        self.discard()

    def discard(self) -> None:
        """Close the files as they are."""
        self._annotations.close()
        self._file.close()
