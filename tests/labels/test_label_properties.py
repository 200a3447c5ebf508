"""What holds for labels under any plan: maps, canvases, bars and erased rectangles that hypothesis makes up.

test_labels.py looks closely at plans that were chosen; here the plans are arbitrary and the claims general.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scenes import BLACK, CATEGORIES, FACE, SIZE, box_of_points, scene, star, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, Frame, ObjectRow, Rings, Rle, objects_of
from augpipe.core.canvas import follow
from augpipe.labels import rle, transform
from augpipe.labels.transform import LabelRules
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.load import load, shipped
from augpipe.recipe.planner import draw

quick = settings(derandomize=True, database=None, deadline=None, max_examples=60)
seeds = st.integers(0, 10**6)
W, H = SIZE
REASONS = {"outside", "min_visibility", "min_area", "min_side", "erased", "degenerate"}
EVERYTHING = LabelRules(min_area=0.0, min_side=0.0)
TRANSPOSED = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)

# --- plans -----------------------------------------------------------------------------------------------------------


@st.composite
def affine_matrices(draw_, least=0.4, most=2.5):
    """Scale, shear, mirror, turn and shift; the middle of the picture stays on the canvas."""
    number = lambda low, high: draw_(st.floats(low, high))  # noqa: E731
    scale = g.scaling(number(least, most) * draw_(st.sampled_from([1, -1])), number(least, most))
    linear = g.then(g.then(scale, g.shearing(number(-30, 30), 0.0)), g.rotation(number(-180, 180)))
    return g.then(g.about((W / 2, H / 2), linear), g.translation(number(-20, 20), number(-15, 15)))


@st.composite
def projective_matrices(draw_):
    """Corners pulled by less than a quarter of the side, mirrored or not."""
    pull = st.floats(-0.24, 0.24)
    corners = [(x + draw_(pull), y + draw_(pull)) for x, y in [(0, 0), (1, 0), (1, 1), (0, 1)]]
    moved = g.square_to_quad([(x * W, y * H) for x, y in corners])
    matrix = g.then(g.scaling(1 / W, 1 / H), moved)
    return g.then(g.mirror_x(W), matrix) if draw_(st.booleans()) else matrix


sizes = st.sampled_from([SIZE, (48, 64), (37, 30), (90, 70)])
matrices = affine_matrices() | projective_matrices()
warps = st.builds(warp, matrices, sizes)
exact_warps = st.sampled_from(
    [
        warp(g.mirror_x(W)),
        warp(g.mirror_y(H)),
        *(warp(g.quarter_turns(n, SIZE), SIZE if n == 2 else (H, W)) for n in (1, 2, 3)),
        warp(TRANSPOSED, (H, W)),
        warp(g.then(TRANSPOSED, g.quarter_turns(2, (H, W))), (H, W)),
    ]
)


@st.composite
def rectangles(draw_):
    x0, y0 = draw_(st.integers(0, 40)), draw_(st.integers(0, 30))
    return x0, y0, x0 + draw_(st.integers(1, 40)), y0 + draw_(st.integers(1, 30))


@st.composite
def bars(draw_):
    x0, y0, x1, y1 = map(float, draw_(rectangles()))
    return PadFill(region=((x0, y0), (x1, y0), (x1, y1), (x0, y1)), fill=BLACK)


erases = st.builds(lambda box: Cutout(boxes_xyxy=(box,), fill=BLACK), rectangles())
plans = st.lists(warps | exact_warps | bars() | erases, min_size=1, max_size=4)


def labelled(annotations, steps, rules=EVERYTHING):
    return transform.apply(annotations, follow(steps, SIZE), rules, CATEGORIES)


def one(points, **more):
    return Annotations(objects=objects_of([ObjectRow(0, 1, box_of_points(points), **more)]))


# --- for every kind --------------------------------------------------------------------------------------------------


def check_everything(source, out, size_wh):
    """Dropped and kept are all, each once; shares are shares; nothing is outside the frame; no value is new."""
    objects = out.annotations.objects
    assert out.size_wh == size_wh
    assert sorted([*objects.index.tolist(), *(d.index for d in out.dropped)]) == source.objects.index.tolist()
    assert all(d.reason in REASONS for d in out.dropped)
    for shape in out.shapes:
        assert 0.0 <= shape.visible <= shape.in_frame <= 1.0
    for box in [*objects.boxes_xyxy.tolist(), *(p.box_xyxy for parts in objects.parts for p in parts)]:
        assert 0.0 <= box[0] < box[2] <= size_wh[0]
        assert 0.0 <= box[1] < box[3] <= size_wh[1]
    for segmentation in objects.segmentation:
        if isinstance(segmentation, Rle):
            assert segmentation.size_hw == size_wh[::-1]
            assert rle.area_of(segmentation) > 0
        for ring in getattr(segmentation, "rings", ()):
            assert len(ring) >= 3
            assert ((ring >= 0.0) & (ring <= size_wh)).all()
    for keypoints in filter(lambda k: k is not None, objects.keypoints):
        assert ((keypoints[:, :2] >= 0.0) & (keypoints[:, :2] <= size_wh)).all()
        assert (keypoints[keypoints[:, 2] == 0] == 0.0).all()
    for name, void in (("semantic", 255), ("instance", 255), ("panoptic", 0)):
        before, after = getattr(source, name), getattr(out.annotations, name)
        assert (after.shape, after.dtype) == (size_wh[::-1], before.dtype)
        assert set(np.unique(after)) <= {*np.unique(before), void}


@quick
@given(seed=seeds, steps=plans)
def test_any_plan(seed, steps):
    source = scene(seed)
    check_everything(source, labelled(source, steps), follow(tuple(steps), SIZE).size_wh)


@pytest.mark.parametrize("name", shipped())
@settings(quick, max_examples=25)
@given(seed=seeds)
def test_any_draw_of_a_recipe_that_is_shipped(name, seed):
    source, recipe = scene(seed), load(name)
    steps = draw(recipe, Frame("photo.jpg", SIZE, source), seed, seed % 3).steps
    out = transform.apply(source, follow(steps, SIZE), recipe.rules, CATEGORIES)
    check_everything(source, out, follow(steps, SIZE).size_wh)
    for shape, crowd in zip(out.shapes, out.annotations.objects.iscrowd, strict=True):
        assert round(shape.visible, 3) >= recipe.rules.min_visibility or crowd


@quick
@given(seed=seeds, there=exact_warps)
def test_an_exact_move_and_its_way_back_change_no_label(seed, there):
    """Twice a flip, or a quarter turn and one back, of every kind of label, in one plan and one after the other."""
    source = labelled(scene(seed), []).annotations  # keypoints without a place at (0, 0)
    back = warp(g.inverse(there.matrix), SIZE)
    rules = replace(EVERYTHING, obb="keep")  # a frame would cut those that reach out of the source
    once = transform.apply(source, follow([there], SIZE), rules, CATEGORIES).annotations
    in_turn = transform.apply(once, follow([back], there.size_wh), rules, CATEGORIES).annotations
    both = transform.apply(source, follow([there, back], SIZE), rules, CATEGORIES).annotations
    for again in (in_turn, both):
        before, after = source.objects, again.objects
        np.testing.assert_array_equal(after.index, before.index)
        for column in ("keypoints", "obb"):
            for a, b in zip(getattr(after, column), getattr(before, column), strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
        for i, (a, b) in enumerate(zip(after.segmentation, before.segmentation, strict=True)):
            assert type(a) is type(b)
            if isinstance(a, Rle):
                assert (a.size_hw, a.counts) == (b.size_hw, b.counts)
            elif isinstance(a, Rings):
                np.testing.assert_allclose(np.concatenate(a.rings), np.concatenate(b.rings), rtol=0, atol=1e-9)
            np.testing.assert_allclose(after.boxes_xyxy[i], before.boxes_xyxy[i], rtol=0, atol=1e-9)
        assert [[(p.name, p.box_xyxy) for p in parts] for parts in after.parts] == [
            [(p.name, pytest.approx(p.box_xyxy, abs=1e-9)) for p in parts] for parts in before.parts
        ]
        for name in ("semantic", "instance", "panoptic"):
            assert (getattr(again, name) == getattr(source, name)).all()


# --- points ----------------------------------------------------------------------------------------------------------


@quick
@given(first=warps, second=warps, seed=seeds)
def test_composed_is_in_turn(first, second, seed):
    """One plan of two maps moves points and cuts polygons as two plans of one map do, one after the other."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(0, 1, (5, 2)) * SIZE, np.full((5, 1), 2.0)], axis=1)
    ring = star(rng)
    source = one(ring, keypoints=points, segmentation=Rings((ring,)))
    together = labelled(source, [first, second])
    between = labelled(source, [first])
    in_turn = transform.apply(between.annotations, follow([second], first.size_wh), EVERYTHING, CATEGORIES)
    assert len(together.shapes) == len(in_turn.shapes)
    assume(together.shapes)
    here, there = together.annotations.objects, in_turn.annotations.objects
    np.testing.assert_allclose(here.keypoints[0], there.keypoints[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(here.boxes_xyxy, there.boxes_xyxy, rtol=0, atol=1e-4)
    assert together.shapes[0].area == pytest.approx(in_turn.shapes[0].area, rel=1e-4, abs=1e-3)


@quick
@given(matrix=matrices, more=st.lists(warps | bars(), max_size=1), seed=seeds)
def test_keypoints_swap_under_a_map_that_mirrors_and_under_no_other(matrix, more, seed):
    points = np.random.default_rng(seed).uniform([22, 16], [42, 32], (5, 2))
    source = one(points, keypoints=np.concatenate([points, np.full((5, 1), 2.0)], axis=1))
    steps = [warp(matrix), *more]
    out = labelled(source, steps).annotations.objects
    assume(len(out))
    whole = np.eye(3)
    for step in steps:
        if isinstance(step, Warp):
            whole = np.reshape(step.matrix, (3, 3)) @ whole
    x, y, z = whole @ np.concatenate([points, np.ones((5, 1))], axis=1).T
    order = list(range(5))
    if np.linalg.det(whole) < 0:
        for left, right in FACE.flip_pairs:
            order[left], order[right] = right, left
    expected = np.stack([x / z, y / z], axis=1)[order]
    labelled_ones = out.keypoints[0][:, 2] > 0
    np.testing.assert_allclose(out.keypoints[0][labelled_ones, :2], expected[labelled_ones], rtol=0, atol=1e-6)


# --- boxes and areas -------------------------------------------------------------------------------------------------


def disc(seed, size_wh=SIZE):
    """A round mask that is not thin, inside the picture."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(size_wh[0]) + 0.5, np.arange(size_wh[1]) + 0.5)
    cx, cy = rng.uniform(18, 46), rng.uniform(15, 33)
    return (((x - cx) / rng.uniform(6, 14)) ** 2 + ((y - cy) / rng.uniform(6, 12)) ** 2 < 1).astype(np.uint8)


@quick
@given(matrix=matrices, seed=seeds)
def test_a_box_holds_the_mask_that_it_stood_around(matrix, seed):
    """By its corners, whatever the map. Nearest neighbour can put the mask's edge half a pixel further out."""
    mask = disc(seed)
    rows, columns = np.nonzero(mask)
    points = np.array([[columns.min(), rows.min()], [columns.max() + 1.0, rows.max() + 1.0]])
    with_mask = labelled(one(points, segmentation=rle.rle_of(mask)), [warp(matrix)])
    box_alone = labelled(one(points), [warp(matrix)])
    assume(with_mask.shapes)
    loose, tight = box_alone.shapes[0].box_xyxy, with_mask.shapes[0].box_xyxy
    assert min(t - b for t, b in zip(tight[:2], loose[:2], strict=True)) >= -0.55
    assert min(b - t for t, b in zip(tight[2:], loose[2:], strict=True)) >= -0.55
    left, top, right, bottom = map(int, tight)
    moved = rle.rasterise(with_mask.annotations.objects.segmentation[0], SIZE)
    assert moved[top:bottom, left:right].sum() == moved.sum() == with_mask.shapes[0].area


@quick
@given(matrix=matrices, seed=seeds)
def test_the_better_the_geometry_the_smaller_the_box(matrix, seed):
    """A polygon's box lies in the box of its oriented box, and that in the box by the corners, if one holds another."""
    ring = star(np.random.default_rng(seed))
    corners = g.corners_of(np.array([box_of_points(ring)]))[0]
    by_ring = labelled(one(ring, segmentation=Rings((ring,))), [warp(matrix)])
    by_obb = labelled(one(ring, obb=corners), [warp(matrix)])
    by_corners = labelled(one(ring), [warp(matrix)])
    assume(by_ring.shapes)
    inner, middle, outer = (np.array(found.shapes[0].box_xyxy) for found in (by_ring, by_obb, by_corners))
    np.testing.assert_allclose(middle, outer, rtol=0, atol=1e-6)
    assert ((inner - outer) * [1, 1, -1, -1] >= -1e-6).all()


@quick
@given(matrix=affine_matrices(), seed=seeds, cut=st.none() | bars())
def test_area_is_at_most_what_it_was_times_the_scale(matrix, seed, cut):
    """Exactly so for polygons. A mask is counted in pixels: its edge may gain half a pixel along all of its length."""
    step = warp(matrix)
    scale = abs(g.determinant(step.matrix))
    steps = [step, *([cut] if cut else [])]
    ring = star(np.random.default_rng(seed))
    polygon = labelled(one(ring, segmentation=Rings((ring,))), steps)
    for shape in polygon.shapes:
        whole = labelled(one(ring, segmentation=Rings((ring,))), []).shapes[0].area
        assert shape.area <= whole * scale * (1 + 1e-6) + 1e-6
        assert shape.area == pytest.approx(whole * scale * shape.in_frame, rel=1e-5, abs=1e-5)
    mask = disc(seed)
    rows, columns = np.nonzero(mask)
    points = np.array([[columns.min(), rows.min()], [columns.max() + 1.0, rows.max() + 1.0]])
    for shape in labelled(one(points, segmentation=rle.rle_of(mask)), steps).shapes:
        width, height = np.array(shape.box_xyxy[2:]) - shape.box_xyxy[:2]
        around = math.pi * max(width, height)  # of a disc, more than its outline
        assert shape.area <= mask.sum() * scale * shape.in_frame + 0.5 * around + 2


@quick
@given(seed=seeds, steps=plans, more=erases)
def test_painting_over_more_shows_no_more(seed, steps, more):
    source = scene(seed)
    before, after = (labelled(source, plan) for plan in (steps, [*steps, more]))
    seen = dict(zip(before.annotations.objects.index.tolist(), before.shapes, strict=True))
    for index, shape in zip(after.annotations.objects.index.tolist(), after.shapes, strict=True):
        assert shape.visible <= seen[index].visible + 1e-9
        assert shape.in_frame == pytest.approx(seen[index].in_frame, abs=1e-9)
