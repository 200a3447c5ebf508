"""Blur, noise, erasing, compression: their numbers, and that each ends the run."""

from __future__ import annotations

import numpy as np
import pytest
from recipe_tools import outcome_of, plan_of, recipe_of

from augpipe.core.rng import OpRng, SampleRng
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.operation.base import OpInput, PixelStep
from augpipe.recipe.operation.visible import VisibleObject
from augpipe.recipe.ops import OPERATIONS

SIZE = (37, 23)
BOX_XYXY = (4.0, 3.0, 22.0, 15.0)
SCENE = OpInput(SIZE, lambda: np.array([BOX_XYXY]), lambda: (VisibleObject(0, "cat", BOX_XYXY),))


def step_of(name, size_wh=SIZE, copy=0, **parameters):
    (effect,) = outcome_of(name, size_wh, copy, **parameters).effects
    assert isinstance(effect, PixelStep)
    return effect.step


def test_blur_noise_and_jpeg_take_what_is_drawn():
    assert step_of("gaussian_blur", sigma=1.5) == Blur(sigma=1.5)
    assert step_of("jpeg", quality=33) == JpegCompress(quality=33)
    noise = step_of("gaussian_noise", std=7)
    assert isinstance(noise, Noise)
    assert noise.std == 7.0


def test_qualities_reach_both_ends():
    assert {step_of("jpeg", copy=i, quality=[40, 43]).quality for i in range(80)} == {40, 41, 42, 43}


def test_noise_begins_somewhere_else_in_every_sample():
    reads = [read for i in range(300) for read in step_of("gaussian_noise", copy=i, std=5).reads]
    assert [len(set(numbers)) for numbers in zip(*reads, strict=True)] == [600] * 3
    assert min(growth for _, _, growth in reads) > 0, "two rows never go along with each other"


# --- erase -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 500), SIZE, (640, 480)])
def test_rectangles_lie_on_the_canvas(size_wh):
    w, h = size_wh
    for copy in range(40):
        outcome = outcome_of("erase", size_wh, copy, count=[1, 5], area=[0, 1], ratio=[0.01, 100], fill=[1, 2, 3])
        step = outcome.effects[0].step
        assert isinstance(step, Cutout)
        assert 1 <= len(step.boxes_xyxy) <= 5
        assert step.fill == (1, 2, 3)
        assert outcome.parameters == {"boxes_xyxy": [list(box) for box in step.boxes_xyxy]}
        for x0, y0, x1, y1 in step.boxes_xyxy:
            assert 0 <= x0 < x1 <= w
            assert 0 <= y0 < y1 <= h


def test_rectangles_have_the_area_and_the_shape_that_was_drawn():
    boxes = np.array([
        box for i in range(150)
        for box in step_of("erase", (1000, 1000), i, count=3, area=[0.01, 0.09], ratio=[0.5, 2]).boxes_xyxy
    ])  # fmt: skip
    assert len(boxes) == 450
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (w * h / 1e6).min() == pytest.approx(0.01, abs=0.002)
    assert (w * h / 1e6).max() == pytest.approx(0.09, abs=0.002)
    assert (w / h).min() == pytest.approx(0.5, abs=0.03)
    assert (w / h).max() == pytest.approx(2.0, abs=0.05)
    assert np.median(w / h) == pytest.approx(1.0, abs=0.1)  # evenly in the logarithm
    for place in (boxes[:, 0] / (1000 - w), boxes[:, 1] / (1000 - h)):
        assert place.min() < 0.02
        assert place.max() > 0.98
    assert len({tuple(box) for box in boxes.tolist()}) == 450


def test_how_many():
    counts = {len(outcome_of("erase", SIZE, i, count=[0, 2]).parameters["boxes_xyxy"]) for i in range(60)}
    assert counts == {0, 1, 2}
    none = outcome_of("erase", SIZE, count=0)
    assert none.effects == ()
    assert none.parameters == {"boxes_xyxy": []}


def test_no_rectangle_does_not_end_a_run():
    steps = plan_of("- rotate: {degrees: [5, 5]}\n- erase: {count: 0}\n- rotate: {degrees: [5, 5]}").steps
    assert [type(step) for step in steps] == [Warp]


# --- the run ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian_blur", "gaussian_noise", "erase", "jpeg"])
def test_each_ends_the_run(name):
    turn = "- rotate: {degrees: [5, 5]}"
    steps = plan_of(f"{turn}\n- {OPERATIONS[name].example}\n{turn}").steps
    assert [type(step) for step in steps] == [Warp, type(steps[1]), Warp]
    assert OPERATIONS[name].ends_run
    assert not OPERATIONS[name].label_effects.moves


def test_what_an_operation_says_of_itself_is_so():
    """Whether it moves labels and ends a run is what the cost of a recipe is reckoned from."""
    for name, operation in OPERATIONS.items():
        (leaf,) = recipe_of(f"- {operation.example}").leaves()
        kinds = set()
        for copy in range(20):
            rng = OpRng(SampleRng(5, "photo.jpg", copy), name)
            kinds |= {type(effect).__name__ for effect in leaf.operation.draw(rng, SCENE).effects}
        assert operation.label_effects.moves == bool(kinds & {"WarpEffect", "PadEffect", "MeshEffect"}), name
        assert operation.ends_run == ("PixelStep" in kinds), name
