"""Checks of the source: it lies apart from DST and is still there; labels and pixels are sound (``--strict``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from augpipe.core.annotations import Annotations
from augpipe.core.errors import Reject, RunError, UsageError
from augpipe.core.paths import real_path
from augpipe.formats.base import SourceOptions
from augpipe.formats.webdataset.index import tar_paths
from augpipe.pixels.codec.stored_kind import SRGB_PROFILE
from augpipe.storage.remote import is_url
from augpipe.storage.resolve import is_pattern, require_named, require_possible

_OF_THE_DISK = ("missing-picture", "missing-file", "io")


def roots_of(source: str, options: SourceOptions) -> tuple[Path, ...]:
    """The local files and folders of a source; none if it is on a server.

    Raises:
        UsageError: the source is empty.
    """
    require_named(source)
    for named in (source, options.images):
        if named:
            require_possible(os.fspath(named))
    tars = tar_paths(source) if is_pattern(source) else [source]
    places = [*tars, *([options.images] if options.images else [])]
    return tuple(real_path(str(place)) for place in places if not is_url(str(place)))


def require_apart(roots: Sequence[Path], folder: Path | str) -> None:
    """Raise :class:`UsageError` if source and DST lie in each other: a run would change the source."""
    if not isinstance(folder, Path):  # no local folder
        return
    dst = real_path(folder)
    for src in roots:
        if src == dst or src in dst.parents:
            raise UsageError(f"{folder}: lies in the source {src}; choose a DST outside it")
        if dst in src.parents:
            raise UsageError(f"{folder}: holds the source {src}; choose another DST")


def require_there(roots: Sequence[Path], reject: Reject) -> None:
    """Raise :class:`RunError` if not a picture is missing but the source: a root is gone, or empty after an unmount."""
    if reject.code not in _OF_THE_DISK:
        return
    for root in roots:
        if not _is_there(root):
            raise RunError(
                f"{root}: the source is gone; finished shards are kept\nbring it back and run the same command to go on"
            )


def _is_there(root: Path) -> bool:
    try:
        if not root.is_dir():
            return root.exists()
        with os.scandir(root) as inside:
            return next(inside, None) is not None
    except OSError:
        return False


SOUND = frozenset({"exif-upright", "exif-turned", SRGB_PROFILE})
"""Notes about labels and pixels of which nothing was lost, changed or guessed."""

_MOST = 3


def require_sound(annotations: Annotations) -> None:
    """Raise a ``strict`` :class:`Reject` if reading drops, mends or guesses a label, or drops a part of the pixels."""
    found = [note for note in annotations.notes if note not in SOUND]
    found += [f"object {dropped.index} dropped: {dropped.reason}" for dropped in annotations.dropped]
    if found:
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise Reject("labels", "strict", f"{', '.join(found[:_MOST])}{more}")
