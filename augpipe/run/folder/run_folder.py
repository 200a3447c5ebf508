"""The run in a store: its state, who works on it, and how it begins and ends.

A shard exists when its commit record does, which is written after its tar; the manifest comes last of all.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.webdataset.safe_parse import bounded, object_of
from augpipe.formats.webdataset.schema import MANIFEST, REJECTS
from augpipe.run.config import canonical_json
from augpipe.run.folder.local import LocalStore
from augpipe.run.folder.lock import WHOLE
from augpipe.run.folder.state import RunState, state_from
from augpipe.run.folder.store import Store

RUN = "run.json"

_LOCK_WAIT = 0.5  # seconds; a run that ends locks the whole folder for a moment


def put_json(store: Store, name: str, *values: Any) -> None:
    """Write one JSON document, or one a line; keys are sorted."""
    data = b"".join(canonical_json(value) + b"\n" for value in values)
    store.put(name, lambda file: file.write(data))


def place_of(store: Store, name: str) -> str:
    """Where a file of a store is, for messages."""
    return str(store.place / name) if isinstance(store, LocalStore) else f"{store.folder}/{name}"


def read_json(store: Store, name: str) -> dict[str, Any] | None:
    """A JSON object of a run, ``None`` if there is no such file.

    Raises:
        UsageError: it is no JSON object.
        OSError: it cannot be read, which says nothing of its content.
    """
    try:
        with store.open(name) as file:
            return object_of(bounded(file))
    except FileNotFoundError:
        return None
    except ValueError as error:
        way = "choose another DST, or remove the folder"
        raise UsageError(f"{place_of(store, name)}: cannot be read as JSON: {one_line(error)}; {way}") from error


def sorted_rejects(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows in the order of rejects.jsonl."""
    return sorted(rows, key=lambda row: (row["source"], row["copies"]))


def sha256_of(store: Store, name: str) -> str:
    """The sha256 of a file. Raises OSError if it cannot be read."""
    with store.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


class RunFolder:
    """The run in a store. As a context it releases its locks at the end."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def is_empty(self) -> bool:
        return not self.store.names()

    def state(self) -> RunState | None:
        """The run, ``None`` if there is none.

        Raises:
            UsageError: run.json is damaged, or another version's.
        """
        run = read_json(self.store, RUN) if self.store.size(RUN) >= 0 else None
        return None if run is None else state_from(run, place_of(self.store, RUN))

    def is_finished(self) -> bool:
        return self.store.size(MANIFEST) >= 0

    # --- locks ---

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        done = False
        try:
            # What cannot be tidied now is tidied by the next call, and must not hide how this one ended.
            with suppress(OSError, UsageError):
                done = self.store.lock(WHOLE) and (self.is_finished() or self.is_empty())
        finally:
            self.store.unlock(done)

    def lock(self, tasks: range = WHOLE) -> None:
        """Reserve these tasks; a crash releases them.

        Raises:
            UsageError: another run has reserved some of them, or the folder cannot be made.
        """
        if not self.try_lock(tasks):
            raise UsageError(f"{self.store.folder}: another run is writing to it; wait for it or choose another DST")

    def try_lock(self, tasks: range = WHOLE) -> bool:
        """As :meth:`lock`, but returns whether it succeeded."""
        end = time.monotonic() + _LOCK_WAIT
        while not self.store.lock(tasks):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    # --- beginning and ending ---

    def clean(self, state: RunState, tasks: range, recorded: Iterable[int]) -> None:
        """Remove what an interrupted run left of these tasks: temporaries, and tars without a record.

        Raises:
            UsageError: there is a tar that is not of this run; nothing was removed.
        """

        def is_meant(stem: str) -> bool:
            index = state.index_of(stem)
            return tasks == WHOLE or (index is not None and index in tasks)

        keep = set(recorded)
        tars = self._tars(state)
        self.store.remove(*(tar for index, tar in tars.items() if index in tasks and index not in keep))
        self.store.discard(is_meant)

    def _tars(self, state: RunState) -> dict[int, str]:
        """Number → name of the tars in the folder.

        Raises:
            UsageError: a tar that no task of the run writes. It is not ours to delete, and it cannot stay, since
                readers of ``*.tar`` would train on it.
        """
        tars = {}
        for name in self.store.names():
            if not name.endswith(".tar"):
                continue
            index = state.index_of(name.removesuffix(".tar"))
            if index is not None:
                tars[index] = name
            elif self.store.size(name) >= 0:
                raise UsageError(
                    f"{place_of(self.store, name)}: is no shard of the run in this folder, and readers of *.tar would "
                    "take it for one\nmove it elsewhere, or choose another DST; nothing was changed"
                )
        return tars

    def clear(self, state: RunState) -> None:
        """Delete the run but for run.json, which the next run replaces: without it the folder would be none of ours.

        Raises:
            UsageError: there is a tar that is not of this run; nothing was deleted.
        """
        tars = self._tars(state)
        # Interrupted anywhere, this leaves an unfinished run: the manifest goes first, and a tar after its record.
        self.reopen()
        records = (f"{state.name_of(index)}.json" for index in range(state.shards))
        self.store.remove(*records, *tars.values(), REJECTS)

    def reopen(self) -> None:
        """Remove the manifest, which makes the run unfinished."""
        self.store.remove(MANIFEST)

    def begin(self, state: RunState) -> None:
        """Write run.json, which says what the folder is while it is unfinished."""
        put_json(self.store, RUN, state.to_json())

    def finish(self, manifest: Mapping[str, Any], rejects: Iterable[Mapping[str, Any]]) -> None:
        """Write rejects.jsonl, sorted by (source, copies), and the manifest, which makes the run finished."""
        put_json(self.store, REJECTS, *sorted_rejects(rejects))
        put_json(self.store, MANIFEST, manifest)
