"""The connected components of a semantic mask as masks: pixels of one value that touch by a side or a corner.

OpenCV finds the components; its numbers are not used beyond that, so their order does not depend on how it works. Runs
of all of them are read off the numbered picture at once: time grows with the pixels and not with the components.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import I64, Raster, Rle
from augpipe.core.opencv import cv2
from augpipe.labels.rle import counts_of

_CHUNK = 1 << 20  # pixels whose numbers are turned to columns at once


class Component(NamedTuple):
    """Pixels that belong together: a value of theirs, their mask, and the tight box xyxy around it."""

    value: int
    mask: Rle
    box_xyxy: tuple[int, int, int, int]


def components_of(raster: Raster, values: Collection[int], most: int) -> list[Component]:
    """The 8-connected components (H, W) of each of ``values``, by value, then by their first pixel down the columns.

    Raises:
        ValueError: there are more than ``most``.
    """
    there = sorted(set(values) & set(np.unique(raster).tolist()))
    out: list[Component] = []
    for value in there:
        count, numbers = cv2.connectedComponents((raster == value).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
        if len(out) + count - 1 > most:
            raise ValueError(f"more than {most:,} connected components")
        out += (Component(value, mask, box) for _, mask, box in numbered_masks(numbers))
    return out


def numbered_masks(numbers: NDArray[Any]) -> list[Component]:
    """The pixels of each number above 0 of a raster (H, W), by their first pixel down the columns."""
    height, width = numbers.shape
    owners, starts, stops = _runs(numbers)
    bounds = np.flatnonzero(np.diff(owners, prepend=-1, append=-1))
    boxes = _boxes(starts, stops, bounds, height)
    out = []
    for k in np.argsort(starts[bounds[:-1]], kind="stable").tolist():
        first, last = bounds[k], bounds[k + 1]
        edges = np.stack([starts[first:last], stops[first:last]], axis=1).reshape(-1)
        runs = np.diff(edges, prepend=0, append=height * width)
        mask = Rle((height, width), counts_of(runs if runs[-1] else runs[:-1]))
        out.append(Component(int(owners[first]), mask, boxes[k]))
    return out


def _boxes(starts: I64, stops: I64, bounds: I64, height: int) -> list[tuple[int, int, int, int]]:
    """The box around the runs between each two ``bounds``; a run over the end of a column has all rows."""
    if len(bounds) < 2:
        return []
    wraps = starts // height != (stops - 1) // height
    tops = np.where(wraps, 0, starts % height)
    bottoms = np.where(wraps, height, (stops - 1) % height + 1)
    columns = (
        starts[bounds[:-1]] // height,
        np.minimum.reduceat(tops, bounds[:-1]),
        (stops[bounds[1:] - 1] - 1) // height + 1,
        np.maximum.reduceat(bottoms, bounds[:-1]),
    )
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.stack(columns, axis=1).tolist()]


def _runs(numbers: NDArray[Any]) -> tuple[I64, I64, I64]:
    """(number, first place, place past the last) of each run of a number above 0 down the columns, by number."""
    height, width = numbers.shape
    columns = max(1, _CHUNK // height)
    parts: list[tuple[I64, I64, I64]] = []
    for left in range(0, width, columns):
        flat = numbers[:, left : left + columns].T.reshape(-1)
        starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1).astype(np.int64)
        stops = np.append(starts[1:], flat.size)
        owners = flat[starts].astype(np.int64)
        seen = owners > 0
        parts.append((owners[seen], starts[seen] + left * height, stops[seen] + left * height))
    owners, starts, stops = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(owners, kind="stable")
    owners, starts, stops = owners[order], starts[order], stops[order]
    # A run that ends where the next of its component begins was only cut between two chunks.
    goes_on = (owners[1:] == owners[:-1]) & (starts[1:] == stops[:-1])
    if not len(owners):
        return owners, starts, stops
    return owners[np.append(True, ~goes_on)], starts[np.append(True, ~goes_on)], stops[np.append(~goes_on, True)]
