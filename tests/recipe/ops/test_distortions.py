"""Bent pictures and their labels: painted dots, shapes and masks lie where labels say, by NumPy and paint alone."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from bent import back_through, dense
from painted import fill, in_convex
from recipe_tools import frame_of, recipe_of

from augpipe.core.annotations import Annotations, Category, ObjectRow, Rings, objects_of
from augpipe.core.canvas import follow
from augpipe.labels.rle import rasterise, rle_of
from augpipe.labels.transform import LabelRules, apply
from augpipe.pixels import cpu
from augpipe.pixels.steps.field import Field
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.planner import draw

SIZE = (200, 150)
CATEGORIES = {1: Category(1, 1, "thing", keypoints=tuple(f"k{i}" for i in range(24)))}
KEEP = LabelRules(min_area=0.0, min_side=0.0)
BENT = {
    "elastic": "- elastic: {strength: 0.08}",
    "grid_distortion": "- grid_distortion: {limit: 0.3}",
    "optical_distortion": "- optical_distortion: {k: 0.4}",
    "among moves": "- affine: {rotate: 20, shear: 5}\n- elastic\n- resize: {size: [160, 130]}\n- vertical_flip",
    "two": "- elastic\n- optical_distortion\n- perspective",
    "behind bars": "- letterbox: {size: [190, 210]}\n- elastic: {strength: 0.06}\n- rotate: {degrees: 15}",
}


def planned(steps, copy):
    return draw(recipe_of(steps), frame_of(SIZE), 3, copy).steps


def moved(row, steps, size_wh=SIZE):
    return apply(Annotations(objects=objects_of([row])), follow(steps, size_wh), KEEP, CATEGORIES)


DOTS = {
    **{name: f"- {name}" for name in ("elastic", "grid_distortion", "optical_distortion")},
    "strong elastic": "- elastic: {strength: [0.08, 0.08]}",
    "strong grid_distortion": "- grid_distortion: {limit: 0.3, steps: 10}",
    "strong cushion": "- optical_distortion: {k: [-0.4, -0.4]}",
    "strong barrel": "- optical_distortion: {k: [0.4, 0.4]}",
    "among moves": "- affine: {rotate: 20, shear: 5}\n- elastic\n- vertical_flip",
    "two": "- letterbox: {size: [400, 420]}\n- elastic\n- optical_distortion\n- perspective",
}


def dotted(spots, size_wh):
    """A picture of round dots with a deviation of one pixel."""
    xs, ys = np.meshgrid(np.arange(size_wh[0]) + 0.5, np.arange(size_wh[1]) + 0.5)
    away = np.min([(xs - x) ** 2 + (ys - y) ** 2 for x, y in spots], axis=0)
    return np.floor(255 * np.exp(-away / 2) + 0.5).astype(np.uint8)


@pytest.mark.parametrize("name", DOTS)
def test_painted_dots_lie_at_their_keypoints(name):
    """On a picture of the size of photographs: where scale changes by a tenth in a dot, its middle is not its mean."""
    size = (480, 360)
    rng = np.random.default_rng(0)
    spots = np.stack(np.meshgrid(np.arange(24, 470, 84), np.arange(24, 340, 84)), -1).reshape(-1, 2)
    spots = spots + rng.uniform(-6, 6, spots.shape)
    points = np.concatenate([spots, np.full((len(spots), 1), 2.0)], axis=1)
    picture, row = dotted(spots, size), ObjectRow(index=0, category_id=1, box_xyxy=(5, 5, 470, 350), keypoints=points)
    for copy in range(2):
        steps = draw(recipe_of(DOTS[name]), frame_of(size), 3, copy).steps
        labels = moved(row, steps, size)
        (found,) = labels.annotations.objects.keypoints
        out, (w, h) = cpu.apply(picture, steps).astype(float), labels.size_wh
        seen = found[(found[:, 2] > 0) & (np.abs(found[:, :2] / (w, h) - 0.5) < 0.5 - 9 / min(w, h)).all(axis=1)]
        for u, v, _ in seen:
            rows, columns = np.mgrid[int(v) - 7 : int(v) + 8, int(u) - 7 : int(u) + 8]
            part = out[rows, columns]
            middle = np.array([(columns + 0.5) * part, (rows + 0.5) * part]).sum(axis=(1, 2)) / part.sum()
            assert np.abs(middle - (u, v)).max() < 0.15
        assert len(seen) >= 6


FINE = 3


@functools.cache
def looked_up(steps):
    """For each of FINE × FINE samples of a pixel of the result: where it lies in the source, and whether it shows."""
    w, h = follow(steps, SIZE).size_wh
    xs, ys = np.meshgrid((np.arange(w * FINE) + 0.5) / FINE, (np.arange(h * FINE) + 0.5) / FINE)
    at = np.stack([xs.ravel(), ys.ravel()], axis=1)
    shown = np.ones(len(at), bool)
    for step in reversed(steps):  # every canvas and every bar on the way back cuts
        if getattr(step, "size_wh", None):
            shown &= ((at >= 0) & (at <= step.size_wh)).all(axis=1)
        if hasattr(step, "region"):
            shown &= in_convex(at, step.region)
        at = back_through([step], at)
    place = np.floor(at * FINE).astype(int)
    shown &= ((place >= 0) & (place < np.multiply(SIZE, FINE))).all(axis=1)
    return place, shown, (h * FINE, w * FINE)


def painted(ring, steps):
    """What shows of a ring in the result: (H·FINE, W·FINE)."""
    place, shown, shape = looked_up(steps)
    out = np.zeros(len(place), bool)
    out[shown] = fill([ring], SIZE, FINE)[place[shown, 1], place[shown, 0]]
    return out.reshape(shape)


def box_around(marks):
    rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / FINE


RING = np.array([[19.0, 12.0], [120.0, 38.0], [94.0, 75.0], [162.0, 125.0], [38.0, 112.0], [69.0, 62.0]])


@pytest.mark.parametrize("name", BENT)
@pytest.mark.parametrize("kind", ["box", "polygon", "mask"])
def test_painted_shapes_lie_in_their_boxes_and_masks(name, kind):
    box = (25.0, 19.0, 156.0, 106.0)
    ring = (
        RING
        if kind == "polygon"
        else dense(np.array([[box[0], box[1]], [box[2], box[1]], box[2:], [box[0], box[3]]]), 1000)
    )
    mask = rle_of(fill([ring], SIZE, 1).astype(np.uint8))
    segmentation = {"box": None, "polygon": Rings((ring,)), "mask": mask}[kind]
    around = box if kind != "polygon" else (*ring.min(axis=0), *ring.max(axis=0))
    steps = planned(BENT[name], 0)
    labels = moved(ObjectRow(index=0, category_id=1, box_xyxy=around, segmentation=segmentation), steps)
    seen = painted(ring, steps)
    (got,) = labels.annotations.objects.boxes_xyxy
    np.testing.assert_allclose(got, box_around(seen), atol=1.4 if kind == "mask" else 1.0)
    (after,) = labels.annotations.objects.segmentation
    if kind == "polygon" and isinstance(after, Rings):
        apart = (fill(after.rings, labels.size_wh, FINE) != seen).sum() / seen.sum()
        assert apart < 0.01
    if kind == "mask":
        w, h = labels.size_wh
        share = seen.reshape(h, FINE, w, FINE).mean(axis=(1, 3))
        pixels = rasterise(after, labels.size_wh).astype(bool)
        assert (pixels == (share > 0.5))[(share < 0.05) | (share > 0.95)].all()


def kinds(steps):
    return [type(step).__name__ for step in steps]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("- elastic", ["Field"]),
        ("- rotate\n- horizontal_flip\n- elastic\n- resize: {longest: 100}\n- rotate90", ["Field"]),
        ("- elastic\n- elastic", ["Field", "Field"]),
        ("- perspective\n- elastic", ["Warp", "Field"]),
        ("- elastic\n- perspective", ["Field", "Warp"]),
        ("- letterbox: {size: 100}\n- elastic", ["Warp", "PadFill", "Field"]),
        ("- elastic\n- letterbox: {size: 100}", ["Field", "PadFill"]),
        ("- elastic\n- gamma: {amount: 2}\n- rotate", ["Field", "Color"]),
        ("- elastic: {cut: true}\n- rotate: {degrees: [5, 9]}", ["Field", "Warp"]),
    ],
)
def test_neighbours_share_one_interpolation_where_they_are_affine(steps, expected):
    for copy in range(3):
        assert kinds(planned(steps, copy)) == expected


def test_edges_of_a_grid_stay_where_they_are():
    for copy in range(6):
        (step,) = planned("- grid_distortion", copy)
        xs, ys = np.linspace(0, 200, 60), np.linspace(0, 150, 60)
        for side, (axis, at) in {0: (0, 0.0), 1: (0, 200.0), 2: (1, 0.0), 3: (1, 150.0)}.items():
            edge = np.stack([np.full(60, at), ys] if axis == 0 else [xs, np.full(60, at)], axis=1)
            assert np.abs(back_through([step], edge)[:, axis] - at).max() < 0.02, side
        assert step.border == "replicate"


def test_a_lens_moves_points_along_its_radius():
    for copy in range(6):
        plan = draw(recipe_of("- optical_distortion: {k: 0.4}"), frame_of((640, 480)), 3, copy)
        k, shift = plan.drawn[0].parameters["k"], np.array(plan.drawn[0].parameters["center"])
        k *= plan.drawn[0].parameters.get("weakened", 1.0)
        middle = (0.5 + shift) * (640, 480)
        points = np.random.default_rng(copy).uniform(0, (640, 480), (400, 2))
        away = points - middle
        expected = middle + away * (1 + k * (away**2).sum(axis=1, keepdims=True) / (320**2 + 240**2))
        assert np.abs(back_through(plan.steps, points) - expected).max() < 0.5  # linear between nodes, edge cells


def test_a_lens_of_positive_strength_makes_a_barrel_of_a_square():
    """The middles of its sides lie further out than its corners do."""
    steps = planned("- optical_distortion: {k: [0.4, 0.4], center: 0}", 0)
    top, corner = follow(steps, SIZE).map.forward(np.array([[100.0, 20.0], [20.0, 20.0]]))
    assert top[1] < corner[1] - 2


def test_a_mesh_that_would_fold_is_weakened_and_says_so():
    recipe = recipe_of("- elastic: {strength: 0.2, nodes: 16}")
    plans = [draw(recipe, frame_of((640, 480)), 3, copy) for copy in range(4)]
    assert all(0 < plan.drawn[0].parameters["weakened"] < 1 for plan in plans)
    assert all(step.fault(10**7) is None for plan in plans for step in plan.steps)


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 50), (3, 2), (5000, 3)])
@pytest.mark.parametrize("name", ["elastic", "grid_distortion", "optical_distortion"])
def test_odd_sizes(name, size_wh):
    for copy in range(4):
        for step in draw(recipe_of([name]), frame_of(size_wh), 0, copy).steps:
            assert isinstance(step, Field | Warp)
            assert step.fault(10**6) is None
            assert cpu.apply(np.full(size_wh[::-1], 7, np.uint8), [step]).shape == size_wh[::-1]
