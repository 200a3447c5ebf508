"""Labels and their picture: size, orientation, frame. Turning is checked pixel by pixel against Pillow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import decode
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask

from augpipe.core.annotations import (
    Annotations,
    Dropped,
    Header,
    ObjectAttributes,
    ObjectPart,
    ObjectRow,
    Rings,
    Rle,
    objects_of,
)
from augpipe.core.errors import Reject
from augpipe.labels.normalize import aligned, turned
from augpipe.labels.rle import rle_of

W, H = 13, 8  # of the stored pixels
UPRIGHT = {o: (H, W) if o >= 5 else (W, H) for o in range(1, 9)}


def header(orientation: int = 1, size: tuple[int, int] = (W, H)) -> Header:
    return Header("JPEG", size, orientation)


def labels(box=(2, 1, 7, 5), size=(W, H), **fields) -> Annotations:
    rows = objects_of([ObjectRow(4, 1, tuple(map(float, box)), facts=ObjectAttributes(id=9), **fields)])
    return Annotations(objects=rows, size_wh=size)


def box_of(annotations: Annotations) -> list[float]:
    return annotations.objects.boxes_xyxy[0].tolist()


def upright(raster: np.ndarray, orientation: int) -> np.ndarray:
    """Pillow's idea of an orientation."""
    image = Image.fromarray(raster.astype(np.int32))
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image)).astype(raster.dtype)


def corner_pixels(size: tuple[int, int]) -> np.ndarray:
    """A raster whose values all differ."""
    return np.arange(size[0] * size[1]).reshape(size[1], size[0])


# --- what the stated size says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("stated", ["upright", "stored", "none", "other"])
@pytest.mark.parametrize("option", ["upright", "stored"])
def test_orientation_and_stated_size(orientation, stated, option):
    right, told = UPRIGHT[orientation], header(orientation)
    size = {"upright": right, "stored": (W, H), "none": None, "other": (W + 3, H + 3)}[stated]
    swaps = orientation >= 5
    if orientation == 1:
        turns, note = False, {"other": "size-mismatch-kept"}.get(stated)
    elif stated == "other":
        turns, note = False, "size-mismatch-kept"
    elif stated == "none" or not swaps:
        turns, note = option == "stored", "exif-undecided"
    else:
        turns, note = stated == "stored", {"stored": "exif-turned", "upright": "exif-upright"}[stated]
    out = aligned(labels(size=size), told, option)
    assert out.notes == ((note,) if note else ())
    painted = np.zeros((H, W), np.int32)
    painted[1:5, 2:7] = 1
    expected = painted if not turns else upright(painted, orientation)
    x0, y0, x1, y1 = (int(v) for v in box_of(out))
    found = np.zeros(right[::-1] if turns else (H, W), np.int32)
    found[y0:y1, x0:x1] = 1
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("option", ["upright", "stored"])
def test_a_square_picture_tells_nothing(orientation, option):
    out = aligned(labels((0, 1, 3, 2), size=(8, 8)), header(orientation, (8, 8)), option)
    assert out.notes == ("exif-undecided",)
    assert (box_of(out) == [0, 1, 3, 2]) == (option == "upright")


@pytest.mark.parametrize("option", ["upright", "stored"])
def test_classes_and_captions_have_nothing_to_turn(option):
    for found in (Annotations(tags=("cat",)), Annotations(captions=("a cat",)), Annotations()):
        assert aligned(found, header(6), option).notes == ()
    masked = Annotations(semantic=np.zeros(UPRIGHT[6][::-1], np.uint8))
    assert aligned(masked, header(6)).notes == ("exif-undecided",)


@pytest.mark.parametrize(
    ("size", "box", "kept"),
    [
        ((99, 99), (0, 0, W, H), True),
        ((99, 99), (-1, -1, W + 1, H + 1), True),
        ((99, 99), (0, 0, W + 1.1, H), False),
        ((99, 99), (0, 0, W, H + 1.1), False),
        ((99, 99), (-1.1, 0, 5, 5), False),
        ((99, 99), (0, -1.1, 5, 5), False),
        ((H, W), (0, 0, H, W), False),
        ((W, H), (-50, -50, 50, 50), True),
        (None, (-50, -50, 50, 50), True),
    ],
)
def test_a_size_that_does_not_fit(size, box, kept):
    if not kept:
        with pytest.raises(Reject, match=rf"the labels say {size[0]}×{size[1]}, the picture is 13×8, and a box") as e:
            aligned(labels(box, size), header())
        assert (e.value.stage, e.value.code) == ("labels", "size-mismatch")
        return
    assert ("size-mismatch-kept" in aligned(labels(box, size), header()).notes) == (size == (99, 99))


def test_labels_without_objects_fit_any_picture():
    assert aligned(Annotations(size_wh=(99, 99)), header()).notes == ("size-mismatch-kept",)


@pytest.mark.parametrize("name", ["semantic", "instance", "panoptic"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_raster_must_have_the_pictures_size(name, orientation):
    kind = np.uint32 if name == "panoptic" else np.uint8
    w, h = UPRIGHT[orientation]
    good = Annotations(**{name: np.zeros((h, w), kind)}, size_wh=(w, h))
    aligned(good, header(orientation))
    for shape in ((h + 1, w), (h, w + 1), (w, h)):
        with pytest.raises(Reject, match=rf"the {name} mask is {shape[1]}×{shape[0]}, the picture {w}×{h}") as caught:
            aligned(Annotations(**{name: np.zeros(shape, kind)}), header(orientation))
        assert caught.value.code == "size-mismatch"


# --- turning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_rasters_turn_like_the_picture(orientation, kind):
    raster = corner_pixels((W, H)).astype(kind) + (70_000 if kind is np.uint32 else 0)
    name = {np.uint8: "semantic", np.uint16: "instance", np.uint32: "panoptic"}[kind]
    out = getattr(turned(Annotations(**{name: raster}), header(orientation)), name)
    assert out.dtype == kind
    assert np.array_equal(out, upright(raster, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_turn_like_the_picture(orientation):
    rng = np.random.default_rng(orientation)
    for _ in range(10):
        bitmap = (rng.random((H, W)) < rng.random()).astype(np.uint8)
        out = turned(labels(segmentation=rle_of(bitmap)), header(orientation)).objects.segmentation[0]
        assert out.size_hw == UPRIGHT[orientation][::-1]
        assert np.array_equal(decode(out), upright(bitmap, orientation))
    empty = turned(labels(segmentation=rle_of(np.zeros((H, W), np.uint8))), header(orientation))
    assert decode(empty.objects.segmentation[0]).sum() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_turn_like_the_picture(orientation):
    """A pixel of its own value stands at the same place, whichever way its centre is moved."""
    raster = corner_pixels((W, H))
    after = upright(raster, orientation)
    for x, y in ((0, 0), (W - 1, 0), (0, H - 1), (4, 6)):
        centre = np.array([[x + 0.5, y + 0.5]])
        around = np.array([[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]], np.float64)
        out = turned(
            labels(
                (x, y, x + 1, y + 1),
                segmentation=Rings((around,)),
                keypoints=np.column_stack([centre, [2.0]]),
                obb=around,
                parts=(ObjectPart("p", (x, y, x + 1, y + 1)),),
            ),
            header(orientation),
        ).objects
        row, column = (int(v) for v in np.argwhere(after == raster[y, x])[0])
        cell = [column, row, column + 1, row + 1]
        assert out.keypoints[0].tolist() == [[column + 0.5, row + 0.5, 2.0]]
        assert out.boxes_xyxy[0].tolist() == cell
        assert list(out.parts[0][0].box_xyxy) == cell
        for points in (out.segmentation[0].rings[0], out.obb[0]):
            assert [*points.min(axis=0), *points.max(axis=0)] == cell


# --- the frame -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "expected", "notes"),
    [
        ((2, 1, 7, 5), [2, 1, 7, 5], ()),
        ((-1, -1, W, H), [0, 0, W, H], ("clipped",)),
        ((5, 5, 99, 99), [5, 5, W, H], ("clipped",)),
        ((W - 0.25, 0, W + 4, 3), [W - 0.25, 0, W, 3], ("clipped",)),
    ],
)
def test_boxes_are_cut_to_the_frame(box, expected, notes):
    out = aligned(labels(box), header())
    assert box_of(out) == expected
    assert out.notes == notes


@pytest.mark.parametrize(
    ("box", "reason"),
    [((W, 0, W + 5, 5), "outside"), ((-5, 0, 0, 5), "outside"), ((3, 3, 3, 5), "degenerate"),
     ((5, 3, 3, 5), "degenerate"), ((0, 0, float("nan"), 5), "degenerate"), ((0, 0, float("inf"), 5), "degenerate")],
)  # fmt: skip
def test_a_box_that_is_nowhere_drops_the_object(box, reason):
    out = aligned(labels(box), header())
    assert len(out.objects) == 0
    assert out.dropped == (Dropped(4, 1, reason, None, 9),)


def test_dropping_one_object_leaves_the_others_in_step():
    rows = [ObjectRow(i, i + 10, (float(x), 0.0, x + 2.0, 2.0), keypoints=np.array([[x + 0.5, 1.0, 2.0]]))
            for i, x in enumerate((1, 90, 5))]  # fmt: skip
    out = aligned(Annotations(objects=objects_of(rows), dropped=(Dropped(7, 1, "degenerate"),)), header())
    assert out.objects.category_id.tolist() == [10, 12]
    assert [k.tolist() for k in out.objects.keypoints] == [[[1.5, 1, 2]], [[5.5, 1, 2]]]
    assert [(d.index, d.reason) for d in out.dropped] == [(7, "degenerate"), (1, "outside")]


def test_polygons_are_cut_to_the_frame():
    """Against pycocotools on a canvas large enough to hold them."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        ring = np.round(rng.uniform(-6, 18, (5, 2)), 1)
        # Shifted by 20 everything lies on a canvas of 60.
        code = coco_mask.frPyObjects([(ring + 20).reshape(-1).tolist()], 60, 60)
        whole = decode(coco_mask.merge(code))[20 : 20 + H, 20 : 20 + W]
        out = aligned(labels((0, 0, W, H), segmentation=Rings((ring,))), header()).objects.segmentation[0]
        if out is None:
            assert whole.sum() <= 12
            continue
        if isinstance(out, Rings):
            points = np.concatenate(out.rings)
            assert points.min() >= 0
            assert points[:, 0].max() <= W
            assert points[:, 1].max() <= H
            cut = decode(coco_mask.merge(coco_mask.frPyObjects([r.reshape(-1).tolist() for r in out.rings], H, W)))
        else:
            cut = decode(out)
        assert np.abs(cut.astype(int) - whole).sum() <= 12  # pycocotools rounds a cut edge its own way


def test_a_polygon_with_a_hole_that_leaves_the_frame_becomes_a_mask():
    """A ring that runs inside and back again; COCO's rings have no other way to say it, and no rings can once cut."""
    ring = [(-5, 2), (25, 2), (25, 30), (-5, 30), (-5, 2), (8, 8), (8, 16), (16, 16), (16, 8), (8, 8)]
    polygon = Rings((np.array(ring, np.float64),))
    out = aligned(labels((0, 2, 25, 30), (30, 40), segmentation=polygon), header(size=(30, 40)))
    mask = out.objects.segmentation[0]
    assert isinstance(mask, Rle)
    expected = np.zeros((40, 30), np.uint8)
    expected[2:30, :25] = 1
    expected[8:16, 8:16] = 0
    assert np.abs(decode(mask).astype(int) - expected).sum() < 60  # an edge of pixels, as pycocotools rounds
    assert decode(mask)[10:14, 10:14].sum() == 0
    assert out.notes == ("clipped",)


def test_a_polygon_outside_leaves_a_plain_box():
    away = np.array([[50.0, 50], [60, 50], [60, 60]])
    out = aligned(labels(segmentation=Rings((away,))), header())
    assert (out.objects.segmentation, box_of(out), out.notes) == ((None,), [2, 1, 7, 5], ("clipped",))


def test_a_mask_of_another_size_is_left_out():
    out = aligned(labels(segmentation=rle_of(np.ones((W, H), np.uint8))), header())
    assert (out.objects.segmentation, out.notes) == ((None,), ("mask-of-other-size",))


def test_keypoints_outside_the_frame_are_not_labelled():
    points = np.array([[-0.1, 3, 2], [0, 0, 1], [W, H, 2], [3, H + 0.1, 1], [5, 5, 0]])
    out = aligned(labels(keypoints=points), header())
    assert out.objects.keypoints[0].tolist() == [[0, 0, 0], [0, 0, 1], [W, H, 2], [0, 0, 0], [0, 0, 0]]
    assert out.notes == ("keypoints-clipped",)
    assert aligned(labels(keypoints=points[[1, 2, 4]]), header()).notes == ()
    assert points[0, 0] == -0.1


def test_parts_are_cut_to_the_frame():
    parts = (ObjectPart("head", (3, 2, 5, 4)), ObjectPart("hand", (-1, -1, 2, 2)), ObjectPart("foot", (99, 0, 100, 1)))
    out = aligned(labels(parts=parts), header())
    assert out.objects.parts == ((ObjectPart("head", (3, 2, 5, 4)), ObjectPart("hand", (0, 0, 2, 2))),)
    assert out.notes == ("clipped",)


def test_an_oriented_box_may_leave_the_frame():
    obb = np.array([[-5.0, 1], [5, 1], [5, 5], [-5, 5]])
    assert aligned(labels(obb=obb), header()).objects.obb[0].tolist() == obb.tolist()


def test_everything_else_stays_as_it_was():
    before = replace(labels(), tags=("a",), captions=("b",), image_id=3, attributes={"x": 1}, notes=("ring-left-out",))
    out = aligned(before, header())
    assert (out.tags, out.captions, out.image_id, out.attributes) == (("a",), ("b",), 3, {"x": 1})
    assert out.notes == ("ring-left-out",)
    assert out.objects.facts == before.objects.facts


def test_a_polygon_that_is_too_long_to_draw_is_left_out():
    """It goes to and fro in the frame; what lies outside does not count."""
    side = 4000
    zigzag = np.array([[side * (i % 2), i] for i in range(2000)] + [[0, 2000]], float)
    for ring, kept in ((zigzag, False), (zigzag + np.array([3990, 0]), True), (zigzag[::200], True)):
        row = ObjectRow(0, 1, (0, 0, 10, 10), segmentation=Rings((ring,)))
        found = aligned(Annotations(objects=objects_of([row])), Header("JPEG", (side, side)))
        assert (found.objects.segmentation[0] is not None) == kept
        assert ("ring-left-out" in found.notes) != kept
