"""A dataset folder that ``augment --to`` has written: its files by size and sha256, what else is there, the books.

Its tars are gone, and plans with them, so labels are not compared with a source here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from augpipe.core.errors import DatasetError, one_line
from augpipe.core.parallel import batches_of, parallel_map, worker_pool
from augpipe.core.paths import StrPath, local_path
from augpipe.core.progress import Progress
from augpipe.formats.base import is_picture
from augpipe.formats.catalogue import targets
from augpipe.formats.format import Target
from augpipe.formats.webdataset.dataset_list import HIDDEN, SHARDS, DatasetList, FileRow, read_list
from augpipe.formats.webdataset.safe_parse import open_file
from augpipe.formats.webdataset.schema import read_manifest
from augpipe.verification.consistency import NOT_OURS, check_books
from augpipe.verification.findings import Findings, Mistake, Verdict

_SILENT = Progress()


def verify_dataset(folder: StrPath, *, workers: int | None = None, progress: Progress = _SILENT) -> Verdict:
    """Check a finished dataset folder.

    Args:
        folder: that ``augment --to`` has finished.
        workers: processes; one a core if not given, 0 works in this one.
        progress: counts files.

    Raises:
        DatasetError: no such folder, or one that is not finished.
    """
    folder = local_path(folder)
    listed = read_list(folder)
    target = None if listed is None else targets().get(listed.record.to)
    if listed is None or not listed.record.placed or target is None:
        raise DatasetError(
            f"{folder}: its dataset is not finished: run the same `augpipe augment SRC {folder} …` again"
        )
    run = folder / HIDDEN / SHARDS
    manifest = read_manifest(run, whole=True)
    findings = Findings()
    try:
        check_books(run, manifest, findings)
        _check_counts(listed, manifest["shards"], target, findings)
    except NOT_OURS as error:
        raise DatasetError(f"{run / 'manifest.json'}: not as docs/format.md has it: {one_line(error)}") from error
    progress.begin(len(listed.files))
    with worker_pool(workers):
        batches = ((folder, rows) for rows in batches_of(listed.files))
        for checked, found in parallel_map(_check_files, batches, len(listed.files)):
            findings.faults += found
            progress.update(checked)
    for name in _unlisted(folder, listed.files, target):
        findings.fault(name, "is not of the dataset, and would be read with it")
    pictures, size = listed.record.report.pictures, sum(row.bytes for row in listed.files)
    faults = tuple(sorted(findings.faults))
    return Verdict(pictures, 0, len(manifest["shards"]), size, (), faults, files=len(listed.files))


def _check_counts(listed: DatasetList, shards: Sequence[dict[str, object]], target: Target, f: Findings) -> None:
    """The dataset is made of the shards of the manifest, and has a picture a sample."""
    made_of = {row.name: (row.samples, row.sha256) for row in listed.record.shards}
    if made_of != {str(row["name"]): (row["samples"], row["sha256"]) for row in shards}:
        f.fault("dataset.json", "was made of other shards than those of the manifest")
    samples, report = sum(row.samples for row in listed.record.shards), listed.record.report
    if report.pictures + len(report.lost) != samples:
        f.fault(
            "dataset.json", f"{report.pictures} pictures and {len(report.lost)} lost ones are not {samples} samples"
        )
    there = sum(row.name.startswith(f"{target.pictures}/") and is_picture(row.name) for row in listed.files)
    if there != report.pictures:
        f.fault("files.jsonl", f"lists {there} pictures in {target.pictures}, {report.pictures} were written")


def _check_files(part: tuple[Path, Sequence[FileRow]]) -> tuple[int, list[Mistake]]:
    folder, rows = part
    found = ((row.name, _fault_of(folder / row.name, row)) for row in rows)
    return len(rows), [Mistake(name, fault) for name, fault in found if fault]


def _fault_of(path: Path, row: FileRow) -> str:
    try:
        with open_file(path) as file:
            if (size := os.fstat(file.fileno()).st_size) != row.bytes:
                return f"has {size:,} bytes, {row.bytes:,} were written"
            if hashlib.file_digest(file, "sha256").hexdigest() != row.sha256:
                return "has another sha256 than when it was written"
    except OSError as error:
        return f"cannot be read: {one_line(error.strerror or error)}"
    return ""


def _unlisted(folder: Path, rows: Sequence[FileRow], target: Target) -> Iterator[str]:
    """Files where the format looks for pictures and labels, with an ending that files of the dataset have."""
    names = {row.name for row in rows}
    folders = sorted({name.partition("/")[0] for name in names if "/" in name} | set(target.folders))
    endings = {os.path.splitext(name)[1].lower() for name in names if "/" in name}
    for top in folders:
        for path in sorted((folder / top).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if name not in names and path.suffix.lower() in endings and path.is_file():
                yield name
