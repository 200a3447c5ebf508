"""Where the pictures of a COCO JSON are: its ``file_name`` is relative to a folder that the JSON does not name."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from augpipe.core.errors import DatasetError
from augpipe.formats.base import SourceOptions
from augpipe.storage.byte_range import ByteRange
from augpipe.storage.fs import above, children, places_in, sizes_in
from augpipe.storage.resolve import is_archive, where_of
from augpipe.storage.tree import AnyPath, ArchivePath, Asked, only_folder

_MOST_ARCHIVES = 8
_SAMPLE, _ASKED = 50, 8


def picture_root(json: AnyPath, keys: Sequence[str], options: SourceOptions) -> AnyPath:
    """The folder with most of the pictures ``keys``, among the places where COCO sets keep them.

    If no folder has any, archives are searched: those beside the JSON, and those named as a folder would be. Beside a
    JSON in an archive lies what is beside the archive, too. Raises ``DatasetError`` if ``options.images`` is no folder.
    """
    few = _ASKED if isinstance(json, ArchivePath) and isinstance(json.tree, Asked) else _SAMPLE
    sample = keys[:: max(1, -(-len(keys) // few))]
    if options.images is not None:
        said = where_of(options.images)
        if isinstance(said, ArchivePath):
            return _best(_within(said, json, options.split), sample)[0]
        if not said.is_dir():
            raise DatasetError(f"{said}: no such folder (--images)")
        return said
    best, count = _best(_places(json.parent, json, options.split), sample)
    home = json.tree.home if isinstance(json, ArchivePath) else None
    if count == 0 and home is not None:
        other, count = _best(_places(above(home), json, options.split), sample)
        best = other if count else best
    beside = json if home is None else home
    if count == 0 and not isinstance(beside, ArchivePath):
        places = _places(above(beside), json, options.split)
        inside = chain.from_iterable(_within(archive, json, options.split) for archive in _archives(places))
        other, count = _best([best, *inside], sample)
        best = other if count else best
    return best


def _best(places: Sequence[AnyPath], keys: Sequence[str]) -> tuple[AnyPath, int]:
    """(the place with the most of some pictures, how many)."""
    for place in places:
        if isinstance(place, ArchivePath):
            place.tree.look_up(place.path, [(place / key).path for key in keys])
    counts = [sum(found(key) is not None for key in keys) for found in map(finder, places)]
    best = counts.index(max(counts))
    return places[best], counts[best]


def _places(here: AnyPath, json: AnyPath, split: str | None) -> list[AnyPath]:
    """Beside the JSON, images/, ../images/, .., ../SPLIT/, and SPLIT/ in one of the two folders of images."""
    splits = sorted({json.stem, json.stem.rpartition("_")[2], *([split] if split else [])})
    beside = [here, here / "images", here.parent / "images", here.parent]
    return [*beside, *(base / s for base in (here.parent, here / "images", here.parent / "images") for s in splits)]


def _within(archive: AnyPath, json: AnyPath, split: str | None) -> list[AnyPath]:
    """Where in an archive of pictures they may lie."""
    out = [archive]
    while isinstance(out[-1], ArchivePath) and (inner := only_folder(out[-1])) is not None:
        out.append(inner)
    return [*out, *_places(out[-1], json, split)]


def _archives(places: Sequence[AnyPath]) -> Iterator[AnyPath]:
    """The archives beside the JSON, and those that are called like one of the places."""
    named = [place.parent / f"{place.name}{ending}" for place in places[1:] for ending in (".zip", ".tar")]
    here = [path for path in children(places[0]) if is_archive(path.name)][:_MOST_ARCHIVES]
    for path in dict.fromkeys(path for path in (*here, *named) if path.is_file()):
        with suppress(DatasetError):  # the user has not named it, so it may be unreadable
            yield where_of(str(path))


def finder(root: AnyPath) -> Callable[[str], tuple[ByteRange, int] | None]:
    """What gives (place, bytes) of the picture of a key below ``root``, ``None`` if there is none.

    A file may be stored under the decomposed form of a name that the JSON composes, as macOS does.
    """
    place, size_at = places_in(root), sizes_in(root)

    def found(key: str) -> tuple[ByteRange, int] | None:
        for name in _forms(key):
            size = size_at(name)
            if size >= 0:
                return place(name), size
        return None

    return found


def _forms(key: str) -> Iterable[str]:
    return (key,) if key.isascii() else (key, unicodedata.normalize("NFD", key))
