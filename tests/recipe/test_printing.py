"""Recipes written out, and operations as data for programs."""

from __future__ import annotations

import functools
import json

import pytest
import yaml
from command_line import call
from json_schema import fits
from recipe_tools import frame_of, recipe_of

from augpipe.recipe.groups import GROUPS, POLICIES
from augpipe.recipe.load import compiled, load, shipped
from augpipe.recipe.ops import COMMON_FIELDS, OPERATIONS
from augpipe.recipe.planner import draw
from augpipe.recipe.printing.expanded import expanded
from augpipe.recipe.yaml_reader import read

# --- show --expanded -------------------------------------------------------------------------------------------------

ODD = {
    "names": ([
        "jpeg", {"jpeg": {"quality": 50}}, {"jpeg": {"id": "third", "p": 0.123456789012345}}, "jpeg",
        {"all_of": ["to_gray"], "id": "mine"}, {"all_of": ["to_gray", {"invert": {"id": "to_gray-2"}}]},
    ], {}),
    "groups": ([
        {"some_of": [{"gamma": {"weight": 3}}, "sepia", {"one_of": ["fog", "rain"], "weight": 0.5}], "n": [0, 2]},
        {"shuffled": ["equalize", {"invert": {"p": 0.5}}], "p": 0.75, "cut": True},
    ], {}),
    "policies": ([
        {"rand_augment": {"n": 3, "magnitude": 7, "p": 0.9}}, "trivial_augment", "rand_augment",
        {"one_of": [{"auto_augment": {"policy": "detection_v3", "weight": 2}}, "to_gray"]},
    ], {}),
    "shares and pixels": ([
        {"crop": {"box_xyxy": [0.0, 0.0, 1.0, 0.5]}}, {"crop": {"box_xyxy": [0, 0, 1, 1], "p": 0.25}},
        {"resize": {"shortest": [320, 480], "longest": 800}}, {"affine": {"rotate": 5.0}}, "affine",
    ], {}),
    "conditions and heads": (
        [{"rotate": {"when": {"classes": ["no", "a: b", "Auto\u2028mobil"], "size": [0, 96.5]}}}],
        {"description": "# it's \"odd\": yes", "border": "reflect", "fill": [1, 2, 3],
         "labels": {"min_visibility": 0.25, "below": "ignore",
                    "classes": {"no": {"min_side": 3}, "a: b": {"box": "ellipse"}},
                    "flip_pairs": {"hand": [["thumb a", "null"]]}}},
    ),
    "nothing": ([], {}),
}  # fmt: skip


def same(recipe):
    text = expanded(recipe)
    again = compiled(read("again.yaml", text), "again")
    assert again.digest == recipe.digest
    for copy in range(20):
        frame = frame_of((320, 240), [(20, 30, 90, 120)], f"{copy}.jpg")
        assert draw(again, frame, 7, copy) == draw(recipe, frame, 7, copy)
    return text


@pytest.mark.parametrize("name", shipped())
def test_expanded_it_means_the_same(name):
    result = call("recipes", "show", name, "--expanded")
    assert result.exit_code == 0
    assert result.stdout == same(load(name))
    assert yaml.safe_load(result.stdout)["description"] == yaml.safe_load(shipped()[name])["description"]


@pytest.mark.parametrize("name", ODD)
def test_odd_recipes_mean_the_same(name):
    steps, head = ODD[name]
    text = same(recipe_of(steps, **head))
    assert yaml.safe_load(text).get("description") == head.get("description", "")


@pytest.mark.parametrize("name", [name for name, cls in OPERATIONS.items()])
def test_every_example_means_the_same_with_all_of_its_parameters(name):
    recipe = recipe_of(f"- {OPERATIONS[name].example}")
    (step,) = yaml.safe_load(expanded(recipe))["steps"]
    operation = next(recipe.leaves()).operation
    given = {key for key in OPERATIONS[name].model_fields if getattr(operation, key) is not None}
    assert set(step[name]) == given - {"id", "weight", "when"}
    assert compiled(read("again.yaml", expanded(recipe)), "again").digest == recipe.digest


def test_policies_are_groups_and_defaults_are_written_out():
    text = expanded(recipe_of(["trivial_augment", "affine", {"horizontal_flip": {"p": 0.5}}]))
    policy, affine, flip = yaml.safe_load(text)["steps"]
    assert policy["id"] == "trivial_augment"
    assert {"shear", "translate", "equalize"} <= {next(iter(step)) for step in policy["all_of"][0]["one_of"]}
    assert affine == {
        "affine": {"rotate": [-10, 10], "scale": [0.8, 1.2], "translate": [-0.1, 0.1], "shear": [0, 0],
                   "shear_y": [0, 0], "p": 1, "cut": False},
    }  # fmt: skip
    assert flip == {"horizontal_flip": {"p": 0.5, "cut": False}}


# --- operations --json -----------------------------------------------------------------------------------------------

TEXT = {"type": "string", "pattern": "^.+"}
WORD = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}
NAMES = {"type": "array", "items": WORD}
ANY = {"anyOf": [{"type": kind} for kind in ("null", "boolean", "number", "string", "array")]}
PARAMETER = {
    "type": "object",
    "properties": {
        "name": WORD, "text": TEXT, "written": TEXT, "required": {"type": "boolean"}, "default": ANY,
        "schema": {"type": "object", "minProperties": 1},
    },
    "required": ["name", "text", "written", "required", "default", "schema"],
    "additionalProperties": False,
}  # fmt: skip
EFFECT = {"enum": [
    "untouched", "moved", "cut", "clipped", "boxed", "refitted", "resampled", "lowered", "covered", "cannot",
]}  # fmt: skip
KINDS = ("box", "obb", "polygon", "mask", "keypoints", "parts", "semantic", "instance", "panoptic", "crowd",
         "attributes", "tags", "captions")  # fmt: skip
COMMON = {"name": WORD, "text": TEXT, "parameters": {"type": "array", "items": PARAMETER}, "example": TEXT}
OPERATION = {
    "type": "object",
    "properties": {
        **COMMON,
        "category": {"enum": ["move", "color", "light", "blur", "noise", "compression", "paint"]},
        "labels": {
            "type": "object", "properties": dict.fromkeys(KINDS, EFFECT), "required": list(KINDS),
            "additionalProperties": False,
        },
        "exactly_one": NAMES,
        "typical": {"type": "object"},
        "ends_run": {"type": "boolean"},
    },
    "required": [*COMMON, "category", "labels", "exactly_one", "typical", "ends_run"],
    "additionalProperties": False,
}  # fmt: skip
GROUP = {
    "type": "object",
    "properties": {**COMMON, "category": {"enum": ["group", "policy"]}},
    "required": [*COMMON, "category"],
    "additionalProperties": False,
}
LISTED = {"type": "array", "items": {"oneOf": [OPERATION, GROUP]}}
"""What `augpipe recipes operations --json` prints, for those who read it by a program."""


@functools.cache
def listed(*arguments: str):
    result = call("recipes", "operations", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_operations_as_data():
    entries = listed()
    assert fits(entries, LISTED)
    assert sorted(entry["name"] for entry in entries) == sorted([*OPERATIONS, *GROUPS, *POLICIES])
    for entry in entries:
        if entry["name"] in OPERATIONS:
            fields = OPERATIONS[entry["name"]].model_fields
            assert [p["name"] for p in entry["parameters"]] == [name for name in fields if name not in COMMON_FIELDS]
    assert listed("clahe") == [entry for entry in entries if entry["name"] == "clahe"]


def test_a_default_fits_its_own_schema_and_bounds_are_told():
    found = {entry["name"]: {p["name"]: p for p in entry["parameters"]} for entry in listed()}
    for name, parameters in found.items():
        for parameter in parameters.values():
            assert parameter["default"] is None or fits(parameter["default"], parameter["schema"]), (name, parameter)
    assert found["clahe"]["tiles"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 32}
    assert found["clahe"]["tiles"]["default"] == 8
    assert found["letterbox"]["size"]["required"]
    assert found["downscale"]["up"]["schema"]["enum"] == ["nearest", "linear"]
    assert fits([1, 3], found["some_of"]["n"]["schema"])


def test_what_is_told_of_some_operations():
    rotate, erase, affine = (listed(name)[0] for name in ("rotate", "erase", "affine"))
    assert (rotate["category"], rotate["labels"]["box"], rotate["labels"]["tags"]) == ("move", "boxed", "untouched")
    assert (erase["category"], erase["labels"]["keypoints"], erase["ends_run"]) == ("paint", "lowered", True)
    assert affine["typical"] == {"rotate": 10, "scale": [0.8, 1.2], "translate": 0.1}
    assert listed("resize")[0]["exactly_one"] == ["size", "longest", "shortest"]
    result = call("recipes", "operations", "blr", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
