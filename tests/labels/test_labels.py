"""Labels through a plan: every kind at once, against brute force, paint and samples sent through the steps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted import Particles, enlarged, fill, in_convex
from scenes import CATEGORIES, PLANS, SIZE, scene, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import (
    Annotations,
    ObjectPart,
    ObjectRow,
    Objects,
    Rings,
    Rle,
    objects_of,
)
from augpipe.core.canvas import follow
from augpipe.labels import rle, transform
from augpipe.labels.transform import LabelRules

quick = settings(derandomize=True, database=None, deadline=None, max_examples=20)
seeds = st.integers(0, 10**6)

EVERYTHING = LabelRules(min_area=0.0, min_side=0.0)


def labelled(annotations, steps, rules=EVERYTHING, size_wh=SIZE, **more):
    return transform.apply(annotations, follow(steps, size_wh), rules, CATEGORIES, **more)


def one(box=(10.0, 8.0, 22.0, 20.0), **more):
    return Annotations(objects=objects_of([ObjectRow(0, 1, box, **more)]))


def assert_same_objects(a, b, tolerance=0.0):
    for field in fields(Objects):
        for x, y in zip(getattr(a, field.name), getattr(b, field.name), strict=True):
            assert_same(x, y, tolerance)


def assert_same(x, y, tolerance=0.0):
    assert type(x) is type(y)
    if isinstance(x, Rings):
        for one_ring, other in zip(x.rings, y.rings, strict=True):
            np.testing.assert_allclose(one_ring, other, rtol=0, atol=tolerance)
    elif isinstance(x, Rle):
        assert (x.size_hw, x.counts) == (y.size_hw, y.counts)
    elif isinstance(x, tuple):
        assert [p.name for p in x] == [p.name for p in y]
        np.testing.assert_allclose([p.box_xyxy for p in x], [p.box_xyxy for p in y], rtol=0, atol=tolerance)
    elif isinstance(x, np.ndarray):
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance)
    else:
        assert x == y


# --- every kind, every plan ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANS)
@quick
@given(seed=seeds)
def test_what_holds_for_all_labels(name, seed):
    source, track = scene(seed), follow(PLANS[name], SIZE)
    out = labelled(source, PLANS[name])
    picture, objects = out.annotations, out.annotations.objects
    assert out.size_wh == track.size_wh
    assert len(out.shapes) == len(objects)
    indexes = [*objects.index.tolist(), *(d.index for d in out.dropped)]
    assert sorted(indexes) == source.objects.index.tolist()  # dropped + kept = all
    assert (np.diff(objects.index) > 0).all()
    for i, shape in enumerate(out.shapes):
        row = source.objects.index.tolist().index(objects.index[i])
        check_object(source.objects, row, objects, i, shape)
        check_in_frame(objects, i, track.size_wh)
        check_seen(source.objects.segmentation[row], objects, i, shape, PLANS[name], track)
    check_rasters(source, picture, track)
    assert (picture.tags, picture.captions, picture.image_id) == (source.tags, source.captions, source.image_id)
    assert picture.attributes == source.attributes
    assert picture.dropped == ()


def check_object(source, row, objects, i, shape):
    """One index is one object in every column."""
    facts = objects.facts[i]
    assert facts.id == 1000 + objects.index[i] == source.facts[row].id
    assert (facts.pose, facts.difficult, facts.attributes) == (
        source.facts[row].pose,
        source.facts[row].difficult,
        source.facts[row].attributes,
    )
    assert facts.truncated == (1 if shape.in_frame < 0.999 else None)
    for name in ("category_id", "iscrowd", "instance"):
        assert getattr(objects, name)[i] == getattr(source, name)[row]
    assert tuple(objects.boxes_xyxy[i].tolist()) == shape.box_xyxy
    assert objects.segmentation[i] is shape.segmentation
    assert objects.obb[i] is shape.obb
    assert (objects.keypoints[i] is None) == (source.keypoints[row] is None)
    assert {p.name for p in objects.parts[i]} <= {p.name for p in source.parts[row]}
    assert 0.0 < shape.visible <= shape.in_frame <= 1.0
    assert shape.area > 0.0


def check_in_frame(objects, i, size_wh):
    w, h = size_wh
    for x0, y0, x1, y1 in [objects.boxes_xyxy[i].tolist(), *(p.box_xyxy for p in objects.parts[i])]:
        assert 0.0 <= x0 < x1 <= w
        assert 0.0 <= y0 < y1 <= h
    segmentation = objects.segmentation[i]
    if isinstance(segmentation, Rle):
        assert segmentation.size_hw == (h, w)
        rle.check(segmentation)
    elif segmentation is not None:
        for ring in segmentation.rings:
            assert len(ring) >= 3
            assert ((ring >= 0.0) & (ring <= size_wh)).all()
    if objects.keypoints[i] is not None:
        xy, v = objects.keypoints[i][:, :2], objects.keypoints[i][:, 2]
        assert np.isin(v, [0, 1, 2]).all()
        assert (xy[v == 0] == 0.0).all()
        assert ((xy >= 0.0) & (xy <= size_wh)).all()
    if objects.obb[i] is not None:
        assert g.area_of(tuple(map(tuple, objects.obb[i]))) > 0.0


def check_seen(before, objects, i, shape, steps, track):
    """The box holds the label's own geometry, each of its sides touches it, and it is where the samples are."""
    segmentation, box = objects.segmentation[i], objects.boxes_xyxy[i]
    if isinstance(segmentation, Rle):
        bitmap, (x, y) = rle.window_of(segmentation)
        assert box.tolist() == [x, y, x + bitmap.shape[1], y + bitmap.shape[0]]
        assert shape.area == bitmap.sum()
    elif segmentation is not None:
        points = np.concatenate(segmentation.rings)
        if track.moved:
            np.testing.assert_array_equal(box, [*points.min(axis=0), *points.max(axis=0)])
    if before is None or steps is PLANS["horizon"]:
        return
    rings = isinstance(before, Rings)
    fine = 8 if rings else 4
    canvas = fill(before.rings, SIZE, 8) if rings else enlarged(rle.rasterise(before, SIZE), 4)
    particles = Particles(canvas, fine).through(steps)
    close = 0.04 + 1.0 / len(particles.xy) ** 0.5
    assert shape.in_frame == pytest.approx(particles.in_frame, abs=close)
    assert shape.visible == pytest.approx(particles.visible, abs=close)
    if track.moved and particles.box is not None and rings:
        magnified = np.sqrt(particles.weight.max()) * fine
        beyond = (box - particles.box) * [-1, -1, 1, 1]
        assert beyond.min() > -1e-6
        assert np.median(beyond) < 0.5 * max(1.0, magnified)
        assert shape.area == pytest.approx(particles.area, rel=0.06, abs=0.3 * magnified**2)


def check_rasters(source, picture, track):
    w, h = track.size_wh
    for name, void in (("semantic", 255), ("instance", 255), ("panoptic", 0)):
        before, after = getattr(source, name), getattr(picture, name)
        assert after.shape == (h, w)
        assert after.dtype == before.dtype
        assert set(np.unique(after)) <= {*np.unique(before), void}
    instances = {i + 1 for i in picture.objects.index.tolist() if i % 4 == 0}
    assert set(np.unique(picture.instance)) <= {0, 255, *instances}
    for i, number in enumerate(picture.objects.instance.tolist()):
        if number:  # pixel for pixel, and by it the box of the object
            assert (rle.rasterise(picture.objects.segmentation[i], (w, h)) == (picture.instance == number)).all()
    assert [s["id"] for s in picture.segments_info if track.moved] == [
        s["id"] for s in source.segments_info if track.moved and (picture.panoptic == s["id"]).any()
    ]
    for segment in picture.segments_info if track.moved else ():
        rows, columns = np.nonzero(picture.panoptic == segment["id"])
        x, y = columns.min(), rows.min()
        assert segment["area"] == len(rows)
        assert segment["bbox"] == [x, y, columns.max() + 1 - x, rows.max() + 1 - y]
        assert (segment["category_id"], segment["isthing"]) == (2, 1)


@pytest.mark.parametrize("name", PLANS)
def test_objects_are_moved_as_if_each_were_alone(name):
    source = scene(5)
    together = labelled(source, PLANS[name])
    rows = list(range(len(source.objects)))
    alone = [labelled(source.with_objects(source.objects.take([i])), PLANS[name]) for i in rows]
    kept = [picture.annotations.objects for picture in alone if len(picture.annotations.objects)]
    assert len(kept) == len(together.annotations.objects)
    for i, objects in enumerate(kept):
        assert_same_objects(objects, together.annotations.objects.take([i]))
    assert [d for picture in alone for d in picture.dropped] == list(together.dropped)


@pytest.mark.parametrize("name", PLANS)
def test_the_source_is_left_as_it_was(name):
    source, again = scene(6), scene(6)
    for raster in (
        source.semantic,
        source.instance,
        source.panoptic,
        *(k for k in source.objects.keypoints if k is not None),
    ):
        raster.flags.writeable = False
    labelled(source, PLANS[name])
    assert_same_objects(source.objects, again.objects)


# --- moves by hand ---------------------------------------------------------------------------------------------------


def test_where_nothing_moves_the_labels_are_the_source():
    source = scene(1)
    out = labelled(source, PLANS["no move"])
    assert {s.box_from for s in out.shapes} == {"source"}
    assert {(s.in_frame, s.visible) for s in out.shapes} == {(1.0, 1.0)}
    expected = replace(source.objects, keypoints=out.annotations.objects.keypoints)
    assert_same_objects(out.annotations.objects, expected)
    for before, after in zip(source.objects.keypoints, out.annotations.objects.keypoints, strict=True):
        if before is not None:
            assert (after == np.where(before[:, 2:] > 0, before, 0.0)).all()
    for name in ("semantic", "instance", "panoptic"):
        assert (getattr(out.annotations, name) == getattr(source, name)).all()
    assert out.annotations.segments_info == source.segments_info


TWICE = {
    "mirror": warp(g.mirror_x(64)),
    "upside down": warp(g.mirror_y(48)),
    "half a turn": warp(g.quarter_turns(2, SIZE)),
}


@pytest.mark.parametrize("name", TWICE)
@quick
@given(seed=seeds)
def test_twice_is_as_before(name, seed):
    source = labelled(scene(seed), []).annotations  # keypoints that are not there at (0, 0)
    rules = replace(EVERYTHING, obb="keep")  # the frame would cut those that reach out of the source
    once = labelled(source, [TWICE[name]], rules).annotations
    twice = labelled(once, [TWICE[name]], rules).annotations
    assert_same_objects(twice.objects, source.objects, 1e-9)
    for raster in ("semantic", "instance", "panoptic"):
        assert (getattr(twice, raster) == getattr(source, raster)).all()
        assert (getattr(once, raster) != getattr(source, raster)).any()


def test_four_quarter_turns_are_none():
    source = labelled(scene(2), []).annotations
    turned = source
    for size in [(64, 48), (48, 64)] * 2:
        turned = labelled(turned, [warp(g.quarter_turns(1, size), size[::-1])], size_wh=size).annotations
    assert_same_objects(turned.objects, source.objects, 1e-9)
    assert (turned.instance == source.instance).all()


EXACT = {
    "mirror": lambda r: r[:, ::-1],
    "quarter": lambda r: np.rot90(r, -1),
    "transposed": lambda r: r.T,
    "crop": lambda r: r[9:39, 13:50],
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_exact_moves_of_rasters_are_those_of_arrays(name, dtype):
    raster = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (48, 64), dtype)
    kind = "panoptic" if dtype == np.uint32 else "semantic"
    out = labelled(Annotations(**{kind: raster}), PLANS[name]).annotations
    assert (getattr(out, kind) == EXACT[name](raster)).all()
    assert getattr(out, kind).dtype == dtype


def test_a_mirrored_picture_by_hand():
    source = one(
        (3.0, 2.0, 13.5, 10.0),
        segmentation=Rings((np.array([[3.0, 2.0], [13.5, 4.0], [5.0, 10.0]]),)),
        keypoints=np.array([[5.0, 5.0, 2], [4.0, 3.0, 1], [9.0, 3.0, 2], [0, 0, 0], [64.0, 9.0, 2]]),
        obb=np.array([[5.0, 3.0], [9.0, 5.0], [8.0, 7.0], [4.0, 5.0]]),
        parts=(ObjectPart("hand", (4.0, 4.0, 6.0, 7.0)),),
    )
    out = labelled(source, PLANS["mirror"])
    objects, shape = out.annotations.objects, out.shapes[0]
    assert objects.boxes_xyxy.tolist() == [[50.5, 2.0, 61.0, 10.0]]
    assert objects.segmentation[0].rings[0].tolist() == [[61.0, 2.0], [50.5, 4.0], [59.0, 10.0]]
    assert objects.keypoints[0].tolist() == [[59, 5, 2], [55, 3, 2], [60, 3, 1], [0, 9, 2], [0, 0, 0]]
    assert objects.obb[0].tolist() == [[55.0, 5.0], [59.0, 3.0], [60.0, 5.0], [56.0, 7.0]]
    assert objects.parts[0] == (ObjectPart("hand", (58.0, 4.0, 60.0, 7.0)),)
    assert (shape.area, shape.in_frame, shape.box_from) == (40.0, 1.0, "polygon")


@pytest.mark.parametrize("name", ["turn, blur, tilt", "bars, then turn", "crop, then zoom out"])
def test_two_warps_are_one_map_and_the_canvas_between_them_cuts(name):
    whole = labelled(one((0.0, 0.0, 64.0, 48.0), segmentation=Rings((np.array(g.rectangle(SIZE)),))), PLANS[name])
    seen = fill(whole.annotations.objects.segmentation[0].rings, whole.size_wh)
    w, h = whole.size_wh
    y, x = np.mgrid[: 4 * h, : 4 * w] / 4 + 0.125
    points = np.stack([x, y], axis=-1).reshape(-1, 2)
    for step in reversed(PLANS[name]):  # back through the steps, point by point
        if hasattr(step, "matrix"):
            points = g.move_points(g.inverse(step.matrix), points)
            first = step
    alive = np.ones(len(points), bool)
    alive &= ((points >= 0) & (points <= SIZE)).all(axis=1)
    for step in PLANS[name]:
        if hasattr(step, "matrix"):
            points = g.move_points(step.matrix, points)
            alive &= ((points >= 0) & (points <= step.size_wh)).all(axis=1)
        elif hasattr(step, "region"):
            alive &= in_convex(points, step.region)
    assert first is PLANS[name][0]
    assert (alive.reshape(seen.shape) != seen).mean() < 0.002
    assert 0.1 < seen.mean() < 0.95


def instances(numbers, dtype=np.uint8):
    """An instance raster of stripes, and objects of some of them."""
    raster = np.repeat(np.array([0, 1, 2, 3, 4, np.iinfo(dtype).max], dtype), 8)[:, None] + np.zeros((48, 64), dtype)
    rows = [
        ObjectRow(n - 1, 1, (0.0, 8.0 * n, 64.0, 8.0 * n + 8), instance=n, segmentation=rle.rle_of(raster == n))
        for n in numbers
    ]
    return Annotations(objects=objects_of(rows), instance=raster)
