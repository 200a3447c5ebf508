"""How long labels take: microseconds a picture, or an object, for each kind of label.

    python benchmarks/labels.py [--rounds 15]

Every case is timed in turn, round after round, and the least time of each is printed beside its target: on a machine
that does other things as well, the least is what the work itself takes.
"""

from __future__ import annotations

import argparse
import sys
import timeit
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, Category, ObjectRow, Rings, Segmentation, objects_of
from augpipe.core.canvas import CanvasState, follow
from augpipe.core.plan import Step
from augpipe.labels.rle import rle_of
from augpipe.labels.rules import LabelRules
from augpipe.labels.transform import apply
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.warp import Warp

SIZE_WH = (1024, 1024)
CALLS = 20


class Case(NamedTuple):
    """``objects`` is what the time is divided by, ``target`` in microseconds; 0 where there is none."""

    name: str
    annotations: Annotations
    track: CanvasState
    objects: int
    target: float


def along_the_edge(i: int, crosses: bool) -> tuple[float, float]:
    """A place for the i-th object: inside, or so that the turned frame cuts it."""
    x = ((40.0, 930.0) if crosses else (420.0, 560.0))[i % 2]
    return x, 300.0 + 40.0 * (i % 10)


def boxes(count: int, crossing: int) -> Annotations:
    """Plain boxes of 120×90."""
    rows = []
    for i in range(count):
        x, y = along_the_edge(i, i < crossing)
        rows.append(ObjectRow(i, 1, (x - 30.0, y, min(x + 90.0, 1024.0), y + 90.0)))
    return Annotations(objects=objects_of(rows))


def polygons(count: int, crossing: int, points: int = 30) -> Annotations:
    """Lobed polygons about 100 pixels wide."""
    angles = np.arange(points) * 2.0 * np.pi / points
    lobes = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (48.0 + 6.0 * np.cos(5.0 * angles))[:, None]
    rows = []
    for i in range(count):
        ring = np.clip(lobes + np.array(along_the_edge(i, i < crossing)), 0.0, 1024.0)
        rows.append(row_around(i, ring, Rings((ring,))))
    return Annotations(objects=objects_of(rows))


def row_around(i: int, points: np.ndarray, segmentation: Segmentation) -> ObjectRow:
    x0, y0, x1, y1 = *points.min(axis=0).tolist(), *points.max(axis=0).tolist()
    return ObjectRow(i, 1, (x0, y0, x1, y1), segmentation=segmentation)


def masks(count: int, crosses: bool) -> Annotations:
    """Discs of 100×100 pixels as RLE."""
    y, x = np.mgrid[:100, :100] - 49.5
    disc = (x * x + y * y < 2500.0).astype(np.uint8)
    left = 4 if crosses else 460
    code = rle_of(disc, (left, 470), SIZE_WH)
    corners = np.array([[left, 470.0], [left + 100.0, 570.0]])
    return Annotations(objects=objects_of([row_around(i, corners, code) for i in range(count)]))


def people(count: int) -> Annotations:
    """Boxes with 17 keypoints."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        x, y = along_the_edge(i, False)
        points = np.concatenate(
            [rng.uniform((x - 30.0, y), (x + 60.0, y + 90.0), (17, 2)), np.full((17, 1), 2.0)], axis=1
        )
        rows.append(ObjectRow(i, 1, (x - 30.0, y, x + 90.0, y + 90.0), keypoints=points))
    return Annotations(objects=objects_of(rows))


def cases() -> list[Case]:
    """Everything that is timed."""
    middle = (512.0, 512.0)
    turn = Warp(matrix=g.rounded(g.about(middle, g.then(g.scaling(1.1, 1.1), g.rotation(12.0)))), size_wh=SIZE_WH)
    flip = Warp(matrix=g.mirror_x(1024), size_wh=SIZE_WH)
    corners = [(-20.0, 10.0), (1000.0, -30.0), (1060.0, 1000.0), (30.0, 1050.0)]
    tilt = Warp(matrix=g.rounded(g.then(g.scaling(1 / 1024, 1 / 1024), g.square_to_quad(corners))), size_wh=SIZE_WH)
    erase = Cutout(boxes_xyxy=((400, 300, 700, 500),), fill=(0, 0, 0))
    return [
        Case("10 boxes, affine", boxes(10, 0), track(turn), 1, 150),
        Case("10 boxes, half crossing", boxes(10, 5), track(turn), 1, 150),
        Case("10 boxes, flip", boxes(10, 0), track(flip), 1, 150),
        Case("10 boxes, perspective", boxes(10, 5), track(tilt), 1, 0),
        Case("10 boxes, erased", boxes(10, 5), track(erase, turn), 1, 0),
        Case("100 boxes, half crossing", boxes(100, 50), track(turn), 1, 0),
        Case("10 polygons of 30 points", polygons(10, 0), track(turn), 1, 1000),
        Case("10 polygons, half crossing", polygons(10, 5), track(turn), 1, 1000),
        Case("10 polygons of 1000 points, half crossing", polygons(10, 5, 1000), track(turn), 1, 0),
        Case("10 people of 17 keypoints", people(10), track(turn), 1, 0),
        Case("an RLE of 100×100, affine", masks(10, False), track(turn), 10, 100),
        Case("an RLE of 100×100, crossing", masks(10, True), track(turn), 10, 100),
        Case("an RLE of 100×100, flip", masks(10, False), track(flip), 10, 100),
    ]


def track(*steps: Step) -> CanvasState:
    return follow(steps, SIZE_WH)


def best_times(work: list[Callable[[], object]], rounds: int) -> list[float]:
    """The least seconds of each, taken in turn."""
    least = [float("inf")] * len(work)
    for _ in range(rounds):
        for i, call in enumerate(work):
            least[i] = min(least[i], timeit.timeit(call, number=CALLS) / CALLS)
    return least


def main() -> int:
    """Time all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each case is timed")
    rounds = parser.parse_args().rounds
    rules, categories = LabelRules(), {1: Category(1, 1, "thing")}
    found = cases()
    calls = [lambda case=case: apply(case.annotations, case.track, rules, categories) for case in found]
    print(f"{'case':<44} {'µs':>8} {'target':>8}")
    for case, seconds in zip(found, best_times(calls, rounds), strict=True):
        target = f"{case.target:8.0f}" if case.target else f"{'-':>8}"
        print(f"{case.name:<44} {seconds / case.objects * 1e6:8.1f} {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
