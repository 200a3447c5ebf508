"""Finished folders of shards (docs/format.md), read at random and without torch.

The members of a sample stand together in its tar, so the offsets of samples are the whole index: the headers of a shard
are read once, eight bytes a sample are kept, and from then on a sample is a single read.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import msgspec

from augpipe.core.errors import DatasetError, one_line
from augpipe.core.paths import local_path
from augpipe.formats.webdataset.safe_parse import end_of, members_of, read_manifest, samples_of, start_of

SHARD_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(\.tar)?")
KINDS = ("boxes", "segmentation", "keypoints", "semantic", "instance", "tags", "captions")
_OPEN_FILES = 32
_SMALLEST_SAMPLE = 4 * 512  # a picture and a record, each with its header


# --- the JSON documents, as far as training needs them ---------------------------------------------------------------


@dataclass(frozen=True)
class CategoryRecord:
    """One class; ``label`` counts 1..K."""

    id: int
    label: int
    name: str
    keypoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Config:
    categories: tuple[CategoryRecord, ...]
    void: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _ShardRecord:
    name: str
    samples: int
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class _Totals:
    label_kinds: dict[str, int] | None = None


@dataclass(frozen=True)
class _Manifest:
    config: _Config
    shards: tuple[_ShardRecord, ...]
    totals: _Totals = field(default_factory=_Totals)


@dataclass(frozen=True)
class CodedMask:
    """COCO's compressed run-length code; ``size`` is (height, width)."""

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True)
class ObjectRecord:
    """One object; ``keypoints`` is flat (x, y, v)."""

    label: int
    box_xyxy: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: int = 0
    instance: int = 0
    segmentation: list[list[float]] | CodedMask | None = None
    keypoints: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Source:
    key: str


@dataclass(frozen=True)
class SampleRecord:
    """A sample's KEY.json."""

    key: str
    width: int
    height: int
    source: _Source
    image_id: int | None = None
    objects: list[ObjectRecord] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)


_record_decoder = msgspec.json.Decoder(SampleRecord)


# --- folders ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shard:
    """A tar with samples in it. ``void`` is the value of the folder's semantic masks for no class."""

    path: str
    samples: int
    size: int
    sha256: str
    void: int


@dataclass(frozen=True)
class Folder:
    """A finished folder. ``kinds`` counts what the labels hold, by the names of :data:`KINDS`; absent is none."""

    path: str
    categories: tuple[CategoryRecord, ...]
    shards: tuple[Shard, ...]
    kinds: Mapping[str, int]


def open_folders(paths: Sequence[str | os.PathLike[str]]) -> tuple[Folder, ...]:
    """Finished folders with one class map; raises ``DatasetError`` as :func:`open_folder`, or for another class map."""
    folders = tuple(open_folder(path) for path in paths)
    for other in folders[1:]:
        _require_same_classes(folders[0], other)
    return folders


def open_folder(path: str | os.PathLike[str]) -> Folder:
    """A folder by its manifest; raises ``DatasetError`` if it is unfinished, of another schema, or damaged."""
    root = local_path(path, "the folder of shards")
    try:
        manifest = msgspec.convert(read_manifest(root), _Manifest)
    except msgspec.ValidationError as error:
        raise DatasetError(f"{root / 'manifest.json'}: not as docs/format.md has it: {one_line(error)}") from error
    void = manifest.config.void.get("semantic", 255)
    shards = tuple(_shard(root, record, void) for record in manifest.shards if record.samples)
    kinds = manifest.totals.label_kinds
    if kinds is None:
        kinds = kinds_in(shards[0]) if shards else {}
    return Folder(str(root), manifest.config.categories, shards, kinds)


def _shard(root: Path, record: _ShardRecord, void: int) -> Shard:
    if not SHARD_NAME.fullmatch(record.name):
        name = one_line(repr(record.name), 80)
        raise DatasetError(f"{root / 'manifest.json'}: {name} is no name of a shard, such as all-000000")
    path = root / f"{record.name.removesuffix('.tar')}.tar"
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DatasetError(f"{path}: the manifest names this shard, but {error.strerror}; {_mend(root)}") from error
    if record.bytes is not None and size != record.bytes:
        raise DatasetError(f"{path}: damaged: {size} bytes, the manifest says {record.bytes}; {_mend(root)}")
    if not 0 < record.samples <= size // _SMALLEST_SAMPLE:
        raise DatasetError(f"{path}: {size} bytes, but the manifest says {record.samples} samples; {_mend(root)}")
    return Shard(str(path), record.samples, size, record.sha256 or "", void)


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
        path = self.shards[shard].path
        try:
            data = os.pread(file, end - first, first)
            key, members = members_of(memoryview(data))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: cannot be read: {error}; {_mend(os.path.dirname(path))}") from error
        where = f"{path}: {key}"
        if "json" not in members:
            raise DatasetError(f"{where}: no {key}.json beside {sorted(members)}; {_mend(os.path.dirname(path))}")
        try:
            record = _record_decoder.decode(members["json"])
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise DatasetError(f"{where}.json: not as docs/format.md has it: {one_line(error)}") from error
        return StoredSample(where, record, members, self.shards[shard].void)

    def _file(self, shard: int) -> int:
        file = self._files.pop(shard, None)
        if file is None:
            path = self.shards[shard].path
            try:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
            if len(self._files) >= _OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
        self._files[shard] = file
        return file


def _starts_of_samples(file: int, shard: Shard) -> list[int]:
    """First byte of every sample, then the byte past the last one."""
    starts, end, mend = [], 0, _mend(os.path.dirname(shard.path))
    try:
        for _, ranges in samples_of(file):
            starts.append(start_of(ranges))
            end = end_of(ranges)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{shard.path}: damaged {error}; {mend}") from error
    if len(starts) != shard.samples:
        raise DatasetError(f"{shard.path}: damaged: {len(starts)} samples, the manifest says {shard.samples}; {mend}")
    return [*starts, end]
