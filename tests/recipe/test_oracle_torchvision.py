"""torchvision's transforms v2 as an outside oracle: the same moves of the same labels, where the conventions agree, and
the known difference, in numbers, where they do not.

Its boxes and its keypoints are on pixel edges as ours are, but for flips of keypoints. It has oriented boxes too. It
has no polygons; their points go through it as keypoints. It computes boxes and points in the type that it is given.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import (
    BOXES,
    FACE,
    OBB,
    POINTS,
    RING,
    SIZE,
    Moved,
    annotations,
    disc,
    import_torchvision,
    oracle,
    same_ring,
    semantic,
)
from recipe_tools import outcome_of

from augpipe.core import geometry as g
from augpipe.core.canvas import follow
from augpipe.labels import transform as labels
from augpipe.recipe.ops import OPERATIONS

oracle(import_torchvision)

import torch  # noqa: E402
from torchvision import tv_tensors  # noqa: E402
from torchvision.transforms import v2 as transforms  # noqa: E402
from torchvision.transforms.v2 import functional as outside  # noqa: E402

CLOSE = 1e-3  # pixels: three decimals of ours, and a matrix of 32-bit floats in between
HW = (SIZE[1], SIZE[0])


class There:
    """The picture's labels after a transform of theirs, which is called for each kind."""

    def __init__(self, transform, boxes=BOXES):
        def moved(kind, values, fill=0, **more):
            return transform(kind(torch.tensor(values), **more), fill).numpy()

        self.boxes = moved(tv_tensors.BoundingBoxes, boxes, format="XYXY", canvas_size=HW)
        points = moved(tv_tensors.KeyPoints, np.concatenate([POINTS, RING]), canvas_size=HW)
        self.points, self.ring = points[: len(POINTS)], points[len(POINTS) :]
        oriented = moved(tv_tensors.BoundingBoxes, OBB.reshape(1, 8), format="XYXYXYXY", canvas_size=HW)
        self.obb = oriented.reshape(4, 2)
        self.semantic = moved(tv_tensors.Mask, semantic()[None], 255)[0]
        self.mask = moved(tv_tensors.Mask, disc()[None])[0]


def call(function, *args, filled=False, **parameters):
    """A transform of theirs with fixed parameters."""
    return lambda value, fill: function(value, *args, **parameters, **({"fill": fill} if filled else {}))


def affine(angle=0.0, translate=(0, 0), scale=1.0, shear=(0.0, 0.0)):
    more = {"angle": angle, "translate": list(translate), "scale": scale, "shear": list(shear)}
    return call(outside.affine, **more, filled=True)


# rotate() is counter-clockwise there and affine() clockwise, as ours is; a shear has the other sign.
AGREE = {
    "one quarter": ("- rotate90: {times: 1}", call(outside.rotate, -90.0, expand=True)),
    "two quarters": ("- rotate90: {times: 2}", call(outside.rotate, 180.0)),
    "three quarters": ("- rotate90: {times: 3}", call(outside.rotate, 90.0, expand=True)),
    "crop": ("- random_crop: {size: [40, 36]}", call(outside.crop, 2, 14, 36, 40)),
    "pad": ("- pad: {sides: [5, 3, 7, 9]}", call(outside.pad, [5, 3, 7, 9], filled=True)),
    "rotate": ("- rotate: {degrees: [30, 30]}", call(outside.rotate, -30.0, filled=True)),
    "rotate back": ("- rotate: {degrees: [-17, -17]}", call(outside.rotate, 17.0, filled=True)),
    "scale, turn, shift": (
        "- affine: {rotate: [30, 30], scale: 1.25, translate: [0.0625, 0.0625]}",
        affine(30.0, (4, 3), 1.25),
    ),
    "scale, shear, turn": (
        "- affine: {shear: [20, 20], rotate: [25, 25], scale: 0.8}",
        affine(25.0, scale=0.8, shear=(-20.0, 0.0)),
    ),
    "a strong shear": ("- affine: {shear: [-35, -35], rotate: [25, 25]}", affine(25.0, shear=(35.0, 0.0))),
}


def compare(ours, theirs, points=0.0, ring=0.0):
    """``points`` and ``ring`` are what is to be added to theirs."""
    np.testing.assert_allclose(ours.boxes, theirs.boxes, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(ours.points, theirs.points + points, rtol=0, atol=CLOSE)
    assert same_ring(ours.ring, theirs.ring + ring, CLOSE)


def compare_masks(ours, theirs):
    """Ours places nearest neighbours on a grid of 1/32 pixel, theirs in floats: a tie can fall to the other side."""
    assert (ours.semantic != theirs.semantic).mean() < 0.005
    assert (ours.mask != theirs.mask).sum() <= 4


@pytest.mark.parametrize("name", AGREE)
def test_where_the_conventions_agree_so_do_the_labels(name):
    steps, transform = AGREE[name]
    ours, theirs = Moved(steps), There(transform)
    compare(ours, theirs)
    compare_masks(ours, theirs)
    assert same_ring(ours.obb, theirs.obb, CLOSE)


FLIPS = {
    "horizontal flip": ("- horizontal_flip", outside.horizontal_flip, [1.0, 0.0]),
    "vertical flip": ("- vertical_flip", outside.vertical_flip, [0.0, 1.0]),
}


@pytest.mark.parametrize("name", FLIPS)
def test_difference_flips_move_their_keypoints_a_pixel_too_far(name):
    """W − 1 − x for a keypoint and W − x for the box around it: they part by a pixel, and only in flips."""
    steps, flip, offset = FLIPS[name]
    ours, theirs = Moved(steps), There(call(flip))
    compare(ours, theirs, offset, offset)
    assert same_ring(ours.obb, theirs.obb, CLOSE)
    assert (ours.semantic == theirs.semantic).all()
    assert (ours.mask == theirs.mask).all()


PERSPECTIVE = "- perspective: {scale: 0.2}"


def perspective(ours):
    """Their transform of the corners that ours drew."""
    w, h = SIZE
    start, end = [[0, 0], [w, 0], [w, h], [0, h]], ours.drawn["corners"]
    return call(outside.perspective, startpoints=start, endpoints=end, filled=True)


def test_perspective_of_the_same_corners():
    ours = Moved(PERSPECTIVE)
    theirs = There(perspective(ours))
    compare(ours, theirs)
    compare_masks(ours, theirs)


@pytest.mark.parametrize("size", [(80, 72), (40, 30)])
def test_difference_masks_of_a_resize_are_half_a_pixel_off(size):
    """Nearest means "rounded down" there, as it did in its first version. Boxes and points agree."""
    ours, theirs = Moved(f"- resize: {{size: {list(size)}}}"), There(call(outside.resize, [size[1], size[0]]))
    compare(ours, theirs)
    assert same_ring(ours.obb, theirs.obb, CLOSE)
    edges = [np.arange(n) * before / n for n, before in zip(size, SIZE, strict=True)]
    middles = [(np.arange(n) + 0.5) * before / n for n, before in zip(size, SIZE, strict=True)]
    inside = np.ix_(middles[1] % 1 != 0, middles[0] % 1 != 0)  # on an edge between pixels either is right
    for source, got, there in ((semantic(), ours.semantic, theirs.semantic), (disc(), ours.mask, theirs.mask)):
        assert (there == source[np.ix_(edges[1].astype(int), edges[0].astype(int))]).all()
        centred = source[np.ix_(middles[1].astype(int), middles[0].astype(int))]
        assert (got == centred)[inside].all()
        assert (there != centred)[inside].any()


def test_difference_an_oriented_box_in_perspective_holds_all_of_what_it_became():
    """Theirs takes the quadrangle for a parallelogram, which it is after every other map, and loses a corner of it."""
    ours = Moved(PERSPECTIVE)
    theirs = There(perspective(ours))
    shape = region(g.move_points(ours.matrix, OBB))
    here, there = (g.area_of(g.clip_convex(shape, region(obb))) / g.area_of(shape) for obb in (ours.obb, theirs.obb))
    assert here == pytest.approx(1.0, abs=1e-4)
    assert there < 0.999


def region(points):
    return tuple(map(tuple, points.tolist()))


def test_difference_a_box_at_the_edge_is_cut_before_it_is_boxed():
    """Theirs is boxed, then cut: the box of corners that nobody can see. Ours lies in theirs, and is smaller."""
    beyond = np.array([[0.0, 0.0, 20.0, 12.0], [50.0, 30.0, 64.0, 48.0], [20.0, 0.0, 40.0, 9.0]])
    ours = Moved("- rotate: {degrees: [30, 30]}", annotations(beyond)).boxes
    theirs = There(call(outside.rotate, -30.0), beyond).boxes
    assert (ours[:, :2] >= theirs[:, :2] - CLOSE).all()
    assert (ours[:, 2:] <= theirs[:, 2:] + CLOSE).all()
    sides = [boxes[:, 2:] - boxes[:, :2] for boxes in (ours, theirs)]
    assert (sides[0].prod(axis=1) < 0.95 * sides[1].prod(axis=1)).any()


def test_difference_a_box_that_has_left_the_frame_stays_there_without_area():
    gone = np.array([[1.0, 2.0, 9.0, 12.0], *BOXES[1:]])
    ours, theirs = Moved("- random_crop: {size: [40, 36]}", annotations(gone)), There(AGREE["crop"][1], gone)
    assert (theirs.boxes[0, 2:] - theirs.boxes[0, :2]).prod() == 0
    assert [(d.index, d.reason) for d in ours.out.dropped] == [(0, "outside")]


def test_difference_left_and_right_are_swapped_here():
    """They have no names for keypoints, so a mirrored left eye stays in the place of the left eye."""
    steps = Moved("- horizontal_flip").plan.steps
    face = replace(FACE, flip_pairs=((1, 2),))
    swapped = labels.apply(annotations(), follow(steps, SIZE), labels.LabelRules(), {1: face})
    points = swapped.annotations.objects.keypoints[0][:, :2]
    theirs = There(call(outside.horizontal_flip)).points + np.array([1.0, 0.0])
    np.testing.assert_allclose(points, theirs[[0, 2, 1, 3, 4]], rtol=0, atol=CLOSE)


# --- the law of a crop's shape ---------------------------------------------------------------------------------------


def furthest_apart(a, b):
    """The statistic of Kolmogorov and Smirnov: the greatest distance of two samples' distribution functions."""
    grid = np.sort(np.concatenate([a, b]))
    here, there = (np.searchsorted(np.sort(x), grid, side="right") / len(x) for x in (a, b))
    return np.abs(here - there).max()


def shapes_there(size_wh, count, **parameters):
    """Widths and heights that their RandomResizedCrop draws."""
    torch.manual_seed(1)
    crop = transforms.RandomResizedCrop(9, **parameters)
    picture = tv_tensors.Image(torch.zeros((1, size_wh[1], size_wh[0]), dtype=torch.uint8))
    drawn = [crop.make_params([picture]) for _ in range(count)]
    return np.array([(found["width"], found["height"]) for found in drawn], np.float64).T


def shapes_here(name, size_wh, count, **parameters):
    boxes = [outcome_of(name, size_wh, copy, **parameters).parameters["box_xyxy"] for copy in range(count)]
    return np.array([(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes], np.float64).T


@pytest.mark.parametrize("ratio", [(3 / 4, 4 / 3), (0.5, 2.0), (1.5, 3.0)])
def test_a_drawn_crop_has_the_law_of_random_resized_crop(ratio):
    """Where every shape fits: area evenly, width / height evenly in its logarithm."""
    count, size_wh, scale = 1500, (900, 800), (0.05, 0.2)
    there = shapes_there(size_wh, count, scale=scale, ratio=ratio)
    here = shapes_here("random_crop", size_wh, count, scale=list(scale), ratio=list(ratio))
    assert furthest_apart(here[0] / here[1], there[0] / there[1]) < 0.07  # 0.0725 is passed once in 1000 by chance
    assert furthest_apart(here[0] * here[1], there[0] * there[1]) < 0.07
    wide = shapes_here("random_crop", size_wh, count, scale=list(scale), ratio=[0.1, 10])
    assert furthest_apart(wide[0] / wide[1], there[0] / there[1]) > 0.2


def test_a_crop_that_fits_in_no_shape_is_the_one_that_random_resized_crop_falls_back_to():
    for size_wh, ratio in (((640, 100), (0.5, 2.0)), ((100, 640), (0.5, 2.0)), ((640, 480), (0.9, 1.0))):
        there = shapes_there(size_wh, 5, scale=(1.0, 1.0), ratio=ratio)
        here = shapes_here("random_crop", size_wh, 5, scale=1, ratio=list(ratio))
        np.testing.assert_array_equal(here, there)


def test_the_shapes_of_a_safe_crop_are_those_of_their_crop_for_detection():
    """RandomIoUCrop keeps width / height within 1/2 and 2, after Liu et al. (SSD, 2016), as the default here does."""
    crop = transforms.RandomIoUCrop()
    assert OPERATIONS["bbox_safe_crop"].model_fields["ratio"].default == (crop.min_aspect_ratio, crop.max_aspect_ratio)


def test_one_way_resizes_are_theirs_with_a_greatest_side():
    """``resize(size, max_size)`` shrinks until the longer side fits: ``longest`` with ``only: shrink`` behind."""
    for size_wh in ((640, 480), (100, 300), (31, 17)):
        picture = tv_tensors.Image(torch.zeros((1, size_wh[1], size_wh[0]), dtype=torch.uint8))
        shortest = min(size_wh)
        theirs = outside.resize(picture, [shortest], max_size=max(shortest + 1, 200)).shape[:0:-1]
        ours = outcome_of("resize", size_wh, longest=max(shortest + 1, 200), only="shrink").parameters["size"]
        assert np.abs(np.subtract(ours, theirs)).max() <= 1  # they cut fractions off where ours rounds
