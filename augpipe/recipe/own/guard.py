"""Operations of one's own while a plan is drawn: what they raise and what they return costs one sample, and no run."""

from __future__ import annotations

import math
from typing import Any, NoReturn, get_args

import msgspec
import numpy as np

from augpipe.core.canvas import fault_of
from augpipe.core.errors import Reject, one_line
from augpipe.core.plan import ColorStage, Plan, Step, to_json
from augpipe.core.rng import OpRng
from augpipe.pixels.steps.custom.functions import told
from augpipe.recipe.nodes import Recipe
from augpipe.recipe.operation.base import ColorEffect, Effect, Operation, OpInput, OpResult, PixelStep

_MOST_TEXT = 1000


def decided(operation: Operation, rng: OpRng, canvas: OpInput) -> OpResult:
    """What an operation decides; of one that does not come with augpipe, in the form that a plan takes.

    Raises:
        Reject: ``custom``, where an operation of one's own raises, or returns something else.
    """
    if operation.origin is None:
        return operation.draw(rng, canvas)
    name = operation.name()
    try:
        result: Any = operation.draw(rng, canvas)
    except (Exception, SystemExit) as error:
        raise told("plan", name, error, operation.origin.file) from error
    if not isinstance(result, OpResult):
        _refuse(name, f"draw returned {_shown(result)}, expected OpResult(effects, parameters)")
    held: Any = (result.effects, result.parameters)  # of any type, whatever is declared
    effects, parameters = held
    if not isinstance(effects, tuple | list) or not isinstance(parameters, dict):
        _refuse(name, "expected OpResult of a tuple of effects and a dict of parameters")
    drawn = {str(key): _plain(name, key, value) for key, value in parameters.items()}
    return OpResult(tuple(_effect(name, effect) for effect in effects), drawn)


def require_followed(recipe: Recipe, plan: Plan, size_wh: tuple[int, int]) -> None:
    """Raise a reject if a plan that operations of one's own took part in asks for something impossible."""
    fault = fault_of(plan.steps, size_wh)
    if fault is not None:
        _refuse(_names(recipe), f"the plan cannot be followed: {fault}")
    to_json(plan)  # raises TypeError for numbers that are none of Python's


def blamed(recipe: Recipe, error: Exception) -> Reject:
    """The reject for what went wrong with the effects of some operation of one's own."""
    what = f"an effect makes no sense: {type(error).__name__}: {one_line(error, 160)}"
    return Reject("plan", "custom", f"{_names(recipe)}: {what}")


def _names(recipe: Recipe) -> str:
    return " or ".join(sorted({leaf.operation.name() for leaf in recipe.leaves() if leaf.operation.origin is not None}))


def _effect(name: str, effect: Any) -> Effect:
    if not isinstance(effect, get_args(Effect)):
        _refuse(name, f"draw returned {_shown(effect)}, which is no effect")
    if isinstance(effect, ColorEffect):
        _require_as_in_plans(name, effect.stage, get_args(ColorStage), "a change of color")
    elif isinstance(effect, PixelStep):
        _require_as_in_plans(name, effect.step, (Step,), "a step of a kind that there is")
    elif hasattr(effect, "matrix"):
        return _moved(name, effect)
    checked: Effect = effect
    return checked


def _require_as_in_plans(name: str, value: Any, kinds: tuple[type, ...], what: str) -> None:
    """Raise a reject for a struct that could not be read back from the plan of a record."""
    try:
        if not isinstance(value, kinds) or not type(value).__module__.startswith("augpipe."):
            raise TypeError
        msgspec.convert(msgspec.to_builtins(value), type(value), strict=False)
    except (TypeError, msgspec.ValidationError):
        _refuse(name, f"draw returned {_shown(value)}, expected {what}")


def _moved(name: str, effect: Any) -> Effect:
    """An effect with a matrix: nine finite numbers, and a canvas of whole pixels."""
    try:
        matrix = tuple(float(v) for v in np.asarray(effect.matrix, np.float64).ravel())
        width, height = (int(side) for side in effect.size_wh)
    except (TypeError, ValueError):
        _refuse(name, f"draw returned {_shown(effect)}, expected a matrix of nine numbers and a size of two")
    if len(matrix) != 9 or not all(map(math.isfinite, matrix)) or (width, height) != tuple(effect.size_wh):
        _refuse(name, f"draw returned {_shown(effect)}, expected a matrix of nine finite numbers and a size in pixels")
    if width < 1 or height < 1:
        _refuse(name, f"draw returned a canvas of {width}×{height}")
    made: Effect = msgspec.structs.replace(effect, matrix=matrix, size_wh=(width, height))
    return made


def _plain(name: str, key: Any, value: Any) -> Any:
    """A drawn parameter as JSON has it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str) and len(value) <= _MOST_TEXT:
        return value
    if isinstance(value, tuple | list):
        return [_plain(name, key, one) for one in value]
    raise _refusal(name, f"the parameter {one_line(key, 40)} is {_shown(value)}, expected a finite number or a text")


def _shown(value: Any) -> str:
    return "nothing" if value is None else one_line(repr(value), 80)


def _refuse(name: str, message: str) -> NoReturn:
    raise _refusal(name, message)


def _refusal(name: str, message: str) -> Reject:
    return Reject("plan", "custom", f"{name}: {message}")
