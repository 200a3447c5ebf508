"""Writing COCO: a JSON of instances, and one of panoptic segments beside it.

Augmented copies share the ids of their source, so all of a split that has some get new ones.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from types import MappingProxyType

import msgspec

from augpipe.core.annotations import Annotations
from augpipe.formats.base import Dataset, plural
from augpipe.formats.coco.document import BETWEEN, CocoDocument, categories_json
from augpipe.formats.coco.ids import IdGiver, Rule
from augpipe.formats.coco.rows import OBJECT_FIELDS, PICTURE_FIELDS, Batch, Rows, batch_of, renumbered, rows_of
from augpipe.formats.coco.write_panoptic import PanopticWriter, segments_of
from augpipe.formats.losses import CLASSES_COUNTED, COUNTED
from augpipe.formats.writer import (
    Closing,
    DatasetWriter,
    Encoded,
    Picture,
    SampleEncoder,
    Stage,
    WriteOptions,
    require_size,
)

_COPY = re.compile(r"-[0-9a-f]{10}-(c\d{3,}|orig)$")  # the end of a sample's KEY in our shards (docs/format.md)


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin ``annotations/instances_SPLIT.json`` and ``panoptic_SPLIT.json``, or the one file of ``stage``."""
    splits = dataset.splits
    copied = {entry.split for entry in dataset.entries if _COPY.search(entry.key)}
    if copied and stage.json:
        copied = set(splits)  # which has all of them
    ids: Mapping[str, Rule] = {split: "new" if split in copied else "keep" for split in splits}
    return CocoWriter(dataset, stage, dict.fromkeys(splits, "sequential") if options.ids == "sequential" else ids)


@dataclass(frozen=True)
class CocoEncoder(SampleEncoder):
    """Makes the rows of a picture; captions and tags would be annotations without a box, on which COCO's tools fail.

    ``ids`` is the rule of each split; where there is none, ids are kept.
    """

    ids: Mapping[str, Rule] = field(default_factory=dict)
    panoptic: bool = False
    holds = frozenset(COUNTED) - {"semantic masks", "instance masks", "panoptic masks", "captions", "tags"}

    def encode(self, picture: Picture) -> Encoded:
        size, annotations = require_size(picture.size_wh), picture.annotations
        rows = rows_of(picture.name, size, annotations, self.ids.get(picture.split, "keep"))
        if self.panoptic:
            rows = rows._replace(segments=segments_of(annotations))
        return Encoded(len(annotations.objects), rest=rows)

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        found = super().cannot_hold(annotations)
        taken = sum(k in PICTURE_FIELDS for k in annotations.attributes)
        taken += sum(k in OBJECT_FIELDS for f in annotations.objects.facts if f.attributes for k in f.attributes)
        if taken:
            found["fields with names that COCO uses"] = taken
        if self.panoptic:
            found.pop("panoptic masks", None)
        return found

    def pack(self, rests: Sequence[Rows]) -> Batch:
        return batch_of(rests)


class CocoWriter(DatasetWriter):
    """Writes the JSON and, unless the target is a JSON alone, that of panoptic segments."""

    class_holds = frozenset(CLASSES_COUNTED)

    def __init__(self, dataset: Dataset, stage: Stage, ids: Mapping[str, Rule] = MappingProxyType({})) -> None:
        super().__init__(dataset, stage)
        self._stage, self._ids = stage, ids
        self._parts: list[_Part] = []
        self.encoder = CocoEncoder(ids, panoptic=not stage.json)

    def begin(self, split: str) -> None:
        """Begin the files of a split; a JSON alone takes all splits."""
        super().begin(split)
        if self._parts and self._stage.json:
            return
        path = self.folder / (self._stage.json or f"annotations/instances_{self.split}.json")
        path.parent.mkdir(exist_ok=True)
        categories = categories_json(self.categories)
        panoptic = PanopticWriter(path.with_name(f"panoptic_{self.split}.json"), categories)
        rule = self._ids.get(split, "keep")
        ids = IdGiver(rule=rule), IdGiver(rule=rule)
        self._parts.append(_Part(CocoDocument(path, categories), panoptic, *ids))

    def take(self, packed: Batch) -> None:
        if not self._parts:
            self.begin("")
        self._parts[-1].take(packed)

    def discard(self) -> None:
        for part in self._parts:
            part.json.discard()
            part.panoptic.discard()

    def close(self) -> Closing:
        if not self._parts:  # a set without pictures has a document too
            self.begin("")
        for part in self._parts:
            part.json.close()
            part.panoptic.close()
        new = [name or "pictures in no split" for name, rule in self._ids.items() if rule == "new"]
        remarks = []
        if new:
            of = "" if len(new) == len(self._ids) else f" in {', '.join(new)}"
            remarks.append(f"ids of pictures and objects{of} are new ones: copies share those of their source")
        changed = sum(p.images.collisions + p.objects.collisions for p in self._parts if p.images.rule != "new")
        if changed:
            remarks.append(f"{plural(changed, 'id')} came twice and had to be changed")
        return Closing(remarks=tuple(remarks))


@dataclass(frozen=True)
class _Part:
    """The files of one split, and the ids in them."""

    json: CocoDocument
    panoptic: PanopticWriter
    images: IdGiver
    objects: IdGiver

    def take(self, packed: Batch) -> None:
        names, ends = packed.file_names, list(accumulate(packed.counts))
        image_ids = self.images.settle_all(packed.image_ids, lambda i: (names[i],))
        object_ids = self.objects.settle_all(
            packed.object_ids, lambda i: (names[bisect_right(ends, i)], packed.indexes[i])
        )
        images, objects = packed.images, packed.objects
        if image_ids != packed.image_ids or object_ids != packed.object_ids:
            images, objects = renumbered(packed, image_ids, object_ids)
        self.json.add(images, objects)
        if any(packed.segments):
            rows = zip(images.split(BETWEEN), image_ids, names, packed.segments, strict=True)
            for image, number, name, segments in rows:
                if segments is not None:
                    self.panoptic.add(image, msgspec.json.encode(number), name, segments)
