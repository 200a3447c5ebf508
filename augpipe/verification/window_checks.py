"""Windows of tiles and crops as docs/tile.md has them, by arithmetic of their own, and what a window must show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from augpipe.core.annotations import F64, U8, Annotations, Category, Objects, Rings
from augpipe.core.plan import Plan
from augpipe.verification.objects.expected import bitmap_of
from augpipe.verification.supersample import box_of
from augpipe.windows.spec import ObjectWindows, Tiles, WindowSpec

Xyxy: TypeAlias = tuple[int, int, int, int]


def window_of(spec: WindowSpec, number: int, objects: Objects, size_wh: tuple[int, int]) -> Xyxy | None:
    """The window of that number; ``None`` if the picture has none."""
    return _tile(spec, number, size_wh) if isinstance(spec, Tiles) else _around(spec, number, objects, size_wh)


def _tile(spec: Tiles, number: int, size_wh: tuple[int, int]) -> Xyxy | None:
    counts, origins = [], []
    for side, window, overlap in zip(size_wh, spec.size, spec.overlap, strict=True):
        counts.append(1 if side <= window else 1 + math.ceil((side - window) / (window - overlap)))
    if not 0 <= number < counts[0] * counts[1]:
        return None
    for place, side, window, overlap in zip(
        (number % counts[0], number // counts[0]), size_wh, spec.size, spec.overlap, strict=True
    ):
        origins.append(max(0, min(place * (window - overlap), side - window)))
    ends = [origin + window for origin, window in zip(origins, spec.size, strict=True)]
    if not spec.pad:
        ends = [min(end, side) for end, side in zip(ends, size_wh, strict=True)]
    return origins[0], origins[1], ends[0], ends[1]


def _around(spec: ObjectWindows, number: int, objects: Objects, size_wh: tuple[int, int]) -> Xyxy | None:
    found = np.flatnonzero(objects.index == number)
    if not found.size or objects.iscrowd[found[0]]:
        return None
    box = objects.boxes_xyxy[found[0]]
    sides = box[2:] - box[:2]
    if sides.min() < spec.min_side - 0.001:
        return None
    margin = spec.margin * (sides if spec.unit == "share" else np.ones(2))
    size = np.array(size_wh)
    low = np.clip(np.floor(box[:2] - margin), 0, size - 1)
    high = np.maximum(np.clip(np.ceil(box[2:] + margin), 1, size), low + 1)
    if spec.square:
        wanted = np.minimum((high - low).max(), size)
        low = np.clip(low - (wanted - (high - low)) // 2, 0, size - wanted)
        high = low + wanted
    x0, y0, x1, y1 = (int(v) for v in (*low, *high))
    return x0, y0, x1, y1


def fault_of_window(plan: Plan, spec: WindowSpec, number: int, window: Xyxy, size_wh: tuple[int, int]) -> str | None:
    """How a plan differs from the move to a window, in words."""
    x0, y0, x1, y1 = window
    if [(drawn.name, list(drawn.parameters.get("window_xyxy", ()))) for drawn in plan.drawn] != [
        ("tile" if isinstance(spec, Tiles) else "crop", list(window))
    ]:
        return f"its plan does not name window {number}, which is {list(window)}"
    moves = [step.canvas_change() for step in plan.steps]
    if not moves and window == (0, 0, *size_wh):
        return None
    expected = [1.0, 0.0, -x0, 0.0, 1.0, -y0, 0.0, 0.0, 1.0]
    if len(moves) != 1 or moves[0].size_wh != (x1 - x0, y1 - y0) or list(moves[0].matrix or ()) != expected:
        return f"its plan does not lead to window {number}, which is {list(window)}"
    return None


def as_seen(spec: WindowSpec, number: int, source: Annotations, categories: Mapping[int, Category]) -> Annotations:
    """What the sample of a window is to say of the picture as a whole."""
    if isinstance(spec, Tiles):
        return source
    row = int(np.flatnonzero(source.objects.index == number)[0])
    return replace(source, tags=(categories[int(source.objects.category_id[row])].name,), captions=())


def may_lack(spec: WindowSpec, number: int, objects: Objects, row: int, window: Xyxy) -> bool:
    """Whether the sample of a window need not speak of an object: it shows nothing of it, or is that of another one."""
    if isinstance(spec, ObjectWindows) and not spec.others:
        return int(objects.index[row]) != number
    x0, y0, x1, y1 = _reach(objects, row)
    return bool(x1 <= window[0] or y1 <= window[1] or x0 >= window[2] or y0 >= window[3])


def _reach(objects: Objects, row: int) -> F64:
    """The box around all that an object has but its keypoints."""
    points = [objects.boxes_xyxy[row].reshape(2, 2)]
    segmentation, obb = objects.segmentation[row], objects.obb[row]
    if isinstance(segmentation, Rings):
        points += segmentation.rings
    elif segmentation is not None and (box := box_of(bitmap_of(segmentation))) is not None:
        points.append(box.reshape(2, 2))
    if obb is not None:
        points.append(obb)
    together = np.concatenate(points)
    return np.concatenate([together.min(axis=0), together.max(axis=0)])


def cut_out(picture: U8, window: Xyxy) -> U8:
    """The pixels of a window; black where it reaches beyond the picture."""
    x0, y0, x1, y1 = window
    inside = picture[y0:y1, x0:x1]
    out = np.zeros((y1 - y0, x1 - x0, *picture.shape[2:]), np.uint8)
    out[: inside.shape[0], : inside.shape[1]] = inside
    return out
