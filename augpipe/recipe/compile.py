"""From a YAML document to a checked, frozen Recipe."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from augpipe.core.errors import RecipeError, one_line
from augpipe.core.plan import Border
from augpipe.recipe.groups import CHOOSERS, GROUPS, POLICIES, GroupOptions, Siblings, count_of
from augpipe.recipe.label_options import LabelOptions
from augpipe.recipe.messages import fail, listing, nearest, shown, told, validation_messages
from augpipe.recipe.nodes import Group, GroupKind, Leaf, Node, Recipe
from augpipe.recipe.operation.params import (
    Rgb,
    whole,
)
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.other_names import step_elsewhere
from augpipe.recipe.other_writers import writer_of
from augpipe.recipe.policies.expand import POLICY_MODELS
from augpipe.recipe.yaml_reader import Document, Path_

VERSION = 1
_DEEPEST = 10
_MOST_MISTAKES = 10
"""That are told of one recipe."""


class Head(BaseModel):
    """The options of a recipe, and its steps, which are checked one by one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[int, whole(VERSION, VERSION)] = Field(description="the recipe format")
    description: str = Field("", description="one line for people")
    labels: LabelOptions = LabelOptions()
    border: Border = Field("constant", description="what lies outside the picture: a colour, or invented picture")
    fill: Rgb = Field((0, 0, 0), description="the colour of a constant border")
    steps: list[Any] = Field(description="the operations in order")


_A_STEP = "expected a step such as 'horizontal_flip: {p: 0.5}'"
_STEPS = "expected a list of steps, each on a line that begins with '- '"


def compile_recipe(document: Document, name: str) -> Recipe:
    """Check a document and make the recipe of it.

    Raises:
        RecipeError: every mistake on a line of its own, with file, line, what was expected and the nearest name.
    """
    if not isinstance(document.value, dict):
        fail(document, (), f"expected a recipe, with 'version: 1' and 'steps:', got {shown(document.value)}")
    writer = writer_of(document.value)
    if writer is not None:
        found = f"this is what {writer} writes, no recipe"
        fail(document, (), f"{found}; 'augpipe recipes import {document.name} -o my.yaml' makes one of it")
    if not isinstance(document.value.get("steps", []), list):
        fail(document, ("steps",), f"steps: {_STEPS}, got {shown(document.value['steps'])}")
    compiler, options = _Compiler(document), {"version": VERSION, **document.value}
    if "version" not in document.value:
        compiler.mistakes.append(told(document, (), "the recipe needs 'version: 1', the format that it is written in"))
    head = compiler.tried(lambda: _validated(Head, options, document, (), ""))
    given = document.value.get("steps")
    nodes = compiler.tried(lambda: compiler.steps(given, ("steps",), "")) if given is not None or head else None
    if head is None or nodes is None or compiler.mistakes:
        more = len(compiler.mistakes) - _MOST_MISTAKES
        rest = [f"and {more} more"] if more > 0 else []
        raise RecipeError("\n".join([*compiler.mistakes[:_MOST_MISTAKES], *rest]))
    canonical = json.dumps(_canonical(head, nodes), sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(canonical.encode()).hexdigest()
    rules, pairs = head.labels.rules(), head.labels.flip_pairs
    return Recipe(name, document.text, canonical, digest, rules, head.border, head.fill, nodes, pairs)


_T = TypeVar("_T")


class _Told(Exception):
    """Something cannot be made because of mistakes that are noted already."""


class _Compiler:
    """Makes nodes of the steps of one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.mistakes: list[str] = []

    def tried(self, make: Callable[[], _T]) -> _T | None:
        """What ``make`` returns; ``None``, and its mistakes noted, if it fails."""
        try:
            return make()
        except _Told:
            return None
        except RecipeError as error:
            self.mistakes += str(error).split("\n")
            return None

    def _fail(self, where: Path_, message: str) -> NoReturn:
        fail(self._document, where, message)

    def steps(self, items: Any, where: Path_, prefix: str) -> tuple[Node, ...]:
        """The nodes of a list of steps at ``where``, whose last part is ``steps`` or the kind of a group."""
        holder = str(where[-1])
        if not isinstance(items, list):
            self._fail(where, f"{holder}: {_STEPS}, got {shown(items)}")
        if not items and len(where) > 1:  # a recipe may have none, which changes nothing; a group has something to take
            self._fail(where, f"{holder}: expected at least one step")
        if len(where) > 2 * _DEEPEST + 1:  # two parts a level: the place in the list, and the kind of the group
            self._fail(where, f"groups are nested more than {_DEEPEST} deep")
        siblings = Siblings()
        nodes = [
            self.tried(functools.partial(self._node, item, (*where, i), prefix, siblings))
            for i, item in enumerate(items)
        ]
        sound = tuple(node for node in nodes if node is not None)
        if len(sound) < len(nodes):
            raise _Told
        return sound

    def _node(self, item: Any, where: Path_, prefix: str, siblings: Siblings) -> Node:
        name, arguments, beside = self._parts(item, where)
        if name in GROUPS:
            options = self.tried(lambda: self._options(name, beside, where))
            path = prefix + self._name(name, options.id if options else None, where, siblings)
            children = self.steps(arguments, (*where, name), path + "/")
            if options is None:
                raise _Told
            return self._group(name, children, options, where, path)
        if name in POLICIES:
            return self._policy(name, arguments, where, prefix, siblings)
        inside, operation = (*where, name), OPERATIONS[name]
        if not isinstance(arguments, dict):
            message = f"{name}: expected its parameters in braces, as in '{operation.example}', got {shown(arguments)}"
            self._fail(inside, message)
        checked = _validated(operation, arguments, self._document, inside, name, operation.example)
        self._check_share(checked, arguments, where, inside)
        path = prefix + self._name(name, checked.id, inside, siblings)
        return Leaf(path, checked, 1.0 if checked.weight is None else checked.weight, self._document.place(inside))

    def _policy(self, name: str, arguments: Any, where: Path_, prefix: str, siblings: Siblings) -> Node:
        """The group that a policy stands for; its path is that of the policy."""
        inside, model = (*where, name), POLICY_MODELS[name]
        if not isinstance(arguments, dict):
            message = f"{name}: expected its parameters in braces, as in '{model.example}', got {shown(arguments)}"
            self._fail(inside, message)
        policy = _validated(model, arguments, self._document, inside, name, model.example)
        self._check_share(policy, arguments, where, inside)
        own = self._name(name, policy.id, inside, siblings)
        return self._node(policy.expanded(own), where, prefix, Siblings())

    def _parts(self, item: Any, where: Path_) -> tuple[str, Any, dict[str, Any]]:
        """(name, arguments, what stands beside) of one item of a list of steps."""
        if isinstance(item, str):
            item = {item: None}
        if not isinstance(item, dict) or not item:
            self._fail(where, f"{_A_STEP}, got {shown(item)}")
        known = [key for key in item if key in OPERATIONS or key in GROUPS or key in POLICIES]
        others = {key: value for key, value in item.items() if key not in known}
        if len(known) > 1:
            self._fail(where, f"expected one step, got {listing(known)}; begin each with '- '")
        if not known:
            key = next(iter(item))
            near = step_elsewhere(key) or nearest(
                key, [*OPERATIONS, *GROUPS, *POLICIES], "'augpipe recipes operations'"
            )
            self._fail((*where, key), f"unknown operation '{one_line(key, 80)}'{near}")
        name, arguments = known[0], item[known[0]]
        if name not in GROUPS and others:
            key = next(iter(others))
            message = f"'{one_line(key, 80)}' belongs to {name}: write it in its braces, or indent it more"
            self._fail((*where, key), message)
        return name, {} if arguments is None and name not in GROUPS else arguments, others

    def _check_share(self, options: Any, given: dict[str, Any], where: Path_, inside: Path_) -> None:
        """A step says how often it takes part by p, or by weight where one is chosen among siblings."""
        holder = where[-2]
        if holder in CHOOSERS and "p" in given:
            message = f"a step of {holder} takes 'weight', its share of the choice, not 'p'"
            self._fail((*inside, "p"), message)
        if holder not in CHOOSERS and options.weight is not None:
            message = "'weight' has a meaning directly inside one_of and some_of alone; elsewhere it is 'p'"
            self._fail((*inside, "weight"), message)

    def _name(self, kind: str, own: str | None, inside: Path_, siblings: Siblings) -> str:
        where = inside if own is None else (*inside, "id")
        name, earlier = siblings.name(kind, own, where)
        if earlier is not None:
            other = self._document.place(earlier)
            message = f"the step at {other} is called '{name}' too; they would share random numbers, so change an id"
            self._fail(where, message)
        return name

    def _options(self, kind: str, beside: dict[str, Any], where: Path_) -> GroupOptions:
        options: GroupOptions = _validated(GroupOptions, beside, self._document, where, kind)
        self._check_share(options, beside, where, where)
        return options

    def _group(self, kind: str, children: tuple[Node, ...], options: GroupOptions, where: Path_, path: str) -> Group:
        eligible = sum(child.weight > 0.0 for child in children)
        if not eligible:
            self._fail((*where, kind), f"{kind}: all weights are 0, so nothing could be chosen")
        count = count_of(self._document, kind, options.n, eligible, where)
        weight = 1.0 if options.weight is None else options.weight
        group_kind: GroupKind = kind  # type: ignore[assignment]
        place = self._document.place((*where, kind))
        return Group(path, group_kind, children, options.p, count, options.cut, weight, place, options.when)


def _validated(model: Any, value: Any, document: Document, where: Path_, what: str, example: str = "") -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        order = [*value] if isinstance(value, dict) else []
        found = validation_messages(error, what, model.model_fields, example)
        found.sort(key=lambda fault: order.index(fault[0][0]) if fault[0] and fault[0][0] in order else -1)
        raise RecipeError("\n".join(told(document, (*where, *path), message) for path, message in found)) from None


def _canonical(head: Head, nodes: tuple[Node, ...]) -> dict[str, Any]:
    dumped = head.model_dump(mode="json", exclude_none=True, exclude={"steps", "description"})
    return {**dumped, "steps": [_node_json(node) for node in nodes]}


def _node_json(node: Node) -> dict[str, Any]:
    if isinstance(node, Leaf):
        own = node.operation.model_dump(mode="json", exclude_none=True, exclude={"id", "weight"})  # said elsewhere
        return {"path": node.path, "operation": node.operation.name(), **own}
    own = {} if node.when is None else {"when": node.when.model_dump(mode="json", exclude_none=True)}
    return {
        "path": node.path,
        "group": node.kind,
        **own,
        "p": node.p,
        "n": list(node.count),
        "cut": node.cut,
        "weights": list(node.weights),
        "steps": [_node_json(child) for child in node.children],
    }
