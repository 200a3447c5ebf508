"""Steps that can never change a picture are told with their lines, and no others are."""

from __future__ import annotations

import pytest
from recipe_tools import recipe_of

from augpipe.recipe.idle import idle_steps
from augpipe.recipe.load import load, shipped


def told(steps):
    return list(idle_steps(recipe_of(steps).nodes))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            "rotate: {degrees: 0}",
            "rotate changes nothing (degrees: 0); '- rotate' alone means rotate: {degrees: [-15, 15]}",
        ),
        (
            "affine: {rotate: 0, p: 0.5}",
            "affine changes nothing (rotate: 0); '- affine' alone means affine: {rotate: 10, sc",
        ),
        ("affine: {scale: 1, translate: [0, 0]}", "affine changes nothing (scale: 1, translate: 0); "),
        (
            "brightness_contrast: {brightness: 0}",
            "brightness_contrast changes nothing (brightness: 0); '- brightness_con",
        ),
        ("color_jitter: {hue: 0}", "color_jitter changes nothing (hue: 0); "),
        ("gamma: {amount: 1}", "gamma changes nothing (amount: 1); '- gamma' alone means gamma: {amount: [0.7, 1.4]}"),
        ("gaussian_noise: {std: 0}", "gaussian_noise changes nothing (std: 0); "),
        ("perspective: {scale: 0}", "perspective changes nothing (scale: 0); "),
        (
            "rotate90: {times: 0}",
            "rotate90 changes nothing (times: 0); '- rotate90' alone means rotate90: {times: [1, 2",
        ),
        ("erase: {count: 0}", "erase changes nothing (count: 0); "),
        ("pad: {sides: 0}", "pad changes nothing (sides: 0); leave it out"),
        ("to_gray: {p: 0}", "to_gray never takes part (p: 0); give p a value above 0, or leave the step out"),
        ("rotate: {degrees: 0, id: turn}", "turn changes nothing (degrees: 0)"),
    ],
)
def test_a_step_that_does_nothing_is_told(step, expected):
    (sentence,) = told(f"- horizontal_flip\n- {step}\n- to_gray")
    assert sentence.startswith(f"x.yaml:4: {expected}")


def test_steps_of_groups():
    sentences = told("""- one_of:
  - to_gray
  - gamma: {weight: 0}
  - all_of:
    - rotate: {degrees: 0}
    - rotate: {degrees: 5}
    - jpeg: {p: 0}
- some_of:
  - to_gray
  - affine: {rotate: 0}
  n: 0
- all_of:
  - affine: {rotate: 0}
  p: 0
- some_of: [to_gray, gamma: {amount: 1}]
  n: [0, 1]""")
    assert [sentence.partition(";")[0] for sentence in sentences] == [
        "x.yaml:5: gamma is never chosen (weight: 0)",
        "x.yaml:7: rotate changes nothing (degrees: 0)",
        "x.yaml:9: jpeg never takes part (p: 0)",
        "x.yaml:10: some_of takes none of its steps (n: 0)",
        "x.yaml:14: all_of never takes part (p: 0)",
        "x.yaml:17: gamma changes nothing (amount: 1)",
    ]


def test_a_cut_is_something():
    assert told("- affine: {rotate: 0, cut: true}") == []
    assert len(told("- affine: {rotate: 0, cut: false}")) == 1


def test_an_override_is_the_place():
    recipe = recipe_of("- rotate: {degrees: 5}", "steps.rotate.degrees=0")
    assert [sentence.split(": ")[0] for sentence in idle_steps(recipe.nodes)] == ["x.yaml:3"]


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_have_none(name):
    assert list(idle_steps(load(name).nodes)) == []
