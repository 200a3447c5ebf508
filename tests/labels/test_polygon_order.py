"""Polygons that are cut run as they ran, from the first of their points that is left; beside plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import CATEGORIES, SIZE, erase, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, ObjectRow, Rings, objects_of
from augpipe.core.canvas import follow
from augpipe.labels import transform
from augpipe.labels.transform import LabelRules

RULES = LabelRules(min_area=0.0, min_side=0.0)
STAR = np.array([[30.0, 4.0], [35.0, 18.0], [50.0, 20.0], [38.0, 28.0], [42.0, 42.0], [30.0, 34.0], [18.0, 42.0],
                 [22.0, 28.0], [10.0, 20.0], [25.0, 18.0]])  # fmt: skip


def turn_of(ring):
    """Positive if it runs clockwise on the screen."""
    (x, y), (a, b) = ring.T, np.roll(ring, -1, axis=0).T
    return float((x * b - a * y).sum())


def rings_of(ring, steps, **rules):
    box = (*ring.min(axis=0).tolist(), *ring.max(axis=0).tolist())
    picture = Annotations(objects=objects_of([ObjectRow(0, 2, box, segmentation=Rings((ring,)))]))
    out = transform.apply(picture, follow(steps, SIZE), LabelRules(0.0, 0.0, 0.0, **rules), CATEGORIES)
    return out.annotations.objects.segmentation[0].rings


@pytest.mark.parametrize("first", range(10))
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("x", "y"), [(-20.0, 0.0), (20.0, 5.0), (0.0, -12.0)])
def test_a_cut_polygon_runs_on_from_its_first_point_that_is_left(first, backwards, mirrored, x, y):
    ring = np.roll(STAR[::-1] if backwards else STAR, -first, axis=0)
    matrix = g.then(g.mirror_x(64) if mirrored else g.IDENTITY, g.translation(x, y))
    moved = g.move_points(matrix, ring)
    inside = ((moved > 0.0) & (moved < SIZE)).all(axis=1)
    rings = rings_of(ring, [warp(matrix)])
    assert 0 < inside.sum() < len(ring)
    (start,) = [r[0].tolist() for r in rings if (r == moved[inside][0]).all(axis=1).any()]
    assert start == moved[inside][0].tolist()
    for found in rings:
        assert turn_of(found) * turn_of(moved) > 0.0
        places = [moved.tolist().index(p) for p in found.tolist() if p in moved.tolist()]
        assert places == sorted(places)  # the points that are left, in their order, from the first of them on


def test_a_polygon_under_paint_does_too():
    for ring in (STAR, STAR[::-1].copy()):
        (found,) = rings_of(ring, [erase((0, 30, 64, 48))], erased="cut")
        left = ring[ring[:, 1] < 30.0]
        assert found[0].tolist() == left[0].tolist()
        assert turn_of(found) * turn_of(ring) > 0.0
