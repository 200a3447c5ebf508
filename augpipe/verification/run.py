"""Verify a finished folder: every shard in a process of its own, and what they find put together.

Verification shares with a run the readers of sources, the decoder with the size that it is asked for, and the plan as
data, and nothing that moves a label or a pixel.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from augpipe.core.annotations import U8
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.core.parallel import parallel_map, worker_pool
from augpipe.core.paths import StrPath, local_path
from augpipe.core.progress import Progress
from augpipe.formats.base import Dataset, Entry, Reader, SourceOptions, read_picture
from augpipe.formats.class_choice import choice_of
from augpipe.formats.layout.parting import Parting, parting_of
from augpipe.formats.look import upright_labels
from augpipe.formats.registry import open_dataset
from augpipe.formats.webdataset.record import category_from_json
from augpipe.formats.webdataset.safe_parse import MemberRange, members_at, object_of, open_file
from augpipe.formats.webdataset.schema import read_manifest
from augpipe.labels.rules import LabelRules
from augpipe.pixels.codec import pixel_reading
from augpipe.pixels.codec.header import MAX_PIXELS, read_header
from augpipe.pixels.codec.image import PictureFormat, decode
from augpipe.pixels.codec.pixel_reading import PixelReading
from augpipe.verification.check_sample import Context, SourcePicture, WrittenSample, check_sample
from augpipe.verification.consistency import NOT_OURS, ShardCounts, check_books, check_counts, read_commit
from augpipe.verification.findings import Findings, Verdict, rows_of, worst_of
from augpipe.verification.integrity import check_sample_alone, check_shard
from augpipe.verification.plan_checks import recipe_of
from augpipe.windows.spec import from_json as windows_from_json

_SILENT = Progress()


@dataclass(frozen=True)
class Reading:
    """How the source is read: as the manifest says, and what of it only the user knows.

    ``split`` is the one that was asked for; ``tells_splits`` says whether records have the splits of their sources.
    """

    reader: Reader
    entries: Mapping[str, Entry]
    exif: Any
    max_pixels: int
    keep_truncated: bool
    split: str | None
    tells_splits: bool = False
    pixels: PixelReading = field(default_factory=PixelReading)

    def source(self, key: str) -> SourcePicture:
        """A source picture with its labels.

        Raises:
            Reject: it cannot be read.
        """
        if key not in self.entries:
            raise Reject("read", "missing-picture", f"SRC has no picture {one_line(key)}")
        entry = self.entries[key]
        data = read_picture(entry)
        header = read_header(data, self.max_pixels, self.pixels)
        annotations = upright_labels(self.reader, entry, header, self.exif)

        @lru_cache
        def decoded(share: int) -> U8:
            picture = decode(data, header, self.keep_truncated, share)
            return picture if picture.ndim == 2 else picture[:, :, ::-1]

        decoded(1)
        width, height = header.upright_wh
        origin = {
            "key": key,
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": width,
            "height": height,
            "orientation": header.orientation,
            "split": self.split or (entry.split or None if self.tells_splits else None),
        }
        return SourcePicture(header, decoded, annotations, origin, entry.split)


@dataclass(frozen=True)
class Chosen:
    """The set of ``most`` of the numbers 0 … total − 1, spread evenly; all if there are no more."""

    most: int
    total: int

    def __contains__(self, number: int) -> bool:
        most, total = min(self.most, self.total), max(self.total, 1)
        return number * most // total != (number - 1) * most // total


@dataclass(frozen=True)
class _Job:
    """One shard to check; its samples are those from number ``first`` on of the ``chosen`` ones of the whole folder."""

    folder: Path
    shard: Mapping[str, Any]
    manifest: Mapping[str, Any]
    context: Context
    reading: Reading | None
    first: int
    chosen: Chosen


def verify(
    folder: StrPath,
    against: Dataset | StrPath | None = None,
    *,
    most: int | None = None,
    workers: int | None = None,
    progress: Progress = _SILENT,
) -> Verdict:
    """Check a finished folder, and its labels and pictures against the source that it was made of.

    Args:
        folder: with manifest.json.
        against: the source, or where it is (see :func:`open_source` for more to say of it); without it only the files
            and the books are checked.
        most: samples to compare with their source, spread evenly; all if not given. Files are always all checked.
        workers: processes; one a core if not given, 0 works in this one.
        progress: counts shards.

    Raises:
        DatasetError: no finished folder.
    """
    folder = local_path(folder)
    if against is not None and not isinstance(against, Dataset):
        against = open_source(against, folder)
    manifest = read_manifest(folder, whole=True)
    try:
        findings, shards = Findings(), list(manifest["shards"])
        check_books(folder, manifest, findings)
        context = context_of(manifest)
        samples, size = sum(s["samples"] for s in shards), sum(s["bytes"] for s in shards)
    except NOT_OURS as error:
        raise DatasetError(f"{folder / 'manifest.json'}: not as docs/format.md has it: {one_line(error)}") from error
    if against is not None and against.fingerprint() != manifest["config"]["source"]["fingerprint"]:
        findings.fault(
            "",
            f"{against.root} is not what the folder was made of, or has changed since, "
            "or was read with other --images or --classes",
        )
    chosen, firsts = Chosen(most or samples, samples), accumulate((int(s["samples"]) for s in shards), initial=0)
    jobs = []
    for shard, first in zip(shards, firsts, strict=False):
        reading = None if against is None else reading_of(against, manifest, _sources(folder, shard))
        jobs.append(_Job(folder, shard, manifest, context, reading, first, chosen))
    progress.begin(len(jobs))
    with worker_pool(workers):
        for found in parallel_map(check_one_shard, jobs, None if len(jobs) > 1 else 0):
            findings.add(found)
            progress.update(1)
    faults = tuple(sorted(findings.faults))
    return Verdict(samples, findings.samples, len(shards), size, tuple(rows_of(findings)), faults, worst_of(findings))


def check_one_shard(job: _Job) -> Findings:
    """Everything about one shard."""
    findings, counts, whole = Findings(), ShardCounts(), True
    by_source: dict[str, list[tuple[str, dict[str, MemberRange]]]] = {}
    for number, (key, places, members) in enumerate(check_shard(job.folder, job.shard, findings), job.first):
        record = check_sample_alone(key, members, job.manifest, findings)
        if record is None:
            whole = False
            continue
        counts.count(record)
        if number in job.chosen:
            by_source.setdefault(str(record["source"]["key"]), []).append((key, places))
    if whole:  # else counts do not add up, and the fault above says why
        with contextlib.suppress(*NOT_OURS):  # an unreadable record is a fault of the books
            check_counts(job.shard, read_commit(job.folder, job.shard), counts, job.manifest["config"], findings)
    if job.reading is not None and by_source:
        _compare(job, job.reading, by_source, findings)
    return findings


def _compare(
    job: _Job, reading: Reading, by_source: Mapping[str, Sequence[tuple[str, dict[str, MemberRange]]]], f: Findings
) -> None:
    """Compare samples with their sources; a source is read and painted once for all its copies."""
    with open_file(job.folder / Path(str(job.shard["name"])).name) as tar:
        for name, samples in by_source.items():
            try:
                source = reading.source(name)
            except Reject as reject:
                hint = "; if pictures lie elsewhere, say --images" if reject.code == "missing-picture" else ""
                f.at(samples[0][0]).fault(f"its source cannot be read: {one_line(reject.message)}{hint}")
                continue
            for key, places in samples:
                members = members_at(tar.fileno(), places)
                check_sample(WrittenSample(key, object_of(members["json"]), members), source, job.context, f)
            f.samples += len(samples)


# --- what the manifest says ------------------------------------------------------------------------------------------


def context_of(manifest: Mapping[str, Any]) -> Context:
    """What labels and pictures depend on."""
    config = manifest["config"]
    picture = config["picture"]
    return Context(
        _rules(manifest),
        {c.id: c for c in map(category_from_json, config["categories"])},
        int(config["void"]["semantic"]),
        PictureFormat(picture["format"], picture["quality"], picture["subsampling"]),
        config["backend"]["codec"] == "cpu",
        config["seed"],
        recipe_of(config) if manifest.get("same_bytes", True) else None,
        windows_from_json(config["window"]) if "window" in config else None,
    )


def _rules(manifest: Mapping[str, Any]) -> LabelRules:
    """What the recipe says of labels, from its canonical form."""
    from augpipe.recipe.load import without_steps

    return without_steps("manifest", object_of(manifest["config"]["recipe"]["canonical"].encode())["labels"]).rules


def open_source(
    source: StrPath,
    folder: StrPath,
    classes: StrPath | None = None,
    images: StrPath | None = None,
    keep: tuple[str, ...] | None = None,
) -> Dataset:
    """The source of a finished folder, read as its manifest says.

    Args:
        source: SRC as augment had it.
        folder: the finished folder.
        classes: the file of class names, if there was one.
        images: where the pictures of a COCO JSON are, if that was said.
        keep: names of the classes that were chosen; those of the manifest if not given.

    Raises:
        DatasetError: no finished folder, or no such source.
    """
    config = read_manifest(local_path(folder), whole=True)["config"]
    reading, choice = config.get("reading", {}), choice_of(config)
    options = SourceOptions(
        config["source"]["format"],
        config["split"],
        None if classes is None else Path(classes),
        None if images is None else os.fspath(images),
        config["limit"],
        reading.get("exif", "upright"),
        reading.get("voc_origin", 1),
        config["void"]["semantic"],
        keep if keep is not None or classes is not None else choice.keep,
        choice.rename,
        _parting_of(config),
        reading.get("crowds", "keep"),
        reading.get("size_mismatch", "keep"),
    )
    return open_dataset(source, options)


def _parting_of(config: Mapping[str, Any]) -> Parting | None:
    try:
        return parting_of(config)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"manifest.json: not as docs/format.md has it: {one_line(error)}") from error


def _sources(folder: Path, shard: Mapping[str, Any]) -> frozenset[str] | None:
    """The keys of the sources of a shard; ``None`` if its record cannot be read, which is a fault of the books."""
    try:
        return frozenset(read_commit(folder, shard).sources)
    except NOT_OURS:
        return None


def reading_of(dataset: Dataset, manifest: Mapping[str, Any], keys: frozenset[str] | None) -> Reading:
    """How the sources with some keys, or all, are read."""
    reading = manifest["config"].get("reading", {})
    return Reading(
        dataset.reader,
        {entry.key: entry for entry in dataset.entries if keys is None or entry.key in keys},
        dataset.options.exif,
        int(reading.get("max_pixels", MAX_PIXELS)),
        reading.get("truncated") == "keep",
        manifest["config"]["split"],
        "splits" in manifest["config"],
        _pixel_reading(manifest),
    )


def _pixel_reading(manifest: Mapping[str, Any]) -> PixelReading:
    """How pixels are read; raises ``DatasetError`` for a manifest in which that makes no sense."""
    try:
        return pixel_reading.from_json(manifest["config"]["picture"])
    except (TypeError, ValueError) as error:
        raise DatasetError(f"manifest.json: not as docs/format.md has it: {one_line(error)}") from error
