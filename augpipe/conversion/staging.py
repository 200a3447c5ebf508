"""The target of a conversion as a place: free to be written, apart from the source, and filled at once at the end.

Everything is written in a hidden folder and moved to its place at the end, so a conversion that fails leaves no half
dataset.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from augpipe.core.errors import UsageError
from augpipe.core.paths import real_path
from augpipe.formats.base import Dataset
from augpipe.formats.format import Target
from augpipe.run.folder.lock import WHOLE, FolderLock
from augpipe.storage.remote import is_url

_OF_A_RUN = ("run.json", "manifest.json", ".augpipe-run")
"""What tells the folder of a run: named here, as the modules that write them load what no conversion needs."""


def is_json(target: Path) -> bool:
    """Whether a target is a file that takes annotations alone."""
    return target.suffix.lower() == ".json"


def require_free(source: Path | None, target: Path, kind: Target, overwrite: bool) -> None:
    """Make sure that the target can be written and does not lie in the source, nor the source in it.

    ``source`` is ``None`` where it is not on this machine.

    Raises:
        UsageError: naming what is in the way.
    """
    alone = is_json(target)
    if source is not None:
        _require_apart(source, [target] if alone else [target, *(target / name for name in kind.folders)])
    if not alone and target.is_file():
        raise UsageError(f"{target}: is a file; expected a folder")
    if alone and target.is_dir():
        raise UsageError(f"{target}: is a folder; expected a file that can be written")
    if not alone and any((target / name).exists() for name in _OF_A_RUN):
        raise UsageError(f"{target}: holds a run of augpipe, and --overwrite would mix the two; choose another DST")
    ours = (_stage_of(target), _lock_of(target))
    taken = any(child not in ours for child in target.iterdir()) if target.is_dir() else target.exists()
    if taken and not overwrite:
        raise UsageError(f"{target}: exists already; choose another DST, or --overwrite")


def _require_apart(source: Path, places: list[Path]) -> None:
    src, target = real_path(source), places[0]
    for place in map(real_path, places):
        if src == place or (src.is_dir() and src in place.parents):
            raise UsageError(f"{target}: lies in the source {source}; choose a DST outside it")
    if real_path(target) in src.parents:
        raise UsageError(f"{target}: holds the source {source}; choose a DST of its own")


def require_no_pictures_of(dataset: Dataset, target: Path) -> None:
    """Pictures of a COCO JSON may lie anywhere, so also where the target would write its own.

    Raises:
        UsageError: if they do.
    """
    pictures = (entry.picture for entry in dataset.entries if entry.picture is not None)
    folders = {os.path.dirname(picture.path) for picture in pictures if not is_url(picture.path)}
    place = real_path(target)
    for folder in sorted(folders):
        there = real_path(folder)
        if place in (there, *there.parents):
            raise UsageError(f"{target}: holds pictures of the source, in {folder}; choose a DST of its own")


def _stage_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part") if is_json(target) else target / ".augpipe.part"


def _lock_of(target: Path) -> Path:
    return (target.parent if is_json(target) else target) / f"{_stage_of(target).name}.lock"


@contextmanager
def _held(target: Path) -> Iterator[None]:
    """One conversion at a time: two would write into each other's hidden folder, or into each other's dataset.

    Raises:
        UsageError: another one is at work, or the place cannot be written to.
    """
    path = _lock_of(target)
    lock = FolderLock(path, target)
    try:
        if not lock.take(WHOLE):
            raise UsageError(f"{target}: another conversion is writing to it; wait for it or choose another DST")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        lock.drop()


@contextmanager
def staged(target: Path, require: Callable[[], None]) -> Iterator[Path]:
    """A hidden folder to write in, whose content is moved to its place at the end; nothing stays after an error.

    It lies where the target will be, hence on its disk. One that a killed conversion has left is removed. ``require``
    checks the target again once nobody else can write to it.
    """
    stage = _stage_of(target)
    made = [folder for folder in (stage.parent, *stage.parent.parents) if not folder.exists()]
    try:
        with _held(target):
            require()
            yield from _filled(stage)
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _filled(stage: Path) -> Iterator[Path]:
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir(parents=True)
        yield stage
        _move_into(stage, stage.parent)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    shutil.rmtree(stage)


def _move_into(stage: Path, folder: Path) -> None:
    """Annotations come last in this order, and without them there is no dataset yet."""
    for child in sorted(stage.iterdir(), reverse=True):
        place = folder / child.name
        if child.is_dir() and place.is_dir():
            _move_into(child, place)
        else:
            child.replace(place)


def old_files(target: Path, stage: Path, kind: Target) -> int:
    """How many files of an earlier conversion stay: they are not ours to delete, but would be read with the new."""
    paths = (path for name in kind.folders for path in (target / name).rglob("*"))
    return sum(path.is_file() and not (stage / path.relative_to(target)).exists() for path in paths)
