"""Writing YOLO as Ultralytics reads it: ``images/``, ``labels/`` with a row an object, and ``data.yaml``.

All rows hold one kind (:mod:`augpipe.formats.yolo.rows`), as Ultralytics takes a file with two of them wrongly.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from augpipe.core.annotations import Annotations, Category, Header, Objects
from augpipe.core.errors import DatasetError, Reject
from augpipe.core.parallel import batches_of, parallel_map
from augpipe.formats.base import Dataset, Entry, Reader, read_labels
from augpipe.formats.layout.splits import in_split
from augpipe.formats.losses import Loss
from augpipe.formats.output import lines_of, write_into
from augpipe.formats.writer import (
    Closing,
    DatasetWriter,
    Encoded,
    Picture,
    SampleEncoder,
    Stage,
    WriteOptions,
    names_again,
    one_a_name,
    require_size,
)
from augpipe.formats.yolo.data_yaml import KINDS, RESERVED, SPLITS, Kind, read_data_yaml
from augpipe.formats.yolo.index import label_of
from augpipe.formats.yolo.rows import is_taken, row_of, text_of

_READ_ENDINGS = frozenset((".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_READ_FORMATS = frozenset(("BMP", "JPEG", "JPEG2000", "MPO", "PNG", "TIFF", "WEBP"))
_LEAST_SIDE = 10  # pixels
UNSPLIT = "unsplit"
"""The folder of pictures of no split, where others have one."""
_ULTRALYTICS = {"valid": "val", "validation": "val"}
_RICHEST: tuple[Kind, ...] = ("pose", "obb", "segment")
_HELD: dict[Kind, str] = {"segment": "segmentations", "pose": "keypoints", "obb": "oriented boxes"}


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a YOLO folder; raises ``DatasetError`` if no object has keypoints and rows are to hold them."""
    found = survey(dataset) if options.kind in (None, "pose") else Survey()
    kind = next((k for k in KINDS if k == options.kind), None) or found.richest()
    count = max([found.most_keypoints, *(len(c.keypoints) for c in dataset.categories)])
    if kind == "pose" and not count:
        raise DatasetError(f"{dataset.root}: has no keypoints to write; choose another --kind")
    return YoloWriter(dataset, stage, kind, count if kind == "pose" else 0, options.kind is None)


@dataclass(frozen=True)
class Survey:
    """How many objects of a dataset, crowds aside, have what a kind holds; and the most keypoints of one."""

    objects: Counter[str] = field(default_factory=Counter)
    most_keypoints: int = 0

    def richest(self) -> Kind:
        """The kind that most objects have; of two that as many have, the one that is harder to get."""
        best = max(_RICHEST, key=lambda kind: self.objects[kind])
        return best if self.objects[best] else "detect"


def survey(dataset: Dataset) -> Survey:
    """Count over the labels; pictures whose labels cannot be read are reported when they are written."""
    total = Survey()
    parts = ((dataset.reader, entries) for entries in batches_of(dataset.entries))
    for found in parallel_map(_survey_of, parts, len(dataset.entries)):
        total = Survey(total.objects + found.objects, max(total.most_keypoints, found.most_keypoints))
    return total


def _survey_of(part: tuple[Reader, Sequence[Entry]]) -> Survey:
    reader, entries = part
    counts: Counter[str] = Counter()
    most = 0
    for entry in entries:
        try:
            objects = read_labels(reader, entry).objects
        except Reject:  # writing meets it again and tells it
            continue
        for i in np.flatnonzero(objects.iscrowd == 0).tolist():
            keypoints = objects.keypoints[i]
            counts["pose"] += keypoints is not None and bool((keypoints[:, 2] > 0).any())
            counts["obb"] += objects.obb[i] is not None
            counts["segment"] += objects.segmentation[i] is not None
            most = max(most, 0 if keypoints is None else len(keypoints))
    return Survey(counts, most)


@dataclass(frozen=True)
class YoloEncoder(SampleEncoder):
    """Writes the label file of a picture. ``index`` is category id → class number, ``parted`` whether there are splits,
    whose names then begin those of pictures."""

    folder: Path
    kind: Kind
    keypoints: int
    index: Mapping[int, int]
    parted: bool
    holds = frozenset({"crowd flags"})

    def prepared(self, picture: Picture) -> Annotations:
        """The labels in pixels of the upright picture, of which fractions are taken."""
        header, stated = picture.header, picture.annotations.size_wh
        if header is None or stated == header.upright_wh or stated != header.stored_wh:
            return picture.annotations
        from augpipe.labels.normalize import turned  # here, as few pictures are turned, and OpenCV comes with it

        return turned(picture.annotations, header)

    def unwritable(self, objects: Objects) -> Sequence[str | None]:
        return ["crowds" if crowd else None for crowd in objects.iscrowd.tolist()]

    def encode(self, picture: Picture) -> Encoded:
        picture.require_ending()
        name = in_split(picture.name, picture.split or UNSPLIT) if self.parted else picture.name
        size = require_size(picture.header.upright_wh if picture.header is not None else picture.size_wh)
        objects = picture.annotations.objects
        lines: list[str] = []
        changes: list[Loss] = []
        refused: int | None = None
        indexes, categories = objects.index.tolist(), objects.category_id.tolist()
        for i in range(len(objects)):
            numbers, changed = row_of(objects, i, self.kind, self.keypoints, size)
            changes += (Loss(what, 1, indexes[i]) for what in sorted(changed))
            if numbers:
                if refused is None and not is_taken(numbers, self.kind):
                    refused = indexes[i]
                lines.append(text_of(self.index[categories[i]], numbers))
        write_into(f"{self.folder}{label_of(f'/images/{name}')}", lines_of(lines))
        if refused is not None:
            changes.append(Loss("pictures that Ultralytics leaves out for one of their objects", 1, refused))
        if not is_read(name, picture.header, size):
            changes.append(Loss("pictures of a kind or size that Ultralytics leaves out", 1))
        return Encoded(len(lines), tuple(changes), name, _top_of(name))

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        found = super().cannot_hold(annotations)
        found.pop(_HELD.get(self.kind, ""), None)
        return found

    def pack(self, rests: Sequence[str]) -> set[str]:
        return set(rests)


def is_read(name: str, header: Header | None, size_wh: tuple[int, int]) -> bool:
    """Whether Ultralytics takes a picture: by its ending, and if there is one, by its format, and by its size."""
    known = header is None or header.format in _READ_FORMATS
    return os.path.splitext(name)[1].lower() in _READ_ENDINGS and known and min(size_wh) >= _LEAST_SIDE


class YoloWriter(DatasetWriter):
    """Writes ``data.yaml``. ``chosen`` says whether the kind was found by looking."""

    own_file = "label file"

    def __init__(self, dataset: Dataset, stage: Stage, kind: Kind, keypoints: int, chosen: bool) -> None:
        self._splits = [name.replace("/", "_") for name in dataset.splits]
        super().__init__(dataset, stage)
        self._kind, self._keypoints, self._chosen = kind, keypoints, chosen
        self._tops: set[str] = set()
        self.class_holds = frozenset({"keypoint names and skeletons", *(["keypoint names"] if kind == "pose" else [])})
        self._classes, index = one_a_name(self.categories)
        self.encoder = YoloEncoder(stage.folder, kind, keypoints, index, parted=any(self._splits))

    def name_of(self, entry: Entry) -> str:
        return in_split(entry.key, entry.split or UNSPLIT) if any(self._splits) else entry.key

    def take(self, packed: set[str]) -> None:
        """``packed`` are the folders that the pictures' names begin with."""
        self._tops |= packed

    def close(self) -> Closing:
        splits, remarks = splits_of(self._splits, self._tops, self._before())
        document = data_yaml(self._classes, self._kind, self._keypoints, splits)
        (self.folder / "data.yaml").write_text(document, "utf-8")
        if self._chosen:
            why = "no object has more" if self._kind == "detect" else "most objects have that"
            remarks = [f"rows hold {self._kind}, as {why}; --kind chooses another", *remarks]
        return Closing(self.classes_cannot_hold(), tuple(remarks))

    def classes_cannot_hold(self) -> dict[str, int]:
        most = max((len(c.keypoints) for c in self.categories), default=0)
        others = sum(len(c.keypoints) != most for c in self.categories) if self._kind == "pose" else 0
        own = {"classes with other keypoints": others} if others else {}
        return super().classes_cannot_hold() | own | names_again(self.categories)

    def _before(self) -> dict[str, str]:
        """The splits that were converted into the same folder before; they stay, if classes and kind are the same."""
        try:
            data = read_data_yaml(self.target / "data.yaml")
        except DatasetError:
            return {}
        same = data.names == tuple(c.name for c in self._classes) and data.task == self._kind
        splits = {name: places[0] for name, places in {**data.splits, **data.others}.items()}
        return (
            {n: place for n, place in splits.items() if n in SPLITS or place.startswith("images/")}
            if same and any(self._splits)
            else {}
        )


def _top_of(name: str) -> str:
    """The folder that a name begins with, "" if it is in none."""
    top, below, _ = name.partition("/")
    if not below:
        return ""
    return PurePosixPath(name).parts[0] if top in ("", ".") else top


def splits_of(own: Sequence[str], tops: set[str], before: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """(split → folder of pictures, remarks), of the dataset's own splits and those that were converted before.

    Ultralytics asks for train and val, so a missing one gets the pictures of the other.
    """
    parted = [split for split in own if split]
    remarks = []
    if not parted:
        splits = {"train": "images"}
    else:
        splits = {**before, **{key_of(split): f"images/{split}" for split in parted if split in tops}}
    splits = splits or {"train": f"images/{parted[0]}"}  # no picture could be written
    if parted and "" in own:
        remarks.append(f"pictures of no split lie in images/{UNSPLIT}, which data.yaml does not name")
    splits = {_ULTRALYTICS.get(name, name): place for name, place in splits.items()}
    missing = [name for name in ("train", "val") if name not in splits]
    if missing:
        first = next(iter(splits.values()))
        many = (
            f"data.yaml names {first} for {' and '.join(missing)} too, as there is no other split; part them to train"
        )
        remarks.append(many)
        splits |= dict.fromkeys(missing, first)
    return splits, remarks


def key_of(split: str) -> str:
    """What ``data.yaml`` calls a split, of which some names are those of other fields."""
    return f"{split}_split" if split in RESERVED else split


def data_yaml(categories: Sequence[Category], kind: Kind, keypoints: int, splits: dict[str, str]) -> str:
    """The text of ``data.yaml``. It names no ``path``: then its own folder is the root."""
    order = {name: splits[name] for name in (*SPLITS, *sorted(set(splits) - set(SPLITS))) if name in splits}
    fields: dict[str, object] = {**order, "nc": len(categories), "names": {i: c.name for i, c in enumerate(categories)}}
    if kind == "pose":
        shown = next((c for c in categories if len(c.keypoints) == keypoints), None)
        fields["kpt_shape"] = [keypoints, 3]
        if shown is not None and shown.flip_pairs:
            other = dict([*shown.flip_pairs, *((b, a) for a, b in shown.flip_pairs)])
            fields["flip_idx"] = [other.get(i, i) for i in range(keypoints)]
        if shown is not None:
            fields["kpt_names"] = {i: list(shown.keypoints) for i in range(len(categories))}
    fields["task"] = kind
    text: str = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False, width=10_000)
    return f"# written by augpipe; task is what the rows hold\n{text}"
