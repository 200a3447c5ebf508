"""Limits of a recipe leave out what a move or paint made too small, and neither crowds nor what was small before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import CATEGORIES, SIZE, bars, erase, warp

from augpipe.core import geometry as g
from augpipe.core.annotations import Annotations, ObjectRow, Rings, objects_of
from augpipe.core.canvas import follow
from augpipe.labels import rle, transform
from augpipe.labels.transform import LabelRules

STRICT = LabelRules(min_visibility=0.6, min_area=60.0, min_side=7.0)
BOX = (10.0, 10.0, 30.0, 26.0)  # 20×16
TINY = (20.0, 20.0, 23.0, 26.0)  # 3×6: below each limit of size


def labelled(steps, rules=STRICT, box=BOX, **more):
    picture = Annotations(objects=objects_of([ObjectRow(0, 2, box, **more)]))
    return transform.apply(picture, follow(steps, SIZE), rules, CATEGORIES)


def outcome(out):
    """What became of the one object: why it was dropped, for what it is ignored, or that it stays as it is."""
    if out.dropped:
        return ("dropped", out.dropped[0].reason)
    objects = out.annotations.objects
    return ("ignored", objects.facts[0].ignored) if objects.facts[0].ignored else ("kept", int(objects.iscrowd[0]))


HALF = warp(g.translation(0.0, -18.0))  # half of it left
SMALL = warp(g.scaling(0.4, 0.4))  # 8×6.4
LESS = [
    ("cut", [HALF], "min_visibility"),
    ("covered", [erase((10, 10, 24, 26))], "erased"),
    ("shrunk", [SMALL], "min_side"),
    ("shrunk to few pixels", [warp(g.scaling(0.45, 0.45))], None),
]


@pytest.mark.parametrize(("steps", "reason"), [row[1:] for row in LESS], ids=[row[0] for row in LESS])
def test_a_crowd_is_held_to_no_limit(steps, reason):
    expected = ("kept", 0) if reason is None else ("dropped", reason)
    assert outcome(labelled(steps)) == expected
    assert outcome(labelled(steps, iscrowd=1)) == ("kept", 1)
    assert outcome(labelled(steps, replace(STRICT, truncated="drop"), iscrowd=1)) == ("kept", 1)


@pytest.mark.parametrize(("steps", "reason"), [
    ([warp(g.translation(0.0, -40.0))], "outside"),
    ([erase((0, 0, 64, 48))], "erased"),
    ([bars(40.0, 0.0, 64.0, 48.0)], "outside"),
    ([warp(g.scaling(1e-5, 1e-5))], "degenerate"),
])  # fmt: skip
def test_a_crowd_of_which_nothing_is_left_is_dropped(steps, reason):
    assert outcome(labelled(steps, iscrowd=1)) == ("dropped", reason)
    assert outcome(labelled(steps, replace(STRICT, below="ignore"))) == outcome(labelled(steps))


@pytest.mark.parametrize(("steps", "limit"), [
    ([HALF], "min_visibility"),
    ([erase((10, 10, 24, 26))], "min_visibility"),
    ([SMALL], "min_side"),
    ([warp(g.scaling(0.4, 0.44))], "min_area"),
    ([], None),
])  # fmt: skip
def test_below_a_limit_a_region_to_ignore_may_stay(steps, limit):
    rules = replace(STRICT, below="ignore")
    out = labelled(steps, rules)
    assert outcome(out) == (("ignored", limit) if limit else ("kept", 0))
    objects = out.annotations.objects
    assert int(objects.iscrowd[0]) == (limit is not None)
    assert out.dropped == ()
    assert out.shapes[0].box_xyxy == labelled(steps, LabelRules(0.0, 0.0, 0.0)).shapes[0].box_xyxy
    cut = labelled([HALF], replace(rules, min_visibility=0.0, truncated="drop"))
    assert outcome(cut) == ("ignored", "min_visibility")


GEOMETRIES = {
    "box": {},
    "polygon": {"segmentation": Rings((np.array([[20.0, 20.0], [23.0, 20.0], [23.0, 26.0], [20.0, 26.0]]),))},
    "mask": {"segmentation": rle.rle_of(np.pad(np.ones((6, 3), np.uint8), ((20, 22), (20, 41))))},
    "obb": {"obb": np.array([[20.0, 20.0], [23.0, 20.0], [23.0, 26.0], [20.0, 26.0]])},
}
MOVES = {
    "nothing": ([], True),
    "paint elsewhere": ([erase((40, 0, 64, 48))], True),
    "mirror": ([warp(g.mirror_x(64))], True),
    "upside down": ([warp(g.mirror_y(48))], True),
    "a quarter turn": ([warp(g.quarter_turns(1, SIZE), (48, 64))], True),
    "shift": ([warp(g.translation(9.0, -4.0))], True),
    "larger": ([warp(g.scaling(1.4, 1.4))], True),
    "a window around it": ([warp(g.translation(-18.0, -18.0), (10, 10))], True),
    "smaller": ([warp(g.scaling(0.8, 0.8))], False),
    "narrower": ([warp(g.scaling(0.8, 1.0))], False),
    "cut": ([warp(g.translation(-21.5, 0.0))], False),
    "covered": ([erase((20, 20, 21, 26))], False),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("rule", ["ellipse", "corners"])
def test_what_was_small_before_stays(geometry, move, rule):
    """Limits hold for an object that was made smaller, cut or covered, and for no other one."""
    steps, stays = MOVES[move]
    rules = replace(STRICT, min_visibility=0.0, box=rule)
    out = labelled(steps, rules, TINY, **GEOMETRIES[geometry])
    assert outcome(out) == (("kept", 0) if stays else ("dropped", "min_side"))


@pytest.mark.parametrize("degrees", [7.0, 30.0, 45.0, 123.0])
def test_a_turn_makes_no_round_object_smaller(degrees):
    """The ellipse in a square is a circle, of which 64 points are looked at."""
    turn = warp(g.about((32.0, 24.0), g.rotation(degrees)))
    out = labelled([turn], LabelRules(min_side=7.0, min_area=60.0, box="ellipse"), (30.0, 21.0, 35.0, 26.0))
    assert outcome(out) == ("kept", 0)


def test_each_limit_is_held_by_what_it_measures():
    """Stretched to half its height and twice its width it has the same area, and a shorter side."""
    out = labelled([warp(g.scaling(2.0, 0.5))], STRICT, (10.0, 10.0, 16.0, 16.0))
    assert [(d.reason, d.value) for d in out.dropped] == [("min_side", 3.0)]
    assert outcome(labelled([warp(g.scaling(2.0, 0.5))], replace(STRICT, min_side=0.0), (10.0, 10.0, 16.0, 16.0))) == (
        "kept", 0)  # fmt: skip


def test_a_box_of_the_source_that_is_not_that_of_its_mask_counts_for_nothing():
    """The file's own box is 2 wide, that of the mask 3: a mirror image shows the mask's, and nothing is smaller."""
    loose = {"box": (21.0, 20.0, 23.0, 26.0), **GEOMETRIES["mask"]}
    for steps in ([], [warp(g.mirror_x(64))]):
        assert outcome(labelled(steps, STRICT, **loose)) == ("kept", 0)
