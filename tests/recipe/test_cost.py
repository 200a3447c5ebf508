"""What a recipe can cost, against the most that many samples of it did cost."""

from __future__ import annotations

import pytest
from recipe_tools import frame_of, recipe_of

from augpipe.pixels.steps.field import Field
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.fuse import most_warps
from augpipe.recipe.planner import draw

TURN = "- rotate: {degrees: [5, 5]}\n"
MAYBE = "- rotate: {degrees: [5, 5], p: 0.5}\n"
BLUR = "- gaussian_blur: {sigma: 1}\n"
MAYBE_BLUR = "- gaussian_blur: {sigma: 1, p: 0.5}\n"
GRAY = "- to_gray\n"
PAD = "- letterbox: {size: 50}\n"
PULL = "- perspective: {scale: 0.1}\n"
BEND = "- elastic: {strength: 0.05}\n"


def group(kind: str, *steps: str, **beside: object) -> str:
    """A group of steps as YAML."""
    inside = "".join("  " + line + "\n" for step in steps for line in step.splitlines())
    return f"- {kind}:\n{inside}" + "".join(f"  {name}: {value}\n" for name, value in beside.items())


RECIPES = [
    (GRAY, 0),
    (BLUR, 0),
    (TURN, 1),
    (MAYBE, 1),
    (TURN * 4, 1),
    (TURN + GRAY + TURN, 1),
    (BLUR + TURN, 1),
    (TURN + BLUR, 1),
    (TURN + BLUR + TURN, 2),
    (TURN + MAYBE_BLUR + TURN, 2),
    (MAYBE + MAYBE_BLUR + MAYBE, 2),
    (TURN + BLUR + TURN + BLUR + TURN, 3),
    (TURN + "- pad: {sides: 3}\n" + TURN, 1),
    (TURN + "- erase: {count: [0, 1]}\n" + TURN, 2),
    ("- rotate: {degrees: [5, 5], cut: true}\n" + TURN, 2),
    ("- rotate: {degrees: [5, 5], p: 0.5, cut: true}\n" + TURN, 2),
    (TURN + "- to_gray: {cut: true}\n" + TURN, 2),
    (TURN + "- to_gray: {cut: true, p: 0.3}\n" + TURN, 2),
    ("- to_gray: {cut: true}\n" + TURN, 1),
    # a mesh takes affine warps before and behind it
    (BEND, 1),
    (TURN + BEND + TURN, 1),
    (BEND + BEND, 2),
    (BEND + TURN + BEND, 2),
    (BEND + GRAY + BEND + BLUR + BEND, 3),
    (group("one_of", BEND, TURN) + BEND, 2),
    (group("shuffled", BEND, TURN, BLUR), 2),
    (PAD + BEND, 2),
    (BEND + PAD, 1),
    (BEND + PAD + BEND, 2),
    (TURN + PULL + TURN, 1),
    (PULL + BEND, 2),
    (BEND + PULL, 2),
    (BEND + PULL + BEND, 3),
    (group("one_of", PAD, BEND) + BEND, 2),
    (group("shuffled", BEND, PULL, PAD), 3),
    # p of 0
    ("- rotate: {degrees: 5, p: 0}\n", 0),
    (TURN + "- gaussian_blur: {sigma: 1, p: 0}\n" + TURN, 1),
    (TURN + group("all_of", BLUR, p=0) + TURN, 1),
    # one_of
    (TURN + group("one_of", BLUR, GRAY) + TURN, 2),
    (TURN + group("one_of", GRAY, "- gamma: {amount: 2}\n") + TURN, 1),
    (group("one_of", TURN, BLUR) + TURN, 1),
    (group("one_of", TURN, BLUR) + BLUR + TURN, 2),
    (group("one_of", TURN, "- horizontal_flip\n"), 1),
    (TURN + group("one_of", "- gaussian_blur: {sigma: 1, weight: 0}\n", GRAY) + TURN, 1),
    (TURN + group("one_of", BLUR, GRAY, p=0.3) + TURN, 2),
    (TURN + group("one_of", GRAY, cut="true") + TURN, 2),
    (TURN + group("one_of", GRAY, cut="true", p=0.3) + TURN, 2),
    # some_of: recipe order, and no step twice
    (TURN + group("some_of", TURN, BLUR, n=2) + GRAY, 1),
    (TURN + group("some_of", BLUR, TURN, n=2), 2),
    (TURN + group("some_of", BLUR, TURN, n=1), 1),
    (TURN + group("some_of", BLUR, TURN, n="[0, 1]"), 1),
    (TURN + group("some_of", BLUR, TURN, n="[0, 2]"), 2),
    (TURN + group("some_of", BLUR, TURN, n=0), 1),
    (TURN + group("some_of", TURN, BLUR, TURN, n=2), 2),
    (TURN + group("some_of", BLUR, TURN, GRAY, n=2), 2),
    (group("some_of", TURN, BLUR, TURN, BLUR, TURN, n=5), 3),
    (group("some_of", TURN, BLUR, TURN, BLUR, TURN, n=3), 2),
    (TURN + group("some_of", BLUR, "- rotate: {degrees: [5, 5], weight: 0}\n", GRAY, n=2), 1),
    (TURN + group("some_of", group("all_of", BLUR, TURN), GRAY, n=2), 2),
    (group("some_of", TURN, group("all_of", BLUR, TURN), GRAY, BLUR, n="[1, 3]") + TURN, 3),
    # all_of and nesting
    (group("all_of", TURN, BLUR, TURN), 2),
    (group("all_of", TURN, MAYBE_BLUR, TURN, p=0.5), 2),
    (group("all_of", TURN, cut="true") + TURN, 2),
    (TURN + group("one_of", group("all_of", BLUR, TURN), GRAY), 2),
    (TURN + group("one_of", group("all_of", BLUR, TURN, BLUR), TURN) + TURN, 3),
    (TURN + group("some_of", group("one_of", BLUR, GRAY), group("all_of", TURN, BLUR), n=2) + TURN, 3),
    (group("all_of", MAYBE, group("one_of", BLUR, TURN), MAYBE, p=0.9), 2),
]


@pytest.mark.parametrize(("steps", "expected"), RECIPES)
def test_the_most_warps_are_reached_and_never_passed(steps, expected):
    recipe = recipe_of(steps)
    seen = {
        sum(isinstance(step, Warp | Field) for step in draw(recipe, frame_of((40, 30)), 0, copy).steps)
        for copy in range(120)
    }
    assert max(seen) == expected
    assert most_warps(recipe) == expected
