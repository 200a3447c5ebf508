"""The JSON schema of recipes, made from the operations themselves; editors complete and check by it."""

from __future__ import annotations

from typing import Any

from augpipe.recipe.compile import Head
from augpipe.recipe.groups import CHOOSERS, GROUPS, GroupOptions
from augpipe.recipe.label_options import ClassOptions, LabelOptions
from augpipe.recipe.operation.condition import When
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.policies.expand import POLICY_MODELS

_STEP = "step"
_CHOICE = "choice"


def recipe_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a recipe file."""
    properties = _plain(Head.model_json_schema())["properties"]
    properties["labels"] = labels = _plain(LabelOptions.model_json_schema())
    labels["properties"]["classes"]["additionalProperties"] = _plain(ClassOptions.model_json_schema())
    properties["steps"] = _steps(_STEP, least=0)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "augpipe recipe",
        "type": "object",
        "properties": properties,
        "required": ["version", "steps"],
        "additionalProperties": False,
        # A step says how often it takes part by p; one that is chosen among its siblings does so by weight.
        "$defs": {_STEP: _any_step(without="weight"), _CHOICE: _any_step(without="p")},
    }


def _steps(kind: str, least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}, "minItems": least}


def _any_step(without: str) -> dict[str, Any]:
    operations = {name: _plain(cls.model_json_schema()) for name, cls in OPERATIONS.items()}
    bare = [name for name, cls in OPERATIONS.items() if not operations[name].get("required") and not cls.exactly_one]
    steps: list[dict[str, Any]] = [{"type": "string", "enum": [*bare, *POLICY_MODELS]}]
    for name, parameters in operations.items():
        del parameters["properties"][without]
        if OPERATIONS[name].exactly_one:
            parameters["oneOf"] = [{"required": [field]} for field in OPERATIONS[name].exactly_one]
        alone = {"description": parameters["description"], "anyOf": [parameters, {"type": "null"}]}
        arguments = alone if name in bare else parameters
        steps.append(_mapping({name: arguments}, [name]))
    for name, model in POLICY_MODELS.items():
        parameters = _plain(model.model_json_schema())
        del parameters["properties"][without]
        steps.append(_mapping({name: {"anyOf": [parameters, {"type": "null"}]}}, [name]))
    return {"oneOf": steps + [_group(name, without) for name in GROUPS]}


def _group(name: str, without: str) -> dict[str, Any]:
    options = dict(_plain(GroupOptions.model_json_schema())["properties"])
    del options[without], options["n"]
    properties = {name: _steps(_CHOICE if name in CHOOSERS else _STEP), **options}
    if name != "some_of":
        return _mapping(properties, [name])
    whole = {"type": "integer", "minimum": 0}
    many = {"anyOf": [whole, {"type": "array", "items": whole, "minItems": 2, "maxItems": 2}]}
    return _mapping({**properties, "n": many}, [name, "n"])


def _mapping(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A model's schema without the titles that pydantic makes up, and without defaults that cannot be written."""
    out = {key: value for key, value in schema.items() if key not in ("title", "$defs")}
    out["properties"] = {name: _field(field) for name, field in schema["properties"].items()}
    return out


def _field(schema: dict[str, Any]) -> dict[str, Any]:
    if any(option.get("$ref") == "#/$defs/When" for option in schema.get("anyOf", ())):
        return {**_plain(When.model_json_schema()), "minProperties": 1, "description": schema["description"]}
    unwritten = {"title"} | ({"default"} if schema.get("default", ...) is None else set())
    return {key: value for key, value in schema.items() if key not in unwritten}
