"""The pictures below a folder, found by the names that label files give them.

Labels name a picture by a path of the machine on which they were made, by its name alone, or without an ending. What is
taken is the file that agrees with the name; of several, the one that agrees in most folders. Two that agree equally are
none, as either may be wrong.
"""

from __future__ import annotations

import itertools
import os
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator

from augpipe.core.errors import DatasetError
from augpipe.formats.base import SourceOptions, is_picture
from augpipe.formats.layout.splits import split_in
from augpipe.storage.fs import above, walk_files
from augpipe.storage.resolve import where_of
from augpipe.storage.tree import AnyPath


def pictures_of(root: AnyPath, options: SourceOptions, links: set[str] | None = None) -> PicturePaths:
    """The pictures of a source: where ``options.images`` says, else below it, else in ``../images`` where it has none.

    Raises ``DatasetError`` if ``options.images`` is no folder.
    """
    if options.images is not None:
        said = where_of(options.images)
        if not said.is_dir():
            raise DatasetError(f"{said}: no such folder (--images)")
        return PicturePaths(said, links)
    own, beside = PicturePaths(root, links), above(root) / "images"
    return PicturePaths(beside, links) if not own.paths and beside.is_dir() else own


class PicturePaths:
    """Pictures of a folder, by their relative POSIX paths."""

    def __init__(self, root: AnyPath, links: set[str] | None = None) -> None:
        self.root = root
        self.paths = [f for f in walk_files(root, links) if is_picture(f)] if root.is_dir() else []
        self._by_path = {_nfc(path): path for path in self.paths}
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            name = _nfc(posixpath.basename(path))
            self._by_name.setdefault(name, []).append(path)
            self._by_stem.setdefault(os.path.splitext(name)[0], []).append(path)

    def find(self, name: str, beside: str = "", stem: bool = False) -> str | None:
        """The picture that is called ``name``, ``None`` if there is none or it cannot be told which.

        Args:
            name: a path with any separators, absolute or relative to ``beside``.
            beside: the folder of the label file, relative to the root.
            stem: whether the name has no ending.
        """
        text = _nfc(name.replace("\\", "/"))
        if "\0" in text:
            return None
        for candidate in _places(text, beside):
            if candidate in self._by_path and not stem:
                return self._by_path[candidate]
        last = posixpath.basename(text)
        named = self._by_stem.get(last, ()) if stem else self._by_name.get(last, ())
        below = "" if text.startswith("/") or text[1:2] == ":" else text  # what is above the dataset says nothing
        split = split_in(f"{beside}/") or split_in(below)
        parts = text.split("/")
        for first in range(1, len(parts) - 1):  # before all pictures of that name are ranked, as there may be many
            path = self._by_path.get("/".join(parts[first:]))
            if path is not None and (not split or split_in(path) in ("", split)):
                return path
        return _nearest((path for path in named if not split or split_in(path) in ("", split)), text, beside)


def _places(text: str, beside: str) -> Iterator[str]:
    """Where a name may mean: beside the labels, in ``images/`` there, from the root, in ``images/`` there."""
    for base in dict.fromkeys((beside, posixpath.dirname(beside), "")):
        for folder in ("", "images"):
            yield posixpath.normpath(posixpath.join(base, folder, text.lstrip("/")))


def _nearest(paths: Iterable[str], text: str, beside: str) -> str | None:
    """Of the paths with the right name the one that has most of the name's folders, then most of the labels'."""
    wanted, home = [p for p in posixpath.dirname(text).split("/") if p not in ("", ".", "..")], beside.split("/")

    def agreement(path: str) -> tuple[int, int]:
        folders = posixpath.dirname(path).split("/")
        return _common(folders[::-1], wanted[::-1]), _common(folders, home)

    ranked = sorted(paths, key=agreement, reverse=True)
    if not ranked or (len(ranked) > 1 and agreement(ranked[0]) == agreement(ranked[1])):
        return None
    return ranked[0]


def _common(first: list[str], second: list[str]) -> int:
    """How many parts two paths begin with alike."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
