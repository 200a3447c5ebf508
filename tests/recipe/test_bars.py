"""Bars that later steps leave alone (``fill_after``): every pixel of them equals the fill, by numpy.

Where the bars are is computed here from the sizes, and carried along by numpy's own flips, turns and slices.
"""

from __future__ import annotations

import numpy as np
import pytest
from contents import noise_picture, photo, rendered
from devices import make, rendered_on
from recipe_tools import frame_of, recipe_of

from augpipe.core.canvas import follow
from augpipe.pixels import reference
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.recipe.planner import draw

FILL = (10, 200, 60)
BOX = "letterbox: {size: 64, fill: [10, 200, 60], fill_after: true}"
PICTURE = noise_picture((60, 30), 3)  # becomes 64 × 32, with 16 rows of bar above and below

CHANGES = {
    "brightness": "brightness_contrast: {brightness: [0.5, 0.5]}",
    "jitter": "color_jitter: {saturation: [0.5, 0.5], hue: [0.2, 0.2]}",
    "gamma": "gamma: {amount: 2.2}",
    "gray": "to_gray",
    "noise": "gaussian_noise: {std: 40}",
    "blur": "gaussian_blur: {sigma: 3}",
    "erase": "erase: {count: 6, area: 0.2}",
    "jpeg": "jpeg: {quality: 5}",
}
MOVES = {
    "flip": ("horizontal_flip", lambda m: m[:, ::-1]),
    "quarter": ("rotate90: {times: 1}", lambda m: np.rot90(m, -1)),
    "pad": ("pad: {sides: [3, 5, 7, 2], fill: 9}", None),
}


def bars():
    """Where a 64 × 32 picture in a box of 64 × 64 has bars."""
    out = np.ones((64, 64), bool)
    out[16:48] = False
    return out


def steps_of(*lines, size_wh=(60, 30), copy=0, **head):
    return draw(recipe_of("\n".join(f"- {line}" for line in lines), **head), frame_of(size_wh), 5, copy).steps


def painted(steps):
    return [step for step in steps if isinstance(step, PadFill)]


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_comes_later_leaves_the_bars_alone(change):
    steps = steps_of(BOX, change)
    out = rendered(PICTURE, steps)
    assert (out[bars()] == FILL).all()
    bare = rendered(PICTURE, steps_of(BOX.replace(", fill_after: true", ""), change))
    assert (bare[bars()] != FILL).any()
    # What lies in the middle of the picture is what it was; blur and JPEG carry bars some pixels into it.
    inner = np.s_[25:39, 10:54]
    reach = change.startswith(("gaussian_blur", "jpeg"))
    assert reach or (out[16:48] == bare[16:48]).all()
    assert (np.abs(out[inner].astype(int) - bare[inner]) <= (40 if reach else 0)).all()
    assert (rendered(PICTURE, steps_of(BOX))[inner] != out[inner]).any()


def test_a_gray_picture_has_bars_of_the_luma():
    gray = noise_picture((60, 30), 1)
    out = rendered(gray, steps_of(BOX, CHANGES["brightness"], CHANGES["noise"], CHANGES["blur"]))
    assert (out[bars()] == round(0.299 * 10 + 0.587 * 200 + 0.114 * 60)).all()


@pytest.mark.parametrize("move", ["flip", "quarter"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_later_moves_move_the_bars(move, change):
    line, moved = MOVES[move]
    for order in ((change, line), (line, change), (change, line, change)):
        out = rendered(PICTURE, steps_of(BOX, *order))
        mask = moved(bars())
        assert (out[mask] == FILL).all(), order
        assert (out[~mask] != FILL).any(axis=-1).mean() > 0.5


def test_a_crop_behind_noise_takes_its_part_of_the_bars():
    for copy in range(8):
        plan = draw(recipe_of(f"- {BOX}\n- gaussian_noise: {{std: 40}}\n- random_crop: {{size: [50, 40]}}"),
                    frame_of((60, 30)), 5, copy)  # fmt: skip
        x0, y0, x1, y1 = plan.drawn[-1].parameters["box_xyxy"]
        mask = bars()[y0:y1, x0:x1]
        out = rendered(PICTURE, plan.steps)
        assert out.shape[:2] == mask.shape
        assert (out[mask] == FILL).all()
        assert (out[~mask] != FILL).any(axis=-1).mean() > 0.9


@pytest.mark.parametrize("degrees", [-30, 10, 45])
@pytest.mark.parametrize("before", ["gaussian_noise: {std: 40}", "brightness_contrast: {brightness: [0.5, 0.5]}"])
def test_a_turn_turns_the_bars(degrees, before):
    """A pixel whose centre, turned back about (32, 32), is above 16 or below 48 is a bar."""
    turn = f"rotate: {{degrees: [{degrees}, {degrees}]}}"
    out = rendered(PICTURE, steps_of(BOX, before, turn, CHANGES["noise"], CHANGES["gamma"]))
    x, y = np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5)
    angle = np.radians(degrees)
    back_x, back_y = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    outside = np.maximum(np.abs(back_x) - 32, np.abs(back_y) - 16)
    assert (out[outside > 1e-3] == FILL).all()
    assert (out[outside < -1e-3] != FILL).any(axis=-1).mean() > 0.95


def test_nothing_is_painted_twice_without_need():
    """One paint where only moves and colour follow, and one more behind each step that has changed the bars."""
    assert len(painted(steps_of(BOX, "horizontal_flip", CHANGES["brightness"]))) == 1
    assert len(painted(steps_of(BOX.replace("}", ", cut: true}"), "all_of: [vertical_flip: {p: 0}]\n  cut: true"))) == 1
    assert len(painted(steps_of(BOX, CHANGES["noise"]))) == 2
    assert len(painted(steps_of(BOX, CHANGES["noise"], CHANGES["blur"]))) == 3
    assert steps_of(BOX, size_wh=(64, 64)) == steps_of("to_gray", size_wh=(64, 64))[1:]  # no bars at all
    last = steps_of(BOX, CHANGES["noise"], CHANGES["jpeg"])[-1]
    assert isinstance(last, PadFill)
    assert last.fill == FILL


def test_bars_around_bars_that_are_kept_are_kept_too():
    outer = "pad: {sides: [0, 4, 0, 4], fill: 7}"
    out = rendered(PICTURE, steps_of(BOX, outer, CHANGES["brightness"], CHANGES["noise"]))
    assert (out[:4] == 7).all()
    assert (out[-4:] == 7).all()
    assert (out[4:-4][bars()] == FILL).all()
    out = rendered(PICTURE, steps_of(BOX, CHANGES["noise"], outer, CHANGES["noise"]))
    assert (out[:4] == 7).all()
    assert (out[4:-4][bars()] == FILL).all()


def test_bars_that_came_before_stay_what_they_are():
    """A pad without ``fill_after`` inside one that has it is picture to that one."""
    inner = "pad: {sides: [4, 0, 4, 0], fill: 7}"
    steps = steps_of(inner, "pad: {sides: [0, 4, 0, 4], fill: [10, 200, 60], fill_after: true}", CHANGES["noise"])
    out = rendered(PICTURE, steps)
    assert (out[:4] == FILL).all()
    assert (out[-4:] == FILL).all()
    assert len(np.unique(out[4:-4, :4])) > 10


@pytest.mark.parametrize("channels", [1, 3])
def test_every_backend_paints_the_same(channels):
    """To the bit: the C++ build of the kernels as the CPU, and the reference in bars and all that is exact."""
    cases = []
    for lines in (
        (BOX, CHANGES["jitter"], CHANGES["noise"], "rotate: {degrees: 20}", CHANGES["blur"], CHANGES["gamma"]),
        ("pad: {sides: [3, 5, 7, 2], fill_after: true}", CHANGES["jpeg"], "horizontal_flip", CHANGES["erase"]),
        ("pad: {multiple: 50, fill: [1, 2, 3], fill_after: true}", CHANGES["noise"], "vertical_flip", CHANGES["gray"]),
    ):
        for size_wh in ((60, 30), (37, 23), (9, 1)):
            cases += [(noise_picture(size_wh, channels), steps_of(*lines, size_wh=size_wh, copy=i)) for i in range(3)]
    for (picture, steps), got in zip(cases, rendered_on(make("c++"), cases), strict=True):
        out = rendered(picture, steps)
        np.testing.assert_array_equal(got, out)
        known = reference.apply(picture, steps)
        assert known.shape == out.shape
        frame = painted(steps)[-1].region if painted(steps) else ()
        fill = PadFill(region=frame, fill=(255, 0, 255))
        mask = (rendered(np.zeros_like(out), [fill]) != 0).reshape(*out.shape[:2], -1).any(axis=-1)
        assert (known[mask] == out[mask]).all()


def test_labels_do_not_notice():
    """Painting bars again hides nothing that was not hidden."""
    boxes = [(0, 0, 60, 30), (10, 5, 30, 20), (55, 25, 60, 30)]
    for later in (
        "gaussian_noise: {std: 4}",
        "gaussian_noise: {std: 4}\n- rotate: {degrees: 30}\n- jpeg: {quality: 9}",
    ):
        ours, plain = (
            follow(draw(recipe_of(f"- {line}\n- {later}"), frame_of((60, 30), boxes), 5, 0).steps, (60, 30))
            for line in (BOX, BOX.replace(", fill_after: true", ""))
        )
        assert ours.size_wh == plain.size_wh
        assert ours.map == plain.map
        assert np.allclose(ours.visible, plain.visible, atol=1e-5)


def test_a_photo_with_clean_bars():
    out = rendered(photo(), steps_of("letterbox: {size: 96, fill_after: true}", *CHANGES.values(), size_wh=(120, 90)))
    assert (out[:12] == 114).all()
    assert (out[-12:] == 114).all()
    assert out[12:-12].std() > 10
