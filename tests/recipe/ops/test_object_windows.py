"""Windows and paint by the objects that can be seen."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from recipe_tools import recipe_of

from augpipe.core.annotations import Annotations, Category, Frame, ObjectRow, class_names, objects_of
from augpipe.recipe.compatibility import check
from augpipe.recipe.planner import draw

BOXES = [(10, 20, 60, 70), (200, 100, 300, 180), (400, 300, 420, 330), (500, 20, 620, 200)]
CLASSES = [1, 1, 2, 3]
NAMES = {1: "cat", 2: "dog", 3: "crowd"}


def frame(boxes=BOXES, classes=CLASSES, size_wh=(640, 480)):
    rows = [
        ObjectRow(i, number, tuple(map(float, box)), iscrowd=int(number == 3))
        for i, (box, number) in enumerate(zip(boxes, classes, strict=True))
    ]
    return Frame("photo.jpg", size_wh, Annotations().with_objects(objects_of(rows)), NAMES)


def numbers_of(step, copy, **given):
    (drawn,) = draw(recipe_of([step]), frame(**given), 5, copy).drawn
    return drawn.parameters


def iou(one, other):
    w, h = (max(0, min(one[i + 2], other[i + 2]) - max(one[i], other[i])) for i in (0, 1))
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return w * h / (areas - w * h)


def test_a_window_reaches_the_iou_that_was_drawn():
    thresholds, whole = Counter(), 0
    for copy in range(150):
        numbers = numbers_of("iou_crop", copy, boxes=[(100, 80, 500, 400)], classes=[1])
        box, least = numbers["box_xyxy"], numbers["least"]
        thresholds[least] += 1
        whole += box == [0, 0, 640, 480]
        assert 0 <= box[0] < box[2] <= 640
        assert 0 <= box[1] < box[3] <= 480
        if box != [0, 0, 640, 480]:
            assert iou(box, (100, 80, 500, 400)) >= least
            assert 0.5 <= (box[2] - box[0]) / (box[3] - box[1]) <= 2
    assert set(thresholds) == {0, 0.1, 0.3, 0.5, 0.7, 0.9, 1}
    assert thresholds[1] <= whole < 75


def test_without_objects_the_whole_canvas_is_kept():
    assert numbers_of("iou_crop", 0, boxes=[], classes=[])["box_xyxy"] == [0, 0, 640, 480]
    assert draw(recipe_of(["iou_crop"]), frame([], []), 5, 0).steps == ()
    sized = draw(recipe_of([{"iou_crop": {"size": 100}}]), frame([], []), 5, 0)
    assert sized.steps[0].size_wh == (100, 100)


def test_a_window_around_an_object_has_the_margins():
    chosen = Counter()
    for copy in range(200):
        numbers = numbers_of({"object_crop": {"margin": [0.25, 0.5]}}, copy)
        chosen[numbers["object"]] += 1
        held, box = BOXES[numbers["object"]], numbers["box_xyxy"]
        w, h = held[2] - held[0], held[3] - held[1]
        for got, inner, side, edge in zip(box, held, (w, h, w, h), (0, 0, 640, 480), strict=True):
            assert got == edge or 0.25 * side <= abs(got - inner) <= 0.5 * side + 1
    assert set(chosen) == {0, 1, 2}  # 3 is a crowd
    assert min(chosen.values()) > 40


def test_a_class_is_drawn_first_or_given():
    balanced = [numbers_of({"object_crop": {"classes": "balanced"}}, copy)["object"] for copy in range(200)]
    assert 70 < balanced.count(2) < 130  # the only dog
    given = {numbers_of({"object_crop": {"classes": ["cat"]}}, copy)["object"] for copy in range(30)}
    assert given == {0, 1}
    assert "object" not in numbers_of({"object_crop": {"classes": ["cat"]}}, 0, boxes=[], classes=[])


def test_a_ratio_is_kept_where_there_is_room():
    for copy in range(30):
        x0, y0, x1, y1 = numbers_of({"object_crop": {"ratio": [1, 1], "margin": 0.2}}, copy)["box_xyxy"]
        assert abs((x1 - x0) - (y1 - y0)) <= 1


def test_paint_lies_inside_the_boxes_of_objects():
    counts = Counter()
    for copy in range(60):
        boxes = numbers_of("object_cutout", copy)["boxes_xyxy"]
        counts[len(boxes)] += 1
        for box in boxes:
            inside = [b for b in BOXES[:3] if b[0] <= box[0] and b[1] <= box[1] and box[2] <= b[2] and box[3] <= b[3]]
            (held,) = inside
            area = (box[2] - box[0]) * (box[3] - box[1]) / ((held[2] - held[0]) * (held[3] - held[1]))
            assert 0.02 <= area <= 0.5
    assert set(counts) == {1, 2, 3}
    assert numbers_of("object_cutout", 0, boxes=[], classes=[])["boxes_xyxy"] == []


def test_a_grid_has_squares_at_every_unit():
    step = draw(recipe_of([{"grid_dropout": {"unit": 0.25, "ratio": 0.5}}]), frame(), 5, 0).steps[0]
    boxes = np.array(step.boxes_xyxy)
    inner = boxes[(boxes[:, 0] > 0) & (boxes[:, 1] > 0) & (boxes[:, 2] < 640) & (boxes[:, 3] < 480)]
    assert set((inner[:, 2] - inner[:, 0]).tolist()) == {60}
    assert set(np.diff(np.unique(inner[:, 0])).tolist()) == {120}
    covered = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum() / (640 * 480)
    assert covered == pytest.approx(0.25, abs=0.05)
    fine = draw(recipe_of([{"grid_dropout": {"unit": 0.02}}]), frame(size_wh=(9000, 300)), 5, 0)
    assert len(fine.steps[0].boxes_xyxy) <= 1000


def test_a_class_that_the_dataset_does_not_have_is_refused():
    class Labels:
        categories = (Category(1, 1, "cat"), Category(2, 2, "dog"))
        has_places, may_lack_keypoint_names = True, False

        def labels(self, most=None):
            return iter(())

    refusals = check(recipe_of([{"object_crop": {"classes": ["dgo"]}}]), Labels()).refusals
    assert refusals == ("x: object_crop.classes: no class 'dgo' in the dataset; did you mean 'dog'?",)
    assert class_names(Labels.categories) == {1: "cat", 2: "dog"}
