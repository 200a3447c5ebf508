"""What a recipe says of labels: classes with rules of their own, objects that the frame cuts, paint that cuts masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from painted import fill
from scenes import CATEGORIES, PLANS, SIZE, TURN, bars, erase, scene, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, ObjectRow, Rings, Rle, objects_of
from augpipe.core.canvas import follow
from augpipe.labels import rle, transform
from augpipe.labels.transform import LabelRules

KEEP = LabelRules(min_area=0.0, min_side=0.0)
CUT = replace(KEEP, erased="cut")


def labelled(annotations, steps, rules=KEEP):
    return transform.apply(annotations, follow(steps, SIZE), rules, CATEGORIES)


def picture(*rows):
    """Objects of (class id, box, more)."""
    return Annotations(objects=objects_of([ObjectRow(i, c, box, **more) for i, (c, box, more) in enumerate(rows)]))


def kept(out):
    return out.annotations.objects.index.tolist()


# --- classes ---------------------------------------------------------------------------------------------------------

SMALL, LARGE = (10.0, 10.0, 14.0, 14.0), (20.0, 10.0, 40.0, 30.0)
TWO_CLASSES = picture((1, SMALL, {}), (2, SMALL, {}), (1, LARGE, {}), (2, LARGE, {}))


@pytest.mark.parametrize(("own", "steps", "dropped"), [
    ({}, [], []),
    ({"min_side": 5.0}, [], []),
    ({"min_side": 5.0}, [warp(g.scaling(0.5, 0.5))], [(1, "min_side", 2.0)]),
    ({"min_area": 17.0}, [warp(g.scaling(0.5, 0.5))], [(1, "min_area", 4.0)]),
    ({"min_visibility": 0.6}, [warp(g.translation(0.0, -12.0))], [(1, "min_visibility", 0.5)]),
    ({"truncated": "drop"}, [warp(g.translation(0.0, -12.0))],
     [(1, "min_visibility", 0.5), (3, "min_visibility", 0.9)]),
])  # fmt: skip
def test_a_class_has_rules_of_its_own(own, steps, dropped):
    out = labelled(TWO_CLASSES, steps, replace(KEEP, classes={"thing": replace(KEEP, **own)}))
    assert [(d.index, d.reason, d.value) for d in out.dropped] == dropped
    assert kept(out) == [i for i in range(4) if i not in {d[0] for d in dropped}]
    everyone = labelled(TWO_CLASSES, steps, replace(KEEP, **own))
    assert {d.index for d in everyone.dropped} >= {d[0] for d in dropped}


def test_a_limit_is_held_against_the_number_as_it_is_written():
    sides = np.random.default_rng(2).integers(19_850, 20_150, (400, 2)) / 10_000  # 1.985 to 2.015
    boxes = [(20.0 - w / 2, 10.0, 20.0 + w / 2, 10.0 + h) for w, h in sides.tolist()]
    source = picture(*((1, tuple(2.0 * v for v in box), {}) for box in boxes))
    out = labelled(source, [warp(g.scaling(0.5, 0.5))], LabelRules(min_side=2.0, min_area=4.0))
    expected = []
    for i, box in enumerate(boxes):
        x0, y0, x1, y1 = (round(v, 3) for v in box)
        area = round((box[2] - box[0]) * (box[3] - box[1]), 3)
        if round(min(x1 - x0, y1 - y0), 3) >= 2.0 and area >= 4.0:
            expected.append(i)
    assert kept(out) == expected
    assert 50 < len(expected) < 200


def test_the_rules_of_a_class_are_the_whole_of_its_rules():
    rules = replace(KEEP, min_side=9.0, classes={"thing": KEEP})
    assert kept(labelled(TWO_CLASSES, [warp(g.scaling(0.9, 0.9))], rules)) == [1, 2, 3]


def test_classes_turn_plain_boxes_in_their_own_way():
    turn = [warp(g.about((30.0, 20.0), g.rotation(45.0)))]
    shape = {"segmentation": Rings((np.array([[20.0, 10.0], [40.0, 10.0], [30.0, 30.0]]),))}
    source = picture((1, LARGE, {}), (2, LARGE, {}), (7, LARGE, {}), (2, LARGE, shape))
    rules = replace(KEEP, classes={"thing": replace(KEEP, box="ellipse")})
    out = labelled(source, turn, rules)
    assert [s.box_from for s in out.shapes] == ["corners", "ellipse", "corners", "polygon"]
    for way in ("corners", "ellipse"):
        alone = labelled(source, turn, replace(KEEP, box=way))
        for mixed, one in zip(out.shapes, alone.shapes, strict=True):
            if mixed.box_from == one.box_from:
                assert mixed.box_xyxy == one.box_xyxy


def test_an_object_of_no_known_class_has_the_rules_of_all():
    rules = replace(KEEP, classes={"thing": replace(KEEP, min_side=99.0)})
    assert kept(labelled(picture((99, LARGE, {}), (2, LARGE, {})), [warp(g.scaling(0.5, 0.5))], rules)) == [0]


@pytest.mark.parametrize("name", PLANS)
def test_classes_that_say_nothing_else_change_nothing(name):
    source = scene(3)
    plain = labelled(source, PLANS[name])
    same = labelled(source, PLANS[name], replace(KEEP, classes={"thing": KEEP, "face": KEEP}))
    assert [s.box_xyxy for s in same.shapes] == [s.box_xyxy for s in plain.shapes]
    assert same.dropped == plain.dropped


# --- what the frame cuts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("moved", "stays"), [(0.0, True), (-10.01, True), (-10.03, False), (-15.0, False)])
def test_an_object_that_the_frame_cuts_can_be_dropped(moved, stays):
    steps, source = [warp(g.translation(moved, 0.0))], picture((1, (10.0, 10.0, 30.0, 20.0), {}))
    assert labelled(source, steps).dropped == ()
    out = labelled(source, steps, replace(KEEP, truncated="drop"))
    assert kept(out) == ([0] if stays else [])
    assert labelled(source, steps).truncated == (not stays)
    assert out.truncated == 0


def test_bars_cut_as_the_frame_does_and_paint_does_not():
    rules, source = replace(KEEP, truncated="drop"), picture((1, (10.0, 10.0, 30.0, 20.0), {}))
    assert [d.reason for d in labelled(source, [bars(20.0, 0.0, 64.0, 48.0)], rules).dropped] == ["min_visibility"]
    assert kept(labelled(source, [erase((10, 10, 20, 20))], rules)) == [0]


# --- paint that cuts -------------------------------------------------------------------------------------------------

BOX = (8.0, 8.0, 28.0, 24.0)
RINGS = Rings((np.array([[8.0, 8.0], [28.0, 8.0], [28.0, 24.0], [8.0, 24.0]]),))
SPLIT, CORNER, INSIDE = (16, 0, 18, 48), (0, 0, 12, 12), (12, 12, 20, 18)


def mask():
    bitmap = np.zeros((48, 64), np.uint8)
    bitmap[8:24, 8:28] = 1
    return rle.rle_of(bitmap)


@pytest.mark.parametrize("geometry", ["mask", "polygon"])
@pytest.mark.parametrize("steps", [[], [warp(g.mirror_x(64))], [warp(g.translation(-10.0, 3.0))]], ids=len)
@pytest.mark.parametrize("paint", [SPLIT, CORNER, INSIDE, (8, 0, 14, 48), (40, 0, 50, 9)], ids=str)
def test_masks_and_polygons_lose_what_is_painted_over(geometry, steps, paint):
    source = picture((2, BOX, {"segmentation": mask() if geometry == "mask" else RINGS}))
    lowered, cut = (labelled(source, [erase(paint), *steps], rules) for rules in (KEEP, CUT))
    expected = rle.rasterise(lowered.annotations.objects.segmentation[0], SIZE).astype(bool)
    for step in (erase(paint), *steps):  # exact moves: the paint goes along as pixels
        if hasattr(step, "boxes_xyxy"):
            under = np.zeros((48, 64), bool)
            under[paint[1] : paint[3], paint[0] : paint[2]] = True
        else:
            under = moved_pixels(under, step.matrix)
    expected &= ~under
    objects = cut.annotations.objects
    assert (rle.rasterise(objects.segmentation[0], SIZE) == expected).all()
    rows, columns = np.nonzero(expected)
    assert objects.boxes_xyxy[0].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert cut.shapes[0].area == expected.sum()
    assert (cut.shapes[0].visible, cut.shapes[0].in_frame) == (lowered.shapes[0].visible, lowered.shapes[0].in_frame)
    untouched = not steps and paint == (40, 0, 50, 9)
    assert (cut.shapes[0].box_from == "source") == untouched
    assert isinstance(objects.segmentation[0], Rle) == (geometry == "mask" or paint == INSIDE)


def moved_pixels(bitmap, matrix):
    out = np.zeros_like(bitmap)
    rows, columns = np.nonzero(bitmap)
    at = g.move_points(matrix, np.stack([columns + 0.5, rows + 0.5], axis=1))
    x, y = np.floor(at).astype(int).T
    inside = (x >= 0) & (x < 64) & (y >= 0) & (y < 48)
    out[y[inside], x[inside]] = True
    return out


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("steps", [[], [warp(TURN)], [warp(g.mirror_y(48)), bars(6.0, 4.0, 58.0, 44.0)]], ids=len)
def test_paint_in_any_scene(seed, steps):
    """Nothing of a mask or raster lies under the paint, and what lies elsewhere is as it was."""
    paint = [erase((5, 5, 30, 20), (40, 0, 64, 30))]
    source = scene(seed)
    lowered, cut = (labelled(source, [*paint, *steps], rules) for rules in (KEEP, CUT))
    track = follow([*paint, *steps], SIZE)
    under = pixels_in(track.erased)
    for name, void in (("semantic", 255), ("instance", 255), ("panoptic", 0)):
        before, after = getattr(lowered.annotations, name), getattr(cut.annotations, name)
        assert (after[under] == void).all()
        survivors = {0, *cut.annotations.objects.instance.tolist()}
        same = ~under if name != "instance" else ~under & np.isin(before, list(survivors))
        assert (after[same] == before[same]).all()
    assert {s["id"]: s["area"] for s in cut.annotations.segments_info} == {
        int(v): int(n) for v, n in zip(*np.unique(cut.annotations.panoptic, return_counts=True), strict=True) if v
    }
    rows = {index: i for i, index in enumerate(kept(lowered))}
    assert set(kept(cut)) <= set(rows)
    for now, index in enumerate(kept(cut)):
        before = lowered.annotations.objects.segmentation[rows[index]]
        after = cut.annotations.objects.segmentation[now]
        shape = cut.shapes[now]
        if before is None:
            assert after is None
            assert shape.box_xyxy == lowered.shapes[rows[index]].box_xyxy
        elif isinstance(before, Rle):
            expected = rle.rasterise(before, SIZE).astype(bool) & ~under
            assert (rle.rasterise(after, SIZE) == expected).all()
            number = cut.annotations.objects.instance[now]
            assert number == 0 or ((cut.annotations.instance == number) == expected).all()
        elif isinstance(after, Rings):
            assert (fill(after.rings, SIZE, 8) & np.kron(under, np.ones((8, 8), bool))).mean() < 2e-3
            assert shape.area == pytest.approx(fill(after.rings, SIZE, 8).sum() / 64, rel=0.05, abs=1.0)
        np.testing.assert_array_equal(
            np.nan_to_num(cut.annotations.objects.keypoints[now]),
            np.nan_to_num(lowered.annotations.objects.keypoints[rows[index]]),
        )


def pixels_in(regions):
    y, x = np.mgrid[:48, :64] + 0.5
    out = np.zeros((48, 64), bool)
    for region in regions:
        sides = [
            (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            for (ax, ay), (bx, by) in zip(region, (*region[1:], region[0]), strict=True)
        ]
        out |= np.all(np.array(sides) >= 0, axis=0) | np.all(np.array(sides) <= 0, axis=0)
    return out


@pytest.mark.parametrize("steps", [[], [warp(g.mirror_x(64))]], ids=len)
def test_an_object_that_is_wholly_painted_over_is_erased(steps):
    source = picture(
        (2, BOX, {"segmentation": mask()}), (2, BOX, {"segmentation": RINGS}), (2, BOX, {}), (2, (50, 30, 60, 40), {})
    )
    out = labelled(source, [erase((8, 8, 28, 24)), *steps], CUT)
    assert [(d.index, d.reason, d.value) for d in out.dropped] == [(i, "erased", 0.0) for i in range(3)]


@pytest.mark.parametrize("rules", [KEEP, CUT])
@pytest.mark.parametrize("steps", [[], [warp(TURN)]], ids=len)
def test_the_source_is_not_painted_on(rules, steps):
    source, again = scene(4), scene(4)
    labelled(source, [erase((0, 0, 40, 40)), *steps], rules)
    for name in ("semantic", "instance", "panoptic"):
        assert (getattr(source, name) == getattr(again, name)).all()


@pytest.mark.parametrize("name", [name for name in PLANS if "erase" not in name])
def test_without_paint_both_rules_are_one(name):
    plain, cut = (labelled(scene(2), PLANS[name], rules) for rules in (KEEP, CUT))
    assert [s.box_xyxy for s in plain.shapes] == [s.box_xyxy for s in cut.shapes]
    assert (plain.annotations.panoptic == cut.annotations.panoptic).all()
    assert plain.annotations.segments_info == cut.annotations.segments_info
