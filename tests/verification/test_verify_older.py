"""Folders of before: what is asked of their plans, which no recipe of today draws any more."""

from __future__ import annotations

import json

from msgspec.structs import replace
from recipe_tools import frame_of, recipe_of

from augpipe import __version__
from augpipe.pixels.steps.noise import Noise
from augpipe.recipe.planner import draw
from augpipe.verification.plan_checks import is_redrawn
from augpipe.verification.plan_checks import recipe_of as recipe_of_manifest

FRAME = frame_of((60, 40))


def with_noise(plan, **parameters):
    return replace(plan, steps=(*plan.steps[:-1], Noise(**parameters)))


def test_older_noise_is_that_of_the_recipe_but_for_its_place():
    recipe = recipe_of("- rotate: {degrees: 20}\n- gaussian_noise: {std: [2, 12]}")
    plan = draw(recipe, FRAME, 7, 0)
    std = plan.steps[-1].std
    assert is_redrawn(plan, recipe, FRAME, 7, 0)
    assert is_redrawn(with_noise(plan, std=std, offset=12345), recipe, FRAME, 7, 0)
    assert not is_redrawn(with_noise(plan, std=std + 1, offset=12345), recipe, FRAME, 7, 0)
    assert not is_redrawn(with_noise(plan, std=std, reads=((1, 2, 3), (4, 5, 6))), recipe, FRAME, 7, 0)
    other = draw(recipe, FRAME, 7, 1)
    assert not is_redrawn(with_noise(other, std=other.steps[-1].std, offset=12345), recipe, FRAME, 7, 0)


def config_of(steps, changed=lambda canonical: canonical):
    canonical = json.dumps(changed(json.loads(recipe_of(steps).canonical)))
    return {"versions": {"augpipe": __version__}, "recipe": {"canonical": canonical}}


def without_about(canonical):
    """As it was written before."""
    for row in canonical["steps"]:
        for inner in row.get("steps", [row]):
            inner.pop("about", None)
    return canonical


def test_a_recipe_that_does_not_say_what_contrast_is_about_cannot_be_drawn_again():
    for steps in ("- color_jitter: {hue: 0.1}", "- one_of:\n    - brightness_contrast: {contrast: 0.2}\n    - to_gray"):
        assert recipe_of_manifest(config_of(steps)) is not None
        assert recipe_of_manifest(config_of(steps, without_about)) is None
    assert recipe_of_manifest(config_of("- gaussian_noise: {std: 3}\n- gamma: {amount: 2}", without_about)) is not None
