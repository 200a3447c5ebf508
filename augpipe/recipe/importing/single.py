"""One transform of Albumentations: looked up, its parameters read, and the steps of it checked."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from augpipe.core.errors import one_line
from augpipe.core.plan import Border
from augpipe.recipe.importing import catalogue
from augpipe.recipe.importing.given import Given, Unreadable
from augpipe.recipe.importing.rows import Row, Step
from augpipe.recipe.messages import shown, validation_messages
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.printing.steps import Written, plain

Edge = tuple[Border, "int | list[int]"]
"""(border, fill) of a recipe."""

_BORDERS: dict[Any, Border] = {
    0: "constant", 1: "replicate", 2: "reflect", 3: "wrap", 4: "reflect",
    "constant": "constant", "edge": "replicate", "symmetric": "reflect", "reflect": "reflect", "wrap": "wrap",
}  # fmt: skip
"""By the number of OpenCV, or the word of imgaug."""
_NO_EDGE_PIXEL = (4, "reflect")
_LENSES = ("camera", "fisheye")  # a mode that is none of a border
_MOST_NAMES = 5


def steps_of(found: Row, given: Given) -> list[Written]:
    """The checked steps of a transform.

    Raises:
        Unreadable: if the parameters cannot be read, or are not possible here.
    """
    pieces = [_piece(step) for step in found.steps(given)]
    if given.raw("interpolation") not in (None, 1):
        given.note("interpolation is linear here")
    return pieces


def unread(given: Given) -> None:
    """Note the parameters that have no meaning here."""
    names = [one_line(name, 40) for name in given.unread()]
    if names:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        given.note(f"{', '.join(names[:_MOST_NAMES])}{more}: not carried over")


def edge_of(given: Given) -> Edge:
    """What lies outside the picture for a move."""
    names = [name for name in ("border_mode", "pad_mode", "mode") if given.has(name) and given.raw(name) not in _LENSES]
    mode = given.raw(names[0]) if names else 0
    if isinstance(mode, bool) or not isinstance(mode, int | str) or mode not in _BORDERS:
        raise Unreadable(f"{names[0]}: expected a border of OpenCV, 0 to 4, got {shown(mode)}")
    if mode in _NO_EDGE_PIXEL:
        given.note("the border repeats the edge pixel, theirs does not")
    fill = given.color("fill", "value", "cval", "pad_val", "pad_cval")
    return _BORDERS[mode], fill if _BORDERS[mode] == "constant" else 0


def row_of(name: str) -> Row | None:
    """The row of a transform; ``None`` without one."""
    return catalogue.ROWS.get(name)


def _piece(step: Step) -> Written:
    name, values = step
    if name == "one_of":
        return Written(name, {}, tuple(_piece(next(iter(child.items()))) for child in values["steps"]))
    values = {key: plain(value) for key, value in values.items() if value is not None}
    try:
        OPERATIONS[name].model_validate(values)
    except ValidationError as error:
        _, message = validation_messages(error, name, OPERATIONS[name].model_fields)[0]
        raise Unreadable(message) from None
    return Written(name, values)
