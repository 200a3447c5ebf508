"""A dataset folder that a run fills: where things lie in it, its list, and files that get to their places.

    DST/                    the dataset, as its format has it
    DST/.augpipe-run/
        dataset.json        what the folder is, and whether every file is in its place
        files.jsonl         every file with its size and sha256
        shards/             the folder of the run (docs/format.md), without tars once the dataset is there
        stage/              files on their way to their places

Files are written in the stage, then listed, then moved. Stopped anywhere before the list, the stage is written anew
from the shards; behind it, the rest is moved.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from augpipe.core import parallel
from augpipe.core.errors import RunError, UsageError, refused
from augpipe.formats.webdataset.dataset_list import (
    DATASET,
    FILES,
    HIDDEN,
    SHARDS,
    DatasetRecord,
    FileRow,
    files_text,
    hidden_folder,
    is_dataset_folder,
)
from augpipe.formats.webdataset.safe_parse import open_file
from augpipe.run.folder.local import LocalStore, sync_folder
from augpipe.storage.fs import size_of


class HiddenStore(LocalStore):
    """The store of the run in a dataset folder, which messages call by the dataset's name.

    Of a tar that has become part of the dataset (``delivered``, name → bytes) it tells the size, but does not list it:
    the run has it, though it is not here.
    """

    def __init__(self, folder: Path, delivered: dict[str, int]) -> None:
        super().__init__(hidden_folder(folder) / SHARDS, folder)
        self._delivered = delivered

    def __reduce__(self) -> tuple[object, ...]:
        return HiddenStore, (Path(os.path.realpath(self.folder)), self._delivered)

    def size(self, name: str) -> int:
        there = super().size(name)
        return there if there >= 0 else self._delivered.get(name, -1)


class DatasetFolder:
    """The places and files of one dataset folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hidden = folder, hidden_folder(folder)
        self.shards, self.stage = self.hidden / SHARDS, self.hidden / "stage"

    def require_ours(self) -> None:
        """Raise :class:`UsageError` if the folder holds anything but such a dataset."""
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder}: is a file; expected a folder to write to")
        if not self.folder.is_dir() or is_dataset_folder(self.folder):
            return
        if (self.folder / "run.json").exists():
            raise UsageError(
                f"{self.folder}: holds the shards of a run; leave --to out to go on with it, or choose another DST\n"
                f"'augpipe convert shards-to-yolo {self.folder} OTHER' makes a dataset of finished ones"
            )
        if any(name != HIDDEN for name in os.listdir(self.folder)):
            raise UsageError(f"{self.folder}: is not empty and holds no dataset of augpipe; choose another DST")

    # --- the list ---

    def write(self, record: DatasetRecord) -> None:
        """Write dataset.json."""
        self._put(DATASET, msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=1) + b"\n")

    def write_files(self, rows: Iterable[FileRow]) -> str:
        """Write files.jsonl; returns its sha256."""
        text = files_text(rows)
        self._put(FILES, text)
        return hashlib.sha256(text).hexdigest()

    def _put(self, name: str, data: bytes) -> None:
        path = self.hidden / name
        temporary = path.with_name(f"{name}.tmp")
        try:
            self.hidden.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(self.hidden)
        except OSError as error:
            raise refused(path, error, "cannot be written: ") from error

    # --- files ---

    def faults(self, rows: Sequence[FileRow], check: bool) -> Iterator[str]:
        """What is wrong with the files of the list; with ``check`` their contents are hashed, too."""
        for row in rows:
            path = self.folder / row.name
            size = size_of(path)
            if size < 0:
                yield f"{path}: is gone"
            elif size != row.bytes:
                yield f"{path}: has {size:,} bytes, {row.bytes:,} were written"
        if check:
            batches = ((self.folder, batch) for batch in parallel.batches_of(rows))
            for faults in parallel.parallel_map(_differing, batches, len(rows)):
                yield from faults

    def staged(self) -> list[FileRow]:
        """A row for every file in the stage, sorted by name."""
        found: list[str] = []
        for folder, _, files in os.walk(self.stage):
            found += (os.path.relpath(os.path.join(folder, file), self.stage) for file in files)
        batches = ((self.stage, batch) for batch in parallel.batches_of(sorted(found)))
        return [row for rows in parallel.parallel_map(_rows_of, batches, len(found)) for row in rows]

    def sync(self) -> None:
        """Have all that is written on the disk, before what it was made of goes: one call for so many files."""
        os.sync()

    def require_free(self, rows: Iterable[FileRow], before: Iterable[FileRow]) -> None:
        """Raise :class:`RunError` for a file that somebody has put where one of the dataset belongs."""
        ours = {row.name for row in before}
        for top in sorted({row.name.partition("/")[0] for row in rows}):
            if (self.folder / top).is_symlink():
                raise RunError(
                    f"{self.folder / top}: is a link, and the dataset would be written where it leads\n{_WAY}"
                )
        for row in rows:
            path = self.folder / row.name
            if row.name not in ours and os.path.lexists(path) and not _is_file_of(path, row):
                raise RunError(f"{path}: is not of this dataset, which has a file of that name\n{_WAY}")

    def place(self, rows: Iterable[FileRow], pictures: str) -> bool:
        """Move every file from the stage to its place; False if one is in neither, so all is to be written anew.

        Annotations come last, and of those the ones of the whole dataset: without them there is no dataset yet.
        """

        def rank(row: FileRow) -> tuple[bool, bool, str]:
            return not row.name.startswith(f"{pictures}/"), "/" not in row.name, row.name

        made: set[Path] = set()
        for row in sorted(rows, key=rank):
            here, there = self.stage / row.name, self.folder / row.name
            try:
                if there.parent not in made:
                    there.parent.mkdir(parents=True, exist_ok=True)
                    made.add(there.parent)
                os.replace(here, there)
            except FileNotFoundError:
                if size_of(there) != row.bytes:
                    return False
            except OSError as error:
                raise refused(there, error, "cannot be written: ") from error
        return True

    def remove(self, rows: Iterable[FileRow]) -> None:
        """Remove files of the dataset, those of the whole of it first, and folders that are then empty."""
        folders: set[Path] = set()
        for row in sorted(rows, key=lambda row: (row.name.count("/"), row.name)):
            path = self.folder / row.name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise refused(path, error, "cannot be removed: ") from error
            folders.update(parent for parent in path.parents if self.folder in parent.parents)
        for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()

    def tidy(self) -> None:
        """Remove what only the making needs: tars, and the stage."""
        LocalStore(self.shards).remove(*(path.name for path in sorted(self.shards.glob("*.tar"))))
        shutil.rmtree(self.stage, ignore_errors=True)


_WAY = "move it elsewhere, and run the same command to go on"


def _rows_of(part: tuple[Path, Sequence[str]]) -> list[FileRow]:
    folder, names = part
    return [FileRow(name, *_measured(folder / name)) for name in names]


def _differing(part: tuple[Path, Sequence[FileRow]]) -> list[str]:
    folder, rows = part
    return [
        f"{folder / row.name}: has another sha256 than when it was written"
        for row in rows
        if size_of(folder / row.name) == row.bytes and not _is_file_of(folder / row.name, row)
    ]


def _is_file_of(path: Path, row: FileRow) -> bool:
    try:
        return _measured(path) == (row.bytes, row.sha256)
    except OSError:
        return False


def _measured(path: Path) -> tuple[int, str]:
    """(bytes, sha256) of a file."""
    with open_file(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()
