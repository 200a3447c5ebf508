"""Files of other libraries as recipes: groups, old spellings, labels and borders, and files that nobody wrote so."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from command_line import call
from documents import FENCE
from fuzzing import ODD_NUMBERS, ODD_TEXTS, fuzzed, mutated, only_our_errors
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from augpipe.core.errors import RecipeError
from augpipe.recipe import yaml_reader
from augpipe.recipe.importing.catalogue import ROWS
from augpipe.recipe.importing.files import imported
from augpipe.recipe.load import compiled


def transform(name: str, **parameters: Any) -> dict[str, Any]:
    return {"__class_fullname__": name, "p": 1.0, **parameters}


def file_of(*transforms: Any, version: str = "2.0.8", **beside: Any) -> dict[str, Any]:
    return {"__version__": version, "transform": transform("Compose", transforms=list(transforms), **beside)}


def import_of(value: Any) -> Any:
    return imported(yaml_reader.read("aug.json", json.dumps(value)))


def recipe_of(value: Any) -> Any:
    """The recipe as plain values, checked by the ordinary check, without version and description."""
    text = import_of(value).text
    compiled(yaml_reader.read("my.yaml", text), "my")
    recipe = yaml.safe_load(text)
    assert recipe.pop("version") == 1
    recipe.pop("description")
    return recipe


def steps_of(*transforms: Any, **beside: Any) -> Any:
    return recipe_of(file_of(*transforms, **beside))["steps"]


FLIP, GRAY = transform("HorizontalFlip", p=0.5), transform("ToGray", p=0.25)


def test_a_choice_weighs_by_p():
    group = transform("OneOf", transforms=[FLIP, GRAY], p=0.4)
    children = [{"horizontal_flip": {"weight": 0.5}}, {"to_gray": {"weight": 0.25}}]
    assert steps_of(group) == [{"one_of": children, "p": 0.4}]


def test_what_is_left_out_of_a_choice_takes_its_share_with_it():
    group = transform("OneOf", transforms=[FLIP, transform("NoOp", p=0.25), transform("GlassBlur", p=0.25)], p=0.8)
    assert steps_of(group) == [{"one_of": [{"horizontal_flip": {"weight": 0.5}}], "p": 0.4}]


def test_one_or_other():
    group = transform("OneOrOther", transforms=[FLIP, GRAY], p=0.75)
    assert steps_of(group) == [{"one_of": [{"horizontal_flip": {"weight": 0.75}}, {"to_gray": {"weight": 0.25}}]}]


def test_some_of_draws_evenly_from_version_2_on_and_by_p_before():
    group = transform("SomeOf", transforms=[FLIP, GRAY], n=1, replace=False)
    apart = [{"all_of": [{"horizontal_flip": {"p": 0.5}}]}, {"all_of": [{"to_gray": {"p": 0.25}}]}]
    assert steps_of(group) == [{"some_of": apart, "n": 1}]
    weighed = [{"horizontal_flip": {"weight": 0.5}}, {"to_gray": {"weight": 0.25}}]
    assert steps_of(group, version="1.3.0") == [{"some_of": weighed, "n": 1}]


def test_sequences_take_part_together():
    group = transform("Sequential", transforms=[FLIP, GRAY], p=0.3)
    assert steps_of(group) == [{"all_of": [{"horizontal_flip": {"p": 0.5}}, {"to_gray": {"p": 0.25}}], "p": 0.3}]
    assert steps_of(transform("Compose", transforms=[FLIP, GRAY])) == [
        {"horizontal_flip": {"p": 0.5}},
        {"to_gray": {"p": 0.25}},
    ]


def test_one_transform_alone_and_its_dict_alone():
    assert recipe_of({"__version__": "2.0.8", "transform": FLIP}) == {"steps": [{"horizontal_flip": {"p": 0.5}}]}
    assert recipe_of(FLIP) == {"steps": [{"horizontal_flip": {"p": 0.5}}]}


@pytest.mark.parametrize(
    ("written", "step"),
    [
        (transform("albumentations.imgaug.transforms.IAAFliplr"), "horizontal_flip"),
        (transform("HorizontalFlip", p=0.1, always_apply=True), "horizontal_flip"),
        (transform("GaussNoise", var_limit=[100.0, 400.0], mean=0), {"gaussian_noise": {"std": [10, 20]}}),
        (transform("GaussNoise", std_range=[0.1, 0.2]), {"gaussian_noise": {"std": [25.5, 51]}}),
        (transform("ImageCompression", quality_lower=40, quality_upper=90, compression_type=0),
         {"jpeg": {"quality": [40, 90]}}),
        (transform("Downscale", scale_min=0.25, scale_max=0.5, interpolation=0),
         {"downscale": {"factor": [2, 4], "up": "nearest"}}),
        (transform("Solarize", threshold=[100, 120]), {"solarize": {"threshold": [100, 120]}}),
        (transform("RandomScale", scale_limit=[-0.5, 1.0]), {"random_scale": {"scale": [0.5, 2]}}),
        (transform("Rotate", limit=[-10, 30]), {"rotate": {"degrees": [-30, 10]}}),
        (transform("Rotate", limit=20, crop_border=True), {"rotate": {"degrees": [-20, 20], "canvas": "inside"}}),
        (transform("RandomBrightness", limit=[-0.1, 0.3]), {"brightness_contrast": {"offset": [-0.1, 0.3]}}),
        (transform("RandomResizedCrop", height=32, width=64, scale=[0.5, 1.0], ratio=[1.0, 2.0]),
         {"random_resized_crop": {"size": [64, 32], "scale": [0.5, 1], "ratio": [1, 2]}}),
        (transform("Affine", scale=[0.5, 2.0], rotate=[0, 10], shear=0),
         {"affine": {"rotate": [-10, 0], "scale": [0.5, 2]}}),
        (transform("Resize", height=480, width=640), {"resize": {"size": [640, 480]}}),
        (transform("LongestMaxSize", max_size=[64, 32]),
         {"one_of": [{"resize": {"longest": 64}}, {"resize": {"longest": 32}}]}),
        (transform("GaussianBlur", blur_limit=[3, 7], sigma_limit=0), {"gaussian_blur": {"sigma": [0.8, 1.4]}}),
        (transform("Blur", blur_limit=9), {"box_blur": {"size": [3, 9]}}),
        (transform("HueSaturationValue", hue_shift_limit=18, sat_shift_limit=32, val_shift_limit=64),
         {"hsv": {"hue": [-0.1, 0.1], "saturation": [-0.25, 0.25], "value": [-0.5, 0.5]}}),
        (transform("CoarseDropout", max_holes=3, max_height=0.25, max_width=0.5, min_holes=None, min_height=None,
                   min_width=None, fill_value=7, mask_fill_value=None),
         {"erase": {"count": [3, 3], "area": [0.125, 0.125], "ratio": [2, 2], "fill": 7}}),
        (transform("PadIfNeeded", min_height=None, min_width=None, pad_height_divisor=32, pad_width_divisor=32),
         {"pad": {"multiple": 32, "place": "centre", "fill": 0}}),
        (transform("Posterize", num_bits=[[3, 4], [3, 4], [3, 4]]), {"posterize": {"bits": [3, 4]}}),
        (transform("GridDistortion", num_steps=20, distort_limit=[-0.1, 0.9]),
         {"grid_distortion": {"steps": 12, "limit": [-0.1, 0.5]}}),
        (transform("OpticalDistortion", distort_limit=0.4, shift_limit=[-51.2, 51.2]),
         {"optical_distortion": {"k": [-0.3, 0.3], "center": [-0.1, 0.1]}}),
        (transform("OpticalDistortion", distort_limit=[0.1, 0.2], mode="fisheye"),
         {"optical_distortion": {"k": [0.1, 0.2], "center": [0, 0]}}),
        (transform("ElasticTransform", alpha=300, sigma=30),
         {"elastic": {"strength": [0.0114937, 0.0114937], "nodes": 13}}),
        (transform("IAAPiecewiseAffine", scale=[0.03, 0.03], nb_rows=5, nb_cols=7),
         {"elastic": {"strength": [0.0722644, 0.0722644], "nodes": 8}}),
    ],
)  # fmt: skip
def test_a_transform_of_any_version(written, step):
    assert steps_of(written, version="1.3.1") == [step]


def test_every_row_makes_a_step_of_what_it_needs():
    for name in ROWS:
        needed = {"height": 32, "width": 32, "max_size": 32, "percent": 0.1, "min_max_height": [8, 16]}
        (line,) = import_of(file_of(transform(name, **needed))).lines
        assert line.status != "missing", line


def test_limits_of_boxes_become_those_of_labels():
    boxes = {"format": "coco", "min_area": 16, "min_visibility": 0.25, "min_width": 3, "min_height": 3}
    labels = recipe_of(file_of(FLIP, bbox_params=boxes))["labels"]
    assert labels == {"min_area": 16, "min_visibility": 0.25, "min_side": 3}


def test_the_first_border_is_that_of_the_recipe():
    found = import_of(
        file_of(
            transform("Rotate", limit=5, border_mode=0, fill=114),
            transform("Rotate", limit=5, border_mode=1),
            transform("Rotate", limit=5, border_mode=0, value=[114, 114, 114]),
        )
    )
    assert [line.status for line in found.lines] == ["exact", "near", "exact"]
    assert yaml.safe_load(found.text)["border"] == "constant"
    assert yaml.safe_load(found.text)["fill"] == 114


def test_nothing_vanishes():
    found = import_of(
        file_of(
            FLIP, transform("GlassBlur"), transform("Normalize"), transform("ToTensorV2"), transform("Lambda"),
            transform("Mosaic"), transform("my.module.Own"), transform("HorizontalFlip", speed=3),
        )
    )  # fmt: skip
    assert [line.status for line in found.lines] == [
        "exact", "missing", "trainer", "trainer", "missing", "missing", "missing", "near",
    ]  # fmt: skip
    assert found.summary() == "1 exact, 1 near, 2 left to the trainer, 4 missing"
    assert "speed" in found.lines[-1].why
    assert all(line.name in found.text for line in found.lines[1:])


# --- Ultralytics -----------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "task": "detect", "imgsz": 640, "epochs": 100, "hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4, "degrees": 0.0,
    "translate": 0.1, "scale": 0.5, "shear": 0.0, "perspective": 0.0, "flipud": 0.0, "fliplr": 0.5, "mosaic": 1.0,
    "mixup": 0.0, "copy_paste": 0.0, "erasing": 0.4, "close_mosaic": 10, "auto_augment": "randaugment",
}  # fmt: skip


def test_arguments_of_ultralytics():
    found = import_of(ARGUMENTS)
    assert recipe_of(ARGUMENTS)["steps"] == [
        {"letterbox": {"size": 640, "fill": 114}},
        {"affine": {"translate": 0.1, "scale": [0.5, 1.5]}},
        {"hsv": {"hue": 0.015, "saturation": 0.7, "value": 0.4}},
        {"horizontal_flip": {"p": 0.5}},
    ]
    assert {line.name: line.status for line in found.lines} == {
        "imgsz": "exact", "degrees, translate, scale, shear": "exact", "hsv_h, hsv_s, hsv_v": "near", "fliplr": "exact",
        "mosaic": "missing", "close_mosaic": "trainer",
    }  # fmt: skip


def test_arguments_of_ultralytics_for_classes():
    steps = recipe_of({**ARGUMENTS, "task": "classify"})["steps"]
    assert [next(iter(step)) for step in steps] == ["random_resized_crop", "hsv", "horizontal_flip", "erase"]


# --- hostile ---------------------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, *ODD_NUMBERS, *(t for t in ODD_TEXTS if "\ud800" not in t), [], {}, [[]], [0, 0], [5, 1], [1, 2, 3],
    {"x": [1, 2]}, "HorizontalFlip", FLIP, {"__class_fullname__": []},
)  # fmt: skip
WHOLE = file_of(
    *(transform(name, height=32, width=32, max_size=32) for name in ROWS),
    transform("OneOf", transforms=[FLIP, GRAY]),
    transform("SomeOf", transforms=[FLIP, GRAY], n=1),
    bbox_params={"format": "coco", "min_area": 1.0},
)
FILES = (WHOLE, ARGUMENTS, *(file_of(transform(name, **dict.fromkeys(
    ("limit", "scale", "blur_limit", "size", "std_range", "var_limit", "fill", "border_mode", "num_holes_range"), 0.5
), height=9, width=9)) for name in ROWS))  # fmt: skip


@given(value=st.sampled_from(range(len(FILES))).flatmap(lambda i: mutated(FILES[i], ODD)))
@fuzzed(150)
def test_files_of_which_a_little_is_changed(value):
    def use():
        text = import_of(value).text
        if text:
            compiled(yaml_reader.read("my.yaml", text), "my")

    only_our_errors(use, 11)


def test_a_parameter_that_cannot_be_read_is_a_line():
    values = [float("nan"), "x", [1, "x"], {"a": 1}, 1e300, True]
    for line in import_of(file_of(*(transform("Rotate", limit=value) for value in values), FLIP)).lines[:-1]:
        assert (line.status, line.why[:25]) == ("missing", "left out: limit: expected")


def test_deep_groups_are_an_error_of_one_line():
    value = FLIP
    for _ in range(14):
        value = transform("OneOf", transforms=[value], p=0.5)
    with pytest.raises(RecipeError, match="nested more than 10 deep"):
        import_of(file_of(value))


def test_names_cannot_end_a_remark():
    found = import_of(file_of(FLIP, transform("A\n  - vertical_flip\u2028x"), transform("Blur", **{"a\nb": 1})))
    assert [next(iter(step)) for step in yaml.safe_load(found.text)["steps"]] == ["horizontal_flip", "box_blur"]


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "aug.yaml").write_text(yaml.safe_dump(file_of(FLIP, transform("GlassBlur", p=0.2))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_recipe_goes_to_stdout_and_the_lines_to_stderr(place):
    result = call("recipes", "import", "aug.yaml")
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["steps"] == [{"horizontal_flip": {"p": 0.5}}]
    assert result.stderr.splitlines()[-1] == "1 exact, 0 near, 0 left to the trainer, 1 missing"


def test_output_report_and_strict(place):
    result = call("recipes", "import", "aug.yaml", "-o", "my.yaml", "--report", "report.json", "--strict")
    assert result.exit_code == 1
    assert result.stderr == ""
    assert call("recipes", "check", "my.yaml").exit_code == 0
    report = json.loads((place / "report.json").read_text())
    assert report["counts"] == {"exact": 1, "near": 0, "trainer": 0, "missing": 1}
    lines = (place / "aug.yaml").read_text().splitlines()
    for row in report["transforms"]:  # keys are sorted, so that the class comes first
        assert row["name"] in lines[row["line"] - 1]
    assert call("recipes", "import", "aug.yaml", "-o", "my.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "no such file"),
        (["aug.yaml", "-o", "aug.yaml"], "is the file that is read"),
        (["aug.yaml", "-o", "no/my.yaml"], "its folder does not exist"),
        (["recipe.yaml"], "is a recipe already"),
        (["other.yaml"], "neither"),
        (["empty.yaml"], "nothing of it"),
        (["tag.yaml"], "is not read"),
    ],
)
def test_what_cannot_be_imported(arguments, message, place):
    (place / "recipe.yaml").write_text("version: 1\nsteps: [to_gray]\n")
    (place / "other.yaml").write_text("a: 1\n")
    (place / "empty.yaml").write_text(json.dumps(file_of(transform("Normalize"))))
    (place / "tag.yaml").write_text("transform: !!python/object/apply:os.system ['true']\n")
    result = call("recipes", "import", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("value", [file_of(FLIP), ARGUMENTS])
def test_check_names_the_import(value, place):
    (place / "theirs.yaml").write_text(json.dumps(value))
    result = call("recipes", "check", "theirs.yaml")
    assert result.exit_code == 2
    assert "'augpipe recipes import theirs.yaml -o my.yaml'" in result.stderr


def test_the_example_of_the_documentation_is_what_comes_out():
    theirs, ours = (
        block
        for language, block in FENCE.findall((ROOT / "docs" / "import.md").read_text("utf-8"))
        if language == "yaml"
    )
    assert imported(yaml_reader.read("aug.yaml", theirs)).text == ours
