"""Text files, one a picture, in a folder beside that of the pictures: ``labels/a.txt`` and ``images/a.jpg``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Entry, SourceOptions, is_picture
from augpipe.formats.indexing import digest_of, left_out, of_split, subfolders
from augpipe.formats.layout.splits import is_split, split_called
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import below, place_of, row_name, start_of, walk_files
from augpipe.storage.resolve import where_of
from augpipe.storage.tree import AnyPath

_SNIFFED_FILES, _SNIFFED_BYTES = 20, 4096


@dataclass(frozen=True)
class TextFolders:
    """A folder of text files and the one of their pictures; ``split`` is "" where there is but one of them. ``inner``
    says that folders of splits lie in the two, and not the two in those."""

    labels: AnyPath
    pictures: AnyPath
    split: str = ""
    inner: bool = False


def folders_of(src: AnyPath, labels: Sequence[str], pictures: Sequence[str]) -> list[TextFolders]:
    """The pairs of folders with such names, in any case, in a source or in its folders, each of which is a split."""
    own = _pair(src, labels, pictures)
    if own is not None:
        return [own]
    found = [(name, _pair(folder, labels, pictures)) for name, folder in subfolders(src).items()]
    return [replace(pair, split=_split(name)) for name, pair in found if pair is not None]


def _pair(place: AnyPath, labels: Sequence[str], pictures: Sequence[str]) -> TextFolders | None:
    there = {name.lower(): folder for name, folder in subfolders(place).items()}
    text = next((there[name] for name in labels if name in there), None)
    if text is None:
        return None
    return TextFolders(text, next((there[name] for name in pictures if name in there), place / pictures[0]))


def split_inside(pairs: Sequence[TextFolders]) -> list[TextFolders]:
    """The pairs; instead of a single one those in it, where both folders have the same folders of splits."""
    if len(pairs) != 1 or pairs[0].split:
        return list(pairs)
    labels, pictures = subfolders(pairs[0].labels), subfolders(pairs[0].pictures)
    names = [name for name in labels if is_split(name) and name in pictures]
    alone = names and len(names) == len(labels) and not any("/" not in f for f in walk_files(pairs[0].labels))
    return [TextFolders(labels[n], pictures[n], n, inner=True) for n in names] if alone else list(pairs)


def _split(name: str) -> str:
    """The split that a folder's name has at its end (``VisDrone2019-DET-train``), else the name."""
    last = re.split(r"[-_. ]", name)[-1]
    return last if is_split(last) else name


def first_lines(folder: AnyPath) -> Iterator[str]:
    """The first line that is not empty of the first text files of a folder."""
    for name in [n for n in walk_files(folder) if n.endswith(".txt")][:_SNIFFED_FILES]:
        text = start_of(folder / name, _SNIFFED_BYTES).decode("utf-8-sig", "replace")
        line = next((line for line in text.splitlines() if line.strip()), None)
        if line is not None:
            yield line


def entries_of(
    src: AnyPath, pairs: Sequence[TextFolders], options: SourceOptions, see: Callable[[bytes, str], None]
) -> tuple[list[Entry], list[str]]:
    """(an entry a text file of the split, remarks). ``see`` gets the content and the name of every file.

    Keys begin at the folder of pictures of a source with one pair of folders, else at the source.

    Raises ``DatasetError`` for a split that is not there, and for folders of which the names are none of splits.
    """
    by_split = {str(k): pair.split for k, pair in enumerate(pairs)}
    chosen = {int(k) for k in of_split(src, by_split, options.split)}
    entries: list[Entry] = []
    unlabelled, example = 0, ""
    for number, pair in enumerate(pairs):
        images = _pictures_at(pair, options)
        names = [f for f in walk_files(images) if is_picture(f)] if images.is_dir() else []
        pictures = {os.path.splitext(name)[0]: name for name in names}
        stems = set[str]()
        for file in (f for f in walk_files(pair.labels) if f.endswith(".txt")):
            data = bytes_of(place_of(pair.labels / file))
            shown = row_name(pair.labels / file, src)
            see(data, shown)
            stem = os.path.splitext(file)[0]
            stems.add(stem)
            if number in chosen:
                name = pictures.get(stem)
                path = images / (name or f"{stem}.jpg")
                start = pair.pictures.parent if pair.inner else src
                key = below(path, images if pair.split == "" or options.images is not None else start)
                place = place_of(pair.labels / file)
                entry = Entry.at(key, path, place, shown if name else key, digest_of(data))
                entries.append(entry._replace(split=split_called(pair.split)))
        alone = [stem for stem in pictures if stem not in stems] if number in chosen else []
        unlabelled, example = unlabelled + len(alone), example or one_line(pictures[alone[0]] if alone else "", 100)
    return entries, left_out(unlabelled, "picture", f"without a label file, as {example}")


def _pictures_at(pair: TextFolders, options: SourceOptions) -> AnyPath:
    if options.images is None:
        return pair.pictures
    images = where_of(options.images)
    if not images.is_dir():
        raise DatasetError(f"{images}: no such folder (--images)")
    return images
