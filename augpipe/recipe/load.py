"""Finding a recipe by name or file, and overriding values of it from the command line.

A name has no slash and no dot and means a shipped recipe; anything else is a file.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from augpipe.core.errors import RecipeError, one_line
from augpipe.core.paths import StrPath
from augpipe.recipe import yaml_reader as yaml_document
from augpipe.recipe.compile import compile_recipe
from augpipe.recipe.groups import GROUPS, POLICIES, GroupOptions, Siblings
from augpipe.recipe.messages import listing, nearest
from augpipe.recipe.nodes import Recipe
from augpipe.recipe.operation.base import CUSTOM
from augpipe.recipe.ops import Operation
from augpipe.recipe.own.loading import OwnOperations, load_all, vocabulary
from augpipe.recipe.policies.expand import POLICY_MODELS
from augpipe.recipe.yaml_reader import Document, Path_

_OWN = "custom\0"
"""Stands for ``custom.`` in a path, whose names have no dot."""


def load(name_or_file: StrPath, overrides: Sequence[str] = (), ops: Iterable[StrPath | OwnOperations] = ()) -> Recipe:
    """The checked recipe of that shipped name or file.

    Args:
        name_or_file: a name has no slash and no dot.
        overrides: such as ``steps.affine.rotate=[-5, 5]``.
        ops: Python files with operations of one's own, or ``package:NAME`` of installed ones; those that the recipe
            names are tried on small pictures, twice.

    Raises:
        RecipeError: no such recipe, or a mistake in it, with its place.
        UsageError: operations of one's own that cannot be loaded, or do not give the same result again.
    """
    return checked_recipe(*_found(name_or_file), overrides, ops)


def checked_recipe(
    document: Document, name: str, overrides: Sequence[str] = (), ops: Iterable[StrPath | OwnOperations] = ()
) -> Recipe:
    """As :func:`load`, of a document that is there."""
    recipe = compiled(document, name, overrides, load_all(ops))
    if recipe.ops:
        from augpipe.recipe.own.check import require_the_same_again  # it starts processes, for those few recipes

        require_the_same_again(recipe)
    return recipe


def _found(name_or_file: StrPath) -> tuple[Document, str]:
    if not isinstance(name_or_file, str) or any(c in name_or_file for c in "/.\\"):
        path = Path(name_or_file)
        return yaml_document.read_file(path), path.stem
    files = shipped()
    if name_or_file not in files:
        name = one_line(name_or_file, 80)
        raise RecipeError(f"unknown recipe '{name}'{nearest(name, files)}; a file is given with its ending .yaml")
    return yaml_document.read(f"{name_or_file}.yaml", files[name_or_file]), name_or_file


def compiled(document: Document, name: str, overrides: Sequence[str] = (), own: Sequence[OwnOperations] = ()) -> Recipe:
    """The checked recipe of a document after overrides, which may name the operations of ``own``, too."""
    operations = vocabulary(own)
    for override in overrides:
        _override(document, override, operations)
    recipe = compile_recipe(document, name, operations)
    used = {leaf.operation.origin for leaf in recipe.leaves()}
    return replace(recipe, overrides=tuple(overrides), ops=tuple(one for one in own if one in used))


def without_steps(name: str, labels: Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe that says what becomes of labels, and moves nothing.

    Raises:
        RecipeError: ``labels`` are not as a recipe has them.
    """
    text = json.dumps({"version": 1, "labels": labels, "steps": []})
    return compiled(yaml_document.read(f"{name}.yaml", text), name, overrides)


def shipped() -> dict[str, str]:
    """Name → YAML text of every recipe that comes with augpipe."""
    # Installed, recipes/ is a package inside augpipe; in a checkout it is a folder beside it.
    root = importlib.resources.files("augpipe")
    folder = root / "recipes"
    if not folder.is_dir():
        folder = importlib.resources.files("augpipe.recipes")
    texts = {f.name.removesuffix(".yaml"): f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".yaml")}
    return dict(sorted(texts.items()))


# --- overrides -------------------------------------------------------------------------------------------------------


def _override(document: Document, override: str, operations: Mapping[str, type[Operation]]) -> None:
    path_text, equals, value_text = override.partition("=")
    said = f"--set {one_line(override, 80)}"
    names = path_text.strip().replace(f".{CUSTOM}", f".{_OWN}").split(".")
    if not equals or not all(names):
        raise RecipeError(f"{said}: expected path=value, such as steps.affine.rotate='[-5, 5]'")
    if not isinstance(document.value, dict):
        raise RecipeError(f"{said}: there is nothing to set in {document.name}, which is no recipe")
    names = [f"{CUSTOM}{name.removeprefix(_OWN)}" if name.startswith(_OWN) else name for name in names]
    at = _Cursor(document, said, operations)
    target = at.in_steps(names[1:]) if names[0] == "steps" and len(names) > 1 else at.in_mapping(names)
    value = yaml_document.parse_value(said, value_text)
    document.places = {path: place for path, place in document.places.items() if path[: len(target)] != target}
    document.places[target] = said
    at.holder[target[-1]] = value


class _Cursor:
    """Walks a document along the dotted path of one override, to the mapping that holds what it sets."""

    def __init__(self, document: Document, said: str, operations: Mapping[str, type[Operation]]) -> None:
        self._document, self._said, self._operations = document, said, operations
        self.holder: dict[str | int, Any] = document.value

    def _mistake(self, message: str) -> RecipeError:
        return RecipeError(f"{self._said}: {message}")

    def in_mapping(self, names: Sequence[str], where: Path_ = ()) -> Path_:
        """The document path of plain names, below ``where``; mappings that are missing are made."""
        for i, name in enumerate(names[:-1]):
            where = (*where, name)
            if self.holder.get(name) is None:
                self.holder[name] = {}
                self._document.places.setdefault(where, self._said)
            self.holder = self.holder[name]
            if not isinstance(self.holder, dict):
                raise self._mistake(f"'{one_line('.'.join(names[: i + 1]), 80)}' has no names below it")
        return (*where, names[-1])

    def in_steps(self, names: Sequence[str], where: Path_ = ("steps",)) -> Path_:
        """The document path of a step's parameter; names of steps are those of the random numbers' paths."""
        items = self.holder.get(where[-1])
        if not isinstance(items, list):
            raise self._mistake(f"there is no list of steps in '{where[-1]}'")
        steps = _named(items, self._operations)
        if names[0] not in steps:
            raise self._mistake(f"no step '{one_line(names[0], 80)}' in {where[-1]}{nearest(names[0], steps)}")
        index, kind = steps[names[0]]
        if not isinstance(items[index], dict):
            items[index] = {kind: None}
            inside: Path_ = (*where, index, kind)
            self._document.places[inside] = self._document.place(inside)
        self.holder, where, rest = items[index], (*where, index), names[1:]
        if kind in GROUPS:
            if len(rest) == 1 and rest[0] in GroupOptions.model_fields:
                return (*where, rest[0])
            if rest and rest[0] == "when":
                return self.in_mapping(rest, where)
            if rest:
                return self.in_steps(rest, (*where, kind))
        elif len(rest) == 1 or (rest and rest[0] == "when"):
            return self.in_mapping([kind, *rest], where)
        known = _fields_of(kind, self._operations)
        raise self._mistake(f"expected one name behind '{one_line(names[0], 80)}': {listing(list(known), 'or')}")


def _fields_of(kind: str, operations: Mapping[str, type[Operation]]) -> Iterable[str]:
    if kind in GROUPS:
        return GroupOptions.model_fields
    return (POLICY_MODELS[kind] if kind in POLICIES else operations[kind]).model_fields


def _named(items: Sequence[Any], operations: Mapping[str, type[Operation]]) -> dict[str, tuple[int, str]]:
    """Name in the random numbers' path → (index, kind) of each step of a list, as far as it can be read."""
    out: dict[str, tuple[int, str]] = {}
    siblings = Siblings()
    for i, item in enumerate(items):
        content: Mapping[str, Any] = {item: None} if isinstance(item, str) else item if isinstance(item, dict) else {}
        kind = next((k for k in content if k in operations or k in GROUPS or k in POLICIES), None)
        if kind is None:
            continue
        options = content if kind in GROUPS else content[kind]
        own = options.get("id") if isinstance(options, dict) else None
        name, _ = siblings.name(kind, own if isinstance(own, str) else None, ())
        out[name] = (i, kind)
    return out
