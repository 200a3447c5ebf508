"""Where the pictures of a COCO JSON are: its ``file_name`` is relative to a folder that the JSON does not name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from augpipe.errors import DatasetError
from augpipe.formats.base import SourceOptions, size_of


def picture_root(json: Path, keys: Sequence[str], options: SourceOptions) -> Path:
    """The folder that holds most of the pictures, among the places where COCO sets keep them.

    Args:
        json: the annotation file.
        keys: names of the pictures (see :func:`augpipe.formats.coco.key_of`).
        options: ``images`` says the folder, ``split`` may be a folder's name.

    Raises:
        DatasetError: ``options.images`` is no folder.
    """
    if options.images is not None:
        if not options.images.is_dir():
            raise DatasetError(f"{options.images}: no such folder (--images)")
        return options.images
    sample = keys[:: max(1, len(keys) // 50)]
    return max(_places(json, options.split), key=lambda folder: sum(found(folder, key) is not None for key in sample))


def _places(json: Path, split: str | None) -> list[Path]:
    """Beside the JSON, images/, ../images/, .., ../SPLIT/, and SPLIT/ in one of the two folders of images."""
    here = json.parent
    splits = sorted({json.stem, json.stem.rpartition("_")[2], *([split] if split else [])})
    beside = [here, here / "images", here.parent / "images", here.parent]
    return [*beside, *(base / s for base in (here.parent, here / "images", here.parent / "images") for s in splits)]


def found(root: Path, key: str) -> tuple[Path, int] | None:
    """(path, size) of the picture ``key`` below ``root``, ``None`` if there is none.

    A file may be stored under the decomposed form of a name that the JSON composes, as macOS does.
    """
    for name in _forms(key):
        size = size_of(root / name)
        if size >= 0:
            return root / name, size
    return None


def _forms(key: str) -> Iterable[str]:
    return (key,) if key.isascii() else (key, unicodedata.normalize("NFD", key))
