"""Words of other libraries are answered with how it is written here, and every mistake of a recipe is told at once."""

from __future__ import annotations

import pytest
from recipe_tools import recipe_of

from augpipe.core.errors import RecipeError
from augpipe.recipe.compile import Head
from augpipe.recipe.load import compiled
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.other_names import (
    NOT_HERE,
    OPERATIONS_ELSEWHERE,
    PARAMETERS_ELSEWHERE,
    TRAINERS,
    bare,
    step_elsewhere,
)
from augpipe.recipe.yaml_reader import read


def mistakes(steps, **head):
    with pytest.raises(RecipeError) as caught:
        recipe_of(steps, **head)
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # Albumentations
        ("HorizontalFlip", "did you mean 'horizontal_flip'?"),
        ("ShiftScaleRotate: {p: 0.5}", "written like 'affine: {rotate: 45, scale: [0.9, 1.1], translate: 0.06}'"),
        ("RandomBrightnessContrast", "did you mean 'brightness_contrast'?"),
        ("GaussNoise", "here that is written like 'gaussian_noise'"),
        ("CoarseDropout", "here that is written like 'erase: {count: [1, 8], area: [0.01, 0.03]}'"),
        ("LongestMaxSize: {max_size: 640}", "here that is written like 'resize: {longest: 640}'"),
        ("PadIfNeeded", "here that is written like 'pad: {size: [640, 640]}'"),
        ("BBoxSafeRandomCrop", "here that is written like 'bbox_safe_crop'"),
        ("CLAHE", "did you mean 'clahe'?"),
        ("RandomFog", "here that is written like 'fog'"),
        ("ElasticTransform", "here that is written like 'elastic'"),
        ("GridDistortion", "did you mean 'grid_distortion'?"),
        ("optical_distortion: {distort_limit: 0.1}", "here that is 'k'"),
        ("GridShuffle", "there is no step like it: leave it out, or see 'augpipe recipes operations'"),
        ("Normalize", "shards hold 8-bit pictures, so that is for the trainer: leave it out"),
        ("ToTensorV2", "for the trainer"),
        # torchvision, Ultralytics
        ("RandomHorizontalFlip", "did you mean 'horizontal_flip'?"),
        ("RandomRotation: 30", "here that is written like 'rotate: {degrees: 30}'"),
        ("fliplr: 0.5", "here that is written like 'horizontal_flip: {p: 0.5}'"),
        ("hsv_h: 0.015", "here that is written like 'hsv: {hue: 0.015}'"),
        ("mosaic: 1.0", "there is no step like it"),
        # parameters
        ("rotate: {limit: 15}", "unknown name 'limit' in rotate; here that is 'degrees'"),
        ("affine: {degrees: 10}", "unknown name 'degrees' in affine; here that is 'rotate'"),
        ("affine: {translate_percent: 0.1}", "here that is 'translate'"),
        ("brightness_contrast: {brightness_limit: 0.2}", "here that is 'brightness'"),
        ("gaussian_noise: {var_limit: [10, 50]}", "here that is 'std'"),
        ("gaussian_blur: {kernel_size: 3}", "here that is 'sigma'"),
        ("jpeg: {quality_range: [50, 90]}", "here that is 'quality'"),
        ("erase: {num_holes: 8}", "here that is 'count'"),
        ("resize: {height: 64, longest: 64}", "here that is 'size'"),
        ("letterbox: {imgsz: 640}", "here that is 'size'"),
        ("horizontal_flip: {prob: 0.5}", "here that is 'p'"),
        ("horizontal_flip: {always_apply: true}", "a step takes part with p, always if it is not given"),
        ("rotate: {degree: 15}", "unknown name 'degree' in rotate; did you mean 'degrees'?"),
    ],
)  # fmt: skip
def test_words_of_other_libraries(step, expected):
    (message,) = mistakes(f"- {step}")
    assert message.startswith("x.yaml:3: unknown ")
    assert message.endswith(expected) or expected in message


def test_every_hint_is_a_step_that_can_be_written():
    for name, step in OPERATIONS_ELSEWHERE.items():
        recipe_of(f"- {step}")
        assert name == bare(name)
    for operation, names in PARAMETERS_ELSEWHERE.items():
        fields = (OPERATIONS[operation] if operation else Head).model_fields
        for name, here in names.items():
            assert here in fields
            assert name == bare(name)
            assert name not in map(bare, fields), "a name that is known here"


def test_no_name_has_two_hints_or_is_known_here():
    names = [*OPERATIONS_ELSEWHERE, *TRAINERS, *NOT_HERE]
    assert len(set(names)) == len(names)
    assert not set(map(bare, OPERATIONS)) & set(names)
    assert step_elsewhere("Something") == ""


A_NAME = "a name of letters, digits, '_' and '-' that begins with a letter, at most 60"
TWO_WORDS = '"a b"'


def test_every_mistake_is_told_at_once_with_its_line():
    text = """- HorizontalFlip
- rotate: {limit: 5, p: 2}
- one_of:
  - gaussian_blur: {sigma: -1}
  - to_gray: {p: 0.5}
  - all_of:
    - letterbox
  id: "a b"
- resize: {size: 5, longest: 6}
- to_gray"""
    assert mistakes(text, fil=5) == [
        "x.yaml:2: unknown name 'fil' in the recipe; did you mean 'fill'?",
        "x.yaml:4: unknown operation 'HorizontalFlip'; did you mean 'horizontal_flip'?",
        "x.yaml:5: unknown name 'limit' in rotate; here that is 'degrees'",
        "x.yaml:5: rotate.p: expected a number from 0 to 1, got 2",
        f"x.yaml:11: one_of.id: expected {A_NAME}, got {TWO_WORDS}",
        "x.yaml:7: gaussian_blur.sigma: expected a number, or [low, high], from 0.1 to 50, got -1",
        "x.yaml:8: a step of one_of takes 'weight', its share of the choice, not 'p'",
        "x.yaml:10: letterbox needs 'size', as in 'letterbox: {size: 640}'",
        "x.yaml:12: resize: expected exactly one of size, longest, shortest, got size and longest",
    ]


def test_words_for_the_top_of_a_recipe():
    with pytest.raises(RecipeError) as caught:
        compiled(read("x.yaml", "transforms:\n- HorizontalFlip\nseed: 5\ncopies: 2\nfill: red\n"), "x")
    assert str(caught.value).split("\n") == [
        "x.yaml:1: the recipe needs 'version: 1', the format that it is written in",
        "x.yaml:1: unknown name 'transforms' in the recipe; here that is 'steps'",
        "x.yaml:3: unknown name 'seed' in the recipe; that is the option --seed of the command",
        "x.yaml:4: unknown name 'copies' in the recipe; that is the option --copies of the command",
        'x.yaml:5: fill: expected a level, or [red, green, blue], from 0 to 255, got "red"',
    ]


def test_a_missing_name_is_not_told_beside_one_that_may_be_it():
    assert mistakes("- letterbox: {sise: 640}") == ["x.yaml:3: unknown name 'sise' in letterbox; did you mean 'size'?"]


def test_a_file_that_is_no_recipe_at_all_is_told_in_ten_lines():
    lines = mistakes("\n".join("- rotatee" for _ in range(300)))
    assert len(lines) == 11
    assert lines[9] == "x.yaml:12: unknown operation 'rotatee'; did you mean 'rotate'?"
    assert lines[10] == "and 290 more"


def test_mistakes_of_overrides_are_told_with_those_of_the_file():
    with pytest.raises(RecipeError) as caught:
        recipe_of("- rotate: {limit: 5}\n- gamma", "steps.gamma.amount=0", "fill=red")
    places = [line.partition(": ")[0] for line in str(caught.value).split("\n")]
    assert places == ["--set fill=red", "x.yaml:3", "--set steps.gamma.amount=0"]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("bbox_safe_crop: {ratio: 3/4}", 'got "3/4"; write 0.75'),
        ("bbox_safe_crop: {ratio: '16:9'}", 'got "16:9"; write 1.778'),
        ("bbox_safe_crop: {ratio: [3/4, 4/3]}", 'got ["3/4", "4/3"]; write [0.75, 1.333]'),
        ("horizontal_flip: {p: 50%}", 'got "50%"; write 0.5'),
        ("bbox_safe_crop: {ratio: 3/0}", 'got "3/0"'),
        ("bbox_safe_crop: {ratio: wide}", 'got "wide"'),
        ("random_crop", "got none, as in 'random_crop: {size: [512, 512]}'"),
        ("resize", "got none, as in 'resize: {longest: 640}'"),
    ],
)
def test_the_way_out_is_written_as_it_would_be_accepted(step, expected):
    (message,) = mistakes(f"- {step}")
    assert message.endswith(expected)
