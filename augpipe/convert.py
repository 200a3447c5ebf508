"""Convert a dataset to another format, exactly: no coordinate changes beyond the formats' conventions.

Nothing is clipped and nothing turned. What the target cannot hold is counted and told. The source is only read, and
nothing is written outside the target, whatever a file calls its pictures. Everything is written in a hidden folder and
moved to its place at the end, so a conversion that fails leaves no half dataset.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from augpipe.errors import DatasetError, Reject, RunError, UsageError, fault, one_line
from augpipe.formats import coco_write, open_dataset, voc_write
from augpipe.formats.base import Dataset, Entry, Place, SourceOptions, is_picture, plural, read_place
from augpipe.formats.coco_write import CocoWriter
from augpipe.formats.voc_write import xml_of
from augpipe.pixels.codec import is_gray
from augpipe.pixels.header import read_header
from augpipe.sample import Annotations, Category, Header, Objects

_HEAD_BYTES = 1 << 18
_NO_LIMIT = 2**62


@dataclass
class Report:
    """What a conversion came to.

    Attributes:
        pictures: how many were written.
        objects: how many were written.
        dropped: objects of the source without a box that makes sense.
        losses: what the target cannot hold → how many objects, pictures or classes have it.
        notes: what was found while reading → in how many pictures.
        remarks: sentences about the source and the target.
        lost: a line for each picture that could not be converted.
        unseen: a line for each picture whose file was not found or cannot be read; its labels are converted.
        picture_folder: where the pictures stay, if they are not copied.
    """

    pictures: int = 0
    objects: int = 0
    dropped: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    picture_folder: str | None = None


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
        RunError: the target cannot be written, or no picture can be converted.
    """
    if to not in WRITERS:
        raise UsageError(f"cannot write {one_line(to)}; known are {', '.join(WRITERS)}")
    if _is_json(target) and to != "coco":
        raise UsageError(f"{target}: a {to} dataset is a folder; give a folder as DST")
    _require_free(Path(source), target, to, overwrite)
    dataset = open_dataset(source, options)
    _require_no_pictures_of(dataset, target)
    report = Report(remarks=list(dataset.remarks))
    try:
        with _staged(target) as stage:
            WRITERS[to](dataset, target, stage, report, progress)
            if not report.pictures:
                first = f"\nthe first of them: {report.lost[0]}" if report.lost else ""
                raise RunError(f"{source}: none of the pictures can be converted, so nothing was written{first}")
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise RunError(f"{target}: the conversion stopped: {error.strerror or error}{at}") from error
    return report


# --- the target ------------------------------------------------------------------------------------------------------


def _is_json(target: Path) -> bool:
    return target.suffix.lower() == ".json"


def _require_free(source: Path, target: Path, to: str, overwrite: bool) -> None:
    src, alone = source.resolve(), _is_json(target)
    places = [target] if alone else [target, *(target / name for name in _FOLDERS[to])]
    for place in (p.resolve() for p in places):
        if src == place or (src.is_dir() and src in place.parents):
            raise UsageError(f"{target}: lies in the source {source}; choose a DST outside it")
    if target.resolve() in src.parents:
        raise UsageError(f"{target}: holds the source {source}; choose a DST of its own")
    if not alone and target.is_file():
        raise UsageError(f"{target}: is a file; expected a folder")
    if alone and target.is_dir():
        raise UsageError(f"{target}: is a folder; expected a file that can be written")
    stage = _stage_of(target)
    taken = any(child != stage for child in target.iterdir()) if target.is_dir() else target.exists()
    if taken and not overwrite:
        raise UsageError(f"{target}: exists already; choose another DST, or --overwrite")


def _require_no_pictures_of(dataset: Dataset, target: Path) -> None:
    """Pictures of a COCO JSON may lie anywhere, so also where the target would write its own."""
    folders = {os.path.dirname(entry.picture.path) for entry in dataset.entries if entry.picture is not None}
    place = target.resolve()
    for folder in sorted(folders):
        if place in (Path(folder).resolve(), *Path(folder).resolve().parents):
            raise UsageError(f"{target}: holds pictures of the source, in {folder}; choose a DST of its own")


def _stage_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part") if _is_json(target) else target / ".augpipe.part"


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A hidden folder to write in, whose content is moved to its place at the end; nothing stays after an error.

    It lies where the target will be, hence on its disk. One that a killed conversion has left is removed.
    """
    stage = _stage_of(target)
    made = [folder for folder in (stage.parent, *stage.parent.parents) if not folder.exists()]
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir(parents=True)
        yield stage
        _move_into(stage, stage.parent)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
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


def _report_old_files(target: Path, stage: Path, to: str, report: Report) -> None:
    """Files of an earlier conversion are not ours to delete, but they would be read with the new ones."""
    paths = (path for name in _FOLDERS[to] for path in (target / name).rglob("*"))
    old = sum(path.is_file() and not (stage / path.relative_to(target)).exists() for path in paths)
    if old:
        report.remarks.append(f"{plural(old, 'file')} of before in the target: not written again, and still there")


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


def _pictures(dataset: Dataset, report: Report, unwritable: Unwritable, progress: Progress) -> Iterator[_Picture]:
    """The pictures whose labels can be read, with the objects that can be written; the others are reported."""
    categories = {c.id: c for c in dataset.categories}
    for entry in dataset.entries:
        progress(1)
        try:
            annotations = _annotations(dataset, entry)
            header = _header(entry, report)
            name = _name_of(entry, header)
        except Reject as reject:
            report.lost.append(f"{one_line(entry.key)}: {one_line(reject.message)}")
            continue
        report.dropped += len(annotations.dropped)
        report.notes.update(annotations.notes)
        size = annotations.size_wh or (header.upright_wh if header else None)
        if header is not None and size not in (header.stored_wh, header.upright_wh):
            report.notes["size-mismatch"] += 1
        objects = annotations.objects
        reasons = [unwritable(objects, i, categories) for i in range(len(objects))]
        if any(reasons):
            report.losses.update(reason for reason in reasons if reason)
            kept = objects.take([i for i, reason in enumerate(reasons) if not reason])
            annotations = replace(annotations, objects=kept)
        yield _Picture(entry, name, annotations, header, size)


def _annotations(dataset: Dataset, entry: Entry) -> Annotations:
    try:
        return dataset.reader.annotations(entry)
    except Reject:
        raise
    except Exception as error:
        raise fault("labels", error) from error


def _name_of(entry: Entry, header: Header | None) -> str:
    """Where a picture goes. Members of a tar have keys without an ending, and any name at all.

    Raises:
        Reject: for a name that leads out of the target.
    """
    path = PurePosixPath(entry.key)
    if path.is_absolute() or ".." in path.parts or "\0" in entry.key:
        raise Reject("read", "bad-name", "the name leads out of the target; rename that picture")
    if is_picture(entry.key) or header is None:
        return entry.key
    return f"{entry.key}.{'jpg' if header.format in ('JPEG', 'MPO') else header.format.lower()}"


def _header(entry: Entry, report: Report) -> Header | None:
    if entry.picture is None:
        report.unseen.append(f"{one_line(entry.key)}: no picture of that name was found")
        return None
    try:
        return _header_at(entry.picture)
    except Reject as reject:
        report.unseen.append(f"{one_line(entry.key)}: {one_line(reject.message)}")
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


def _to_coco(dataset: Dataset, target: Path, stage: Path, report: Report, progress: Progress) -> None:
    alone = _is_json(target)
    path = stage / (target.name if alone else f"annotations/instances_{_split(dataset)}.json")
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as file, CocoWriter(file, dataset.categories) as writer:
        for picture in _pictures(dataset, report, coco_write.unwritable, progress):
            if picture.size_wh is None:
                report.lost.append(f"{one_line(picture.name)}: neither the labels nor a picture tell its size")
                continue
            writer.add(picture.name, picture.size_wh, picture.annotations)
            _count(picture, coco_write.cannot_hold(picture.annotations), report)
            if not alone:
                _copy_picture(picture, stage / "images", report)
    if writer.id_collisions:
        report.remarks.append(f"{plural(writer.id_collisions, 'id')} came twice and had to be changed")
    if alone:
        report.picture_folder = _picture_folder(dataset)
    else:
        _report_old_files(target, stage, "coco", report)


def _to_voc(dataset: Dataset, target: Path, stage: Path, report: Report, progress: Progress) -> None:
    categories = {c.id: c for c in dataset.categories}
    _require_own_stems(dataset)
    stems = []
    used: set[int] = set()
    fractions = unsized = 0
    for picture in _pictures(dataset, report, voc_write.unwritable, progress):
        stem = _stem_of(picture.name)
        if stem != stem.strip() or len(stem.splitlines()) != 1:
            report.lost.append(f"{one_line(repr(picture.name))}: the name cannot stand in a list of ImageSets")
            continue
        path = stage / "Annotations" / f"{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        depth = 1 if picture.header is not None and is_gray(picture.header) else 3
        name = os.path.basename(picture.name)
        path.write_bytes(xml_of(name, picture.size_wh or (0, 0), depth, picture.annotations, categories))
        _count(picture, voc_write.cannot_hold(picture.annotations), report)
        _copy_picture(picture, stage / "JPEGImages", report)
        stems.append(stem)
        used.update(picture.annotations.objects.category_id.tolist())
        fractions += voc_write.fractional(picture.annotations.objects)
        unsized += picture.size_wh is None
    lists = stage / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / f"{_split(dataset)}.txt").write_text("".join(f"{s}\n" for s in stems), "utf-8")
    report.losses.update(voc_write.categories_cannot_hold(dataset.categories, used))
    if fractions:
        report.remarks.append(
            f"{plural(fractions, 'object')} with fractions in the box: they are kept, but some readers of VOC expect "
            "whole numbers"
        )
    if unsized:
        report.remarks.append(f"{plural(unsized, 'picture')} of unknown size: the XML says 0 by 0")
    _report_old_files(target, stage, "voc", report)


def _stem_of(name: str) -> str:
    """A dot in a name without a picture's ending, as in ``frame.12``, ends no stem."""
    return os.path.splitext(name)[0] if is_picture(name) else name


def _require_own_stems(dataset: Dataset) -> None:
    stems: dict[str, str] = {}
    for entry in dataset.entries:
        other = stems.setdefault(_stem_of(entry.key), entry.key)
        if other != entry.key:
            raise DatasetError(f"'{one_line(other)}' and '{one_line(entry.key)}' would share one XML; rename one")


def _split(dataset: Dataset) -> str:
    return (dataset.options.split or "all").replace("/", "_")


def _count(picture: _Picture, losses: Mapping[str, int], report: Report) -> None:
    report.losses.update(losses)
    report.pictures += 1
    report.objects += len(picture.annotations.objects)


def _copy_picture(picture: _Picture, folder: Path, report: Report) -> None:
    """Copy the file as it is, byte for byte."""
    if picture.entry.picture is None:
        return
    try:
        data = read_place(picture.entry.picture)
    except Reject as reject:
        line = f"{one_line(picture.entry.key)}: {one_line(reject.message)}"
        if line not in report.unseen[-1:]:  # its header was no better
            report.unseen.append(line)
        return
    path = folder / picture.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _picture_folder(dataset: Dataset) -> str | None:
    """The folder that the names in a JSON start from, if the pictures are files below one."""
    for entry in dataset.entries:
        if entry.picture is not None and entry.picture.path.endswith(f"{os.sep}{entry.key}"):
            return entry.picture.path[: -len(entry.key) - 1]
    return None


Unwritable = Callable[[Objects, int, Mapping[int, Category]], str | None]
Writer = Callable[[Dataset, Path, Path, Report, Progress], None]
_FOLDERS = {"coco": ("annotations", "images"), "voc": ("Annotations", "JPEGImages", "ImageSets")}
WRITERS: Mapping[str, Writer] = {"coco": _to_coco, "voc": _to_voc}
