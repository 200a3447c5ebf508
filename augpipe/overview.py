"""What is in a dataset or a finished folder: counts, classes, sizes, label kinds, and what is odd about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augpipe.errors import Reject, UsageError, fault, one_line
from augpipe.formats import open_dataset
from augpipe.formats.align import aligned
from augpipe.formats.base import Dataset, Entry, SourceOptions, read_picture
from augpipe.pixels.header import read_header
from augpipe.run.store import MANIFEST, RUN, read_json

_MOST_FAULTS = 100


@dataclass
class Overview:
    """What was counted.

    ``classes`` is name → objects (or pictures, for tags); ``kinds`` label kind → how many; ``sizes`` "W×H" → pictures;
    ``oddities`` code → pictures; ``faults`` are sentences, of which at most a hundred are kept.
    """

    path: str
    format: str
    pictures: int = 0
    objects: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    oddities: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}


def overview(
    source: str, options: SourceOptions, progress: Callable[[int], object] = lambda n: None
) -> Overview | dict[str, Any]:
    """Look through a dataset; of a finished folder of augpipe, give its manifest instead.

    Raises:
        UsageError: nothing there that is known, or a run that is not finished.
    """
    folder = Path(source)
    is_finished = (folder / MANIFEST).is_file()
    if is_finished and options.format is None:
        return read_json(folder / MANIFEST) or {}
    if not is_finished and (folder / RUN).is_file():
        raise UsageError(f"{source}: an unfinished run; run the same augment command again to finish it")
    dataset = open_dataset(source, options)
    out = Overview(source, dataset.format, remarks=list(dataset.remarks))
    names = {c.id: c.name for c in dataset.categories}
    classes = Counter({c.name: 0 for c in dataset.categories})
    for entry in dataset.entries:
        out.pictures += 1
        progress(1)
        reject = _rejected(dataset, entry, out, names, classes)
        if reject is not None:
            out.oddities[reject.code] += 1
            if len(out.faults) < _MOST_FAULTS:
                out.faults.append(f"{one_line(entry.key)}: {one_line(reject.message)}")
    out.classes = dict(classes)
    return out


def _rejected(
    dataset: Dataset, entry: Entry, out: Overview, names: dict[int, str], classes: Counter[str]
) -> Reject | None:
    """Look at one picture; why it cannot be used, which is no reason not to look at the others."""
    try:
        _look(dataset, entry, out, names, classes)
    except Reject as reject:
        return reject
    except Exception as error:  # as in a run
        return fault("read", error)
    return None


def _look(dataset: Dataset, entry: Entry, out: Overview, names: dict[int, str], classes: Counter[str]) -> None:
    header = read_header(read_picture(entry))
    annotations = aligned(dataset.reader.annotations(entry), header, dataset.options.exif)
    objects = annotations.objects
    w, h = header.upright_wh
    out.sizes[f"{w}×{h}"] += 1
    out.objects += len(objects)
    out.oddities.update(annotations.notes)
    out.dropped.update(d.reason for d in annotations.dropped)
    classes.update(names[int(c)] for c in objects.category_id)
    classes.update(annotations.tags)
    out.kinds.update(boxes=len(objects), tags=len(annotations.tags), captions=len(annotations.captions))
    out.kinds["crowds"] += int(objects.iscrowd.sum())
    for kind in ("segmentation", "keypoints", "obb"):
        out.kinds[kind] += sum(value is not None for value in getattr(objects, kind))
    for kind in ("semantic", "instance", "panoptic"):
        out.kinds[f"{kind} masks"] += getattr(annotations, kind) is not None
    if not len(objects) and not annotations.tags and annotations.semantic is None and annotations.panoptic is None:
        out.oddities["without-labels"] += 1
