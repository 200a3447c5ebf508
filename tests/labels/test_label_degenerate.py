"""Labels that make no sense, from every reader through every kind of move: never a traceback, the outcome as
docs/reading.md says, and the object beside them unharmed.

What each reader makes of each odd value is tested beside that reader; here whole pictures go all the way.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from builders import coco as document
from builders import encoded, object_xml, photo, read_all, rejected, voc_xml, write_json, write_tar, write_voc
from builders import image as image_of
from builders import row as row_of
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_tools import frame_of, recipe_of
from scenes import HORIZON, PLANS, SIZE, erase, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, Category, Dropped, Header, ObjectRow, Rings, Rle, objects_of
from augpipe.core.canvas import follow
from augpipe.formats.coco.fields import object_of
from augpipe.formats.registry import open_dataset
from augpipe.labels import rle, transform
from augpipe.labels.normalize import aligned
from augpipe.labels.transform import LabelRules
from augpipe.recipe.planner import draw

quick = settings(derandomize=True, database=None, deadline=None, max_examples=200)
W, H = SIZE
HEADER = Header("JPEG", SIZE)
EVERYTHING = LabelRules(min_area=0.0, min_side=0.0)
PERSON = Category(1, 1, "person", keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))


def finite(annotations: Annotations) -> bool:
    """Whether every number is one."""
    objects = annotations.objects
    arrays = [objects.boxes_xyxy, *objects.keypoints, *objects.obb]
    arrays += [ring for s in objects.segmentation for ring in getattr(s, "rings", ())]
    arrays += [np.array(part.box_xyxy) for parts in objects.parts for part in parts]
    return all(np.isfinite(array).all() for array in arrays if array is not None)


def through_every_plan(annotations: Annotations, good: int | None) -> None:
    """Moved by all plans: numbers stay finite, all are accounted for, and the good object is as if it were alone."""
    indexes = annotations.objects.index.tolist()
    for name, steps in PLANS.items():
        for rules in (EVERYTHING, LabelRules(min_visibility=0.1, box="ellipse")):
            out = transform.apply(annotations, follow(steps, SIZE), rules, {1: PERSON})
            assert finite(out.annotations), name
            read = [d.index for d in annotations.dropped]
            assert sorted([*out.annotations.objects.index.tolist(), *(d.index for d in out.dropped)]) == sorted(
                [*indexes, *read]
            )
            if good is not None:
                alone = annotations.with_objects(annotations.objects.take([indexes.index(good)]))
                alone_out = transform.apply(alone, follow(steps, SIZE), rules, {1: PERSON})
                boxes = dict(
                    zip(
                        out.annotations.objects.index.tolist(), out.annotations.objects.boxes_xyxy.tolist(), strict=True
                    )
                )
                expected = alone_out.annotations.objects.boxes_xyxy.tolist()
                assert boxes.get(good) == (expected[0] if expected else None), name


# --- by the readers --------------------------------------------------------------------------------------------------

CODE_OF_NOTHING = {"size": [H, W], "counts": [H * W]}
ONE_PIXEL = {"size": [H, W], "counts": [10 * H + 10, 1, H * W - 10 * H - 11]}
# What an object says beside a good one → (why it is dropped, or None; a note, or None)
ODD = {
    "a box without width": ({"bbox": [5, 5, 0, 9]}, "degenerate", None),
    "a box of negative height": ({"bbox": [5, 5, 9, -2]}, "degenerate", None),
    "a box of three numbers": ({"bbox": [5, 5, 9]}, "degenerate", None),
    "a box of words": ({"bbox": ["a", "b", "c", "d"]}, "degenerate", None),
    "a box so large that it has no number": ({"bbox": [1e308, 1, 1e308, 4]}, "degenerate", None),
    "a box past the right edge": ({"bbox": [W, 4, 9, 9]}, "outside", None),
    "a box far outside": ({"bbox": [-900, -900, 9, 9]}, "outside", None),
    "a box across the edge": ({"bbox": [W - 5, H - 5, 50, 50]}, None, "clipped"),
    "a box larger than the picture": ({"bbox": [-10, -10, 999, 999]}, None, "clipped"),
    "a polygon of two points": ({"segmentation": [[4, 4, 9, 9]]}, None, "ring-left-out"),
    "a polygon of an odd count": ({"segmentation": [[4, 4, 9, 9, 4, 9, 1]]}, None, "ring-left-out"),
    "a polygon on a line": ({"segmentation": [[4, 4, 9, 9, 14, 14]]}, None, None),
    "a polygon on a line, no box": ({"bbox": None, "segmentation": [[4, 4, 9, 4, 14, 4]]}, "degenerate", None),
    "a polygon of one point thrice": ({"segmentation": [[4, 4, 4, 4, 4, 4]]}, None, None),
    "a polygon that crosses itself": ({"segmentation": [[4, 4, 30, 30, 30, 4, 4, 30]]}, None, None),
    "a polygon outside, box inside": ({"segmentation": [[100, 100, 120, 100, 110, 130]]}, None, "clipped"),
    "a code of no pixel": ({"segmentation": CODE_OF_NOTHING}, None, None),
    "a code of no pixel, no box": ({"bbox": None, "segmentation": CODE_OF_NOTHING}, "degenerate", None),
    "a code of one pixel": ({"segmentation": ONE_PIXEL}, None, None),
    "a code without counts": ({"segmentation": {"size": [H, W], "counts": ""}}, None, "mask-left-out"),
    "a code of another size": ({"segmentation": {"size": [9, 9], "counts": [81]}}, None, "mask-left-out"),
    "a code that is none": ({"segmentation": {"size": [H, W], "counts": "zzzz"}}, None, "mask-left-out"),
    "too few keypoints": ({"keypoints": [5, 5, 2, 6, 6, 2]}, None, "keypoints-left-out"),
    "too many keypoints": ({"keypoints": [5, 5, 2] * 4}, None, "keypoints-left-out"),
    "keypoints outside": ({"keypoints": [-5, 5, 2, 6, 600, 2, 7, 7, 1]}, None, "keypoints-clipped"),
    "visibility that is none": ({"keypoints": [5, 5, 9, 6, 6, -3, 7, 7, 0.5]}, None, "keypoint-visibility-mended"),
}  # fmt: skip


def odd_rows(odd: dict) -> list[dict]:
    return [row_of(1, bbox=[10, 8, 24, 20]), row_of(2, **{"bbox": [4, 4, 20, 20], **odd})]


CATEGORIES = [{"id": 1, "name": "person", "keypoints": list(PERSON.keypoints)}]


def from_coco(folder, rows):
    return write_json(folder / "x.json", document([image_of(size=SIZE)], rows, CATEGORIES))


def from_tar(folder, rows):
    stated = {"width": W, "height": H, "annotations": rows}
    return write_tar(folder / "x-000.tar", [("a.jpg", encoded(photo(SIZE))), ("a.json", json.dumps(stated).encode())])


# A foreign tar cannot say how many keypoints a class has.
CASES = [
    (name, source) for name in ODD for source in (from_coco, from_tar) if source is from_coco or "keyp" not in name
]


@pytest.mark.parametrize(("name", "source"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_an_odd_object_beside_a_good_one(name, source, tmp_path):
    odd, reason, note = ODD[name]
    dataset = open_dataset(str(source(tmp_path, odd_rows(odd))))
    (read,) = read_all(dataset)
    picture = aligned(read, HEADER)
    assert finite(picture)
    assert [(d.index, d.reason) for d in picture.dropped] == ([] if reason is None else [(1, reason)])
    assert set(picture.notes) == ({note} if note else set())
    through_every_plan(picture, good=0)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_json_that_has_no_such_number(number, tmp_path):
    """Of a COCO file, where Python writes NaN, it costs its object; a sample of a tar is a reject, others go on."""
    bad = json.dumps(odd_rows({"bbox": [0.125, 4, 9, 9]})).replace("0.125", number)
    whole = json.dumps(document([image_of(size=SIZE)], [], CATEGORIES)).replace(
        '"annotations": []', f'"annotations": {bad}'
    )
    path = write_json(tmp_path / "x.json", whole.encode())
    if number == "1e400":  # JSON as far as its grammar goes, so it is found when the picture's turn comes
        assert rejected(open_dataset(str(path))).code == "bad-json"
    else:
        (labels,) = read_all(open_dataset(str(path)))
        assert [d.reason for d in labels.dropped] == ["degenerate"]
    good = json.dumps(odd_rows({}))
    picture = encoded(photo(SIZE))
    members = [("a.jpg", picture), ("a.json", bad.encode()), ("b.jpg", picture), ("b.json", good.encode())]
    dataset = open_dataset(str(write_tar(tmp_path / "y-000.tar", members)))
    assert rejected(dataset, "a").code == "bad-json"
    assert len(dataset.reader.annotations(dataset.entries[1]).objects) == 2


VOC = {
    "no width": ((5, 5, 4, 9), None, None),  # in counting from 1, 5 to 4 is swapped, and two pixels wide
    "one pixel": ((5, 5, 5, 5), None, None),
    "past the edge": ((W + 1, 5, W + 9, 9), "outside", None),
    "across the edge": ((W - 3, 5, W + 9, 9), None, "clipped"),
    "NaN": (("NaN", 5, 9, 9), "degenerate", None),
    "infinite": ((5, 5, "inf", 9), "degenerate", None),
    "too large a number": ((5, 5, "1e400", 9), "degenerate", None),
    "huge": ((5, 5, "1e300", 9), None, "clipped"),
    "empty": (("", 5, 9, 9), "degenerate", None),
}


@pytest.mark.parametrize("name", VOC)
def test_an_odd_box_of_pascal_voc_beside_a_good_one(name, tmp_path):
    box, reason, note = VOC[name]
    xml = voc_xml(object_xml("person", (11, 9, 34, 28)), object_xml("person", box), size=SIZE)
    dataset = open_dataset(str(write_voc(tmp_path, {"a": xml})))
    picture = aligned(read_all(dataset)[0], HEADER)
    assert finite(picture)
    assert [(d.index, d.reason) for d in picture.dropped] == ([] if reason is None else [(1, reason)])
    expected = {"corners-swapped"} if name == "no width" else {note} if note else set()
    assert set(picture.notes) == expected
    through_every_plan(picture, good=0)


# --- whatever a file may say -----------------------------------------------------------------------------------------

number = (
    st.integers(-100, 200)
    | st.floats(-100, 200)
    | st.sampled_from(
        [0, 1e-300, 1e300, 1e308, -1e308, 10**400, 2**63, math.nan, math.inf, -math.inf, True, None, "4", []]
    )
)
numbers = st.lists(number, max_size=10)
anything = number | numbers | st.dictionaries(st.sampled_from(["x", "size", "counts"]), number | numbers, max_size=2)
codes = st.fixed_dictionaries(
    {
        "size": st.sampled_from([[H, W], [W, H], [1, 1], [0, 0], [H], None]),
        "counts": st.lists(st.integers(-5, H * W), max_size=6) | st.text(max_size=8) | number,
    }
)
fields = {
    "bbox": st.lists(number, min_size=4, max_size=4) | anything,
    "segmentation": st.lists(st.lists(number, min_size=5, max_size=8) | anything, max_size=3) | codes | anything,
    "keypoints": st.lists(number, min_size=9, max_size=9) | anything,
    "parts": st.lists(
        st.fixed_dictionaries({"name": st.just("head"), "box_xyxy": st.lists(number, min_size=4, max_size=4)}),
        max_size=2,
    ),
}


@quick
@given(odd=st.fixed_dictionaries({}, optional=fields), plan=st.sampled_from(list(PLANS)))
def test_no_object_is_too_odd(odd, plan):
    """Whatever its fields hold it is an object or dropped; one that is read moves with finite numbers."""
    notes: set[str] = set()
    made = object_of(odd, 0, PERSON, SIZE, notes)
    if isinstance(made, Dropped):
        assert made.reason == "degenerate"
        return
    picture = aligned(Annotations(objects=objects_of([made]), size_wh=SIZE), HEADER)
    assert finite(picture)
    out = transform.apply(picture, follow(PLANS[plan], SIZE), EVERYTHING, {1: PERSON})
    assert finite(out.annotations)
    assert len(out.annotations.objects) + len(out.dropped) == 1


# --- geometry that is almost none ------------------------------------------------------------------------------------


def one(box, **more):
    return Annotations(objects=objects_of([ObjectRow(0, 1, tuple(map(float, box)), **more)]), size_wh=SIZE)


def obb(*points):
    return np.array(points, float)


THIN = {
    "a one-pixel mask": one((9, 9, 10, 10), segmentation=rle.rle_of_runs([9 * H + 9, 1, H * W - 9 * H - 10], (H, W))),
    "a mask of one column": one((9, 0, 10, H), segmentation=rle.rle_of_runs([9 * H, H, H * W - 10 * H], (H, W))),
    "a mask of all": one((0, 0, W, H), segmentation=rle.rle_of_runs([0, H * W], (H, W))),
    "a mask of nothing": one((9, 9, 20, 20), segmentation=rle.rle_of_runs([H * W], (H, W))),
    "a ring on a line": one((4, 4, 14, 14), segmentation=Rings((np.array([[4.0, 4], [9, 9], [14, 14]]),))),
    "a ring that is a point": one((4, 4, 14, 14), segmentation=Rings((np.full((3, 2), 4.0),))),
    "a sliver": one((4, 4, 60, 5), segmentation=Rings((np.array([[4.0, 4], [60, 4], [60, 4.001]]),))),
    "a ring and its double": one((4, 4, 14, 14), segmentation=Rings((np.array([[4.0, 4], [14, 4], [14, 14]]),) * 2)),
    "an obb on a line": one((4, 4, 14, 14), obb=obb((4, 4), (14, 14), (14, 14), (4, 4))),
    "an obb that is a point": one((4, 4, 14, 14), obb=obb((4, 4), (4, 4), (4, 4), (4, 4))),
    "an obb that crosses itself": one((4, 4, 14, 14), obb=obb((4, 4), (14, 14), (14, 4), (4, 14))),
    "an obb larger than the picture": one((0, 0, W, H), obb=obb((-99, -99), (199, -99), (199, 199), (-99, 199))),
    "a box of a hair": one((4, 4, 4 + 1e-9, 20)),
    "a box of all": one((0, 0, W, H)),
}


@pytest.mark.parametrize("name", THIN)
def test_thin_geometry_is_moved_or_dropped(name):
    through_every_plan(aligned(THIN[name], HEADER), good=None)


BEHIND = warp(HORIZON, (400, 300))  # past x = 40 there is no picture


@pytest.mark.parametrize("name", ["mask", "polygon", "obb", "box", "keypoints"])
def test_what_perspective_puts_behind_the_horizon_is_outside(name):
    """Behind it the same division would send it back onto the canvas, mirrored."""
    box = (48.0, 6.0, 60.0, 20.0)
    ring = g.corners_of(np.array([box]))[0]
    bitmap = np.zeros((H, W), np.uint8)
    bitmap[6:20, 48:60] = 1
    more = {
        "mask": {"segmentation": rle.rle_of(bitmap)},
        "polygon": {"segmentation": Rings((ring,))},
        "obb": {"obb": ring},
        "box": {},
        "keypoints": {"keypoints": np.array([[50.0, 10, 2], [55, 12, 2], [58, 18, 1]])},
    }[name]
    out = transform.apply(one(box, **more), follow([BEHIND], SIZE), EVERYTHING, {1: PERSON})
    assert [(d.index, d.reason) for d in out.dropped] == [(0, "outside")]


@pytest.mark.parametrize("name", ["mask", "polygon", "obb", "box"])
def test_what_reaches_across_the_horizon_is_cut_there(name):
    box = (2.0, 6.0, 60.0, 20.0)
    ring = g.corners_of(np.array([box]))[0]
    bitmap = np.zeros((H, W), np.uint8)
    bitmap[6:20, 2:60] = 1
    more = {
        "mask": {"segmentation": rle.rle_of(bitmap)},
        "polygon": {"segmentation": Rings((ring,))},
        "obb": {"obb": ring},
        "box": {},
    }[name]
    out = transform.apply(one(box, **more), follow([BEHIND], SIZE), EVERYTHING, {})
    (shape,) = out.shapes
    assert finite(out.annotations)
    assert 0.0 < shape.in_frame < 1.0
    assert shape.box_xyxy[2] == 400.0  # its picture has no end
    if name != "obb":
        assert shape.obb is None
        return
    assert (shape.obb.min(axis=0) <= np.array(shape.box_xyxy[:2]) + 1e-6).all()
    assert (shape.obb.max(axis=0) >= np.array(shape.box_xyxy[2:]) - 1e-6).all()
    whole = transform.apply(one(box, **more), follow([BEHIND], SIZE), replace(EVERYTHING, obb="keep"), {})
    assert whole.shapes[0].obb is None  # some of its corners have no image


def test_an_oriented_box_whose_sides_cross_may_lie_under_paint():
    bow = np.array([[8.0, 8.0], [20.0, 20.0], [20.0, 4.0], [4.0, 20.0]])  # two triangles of 32 and 64, tip to tip
    odd = ObjectRow(0, 1, (4.0, 4.0, 20.0, 20.0), obb=bow)
    out = transform.apply(
        Annotations(objects=objects_of([odd])), follow([erase((12, 0, 40, 30))], SIZE), EVERYTHING, {1: PERSON}
    )
    assert [shape.visible for shape in out.shapes] == [pytest.approx(1 / 3)]


def test_perspective_after_everything_has_left_the_canvas():
    """Nothing can be seen any more when the perspective comes: the picture has no objects left, and is no fault."""
    away = {"affine": {"translate": [1, 1], "cut": True}}
    recipe = recipe_of([away, away, {"perspective": {"scale": 0.1}}])
    plan = draw(recipe, frame_of(SIZE), 5, 0)
    out = transform.apply(one((4, 4, 20, 20)), follow(plan.steps, SIZE), EVERYTHING, {})
    assert [(d.index, d.reason) for d in out.dropped] == [(0, "outside")]


def test_an_empty_code_is_no_mask_and_one_of_another_size_is_left_out():
    empty = one((9, 9, 20, 20), segmentation=Rle((H, W), b""))
    with pytest.raises(ValueError, match=r"."):
        rle.check(empty.objects.segmentation[0])
    other = aligned(one((9, 9, 20, 20), segmentation=rle.rle_of_runs([81], (9, 9))), HEADER)
    assert other.notes == ("mask-of-other-size",)
    assert other.objects.segmentation == (None,)
    assert other.objects.boxes_xyxy.tolist() == [[9, 9, 20, 20]]
