"""Where the picture is after some steps: points sent through the steps one by one must agree with the one map."""

from __future__ import annotations

import numpy as np
import pytest
from painted import Particles, in_convex

from augpipe.core import geometry as g
from augpipe.core.canvas import CanvasState, follow
from augpipe.core.plan import Matrix3x4
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

SIZE = (40, 30)
FILL = (0, 0, 0)
TURN = g.rounded(g.about((20.0, 15.0), g.rotation(33.0)))
TILT = g.rounded(g.then(g.scaling(1 / 40, 1 / 30), g.square_to_quad([(4, 1), (36, -3), (44, 27), (-4, 33)])))
HORIZON = g.rounded((1.0, 0.2, 0.0, 0.1, 1.0, 0.0, -0.04, 0.003, 1.0))  # past x = 25 there is no picture
OTHERS = [
    Blur(sigma=1.0),
    Noise(std=3.0, offset=5),
    JpegCompress(quality=50),
    Color(stages=(Matrix3x4((1.0, 0, 0, 0) * 3),)),
]


def warp(matrix, size_wh=SIZE):
    return Warp(matrix=matrix, size_wh=size_wh)


def bars(*region):
    return PadFill(region=region, fill=FILL)


def erase(*boxes):
    return Cutout(boxes_xyxy=boxes, fill=FILL)


FRAME = bars((6.0, 2.0), (36.0, 2.0), (36.0, 27.0), (6.0, 27.0))
PLANS = {
    "nothing": [],
    "turn": [warp(TURN)],
    "tilt": [warp(TILT)],
    "two warps": [warp(TURN), OTHERS[0], warp(g.then(TURN, g.translation(3.0, 2.0)), (50, 20))],
    "three warps": [warp(TURN), warp(g.mirror_x(40)), warp(TILT)],
    "bars": [FRAME],
    "bars, then turn": [warp(g.translation(2.0, 1.0)), FRAME, warp(TURN)],
    "turn, then bars, then mirrored": [warp(TURN), FRAME, warp(g.then(g.mirror_x(40), TILT))],
    "bars in bars": [FRAME, bars((10.0, -5.0), (50.0, 10.0), (20.0, 40.0)), warp(g.scaling(1.3, 1.3))],
    "bars that leave nothing": [FRAME, bars((0.0, 0.0), (5.0, 0.0), (0.0, 5.0)), warp(TURN)],
    "bars past a horizon": [warp(HORIZON), FRAME, warp(g.inverse(TURN))],
    "a horizon after bars": [FRAME, warp(HORIZON)],
    "crop, then back": [warp(g.translation(-10.0, -8.0), (20, 15)), OTHERS[0], warp(g.translation(10.0, 8.0))],
    "a larger canvas": [warp(g.IDENTITY, (60, 50)), OTHERS[0], warp(TURN)],
    "erase": [erase((3, 4, 20, 9), (30, 20, 33, 29))],
    "erase, then turn": [erase((3, 4, 20, 9)), warp(TURN), OTHERS[1], erase((0, 0, 9, 9)), warp(TILT)],
    "all": [warp(TURN), FRAME, erase((10, 10, 20, 20)), OTHERS[2], warp(TILT, (45, 33)), OTHERS[3]],
}


@pytest.mark.parametrize("name", PLANS)
def test_points_go_through_the_one_map_as_through_the_steps(name):
    track = follow(PLANS[name], SIZE)
    particles = Particles(np.ones((30 * 4, 40 * 4), bool)).through(PLANS[name])
    source = Particles(np.ones((30 * 4, 40 * 4), bool)).xy
    front = g.depth(track.map.matrix, source) > 1e-3
    moved = np.full(source.shape, -1e6)
    moved[front] = g.move_points(track.map.matrix, source[front])
    shown = front & in_convex(moved, track.visible)
    bare = shown & ~np.any([in_convex(moved, region) for region in track.erased], axis=0) if track.erased else shown
    # Points on the very edge may go either way.
    assert (shown != particles.shown).sum() <= 8
    assert (bare != (particles.shown & particles.bare)).sum() <= 8
    both = shown & particles.shown
    np.testing.assert_allclose(moved[both], particles.xy[both], atol=1e-3)
    assert (not shown.any()) == (name == "bars that leave nothing")


@pytest.mark.parametrize("name", PLANS)
def test_what_is_visible_is_on_the_canvas_and_convex(name):
    track = follow(PLANS[name], SIZE)
    assert all(
        -1e-9 <= x <= track.size_wh[0] + 1e-9 and -1e-9 <= y <= track.size_wh[1] + 1e-9 for x, y in track.visible
    )
    corners = np.array(track.visible).reshape(-1, 2)
    sides = np.roll(corners, -1, axis=0) - corners
    after = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    assert (turns >= -1e-6).all() or (turns <= 1e-6).all()
    assert (np.abs(sides).max(axis=1) > 1e-6).all()  # a side without length points anywhere


def test_steps_that_move_nothing():
    assert follow(OTHERS, SIZE) == CanvasState(SIZE)
    assert follow([erase((1, 2, 3, 4))], SIZE).moved is False


@pytest.mark.parametrize("step", [warp(g.IDENTITY), warp(g.IDENTITY, (50, 40)), FRAME], ids=["still", "larger", "bars"])
def test_a_warp_and_bars_count_as_moved(step):
    """Even one that leaves every pixel in its place: the frame may have become another."""
    assert follow([step], SIZE).moved


def test_the_first_map_shows_all_of_the_picture():
    assert follow([warp(TURN)], SIZE).hidden_outside is None
    assert follow([warp(TURN)], SIZE).visible == g.rectangle(SIZE)


def test_a_canvas_cuts_what_the_next_map_could_have_shown():
    track = follow(PLANS["crop, then back"], SIZE)
    assert track.map.matrix == g.IDENTITY
    assert track.visible == ((10.0, 8.0), (30.0, 8.0), (30.0, 23.0), (10.0, 23.0))


def test_an_erased_rectangle_without_area_is_none():
    track = follow([erase((3, 4, 3, 9), (5, 5, 9, 5), (1, 1, 2, 2))], SIZE)
    assert track.erased == (((1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)),)


def test_an_erased_rectangle_behind_the_horizon_is_gone():
    assert follow([erase((30, 4, 36, 9)), warp(HORIZON)], SIZE).erased == ()


def test_points_that_clipping_puts_beside_each_other_are_one():
    close = bars((6.0 + 1e-12, 2.0), (36.0, 2.0 - 1e-12), (36.0, 27.0), (6.0, 27.0))
    track = follow([FRAME, close], SIZE)
    assert len(track.visible) == 4
    np.testing.assert_allclose(track.visible, FRAME.region, atol=1e-9)
