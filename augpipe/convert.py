"""Convert a dataset to another format, exactly: no coordinate changes beyond the formats' conventions.

Nothing is clipped and nothing turned. What the target cannot hold is counted and told. The source is only read, and
nothing is written outside the target, whatever a file calls its pictures.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from augpipe.errors import DatasetError, Reject, RunError, UsageError, one_line
from augpipe.formats import coco_write, open_dataset, voc_write
from augpipe.formats.base import Dataset, Entry, Place, SourceOptions, is_picture, plural, read_place
from augpipe.formats.coco_write import CocoWriter
from augpipe.formats.voc_write import xml_of
from augpipe.pixels.codec import is_gray
from augpipe.pixels.header import read_header
from augpipe.sample import Annotations, Header

_HEAD_BYTES = 1 << 18
_NO_LIMIT = 2**62


@dataclass
class Report:
    """What a conversion came to.

    ``losses`` counts what the target cannot hold, ``notes`` what was found on the way, ``faults`` are sentences about
    the source and about pictures that could not be converted or were not found.
    """

    pictures: int = 0
    objects: int = 0
    dropped: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lost_pictures: int = 0


Progress = Callable[[int], object]


def convert(
    source: str,
    target: Path,
    to: str,
    options: SourceOptions,
    overwrite: bool = False,
    progress: Progress = lambda n: None,
) -> Report:
    """Write ``source`` as ``to`` (voc or coco) at ``target``.

    Args:
        source: a dataset of the format that ``options.format`` names, or any that is recognised.
        target: for coco a ``.json`` takes the annotations alone; a folder takes the whole dataset.
        to: name of the target format.
        options: how to read the source.
        overwrite: write over what is at ``target``; files that are not written again stay, and are counted.
        progress: called with 1 for each picture.

    Raises:
        UsageError: the target is in the way or in the source; the source is no dataset.
        RunError: the target cannot be written.
    """
    if to not in WRITERS:
        raise UsageError(f"cannot write {one_line(to)}; known are {', '.join(WRITERS)}")
    if target.suffix == ".json" and to != "coco":
        raise UsageError(f"{target}: a {to} dataset is a folder; give a folder as DST")
    _require_free(Path(source), target, to, overwrite)
    dataset = open_dataset(source, options)
    report = Report()
    report.faults.extend(dataset.remarks)
    try:
        WRITERS[to](dataset, target, report, progress)
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise RunError(f"{target}: the conversion stopped: {error.strerror or error}{at}") from error
    return report


def _require_free(source: Path, target: Path, to: str, overwrite: bool) -> None:
    src, alone = source.resolve(), target.suffix == ".json"
    places = [target] if alone else [target, *(target / name for name in _FOLDERS[to])]
    for place in (p.resolve() for p in places):
        if src == place or (src.is_dir() and src in place.parents):
            raise UsageError(f"{target}: lies in the source {source}; choose a DST outside it")
    if not alone and target.is_file():
        raise UsageError(f"{target}: is a file; expected a folder")
    if alone and target.is_dir():
        raise UsageError(f"{target}: is a folder; expected a file that can be written")
    taken = any(target.iterdir()) if target.is_dir() else target.exists()
    if taken and not overwrite:
        raise UsageError(f"{target}: exists already; choose another DST, or --overwrite")


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Picture:
    """One picture of the source. ``name`` is its path below the target's picture folder, ``size_wh`` ``None`` where
    neither labels nor picture tell it."""

    entry: Entry
    name: str
    annotations: Annotations
    header: Header | None
    size_wh: tuple[int, int] | None


def _pictures(dataset: Dataset, report: Report, progress: Progress) -> Iterator[_Picture]:
    """The pictures whose labels can be read; the others are reported."""
    for entry in dataset.entries:
        progress(1)
        try:
            annotations = dataset.reader.annotations(entry)
        except Reject as reject:
            report.lost_pictures += 1
            report.faults.append(f"{one_line(entry.key)}: {one_line(reject.message)}")
            continue
        header = _header(entry, report)
        report.dropped += len(annotations.dropped)
        report.notes.update(annotations.notes)
        size = annotations.size_wh or (header.upright_wh if header else None)
        if header is not None and size not in (header.stored_wh, header.upright_wh):
            report.notes["size-mismatch"] += 1
        yield _Picture(entry, _name_of(entry, header), annotations, header, size)


def _name_of(entry: Entry, header: Header | None) -> str:
    """Where a picture goes. Members of a tar have keys without an ending, and any name at all.

    Raises:
        DatasetError: for a name that leads out of the target.
    """
    path = PurePosixPath(entry.key)
    if path.is_absolute() or ".." in path.parts or "\0" in entry.key:
        raise DatasetError(f"'{one_line(entry.key)}': leads out of the target; rename that picture")
    if is_picture(entry.key) or header is None:
        return entry.key
    return f"{entry.key}.{'jpg' if header.format in ('JPEG', 'MPO') else header.format.lower()}"


def _header(entry: Entry, report: Report) -> Header | None:
    if entry.picture is None:
        report.faults.append(f"{one_line(entry.key)}: no picture {one_line(entry.file)} was found")
        return None
    try:
        return _header_at(entry.picture)
    except Reject as reject:
        report.faults.append(f"{one_line(entry.key)}: {one_line(reject.message)}")
        return None


def _header_at(place: Place) -> Header:
    """The header from the first part of a picture, which nearly always holds it; else from all of it."""
    size = place.size
    if size < 0:
        try:
            size = os.path.getsize(place.path)
        except OSError as error:
            raise Reject("read", "io", f"cannot be read: {error.strerror}", transient=True) from error
    try:
        return read_header(read_place(place._replace(size=min(size, _HEAD_BYTES))), _NO_LIMIT)
    except Reject:
        if size <= _HEAD_BYTES:
            raise
    return read_header(read_place(place), _NO_LIMIT)


# --- writing ---------------------------------------------------------------------------------------------------------


def _to_coco(dataset: Dataset, target: Path, report: Report, progress: Progress) -> None:
    alone = target.suffix == ".json"
    path = target if alone else target / "annotations" / f"instances_{_split(dataset)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    written = {path}
    try:
        with open(temporary, "wb") as file, CocoWriter(file, dataset.categories) as writer:
            for picture in _pictures(dataset, report, progress):
                if picture.size_wh is None:
                    report.lost_pictures += 1
                    report.faults.append(f"{one_line(picture.name)}: neither the labels nor a picture tell its size")
                    continue
                writer.add(picture.name, picture.size_wh, picture.annotations)
                _count(picture, coco_write.cannot_hold(picture.annotations), report)
                if not alone:
                    written.add(_copy_picture(picture, target / "images"))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if writer.id_collisions:
        report.notes["ids-changed"] += writer.id_collisions
    _report_old_files([] if alone else [target / "images"], written, report)


def _to_voc(dataset: Dataset, target: Path, report: Report, progress: Progress) -> None:
    categories = {c.id: c for c in dataset.categories}
    _require_own_stems(dataset)
    written: set[Path] = set()
    stems = []
    for picture in _pictures(dataset, report, progress):
        stem = os.path.splitext(picture.name)[0]
        depth = 1 if picture.header is not None and is_gray(picture.header) else 3
        path = target / "Annotations" / f"{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        name = os.path.basename(picture.name)
        path.write_bytes(xml_of(name, picture.size_wh or (0, 0), depth, picture.annotations, categories))
        _count(picture, voc_write.cannot_hold(picture.annotations), report)
        written |= {path, _copy_picture(picture, target / "JPEGImages")}
        stems.append(stem)
    lists = target / "ImageSets" / "Main"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / f"{_split(dataset)}.txt").write_text("".join(f"{s}\n" for s in stems), "utf-8")
    _report_old_files([target / "Annotations", target / "JPEGImages"], written, report)


def _require_own_stems(dataset: Dataset) -> None:
    stems: dict[str, str] = {}
    for entry in dataset.entries:
        stem = os.path.splitext(entry.key)[0] if is_picture(entry.key) else entry.key
        if stem in stems:
            raise DatasetError(f"'{one_line(stems[stem])}' and '{one_line(entry.key)}' would share one XML; rename one")
        stems[stem] = entry.key


def _split(dataset: Dataset) -> str:
    return (dataset.options.split or "all").replace("/", "_")


def _count(picture: _Picture, losses: Mapping[str, int], report: Report) -> None:
    report.losses.update(losses)
    report.pictures += 1
    report.objects += len(picture.annotations.objects)


def _copy_picture(picture: _Picture, folder: Path) -> Path:
    """Copy the file as it is; gives where to."""
    path, place = folder / picture.name, picture.entry.picture
    if place is None:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if place.size < 0:
        shutil.copyfile(place.path, path)
    else:
        path.write_bytes(read_place(place))
    return path


def _report_old_files(folders: list[Path], written: set[Path], report: Report) -> None:
    """Files of an earlier conversion are not ours to delete, but they would be read with the new ones."""
    old = sum(path.is_file() and path not in written for folder in folders for path in folder.rglob("*"))
    if old:
        report.faults.append(f"{plural(old, 'file')} of before in the target: not written again, and still there")


_FOLDERS = {"coco": ("annotations", "images"), "voc": ("Annotations", "JPEGImages", "ImageSets")}
WRITERS: Mapping[str, Callable[[Dataset, Path, Report, Progress], Any]] = {"coco": _to_coco, "voc": _to_voc}
