"""What the JSON documents of a finished folder hold (docs/format.md), for all who read them: one type a document.

Required is what every reader needs. Anything else is typed where it is there, so that what one reader takes for damage,
all do. Unknown fields are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.webdataset.safe_parse import object_of, read_document

SCHEMA = "augpipe/1"
SHARD_SCHEMA = "augpipe-shard/1"
SHARD_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(\.tar)?")
MANIFEST, REJECTS = "manifest.json", "rejects.jsonl"

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Some: TypeAlias = Annotated[int, Meta(ge=1)]
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Sha256: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Counts: TypeAlias = dict[str, Count]


# --- KEY.json --------------------------------------------------------------------------------------------------------
_Record = TypeVar("_Record")


class CodedMask(Struct, frozen=True):
    """COCO's compressed run-length code; ``size`` is (height, width)."""

    size: tuple[int, int]
    counts: str


class ObjectRecord(Struct, frozen=True):
    """One object; ``keypoints`` is flat (x, y, v), ``obb`` four corners."""

    label: Some
    box_xyxy: tuple[float, float, float, float]
    index: Count | UnsetType = UNSET
    id: int | str | None = None
    category: str | UnsetType = UNSET
    category_id: Int64 | UnsetType = UNSET
    area: float | None = None
    iscrowd: int = 0
    instance: Count = 0
    segmentation: list[list[float]] | CodedMask | None = None
    keypoints: list[float] = []
    obb: tuple[tuple[float, float], ...] | UnsetType = UNSET
    visible: float = 1.0
    attributes: dict[str, Any] = {}


class DroppedRecord(Struct, frozen=True):
    """One object that did not survive."""

    index: Count
    reason: str


class SourceRecord(Struct, frozen=True):
    """Where a sample comes from."""

    key: str
    sha256: str | UnsetType = UNSET
    width: Some | UnsetType = UNSET
    height: Some | UnsetType = UNSET
    orientation: Annotated[int, Meta(ge=1, le=8)] = 1
    attributes: dict[str, Any] = {}


class SampleRecord(Struct, frozen=True):
    """A sample's KEY.json."""

    key: str
    width: Some
    height: Some
    source: SourceRecord
    image_id: Int64 | None = None
    objects: list[ObjectRecord] = []
    dropped: list[DroppedRecord] = []
    tags: list[str] = []
    captions: list[str] = []
    segments_info: list[dict[str, Any]] = []
    copy: Annotated[int, Meta(ge=-1)] = 0


# --- manifest.json ---------------------------------------------------------------------------------------------------


class CategoryRecord(Struct, frozen=True):
    """One class; ``label`` counts 1..K."""

    id: int
    label: int
    name: str
    keypoints: tuple[str, ...] = ()


class _Recipe(Struct, frozen=True):
    canonical: str


class _Origin(Struct, frozen=True):
    format: str
    fingerprint: str
    pictures: Count


class _Reading(Struct, frozen=True):
    exif: Literal["upright", "stored"] = "upright"
    voc_origin: Literal[0, 1] = 1
    max_pixels: Some = 1
    truncated: Literal["reject", "keep"] = "reject"


class _Picture(Struct, frozen=True):
    format: Annotated[str, Meta(pattern="^[a-z]{2,5}$")]
    quality: Annotated[int, Meta(ge=1, le=100)]
    subsampling: str
    range: tuple[Count, Count] | None = None
    bands: tuple[Count, Count, Count] | None = None
    channels: Literal["source", "rgb"] = "source"


class _Void(Struct, frozen=True):
    semantic: Annotated[int, Meta(ge=0, le=65535)] = 255


class ConfigRecord(Struct, frozen=True):
    """The configuration of a run, as far as readers of its samples need it."""

    categories: tuple[CategoryRecord, ...]
    void: _Void = _Void()
    recipe: _Recipe | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    copies: Count | UnsetType = UNSET
    originals: bool | UnsetType = UNSET
    split: str | UnsetType | None = UNSET
    limit: Some | UnsetType | None = UNSET
    source: _Origin | UnsetType = UNSET
    picture: _Picture | UnsetType = UNSET
    reading: _Reading = _Reading()


class ShardRow(Struct, frozen=True):
    """One shard in the manifest; ``sha256`` is ``None`` where it has no samples."""

    name: str
    samples: int
    bytes: Count | None = None
    sha256: Sha256 | None = None
    split: str | UnsetType = UNSET


class SplitRecord(Struct, frozen=True):
    """What a folder has of one split."""

    pictures: Count
    samples: Count
    shards: Count
    augmented: bool


class WindowTotalsRecord(Struct, frozen=True):
    """Sums of :class:`WindowsRecord`; ``lost`` by reason."""

    objects: Count
    left_out: Count
    lost: Counts


class TotalsRecord(Struct, frozen=True):
    """Sums over the shards."""

    label_kinds: Counts | None = None
    notes: Counts = {}
    truncated: Count = 0
    pictures: Count | UnsetType = UNSET
    expected: Count | UnsetType = UNSET
    written: Count | UnsetType = UNSET
    rejected: Count | UnsetType = UNSET
    objects: Count | UnsetType = UNSET
    dropped: Counts | UnsetType = UNSET
    windows: WindowTotalsRecord | UnsetType = UNSET


class ManifestRecord(Struct, frozen=True):
    """manifest.json."""

    config: ConfigRecord
    shards: tuple[ShardRow, ...]
    totals: TotalsRecord = TotalsRecord()
    splits: dict[str, SplitRecord] | UnsetType = UNSET
    digest: str | UnsetType = UNSET


_OF_A_WHOLE_RUN = (
    "digest",
    *(f"config.{name}" for name in ("recipe", "seed", "copies", "originals", "split", "limit", "source", "picture")),
    *(f"totals.{name}" for name in ("pictures", "expected", "written", "rejected", "objects", "dropped")),
)
"""Fields without which a manifest cannot be compared with its records; training can do without them."""


def record_from(value: Any, kind: type[_Record]) -> _Record:
    """A decoded document as one of the types of this module; raises ``ValueError`` with the field that is none."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:  # no ValueError before msgspec 0.20
        raise ValueError(str(error)) from error


def read_manifest(folder: Path, *, whole: bool = False) -> dict[str, Any]:
    """The manifest of a finished folder, checked but otherwise as it stands.

    Args:
        folder: the finished folder.
        whole: also require what only a comparison with the records needs.

    Raises:
        DatasetError: there is none, or it is not as docs/format.md has it, or of another schema.
    """
    path = folder / MANIFEST
    try:
        return parse_manifest(read_document(path), whole=whole)
    except OSError as error:
        raise DatasetError(_no_manifest(folder, error)) from error
    except ValueError as error:
        raise DatasetError(f"{path}: {one_line(error)}") from error


def parse_manifest(data: bytes, *, whole: bool = False) -> dict[str, Any]:
    """As :func:`read_manifest`, of its bytes; raises ``ValueError``."""
    try:
        manifest = object_of(data)
        schema = one_line(manifest.get("schema"), 40)
        if not re.fullmatch(rf"{re.escape(SCHEMA)}(\.\d+)?", schema):
            raise _OtherSchema(f"schema {schema!r}, but this augpipe reads {SCHEMA!r}: another version wrote it")
        record = record_from(manifest, ManifestRecord)
        if whole:
            for path in _OF_A_WHOLE_RUN:
                part, _, name = path.rpartition(".")
                if getattr(getattr(record, part) if part else record, name) is UNSET:
                    raise ValueError(f"it has no {path}")
    except _OtherSchema:
        raise
    except ValueError as error:
        raise ValueError(f"not as docs/format.md has it: {one_line(error)}") from error
    return manifest


class _OtherSchema(ValueError):
    pass


def _no_manifest(folder: Path, error: OSError) -> str:
    expected = f"{folder}: expected a folder that `augpipe augment` has finished, but"
    if not folder.is_dir():
        return f"{expected} there is no such folder"
    if (folder / "run.json").exists():
        again = f"run the same `augpipe augment SRC {folder} …` again, it goes on where it stopped"
        return f"{folder} is not finished, it has no manifest.json: {again}"
    if isinstance(error, FileNotFoundError):
        return f"{expected} it has no manifest.json"
    return f"{folder}: manifest.json cannot be read: {error.strerror}"


# --- SPLIT-NNNNNN.json and rejects.jsonl -----------------------------------------------------------------------------


class RejectRow(Struct, frozen=True):
    """One row of rejects."""

    source: str
    file: str
    copies: Annotated[list[int], Meta(min_length=1)]
    shard: str
    stage: str
    error: str
    message: str
    transient: bool
    line: Some | UnsetType = UNSET
    signature: str | UnsetType = UNSET


class TaskRecord(Struct, frozen=True):
    """What a shard was to be made of; ``copies`` is [first, end)."""

    index: Count
    sources: list[str]
    copies: tuple[Count, Count]
    fingerprint: str | UnsetType = UNSET


class SourcesSeen(Struct, frozen=True):
    """What the sources of a shard were when they were read, in the order of ``task.sources``.

    Attributes:
        bytes: of the pictures' files, −1 for those that were not read.
        mtime_ns: when those files, or the archives that they are in, were changed last; ``None`` if unknown.
        sha256: of their content; ``None`` for those that were not read.
        labels: digests of the labels.
    """

    bytes: list[int]
    mtime_ns: list[int | None]
    sha256: list[Sha256 | None]
    labels: list[str]


class WorkRecord(Struct, frozen=True):
    """How a shard was made."""

    versions: dict[str, str] | UnsetType = UNSET
    sources: SourcesSeen | UnsetType = UNSET


class LostObject(Struct, frozen=True):
    """An object of a picture that was cut into windows, of which no sample has it."""

    source: str
    index: Count
    category: str
    reason: str


class WindowsRecord(Struct, frozen=True):
    """What became of the objects of pictures that were cut into windows."""

    objects: Count
    left_out: Count
    lost: list[LostObject]


class CommitRecord(Struct, frozen=True):
    """The record of a shard."""

    schema: Literal["augpipe-shard/1"]
    name: str
    sha256: Sha256 | None
    bytes: Count
    samples: Count
    task: TaskRecord
    objects: Count
    dropped: Counts
    rejected: Count
    rejects: list[RejectRow]
    config: str
    run: WorkRecord
    expected: Count | UnsetType = UNSET
    truncated: Count = 0
    notes: Counts = {}
    label_kinds: Counts = {}
    windows: WindowsRecord | UnsetType = UNSET


def fault_of_commit(value: Mapping[str, Any]) -> str:
    """Why a JSON object is no record of a shard; empty if it is one."""
    try:
        record = msgspec.convert(value, CommitRecord)
    except msgspec.ValidationError as error:
        return str(error)
    lost = sum(len(row.copies) for row in record.rejects)
    if lost != record.rejected:
        return f"{record.rejected} samples rejected, its rows say {lost}"
    seen, sources = record.run.sources, len(record.task.sources)
    if seen is not UNSET and {len(x) for x in (seen.bytes, seen.mtime_ns, seen.sha256, seen.labels)} != {sources}:
        return f"run.sources are not {sources}, as task.sources are"
    return ""


# --- labels ----------------------------------------------------------------------------------------------------------


def labels_of(categories: Iterable[CategoryRecord]) -> dict[int, int]:
    """Label → id of a class map."""
    return {category.label: category.id for category in categories}


def fault_of_objects(record: SampleRecord, labels: Mapping[int, int]) -> str:
    """Why the objects of a sample are none of its folder's classes; empty if they are."""
    for one in record.objects:
        if one.iscrowd not in (0, 1):
            return f"iscrowd is {one.iscrowd}, expected 0 or 1"
        if one.label not in labels:
            return f"label {one.label} is not among the manifest's categories"
        if one.category_id is not UNSET and one.category_id != labels[one.label]:
            return f"label {one.label} is category {labels[one.label]} in the manifest, here {one.category_id}"
    return ""
