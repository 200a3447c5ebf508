"""A bare name does the usual thing: every operation but those that need a size, with no parameter of its own."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from contents import rendered, smooth_picture
from recipe_tools import drawn, frame_of, plan_of, recipe_of

from augpipe.core.errors import RecipeError
from augpipe.recipe.ops import COMMON_FIELDS, OPERATIONS
from augpipe.recipe.planner import draw

NEED_A_SIZE = {
    "resize", "pad", "letterbox", "random_crop", "random_resized_crop", "center_crop", "crop", "scale_jitter",
}  # fmt: skip
BARE = [name for name in OPERATIONS if name not in NEED_A_SIZE]

USUAL = {
    "rotate": "{degrees: 15}",
    "affine": "{rotate: 10, scale: [0.8, 1.2], translate: 0.1}",
    "perspective": "{scale: [0.02, 0.08]}",
    "brightness_contrast": "{brightness: 0.2, contrast: 0.2}",
    "color_jitter": "{brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.05}",
    "gamma": "{amount: [0.7, 1.4]}",
    "gaussian_blur": "{sigma: [0.3, 1.5]}",
    "gaussian_noise": "{std: [2, 12]}",
    "jpeg": "{quality: [40, 95]}",
    "random_scale": "{scale: [0.75, 1.33]}",
    "zoom_out": "{scale: [1, 4], fill: 114}",
    "symmetry": "{group: d4}",
    "elastic": "{strength: [0.01, 0.03], nodes: 7}",
    "grid_distortion": "{steps: 5, limit: 0.3}",
    "optical_distortion": "{k: 0.3, center: 0.05}",
    "hsv": "{hue: 0.015, saturation: 0.7, value: 0.4}",
    "photometric_distort": "{brightness: 0.125, contrast: 0.5, saturation: 0.5, hue: 0.05, swap: 0.1}",
    "rgb_shift": "{red: 20, green: 20, blue: 20}",
    "color_temperature": "{kelvin: [3500, 12000]}",
    "channel_dropout": "{count: 1, fill: 0}",
    "sepia": "{amount: [0.5, 1]}",
    "posterize": "{bits: [3, 6]}",
    "solarize": "{threshold: [96, 224]}",
    "tone_curve": "{strength: 0.15}",
    "box_blur": "{size: [3, 7]}",
    "median_blur": "{size: [3, 5]}",
    "motion_blur": "{length: [3, 15], angle: [0, 360], lean: 0}",
    "defocus": "{radius: [1, 4]}",
    "sharpen": "{amount: [0.5, 1.5], sigma: 0.5}",
    "emboss": "{amount: [0.2, 0.6]}",
    "downscale": "{factor: [2, 4], up: nearest}",
    "shot_noise": "{strength: [0.1, 1.0]}",
    "iso_noise": "{strength: [0.1, 0.6]}",
    "speckle_noise": "{std: [0.02, 0.15]}",
    "salt_and_pepper": "{amount: [0.005, 0.03], salt: 0.5}",
    "pixel_dropout": "{amount: [0.005, 0.03], fill: 0}",
    "iou_crop": "{least: [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1], scale: [0.3, 1], ratio: [0.5, 2], trials: 40}",
    "object_crop": "{margin: [0.2, 1.0]}",
    "grid_dropout": "{unit: [0.1, 0.25], ratio: 0.5, fill: 0}",
    "object_cutout": "{objects: [1, 3], area: [0.1, 0.4], ratio: [0.5, 2], fill: 0}",
}
"""What a bare name means, by the catalogue of operations."""

AS_BEFORE = {"rotate90": "{times: [1, 2, 3]}", "erase": "{count: 1, area: [0.02, 0.1], ratio: [0.3, 3.3], fill: 0}"}
"""What the other bare names meant before there were usual values."""


@pytest.mark.parametrize("name", BARE)
def test_a_bare_name_changes_pictures(name):
    picture = smooth_picture((64, 48), 3)
    box = (25, 18, 40, 30)
    changed = 0
    for copy in range(10):
        plan = draw(recipe_of(f"- {name}"), frame_of((64, 48), [box]), 5, copy)
        out = rendered(picture, plan.steps)
        changed += out.shape != picture.shape or bool((out != picture).any())
    assert changed >= (3 if name == "iou_crop" else 8)  # which often keeps the whole of so small a picture


@pytest.mark.parametrize("name", sorted(NEED_A_SIZE))
def test_what_needs_a_size_says_so(name):
    with pytest.raises(RecipeError, match=r"x\.yaml:3: .*(size|box_xyxy)"):
        recipe_of(f"- {name}")


@pytest.mark.parametrize(("name", "usual"), [*USUAL.items(), *AS_BEFORE.items()])
def test_a_bare_name_is_the_usual_values_written_out(name, usual):
    bare, written = recipe_of(f"- {name}"), recipe_of(f"- {name}: {usual}")
    assert bare.digest == written.digest
    for copy in range(5):
        assert draw(bare, frame_of(), 5, copy) == draw(written, frame_of(), 5, copy)
    for common in ("p: 0.5", "id: mine", "cut: true", "p: 0.3, id: a"):
        bare, written = recipe_of(f"- {name}: {{{common}}}"), recipe_of(f"- {name}: {{{common}, {usual[1:]}")
        assert bare.digest == written.digest
    bare, written = (
        recipe_of(f"- one_of: [{name}: {{weight: 2}}]"),
        recipe_of(f"- one_of: [{name}: {{weight: 2, {usual[1:]}]"),
    )
    assert bare.digest == written.digest


def test_with_one_parameter_the_others_are_neutral():
    for name, parameter, value in (
        ("affine", "rotate", 5),
        ("color_jitter", "hue", 0.1),
        ("brightness_contrast", "contrast", 0.3),
    ):
        (values,) = drawn(plan_of([{name: {parameter: value}}])).values()
        others = {key: drawn_value for key, drawn_value in values.items() if key != parameter}
        assert (
            others
            == {
                "affine": {"scale": 1.0, "shear": 0.0, "shear_y": 0.0, "translate": [0.0, 0.0]},
                "color_jitter": {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0},
                "brightness_contrast": {"brightness": 1.0},
            }[name]
        )


def test_an_override_of_one_parameter_is_one_parameter():
    recipe = recipe_of("- affine", "steps.affine.rotate=5")
    assert recipe.digest == recipe_of("- affine: {rotate: 5}").digest
    assert (
        recipe_of("- affine", "steps.affine.p=0.5").digest
        == recipe_of(f"- affine: {{p: 0.5, {USUAL['affine'][1:]}").digest
    )


def test_usual_values_of_the_whole_vocabulary():
    """Nothing but a size is required, and what is typical is written as a recipe writes it."""
    for name, operation in OPERATIONS.items():
        required = {field for field, info in operation.model_fields.items() if info.is_required()}
        assert required <= {"size", "box_xyxy"}
        assert operation.typical.keys() <= operation.model_fields.keys() - COMMON_FIELDS
        if name in USUAL:
            assert operation.model_validate({}) == operation.model_validate(yaml.safe_load(USUAL[name]))


# --- what can only be the identity -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.neutral])
def test_what_is_declared_neutral_leaves_every_picture_as_it_is(name):
    operation = OPERATIONS[name]
    given = {key: list(value) for key, value in operation.neutral.items()}
    assert operation.model_validate(given).is_identity()
    picture = smooth_picture((37, 23), 3)
    for copy in range(5):
        assert (rendered(picture, plan_of([{name: given}], (37, 23), copy).steps) == picture).all()
    assert not operation.model_validate({}).is_identity()


def test_other_steps_are_no_identity():
    for operation in OPERATIONS.values():
        ((_, given),) = yaml.safe_load(operation.example).items()
        assert not operation.model_validate(given).is_identity()
    for given, expected in (
        ({"sides": 0}, True),
        ({"multiple": 1}, True),
        ({"size": 1}, True),
        ({"size": [1, 2]}, False),
    ):
        assert OPERATIONS["pad"].model_validate(given).is_identity() == expected
    assert not np.array([OPERATIONS["rotate"].model_validate({"degrees": v}).is_identity() for v in (1, [0, 1])]).any()
