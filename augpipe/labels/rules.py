"""What a recipe says of labels, and which objects it leaves out by that.

Limits hold for objects of which a move or paint left less than there was: what was small in the source stays, and so do
crowds and ignore regions, whose objects would become background without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

from augpipe.core.annotations import Category, Objects
from augpipe.labels.shapes import BoxRule, ObbRule, Shape

DECIMALS = 3
"""Coordinates are written with this many decimals, so that they are the same on every machine."""

TRUNCATED_BELOW = 0.999
"""The share in the frame below which an object counts as cut."""

TruncatedRule: TypeAlias = Literal["clip", "drop"]
ErasedRule: TypeAlias = Literal["lower", "cut"]
BelowRule: TypeAlias = Literal["drop", "ignore"]

LIMITS = ("min_visibility", "min_area", "min_side")
"""The limits of a recipe, as a record names them."""

_CLEARLY = 0.01  # more than rounding changes a share, a side or an area
_SMALLER = 0.99  # an ellipse's 64 points and a mask's pixels measure a turned object a little too small


@dataclass(frozen=True)
class LabelRules:
    """The rules of a recipe for labels.

    An object is kept if at least ``min_visibility`` of it (0..1) can be seen, its box has no side under ``min_side``
    pixels and its area is at least ``min_area`` pixels, or else ``below`` says what becomes of it: nothing stays
    (``drop``), or a region to ``ignore``. ``box`` says how a box without other geometry is turned: by its ``corners``
    (contains the object, loose when turned) or by the ``ellipse`` in it (close for round objects). Of an object that
    the frame cuts, ``truncated`` keeps what is left (``clip``) or nothing (``drop``).

    ``erased`` says what painting over does: it lowers ``visible`` and nothing else (``lower``), or masks, polygons
    and rasters also lose those pixels (``cut``).

    ``obb`` says what an oriented box becomes that crosses the frame: the smallest rectangle around what is left of it
    (``clip``), what it was (``keep``), or nothing where its centre is outside, and else what it was (``drop_centre``).

    ``classes`` holds the rules of classes that have their own, by name, complete; ``erased``, ``obb`` and ``below``
    are the picture's.
    """

    min_visibility: float = 0.0
    min_area: float = 4.0
    min_side: float = 2.0
    box: BoxRule = "corners"
    truncated: TruncatedRule = "clip"
    erased: ErasedRule = "lower"
    obb: ObbRule = "clip"
    below: BelowRule = "drop"
    classes: Mapping[str, LabelRules] = field(default_factory=dict, hash=False)

    def each(self, objects: Objects, categories: Mapping[int, Category]) -> list[LabelRules]:
        """The rules of each object, by its class."""
        if not self.classes:
            return [self] * len(objects)
        names = {number: category.name for number, category in categories.items()}
        return [self.classes.get(names.get(number, ""), self) for number in objects.category_id.tolist()]


_NO_LIMITS = LabelRules(min_area=0.0, min_side=0.0)


class Fault(NamedTuple):
    """Why an object is left out: a reason of the record, and the number that is too small, rounded as it is written."""

    reason: str
    value: float | None = None


def fault_of(shape: Shape, rules: LabelRules) -> Fault | None:
    """What a shape lacks; ``None``, as for most, if nothing. :func:`judged` says whether it counts."""
    if _is_clear(shape, rules):
        return None
    if shape.in_frame <= 0.0:
        return Fault("outside")
    if rules.truncated == "drop" and shape.in_frame < TRUNCATED_BELOW:
        return Fault("min_visibility", round(shape.in_frame, DECIMALS))
    if shape.visible <= 0.0 or _below(shape.visible, rules.min_visibility):
        by_frame = _below(shape.in_frame, rules.min_visibility)
        return Fault("min_visibility" if by_frame else "erased", round(shape.visible, DECIMALS))
    if shape.box_xyxy is None:
        return Fault("degenerate")
    x0, y0, x1, y1 = (round(v, DECIMALS) for v in shape.box_xyxy)
    side = round(min(x1 - x0, y1 - y0), DECIMALS)
    if side <= 0.0:
        return Fault("degenerate")
    if side < rules.min_side:
        return Fault("min_side", side)
    return Fault("min_area", round(shape.area, DECIMALS)) if _below(shape.area, rules.min_area) else None


def _is_clear(shape: Shape, rules: LabelRules) -> bool:
    """Whether a shape is so far above every limit, as most are, that nothing need be rounded to see it."""
    if shape.box_xyxy is None or shape.in_frame < TRUNCATED_BELOW:
        return False
    x0, y0, x1, y1 = shape.box_xyxy
    side, least = rules.min_side + _CLEARLY, rules.min_visibility + _CLEARLY
    return x1 - x0 >= side and y1 - y0 >= side and shape.visible >= least and shape.area >= rules.min_area + _CLEARLY


def _below(value: float, limit: float) -> bool:
    """Whether a number is below a limit as it is written."""
    return round(value, DECIMALS) < limit


def judged(
    fault: Fault, shape: Shape, rules: LabelRules, is_crowd: bool, before: Callable[[], Shape]
) -> tuple[Fault | None, str | None]:
    """(why a shape with a fault is left out, the limit for which it is to be ignored); neither if it stays as it is.

    Args:
        fault: by :func:`fault_of`.
        shape: what is left of the object.
        rules: of its class.
        is_crowd: whether it is a crowd or an ignore region already.
        before: measures the object in the source picture, by the same geometry.
    """
    gone = fault_of(shape, _NO_LIMITS)
    if is_crowd:
        return gone, None
    if gone is not None:
        return fault, None
    if fault.reason in ("min_side", "min_area") and shape.visible >= TRUNCATED_BELOW:
        held = fault_of(shape, _held(rules, shape, before()))
        if held is None:
            return None, None
        fault = held
    if rules.below == "ignore":
        return None, "min_visibility" if fault.reason == "erased" else fault.reason
    return fault, None


def _held(rules: LabelRules, shape: Shape, whole: Shape) -> LabelRules:
    """The rules without the limits of size of which a shape has no less than it had as a whole."""
    is_shorter, is_less = _side(shape) < _SMALLER * _side(whole), shape.area < _SMALLER * whole.area
    return replace(
        rules, min_side=rules.min_side if is_shorter else 0.0, min_area=rules.min_area if is_less else 0.0
    )  # fmt: skip


def _side(shape: Shape) -> float:
    """The shorter side of its box; 0 without one."""
    x0, y0, x1, y1 = shape.box_xyxy or (0.0, 0.0, 0.0, 0.0)
    return min(x1 - x0, y1 - y0)
