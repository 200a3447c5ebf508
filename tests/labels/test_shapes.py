"""Shapes: which geometry decides, and masks against brute force, paint and samples sent through the steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted import Particles, box_of, enlarged, fill, in_convex, looked_up

from augpipe.core import geometry as g
from augpipe.core.annotations import Rings, Rle
from augpipe.core.canvas import follow
from augpipe.labels import rle
from augpipe.labels.shapes import shape_of, shapes_of
from augpipe.pixels.resample import resample_labels
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

quick = settings(derandomize=True, database=None, deadline=None, max_examples=40)

SIZE = (40, 30)
TURN = g.rounded(g.about((20.0, 15.0), g.then(g.rotation(33.0), g.scaling(1.4, 0.9))))
TILT = g.rounded(g.then(g.scaling(1 / 40, 1 / 30), g.square_to_quad([(4, 1), (36, -3), (44, 27), (-4, 33)])))
HORIZON = g.rounded((1.0, 0.2, 0.0, 0.1, 1.0, 0.0, -0.04, 0.003, 1.0))  # past x = 25 there is no picture
BOX = np.array([10.0, 8.0, 22.0, 20.0])
SQUARE = np.array([[10.0, 8.0], [22.0, 8.0], [22.0, 20.0], [10.0, 20.0]])
TRIANGLE = np.array([[12.0, 9.0], [20.0, 9.0], [16.0, 19.0]])
OBB = np.array([[16.0, 9.0], [21.0, 14.0], [16.0, 19.0], [11.0, 14.0]])
FRAME = PadFill(region=((6.0, 2.0), (36.0, 5.0), (33.0, 27.0), (4.0, 24.0)), fill=(0, 0, 0))


def warp(matrix, size_wh=SIZE):
    return Warp(matrix=matrix, size_wh=size_wh)


def erase(*boxes):
    return Cutout(boxes_xyxy=boxes, fill=(0, 0, 0))


PLANS = {
    "turn": [warp(TURN)],
    "tilt": [warp(TILT)],
    "horizon": [warp(HORIZON)],
    "mirror": [warp(g.mirror_x(40))],
    "half": [warp(g.scaling(0.5, 0.5), (20, 15))],
    "half a pixel": [warp(g.translation(0.5, -0.5))],
    "a quarter": [warp(g.scaling(0.25, 0.25), (10, 8))],
    "larger": [warp(g.about((20.0, 15.0), g.scaling(3.0, 3.0)))],
    "bars": [FRAME],
    "bars, then turn": [warp(TILT), FRAME, warp(TURN)],
    "two": [warp(TURN), Blur(sigma=1.0), warp(g.translation(7.3, -4.6))],
    "erase": [erase((12, 3, 25, 12))],
    "erase, then tilt": [erase((12, 3, 25, 12), (0, 20, 9, 30)), warp(TILT), FRAME],
}


def blob(seed, size_wh=SIZE):
    """A lumpy mask with a few stray pixels, somewhere in the picture."""
    w, h = size_wh
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    cx, cy, rx, ry = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(2, 14), rng.uniform(2, 10)
    out = ((x + 0.5 - cx) / rx) ** 2 + ((y + 0.5 - cy) / ry) ** 2 < 1 + 0.3 * np.sin(x) * np.cos(y)
    out |= rng.random((h, w)) < 0.003
    return out.astype(np.uint8)


def of_mask(bitmap, steps, size_wh=None):
    size = size_wh or bitmap.shape[::-1]
    return shape_of(BOX, rle.rle_of(bitmap), None, follow(steps, size))


def pixels(shape, track):
    return rle.rasterise(shape.segmentation, track.size_wh)


# --- masks: the window is the picture --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANS)
@quick
@given(seed=st.integers(0, 10**6))
def test_a_mask_in_its_own_window_moves_as_the_whole_picture_does(name, seed):
    bitmap, track = blob(seed), follow(PLANS[name], SIZE)
    shape = of_mask(bitmap, PLANS[name])
    w, h = track.size_wh
    expected = resample_labels(bitmap, track.map.matrix, (0, 0, w, h), 0)
    if track.hidden_outside is not None:
        y, x = np.mgrid[:h, :w] + 0.5
        centres = np.stack([x, y], axis=-1).reshape(-1, 2)
        expected = expected * in_convex(centres, track.hidden_outside).reshape(h, w)
    if not expected.any():
        assert shape.box_xyxy is None
        return
    assert (pixels(shape, track) == expected).all()
    assert shape.area == expected.sum()
    assert shape.box_xyxy == tuple(box_of(expected, 1))
    assert shape.box_from == "mask"


@pytest.mark.parametrize("name", ["turn", "tilt", "larger", "two"])
@quick
@given(seed=st.integers(0, 10**6))
def test_a_mask_is_the_picture_looked_up_point_by_point(name, seed):
    bitmap, track = blob(seed), follow(PLANS[name], SIZE)
    expected = looked_up(bitmap, track.map.matrix, SIZE, 1)
    if track.hidden_outside is not None:
        expected *= looked_up(np.ones((30, 40), np.uint8), PLANS[name][-1].matrix, SIZE, 1)
    shape = of_mask(bitmap, PLANS[name])
    got = pixels(shape, track) if shape.segmentation else np.zeros_like(expected)
    assert (got != expected).sum() <= 2  # points on a pixel's very edge


EXACT = {
    "mirror": (g.mirror_x(40), SIZE, lambda b: b[:, ::-1]),
    "upside down": (g.mirror_y(30), SIZE, lambda b: b[::-1]),
    "once": (g.quarter_turns(1, SIZE), (30, 40), lambda b: np.rot90(b, -1)),
    "twice": (g.quarter_turns(2, SIZE), SIZE, lambda b: np.rot90(b, -2)),
    "three times": (g.quarter_turns(3, SIZE), (30, 40), lambda b: np.rot90(b, -3)),
    "transposed": ((0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0), (30, 40), lambda b: b.T),
    "crop": (g.translation(-7.0, -3.0), (20, 21), lambda b: b[3:24, 7:27]),
    "pad": (g.translation(7.0, 3.0), (50, 40), lambda b: np.pad(b, ((3, 7), (7, 3)))),
}


@pytest.mark.parametrize("name", EXACT)
@quick
@given(seed=st.integers(0, 10**6))
def test_exact_moves_of_masks_are_those_of_arrays(name, seed):
    matrix, size, move = EXACT[name]
    bitmap, track = blob(seed), follow([warp(matrix, size)], SIZE)
    shape, expected = of_mask(bitmap, [warp(matrix, size)]), move(bitmap)
    if not expected.any():
        assert (shape.box_xyxy, shape.in_frame) == (None, 0.0)
        return
    assert (pixels(shape, track) == expected).all()
    assert shape.in_frame == pytest.approx(expected.sum() / bitmap.sum(), abs=1e-12)
    assert shape.visible == shape.in_frame


def test_an_exact_move_has_no_longest_side():
    """Where pixels are copied, positions need not fit into OpenCV's 16 bits."""
    bitmap = np.zeros((3, 50_000), np.uint8)
    bitmap[1, 5:49_000] = 1
    shape = of_mask(bitmap, [warp(g.mirror_x(50_000), (50_000, 3))])
    assert shape.box_xyxy == (1000.0, 1.0, 49_995.0, 2.0)
    assert shape.area == 48_995


# --- masks: shares ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANS)
@quick
@given(seed=st.integers(0, 10**6))
def test_shares_of_a_mask_are_those_of_its_samples(name, seed):
    bitmap = blob(seed)
    particles = Particles(enlarged(bitmap, 8), 8).through(PLANS[name])
    if not len(particles.xy) or (name == "horizon" and bitmap[:, 18:].any()):
        return  # close to the horizon hardly a pixel has all of the area
    shape = of_mask(bitmap, PLANS[name])
    tolerance = 0.02 if bitmap.sum() > 20 else 0.05
    assert shape.in_frame == pytest.approx(particles.in_frame, abs=tolerance)
    assert shape.visible == pytest.approx(particles.visible, abs=tolerance)
    assert 0.0 <= shape.visible <= shape.in_frame <= 1.0


@pytest.mark.parametrize("matrix", [g.IDENTITY, TURN, TILT, g.mirror_x(40), g.scaling(0.1, 0.3)], ids=str)
@pytest.mark.parametrize("more", [[], [FRAME]], ids=["canvas", "bars"])
def test_a_mask_that_is_all_in_the_frame_is_all_visible(matrix, more):
    bitmap = np.zeros((30, 40), np.uint8)
    bitmap[13:18, 17:24] = 1
    track = follow([warp(matrix), *more], SIZE)
    corners = g.move_points(matrix, np.array([[17.0, 13.0], [24.0, 13.0], [24.0, 18.0], [17.0, 18.0]]))
    if in_convex(corners, track.visible).all():
        shape = of_mask(bitmap, [warp(matrix), *more])
        assert (shape.in_frame, shape.visible) == (1.0, 1.0)
    else:
        assert (matrix, bool(more)) == (g.scaling(0.1, 0.3), True)


@pytest.mark.parametrize("zoom", [5.0, 20.0])
def test_a_pixel_that_leaves_the_frame_is_visible_by_its_part(zoom):
    bitmap = np.zeros((30, 40), np.uint8)
    bitmap[15, 20] = 1
    shape = of_mask(bitmap, [warp(g.about((20.9, 15.8), g.scaling(zoom, zoom)))])
    expected = Particles(enlarged(bitmap, 400), 400).through([warp(g.about((20.9, 15.8), g.scaling(zoom, zoom)))])
    assert shape.box_xyxy is not None
    assert shape.in_frame == pytest.approx(expected.in_frame, rel=0.05)
    assert shape.area == pytest.approx(expected.area, rel=0.02)


def test_a_mask_that_shrinks_to_no_pixel_has_no_box_though_it_is_there():
    bitmap = np.zeros((300, 400), np.uint8)
    bitmap[151, 201] = 1
    shape = of_mask(bitmap, [warp(g.scaling(0.01, 0.01), (4, 3))])
    assert (shape.box_xyxy, shape.segmentation, shape.area, shape.in_frame) == (None, None, 0.0, 1.0)


@quick
@given(st.integers(0, 10**6), st.sampled_from([TURN, TILT, g.scaling(0.5, 0.5), g.scaling(3.0, 2.0)]))
def test_area_grows_no_more_than_the_determinant(seed, matrix):
    bitmap = blob(seed)
    shape = of_mask(bitmap, [warp(matrix, (200, 200))])
    weights = Particles(enlarged(bitmap)).through([warp(matrix, (200, 200))]).weight
    assert shape.area <= 1.05 * weights.sum() + 0.5 * np.sqrt(weights.sum()) + 4


# --- which geometry decides ------------------------------------------------------------------------------------------

CODE = rle.rle_of(np.pad(np.ones((12, 12), np.uint8), ((8, 10), (10, 18))))
EMPTY = rle.rle_of(np.zeros((30, 40), np.uint8))
FLAT = Rings((np.array([[10.0, 10.0], [20.0, 20.0], [15.0, 15.0]]),))
BY = {
    "mask": (CODE, None, "corners", "mask"),
    "mask before oriented box": (CODE, OBB, "ellipse", "mask"),
    "polygon": (Rings((TRIANGLE,)), None, "corners", "polygon"),
    "polygon before oriented box": (Rings((TRIANGLE,)), OBB, "ellipse", "polygon"),
    "oriented box": (None, OBB, "ellipse", "obb"),
    "ellipse": (None, None, "ellipse", "ellipse"),
    "corners": (None, None, "corners", "corners"),
    "an empty mask is none": (EMPTY, None, "corners", "corners"),
    "an empty mask with an oriented box": (EMPTY, OBB, "corners", "obb"),
    "a polygon without area is none": (FLAT, None, "ellipse", "ellipse"),
    "a polygon without area, with an oriented box": (FLAT, OBB, "corners", "obb"),
}
POINTS = {"mask": SQUARE, "polygon": TRIANGLE, "obb": OBB, "corners": SQUARE}


@pytest.mark.parametrize("name", BY)
def test_the_best_geometry_gives_the_box(name):
    segmentation, obb, rule, method = BY[name]
    turn = g.rounded(g.about((16.0, 14.0), g.rotation(30.0)))
    shape = shape_of(BOX, segmentation, obb, follow([warp(turn)], SIZE), rule)
    assert shape.box_from == method
    if method == "ellipse":  # of a circle
        np.testing.assert_allclose(shape.box_xyxy, BOX, atol=0.01)
    else:
        expected = g.bounds_of(g.move_points(turn, POINTS[method]))
        np.testing.assert_allclose(shape.box_xyxy, expected, atol=0.75 if method == "mask" else 1e-9)
    x0, y0, x1, y1 = shape.box_xyxy
    area = {"mask": 144.0, "polygon": 40.0}.get(method, (x1 - x0) * (y1 - y0))
    assert shape.area == pytest.approx(area, rel=0.05 if method == "mask" else 1e-6)
    assert isinstance(shape.segmentation, {"mask": Rle, "polygon": Rings}.get(method, type(None)))
    assert (shape.obb is None) == (obb is None)  # it is moved whatever gives the box
    if obb is not None:
        np.testing.assert_allclose(shape.obb, g.move_points(turn, OBB), atol=1e-4)


def test_objects_do_not_mix():
    rows = [*BY.values(), (Rings((TRIANGLE, SQUARE + 15.0)), None, "corners", "polygon")]
    for rule in ("corners", "ellipse"):
        for steps in PLANS.values():
            track = follow(steps, SIZE)
            boxes = np.array([BOX + i for i in range(len(rows))])
            together = shapes_of(boxes, [r[0] for r in rows], [r[1] for r in rows], track, rule)
            for i, (segmentation, obb, _, _) in enumerate(rows):
                alone = shape_of(boxes[i], segmentation, obb, track, rule)
                assert (alone.box_xyxy, alone.box_from) == (together[i].box_xyxy, together[i].box_from)
                assert (alone.area, alone.in_frame, alone.visible) == (
                    together[i].area,
                    together[i].in_frame,
                    together[i].visible,
                )


@pytest.mark.parametrize(
    "box", [(5.0, 5.0, 5.0, 9.0), (5.0, 5.0, 9.0, 5.0), (5.0, 5.0, 5.0, 5.0), (99.0, 5.0, 99.0, 9.0)]
)
@pytest.mark.parametrize("obb", [None, np.array([[5.0, 5.0], [9.0, 9.0], [9.0, 9.0], [5.0, 5.0]])], ids=["box", "obb"])
def test_a_box_without_area_is_there_but_nothing(box, obb):
    for matrix in (TURN, TILT, g.translation(3.0, 3.0)):
        shape = shape_of(np.array(box), None, obb, follow([warp(matrix), erase((0, 0, 40, 30))], SIZE))
        assert (shape.box_xyxy, shape.area, shape.in_frame, shape.visible) == (None, 0.0, 1.0, 1.0)


def test_an_oriented_box_that_cannot_be_seen_is_not_kept():
    track = follow([warp(g.translation(50.0, 0.0))], SIZE)
    assert shape_of(BOX, Rings((TRIANGLE,)), OBB, track).obb is None


def test_nothing_at_all():
    assert shapes_of(np.zeros((0, 4)), (), (), follow(PLANS["turn"], SIZE)) == []


# --- polygons --------------------------------------------------------------------------------------------------------


def test_a_hole_makes_a_mask_of_a_polygon():
    steps_in = [[2, 2], [30, 2], [30, 26], [16, 26], [16, 18], [22, 18], [22, 8], [8, 8], [8, 18], [16, 18], [16, 26]]
    ring = np.array([*steps_in, [2, 26]], float)
    track = follow([warp(g.translation(-5.0, 0.0))], SIZE)
    shape = shape_of(BOX, Rings((ring,)), None, track)
    assert shape.box_from == "mask"
    assert isinstance(shape.segmentation, Rle)
    expected = fill([ring - [5.0, 0.0]], SIZE, 1)
    assert (pixels(shape, track) == expected).all()
    assert shape.area == expected.sum() == 25 * 24 - 14 * 10
    assert shape.box_xyxy == (0.0, 2.0, 25.0, 26.0)
    assert shape.in_frame == pytest.approx(460 / 532)


def test_a_hole_that_lies_under_another_ring_is_none():
    frame = [[2, 2], [30, 2], [30, 26], [16, 26], [16, 18], [22, 18], [22, 8], [8, 8], [8, 18], [16, 18], [16, 26]]
    ring, patch = np.array([*frame, [2, 26]], float), np.array([[10, 10], [18, 10], [18, 16], [10, 16]], float)
    for rings in ((ring, patch), (patch, ring)):
        track = follow([warp(g.translation(-5.0, 0.0))], SIZE)
        expected = fill([r - [5.0, 0.0] for r in rings], SIZE, 1)
        assert (pixels(shape_of(BOX, Rings(rings), None, track), track) == expected).all()


@pytest.mark.parametrize("name", PLANS)
def test_shares_of_polygons_are_those_of_their_samples(name):
    for rings in ((TRIANGLE,), (TRIANGLE * 2.0,), (TRIANGLE, SQUARE + 15.0), (SQUARE, TRIANGLE + 3.0)):
        clipped = [np.clip(ring, 0, SIZE) for ring in rings]
        particles = Particles(fill(clipped, SIZE)).through(PLANS[name])
        shape = shape_of(BOX, Rings(tuple(clipped)), None, follow(PLANS[name], SIZE))
        if name == "horizon" and max(ring[:, 0].max() for ring in clipped) > 18.0:
            continue
        assert shape.in_frame == pytest.approx(particles.in_frame, abs=0.02)
        assert shape.visible == pytest.approx(particles.visible, abs=0.02)
        assert shape.area == pytest.approx(particles.area, rel=0.03, abs=3.0)


def test_a_polygon_behind_the_horizon_is_not_there_even_if_its_box_is():
    ring = np.array([[30.0, 2.0], [38.0, 2.0], [34.0, 9.0]])
    shape = shape_of(np.array([2.0, 2.0, 38.0, 9.0]), Rings((ring,)), None, follow([warp(HORIZON)], SIZE))
    assert (shape.box_xyxy, shape.box_from, shape.in_frame) == (None, "polygon", 0.0)


# --- painted over ----------------------------------------------------------------------------------------------------

KINDS = {
    "mask": (CODE, None),
    "polygon": (Rings((SQUARE,)), None),
    "obb": (None, SQUARE),
    "corners": (None, None),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("matrix", [g.IDENTITY, g.quarter_turns(2, SIZE), g.translation(20.0, 0.0)], ids=str)
def test_what_is_painted_over_loses_visibility_and_keeps_its_box(kind, matrix):
    segmentation, obb = KINDS[kind]
    # A quarter from the left, and the upper half; the two overlap.
    track = follow([erase((9, 7, 13, 21), (0, 0, 40, 14)), warp(matrix)], SIZE)
    bare = shape_of(BOX, segmentation, obb, follow([warp(matrix)], SIZE))
    shape = shape_of(BOX, segmentation, obb, track)
    assert shape.box_xyxy == bare.box_xyxy
    assert shape.in_frame == pytest.approx(bare.in_frame)
    columns = 7 if matrix[2] == 20.0 else 9  # of twelve, or of the ten in the frame; and half of the rows
    assert shape.visible == pytest.approx(columns * 6 / 144)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_painted_over_as_a_whole_is_not_visible(kind):
    segmentation, obb = KINDS[kind]
    for steps in ([erase((10, 8, 22, 20))], [erase((9, 7, 15, 21), (15, 7, 23, 21)), warp(TURN)]):
        shape = shape_of(BOX, segmentation, obb, follow(steps, SIZE))
        assert shape.visible == pytest.approx(0.0, abs=1e-9)
        assert shape.in_frame > 0.5
