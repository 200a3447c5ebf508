"""The run of a conversion: every picture of the source goes to the target's writer, and its file beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augpipe.conversion import staging
from augpipe.conversion.images import folder_of, pictures, put_picture, require_linkable
from augpipe.conversion.report import ConversionReport
from augpipe.core import parallel
from augpipe.core.errors import Reject, RunError, UsageError, one_line
from augpipe.core.paths import StrPath, local_path
from augpipe.core.progress import Progress
from augpipe.formats.base import Dataset, Entry, Reader, SourceOptions, plural
from augpipe.formats.catalogue import FORMATS, format_named, targets
from augpipe.formats.format import Target
from augpipe.formats.losses import kinds_of
from augpipe.formats.registry import open_dataset
from augpipe.formats.wrappers.instances import instead_of_masks
from augpipe.formats.writer import SampleEncoder, Stage, WriteOptions
from augpipe.storage.byte_range import kept_open
from augpipe.storage.remote import is_url
from augpipe.storage.resolve import require_named, require_possible

_PLAIN = WriteOptions()
_ANY = SourceOptions()
_MASKS = ("semantic masks", "instance masks", "panoptic masks")
_OF_PICTURES = (*_MASKS, "captions", "tags")
_COMPONENTS = "--instances components makes objects of semantic masks"
_SILENT = Progress()


def convert(
    source: StrPath,
    target: StrPath,
    to: str,
    options: SourceOptions = _ANY,
    overwrite: bool = False,
    progress: Progress = _SILENT,
    write: WriteOptions = _PLAIN,
    workers: int | None = 0,
) -> ConversionReport:
    """Write ``source`` in the format ``to``, one of :func:`augpipe.formats.catalogue.targets`, at ``target``.

    Args:
        source: a dataset of the format that ``options.format`` names, or any that is recognised.
        target: a folder takes the whole dataset; for coco a ``.json`` takes the annotations alone.
        to: name of the target format.
        options: how to read the source.
        overwrite: write over what is at ``target``; files that are not written again stay, and are counted.
        progress: receives the progress.
        write: what else is asked of the target.
        workers: processes beside this one, ``None`` for as many as it pays to have.

    Raises:
        UsageError: the target is in the way or in the source; the source is no dataset.
        RunError: the target cannot be written, or no picture can be converted.
    """
    source = os.fspath(source)
    return converted([source], lambda: open_dataset(source, options), target, to, overwrite, progress, write, workers)


def converted(
    sources: Sequence[str],
    opened: Callable[[], Dataset],
    target: StrPath,
    to: str | None,
    overwrite: bool = False,
    progress: Progress = _SILENT,
    write: WriteOptions = _PLAIN,
    workers: int | None = 0,
) -> ConversionReport:
    """As :func:`convert`, of a dataset that ``opened`` makes of ``sources``; without ``to`` in its own format."""
    target = local_path(target)
    for source in sources:
        require_named(source)
        require_possible(source)
    with parallel.worker_pool(workers):
        dataset = opened() if to is None else None
        is_own = dataset is not None
        if dataset is not None:
            to, write = own_format(dataset, write)
        writes = _writes(to or "", target, write)

        def require_free() -> None:
            for source in sources:
                staging.require_free(None if is_url(source) else Path(source), target, writes, overwrite)

        require_free()
        dataset = dataset or opened()
        staging.require_no_pictures_of(dataset, target)
        if write.pictures != "copy":
            require_linkable(dataset)
        if why := _no_place_for(dataset, to or ""):
            raise RunError(
                f"{sources[0]}: {why}, so nothing was written\n{_COMPONENTS}; masks, voc and shards hold them"
            )
        dataset = dataset if "semantic masks" in writes.holds else instead_of_masks(dataset)
        stays = format_named(dataset.format).stays
        report = ConversionReport(format=to or "", remarks=[*dataset.remarks, *([stays] if stays else [])])
        try:
            with staging.staged(target, require_free) as stage:
                write_dataset(dataset, writes, target, stage, report, progress, write)
                report.remarks += _ways_out(report)
                if (is_own or len(sources) == 1) and to == dataset.format == "voc" and not _has_masks(report):
                    del report.losses["class ids"]  # its classes are names, so none was there
                _require_wanted(report, sources[0], write.strict, dataset.format)
        except OSError as error:
            at = f" ({error.filename})" if error.filename else ""
            raise RunError(
                f"{target}: the conversion stopped: {error.strerror or error}{at}; nothing was written\n"
                "make room or mend that, and run the same command again"
            ) from error
    return report


def _writes(to: str, target: Path, write: WriteOptions) -> Target:
    """The target of that name; raises ``UsageError`` if what is asked of it is not possible."""
    writes = target_named(to, write)
    if staging.is_json(target) and not writes.alone:
        raise UsageError(f"{target}: a {to} dataset is a folder; give a folder as DST")
    if write.pictures == "reference" and not writes.alone:
        raise UsageError(f"a {to} dataset has its pictures in it; --pictures link makes links instead of copies")
    return writes


def own_format(dataset: Dataset, write: WriteOptions) -> tuple[str, WriteOptions]:
    """(the format of a dataset as a target, the options with the kind of its rows); UsageError if it is only read."""
    name, _, kind = dataset.format.partition(":")
    if name not in targets():
        raise UsageError(f"{dataset.root}: {name} is read and not written; choose --to {' or '.join(targets())}")
    return name, replace(write, kind=write.kind or kind or None)


def target_named(to: str, write: WriteOptions) -> Target:
    """The target of that name; raises ``UsageError`` if there is none, or if its rows hold no such kind."""
    writes = targets().get(to)
    if writes is None:
        raise UsageError(f"cannot write {one_line(to)}; known are {', '.join(targets())}")
    kinds = FORMATS[to].kinds
    if kinds and write.kind not in (None, *kinds):
        raise UsageError(f"--kind {one_line(write.kind)}: expected {', '.join(kinds)}")
    return writes


def require_possible_for(dataset: Dataset, to: str, write: WriteOptions) -> None:
    """Find before any work, and without reading all labels, that a target cannot hold a dataset.

    Raises:
        UsageError: it has no place for its labels, or would not tell its classes apart.
    """
    writes = target_named(to, write)
    if why := _no_place_for(dataset, to):
        ways = f"{_COMPONENTS}; " if format_named(dataset.format).semantic else ""
        raise UsageError(f"{dataset.root}: {why}; {ways}leave --to out, as shards hold all of it")
    # What pictures are called in the target is another matter, so here they have numbers.
    entries = (
        [e._replace(key=f"{i}.jpg", split="") for i, e in enumerate(dataset.entries)] if write.kind == "pose" else []
    )
    nowhere = Path(os.devnull)
    kind = replace(write, kind=write.kind or next(iter(FORMATS[to].kinds), None))
    writes.open(replace(dataset, entries=entries), Stage(nowhere, nowhere), kind)


def _no_place_for(dataset: Dataset, to: str) -> str | None:
    """Why a target holds nothing of a dataset, as its format tells; ``None`` if it may hold something."""
    source, holds = format_named(dataset.format), targets()[to].holds
    masks_alone = source.semantic == "only" and dataset.options.instances == "keep"
    if source.source and not (masks_alone and "semantic masks" not in holds):
        return None
    return f"{to} has no place for what {source.name} holds"


def _require_wanted(report: ConversionReport, source: str, strict: bool, format: str) -> None:
    if not report.pictures and report.aside and not report.lost:
        raise RunError(f"{source}: no picture is left, so nothing was written: {'; '.join(report.set_aside())}")
    if not report.pictures:
        first = f"\nthe first of them: {report.lost[0]}" if report.lost else ""
        told = "".join(f"\n{remark}" for remark in report.remarks if " is not used: " in remark)  # such as a table
        raise RunError(f"{source}: none of the pictures can be converted, so nothing was written{first}{told}")
    if why := no_object_of(report):
        help = "\ncoco has a place for crowds" if report.losses["crowds"] else ""
        if help and format.startswith("coco"):
            help = "\n--crowds instances takes crowds as objects"
        raise RunError(f"{source}: {why}{help}")
    if why := no_label_of(report):
        raise RunError(f"{source}: {why}")
    if strict and (odd := report.oddities()):
        raise RunError(f"{source}: something is lost or odd, so --strict wrote nothing\n{'; '.join(odd)}")


def _ways_out(report: ConversionReport) -> list[str]:
    """What helps against what was found while reading."""
    if not report.notes["size-mismatch"]:
        return []
    n = plural(report.notes["size-mismatch"], "picture")
    return [f"labels of {n} state another size: --size-mismatch scale fits them to it, reject leaves it out"]


def _has_masks(report: ConversionReport) -> bool:
    """Whether the source has masks, whose values are numbers of classes."""
    return any(report.kinds_in[kind] for kind in _MASKS)


def no_object_of(report: ConversionReport) -> str | None:
    """Why no object of a source that has some can be written, in words; ``None`` if one is, if there are none, or if
    masks of pictures are written."""
    if not report.objects_in or report.objects or any(report.kinds[kind] for kind in _MASKS):
        return None
    of_objects = {what: n for what, n in report.losses.items() if what in report.examples}  # and not of classes
    what, n = max(of_objects.items(), key=lambda item: item[1], default=("", 0))
    why = f"{what} {n:,}" if report.objects_in > report.dropped else "they have no box that makes sense"
    if report.aside:
        why = "; ".join(report.set_aside()) + (f"; {why}" if what == "crowds" else "")
    return f"none of {plural(report.objects_in, 'object')} can be written, so nothing was written: {why}"


def no_label_of(report: ConversionReport) -> str | None:
    """Why no label of pictures without objects can be written, in words; ``None`` if one is, or there are none."""
    came = {kind: report.kinds_in[kind] for kind in _OF_PICTURES if report.kinds_in[kind]}
    if report.objects_in or not came or any(report.kinds[kind] for kind in came):
        return None
    what = ", ".join(f"{kind} {n:,}" for kind, n in came.items())
    way = f"\n{_COMPONENTS}" if "semantic masks" in came else ""
    return f"no label can be written, so nothing was written: {what}, which shards hold{way}"


def write_dataset(
    dataset: Dataset,
    writes: Target,
    target: Path,
    stage: Path,
    report: ConversionReport,
    progress: Progress,
    options: WriteOptions,
) -> None:
    """Write all of a dataset into ``stage``, whose content is to be moved to ``target``; ``report`` counts it."""
    writer = writes.open(dataset, Stage(stage, target, target.name if staging.is_json(target) else None), options)
    alone = staging.is_json(target) or options.pictures == "reference"
    place = None if alone else stage / writes.pictures
    part = PictureBatch(dataset.reader, writer.encoder, (), place, options.pictures == "link")
    batches = [(split, batch) for split in dataset.splits for batch in parallel.batches_of(_of_split(dataset, split))]
    parts = (replace(part, entries=entries) for _, entries in batches)
    begun: str | None = None
    try:
        progress.begin(len(dataset.entries))
        made = parallel.parallel_map(make_part, parts, len(dataset.entries))
        for (split, _), (packed, found) in zip(batches, made, strict=True):
            if split != begun:
                writer.begin(split)
                begun = split
            if found.pictures:
                writer.take(packed)
            report.add(found)
            progress.update(found.pictures_in)
    except BaseException:
        parallel.stop()  # or they would go on copying pictures into a folder that is being removed
        writer.discard()
        raise
    closing = writer.close()
    if staging.is_json(target) and len(dataset.splits) > 1:
        counts = ", ".join(f"{name or 'no split'} {n:,}" for name, n in dataset.splits.items())
        report.remarks.append(f"{target.name} has all splits together ({counts}); a folder as DST keeps them apart")
    report.losses.update(closing.losses)
    report.remarks.extend(closing.remarks)
    if alone:
        report.picture_folder = folder_of(dataset)
        if report.picture_folder is None and any(entry.picture for entry in dataset.entries):
            report.remarks.append(
                "the pictures lie where the JSON's names do not lead; give a folder as DST to copy them"
            )
    elif old := staging.old_files(target, stage, writes):
        report.remarks.append(f"{plural(old, 'file')} of before in the target: not written again, and still there")


def _of_split(dataset: Dataset, split: str) -> Sequence[Entry]:
    return dataset.entries if len(dataset.splits) == 1 else [e for e in dataset.entries if e.split == split]


# --- A part of a conversion: pictures of the source read and made ready for the writer, in any process ----------------


@dataclass(frozen=True)
class PictureBatch:
    """Some pictures, how they are read and written, and the folder that their files go to, ``None`` if they stay."""

    reader: Reader
    encoder: SampleEncoder
    entries: Sequence[Entry]
    folder: Path | None
    link: bool


def make_part(part: PictureBatch) -> tuple[Any, ConversionReport]:
    """(what the writer takes of the pictures, ``None`` if there are none; what was counted)."""
    report = ConversionReport()
    rests = []
    with kept_open():
        for entry, picture in pictures(part.reader, part.entries, report):
            kinds = kinds_of(picture.annotations)
            report.kinds_in.update(kinds)
            try:
                encoded = part.encoder.make(picture)
            except Reject as reject:
                report.lost.append(f"{one_line(reject.file or picture.name)}: {one_line(reject.message)}")
                continue
            rests.append(encoded.rest)
            report.count(encoded, picture.name, kinds)
            if part.folder is not None:
                put_picture(entry, part.folder / (encoded.name or picture.name), part.link, report)
    return part.encoder.pack(rests) if rests else None, report
