"""The source as a place: apart from DST, and still there. A missing picture is a reject, an unmounted disk the end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from augpipe.core.annotations import Annotations
from augpipe.core.errors import Reject, RunError, UsageError
from augpipe.formats.base import SourceOptions
from augpipe.formats.webdataset.index import tar_paths
from augpipe.storage.remote import is_url
from augpipe.storage.resolve import is_pattern

_OF_THE_DISK = ("missing-picture", "missing-file", "io")


def roots_of(source: str, options: SourceOptions) -> tuple[Path, ...]:
    """The files and folders that a source is named by; what is on a server is none of them.

    Raises:
        UsageError: it is named by nothing.
    """
    if not source.strip():
        raise UsageError("SRC is empty; expected a file, a folder, or a pattern of tars")
    named = tar_paths(source) if is_pattern(source) else [source]
    places = [*named, *([options.images] if options.images else [])]
    return tuple(Path(str(place)).resolve() for place in places if not is_url(str(place)))


def require_apart(roots: Sequence[Path], folder: Path) -> None:
    """Make sure that source and DST do not lie in each other: writing would change it, and --overwrite delete it.

    Raises:
        UsageError: naming both.
    """
    dst = folder.resolve()
    for src in roots:
        if src == dst or src in dst.parents:
            raise UsageError(f"{folder}: lies in the source {src}; choose a DST outside it")
        if dst in src.parents:
            raise UsageError(f"{folder}: holds the source {src}; choose another DST")


def require_there(roots: Sequence[Path], reject: Reject) -> None:
    """Make sure that a picture is missing, and not the disk that it was on.

    Raises:
        RunError: one of the roots is gone, or is an empty folder, as the place of a disk that was unmounted is.
    """
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


# --- ``--strict``: a picture of which reading had to drop, mend or guess a label is lost as a whole, and says so ------


SOUND = frozenset({"exif-upright", "exif-turned"})
"""Notes that say how labels were read, where nothing was lost, changed or guessed."""

_MOST = 3


def require_sound(annotations: Annotations) -> None:
    """Refuse labels that are not read whole and as they stand.

    Raises:
        Reject: ``strict``, with what was found.
    """
    found = [note for note in annotations.notes if note not in SOUND]
    found += [f"object {dropped.index} dropped: {dropped.reason}" for dropped in annotations.dropped]
    if found:
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise Reject("labels", "strict", f"{', '.join(found[:_MOST])}{more}")
