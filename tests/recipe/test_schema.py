"""The JSON schema: it takes what the reader takes, and refuses what the reader refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.core.errors import RecipeError
from augpipe.recipe.load import compiled, shipped
from augpipe.recipe.ops import COMMON_FIELDS, OPERATIONS
from augpipe.recipe.schema import recipe_schema
from augpipe.recipe.yaml_reader import read

SCHEMA = recipe_schema()
TYPES = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}
NOTES = {"$schema", "$defs", "title", "description", "default", "examples"}


def fits(value, schema) -> bool:
    """A validator of those keywords of JSON schema that the schema uses; it raises at any other."""
    if "$ref" in schema:
        assert set(schema) == {"$ref"}
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return all(_holds(keyword, rule, value, schema) for keyword, rule in schema.items() if keyword not in NOTES)


def _holds(keyword, rule, value, schema) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match keyword:
        case "type":
            if rule in ("number", "integer"):
                return number and (rule == "number" or isinstance(value, int))
            return isinstance(value, TYPES[rule])
        case "const":
            return type(value) is type(rule) and value == rule
        case "enum":
            return value in rule
        case "anyOf":
            return any(fits(value, option) for option in rule)
        case "oneOf":
            return sum(fits(value, option) for option in rule) == 1
        case "minimum":
            return not number or value >= rule
        case "maximum":
            return not number or value <= rule
        case "pattern":
            return not isinstance(value, str) or re.search(rule, value) is not None
        case "minItems":
            return not isinstance(value, list) or len(value) >= rule
        case "maxItems":
            return not isinstance(value, list) or len(value) <= rule
        case "items":
            return not isinstance(value, list) or all(fits(item, rule) for item in value)
        case "required":
            return not isinstance(value, dict) or all(name in value for name in rule)
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= rule
        case "properties":
            return not isinstance(value, dict) or all(fits(value[k], rule[k]) for k in rule if k in value)
        case "additionalProperties":
            others = set(value) - set(schema.get("properties", ())) if isinstance(value, dict) else set()
            return not others if rule is False else all(fits(value[name], rule) for name in others)
    raise AssertionError(f"the test's validator does not know {keyword}")


def reads(value) -> bool:
    try:
        compiled(read("x", json.dumps(value)), "x")
    except RecipeError:
        return False
    return True


def with_steps(*steps, **head):
    return {"version": 1, **head, "steps": list(steps)}


EXAMPLE = """
version: 1
labels: {min_visibility: 0.1, min_side: 2}
steps:
  - horizontal_flip: {p: 0.5}
  - affine: {rotate: [-15, 15], scale: [0.8, 1.2], translate: 0.1}
  - one_of:
      - gaussian_blur: {sigma: [0.3, 1.5]}
      - gaussian_noise: {std: [2, 12]}
    p: 0.3
  - color_jitter: {brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.05}
"""


@pytest.mark.parametrize("text", [EXAMPLE, *shipped().values()], ids=["example", *shipped()])
def test_recipes_fit(text):
    assert fits(yaml.safe_load(text), SCHEMA)


RIGHT = [
    with_steps("to_gray"),
    with_steps({"to_gray": None}),
    with_steps({"to_gray": {}}),
    with_steps({"to_gray": {"id": "a-1", "cut": True, "p": 0}}),
    with_steps({"rotate90": {"times": 2}}, {"rotate90": {"times": [0, 3]}}),
    with_steps({"resize": {"size": [3, 4]}}, {"resize": {"longest": 5}}, {"pad": {"sides": [1, 2, 3, 4]}}),
    with_steps({"one_of": ["to_gray", {"gamma": {"amount": 1, "weight": 3}}], "p": 0.5, "id": "g", "cut": False}),
    with_steps({"some_of": ["to_gray", {"all_of": ["to_gray"], "weight": 2}], "n": [0, 2]}),
    with_steps({"all_of": [{"to_gray": {"p": 0.5}}, {"one_of": ["to_gray"], "p": 0.1}]}),
    with_steps("affine", "rotate", {"perspective": None}, {"gamma": {}}, "jpeg", {"gaussian_noise": {"p": 0.5}}),
    with_steps({"random_crop": {"scale": 0.5, "ratio": [0.5, 2]}}, {"random_crop": {"size": 5, "ratio": 1}}),
    with_steps({"resize": {"longest": 5, "only": "shrink"}}, {"resize": {"size": 5, "only": "grow"}}),
    with_steps({"pad": {"sides": 5, "fill_after": True}}, {"letterbox": {"size": 5, "fill_after": False}}),
    with_steps("to_gray", border="wrap", fill=[1, 2, 3], labels={"box": "ellipse"}, description="x"),
    with_steps("to_gray", fill=9, labels={}),
    with_steps("to_gray", labels={"truncated": "drop", "erased": "cut", "classes": {}, "flip_pairs": {}}),
    with_steps("to_gray", labels={"obb": "drop_centre", "below": "ignore"}),
    with_steps(),
    with_steps("to_gray", labels={"classes": {"a b": {}, "c": {"min_side": 2, "box": "ellipse", "truncated": "clip"}}}),
    with_steps("to_gray", labels={"flip_pairs": {"a": [], "b": [["x", "y"], ["l 1", "r 1"]]}}),
]

WRONG = [
    [],
    None,
    {"steps": ["to_gray"]},
    {"version": 1},
    {"version": 2, "steps": ["to_gray"]},
    {"version": "1", "steps": ["to_gray"]},
    with_steps({"one_of": []}),
    with_steps("to_grey"),
    with_steps("letterbox"),
    with_steps("resize"),
    with_steps("one_of"),
    with_steps(5),
    with_steps(None),
    with_steps({}),
    with_steps("to_gray", author="me"),
    with_steps("to_gray", labels=None),
    with_steps("to_gray", labels={"min_sied": 1}),
    with_steps("to_gray", labels={"truncated": "keep"}),
    with_steps("to_gray", labels={"erased": True}),
    with_steps("to_gray", labels={"obb": "cut"}),
    with_steps("to_gray", labels={"below": None}),
    with_steps("to_gray", labels={"classes": ["a"]}),
    with_steps("to_gray", labels={"classes": {"a": None}}),
    with_steps("to_gray", labels={"classes": {"a": {"min_side": None}}}),
    with_steps("to_gray", labels={"classes": {"a": {"box": "round"}}}),
    with_steps("to_gray", labels={"classes": {"a": {"erased": "cut"}}}),
    with_steps("to_gray", labels={"flip_pairs": {"a": ["x", "y"]}}),
    with_steps("to_gray", labels={"flip_pairs": {"a": [["x", "y", "z"]]}}),
    with_steps("to_gray", labels={"flip_pairs": {"a": [["x", 1]]}}),
    with_steps("to_gray", border="mirror"),
    with_steps({"letterbox": None}),
    with_steps({"rotate": 5}),
    with_steps({"letterbox": {}}),
    with_steps("random_crop"),
    with_steps({"random_crop": {"ratio": 1}}),
    with_steps({"random_crop": {"size": 5, "scale": 0.5}}),
    with_steps({"bbox_safe_crop": {"ratio": 0}}),
    with_steps({"resize": {"longest": 5, "only": "enlarge"}}),
    with_steps({"resize": {"longest": 5, "only": None}}),
    with_steps({"pad": {"sides": 5, "fill_after": 1}}),
    with_steps({"rotate": {"degree": 5}}),
    with_steps({"rotate": {"degrees": "5"}}),
    with_steps({"rotate": {"degrees": 361}}),
    with_steps({"rotate": {"degrees": [1, 2, 3]}}),
    with_steps({"rotate": {"degrees": None}}),
    with_steps({"rotate": {"degrees": 5}, "to_gray": {}}),
    with_steps({"to_gray": {"p": 1.5}}),
    with_steps({"to_gray": {"weight": 1}}),
    with_steps({"to_gray": {"id": "a b"}}),
    with_steps({"to_gray": {}, "p": 1}),
    with_steps({"resize": {}}),
    with_steps({"resize": {"size": 5, "longest": 5}}),
    with_steps({"resize": {"longest": None}}),
    with_steps({"one_of": []}),
    with_steps({"one_of": [{"to_gray": {"p": 0.5}}]}),
    with_steps({"one_of": [{"all_of": ["to_gray"], "p": 0.5}]}),
    with_steps({"one_of": ["to_gray"], "n": 1}),
    with_steps({"one_of": ["to_gray"], "weight": 1}),
    with_steps({"some_of": ["to_gray"]}),
    with_steps({"some_of": ["to_gray"], "n": "1"}),
    with_steps({"all_of": [{"to_gray": {"weight": 2}}]}),
    with_steps({"one_of": [{"one_of": [{"one_of": [{"to_gray": {"p": 1}}]}]}]}),
]


@pytest.mark.parametrize("value", RIGHT, ids=range(len(RIGHT)))
def test_right(value):
    assert reads(value)
    assert fits(value, SCHEMA)


@pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
def test_wrong(value):
    assert not reads(value)
    assert not fits(value, SCHEMA)


def test_the_example_of_every_operation_fits():
    for operation in OPERATIONS.values():
        assert fits(with_steps(yaml.safe_load(operation.example)), SCHEMA)


# --- every parameter, any value --------------------------------------------------------------------------------------

numbers = st.integers(-3, 200) | st.sampled_from([-0.5, 0.001, 0.3, 0.5, 1.5, 33_000, 1e7])
values = st.one_of(
    numbers,
    st.none() | st.booleans() | st.sampled_from(["centre", "top_left", "a", ""]),
    st.lists(numbers, max_size=5).map(sorted),  # a schema cannot say that the lower bound comes first
    st.lists(st.booleans() | st.none() | st.just("5"), max_size=4),
    st.just({}),
)


OWN = [(n, p) for n, o in OPERATIONS.items() for p in o.model_fields if p not in COMMON_FIELDS]
OWN.remove(("crop", "box_xyxy"))  # that it has an area no schema can say


@pytest.mark.parametrize(("name", "parameter"), OWN + [("to_gray", p) for p in sorted(COMMON_FIELDS)])
def test_schema_and_reader_agree_on_every_parameter(name, parameter):
    (given_by_example,) = yaml.safe_load(OPERATIONS[name].example).values()
    if parameter in OPERATIONS[name].exactly_one:
        given_by_example = {k: v for k, v in given_by_example.items() if k not in OPERATIONS[name].exactly_one}
    if parameter in ("shear", "shear_y"):
        given_by_example = {}

    @settings(max_examples=30, deadline=None)
    @given(values)
    def check(value):
        step = {name: {k: v for k, v in given_by_example.items() if k != "p"} | {parameter: value}}
        document = with_steps({"one_of": [step]} if parameter == "weight" and value != 0 else step)
        assert reads(document) == fits(document, SCHEMA)

    check()


# --- the schema itself -----------------------------------------------------------------------------------------------


def test_the_schema_is_the_same_in_every_process():
    code = "import json; from augpipe.recipe.schema import recipe_schema; print(json.dumps(recipe_schema()))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout.decode().strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert texts == {json.dumps(recipe_schema())}


def test_editors_find_words_to_show():
    (rotate,) = [s for s in SCHEMA["$defs"]["step"]["oneOf"] if "rotate" in s.get("properties", {})]
    told = rotate["properties"]["rotate"]
    assert told["description"].startswith("Turn about the centre, positive clockwise; the canvas stays, or")
    parameters = told["anyOf"][0]
    assert parameters["properties"]["degrees"]["description"] == "angle"
    text = json.dumps(SCHEMA)
    assert '"default": null' not in text
    assert '"title"' not in text.removeprefix('{"$schema": "https://json-schema.org/draft/2020-12/schema", "title"')
