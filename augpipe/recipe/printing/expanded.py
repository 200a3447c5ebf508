"""A recipe with every default written out, and policies as the groups that they stand for: it means the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from augpipe.recipe import yaml_reader
from augpipe.recipe.groups import CHOOSERS
from augpipe.recipe.label_options import LabelOptions
from augpipe.recipe.nodes import Group, Leaf, Node, Recipe
from augpipe.recipe.operation.base import Operation
from augpipe.recipe.printing.steps import Written, flow, lines_of

_SAID_BESIDE = {"p", "id", "cut", "weight", "when"}


def expanded(recipe: Recipe) -> str:
    """The recipe as YAML that loads to the same plans and has the same digest.

    A step is given an id where its name, and so its random numbers, would be others without.
    """
    head = json.loads(recipe.canonical)
    options = LabelOptions.model_validate(head["labels"])
    labels = {name: getattr(options, name) for name in LabelOptions.model_fields}
    labels["classes"] = {name: own.model_dump(exclude_none=True) for name, own in options.classes.items()}
    described = yaml_reader.read(recipe.name, recipe.text).value.get("description", "")
    lines = [
        f"version: {head['version']}",
        f"description: {json.dumps(described, ensure_ascii=False)}",
        "labels:",
        *(f"  {name}: {flow(_short(value))}" for name, value in labels.items()),
        f"border: {recipe.border}",
        f"fill: {flow(recipe.fill)}",
        "steps:" if recipe.nodes else "steps: []",
        *lines_of(_step(node, "") for node in recipe.nodes),
    ]
    return "\n".join(lines) + "\n"


def _step(node: Node, holder: str) -> Written:
    """A step inside a group of the kind ``holder``."""
    kind = node.operation.name() if isinstance(node, Leaf) else node.kind
    beside: dict[str, Any] = {} if isinstance(node, Leaf) or kind != "some_of" else {"n": node.count}
    name = node.path.rpartition("/")[2]
    if name.partition("#")[0] != kind:
        beside["id"] = name
    beside |= {"weight": node.weight} if holder in CHOOSERS else {"p": node.p}
    beside["cut"] = node.operation.cut if isinstance(node, Leaf) else node.cut
    if node.when is not None:
        beside["when"] = node.when.model_dump(mode="json", exclude_none=True)
    if isinstance(node, Group):
        return Written(kind, _short(beside), tuple(_step(child, kind) for child in node.children))
    return Written(kind, {**_parameters(node.operation), **_short(beside)})


def _parameters(operation: Operation) -> Mapping[str, Any]:
    """The operation's own parameters; whole numbers without a point, where that means the same."""
    exact = _dumped(operation)
    short: dict[str, Any] = _short(exact)
    again = _dumped(type(operation).model_validate(short))
    return short if json.dumps(again) == json.dumps(exact) else exact  # 1.0 and 1 are equal, and not the same


def _dumped(operation: Operation) -> dict[str, Any]:
    return operation.model_dump(mode="json", exclude_none=True, exclude=_SAID_BESIDE)


def _short(value: Any) -> Any:
    """A value whose whole numbers have no point."""
    if isinstance(value, Mapping):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
