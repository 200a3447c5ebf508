"""The arguments of Ultralytics' trainers (args.yaml): those that change pictures become steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from augpipe.recipe.importing import catalogue
from augpipe.recipe.importing.given import Given, Unreadable
from augpipe.recipe.importing.pieces import Written, written
from augpipe.recipe.importing.report import Line, Status
from augpipe.recipe.importing.rows import Row, Step
from augpipe.recipe.importing.single import steps_of, unread
from augpipe.recipe.yaml_reader import Document

_FILL = 114
_STEP_OF_PERSPECTIVE = 320.0
"""Half a side of 640 pixels: by that a term of the matrix moves a corner."""


@dataclass(frozen=True)
class _Argument:
    """Some arguments that together are one step; ``steps`` makes it, and makes none where they change nothing."""

    names: tuple[str, ...]
    steps: Callable[[Given], Sequence[Step]]
    near: str = ""
    tasks: str = "detect segment pose obb classify"


def _sides(given: Given) -> int | list[int]:
    sides = [int(side) for side in given.numbers("imgsz")] or [640]
    return sides[0] if len(set(sides)) == 1 else sides


def _frame(given: Given) -> Sequence[Step]:
    return [("letterbox", {"size": _sides(given), "fill": _FILL})]


def _window(given: Given) -> Sequence[Step]:
    least = max(1e-4, 1.0 - given.number("scale", 0.5))
    return [("random_resized_crop", {"size": _sides(given), "scale": [least, 1.0]})]


def _affine(given: Given) -> Sequence[Step]:
    scale, shear = given.number("scale", 0.0), abs(given.number("shear", 0.0))
    made: dict[str, Any] = {
        "rotate": abs(given.number("degrees", 0.0)),
        "translate": abs(given.number("translate", 0.0)),
    }
    made = {**made, "shear": shear, "shear_y": shear}
    made = {name: value for name, value in made.items() if value}
    if scale:
        made["scale"] = [max(0.01, 1.0 - abs(scale)), 1.0 + abs(scale)]
    return [("affine", made)] if made else []


def _pull(given: Given) -> Sequence[Step]:
    share = min(0.24, abs(given.number("perspective", 0.0)) * _STEP_OF_PERSPECTIVE)
    return [("perspective", {"scale": [0.0, share]})] if share else []


def _hsv(given: Given) -> Sequence[Step]:
    names = {"hue": "hsv_h", "saturation": "hsv_s", "value": "hsv_v"}
    made = {ours: abs(given.number(theirs, 0.0)) for ours, theirs in names.items()}
    return [("hsv", made)] if any(made.values()) else []


def _chance(name: str, operation: str, **values: Any) -> Callable[[Given], Sequence[Step]]:
    def steps(given: Given) -> Sequence[Step]:
        p = given.number(name, 0.0)
        return [(operation, {**values, **({} if p == 1.0 else {"p": p})})] if p else []

    return steps


_OBJECTS = "detect segment pose obb"
_ARGUMENTS: tuple[_Argument, ...] = (
    _Argument(("imgsz",), _frame, "", _OBJECTS),
    _Argument(("imgsz", "scale"), _window, "", "classify"),
    _Argument(("degrees", "translate", "scale", "shear"), _affine, "", _OBJECTS),
    _Argument(("perspective",), _pull, "corners are pulled evenly, as terms of the matrix do to 640 pixels", _OBJECTS),
    _Argument(("hsv_h", "hsv_s", "hsv_v"), _hsv, "chroma is that of YIQ here, theirs of HSV"),
    _Argument(("flipud",), _chance("flipud", "vertical_flip")),
    _Argument(("fliplr",), _chance("fliplr", "horizontal_flip")),
    _Argument(("bgr",), _chance("bgr", "channel_shuffle"), "any other order of channels, theirs blue for red"),
    _Argument(
        ("erasing",),
        _chance("erasing", "erase", count=1, area=[0.02, 0.33], ratio=[0.3, 3.3]),
        "black, theirs is noise",
        "classify",
    ),
)
_PARTNERS = ("mosaic", "mixup", "cutmix", "copy_paste")
_TRAINER = ("close_mosaic", "multi_scale", "rect")


def imported(document: Document) -> tuple[list[Written], dict[str, Any], list[Line]]:
    """(steps, head of the recipe beside them, lines of the report) of an args.yaml."""
    value = document.value
    task = value.get("task")
    task = task if task in ("detect", "segment", "pose", "obb", "classify") else "detect"
    lines: list[Line] = []
    pieces: list[Written] = []

    def told(status: Status, names: Sequence[str], why: str, steps: Sequence[Written] = ()) -> Line:
        there = [name for name in names if name in value]
        place = document.place((there[0],)).rpartition(":")[2]
        number = int(place) if place.isdecimal() else 1
        lines.append(Line(status, ", ".join(there), number, tuple(map(written, steps)), why))
        return lines[-1]

    for argument in _ARGUMENTS:
        if task not in argument.tasks.split() or not any(name in value for name in argument.names):
            continue
        given = Given({name: value[name] for name in argument.names if name in value})
        try:
            made = steps_of(Row(argument.steps), given)
        except Unreadable as error:
            line = told("missing", argument.names, f"left out: {error}")
            pieces.append(Written("", remark=line.remark()))
            continue
        if made:
            unread(given)
            why = "; ".join([argument.near] * bool(argument.near) + given.notes)
            line = told("near" if why else "exact", argument.names, why, made)
            pieces.append(Written(made[0].name, made[0].values, (), line.remark()))
    for name in _PARTNERS:
        if value.get(name) not in (None, 0, False) and task != "classify":
            line = told("missing", (name,), catalogue.NO_PARTNER)
            pieces.append(Written("", remark=line.remark()))
    if task == "classify" and value.get("auto_augment"):
        line = told("missing", ("auto_augment",), catalogue.NO_OPERATION)
        pieces.append(Written("", remark=line.remark()))
    for name in _TRAINER:
        if value.get(name):
            told("trainer", (name,), "left out: it is how training goes on, not what a picture becomes")
    return pieces, {"fill": _FILL} if task != "classify" else {}, lines
