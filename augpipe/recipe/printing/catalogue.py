"""What a recipe can say, as data for programs: operations, groups and policies."""

from __future__ import annotations

from typing import Any

from augpipe.recipe.groups import GroupOptions
from augpipe.recipe.operation.label_effects import LABEL_KINDS
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.policies.expand import POLICY_MODELS
from augpipe.recipe.reference_docs import GROUPS, example, parameters, summary
from augpipe.recipe.schema import fields_of

_ORDER = ("move", "color", "light", "blur", "noise", "compression", "paint", "group", "policy")


def names() -> list[str]:
    """All that can be a step, by category."""
    return sorted([*OPERATIONS, *GROUPS, *POLICY_MODELS], key=lambda name: _ORDER.index(category(name)))


def table() -> list[tuple[str, str, str]]:
    """(name, category, text) of each, under a heading."""
    return [("NAME", "CATEGORY", "WHAT IT DOES"), *((name, category(name), summary(name)) for name in names())]


def category(name: str) -> str:
    """What kind of thing a step changes: a word."""
    if name in GROUPS:
        return "group"
    if name in POLICY_MODELS:
        return "policy"
    effects = OPERATIONS[name].label_effects
    if effects.moves:
        return "move"
    return "paint" if effects.covers else OPERATIONS[name].changes


def entry(name: str) -> dict[str, Any]:
    """One step kind: name, category, text, its own parameters with their JSON schemas, labels, and an example.

    Of a parameter that need not be given, ``default`` is its value, null where it has none; ``labels`` are the words of
    what becomes of each kind of label, of operations alone; ``exactly_one`` are parameters of which one must be given,
    ``typical`` those that the bare name stands for, where defaults alone would change nothing.
    """
    operation = OPERATIONS.get(name)
    model = GroupOptions if name in GROUPS else operation or POLICY_MODELS[name]
    schemas = fields_of(model)
    made: dict[str, Any] = {"name": name, "category": category(name), "text": summary(name)}
    made["parameters"] = [
        {
            "name": row.name,
            "text": row.meaning,
            "written": row.written,
            "required": row.default == "required",
            "default": schemas[row.name].get("default"),
            "schema": {key: value for key, value in schemas[row.name].items() if key not in ("default", "description")},
        }
        for row in parameters(name)
    ]
    if operation is not None:
        made["labels"] = {kind: operation.label_effects.of(kind) for kind in LABEL_KINDS}
        made["exactly_one"] = list(operation.exactly_one)
        made["typical"] = {key: list(v) if isinstance(v, tuple) else v for key, v in operation.typical.items()}
        made["ends_run"] = operation.ends_run
    return {**made, "example": example(name)}
