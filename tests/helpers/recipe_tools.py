"""Recipes written in a test, and what is drawn from them."""

from __future__ import annotations

import json
from typing import Any

from augpipe.core.annotations import Annotations, Frame, ObjectRow, objects_of
from augpipe.core.plan import Plan
from augpipe.core.rng import OpRng, SampleRng
from augpipe.recipe.load import compiled
from augpipe.recipe.nodes import Recipe
from augpipe.recipe.operation.base import OpInput, OpResult
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.planner import draw
from augpipe.recipe.yaml_reader import read

NOTHING = Annotations()


def recipe_of(steps: Any, *overrides: str, **head: Any) -> Recipe:
    """A recipe of steps as YAML text, or as plain values (JSON is YAML)."""
    if isinstance(steps, str):
        top = "".join(f"{name}: {json.dumps(value)}\n" for name, value in head.items())
        return compiled(read("x.yaml", f"version: 1\n{top}steps:\n{steps}\n"), "x", overrides)
    return compiled(read("x.yaml", json.dumps({"version": 1, **head, "steps": steps})), "x", overrides)


def frame_of(size_wh: tuple[int, int] = (640, 480), boxes: Any = (), key: str = "photo.jpg") -> Frame:
    """A picture of that size with those boxes."""
    objects = objects_of([ObjectRow(i, 1, tuple(map(float, box))) for i, box in enumerate(boxes)])
    return Frame(key, size_wh, NOTHING.with_objects(objects))


def plan_of(steps: Any, size_wh: tuple[int, int] = (640, 480), copy: int = 0, seed: int = 5) -> Plan:
    """One plan of some steps."""
    return draw(recipe_of(steps), frame_of(size_wh), seed, copy)


def drawn(plan: Plan) -> dict[str, dict[str, Any]]:
    """Path → parameters of what took part."""
    return {d.name: d.parameters for d in plan.drawn}


def outcome_of(name: str, size_wh: tuple[int, int], copy: int = 0, **parameters: Any) -> OpResult:
    """What one operation decides on a canvas without objects."""
    import numpy as np

    operation = OPERATIONS[name].model_validate(parameters)
    scene = OpInput(size_wh, lambda: np.empty((0, 4)))
    return operation.draw(OpRng(SampleRng(5, "photo.jpg", copy), name), scene)
