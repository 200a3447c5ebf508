"""More ways in which masks lie beside pictures: folders called like each other, and both in one folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping

from augpipe.formats.base import is_picture
from augpipe.formats.layout.splits import known_split
from augpipe.storage.fs import names_of, start_of, walk_files
from augpipe.storage.tree import AnyPath

MASK_ENDINGS = (".png", ".tif", ".tiff", ".bmp")
_OF_MASKS = ("annot", "_annot", "_annotations", "masks", "_masks", "_mask", "_labels", "_label", "_gt")
"""What follows the name of a folder of pictures in that of its masks."""
_OF_PICTURES = ("images", "image", "imgs", "img")
_BESIDE = ("_mask", "-mask")
TABLE = "_classes.csv"
_TABLE_BYTES = 1 << 16


def named_pairs(folders: Mapping[str, AnyPath]) -> Iterator[tuple[str, AnyPath, AnyPath]]:
    """(split, pictures, masks) of folders such as ``default`` and ``defaultannot``, ``train_images`` and
    ``train_masks``."""
    lower = {name.lower(): path for name, path in folders.items()}
    for name, path in lower.items():
        bases = [name, *(name.removesuffix(word).rstrip("_- ") for word in _OF_PICTURES if name.endswith(word))]
        named = (lower[wanted] for base in bases if base for end in _OF_MASKS if (wanted := base + end) in lower)
        masks = next((folder for folder in named if _holds_masks_alone(folder)), None)
        if masks is not None:
            yield known_split(bases[-1]) or "", path, masks


def _holds_masks_alone(folder: AnyPath) -> bool:
    files = [name.lower() for name in walk_files(folder)]
    return bool(files) and all(name.endswith(MASK_ENDINGS) for name in files)


def holds_both(folder: AnyPath) -> bool:
    """Whether masks lie among their pictures, as ``a.jpg`` and ``a_mask.png``, and nothing else does."""
    names = set(names_of(folder)) if folder.is_dir() else set()
    if not any(map(is_beside, names)):
        return False
    pictures = {os.path.splitext(name)[0] for name in names if is_picture(name) and not is_beside(name)}
    masks = {os.path.splitext(name)[0] for name in names if is_beside(name)}
    others = [
        name for name in names if not is_picture(name) and name != TABLE and not name.lower().startswith("readme")
    ]
    return bool(masks) and not others and all(stem[: -len(_BESIDE[0])] in pictures for stem in masks)


def is_beside(name: str) -> bool:
    """Whether a file among pictures is the mask of one by its name."""
    if "mask" not in name and "mask" not in name.lower():
        return False
    stem, ending = os.path.splitext(name.lower())
    return ending in MASK_ENDINGS and stem.endswith(_BESIDE)


def names_in_table(folder: AnyPath) -> dict[int, str]:
    """Value → class of the table that lies beside masks of Roboflow, ``Pixel Value, Class``; empty if there is none."""
    file = folder / TABLE
    if not file.is_file():
        return {}
    rows = csv.reader(start_of(file, _TABLE_BYTES).decode("utf-8-sig", "replace").splitlines(), skipinitialspace=True)
    pairs = [(row[0].strip(), row[1].strip()) for row in rows if len(row) == 2]
    return {int(value): name for value, name in pairs if value.isdecimal() and len(value) < 6 and name}
