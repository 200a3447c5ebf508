"""A Plan: every decision for one output sample as plain frozen data, JSON in and JSON out.

A plan holds no randomness and no pixels. A backend turns its steps into pixels, :mod:`augpipe.labels.transform` turns
the same steps into labels, and both get the same answer wherever and whenever they do it. The step kinds, each defined
to the pixel, are in :mod:`augpipe.pixels.steps`.

Colours are RGB levels 0..255. A gray picture takes a colour's luma (0.299, 0.587, 0.114) instead.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from augpipe.core.errors import one_line
from augpipe.core.step import Step, step_from_json

VERSIONS = (1, 2)
"""Versions of a plan's JSON that are read."""

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


class Layer(msgspec.Struct, frozen=True):
    """Another picture of the source, by its key, and the steps that it goes through before the plan's own."""

    key: str
    steps: tuple[Step, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """The decisions for one (source, copy); with the source's bytes and labels enough to make the sample again.

    ``layers`` are the pictures that are put on that one. No operation draws any yet; a plan that has some is written
    as version 2, any other as version 1.
    """

    seed: int
    steps: tuple[Step, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    layers: tuple[Layer, ...] = ()

    @property
    def version(self) -> int:
        """The least version of the format that has what is in the plan."""
        return 2 if self.layers else 1

    def steps_alone(self) -> tuple[Step, ...]:
        """The steps, for code that makes samples of one picture.

        Raises:
            ValueError: the plan has layers.
        """
        if self.layers:
            keys = ", ".join(one_line(layer.key, 80) for layer in self.layers[:3])
            raise ValueError(f"it has layers of other pictures ({keys}), which is not supported")
        return self.steps


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready values."""
    values: dict[str, Any] = msgspec.to_builtins(plan)
    layers = values.pop("layers")
    return {**values, "version": plan.version, **({"layers": layers} if layers else {})}


def from_json(value: Any) -> Plan:
    """The plan back from its JSON values.

    Raises:
        ValueError: if the values are not a plan of a known version.
    """
    version = value.get("version", 1) if isinstance(value, dict) else 1
    if version not in VERSIONS:
        raise ValueError(f"plan version {one_line(version, 80)}, expected {' or '.join(map(str, VERSIONS))}")
    try:
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")
        layers = msgspec.convert(value.get("layers", []), list[dict[str, Any]])
        plan = msgspec.convert({**value, "steps": [], "layers": []}, Plan, strict=False)
        plan = msgspec.structs.replace(
            plan,
            steps=_steps_from_json(value.get("steps", [])),
            layers=tuple(
                Layer(msgspec.convert(row["key"], str), _steps_from_json(row.get("steps", []))) for row in layers
            ),
        )
    except KeyError as error:
        raise ValueError(f"not a plan: a layer lacks {error}") from error
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"not a plan: {error}") from error
    if plan.version > version:
        raise ValueError(f"not a plan: layers in version {version}")
    return plan


def _steps_from_json(value: Any) -> tuple[Step, ...]:
    return tuple(map(step_from_json, msgspec.convert(value, list[Any])))
