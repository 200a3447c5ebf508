"""The counts and rejects of one shard while it is made, as its record states them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augpipe.core.annotations import Annotations, Category, Dropped, Objects
from augpipe.core.errors import Reject, one_line
from augpipe.formats.base import Entry
from augpipe.formats.webdataset.record import dropped_json
from augpipe.labels.transform import Labelled
from augpipe.storage.byte_range import is_file
from augpipe.storage.fs import relative_to
from augpipe.windows.samples import PlannedSamples


@dataclass
class WindowTally:
    """What became of the objects of pictures that were cut into windows.

    ``objects`` of the source, of pictures of which a sample was written or none was planned; ``lost`` are those in no
    sample, ``left_out`` the empty windows that were not kept.
    """

    objects: int = 0
    left_out: int = 0
    lost: list[dict[str, Any]] = field(default_factory=list)

    def count(
        self,
        key: str,
        source: Annotations,
        planned: PlannedSamples,
        written: Collection[int],
        categories: Mapping[int, Category],
    ) -> None:
        """Add a picture, of whose samples those of the numbers ``written`` came about."""
        if planned.samples and not written:
            return  # the picture is in the rejects
        self.objects += len(source.objects) + len(source.dropped)
        self.left_out += planned.left_out
        lost = list(planned.lost)
        if len(written) < len(planned.samples):
            lost += _in_rejected(source.objects, planned, written)
        self.lost += [{"source": key, **dropped_json(row, categories)} for row in lost]

    def fields(self) -> dict[str, Any]:
        """What the shard's record says of them."""
        rows = sorted(self.lost, key=lambda row: (row["source"], row["index"]))
        return {"windows": {"objects": self.objects, "left_out": self.left_out, "lost": rows}}


def _in_rejected(objects: Objects, planned: PlannedSamples, written: Collection[int]) -> Iterator[Dropped]:
    """The objects that only rejected samples would have had."""
    there = {row.index for row in planned.lost}
    for sample in planned.samples:
        if sample.number in written and not isinstance(sample.labels, Reject):
            there.update(sample.labels.annotations.objects.index.tolist())
    for i, index in enumerate(objects.index.tolist()):
        if index not in there:
            yield Dropped(index, int(objects.category_id[i]), "rejected", None, objects.facts[i].id)


@dataclass
class Tally:
    """Counts of one shard; ``shard`` is its name, ``roots`` the local files and folders of the source, ``ignores``
    whether objects below a limit stay as ignore regions, ``planned`` the samples that its sources were to give."""

    shard: str
    roots: Sequence[Path] = ()
    ignores: bool = False
    objects: int = 0
    truncated: int = 0
    planned: int = 0
    rejected: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def count(self, labelled: Labelled) -> None:
        """Add the labels of a sample that is written."""
        picture = labelled.annotations
        objects = picture.objects
        self.objects += len(objects)
        self.truncated += labelled.truncated
        for dropped in labelled.dropped:
            self.dropped[dropped.reason] += 1
        for kind, number in (("boxes", len(objects)), ("tags", len(picture.tags)), ("captions", len(picture.captions))):
            self.kinds[kind] += number
        for kind in ("segmentation", "keypoints", "obb"):
            self.kinds[kind] += sum([value is not None for value in getattr(objects, kind)])
        if self.ignores:
            self.kinds["ignored"] += sum(facts.ignored is not None for facts in objects.facts)
        for kind in ("semantic", "instance", "panoptic"):
            self.kinds[kind] += getattr(picture, kind) is not None

    def reject(self, entry: Entry, data: bytes, copies: tuple[int, ...], reject: Reject) -> None:
        """Add a row, or the copies to the row of the same source, stage and error; ``data`` is the picture's file."""
        self.rejected += len(copies)
        row: dict[str, Any] = {
            "source": entry.key,
            "file": reject.file or self._file_at_fault(entry, reject.stage),
            "copies": list(copies),
            "shard": self.shard,
            "stage": reject.stage,
            "error": reject.code,
            "message": one_line(reject.message),
            "transient": reject.transient,
        }
        if reject.line is not None:
            row["line"] = reject.line
        if data:
            row["signature"] = data[:16].hex()
        for other in self.rejects:
            if all(other[k] == row[k] for k in ("source", "stage", "error")):
                other["copies"] = sorted({*other["copies"], *copies})
                return
        self.rejects.append(row)

    def _file_at_fault(self, entry: Entry, stage: str) -> str:
        """The picture below SRC, or archive and member, if its pixels failed; else the entry's file."""
        if stage in ("decode", "pixels", "encode") and entry.picture is not None:
            if entry.picture.name:
                return entry.picture.name
            for root in self.roots if is_file(entry.picture) else ():
                if root in Path(entry.picture.path).parents:
                    return relative_to(entry.picture.path, root)
        return entry.file

    def fields(self) -> dict[str, Any]:
        """What the shard's record says of all this."""
        return {
            "objects": self.objects,
            "truncated": self.truncated,
            "dropped": dict(self.dropped),
            "notes": {note: n for note, n in self.notes.items() if n},
            "label_kinds": {kind: n for kind, n in self.kinds.items() if n},
            "rejected": self.rejected,
            "rejects": sorted(self.rejects, key=lambda row: (row["source"], row["copies"])),
        }
