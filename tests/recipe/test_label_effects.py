"""Every cell of the table "label × operation" is run: what an operation declares is so, by numpy and paint."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest
import shapely
from bent import back_through
from effect_runs import KEEP, runs
from painted import Particles, box_of, fill
from scenes import SIZE

from augpipe.core.annotations import Rings, Rle
from augpipe.labels import rle
from augpipe.recipe import reference_docs
from augpipe.recipe.operation.label_effects import LABEL_EFFECTS, LABEL_KINDS, LabelEffect, LabelEffects
from augpipe.recipe.ops import OPERATIONS

CUT = replace(KEEP, erased="cut")
FINE = 8
SWAPPED = [0, 2, 1, 4, 3]  # nose, left_eye, right_eye, left_ear, right_ear in a mirror

WITH_ALL = {"bbox_safe_crop", "grid_distortion"}  # the edges stay where they are
CELLS = [(name, kind) for name in OPERATIONS for kind in LABEL_KINDS]


@pytest.mark.parametrize(("name", "kind"), CELLS)
def test_a_cell_of_the_table(name, kind):
    fate = OPERATIONS[name].label_effects.of(kind)
    if fate == "cannot":
        return  # refused before any work: tests/recipe/test_compatibility.py
    for run in runs(name):
        check(kind, "untouched" if fate == "covered" else fate, run)
    for run in runs(name, CUT):
        check(kind, fate, run)
    if (
        fate in ("cut", "boxed")
        and kind in ("box", "polygon", "mask")
        and name not in WITH_ALL
        and (name, kind) != ("elastic", "polygon")
    ):
        assert any(is_cut(run, now) for run in runs(name) for _, now in run.pairs(OF_KIND[kind]))


def is_cut(run, now):
    return now is None or run.out.shapes[now].in_frame < 0.99


def check(kind, fate, run):
    if kind in ("semantic", "instance", "panoptic"):
        check_raster(kind, fate, run)
    elif kind in ("box", "obb", "polygon", "mask", "keypoints", "parts"):
        wanted = OF_KIND[kind]
        pairs = list(run.pairs(wanted))
        assert pairs or kind == "mask"
        for row, now in pairs:
            CHECKS[kind](fate, run, row, now)
    else:
        check_said(kind, fate, run)


# --- what has no place -----------------------------------------------------------------------------------------------


def check_said(kind, fate, run):
    assert fate == "untouched"
    before, after = run.source, run.out.annotations
    if kind in ("tags", "captions"):
        assert getattr(before, kind)
        assert getattr(after, kind) == getattr(before, kind)
        return
    for row, now in run.pairs(lambda objects, i: True):
        if now is not None:
            assert after.objects.iscrowd[now] == before.objects.iscrowd[row]
            assert after.objects.facts[now].attributes == before.objects.facts[row].attributes


# --- objects ---------------------------------------------------------------------------------------------------------

OF_KIND = {
    "box": lambda objects, i: objects.segmentation[i] is None and objects.obb[i] is None,
    "obb": lambda objects, i: objects.obb[i] is not None,
    "polygon": lambda objects, i: isinstance(objects.segmentation[i], Rings),
    "mask": lambda objects, i: isinstance(objects.segmentation[i], Rle),
    "keypoints": lambda objects, i: objects.keypoints[i] is not None,
    "parts": lambda objects, i: bool(objects.parts[i]),
}


def corners(box):
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def in_frame(points, size_wh):
    return np.clip(points, 0.0, size_wh)


def is_whole(run, now):
    assert now is not None
    assert run.out.shapes[now].in_frame > 0.9999
    assert run.out.shapes[now].visible > 0.9999


def painted_share(run, rings):
    return Particles(fill(rings, SIZE, FINE), FINE).through(run.plan.steps).visible


def check_lowered(run, rings, now):
    share = painted_share(run, rings)
    if now is None:
        assert share < 0.05
    else:
        assert run.out.shapes[now].visible == pytest.approx(share, abs=0.05)


def check_moved_box(fate, run, before, after):
    """``after`` may be ``None``: the frame leaves nothing of it."""
    at, turned = run.outline(corners(before)), run.moved(corners(before))
    if fate in ("untouched", "lowered"):
        assert tuple(after) == tuple(before)
    elif fate == "moved":
        np.testing.assert_allclose(after, [*at.min(axis=0), *at.max(axis=0)], atol=1e-5)
    elif fate == "cut":
        cut = in_frame(at, run.out.size_wh)
        if after is None:
            assert np.ptp(cut, axis=0).min() < 1e-3
        else:
            np.testing.assert_allclose(after, [*cut.min(axis=0), *cut.max(axis=0)], atol=1e-5)
    else:
        assert fate == "boxed"
        seen = box_of(fill([at], run.out.size_wh, FINE), FINE)
        assert (after is None) <= (seen is None or np.ptp(seen.reshape(2, 2), axis=0).min() < 0.2)
        if after is not None and seen is not None:
            np.testing.assert_allclose(after, seen, atol=1.5 / FINE + 0.3 * run_is_sharp(turned))


def run_is_sharp(quad):
    """Whether a corner is narrow: little paint is in its tip."""
    sides = np.roll(quad, -1, axis=0) - quad
    sides = sides / np.linalg.norm(sides, axis=1)[:, None]
    return bool((np.abs((sides * np.roll(sides, -1, axis=0)).sum(axis=1)) > 0.5).any())


def check_box(fate, run, row, now):
    before = run.source.objects.boxes_xyxy[row]
    if fate in ("untouched", "moved"):
        is_whole(run, now)
    if fate == "lowered":
        check_lowered(run, [corners(before)], now)
    if fate == "lowered" and now is None:
        return
    check_moved_box(fate, run, before, None if now is None else run.out.annotations.objects.boxes_xyxy[now])


def check_parts(fate, run, row, now):
    if now is None:
        return
    after = {part.name: part.box_xyxy for part in run.out.annotations.objects.parts[now]}
    for part in run.source.objects.parts[row]:
        check_moved_box(fate, run, part.box_xyxy, after.get(part.name))


def check_obb(fate, run, row, now):
    before = run.source.objects.obb[row]
    if fate == "lowered":
        check_lowered(run, [before], now)
    if now is None:
        assert fate != "untouched"
        return
    if fate == "untouched":
        is_whole(run, now)
    after, at = run.out.annotations.objects.obb[now], run.outline(before)
    if fate in ("untouched", "lowered"):
        at = before
    left = seen_of(run, before)
    if fate in ("clipped", "refitted") and left is not None:
        if wide_of(left, run.out.size_wh):
            assert contains(after, left, 0.05 * run.is_bent)
        else:
            check_rectangle(after, left, 0.05 * run.is_bent)
    elif fate == "refitted" and wide_of(at, run.out.size_wh):
        assert contains(after, at, 0.05 * run.is_bent)
    elif fate == "refitted":
        check_rectangle(after, at, 0.05 * run.is_bent)
    else:  # the same four corners, clockwise on the screen
        assert max(np.abs(after - corner).sum(axis=1).min() for corner in at) < 1e-5
    (x0, y0), (x1, y1), (x2, y2) = after[:3]
    assert (x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1) > 0.0


def seen_of(run, before):
    """What is left of an oriented box that some frame cuts, by GEOS; ``None`` if that is all of it."""
    frame, canvas = shapely.box(0, 0, *SIZE), shapely.box(0, 0, *run.out.size_wh)
    in_source = shapely.Polygon(before).intersection(frame)
    left = shapely.Polygon(run.outline(np.array(in_source.exterior.coords)[:-1])).intersection(canvas)
    whole = in_source.area > shapely.Polygon(before).area - 1e-6 and canvas.buffer(1e-6).covers(
        shapely.Polygon(run.outline(before))
    )
    return None if whole else np.array(left.exterior.coords)[:-1]


def wide_of(points, size_wh):
    """Whether the smallest rectangle around points is too wide for the picture."""
    corners = np.array(shapely.minimum_rotated_rectangle(shapely.MultiPoint(points)).exterior.coords)
    return bool((np.ptp(corners, axis=0) > np.array(size_wh) - 0.01).any())


def contains(rectangle, points, slack=0.0):
    return shapely.Polygon(rectangle).buffer(1e-6 + slack).covers(shapely.MultiPoint(points))


def check_rectangle(after, at, slack=0.0):
    sides = np.roll(after, -1, axis=0) - after
    lengths = np.linalg.norm(sides, axis=1)
    assert np.abs((sides * np.roll(sides, -1, axis=0)).sum(axis=1)).max() < 1e-6 * lengths.max() ** 2
    along, across = sides[0] / lengths[0], sides[1] / lengths[1]
    own = np.stack([(at - after[0]) @ along, (at - after[0]) @ across], axis=1)
    assert own.min() > -1e-5 - slack
    assert (own <= lengths[:2] + 1e-5 + slack).all()
    angles = np.radians(np.arange(0, 90, 0.25))
    spans = [np.ptp(at @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]), axis=0).prod() for a in angles]
    assert lengths[0] * lengths[1] <= min(spans) * (1 + 1e-6) + slack * lengths.max()


def painted(segmentation, size_wh):
    """A polygon or mask on a fine canvas."""
    if segmentation is None:
        return np.zeros((size_wh[1] * FINE, size_wh[0] * FINE), bool)
    if isinstance(segmentation, Rings):
        return fill(segmentation.rings, size_wh, FINE)
    return np.kron(rle.rasterise(segmentation, size_wh), np.ones((FINE, FINE))).astype(bool)


def check_polygon(fate, run, row, now):
    before = run.source.objects.segmentation[row]
    after = None if now is None else run.out.annotations.objects.segmentation[now]
    if fate == "untouched":
        assert now is None or all((a == b).all() for a, b in zip(after.rings, before.rings, strict=True))
        return
    expected = fill([run.outline(ring) for ring in before.rings], run.out.size_wh, FINE)
    if fate == "moved":
        is_whole(run, now)
        points, at = np.concatenate(after.rings), run.moved(np.concatenate(before.rings))
        np.testing.assert_allclose(points.min(axis=0), at.min(axis=0), atol=1e-5)
        np.testing.assert_allclose(points.max(axis=0), at.max(axis=0), atol=1e-5)
    elif fate == "covered":
        for x0, y0, x1, y1 in run.erased:
            expected[y0 * FINE : y1 * FINE, x0 * FINE : x1 * FINE] = False
    else:
        assert fate == "cut"
    got = painted(after, run.out.size_wh)
    # A polygon in which paint leaves a hole becomes pixels.
    coarse = 0.5 if isinstance(after, Rle) else 0.1
    edge = sum(np.linalg.norm(np.roll(r, -1, axis=0) - r, axis=1).sum() for r in map(run.outline, before.rings))
    assert (got != expected).sum() / FINE**2 <= coarse * edge + 0.2
    if fate == "covered" and now is not None:
        box, seen = run.out.annotations.objects.boxes_xyxy[now], box_of(expected, FINE)
        if run.out.shapes[now].visible < 1.0 and seen is not None:
            np.testing.assert_allclose(box, seen, atol=1.0)


def check_mask(fate, run, row, now):
    before = rle.rasterise(run.source.objects.segmentation[row], SIZE)
    w, h = run.out.size_wh
    got = rle.rasterise(run.out.annotations.objects.segmentation[now], (w, h)) if now is not None else None
    expected, known = arranged(fate, run, before, 0)
    if got is None:
        assert fate not in ("moved",)
        assert fate == "untouched" or expected[known].sum() <= 4
        return
    assert (got == expected)[known].all()
    if fate in ("covered", "resampled", "cut", "moved") and run.out.shapes[now].box_from == "mask":
        rows, columns = np.nonzero(got)
        tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert run.out.annotations.objects.boxes_xyxy[now].tolist() == tight
        assert run.out.shapes[now].area == got.sum()
    if fate == "moved":
        is_whole(run, now)


def check_keypoints(fate, run, row, now):
    if now is None:
        return
    before, after = run.source.objects.keypoints[row].copy(), run.out.annotations.objects.keypoints[now]
    seen = before[:, 2] > 0
    if fate == "lowered":
        for x0, y0, x1, y1 in run.erased:
            x, y = before[:, 0], before[:, 1]
            before[seen & (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1), 2] = 1
    elif fate in ("moved", "cut"):
        at = run.moved(before)
        there = seen & ((at >= 0.0) & (at <= run.out.size_wh)).all(axis=1)
        assert fate == "cut" or (there == seen).all()
        before[:, :2] = at
        before[~there] = 0.0
        if run.mirrors:
            before = before[SWAPPED]
    else:
        assert fate == "untouched"
    np.testing.assert_allclose(after, before, atol=2e-3 if run.is_bent else 1e-5)  # nodes are whole 1/1024


CHECKS = {
    "box": check_box,
    "obb": check_obb,
    "polygon": check_polygon,
    "mask": check_mask,
    "keypoints": check_keypoints,
    "parts": check_parts,
}


# --- pixels ----------------------------------------------------------------------------------------------------------


def arranged(fate, run, raster, void):
    """(a raster after the map, pixel by pixel in float64; where that is certain)."""
    w, h = run.out.size_wh
    if fate in ("untouched", "covered"):
        out = raster.copy()
        for x0, y0, x1, y1 in run.erased if fate == "covered" else ():
            out[y0:y1, x0:x1] = void
        return out, np.ones((h, w), bool)
    x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    at = back_through(run.plan.steps, np.stack([x.ravel(), y.ravel()], axis=1)).reshape(h, w, 2)
    pixel = np.floor(at).astype(int)
    inside = ((pixel >= 0) & (pixel < SIZE)).all(axis=2)
    out = np.full((h, w), void, raster.dtype)
    out[inside] = raster[pixel[inside][:, 1], pixel[inside][:, 0]]
    if fate == "resampled":  # near a pixel's edge the fixed-point map may take its neighbour
        known = (np.abs(at - np.round(at)) > 0.05).all(axis=2)
        assert known.mean() > 0.5
        return out, known
    assert fate in ("moved", "cut")
    assert (np.abs(at - pixel - 0.5) < 1e-4).all()  # whole pixels
    assert fate == "cut" or inside.sum() == SIZE[0] * SIZE[1]
    return out, np.ones((h, w), bool)


def check_raster(kind, fate, run):
    before, after = getattr(run.source, kind), getattr(run.out.annotations, kind)
    void = 0 if kind == "panoptic" else 255
    assert after.dtype == before.dtype
    expected, known = arranged(fate, run, before, void)
    if kind == "instance":
        expected[~np.isin(expected, [0, *run.out.annotations.objects.instance.tolist()])] = void
    assert (after == expected)[known].all()
    if kind == "panoptic" and fate != "untouched" and run.plan.steps:
        segments = run.out.annotations.segments_info
        assert {s["id"] for s in segments} == set(np.unique(after).tolist()) & {
            s["id"] for s in run.source.segments_info
        }
        for segment in segments:
            rows, columns = np.nonzero(after == segment["id"])
            x, y = columns.min(), rows.min()
            assert segment["area"] == len(rows)
            assert segment["bbox"] == [x, y, columns.max() + 1 - x, rows.max() + 1 - y]


# --- the declarations themselves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_declares_for_itself(name):
    operation = OPERATIONS[name]
    assert "label_effects" in vars(operation)
    mirrored = [run.mirrors for run in runs(name)]
    assert any(mirrored) == operation.mirrors
    assert all(mirrored) == operation.mirrors or name == "symmetry"  # which draws other moves, too


def test_the_kinds_and_the_words_are_complete():
    assert [field.name for field in fields(LabelEffects)] == list(LABEL_KINDS)
    assert set(LABEL_EFFECTS) == set(get_args(LabelEffect))
    table = reference_docs.carried_markdown()
    for name in OPERATIONS:
        assert table.count(f"`{name}`") == 1
    assert "cannot" not in table
    assert "cannot" not in reference_docs.label_effects_markdown()
