"""Messages for mistakes in a recipe: the place, what was expected, what came, and the nearest name."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, get_args, get_origin

from pydantic import ValidationError

from augpipe.core.errors import RecipeError, one_line
from augpipe.recipe.other_names import bare, parameter_elsewhere
from augpipe.recipe.yaml_reader import Document, Path_

_LONGEST_LIST = 12
_QUOTIENT = re.compile(r"(\d{1,5})(%|[/:]([1-9]\d{0,4}))", re.ASCII)
_EXPECTED = {
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "names with values, as in {name: value}",
    "model_type": "names with values, as in {name: value}",
}
"""What pydantic's own types expect, by the type of its error."""


def fail(document: Document, where: Path_, message: str) -> NoReturn:
    """Raise a :class:`RecipeError` that begins with the place of ``where``."""
    raise RecipeError(told(document, where, message))


def told(document: Document, where: Path_, message: str) -> str:
    """A message behind the place of ``where``."""
    return f"{document.place(where)}: {one_line(message, 500)}"


def shown(value: Any) -> str:
    """A value as a recipe writes it, cut short."""
    return one_line(json.dumps(value, ensure_ascii=False), 80)


def nearest(name: str, known: Iterable[str], where_listed: str = "") -> str:
    """``; did you mean 'x'?`` if a known name is near, else the known names, or where a long list of them is."""
    names = list(known)
    asked = bare(name)
    close = [n for n in names if bare(n) == asked]
    close = close or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close and len(asked) > 2:
        close = [n for n in names if asked in bare(n) or (len(n) > 2 and bare(n) in asked)][:3]
    if close:
        return f"; did you mean {listing([repr(n) for n in close], 'or')}?"
    if len(names) > _LONGEST_LIST and where_listed:
        return f"; {where_listed} lists the {len(names)} that are known"
    return f"; known are {listing(names)}" if names else ""


def listing(names: Sequence[str], last: str = "and") -> str:
    """Names with commas and a word before the last."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def validation_messages(
    error: ValidationError, what: str, fields: Mapping[str, Any], example: str = ""
) -> list[tuple[Path_, str]]:
    """The faults of a failed validation as (path below the value, sentence).

    ``what`` is the name of the step, or empty for the recipe itself; ``fields`` are its model's. Where names are
    unknown, those that are missing are not told, since one may be the other, misspelled.
    """
    faults = error.errors(include_url=False)
    unknown = any(fault["type"] == "extra_forbidden" for fault in faults)
    shown_faults = [fault for fault in faults if not (unknown and fault["type"] == "missing")]
    return [_message(fault, what, fields, example) for fault in shown_faults]


def _message(fault: Any, what: str, fields: Mapping[str, Any], example: str) -> tuple[Path_, str]:
    path = tuple(fault["loc"])
    subject = ".".join(str(part) for part in ((what, *path) if what else path))
    if fault["type"] == "extra_forbidden":
        name, known = str(path[-1]), list(fields) if len(path) == 1 else _below(fields, path[:-1])
        holder = subject.rpartition(".")[0] or "the recipe"
        return path, f"unknown name '{name}' in {holder}{parameter_elsewhere(what, name) or nearest(name, known)}"
    if fault["type"] == "missing":
        return path[:-1], f"{what or 'the recipe'} needs '{path[-1]}'{f', as in {example!r}' if example else ''}"
    came = shown(fault["input"]) if path else ""
    known = str(fault.get("ctx", {}).get("known", "")).split()
    if fault["type"] == "literal_error":
        known = [str(name).strip("'") for name in re.split(r", | or ", fault["ctx"]["expected"])]
    if known:
        near = difflib.get_close_matches(str(fault["input"]), known, n=1)
        guess = f"; did you mean '{near[0]}'?" if near else ""
        return path, f"{subject}: expected {listing(known, 'or')}, got {came}{guess}"
    message = f"expected {_EXPECTED[fault['type']]}" if fault["type"] in _EXPECTED else fault["msg"]
    message = message.removeprefix("Value error, ")
    return path, f"{subject or 'the recipe'}: {message}{f', got {came}' if came else ''}{_in_numbers(fault['input'])}"


def _in_numbers(value: Any) -> str:
    """A hint for a ratio or a share that is not written as a number; empty for any other value."""
    parts = value if isinstance(value, list) else [value]
    found = [_QUOTIENT.fullmatch(part) if isinstance(part, str) else None for part in parts[:_LONGEST_LIST]]
    numbers = [f"{int(m[1]) / int(m[3] or 100):.4g}" for m in found if m is not None]
    if not numbers or len(numbers) < len(parts):
        return ""
    written = f"[{', '.join(numbers)}]" if isinstance(value, list) else numbers[0]
    return f"; write {written}"


def _below(fields: Mapping[str, Any], path: Path_) -> list[str]:
    held: Any = None  # of a mapping of names, what each of them holds
    for part in path:
        annotation = held or getattr(fields.get(str(part)), "annotation", None)
        held = get_args(annotation)[1] if get_origin(annotation) is dict else None
        models = (annotation, *get_args(annotation))  # of one that may be left out too
        fields = next((found.model_fields for found in models if hasattr(found, "model_fields")), {})
    return list(fields)
