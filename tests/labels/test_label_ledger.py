"""What is dropped and why, keypoints, parts and rasters on their way through a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from datasets import make_voc
from scenes import BARS, CATEGORIES, HORIZON, PLANS, SIZE, TILT, TURN, bars, erase, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import (
    NO_OBJECTS,
    Annotations,
    Dropped,
    ObjectAttributes,
    ObjectPart,
    ObjectRow,
    Rings,
    objects_of,
)
from augpipe.core.canvas import follow
from augpipe.formats.base import read_picture
from augpipe.formats.registry import open_dataset
from augpipe.labels import rle, transform
from augpipe.labels.normalize import aligned
from augpipe.labels.transform import LabelRules
from augpipe.pixels.codec.header import read_header

EVERYTHING = LabelRules(min_area=0.0, min_side=0.0)


def labelled(annotations, steps, rules=EVERYTHING, size_wh=SIZE, **more):
    return transform.apply(annotations, follow(steps, size_wh), rules, CATEGORIES, **more)


def one(box=(10.0, 8.0, 22.0, 20.0), **more):
    return Annotations(objects=objects_of([ObjectRow(0, 1, box, **more)]))


# --- what is dropped, and why ----------------------------------------------------------------------------------------

SMALL = one((10.0, 10.0, 20.0, 15.0))
STRIP = Rings((np.array([[0.0, 20.0], [64.0, 20.0], [64.0, 20.5], [0.0, 20.5]]),))
HALF_OUT = [warp(g.translation(0.0, -12.5))]
FAULTS = [
    ("kept", SMALL, HALF_OUT, {}, None),
    ("outside", SMALL, [warp(g.translation(-20.0, 0.0))], {}, ("outside", None)),
    ("hidden by bars", SMALL, [bars(20.0, 0.0, 64.0, 48.0)], {}, ("outside", None)),
    ("at the limit of visibility", SMALL, HALF_OUT, {"min_visibility": 0.5}, None),
    ("too little visible", SMALL, HALF_OUT, {"min_visibility": 0.501}, ("min_visibility", 0.5)),
    ("enough as it is written", SMALL, [warp(g.translation(0.0, -12.502))], {"min_visibility": 0.5}, None),
    ("erased", SMALL, [erase((0, 0, 64, 48))], {}, ("erased", 0.0)),
    ("erased by a part", SMALL, [erase((10, 0, 18, 48))], {"min_visibility": 0.3}, ("erased", 0.2)),
    ("erased and moved", SMALL, [erase((10, 0, 18, 48)), warp(TURN)], {"min_visibility": 0.3}, ("erased", 0.2)),
    ("cut before erased", SMALL, [erase((10, 0, 18, 48)), *HALF_OUT], {"min_visibility": 0.6}, ("min_visibility", 0.1)),
    ("erased after cut", SMALL, [erase((10, 0, 18, 48)), *HALF_OUT], {"min_visibility": 0.4}, ("erased", 0.1)),
    ("at the least side", SMALL, HALF_OUT, {"min_side": 2.5}, None),
    ("too narrow", SMALL, HALF_OUT, {"min_side": 2.501}, ("min_side", 2.5)),
    ("too narrow before too small", SMALL, HALF_OUT, {"min_side": 3.0, "min_area": 99.0}, ("min_side", 2.5)),
    ("at the least area", SMALL, HALF_OUT, {"min_area": 25.0}, None),
    ("too small", SMALL, HALF_OUT, {"min_area": 25.001}, ("min_area", 25.0)),
    ("invisible before too small", SMALL, HALF_OUT, {"min_visibility": 0.6, "min_area": 99.0}, ("min_visibility", 0.5)),
    ("small where nothing moved", SMALL, [], {"min_area": 60.0, "min_side": 9.0}, None),
    ("too small where it is covered", SMALL, [erase((0, 0, 12, 48))], {"min_area": 60.0}, ("min_area", 50.0)),
    ("the polygon's area counts", one((0, 20, 64, 48), segmentation=STRIP), [warp(g.scaling(0.5, 0.5))],
     {"min_area": 33.0}, ("min_area", 8.0)),
    ("the mask's area counts", one((0, 0, 9, 9), segmentation=rle.rle_of_runs([0, 40, 3032], (48, 64))),
     [warp(g.translation(0.0, -10.0))], {"min_area": 41.0}, ("min_area", 30.0)),
    ("no width", one((5.0, 5.0, 5.0, 9.0)), [], {}, ("degenerate", None)),
    ("no width, moved", one((5.0, 5.0, 5.0, 9.0)), [warp(TURN)], {}, ("degenerate", None)),
    ("no width, outside", one((5.0, 5.0, 5.0, 9.0)), [warp(g.translation(99.0, 0.0))], {}, ("degenerate", None)),
    ("no width once it is written", one((5.0, 5.0, 5.0004, 9.0)), [], {}, ("degenerate", None)),
    ("not a number", one((5.0, 5.0, float("nan"), 9.0)), [warp(TURN)], {}, ("degenerate", None)),
    ("a mask of no pixel", one((5, 5, 6, 6), segmentation=rle.rle_of_runs([245, 1, 2826], (48, 64))),
     [warp(g.scaling(0.1, 0.1), (6, 5))], {}, ("degenerate", None)),
]  # fmt: skip


@pytest.mark.parametrize(("source", "steps", "rules", "expected"), [r[1:] for r in FAULTS], ids=[r[0] for r in FAULTS])
def test_why_an_object_is_dropped(source, steps, rules, expected):
    source = source.with_objects(replace(source.objects, index=np.array([8]), facts=(ObjectAttributes(id="x"),)))
    out = labelled(source, steps, replace(EVERYTHING, **rules))
    assert out.dropped == (() if expected is None else (Dropped(8, 1, *expected, id="x"),))
    assert len(out.annotations.objects) == len(out.shapes) == (expected is None)


def test_the_rules_that_hold_when_none_are_given():
    assert LabelRules() == LabelRules(min_visibility=0.0, min_area=4.0, min_side=2.0, box="corners")


def test_what_reading_dropped_stays_in_the_ledger_in_order():
    early = (Dropped(11, 2, "degenerate"), Dropped(0, 7, "outside", None, 3))
    source = replace(SMALL.with_objects(replace(SMALL.objects, index=np.array([4]))), dropped=early)
    out = labelled(source, PLANS["all of it outside"])
    assert [(d.index, d.reason) for d in out.dropped] == [(0, "outside"), (4, "outside"), (11, "degenerate")]
    assert [d.index for d in labelled(source, []).dropped] == [0, 11]


def test_no_objects_at_all():
    out = labelled(Annotations(), PLANS["turn"])
    assert (len(out.annotations.objects), out.shapes, out.dropped) == (0, (), ())
    assert out.annotations.objects.boxes_xyxy.shape == (0, 4)
    out = labelled(SMALL, PLANS["all of it outside"])
    assert out.annotations.objects.boxes_xyxy.shape == NO_OBJECTS.boxes_xyxy.shape == (0, 4)


@pytest.mark.parametrize(("known", "cut", "expected"), [
    (None, 0.045, None), (None, 0.055, 1), (0, 0.045, 0), (0, 0.055, 1), (1, 0.0, 1), (1, 0.055, 1),
])  # fmt: skip
def test_truncated_is_what_the_frame_cuts_more_than_a_thousandth_of(known, cut, expected):
    source = one((0.0, 0.0, 50.0, 20.0), facts=ObjectAttributes(truncated=known))
    out = labelled(source, [warp(g.translation(-cut, 0.0))])
    assert out.annotations.objects.facts[0].truncated == expected


def test_a_crowd_stays_a_crowd():
    for steps in PLANS.values():
        objects = labelled(one((20.0, 15.0, 40.0, 30.0), iscrowd=1), steps).annotations.objects
        assert set(objects.iscrowd.tolist()) <= {1}


def test_the_recipe_chooses_how_plain_boxes_are_turned():
    turn = [warp(g.about((32.0, 24.0), g.rotation(45.0)))]
    square = one((22.0, 14.0, 42.0, 34.0))
    corners, ellipse = (labelled(square, turn, replace(EVERYTHING, box=rule)) for rule in ("corners", "ellipse"))
    assert (corners.shapes[0].box_from, ellipse.shapes[0].box_from) == ("corners", "ellipse")
    half = 10.0 * 2**0.5
    np.testing.assert_allclose(corners.shapes[0].box_xyxy, [32 - half, 24 - half, 32 + half, 24 + half], atol=1e-4)
    np.testing.assert_allclose(ellipse.shapes[0].box_xyxy, [22.0, 14.0, 42.0, 34.0], atol=0.02)


# --- keypoints -------------------------------------------------------------------------------------------------------

POINTS = np.array([[20.0, 20.0, 2], [24.0, 16.0, 2], [16.0, 16.0, 1], [28.0, 20.0, 2], [12.0, 20.0, 2]])
MIRRORS = {
    "mirror": (g.mirror_x(64), True),
    "upside down": (g.mirror_y(48), True),
    "transposed": ((0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0), True),
    "quarter turn and mirror": (g.then(g.quarter_turns(1, SIZE), g.mirror_x(48)), True),
    "mirrored turn": (g.then(TURN, g.mirror_x(64)), True),
    "mirrored tilt": (g.then(TILT, g.mirror_y(48)), True),
    "negative scale": (g.about((32.0, 24.0), g.scaling(-0.8, 0.8)), True),
    "nothing": (g.IDENTITY, False),
    "half a turn": (g.quarter_turns(2, SIZE), False),
    "both mirrors": (g.then(g.mirror_x(64), g.mirror_y(48)), False),
    "quarter turn": (g.quarter_turns(1, SIZE), False),
    "turn": (TURN, False),
    "tilt": (TILT, False),
}


@pytest.mark.parametrize("name", MIRRORS)
def test_left_and_right_are_swapped_by_every_map_that_mirrors_and_by_no_other(name):
    matrix, mirrored = MIRRORS[name]
    m = np.reshape(g.rounded(matrix), (3, 3))
    moved = np.concatenate([POINTS[:, :2], np.ones((5, 1))], axis=1) @ m.T
    expected = np.concatenate([moved[:, :2] / moved[:, 2:], POINTS[:, 2:]], axis=1)
    expected = expected[[0, 2, 1, 4, 3]] if mirrored else expected
    out = labelled(one(keypoints=POINTS), [warp(matrix, (64, 64))]).annotations.objects
    np.testing.assert_allclose(out.keypoints[0], expected, atol=1e-6)
    # Without pairs the order is the source's.
    plain = transform.apply(
        one(keypoints=POINTS), follow([warp(matrix, (64, 64))], SIZE), EVERYTHING, {1: CATEGORIES[2]}
    )
    np.testing.assert_allclose(
        plain.annotations.objects.keypoints[0], expected[[0, 2, 1, 4, 3]] if mirrored else expected, atol=1e-6
    )
    unknown = transform.apply(one(keypoints=POINTS), follow([warp(matrix, (64, 64))], SIZE), EVERYTHING, {})
    np.testing.assert_array_equal(unknown.annotations.objects.keypoints[0], plain.annotations.objects.keypoints[0])


def test_two_mirrors_with_a_blur_between_swap_nothing():
    once, twice = PLANS["mirror"], [*PLANS["mirror"], *PLANS["no move"], *PLANS["mirror"]]
    assert (labelled(one(keypoints=POINTS), twice).annotations.objects.keypoints[0] == POINTS).all()
    assert (labelled(one(keypoints=POINTS), once).annotations.objects.keypoints[0] != POINTS).any()


def keypoints_after(points, steps):
    box = one((1.0, 1.0, 63.0, 47.0), keypoints=np.array(points, float))
    return labelled(box, steps).annotations.objects.keypoints[0].tolist()


def test_keypoints_outside_are_not_there():
    points = [[0.0, 0.0, 2], [4.0, 5.0, 2], [5.0, 4.0, 1], [5.0, 5.0, 2], [64.0, 48.0, 1]]
    assert keypoints_after(points, [warp(g.translation(-5.0, -5.0))]) == [[0, 0, 0]] * 3 + [[0, 0, 2], [59, 43, 1]]


def test_keypoints_that_are_not_there_have_no_place():
    for steps in ([], PLANS["turn"], PLANS["erase"], [erase((0, 0, 9, 9))]):
        assert keypoints_after([[9.0, 9.0, 0]] * 5, steps) == [[0, 0, 0]] * 5


def test_keypoints_hidden_by_bars_are_not_there():
    points = [[5.0, 20.0, 2], [7.0, 20.0, 2], [57.0, 20.0, 2], [59.0, 20.0, 2], [20.0, 46.0, 2]]
    assert keypoints_after(points, [BARS]) == [[0, 0, 0], points[1], points[2], [0, 0, 0], [0, 0, 0]]


def test_keypoints_painted_over_are_labelled_but_not_visible():
    points = [[5.0, 5.0, 2], [15.0, 5.0, 2], [5.0, 8.0, 1], [0.0, 0.0, 0], [10.0, 10.0, 2]]
    expected = [[5, 5, 1], [15, 5, 2], [5, 8, 1], [0, 0, 0], [10, 10, 1]]
    assert keypoints_after(points, [erase((0, 0, 10, 10))]) == expected
    moved = keypoints_after(points, [erase((0, 0, 10, 10)), warp(g.translation(3.0, 2.0))])
    assert moved == [[8, 7, 1], [18, 7, 2], [8, 10, 1], [0, 0, 0], [13, 12, 1]]


def test_keypoints_behind_the_horizon_have_no_place():
    """The same division sends them back onto the canvas, mirrored."""
    points = [[60.0, 40.0, 2], [63.0, 10.0, 2], [40.0, 0.0, 2], [10.0, 10.0, 2], [55.0, 2.0, 1]]
    step = warp(g.then(HORIZON, g.translation(200.0, 150.0)), (400, 300))
    by_division = g.move_points(step.matrix, np.array(points)[[0, 1, 4], :2])
    assert ((by_division > 0) & (by_division < (400, 300))).all()
    moved = keypoints_after(points, [step])
    assert [*moved[:3], *moved[4:]] == [[0, 0, 0]] * 4
    np.testing.assert_allclose(moved[3], [200 + 11.0 / 0.77, 150 + 11.0 / 0.77, 2], atol=1e-4)


# --- parts -----------------------------------------------------------------------------------------------------------


def test_parts_are_moved_and_cut_with_the_frame():
    parts = (
        ObjectPart("head", (10.0, 8.0, 14.0, 12.0)),
        ObjectPart("hand", (30.0, 8.0, 34.0, 12.0)),
        ObjectPart("head", (1.0, 1.0, 3.0, 3.0)),
    )
    source = one((1.0, 1.0, 34.0, 12.0), parts=parts)
    moved = labelled(source, [warp(g.translation(-12.0, 0.0))]).annotations.objects.parts[0]
    assert moved == (ObjectPart("head", (0.0, 8.0, 2.0, 12.0)), ObjectPart("hand", (18.0, 8.0, 22.0, 12.0)))
    assert labelled(source, PLANS["erase"]).annotations.objects.parts[0] == parts


# --- rasters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("void", [255, 0, 7])
def test_new_ground_is_void(void):
    source = Annotations(semantic=np.full((48, 64), 5, np.uint8), panoptic=np.full((48, 64), 5, np.uint32))
    for steps, ground in (
        ([warp(g.translation(4.0, 0.0))], np.s_[:, :4]),
        ([warp(g.translation(3.75, 0.0))], np.s_[:, :4]),
        ([bars(4.0, 0.0, 64.0, 48.0)], np.s_[:, :4]),
        ([bars(3.51, 0.0, 64.0, 48.0)], np.s_[:, :4]),
        ([warp(g.scaling(1.0, 0.5))], np.s_[24:]),
    ):
        out = labelled(source, steps, void=void).annotations
        expected = np.full((48, 64), 5)
        expected[ground] = void
        assert (out.semantic == expected).all()
        expected[ground] = 0
        assert (out.panoptic == expected).all()


def instances(numbers, dtype=np.uint8):
    """An instance raster of stripes, and objects of some of them."""
    raster = np.repeat(np.array([0, 1, 2, 3, 4, np.iinfo(dtype).max], dtype), 8)[:, None] + np.zeros((48, 64), dtype)
    rows = [
        ObjectRow(n - 1, 1, (0.0, 8.0 * n, 64.0, 8.0 * n + 8), instance=n, segmentation=rle.rle_of(raster == n))
        for n in numbers
    ]
    return Annotations(objects=objects_of(rows), instance=raster)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("steps", [[], PLANS["no move"], PLANS["mirror"], PLANS["tilt"], [BARS]], ids=len)
def test_instances_without_an_object_are_void(dtype, steps):
    """Dropped now, or when they were read: neither an object nor background to learn from."""
    source, void = instances([1, 3, 4], dtype), np.iinfo(dtype).max
    rules = replace(EVERYTHING, min_area=10.0)
    everyone = replace(source, objects=instances([1, 2, 3, 4], dtype).objects)
    whole = labelled(everyone, steps, rules).annotations.instance
    out = labelled(source, [*steps, erase((0, 31, 64, 34))], replace(rules, min_visibility=0.9))
    kept = set(out.annotations.objects.instance.tolist())
    assert 1 in kept or steps in (PLANS["tilt"], [BARS])
    assert 4 not in kept
    expected = np.where(np.isin(whole, [0, *kept]), whole, void)
    assert (out.annotations.instance == expected).all()
    assert out.annotations.instance.dtype == dtype
    assert (source.instance == instances([], dtype).instance).all()


def test_an_instance_of_two_objects_stays_if_one_does():
    source = instances([1, 1])
    objects = replace(source.objects, boxes_xyxy=np.array([[0.0, 8.0, 64.0, 16.0], [0.0, 8.0, 0.0, 16.0]]),
                      segmentation=(None, None))  # fmt: skip
    out = labelled(source.with_objects(objects), PLANS["mirror"])
    assert len(out.dropped) == 1
    assert (out.annotations.instance == 1).sum() == 8 * 64


def test_segments_without_their_raster_lose_what_is_no_longer_true():
    info = ({"id": 3, "category_id": 2, "area": 9, "bbox": [1, 2, 3, 4], "iscrowd": 0},)
    source = Annotations(segments_info=info)
    assert labelled(source, PLANS["no move"]).annotations.segments_info == info
    assert labelled(source, PLANS["mirror"]).annotations.segments_info == ({"id": 3, "category_id": 2, "iscrowd": 0},)


# --- numbers that are none -------------------------------------------------------------------------------------------

XML = """<annotation><filename>a.jpg</filename><size><width>97</width><height>75</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>9</xmax><ymax>{}</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
<part><name>head</name><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part></object>
</annotation>"""


@pytest.mark.parametrize("bad", ["NaN", "nan", "inf", "-Infinity", "1e400"])
def test_numbers_that_are_none_are_stopped_at_reading(bad, tmp_path):
    """What a reader hands on is finite: the object is in the ledger, and a part is left out."""
    for file, picture in datasets_of(tmp_path, bad):
        assert np.isfinite(picture.objects.boxes_xyxy).all(), file
        out = labelled(picture, [warp(TURN, (97, 75))], size_wh=(97, 75))
        assert [(d.index, d.reason) for d in out.dropped] == [(0, "degenerate")]
        assert out.annotations.objects.index.tolist() == [1]
        assert np.isfinite(out.annotations.objects.boxes_xyxy).all()


def datasets_of(folder, bad):
    make_voc(folder, 1)
    (folder / "Annotations" / "img_000.xml").write_text(XML.format(bad, 9, bad))
    yield "xmin", annotations_in(folder)
    (folder / "Annotations" / "img_000.xml").write_text(XML.format(1, bad, bad))
    yield "ymax", annotations_in(folder)


def annotations_in(folder):
    found = open_dataset(str(folder))
    (entry,) = found.entries
    return aligned(found.reader.annotations(entry), read_header(read_picture(entry)))
