"""What becomes of each kind of label under an operation, as the operation declares it.

The table of docs/recipes.md is made from these declarations, and a test runs every cell of it. A recipe with an
operation that cannot carry a kind of label is refused for a dataset that has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

LabelEffect: TypeAlias = Literal[
    "untouched", "moved", "cut", "clipped", "boxed", "refitted", "resampled", "lowered", "covered", "cannot"
]

LABEL_EFFECTS: dict[LabelEffect, str] = {
    "untouched": "stays as it is",
    "moved": "moves by the same numbers; nothing of it is lost",
    "cut": "moves, and what leaves the frame is gone: a box and a shape are cut, a keypoint becomes v = 0",
    "clipped": "moves; where the frame cuts it, it becomes what `labels.obb` says",
    "boxed": "becomes the box around its turned corners, or ellipse, cut at the frame",
    "refitted": "becomes the smallest rectangle around what it turns into; where it is cut, what `labels.obb` says",
    "resampled": "is warped in the picture's own pixels, nearest neighbour; new ground of a raster is void",
    "lowered": "stays, and what is painted over lowers `visible`; a keypoint under it becomes v = 1",
    "covered": "as `labels.erased` says: stays (`lower`), or loses what is painted over (`cut`)",
    "cannot": "cannot be carried: a recipe with this step is refused",
}
"""What each effect means."""

_MOVES = ("moved", "cut", "clipped", "boxed", "refitted", "resampled")


@dataclass(frozen=True)
class LabelEffects:
    """The effect on every kind of label. ``crowd`` is the flag of an object, whose region is a mask or a polygon."""

    box: LabelEffect = "untouched"
    obb: LabelEffect = "untouched"
    polygon: LabelEffect = "untouched"
    mask: LabelEffect = "untouched"
    keypoints: LabelEffect = "untouched"
    parts: LabelEffect = "untouched"
    semantic: LabelEffect = "untouched"
    instance: LabelEffect = "untouched"
    panoptic: LabelEffect = "untouched"
    crowd: LabelEffect = "untouched"
    attributes: LabelEffect = "untouched"
    tags: LabelEffect = "untouched"
    captions: LabelEffect = "untouched"

    def of(self, kind: str) -> LabelEffect:
        """The effect on one kind."""
        effect: LabelEffect = getattr(self, kind)
        return effect

    def cannot(self) -> list[str]:
        """The kinds that cannot be carried."""
        return [kind for kind in LABEL_KINDS if self.of(kind) == "cannot"]

    @property
    def moves(self) -> bool:
        """Whether the picture is resampled, since labels move with it."""
        return any(self.of(kind) in _MOVES for kind in LABEL_KINDS)

    @property
    def covers(self) -> bool:
        """Whether something of the picture is painted over."""
        return any(self.of(kind) in ("lowered", "covered") for kind in LABEL_KINDS)


LABEL_KINDS: dict[str, str] = {
    "box": "boxes",
    "obb": "oriented boxes",
    "polygon": "polygons",
    "mask": "masks (RLE)",
    "keypoints": "keypoints",
    "parts": "parts",
    "semantic": "semantic masks",
    "instance": "instance masks",
    "panoptic": "panoptic masks",
    "crowd": "crowd flags",
    "attributes": "attributes",
    "tags": "tags",
    "captions": "captions",
}
"""Kind → what it is called, in the order of the table."""


def _all(effect: LabelEffect) -> LabelEffects:
    """The same effect on everything that has a place in the picture."""
    places = ("box", "obb", "polygon", "mask", "keypoints", "parts", "semantic", "instance", "panoptic")
    return replace(LabelEffects(), **dict.fromkeys(places, effect))


NOTHING = LabelEffects()
"""Colour, blur, noise, compression: labels stay as they are."""

WHOLE = replace(_all("moved"), obb="clipped")
"""Whole pixels to whole pixels, and all of them stay: flips, quarter turns, bars. An oriented box that leaves the frame
of the source leaves that of the result too."""

WINDOW = replace(_all("cut"), obb="clipped")
"""Whole pixels to whole pixels, of which the frame leaves some."""

STRETCH = replace(_all("moved"), obb="refitted", mask="resampled", semantic="resampled", instance="resampled",
                  panoptic="resampled")  # fmt: skip
"""Another size for all of it; where the shape is not kept, a leaning oriented box is no rectangle any more."""

STRETCHED_WINDOW = replace(STRETCH, box="cut", polygon="cut", keypoints="cut", parts="cut")
"""A window that is brought to another size."""

TURN = replace(STRETCHED_WINDOW, box="boxed", parts="boxed", obb="clipped")
"""A rotation, after which an oriented box is still a rectangle."""

MAP = replace(TURN, obb="refitted")
"""Any other map: shear, perspective."""

PAINT = LabelEffects(box="lowered", obb="lowered", polygon="covered", mask="covered", keypoints="lowered",
                semantic="covered", instance="covered", panoptic="covered")  # fmt: skip
"""Painting over. Parts have no visibility to lower."""
