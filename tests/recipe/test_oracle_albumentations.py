"""Albumentations as an outside oracle: the same moves of the same labels, where the conventions agree, and the known
difference, in numbers, where they do not.

Its boxes are on pixel edges as ours are, so they are compared as they stand. Its keypoints are pixel indexes: the
centre of the first pixel is 0, here it is 0.5. So it is given x − 0.5, and 0.5 is added to what it answers. It has no
polygons; their points go through it as keypoints. It computes in floats of 32 bits.
"""

from __future__ import annotations

import numpy as np
import pytest
from oracles import (
    BOXES,
    POINTS,
    RING,
    SIZE,
    Moved,
    annotations,
    disc,
    import_albumentations,
    oracle,
    same_ring,
    semantic,
)
from recipe_tools import drawn, frame_of, recipe_of

from augpipe.core import geometry as g
from augpipe.recipe.planner import draw

A = oracle(import_albumentations)

from albumentations.augmentations.geometric import functional as outside  # noqa: E402

CLOSE = 1e-3  # pixels: 32-bit floats, three decimals of ours
VOID = {"fill_mask": 255}


class Turned(A.RandomRotate90):
    """By a number of quarters that is given; counter-clockwise, as everything is there."""

    def __init__(self, factor):
        super().__init__(p=1)
        self.factor = factor

    def get_params(self):
        return {"factor": self.factor}


def moved_there(transform, boxes=BOXES):
    """(boxes, keypoints, ring, semantic raster, mask) after a transform of theirs, keypoints in our convention."""
    compose = A.Compose(
        [transform],
        bbox_params=A.BboxParams("pascal_voc", label_fields=["number"]),
        keypoint_params=A.KeypointParams("xy", remove_invisible=False),
    )
    out = compose(
        image=np.zeros((SIZE[1], SIZE[0], 3), np.uint8),
        masks=[semantic(), disc()],
        bboxes=boxes,
        number=np.arange(len(boxes)),
        keypoints=np.concatenate([POINTS, RING]) - 0.5,
    )
    points = out["keypoints"] + 0.5
    raster, mask = out["masks"]
    return out["bboxes"], points[: len(POINTS)], points[len(POINTS) :], raster, mask == 1  # new ground is void


def affine(**parameters):
    fixed = {name: (value, value) if isinstance(value, float) else value for name, value in parameters.items()}
    return A.Affine(**fixed, p=1, **VOID)


# Ours turns clockwise and theirs counter-clockwise, so the sign of an angle changes; that of a shear does too.
AGREE = {
    "horizontal flip": ("- horizontal_flip", A.HorizontalFlip(p=1)),
    "vertical flip": ("- vertical_flip", A.VerticalFlip(p=1)),
    "one quarter": ("- rotate90: {times: 1}", Turned(3)),
    "two quarters": ("- rotate90: {times: 2}", Turned(2)),
    "three quarters": ("- rotate90: {times: 3}", Turned(1)),
    "crop": ("- random_crop: {size: [40, 36]}", A.Crop(14, 2, 54, 38, p=1)),
    "pad": ("- pad: {sides: [5, 3, 7, 9]}", A.Pad(padding=[5, 3, 7, 9], p=1, **VOID)),
    "rotate": ("- rotate: {degrees: [30, 30]}", A.Rotate((-30, -30), p=1, **VOID)),
    "rotate back": ("- rotate: {degrees: [-17, -17]}", A.Rotate((17, 17), p=1, **VOID)),
    "scale, turn, shift": (
        "- affine: {rotate: [30, 30], scale: 1.25, translate: [0.0625, 0.0625]}",
        affine(rotate=-30.0, scale=1.25, translate_px={"x": (4, 4), "y": (3, 3)}),
    ),
    "scale, shear": (
        "- affine: {shear: [20, 20], scale: 0.8}",
        affine(shear={"x": (-20, -20), "y": (0, 0)}, scale=0.8),
    ),
    "shear both ways": (
        "- affine: {shear: [12, 12], shear_y: [-9, -9]}",
        affine(shear={"x": (-12, -12), "y": (9, 9)}),
    ),
}


@pytest.mark.parametrize("name", AGREE)
def test_where_the_conventions_agree_so_do_the_labels(name):
    steps, transform = AGREE[name]
    ours = Moved(steps)
    boxes, points, ring, raster, mask = moved_there(transform)
    np.testing.assert_allclose(ours.boxes, boxes, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(ours.points, points, rtol=0, atol=CLOSE)
    assert same_ring(ours.ring, ring, CLOSE)
    # Both place nearest neighbours on a fine grid, and not on the same one: a tie can fall to the other side.
    assert (ours.semantic != raster).mean() < 0.002
    assert (ours.mask != mask).sum() <= 2


def test_boxes_by_their_ellipse_are_the_same():
    """Theirs is the box of 360 points on the ellipse; the true one lies at most a radius times 4e-5 outside."""
    ours = Moved("- rotate: {degrees: [30, 30]}", box="ellipse")
    boxes = moved_there(A.Rotate((-30, -30), rotate_method="ellipse", p=1))[0]
    np.testing.assert_allclose(ours.boxes, boxes, rtol=0, atol=0.01)
    assert {shape.box_from for shape in ours.out.shapes[: len(BOXES)]} == {"ellipse"}


def test_difference_a_box_at_the_edge_is_cut_before_it_is_boxed():
    """Theirs is boxed, then cut: the box of corners that nobody can see. Ours lies in theirs, and is smaller."""
    beyond = np.array([[0.0, 0.0, 20.0, 12.0], [50.0, 30.0, 64.0, 48.0], [20.0, 0.0, 40.0, 9.0]])
    points_inside = annotations(beyond)
    ours = Moved("- rotate: {degrees: [30, 30]}", points_inside).boxes
    theirs = moved_there(A.Rotate((-30, -30), p=1), beyond)[0]
    assert (ours[:, :2] >= theirs[:, :2] - CLOSE).all()
    assert (ours[:, 2:] <= theirs[:, 2:] + CLOSE).all()
    assert (area(ours) < 0.95 * area(theirs)).any()
    # What can be seen of each box, sample by sample, fills ours to its sides.
    for box, got in zip(beyond, ours, strict=True):
        x, y = np.meshgrid(np.linspace(box[0], box[2], 400), np.linspace(box[1], box[3], 400))
        turned = g.move_points(g.about((32.0, 24.0), g.rotation(30.0)), np.stack([x, y], axis=-1).reshape(-1, 2))
        seen = turned[((turned >= 0) & (turned <= SIZE)).all(axis=1)]
        np.testing.assert_allclose(got, [*seen.min(axis=0), *seen.max(axis=0)], rtol=0, atol=0.1)


def test_where_nothing_is_turned_the_order_of_cutting_does_not_matter():
    beyond = np.array([[0.0, 0.0, 20.0, 12.0], [50.0, 30.0, 64.0, 48.0], [20.0, 0.0, 40.0, 9.0]])
    ours = Moved("- random_crop: {size: [40, 36]}", annotations(beyond))
    theirs = moved_there(A.Crop(14, 2, 54, 38, p=1), beyond)[0]
    np.testing.assert_allclose(ours.boxes, theirs, rtol=0, atol=CLOSE)


def area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def test_difference_a_resize_moves_their_keypoints_and_masks_by_half_a_pixel():
    """Their keypoints are pixel indexes that are only multiplied, and OpenCV's nearest of a resize rounds down.

    The centre of pixel 0, enlarged by s, is at (s − 1) / 2 in indexes, not at 0: they are that much too low.
    """
    ours = Moved("- resize: {size: [80, 72]}")
    boxes, points, ring, raster, mask = moved_there(A.Resize(height=72, width=80, p=1))
    np.testing.assert_allclose(ours.boxes, boxes, rtol=0, atol=CLOSE)
    offset = (np.array([80 / 64, 72 / 48]) - 1.0) / 2.0
    np.testing.assert_allclose(ours.points - points, np.tile(offset, (len(POINTS), 1)), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(ours.ring - ring, np.tile(offset, (len(RING), 1)), rtol=0, atol=CLOSE)
    rows, columns = np.arange(72) * 48 / 72, np.arange(80) * 64 / 80
    centre_rows, centre_columns = (np.arange(72) + 0.5) * 48 / 72, (np.arange(80) + 0.5) * 64 / 80
    inside = np.ix_(centre_rows % 1 != 0, centre_columns % 1 != 0)  # on an edge between pixels either is right
    for source, got, there in ((semantic(), ours.semantic, raster), (disc(), ours.mask, mask)):
        assert (there == source[rows.astype(int)][:, columns.astype(int)]).all()
        centred = source[centre_rows.astype(int)][:, centre_columns.astype(int)]
        assert (got == centred)[inside].all()
        assert (there != centred)[inside].any()


def test_difference_in_perspective_their_picture_is_half_a_pixel_from_their_boxes():
    """One matrix moves boxes, which are on pixel edges, and pixels and keypoints, which are indexes there."""
    ours = Moved("- perspective: {scale: 0.2}")
    m = np.reshape(ours.matrix, (3, 3))
    w, h = SIZE
    theirs = outside.perspective_bboxes(BOXES / [w, h, w, h], (h, w), m, w, h, True) * [w, h, w, h]
    np.testing.assert_allclose(ours.boxes, theirs, rtol=0, atol=CLOSE)
    for points, expected in ((POINTS, ours.points), (RING, ours.ring)):
        columns = np.concatenate([points, np.zeros((len(points), 2)), np.ones((len(points), 1))], axis=1)
        moved = outside.perspective_keypoints(columns, (h, w), m, w, h, True)[:, :2]
        np.testing.assert_allclose(moved, expected, rtol=0, atol=CLOSE)
    centred = np.reshape(g.then(g.then(g.translation(0.5, 0.5), ours.matrix), g.translation(-0.5, -0.5)), (3, 3))
    assert (warped(centred) != ours.semantic).mean() < 0.002
    assert (warped(m) != ours.semantic).mean() > 0.005


def warped(matrix):
    return outside.perspective(semantic(), matrix, *SIZE, 255, 0, True, 0)  # 0, 0: constant border, nearest


def test_difference_turn_and_shear_are_in_another_order():
    """They turn before they shear, and shear by an angle of the other sign; ours shears before it turns."""
    ours = Moved("- affine: {rotate: [20, 20], shear: [15, 15]}")
    centre = (32.0, 24.0)
    turned_first = g.about(centre, g.then(g.rotation(20.0), g.shearing(15.0, 0.0)))
    boxes = moved_there(affine(rotate=-20.0, shear={"x": (-15, -15), "y": (0, 0)}))[0]
    expected = g.bounds_of(g.move_points(turned_first, g.corners_of(BOXES)))
    np.testing.assert_allclose(boxes, expected, rtol=0, atol=CLOSE)
    assert np.abs(boxes - ours.boxes).max() > 0.5
    expected = g.bounds_of(g.move_points(g.about(centre, g.then(g.shearing(15.0, 0.0), g.rotation(20.0))),
                                         g.corners_of(BOXES)))  # fmt: skip
    np.testing.assert_allclose(ours.boxes, expected, rtol=0, atol=CLOSE)


def test_difference_a_safe_crop_of_theirs_has_any_shape():
    """Both hold every box whole. Theirs draws the sides freely, so slivers come out; ours keep within 1/2 and 2."""
    size_wh, box = (640, 480), (300.0, 220.0, 330.0, 240.0)
    crop = A.BBoxSafeRandomCrop(erosion_rate=0.0, p=1)
    compose = A.Compose([crop], bbox_params=A.BboxParams("pascal_voc", label_fields=["number"]), seed=1)
    picture = np.zeros((size_wh[1], size_wh[0], 1), np.uint8)
    there, kept = [], 0
    for _ in range(300):
        out = compose(image=picture, bboxes=[box], number=[0])
        h, w = out["image"].shape[:2]
        there.append(w / h)
        x0, y0, x1, y1 = out["bboxes"][0]
        kept += (x1 - x0, y1 - y0) == pytest.approx((30, 20), abs=1e-3)
    recipe = recipe_of("- bbox_safe_crop")
    plans = [draw(recipe, frame_of(size_wh, [box]), 0, copy) for copy in range(300)]
    ours = np.array([drawn(plan)["bbox_safe_crop"]["box_xyxy"] for plan in plans])
    assert kept == 300
    assert (ours[:, :2] <= box[:2]).all()
    assert (ours[:, 2:] >= box[2:]).all()
    shape = (ours[:, 2] - ours[:, 0]) / (ours[:, 3] - ours[:, 1])
    assert (shape.min(), shape.max()) == pytest.approx((0.5, 2.0), abs=0.1)
    assert max(there) > 3
    assert min(there) < 1 / 3
