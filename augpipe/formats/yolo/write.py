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
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.core.parallel import batches_of, parallel_map
from augpipe.formats.base import Dataset, Entry, Reader, is_picture
from augpipe.formats.writer import (
    Added,
    Closing,
    DatasetWriter,
    Loss,
    Made,
    Picture,
    Stage,
    WriteOptions,
    losses_of,
    require_own_stems,
    split_of,
    writable,
    write_into,
)
from augpipe.formats.yolo.data_yaml import KINDS, SPLITS, Kind, read_data_yaml
from augpipe.formats.yolo.index import label_of
from augpipe.formats.yolo.rows import row_of, text_of

_READ_ENDINGS = frozenset((".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_READ_FORMATS = frozenset(("BMP", "JPEG", "JPEG2000", "MPO", "PNG", "TIFF", "WEBP"))
_LEAST_SIDE = 10  # pixels
_ULTRALYTICS = {"valid": "val", "validation": "val"}
_RICHEST: tuple[Kind, ...] = ("pose", "obb", "segment")


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a YOLO folder.

    Raises:
        DatasetError: two pictures would share a label file, or the source has nothing of the kind that is asked for.
    """
    require_own_stems(dataset, "label file")
    if options.kind is not None and options.kind not in KINDS:
        raise DatasetError(f"--kind {one_line(options.kind)}: expected {', '.join(KINDS)}")
    found = survey(dataset) if options.kind in (None, "pose") else Survey()
    kind = next((k for k in KINDS if k == options.kind), None) or found.richest()
    count = max([found.most_keypoints, *(len(c.keypoints) for c in dataset.categories)])
    if kind == "pose" and not count:
        raise DatasetError(f"{dataset.root}: has no keypoints to write; choose another --kind")
    return _Writer(dataset, stage, kind, count if kind == "pose" else 0, options.kind is None)


# --- which kind ------------------------------------------------------------------------------------------------------


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
    """Look through the labels; pictures whose labels cannot be read are told of when they are written."""
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
            objects = reader.annotations(entry).objects
        except Exception:  # whatever it is, writing meets it again and tells it
            continue
        for i in np.flatnonzero(objects.iscrowd == 0).tolist():
            keypoints = objects.keypoints[i]
            counts["pose"] += keypoints is not None and bool((keypoints[:, 2] > 0).any())
            counts["obb"] += objects.obb[i] is not None
            counts["segment"] += objects.segmentation[i] is not None
            most = max(most, 0 if keypoints is None else len(keypoints))
    return Survey(counts, most)


# --- a dataset -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Encoder:
    """See :class:`augpipe.formats.writer.SampleEncoder`. ``index`` is category id → number of the class in rows."""

    folder: Path
    kind: Kind
    keypoints: int
    index: Mapping[int, int]
    split: str | None
    told: set[str] = field(default_factory=set)

    def make(self, picture: Picture) -> Made:
        name = picture.name
        if self.split is not None and not name.startswith(f"{self.split}/"):
            name = f"{self.split}/{name}"
        if not is_picture(name):
            raise Reject("write", "bad-name", "the name has no ending of a picture, so its labels would not be found")
        size = picture.header.upright_wh if picture.header is not None else picture.size_wh
        if size is None:
            raise Reject("write", "no-size", "neither the labels nor a picture tell its size")
        annotations, crowds = writable(_upright(picture), _unwritable)
        objects = annotations.objects
        lines, changes = [], list(crowds)
        indexes, categories = objects.index.tolist(), objects.category_id.tolist()
        for i in range(len(objects)):
            numbers, changed = row_of(objects, i, self.kind, self.keypoints, size)
            changes += (Loss(what, 1, indexes[i]) for what in sorted(changed))
            if numbers:
                lines.append(text_of(self.index[categories[i]], numbers))
        write_into(f"{self.folder}{label_of(f'/images/{name}')}", "".join([f"{line}\n" for line in lines]).encode())
        if not is_read(name, picture.header, size):
            changes.append(Loss("pictures of a kind or size that Ultralytics leaves out", 1))
        losses = (*changes, *losses_of(annotations, self._cannot_hold, self.told))
        return Made(Added(len(lines), losses, name), _top_of(name))

    def pack(self, rests: Sequence[str]) -> set[str]:
        return set(rests)

    def _cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        return cannot_hold(annotations, self.kind)


def is_read(name: str, header: Header | None, size_wh: tuple[int, int]) -> bool:
    """Whether Ultralytics takes a picture: by its ending, and if there is one, by its format, and by its size."""
    known = header is None or header.format in _READ_FORMATS
    return os.path.splitext(name)[1].lower() in _READ_ENDINGS and known and min(size_wh) >= _LEAST_SIDE


class _Writer:
    """See :class:`augpipe.formats.writer.DatasetWriter`."""

    def __init__(self, dataset: Dataset, stage: Stage, kind: Kind, keypoints: int, chosen: bool) -> None:
        self._folder, self._target = stage.folder, stage.target
        self._kind, self._keypoints, self._chosen = kind, keypoints, chosen
        self._categories = sorted(dataset.categories, key=lambda c: c.label)
        self._split = None if dataset.options.split is None else split_of(dataset)
        self._tops: set[str] = set()
        index = {c.id: i for i, c in enumerate(self._categories)}
        self.maker = _Encoder(stage.folder, kind, keypoints, index, self._split)

    def take(self, packed: set[str]) -> None:
        """``packed`` are the folders that the pictures' names begin with."""
        self._tops |= packed

    def discard(self) -> None:
        pass

    def close(self) -> Closing:
        splits, remarks = splits_of(self._split, self._tops, self._before())
        document = data_yaml(self._categories, self._kind, self._keypoints, splits)
        (self._folder / "data.yaml").write_text(document, "utf-8")
        if self._chosen:
            why = "no object has more" if self._kind == "detect" else "most objects have that"
            remarks = [f"rows hold {self._kind}, as {why}; --kind chooses another", *remarks]
        return Closing(categories_cannot_hold(self._categories, self._kind), tuple(remarks))

    def _before(self) -> dict[str, str]:
        """The splits that were converted into the same folder before; they stay, if classes and kind are the same."""
        try:
            data = read_data_yaml(self._target / "data.yaml")
        except DatasetError:
            return {}
        same = data.names == tuple(c.name for c in self._categories) and data.task == self._kind
        return {name: places[0] for name, places in data.splits.items()} if same and self._split else {}


def _top_of(name: str) -> str:
    """The folder that a name begins with, "" if it is in none."""
    top, below, _ = name.partition("/")
    if not below:
        return ""
    return PurePosixPath(name).parts[0] if top in ("", ".") else top


def _unwritable(objects: Objects, i: int) -> str | None:
    return "crowds" if objects.iscrowd[i] else None


def _upright(picture: Picture) -> Annotations:
    """The labels in pixels of the upright picture, of which fractions are taken."""
    header, stated = picture.header, picture.annotations.size_wh
    if header is None or stated == header.upright_wh or stated != header.stored_wh:
        return picture.annotations
    from augpipe.labels.normalize import turned  # here, as few pictures are turned, and OpenCV comes with it

    return turned(picture.annotations, header)


def splits_of(split: str | None, tops: set[str], before: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """(split → folder of pictures, remarks). Folders of the source that are named as splits are the splits.

    Ultralytics asks for train and val, so one that is missing names the pictures of the other.
    """
    known = {top: f"images/{top}" for top in sorted(tops) if top in SPLITS}
    if split is not None:
        splits = {**before, split if split in SPLITS else "train": f"images/{split}"}
    else:
        splits = known if known and set(known) == tops else {"train": "images"}
    splits = {_ULTRALYTICS.get(name, name): place for name, place in splits.items()}
    missing = [name for name in ("train", "val") if name not in splits]
    if not missing:
        return splits, []
    first = next(iter(splits.values()))
    said = f"data.yaml names {first} for {' and '.join(missing)} too, as there is no other split; part them to train"
    return {**splits, **dict.fromkeys(missing, first)}, [said]


def data_yaml(categories: Sequence[Category], kind: Kind, keypoints: int, splits: dict[str, str]) -> str:
    """The text of ``data.yaml``. It names no ``path``: then its own folder is the root."""
    order = {name: splits[name] for name in SPLITS if name in splits}
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


# --- losses ----------------------------------------------------------------------------------------------------------


def cannot_hold(annotations: Annotations, kind: Kind) -> dict[str, int]:
    """What YOLO has no place for in these labels: what → objects, or pictures, that have it."""
    objects = annotations.objects
    facts, counts = objects.facts, dict[str, int]()
    if facts:
        counts = {
            "object ids": sum([f.id is not None for f in facts]),
            "segmentations": 0 if kind == "segment" else _stated(objects.segmentation),
            "keypoints": 0 if kind == "pose" else _stated(objects.keypoints),
            "oriented boxes": 0 if kind == "obb" else _stated(objects.obb),
            "truncated, difficult and occluded flags": sum(
                [f.truncated is not None or f.difficult is not None or f.occluded is not None for f in facts]
            ),
            "poses": sum([f.pose is not None for f in facts]),
            "parts": sum(map(len, objects.parts)),
            "fields of objects": sum([bool(f.attributes) for f in facts]),
        }
    counts |= {
        "fields of pictures": int(bool(annotations.attributes)),
        "image ids": int(annotations.image_id is not None),
        "semantic masks": int(annotations.semantic is not None),
        "instance masks": int(annotations.instance is not None and not objects.instance.any()),
        "panoptic masks": int(annotations.panoptic is not None or bool(annotations.segments_info)),
        "captions": len(annotations.captions),
        "tags": len(annotations.tags),
    }
    return {name: n for name, n in counts.items() if n}


def _stated(column: Sequence[object]) -> int:
    return sum([value is not None for value in column])


def categories_cannot_hold(categories: Sequence[Category], kind: Kind) -> dict[str, int]:
    """What YOLO has no place for in the classes: what → classes that have it."""
    pose = kind == "pose"
    most = max((len(c.keypoints) for c in categories), default=0)
    counts = {
        "class ids": sum(c.id != c.label for c in categories),
        "supercategories": sum(c.supercategory is not None for c in categories),
        "skeletons": sum(bool(c.skeleton) for c in categories),
        "keypoint names": 0 if pose else sum(bool(c.keypoints) for c in categories),
        "classes with other keypoints": sum(len(c.keypoints) != most for c in categories) if pose else 0,
    }
    return {name: n for name, n in counts.items() if n}
