"""The output folder: what is in it, and how a file comes to be there whole or not at all.

A file is written under a temporary name, flushed to the disk, renamed, and its folder flushed. A shard exists when its
commit record does, which is written after it; the manifest comes last of all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from augpipe.errors import RunError, UsageError
from augpipe.run.config import RUN_SCHEMA, canonical_json

SHARD_SCHEMA = "augpipe-shard/1"
MANIFEST_SCHEMA = "augpipe/1"
RUN, MANIFEST, REJECTS, WORK = "run.json", "manifest.json", "rejects.jsonl", ".augpipe"

_RECORD_NAME = re.compile(r"[A-Za-z0-9_-]+-\d{6,}\.json")


def shard_name(prefix: str, index: int) -> str:
    """``all-000000``, without an ending."""
    return f"{prefix}-{index:06d}"


def write_atomically(path: Path, work: Path, fill: Callable[[IO[bytes]], None]) -> None:
    """Let ``fill`` write ``path`` so that it is either whole or not there.

    Args:
        path: the file to be.
        work: folder on the same file system for the temporary.
        fill: writes the content.

    Raises:
        RunError: the disk is full, the folder read-only, and so on, in one sentence.
    """
    temporary = work / f"{path.name}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_task(config: Mapping[str, Any], name: str) -> bool:
    """Whether a run of this configuration has a shard of that name, without an ending."""
    try:
        tasks = -(-config["source"]["pictures"] // config["sources_per_shard"])
        number = name.rpartition("-")[2]
        return shard_name(config["split"] or "all", int(number)) == name and int(number) < tasks
    except (KeyError, TypeError, ValueError, ZeroDivisionError):  # no number, or no configuration of ours
        return False


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
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
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
        #: Names of the shards that were there when this call began to work.
        self.made_before: frozenset[str] = frozenset()
        self._lock: FileLock | None = None

    # --- what is there ---

    def is_empty(self) -> bool:
        """Whether the folder is missing, or empty but for the remains of a start that did not get far."""
        if not self.folder.exists():
            return True
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder}: is a file; expected a folder to write to")
        return not [name for name in os.listdir(self.folder) if name != WORK]

    def run_config(self) -> dict[str, Any] | None:
        """The configuration of the run in this folder, ``None`` if it holds none."""
        run = read_json(self.folder / RUN)
        if run is None:
            return None
        if run.get("schema") != RUN_SCHEMA:
            raise UsageError(f"{self.folder / RUN}: schema {run.get('schema')!r}, this version writes {RUN_SCHEMA}")
        config = run.get("config")
        return config if isinstance(config, dict) else {}

    def is_finished(self) -> bool:
        """Whether the manifest is there."""
        return (self.folder / MANIFEST).is_file()

    def records(self) -> dict[str, dict[str, Any]]:
        """Shard name without ending → commit record."""
        out: dict[str, dict[str, Any]] = {}
        for path in sorted(self.folder.glob("*.json")):
            if _RECORD_NAME.fullmatch(path.name):
                record = read_json(path)
                if record is not None and record.get("schema") == SHARD_SCHEMA:
                    out[path.stem] = record
        return out

    # --- beginning and ending ---

    def lock(self) -> None:
        """Take the folder for this process; a crash releases it.

        Raises:
            UsageError: another run is writing to it, or it cannot be made.
        """
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.folder}: cannot be made: {error.strerror}") from error
        self._lock = FileLock(self.work / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(
                f"{self.folder}: another run is writing to it; wait for it or choose another DST"
            ) from error
        except OSError as error:
            raise UsageError(f"{self.folder}: cannot be written to: {error.strerror}") from error

    def release(self) -> None:
        """Give the folder back; the work folder goes if the run is finished."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self.is_finished() or self.is_empty():
            shutil.rmtree(self.work, ignore_errors=True)

    def clean_temporaries(self) -> None:
        """Remove what a run that died has left: temporaries, and tars of its tasks that have no record yet.

        Raises:
            UsageError: a tar that is not of this run; nothing was removed.
        """
        recorded = self.records()
        leftovers = self._tars_without_record(recorded)
        for path in (*self.work.glob("*.tmp"), *leftovers):
            path.unlink(missing_ok=True)
        self.made_before = frozenset(recorded)

    def _tars_without_record(self, recorded: Mapping[str, Mapping[str, Any]]) -> list[Path]:
        """Tars of the run's tasks that were renamed and never recorded.

        Raises:
            UsageError: a tar that no task of this run writes. It is somebody's, so it is not deleted, and it cannot
                stay: shards are numbered without gaps, and whoever reads ``*.tar`` would train on it.
        """
        config = self.run_config() or {}
        out = []
        for path in sorted(self.folder.glob("*.tar")):
            if path.stem in recorded or not path.is_file():
                continue
            if not _is_task(config, path.stem):
                raise UsageError(
                    f"{path}: is no shard of the run in this folder, and readers of *.tar would take it for one\n"
                    "move it elsewhere, or choose another DST; nothing was changed"
                )
            out.append(path)
        return out

    def clear(self) -> None:
        """Delete the run in this folder: files that its records name, unrecorded tars of its tasks, and its own few.

        Raises:
            UsageError: a tar that is not of this run; nothing was deleted.
        """
        recorded = self.records()
        leftovers = self._tars_without_record(recorded)
        # Cut short anywhere, this leaves an unfinished run: the manifest goes first, and a tar after its record.
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for name in recorded:
            (self.folder / f"{name}.json").unlink(missing_ok=True)
            (self.folder / f"{name}.tar").unlink(missing_ok=True)
        for path in leftovers:
            path.unlink(missing_ok=True)
        for own in (REJECTS, RUN):
            (self.folder / own).unlink(missing_ok=True)

    def begin(self, config: Mapping[str, Any], digest: str) -> None:
        """Write run.json, which says what the folder is while it is unfinished."""
        run = {"schema": RUN_SCHEMA, "config": config, "digest": digest}
        write_json(self.folder / RUN, self.work, run)

    def write_rejects(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """rejects.jsonl, sorted by (source, copies)."""
        ordered = sorted(rows, key=lambda row: (row["source"], row["copies"]))
        data = b"".join(canonical_json(row) + b"\n" for row in ordered)
        write_atomically(self.folder / REJECTS, self.work, lambda file: _write(file, data))

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, which makes the run finished."""
        write_json(self.folder / MANIFEST, self.work, manifest)
