"""The list of a dataset folder that ``augment --to`` has written (docs/format.md): what it is, and what is in it.

It lies in a hidden folder beside the dataset, with the folder of the run that the dataset was made by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.webdataset.safe_parse import object_of, open_file, read_document
from augpipe.formats.webdataset.schema import Count, Counts, Sha256, ShardRow, record_from

HIDDEN = ".augpipe-run"
SHARDS = "shards"
DATASET, FILES = "dataset.json", "files.jsonl"
_LONGEST_ROW = 16_384  # bytes; a name has at most 4,096, each of which may be six of JSON


class FileRow(Struct, frozen=True):
    """One file of the dataset; ``name`` is its path below the folder."""

    name: str
    bytes: Count
    sha256: Sha256


class ConversionRecord(Struct, frozen=True):
    """What the conversion came to, as :class:`augpipe.conversion.report.ConversionReport` counts it."""

    pictures: Count = 0
    objects: Count = 0
    losses: Counts = {}
    examples: dict[str, str] = {}
    notes: Counts = {}
    lost: list[str] = []
    remarks: list[str] = []


class DatasetRecord(Struct, frozen=True):
    """dataset.json.

    Attributes:
        to: the format.
        kind: what YOLO's rows were asked to hold.
        ids: what ids of COCO were asked for.
        placed: whether every file is where it belongs; else some are still on their way there.
        shards: that the files were made of; none while the run is at work.
        files: sha256 of files.jsonl.
        report: what the conversion came to.
    """

    schema: Literal["augpipe-dataset/1"]
    to: str
    kind: str | None = None
    ids: Literal["keep", "sequential"] = "keep"
    placed: bool = False
    shards: tuple[ShardRow, ...] = ()
    files: Sha256 | UnsetType = UNSET
    report: ConversionRecord = ConversionRecord()


class DatasetList(NamedTuple):
    """What stands in the list of a folder."""

    record: DatasetRecord
    files: tuple[FileRow, ...]


def hidden_folder(folder: Path) -> Path:
    """Where the list and the run of a dataset folder lie."""
    return folder / HIDDEN


def is_dataset_folder(folder: Path) -> bool:
    """Whether ``augment --to`` has written, or begun to write, a dataset there."""
    return (folder / HIDDEN / DATASET).is_file() or (folder / HIDDEN / SHARDS / "run.json").is_file()


def read_list(folder: Path) -> DatasetList | None:
    """The list of a dataset folder, ``None`` if it has none; without files while none were written.

    Raises:
        DatasetError: it is damaged, or of another schema.
    """
    path = folder / HIDDEN / DATASET
    try:
        record = record_from(object_of(read_document(path)), DatasetRecord)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not as docs/format.md has it: {one_line(error)}; {_way_out(folder)}") from error
    if record.files is UNSET:
        return DatasetList(record, ())
    path = folder / HIDDEN / FILES
    digest = hashlib.sha256()
    try:
        rows = tuple(_rows(path, digest.update))
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise DatasetError(f"{path}: not as docs/format.md has it: {one_line(error)}; {_way_out(folder)}") from error
    if digest.hexdigest() != record.files:
        raise DatasetError(f"{path}: is not the file that {DATASET} names by its sha256; {_way_out(folder)}")
    return DatasetList(record, rows)


def _way_out(folder: Path) -> str:
    return f"remove {folder} and make it again"


def _rows(path: Path, read: Callable[[bytes], object]) -> Iterator[FileRow]:
    decoder = msgspec.json.Decoder(FileRow)
    with open_file(path) as file:
        while line := file.readline(_LONGEST_ROW):
            read(line)
            row = decoder.decode(line)
            if not is_inside(row.name):
                raise ValueError(f"'{one_line(row.name, 80)}' is no name below the folder")
            yield row


def is_inside(name: str) -> bool:
    """Whether a name leads to a place below the folder, outside of what is hidden there."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and not {"..", "."} & set(parts) and parts[0] != HIDDEN


def files_text(rows: Iterable[FileRow]) -> bytes:
    """The content of files.jsonl."""
    encoder = msgspec.json.Encoder()
    return b"".join(encoder.encode(row) + b"\n" for row in rows)
