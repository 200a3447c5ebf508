"""Paths as another machine or tool has them: of a ``data.yaml`` that was moved with its folder, and of its lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from augpipe.formats.base import is_picture
from augpipe.formats.layout.name_matching import Match, match_names
from augpipe.formats.layout.splits import known_split
from augpipe.storage.fs import absolute_of, at_path, size_of, walk_files
from augpipe.storage.tree import AnyPath


def ends_of(place: str) -> Iterator[str]:
    """What a place may be below the folder it was moved with: itself with slashes, then less and less of its end.

    A last name alone is taken only where it says which pictures it holds, as ``train`` and ``val.txt`` do: ``images``
    could be the folder of any split.

    >>> list(ends_of("/content/cats/train/images"))
    ['content/cats/train/images', 'cats/train/images', 'train/images']
    """
    parts = [part for part in place.replace("\\", "/").split("/") if part not in ("", ".", "..") and part[-1:] != ":"]
    for first in range(len(parts)):
        rest = parts[first:]
        if len(rest) > 1 or len(parts) == 1 or known_split(rest[0].removesuffix(".txt")) is not None:
            yield "/".join(rest)


def moved_pictures(paths: Sequence[str], root: AnyPath) -> Mapping[str, Match]:
    """Path → where its picture is, of those listed pictures that are not where their list says.

    Args:
        paths: absolute paths, as far as a list of relative ones can be made so.
        root: the folder below which pictures are looked for, by :func:`match_names`.
    """
    missing = [path for path in paths if size_of(at_path(root, path)) < 0]
    if not missing:
        return {}
    base = f"{absolute_of(root)}/"
    there = [name for name in walk_files(root) if is_picture(name)]
    names = {path.removeprefix(base).replace("\\", "/"): path for path in missing}
    taken = _relative(set(paths).difference(missing), base)
    found = match_names(names, there, taken)
    return {names[name]: Match(base + match.name, match.rule) for name, match in found.items()}


def _relative(paths: Iterable[str], base: str) -> set[str]:
    return {path.removeprefix(base) for path in paths}
