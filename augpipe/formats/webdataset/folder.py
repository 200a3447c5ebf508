"""Finished folders of shards (docs/format.md), read at random and without torch.

The members of a sample stand together in its tar, so the offsets of samples are the whole index: the headers of a shard
are read once, eight bytes a sample are kept, and from then on a sample is a single read.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import msgspec

from augpipe.core.errors import DatasetError, UsageError, one_line
from augpipe.core.paths import local_path
from augpipe.formats.layout.purposes import NONE, chosen_named, shown_split
from augpipe.formats.layout.splits import in_order
from augpipe.formats.webdataset.safe_parse import end_of, members_of, require_modest, samples_of, start_of
from augpipe.formats.webdataset.schema import (
    MANIFEST,
    SHARD_NAME,
    CategoryRecord,
    ManifestRecord,
    SampleRecord,
    ShardRow,
    fault_of_objects,
    labels_of,
    read_manifest,
)
from augpipe.storage.byte_range import regular_file

KINDS = ("boxes", "segmentation", "keypoints", "semantic", "instance", "tags", "captions")
_OPEN_FILES = 32
_SMALLEST_SAMPLE = 4 * 512  # a picture and a record, each with its header
_record_decoder = msgspec.json.Decoder(SampleRecord)

# --- folders ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shard:
    """A tar with samples in it.

    ``void`` is the value of the folder's semantic masks for no class, ``labels`` its classes, label → id.
    """

    path: str
    samples: int
    size: int
    sha256: str
    void: int
    labels: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Folder:
    """A finished folder. ``kinds`` counts what the labels hold, by the names of :data:`KINDS`; absent is none."""

    path: str
    categories: tuple[CategoryRecord, ...]
    shards: tuple[Shard, ...]
    kinds: Mapping[str, int]


def open_folders(paths: Sequence[str | os.PathLike[str]], splits: Sequence[str] | None = None) -> tuple[Folder, ...]:
    """Finished folders with one class map; raises as :func:`open_folder`, or ``DatasetError`` for another class map."""
    folders = tuple(open_folder(path, splits) for path in paths)
    for other in folders[1:]:
        _require_same_classes(folders[0], other)
    return folders


def open_folder(path: str | os.PathLike[str], splits: Sequence[str] | None = None) -> Folder:
    """A folder by its manifest.

    Args:
        path: the finished folder.
        splits: those whose shards are wanted, by any of their names; a folder with several is not read without.

    Raises:
        DatasetError: it is unfinished, of another schema, or damaged.
        UsageError: it has several splits and none is named, or not one that is.
    """
    root = local_path(path, "the folder of shards")
    manifest = msgspec.convert(read_manifest(root), ManifestRecord)
    rows = _rows_of(root, manifest, splits)
    void, labels = manifest.config.void.semantic, labels_of(manifest.config.categories)
    shards = tuple(_shard(root, row, void, labels) for row in rows if row.samples)
    kinds = manifest.totals.label_kinds
    if kinds is None:
        kinds = kinds_in(shards[0]) if shards else {}
    return Folder(str(root), manifest.config.categories, shards, kinds)


def _rows_of(root: Path, manifest: ManifestRecord, splits: Sequence[str] | None) -> list[ShardRow]:
    """The shards of some splits."""
    alone = manifest.config.split if isinstance(manifest.config.split, str) else ""
    split_of = [row.split if isinstance(row.split, str) else alone for row in manifest.shards]
    there = dict.fromkeys(in_order(split_of), 0)
    for row, split in zip(manifest.shards, split_of, strict=True):
        there[split] += row.samples
    counts = ", ".join(f"{shown_split(name)} {count:,}" for name, count in there.items())
    if splits is None:
        if len(there) > 1:
            first = next(iter(there)) or NONE
            raise UsageError(
                f"{root}: has several splits (samples: {counts}); say which one is wanted, as split={first!r}"
            )
        return list(manifest.shards)
    wanted = {chosen_named(name, there) for name in splits}
    if None in wanted or not wanted:
        names = ", ".join(one_line(repr(name), 40) for name in splits)
        raise UsageError(f"{root}: split {names}: no such split; there is {counts or 'none'}")
    return [row for row, split in zip(manifest.shards, split_of, strict=True) if split in wanted]


def _shard(root: Path, record: ShardRow, void: int, labels: Mapping[int, int]) -> Shard:
    if not SHARD_NAME.fullmatch(record.name):
        name = one_line(repr(record.name), 80)
        raise DatasetError(f"{root / MANIFEST}: {name} is no name of a shard, such as all-000000")
    path = root / f"{record.name.removesuffix('.tar')}.tar"
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DatasetError(f"{path}: the manifest names this shard, but {error.strerror}; {_mend(root)}") from error
    if record.bytes is not None and size != record.bytes:
        raise DatasetError(f"{path}: damaged: {size} bytes, the manifest says {record.bytes}; {_mend(root)}")
    if not 0 < record.samples <= size // _SMALLEST_SAMPLE:
        raise DatasetError(f"{path}: {size} bytes, but the manifest says {record.samples} samples; {_mend(root)}")
    return Shard(str(path), record.samples, size, record.sha256 or "", void, labels)


def _mend(root: str | Path) -> str:
    return f"copy {root} again, or make it again"


def _require_same_classes(first: Folder, other: Folder) -> None:
    for one, two in zip_longest(first.categories, other.categories):
        if one != two:
            raise DatasetError(
                f"{other.path} has other classes than {first.path}: {_words(two)} where that has {_words(one)}; "
                "make both with the same --classes FILE"
            )


def _words(category: CategoryRecord | None) -> str:
    if category is None:
        return "nothing"
    points = f" with {len(category.keypoints)} keypoints" if category.keypoints else ""
    return f"label {category.label} = {category.name!r} (id {category.id}){points}"


def kinds_in(shard: Shard) -> Counter[str]:
    """What the labels of one shard hold, for folders whose manifest does not count it."""
    reader = StoredSampleReader([shard])
    counts = Counter(dict.fromkeys(KINDS, 0))
    for member in range(shard.samples):
        sample = reader.sample(0, member)
        objects = sample.record.objects
        counts["boxes"] += len(objects)
        counts["segmentation"] += sum(o.segmentation is not None for o in objects)
        counts["keypoints"] += sum(bool(o.keypoints) for o in objects)
        counts["semantic"] += "semantic.png" in sample.members
        counts["instance"] += "instance.png" in sample.members
        counts["tags"] += len(sample.record.tags)
        counts["captions"] += len(sample.record.captions)
    return counts


# --- tars ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class StoredSample:
    """One sample as it is stored. ``where`` names shard and key, ``members`` are files by extension."""

    where: str
    record: SampleRecord
    members: Mapping[str, memoryview]
    void: int


class StoredSampleReader:
    """Samples by (shard, member), both counted from 0. Goes to other processes without its open files."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = tuple(shards)
        self._files: OrderedDict[int, int] = OrderedDict()  # shard to file descriptor, oldest use first
        self._starts: dict[int, array[int]] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_files": OrderedDict()}

    def __del__(self) -> None:
        for file in self._files.values():
            os.close(file)

    def sample(self, shard: int, member: int) -> StoredSample:
        """One sample, by one read; raises ``DatasetError``, naming the shard, if it is damaged."""
        file = self._file(shard)
        if shard not in self._starts:
            self._starts[shard] = array("q", _starts_of_samples(file, self.shards[shard]))
        first, end = self._starts[shard][member : member + 2]
        path, mend = self.shards[shard].path, _mend(os.path.dirname(self.shards[shard].path))
        try:
            data = os.pread(file, end - first, first)
            key, members = members_of(memoryview(data))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: cannot be read: {error}; {mend}") from error
        where = f"{path}: {key}"
        if "json" not in members:
            raise DatasetError(f"{where}: no {key}.json beside {sorted(members)}; {mend}")
        try:
            record = _record_decoder.decode(members["json"])
        except (RecursionError, ValueError, msgspec.MsgspecError) as error:
            raise DatasetError(f"{where}.json: not as docs/format.md has it: {one_line(error)}") from error
        if fault := fault_of_objects(record, self.shards[shard].labels):
            raise DatasetError(f"{where}.json: {fault}; {mend}")
        return StoredSample(where, record, members, self.shards[shard].void)

    def _file(self, shard: int) -> int:
        file = self._files.pop(shard, None)
        if file is None:
            path = self.shards[shard].path
            try:
                file = regular_file(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise DatasetError(f"{path}: cannot be read: {error.strerror or 'it is no file'}") from error
            if len(self._files) >= _OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
        self._files[shard] = file
        return file


def _starts_of_samples(file: int, shard: Shard) -> list[int]:
    """First byte of every sample, then the byte past the last one."""
    starts, end, mend = [], 0, _mend(os.path.dirname(shard.path))
    try:
        for key, ranges in samples_of(file):
            try:
                require_modest(ranges)
            except ValueError as error:
                raise ValueError(f"at {one_line(key, 100)}: {error}") from None
            starts.append(start_of(ranges))
            end = end_of(ranges)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{shard.path}: damaged {error}; {mend}") from error
    if len(starts) != shard.samples:
        raise DatasetError(f"{shard.path}: damaged: {len(starts)} samples, the manifest says {shard.samples}; {mend}")
    return [*starts, end]
