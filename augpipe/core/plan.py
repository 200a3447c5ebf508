"""A Plan: every decision for one output sample as plain frozen data, JSON in and JSON out.

A plan holds no randomness and no pixels. A backend turns its steps into pixels, :mod:`augpipe.labels.transform` turns
the same steps into labels, and both get the same answer wherever and whenever they do it. The step kinds, each defined
to the pixel, are in :mod:`augpipe.pixels.steps`.

Colours are RGB levels 0..255. A gray picture takes a colour's luma (0.299, 0.587, 0.114) instead.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from augpipe.core.step import Step, step_from_json

VERSION = 1

LONGEST_SIDE = 32_766
"""The longest side of a picture that can be warped: ``cv2.remap`` has 16-bit positions. Copies have no such limit."""

Rgb: TypeAlias = tuple[int, int, int]
Border: TypeAlias = Literal["constant", "replicate", "reflect", "wrap"]


class Matrix3x4(msgspec.Struct, frozen=True, tag="matrix", tag_field="stage"):
    """(r, g, b) → ``rows`` · (r, g, b, 1), entries on a grid of 1/1024; the sum is rounded half up, then clipped.

    Row-major, 12 numbers. A gray level v stands for (v, v, v) and comes back as the first row's value.
    """

    rows: tuple[float, ...]


class Curve(msgspec.Struct, frozen=True, tag="curve", tag_field="stage"):
    """Level → level in each channel by a named curve: ``gamma``, 255·(v/255)^amount. Curves in a row round once."""

    name: Literal["gamma"]
    amount: float


ColorStage: TypeAlias = Matrix3x4 | Curve


class Drawn(msgspec.Struct, frozen=True):
    """One operation of the recipe that took part, by its path in the recipe, with the parameters it drew."""

    name: str
    parameters: dict[str, Any]


class Plan(msgspec.Struct, frozen=True):
    """The decisions for one (source, copy); with the source's bytes and labels enough to make the sample again."""

    seed: int
    steps: tuple[Step, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    version: int = VERSION


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready values."""
    builtins: dict[str, Any] = msgspec.to_builtins(plan)
    return builtins


def from_json(value: Any) -> Plan:
    """The plan back from its JSON values.

    Raises:
        ValueError: if the values are not a plan of this version.
    """
    try:
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")
        steps = msgspec.convert(value.get("steps", []), list[Any])
        plan = msgspec.convert({**value, "steps": []}, Plan, strict=False)
        plan = msgspec.structs.replace(plan, steps=tuple(map(step_from_json, steps)))
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"not a plan: {error}") from error
    if plan.version != VERSION:
        raise ValueError(f"plan version {plan.version}, expected {VERSION}")
    return plan
