"""The reference of recipes, made from the operations: for the command line, and as tables in docs/recipes.md.

``python -m augpipe.recipe.reference_docs docs/recipes.md`` writes the tables of that page anew; a test compares them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from augpipe.recipe.groups import GroupOptions
from augpipe.recipe.label_options import LabelOptions
from augpipe.recipe.messages import listing, shown
from augpipe.recipe.operation.condition import When
from augpipe.recipe.operation.label_effects import LABEL_EFFECTS, LABEL_KINDS, LabelEffects
from augpipe.recipe.operation.params import ParamType
from augpipe.recipe.ops import COMMON_FIELDS, OPERATIONS, Operation
from augpipe.recipe.policies.expand import POLICY_MODELS, Policy

GROUPS = {
    "one_of": ("One of its steps, chosen by weight.", "one_of: [to_gray, gamma: {amount: 0.8}]"),
    "some_of": ("n of its steps, chosen by weight, done in recipe order.", "some_of: [to_gray, jpeg: {quality: 50}]"),
    "all_of": ("All of its steps, each by its own p.", "all_of: [to_gray, jpeg: {quality: 50, p: 0.3}]"),
    "shuffled": ("All of its steps, each by its own p, in an order that is drawn.", "shuffled: [gaussian_blur, jpeg]"),
}
"""Name → (what it does, an example) of the groups."""


class Parameter(NamedTuple):
    """One parameter: its name, what it means, how it is written, and ``required`` or its default if it has one."""

    name: str
    meaning: str
    written: str
    default: str


def _model_of(name: str) -> type[Operation] | type[Policy]:
    return OPERATIONS[name] if name in OPERATIONS else POLICY_MODELS[name]


def summary(name: str) -> str:
    """What an operation or a group does, in one line."""
    if name in GROUPS:
        return GROUPS[name][0]
    return (_model_of(name).__doc__ or "").split("\n", 1)[0]


def example(name: str) -> str:
    """An operation or a group as a recipe writes it, after the dash of its list."""
    if name in GROUPS:
        return GROUPS[name][1] + ("\n  n: 1" if name == "some_of" else "")
    return _model_of(name).example


def parameters(name: str) -> list[Parameter]:
    """The parameters of an operation alone, or the options of a group."""
    if name in GROUPS:
        return [p for p in _parameters(GroupOptions) if p.name != "n" or name == "some_of"]
    return [p for p in _parameters(_model_of(name)) if p.name not in COMMON_FIELDS]


def exactly_one(name: str) -> str:
    """ "exactly one of …" if one of some parameters must be given, else an empty string."""
    fields = OPERATIONS[name].exactly_one if name in OPERATIONS else ()
    return f"exactly one of {listing(fields)}" if fields else ""


def usual_step(name: str) -> str:
    """What an operation means by its name alone, written out; empty if it has no parameters, or needs one."""
    operation = OPERATIONS[name]
    fields = {key: field for key, field in operation.model_fields.items() if key not in COMMON_FIELDS}
    if operation.exactly_one or any(field.is_required() for field in fields.values()):
        return ""
    defaults = {key: field.default for key, field in fields.items() if field.default is not None}
    usual = operation.typical or defaults
    return f"{name}: {{{', '.join(f'{key}: {as_written(value)}' for key, value in usual.items())}}}" if usual else ""


def common_parameters() -> list[Parameter]:
    """The parameters that every operation has."""
    return _parameters(Operation)


def label_parameters() -> list[Parameter]:
    """What ``labels`` at the top of a recipe takes."""
    return _parameters(LabelOptions)


def condition_parameters() -> list[Parameter]:
    """What ``when`` of a step or a group takes."""
    return _parameters(When)


def _parameters(model: type[BaseModel]) -> list[Parameter]:
    return [
        Parameter(name, field.description or "", _written(field), _default(field))
        for name, field in model.model_fields.items()
    ]


def _written(field: FieldInfo) -> str:
    for note in field.metadata:
        if isinstance(note, ParamType):
            return note.words
    if get_origin(field.annotation) is Literal:
        return listing([str(value) for value in get_args(field.annotation)], "or")
    if field.examples:
        return f"as in {field.examples[0]}"
    return "true or false" if field.annotation is bool else "a whole number, or [low, high]"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    return "" if default in (None, {}) else f"default {as_written(default)}"


def as_written(value: Any) -> str:
    """A parameter as one would write it: numbers with four digits, a pair of equal numbers as one."""
    if isinstance(value, tuple | list):
        numbers = [as_written(v) for v in value]
        return numbers[0] if len(set(numbers)) == 1 else f"[{', '.join(numbers)}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else shown(value)


# --- Markdown --------------------------------------------------------------------------------------------------------


def operations_markdown() -> str:
    """All operations as a Markdown table."""
    rows = []
    for name in OPERATIONS:
        lines = [f"`{p.name}`: {p.meaning} ({'; '.join(filter(None, p[2:]))})" for p in parameters(name)]
        alone = f"by its name alone: `{usual_step(name)}`" if OPERATIONS[name].typical else ""
        cell = "<br>".join(filter(None, [exactly_one(name), *lines, alone])) or "none of its own"
        rows.append((f"`{name}`", summary(name), cell, f"`{example(name)}`"))
    return _table(("operation", "what it does", "parameters", "example"), rows)


def policies_markdown() -> str:
    """All policies as a Markdown table."""
    rows = []
    for name in POLICY_MODELS:
        lines = [f"`{p.name}`: {p.meaning} ({'; '.join(filter(None, p[2:]))})" for p in parameters(name)]
        rows.append((f"`{name}`", summary(name), "<br>".join(lines), f"`{example(name)}`"))
    return _table(("policy", "what it does", "parameters", "example"), rows)


def parameters_markdown(rows: Iterable[Parameter]) -> str:
    """Parameters as a Markdown table."""
    return _table(("name", "meaning", "written as", ""), [(f"`{p.name}`", *p[1:]) for p in rows])


def carried_markdown() -> str:
    """What operations do to each kind of label, as a Markdown table; those that do the same share a line."""
    alike: dict[LabelEffects, list[str]] = {}
    for name, operation in OPERATIONS.items():
        alike.setdefault(operation.label_effects, []).append(f"`{name}`")
    rows = [(", ".join(names), *map(effects.of, LABEL_KINDS)) for effects, names in alike.items()]
    return _table(("operation", *LABEL_KINDS.values()), rows)


def label_effects_markdown() -> str:
    """The words of that table."""
    used = {cls.label_effects.of(kind) for cls in OPERATIONS.values() for kind in LABEL_KINDS}
    return _table(("word", "the label"), [(word, meaning) for word, meaning in LABEL_EFFECTS.items() if word in used])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


BLOCKS: dict[str, Callable[[], str]] = {
    "operations": operations_markdown,
    "policies": policies_markdown,
    "every operation": lambda: parameters_markdown(common_parameters()),
    "when": lambda: parameters_markdown(condition_parameters()),
    "labels": lambda: parameters_markdown(label_parameters()),
    "labels under operations": carried_markdown,
    "words": label_effects_markdown,
}
"""Name → the text of a document between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""


def updated(text: str) -> str:
    """A document with every generated block made anew."""
    for name, made in BLOCKS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        block = f"{begin}\n{made()}\n{end}"
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _, b=block: b, text, flags=re.DOTALL)  # type: ignore[misc]
    return text


def main() -> None:
    """Rewrite the generated blocks of the files that are named on the command line."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(updated(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
