"""What a target loses: counts of everything that labels and classes may have besides boxes and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from augpipe.core.annotations import Annotations, Category

COUNTED: Mapping[str, Callable[[Annotations], int]] = {
    "object ids": lambda a: sum([f.id is not None for f in a.objects.facts]),
    "crowd flags": lambda a: int(a.objects.iscrowd.sum()),
    "segmentations": lambda a: _stated(a.objects.segmentation),
    "keypoints": lambda a: _stated(a.objects.keypoints),
    "oriented boxes": lambda a: _stated(a.objects.obb),
    "truncated, difficult and occluded flags": lambda a: sum(
        [f.truncated is not None or f.difficult is not None or f.occluded is not None for f in a.objects.facts]
    ),
    "poses": lambda a: sum([f.pose is not None for f in a.objects.facts]),
    "parts": lambda a: sum(map(len, a.objects.parts)),
    "fields of objects": lambda a: sum([bool(f.attributes) for f in a.objects.facts]),
    "fields of pictures": lambda a: int(bool(a.attributes)),
    "image ids": lambda a: int(a.image_id is not None),
    "semantic masks": lambda a: int(a.semantic is not None),
    "instance masks": lambda a: int(a.instance is not None and not a.objects.instance.any()),
    "panoptic masks": lambda a: int(a.panoptic is not None or bool(a.segments_info)),
    "captions": lambda a: len(a.captions),
    "tags": lambda a: len(a.tags),
}
"""What labels may have besides boxes and classes → in how many objects, or pictures, they have it."""

CLASSES_COUNTED: Mapping[str, Callable[[Sequence[Category]], int]] = {
    "class ids": lambda rows: sum(c.id != c.label for c in rows),
    "supercategories": lambda rows: sum(c.supercategory is not None for c in rows),
    "keypoint names": lambda rows: sum(bool(c.keypoints) for c in rows),
    "skeletons": lambda rows: sum(bool(c.skeleton) for c in rows),
    "keypoint names and skeletons": lambda rows: sum(bool(c.keypoints or c.skeleton) for c in rows),
}
"""What classes may have besides names → how many classes have it."""


def kinds_of(annotations: Annotations) -> dict[str, int]:
    """How many of each kind of :data:`COUNTED` there are."""
    return {what: n for what, count in COUNTED.items() if (n := count(annotations))}


@dataclass(frozen=True)
class Loss:
    """Something that a format cannot hold, in how many objects, pictures or classes it is, and the index of one of the
    objects in its picture."""

    what: str
    count: int
    index: int | None = None


def _stated(column: Sequence[object]) -> int:
    return sum([value is not None for value in column])
