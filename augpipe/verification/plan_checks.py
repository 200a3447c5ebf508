"""Whether a plan is the one that recipe, seed and copy lead to, so that no copy stands in the place of another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from augpipe import __version__
from augpipe.core.annotations import Frame
from augpipe.core.errors import Reject
from augpipe.core.plan import Plan, to_json
from augpipe.formats.webdataset.safe_parse import object_of
from augpipe.labels.rules import LabelRules
from augpipe.recipe.nodes import Group, Leaf, Node, Recipe
from augpipe.recipe.operation.condition import When
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.planner import draw

_APART = 1e-9  # of a number; sines of two machines may differ in the last bit


def recipe_of(config: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a run from its canonical form; ``None`` if another version of augpipe drew by it.

    That is seen by the number of the version, and by color operations that do not say what contrast is about: the hue
    of those turned the other way.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    if config.get("versions", {}).get("augpipe") != __version__:
        return None
    text = str(config["recipe"]["canonical"])
    head = object_of(text.encode())
    if any("contrast" in row and "about" not in row for row in _operations(head["steps"])):
        return None
    nodes = _nodes(head["steps"], [1.0] * len(head["steps"]))
    return Recipe("manifest.json", text, text, "", LabelRules(), head["border"], tuple(head["fill"]), nodes)


def _operations(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        yield from (row,) if "operation" in row else _operations(row["steps"])


def _nodes(rows: Sequence[Mapping[str, Any]], weights: Iterable[float]) -> tuple[Node, ...]:
    return tuple(_node(row, float(weight)) for row, weight in zip(rows, weights, strict=True))


def _node(row: Mapping[str, Any], weight: float) -> Node:
    if "operation" in row:
        parameters = {name: value for name, value in row.items() if name not in ("path", "operation")}
        operation = OPERATIONS[row["operation"]]
        older = {name: value for name, value in operation.before.items() if name not in parameters}
        return Leaf(row["path"], operation.model_validate(parameters).model_copy(update=older), weight)
    when = None if "when" not in row else When.model_validate(row["when"])
    children, (least, most) = _nodes(row["steps"], row["weights"]), row["n"]
    return Group(row["path"], row["group"], children, row["p"], (least, most), row["cut"], weight, when=when)


def is_redrawn(plan: Plan, recipe: Recipe, frame: Frame, seed: int, copy: int) -> bool:
    """Whether drawing by the recipe of the run gives a written plan again; ``frame`` is the upright source picture."""
    try:
        written, again = to_json(plan), to_json(draw(recipe, frame, seed, copy))
    except Reject:
        return False
    if any(step["kind"] == "noise" and "reads" not in step for step in written["steps"]):
        written, again = _without_places_of_noise(written), _without_places_of_noise(again)
    return _same(written, again)


def _without_places_of_noise(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Older plans read the bank of noise once, from a place that is no longer drawn."""
    steps = [
        {k: v for k, v in step.items() if step["kind"] != "noise" or k not in ("offset", "reads")}
        for step in plan["steps"]
    ]
    return {**plan, "steps": steps}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_APART, abs_tol=_APART)
    return bool(a == b)
