"""Where the pictures of a COCO JSON are: its ``file_name`` is relative to a folder that the JSON does not name."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from augpipe.core.errors import DatasetError
from augpipe.formats.base import SourceOptions, is_picture, source_key
from augpipe.formats.layout.name_matching import Match, match_names
from augpipe.formats.layout.splits import known_split, split_in
from augpipe.storage.byte_range import ByteRange
from augpipe.storage.fs import above, children, places_in, sizes_in, walk_files
from augpipe.storage.resolve import is_archive, where_of
from augpipe.storage.tree import AnyPath, ArchivePath, Asked, only_folder

_MOST_ARCHIVES = 8
_SAMPLE, _ASKED = 50, 8
_OF_LABELS = ("annotations", "labels", "json")
"""Folders that hold nothing but labels; the dataset is around them."""


def picture_root(json: AnyPath, keys: Sequence[str], options: SourceOptions) -> AnyPath:
    """The folder with most of the pictures ``keys``, among the places where COCO sets keep them.

    If no folder has any, archives are searched: those beside the JSON, and those named as a folder would be. Beside a
    JSON in an archive lies what is beside the archive, too. At last, pictures may be called by other names
    (:mod:`augpipe.formats.layout.name_matching`). Raises ``DatasetError`` if ``options.images`` is no folder.
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
    return best if count else _loosely_best(best, _around(json, options.split), sample, options.split)


def _around(json: AnyPath, split: str | None) -> list[AnyPath]:
    """The places of :func:`_places` that are the dataset's own, the narrowest first.

    What is around the JSON's folder may hold other datasets, unless the folder is called as one of labels.
    """
    here, around = json.parent, json.parent.parent
    narrow = [place for place in _places(here, json, split) if place not in (here, around)]
    return [*narrow, here, *([around] if here.name.lower() in _OF_LABELS else [])]


def _loosely_best(otherwise: AnyPath, places: Sequence[AnyPath], keys: Sequence[str], split: str | None) -> AnyPath:
    """The place where most pictures have another name that fits; ``otherwise`` if there is none."""
    counts = [len(match_names(keys, pictures_below(place, split))) for place in places]
    return places[counts.index(max(counts))] if any(counts) else otherwise


def pictures_below(folder: AnyPath, split: str | None) -> list[str]:
    """The pictures of a folder, by relative path, but for those in a folder of another split.

    None of a folder that cannot be listed, such as a web server's.
    """
    try:
        names = [name for name in walk_files(folder) if is_picture(name)] if folder.is_dir() else []
    except OSError:
        return []
    own = known_split(split or "")
    return names if own is None else [n for n in names if split_in(f"{folder.name}/{n}") in ("", own)]


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


@dataclass(frozen=True)
class FoundPictures:
    """Where the pictures of a JSON are: ``at`` is key → (relative path, place, bytes); ``matches`` those among them
    that the JSON calls by another name."""

    at: Mapping[str, tuple[str, ByteRange, int]]
    matches: Mapping[str, Match]

    def key_of(self, key: str) -> str:
        """The source key of the picture that a JSON calls ``key``."""
        found = self.matches.get(key)
        return key if found is None else source_key(found.name)


def find_pictures(root: AnyPath, keys: Sequence[str], split: str | None = None) -> FoundPictures:
    """The pictures of ``keys`` below ``root``, by their names and, where there is none, by names that fit."""
    if isinstance(root, ArchivePath):
        root.tree.look_up(root.path, [(root / key).path for key in keys])
    find = finder(root)
    at = {key: (key, *found) for key in keys if (found := find(key)) is not None}
    missing = [key for key in keys if key not in at]
    taken = {form for key in at for form in _forms(key)}
    matches = match_names(missing, pictures_below(root, split), taken) if missing else {}
    for key, match in matches.items():
        if (found := find(match.name)) is not None:
            at[key] = (match.name, *found)
    return FoundPictures(at, matches)


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
