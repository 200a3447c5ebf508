"""Crops, pads and letterboxes by arithmetic; and that a safe crop holds every box that could be seen before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from recipe_tools import NOTHING, drawn, frame_of, outcome_of, recipe_of

from augpipe.core.annotations import Category, Frame
from augpipe.core.canvas import follow
from augpipe.core.geometry import move_point
from augpipe.labels.transform import LabelRules, apply
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.operation.base import PadEffect, WarpEffect
from augpipe.recipe.planner import draw

W, H = 37, 23
ALL = LabelRules(0.0, 0.0, 0.0)


def windows(name, size_wh, count=300, **parameters):
    return [tuple(outcome_of(name, size_wh, i, **parameters).parameters["box_xyxy"]) for i in range(count)]


def check_window(outcome, size_wh):
    """The first move brings the window's corner to the origin, in whole pixels; a second one stretches it."""
    x0, y0, x1, y1 = outcome.parameters["box_xyxy"]
    assert all(type(v) is int for v in (x0, y0, x1, y1))
    crop, *stretch = outcome.effects
    assert move_point(crop.matrix, (x0, y0)) == (0, 0)
    assert move_point(crop.matrix, (x1, y1)) == crop.size_wh == (x1 - x0, y1 - y0)
    for move in stretch:
        assert move_point(move.matrix, (0, 0)) == (0, 0)
        assert move_point(move.matrix, crop.size_wh) == pytest.approx(move.size_wh)
    assert outcome.effects[-1].size_wh == size_wh


# --- random_crop -----------------------------------------------------------------------------------------------------


def test_random_crop_reaches_every_place():
    found = windows("random_crop", (W, H), size=[35, 20])
    assert {x0 for x0, *_ in found} == {0, 1, 2}
    assert {y0 for _, y0, *_ in found} == {0, 1, 2, 3}
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in found} == {(35, 20)}


def test_random_crop_of_a_smaller_canvas_keeps_all_of_it():
    found = windows("random_crop", (W, H), size=[40, 10])
    assert {x0 for x0, *_ in found} == {-3, -2, -1, 0}
    assert {y0 for _, y0, *_ in found} == set(range(14))
    assert all(x0 <= 0 and x1 >= W for x0, _, x1, _ in found)
    assert set(windows("random_crop", (W, H), 20, size=[W, H])) == {(0, 0, W, H)}


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 500), (W, H)])
def test_random_crop_is_a_move_by_whole_pixels(size_wh):
    for copy in range(10):
        outcome = outcome_of("random_crop", size_wh, copy, size=[9, 300])
        assert [type(e) for e in outcome.effects] == [WarpEffect]
        check_window(outcome, (9, 300))


# --- random_resized_crop ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 500), (W, H), (640, 480)])
def test_random_resized_crop_stays_inside(size_wh):
    w, h = size_wh
    for copy in range(50):
        outcome = outcome_of("random_resized_crop", size_wh, copy, size=[22, 31])
        x0, y0, x1, y1 = outcome.parameters["box_xyxy"]
        assert 0 <= x0 < x1 <= w
        assert 0 <= y0 < y1 <= h
        check_window(outcome, (22, 31))


def test_random_resized_crop_draws_area_and_shape():
    boxes = np.array(windows("random_resized_crop", (1000, 1000), 500, size=9, scale=[0.1, 0.4], ratio=[0.5, 2]))
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, ratio = w * h / 1e6, w / h
    assert area.min() == pytest.approx(0.1, abs=0.005)
    assert area.max() == pytest.approx(0.4, abs=0.005)
    assert area.mean() == pytest.approx(0.25, abs=0.01)
    assert ratio.min() == pytest.approx(0.5, abs=0.02)
    assert ratio.max() == pytest.approx(2.0, abs=0.02)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)  # evenly in the logarithm
    place = boxes[:, 0] / (1000 - w)
    assert place.min() < 0.02
    assert place.max() > 0.98


def test_random_resized_crop_of_everything():
    assert set(windows("random_resized_crop", (W, W), 9, size=9, scale=1, ratio=1)) == {(0, 0, W, W)}


# --- pad -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_wh", "parameters", "offset", "size"),
    [
        ((W, H), {"sides": 5}, (5, 5), (W + 10, H + 10)),
        ((W, H), {"sides": [1, 2, 3, 4]}, (1, 2), (W + 4, H + 6)),
        ((W, H), {"sides": [1, 2, 3, 4], "place": "top_left"}, (1, 2), (W + 4, H + 6)),
        ((W, H), {"size": [40, 40]}, (1, 8), (40, 40)),  # 3 more columns: one left, two right
        ((W, H), {"size": [40, 40], "place": "top_left"}, (0, 0), (40, 40)),
        ((W, H), {"size": [10, 40]}, (0, 8), (W, 40)),
        ((W, H), {"size": 10}, (0, 0), (W, H)),
        ((W, H), {"multiple": 32}, (13, 4), (64, 32)),
        ((64, 32), {"multiple": 32}, (0, 0), (64, 32)),
        ((1, 500), {"multiple": 7, "place": "top_left"}, (0, 0), (7, 504)),
        ((1, 1), {"size": 4}, (1, 1), (4, 4)),
    ],
)
def test_pad(size_wh, parameters, offset, size):
    outcome = outcome_of("pad", size_wh, fill=[1, 2, 3], **parameters)
    (cut,) = outcome.effects
    assert isinstance(cut, PadEffect)
    assert cut.size_wh == size
    assert cut.fill == (1, 2, 3)
    assert move_point(cut.matrix, (0, 0)) == offset
    assert move_point(cut.matrix, (3, 5)) == (3 + offset[0], 5 + offset[1])
    assert outcome.parameters == {"offset": list(offset), "size": list(size)}


# --- letterbox -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_wh", "parameters", "fitted", "offset"),
    [
        ((640, 480), {"size": 640}, (640, 480), (0, 80)),
        ((640, 480), {"size": 320}, (320, 240), (0, 40)),
        ((480, 640), {"size": 320}, (240, 320), (40, 0)),
        ((W, H), {"size": [100, 100]}, (100, 62), (0, 19)),
        ((W, H), {"size": [100, 100], "enlarge": False}, (W, H), (31, 38)),
        ((640, 480), {"size": [100, 100], "enlarge": False}, (100, 75), (0, 12)),
        ((1, 500), {"size": 64}, (1, 64), (31, 0)),
        ((1, 1), {"size": [9, 4]}, (4, 4), (2, 0)),
    ],
)
def test_letterbox_fits_and_centres(size_wh, parameters, fitted, offset):
    outcome = outcome_of("letterbox", size_wh, **parameters)
    stretch, cut = outcome.effects
    size = parameters["size"] if isinstance(parameters["size"], list) else [parameters["size"]] * 2
    assert (stretch.size_wh, cut.size_wh) == (fitted, tuple(size))
    assert move_point(stretch.matrix, size_wh) == pytest.approx(fitted)
    assert move_point(cut.matrix, (0, 0)) == offset
    assert cut.fill == (114, 114, 114)
    assert outcome.parameters == {"offset": list(offset), "fitted": list(fitted)}


def test_letterbox_always_fits():
    for w in range(1, 90, 7):
        for h in range(1, 90, 5):
            for size in ([64, 64], [33, 71], [1, 1]):
                fitted = outcome_of("letterbox", (w, h), size=size).parameters["fitted"]
                assert fitted[0] <= size[0]
                assert fitted[1] <= size[1]
                assert fitted[0] == size[0] or fitted[1] == size[1]


def test_bars_stay_where_a_later_move_carries_the_frame():
    plan = draw(recipe_of("- letterbox: {size: 64, fill: 9}\n- horizontal_flip"), frame_of((64, 32)), 0, 0)
    warp, bars = plan.steps
    assert isinstance(warp, Warp)
    assert isinstance(bars, PadFill)
    assert bars.fill == (9, 9, 9)
    assert {(x, y) for x, y in bars.region} == {(0.0, 16.0), (64.0, 16.0), (64.0, 48.0), (0.0, 48.0)}


# --- bbox_safe_crop --------------------------------------------------------------------------------------------------

MOVES = {
    "nothing": "",
    "flip": "- horizontal_flip\n",
    "quarter turn": "- rotate90\n",
    "affine": "- affine: {rotate: 40, scale: [0.6, 1.6], translate: 0.2, shear: 10}\n",
    "perspective": "- perspective: {scale: 0.2}\n- vertical_flip\n",
    "pad": "- rotate: {degrees: 30}\n- pad: {sides: [30, 5, 9, 20]}\n- affine: {translate: 0.2}\n",
    "letterbox": "- affine: {translate: 0.3}\n- letterbox: {size: [90, 200]}\n- rotate: {degrees: 15}\n",
    "two runs": "- rotate: {degrees: 20}\n- gaussian_blur: {sigma: 1}\n- affine: {translate: 0.2, scale: [0.7, 1.3]}\n",
    "cut": "- affine: {translate: 0.3, cut: true}\n- rotate: {degrees: 20}\n",
    "crop": "- random_crop: {size: [60, 50]}\n- erase: {count: 2}\n- horizontal_flip\n",
}
BOXES = [(20, 30, 60, 50), (55, 10, 70, 74.5), (90, 61.25, 96.5, 74)]


def labelled(plan, frame):
    return apply(frame.annotations, follow(plan.steps, frame.size_wh), ALL, {1: Category(1, 1, "thing")})


@pytest.mark.parametrize("moves", MOVES.values(), ids=list(MOVES))
def test_bbox_safe_crop_holds_what_could_be_seen(moves):
    frame = frame_of((97, 75), BOXES)
    before_recipe, after_recipe = recipe_of(moves or "- to_gray"), recipe_of(moves + "- bbox_safe_crop")
    tight = 0
    for copy in range(40):
        before, after = draw(before_recipe, frame, 0, copy), draw(after_recipe, frame, 0, copy)
        x0, y0, x1, y1 = drawn(after)["bbox_safe_crop"]["box_xyxy"]
        w, h = follow(before.steps, frame.size_wh).size_wh
        assert 0 <= x0 < x1 <= w
        assert 0 <= y0 < y1 <= h
        assert follow(after.steps, frame.size_wh).size_wh == (x1 - x0, y1 - y0)
        seen, kept = labelled(before, frame), labelled(after, frame)
        objects = seen.annotations.objects
        assert list(kept.annotations.objects.index) == list(objects.index)
        moved = objects.boxes_xyxy - [x0, y0, x0, y0]
        assert kept.annotations.objects.boxes_xyxy == pytest.approx(moved, abs=2e-3)
        assert [s.visible for s in kept.shapes] == pytest.approx([s.visible for s in seen.shapes], abs=1e-4)
        tight += (x1 - x0) * (y1 - y0) < 0.8 * w * h
    assert tight > 3  # it is a crop, after all


def test_bbox_safe_crop_reaches_from_the_objects_to_the_edges():
    frame = frame_of((20, 10), [(8, 4, 11, 7)])
    recipe = recipe_of("- bbox_safe_crop")
    boxes = np.array([drawn(draw(recipe, frame, 0, i))["bbox_safe_crop"]["box_xyxy"] for i in range(400)])
    assert [set(column) for column in boxes.T.tolist()] == [
        set(range(9)), set(range(5)), set(range(11, 21)), set(range(7, 11)),
    ]  # fmt: skip


def test_bbox_safe_crop_holds_fractions_of_pixels():
    frame = frame_of((20, 10), [(8.5, 4.25, 10.5, 6.001)])
    for copy in range(60):
        x0, y0, x1, y1 = drawn(draw(recipe_of("- bbox_safe_crop"), frame, 0, copy))["bbox_safe_crop"]["box_xyxy"]
        assert x0 <= 8
        assert y0 <= 4
        assert x1 >= 11
        assert y1 >= 7


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 500), (W, H)])
@pytest.mark.parametrize("least", [0, 0.3, 1])
def test_bbox_safe_crop_without_objects(size_wh, least):
    w, h = size_wh
    for copy in range(40):
        outcome = outcome_of("bbox_safe_crop", size_wh, copy, least=least)
        x0, y0, x1, y1 = outcome.parameters["box_xyxy"]
        assert 0 <= x0 < x1 <= w
        assert 0 <= y0 < y1 <= h
        assert x1 - x0 >= round(least * w)
        assert y1 - y0 >= round(least * h)
        check_window(outcome, (x1 - x0, y1 - y0))
    assert least < 1 or (x0, y0, x1, y1) == (0, 0, w, h)


def test_bbox_safe_crop_stretches_to_a_size():
    outcome = outcome_of("bbox_safe_crop", (W, H), size=[64, 32])
    assert outcome.effects[-1].size_wh == (64, 32)
    check_window(outcome, (64, 32))


def test_bbox_safe_crop_reads_a_label_raster_where_there_are_no_boxes():
    semantic = np.zeros((50, 60), np.uint8)
    semantic[10:20, 30:40] = 7
    semantic[0, 0] = 255  # void
    frame = Frame("photo.jpg", (60, 50), NOTHING.__class__(semantic=semantic))
    recipe = recipe_of("- horizontal_flip\n- bbox_safe_crop")
    ends = Counter()
    for copy in range(150):
        x0, y0, x1, y1 = drawn(draw(recipe, frame, 0, copy))["bbox_safe_crop"]["box_xyxy"]
        assert x0 <= 20
        assert y0 <= 10
        assert x1 >= 30
        assert y1 >= 20
        ends[x0, y0] += 1
    assert len(ends) > 20
    assert max(x for x, _ in ends) == 20
    assert max(y for _, y in ends) == 10  # the void pixel is no object
    empty = Frame("photo.jpg", (60, 50), NOTHING.__class__(semantic=np.zeros((50, 60), np.uint8)))
    assert draw(recipe, empty, 0, 3) == draw(recipe, frame_of((60, 50)), 0, 3)


def test_bbox_safe_crop_ignores_what_was_moved_out_of_sight():
    frame = frame_of((100, 100), [(0, 40, 10, 50), (60, 60, 70, 70)])
    recipe = recipe_of("- affine: {translate: [-0.4, -0.4]}\n- bbox_safe_crop")
    found = {drawn(draw(recipe, frame, 0, i))["bbox_safe_crop"]["box_xyxy"][0] for i in range(100)}
    assert max(found) == 20  # the second object is at 20 now, the first at −40


def test_bbox_safe_crop_goes_by_boxes_where_there_are_both():
    boxes = frame_of((60, 50), [(40, 30, 50, 40)])
    semantic = np.zeros((50, 60), np.uint8)
    semantic[10:20, 0:10] = 7
    both = Frame(boxes.key, boxes.size_wh, replace(boxes.annotations, semantic=semantic))
    recipe = recipe_of("- bbox_safe_crop")
    for copy in range(20):
        assert draw(recipe, both, 0, copy) == draw(recipe, boxes, 0, copy)


def test_bbox_safe_crop_goes_by_what_a_frame_left_to_be_seen():
    """Of an object at −20…10 the pad hides all but 0…10, which stands at 20…30 then."""
    frame = frame_of((100, 100), [(0, 40, 30, 60)])
    recipe = recipe_of("- affine: {translate: [-0.2, -0.2]}\n- pad: {sides: 20}\n- bbox_safe_crop")
    found = {drawn(draw(recipe, frame, 0, i))["bbox_safe_crop"]["box_xyxy"][0] for i in range(200)}
    assert max(found) == 20
