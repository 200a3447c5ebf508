"""The output folder: what is in it, and how a file comes to be there whole or not at all.

A file is written under a temporary name, flushed to the disk, renamed, and its folder flushed. A shard exists when its
commit record does, which is written after it; the manifest comes last of all.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from augpipe.core.errors import RunError, UsageError, refused
from augpipe.run.config import canonical_json
from augpipe.run.folder.lock import WHOLE, FolderLock
from augpipe.run.folder.state import RunState, shard_name, state_from

SHARD_SCHEMA = "augpipe-shard/1"
MANIFEST_SCHEMA = "augpipe/1"
RUN, MANIFEST, REJECTS, WORK = "run.json", "manifest.json", "rejects.jsonl", ".augpipe"


_LETTING_GO = 0.5  # seconds; a run that ends holds the whole folder for a moment


def write_atomically(path: Path, work: Path, fill: Callable[[IO[bytes]], None]) -> None:
    """Let ``fill`` write ``path`` so that it is either whole or not there.

    Args:
        path: the file to be.
        work: folder on the same file system for the temporary.
        fill: writes the content.

    Raises:
        RunError: the disk is full, the folder read-only, and so on, in one sentence.
    """
    temporary = work / f"{path.name}.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        with open(temporary, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def not_written(path: Path, error: OSError) -> RunError:
    """The end of a run that cannot write to its folder, with the way out."""
    return refused(path, error, "cannot be written: ")


def sync_folder(folder: Path) -> None:
    """Make sure that what was renamed or removed in a folder stays so."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: IO[bytes], data: bytes) -> None:
    file.write(data)


def write_json(path: Path, work: Path, value: Any) -> None:
    """One JSON document, keys sorted."""
    data = canonical_json(value) + b"\n"
    write_atomically(path, work, lambda file: _write(file, data))


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object of ours, ``None`` if there is no such file.

    Raises:
        UsageError: if it is not JSON.
        OSError: the system cannot read it, which says nothing of what is in it.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: cannot be read as JSON: {error}; choose another DST, or remove the folder"
        ) from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object")
    return value


class Store:
    """One output folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / WORK
        self._lock = FolderLock(self.work / "lock")

    # --- what is there ---

    def is_empty(self) -> bool:
        """Whether the folder is missing, or empty but for the remains of a start that did not get far."""
        if not self.folder.exists():
            return True
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder}: is a file; expected a folder to write to")
        return not [name for name in os.listdir(self.folder) if name != WORK]

    def state(self) -> RunState | None:
        """The run in this folder, ``None`` if it holds none.

        Raises:
            UsageError: run.json is damaged, or another version's.
        """
        run = read_json(self.folder / RUN)
        return None if run is None else state_from(run, self.folder / RUN)

    def is_finished(self) -> bool:
        """Whether the manifest is there."""
        return (self.folder / MANIFEST).is_file()

    # --- who may write ---

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        """Give back what is held; the work folder goes if nobody else holds some of it and the run is finished."""
        try:
            # What cannot be tidied now is at the next call, and must not hide how this one ended.
            with suppress(OSError, UsageError):
                if self.work.is_dir() and self._lock.take(WHOLE) and (self.is_finished() or self.is_empty()):
                    shutil.rmtree(self.work, ignore_errors=True)
        finally:
            self._lock.drop()

    def take(self, tasks: range = WHOLE) -> None:
        """Hold these tasks of the folder; a crash gives them back.

        Raises:
            UsageError: another run is writing to it, or it cannot be made.
        """
        if not self.taken(tasks):
            raise UsageError(f"{self.folder}: another run is writing to it; wait for it or choose another DST")

    def taken(self, tasks: range = WHOLE) -> bool:
        """As :meth:`take`, but says whether it did."""
        end = time.monotonic() + _LETTING_GO
        while not self._lock.take(tasks):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._lock.drop()

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Nobody else looks at run.json or changes it meanwhile."""
        with self._lock.preparing():
            yield

    # --- beginning and ending ---

    def clean(self, state: RunState, tasks: range, recorded: Iterable[int]) -> None:
        """Remove what died with a run: temporaries, and tars without a record, of these tasks.

        Raises:
            UsageError: a tar that is not of this run; nothing was removed.
        """
        have = set(recorded)
        leftovers = [tar for index, tar in self._tars(state) if index not in have and index in tasks]
        for path in self.work.glob("*.tmp"):
            index = state.index_of(path.name.partition(".")[0])
            if tasks == WHOLE or (index is not None and index in tasks):
                leftovers.append(path)
        for path in leftovers:
            path.unlink(missing_ok=True)

    def _tars(self, state: RunState) -> list[tuple[int, Path]]:
        """The tars in the folder with their numbers.

        Raises:
            UsageError: a tar that no task of the run writes. It is somebody's, so it is not deleted, and it cannot
                stay: shards are numbered without gaps, and whoever reads ``*.tar`` would train on it.
        """
        out = []
        for path in sorted(self.folder.glob("*.tar")):
            index = state.index_of(path.stem)
            if index is None and path.is_file():
                raise UsageError(
                    f"{path}: is no shard of the run in this folder, and readers of *.tar would take it for one\n"
                    "move it elsewhere, or choose another DST; nothing was changed"
                )
            if index is not None:
                out.append((index, path))
        return out

    def clear(self, state: RunState) -> None:
        """Delete the run in this folder: its records, the tars of its tasks, its rejects.

        run.json stays, and the next run's takes its place at once: a folder without it, with a file of the user's in
        it, would be none that a run may go on in.

        Raises:
            UsageError: a tar that is not of this run; nothing was deleted.
        """
        tars = self._tars(state)
        # Cut short anywhere, this leaves an unfinished run: the manifest goes first, and a tar after its record.
        self.reopen()
        for index in range(state.shards):
            (self.folder / f"{shard_name(state.prefix, index)}.json").unlink(missing_ok=True)
        for _, path in tars:
            path.unlink(missing_ok=True)
        (self.folder / REJECTS).unlink(missing_ok=True)

    def reopen(self) -> None:
        """Take the manifest away, which makes the run unfinished."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        if self.folder.is_dir():
            sync_folder(self.folder)

    def begin(self, state: RunState) -> None:
        """Write run.json, which says what the folder is while it is unfinished."""
        write_json(self.folder / RUN, self.work, state.to_json())

    def write_rejects(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """rejects.jsonl, sorted by (source, copies)."""
        ordered = sorted(rows, key=lambda row: (row["source"], row["copies"]))
        data = b"".join(canonical_json(row) + b"\n" for row in ordered)
        write_atomically(self.folder / REJECTS, self.work, lambda file: _write(file, data))

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, which makes the run finished."""
        write_json(self.folder / MANIFEST, self.work, manifest)
