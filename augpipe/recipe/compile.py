"""From a YAML document to a checked, frozen Recipe.

A step's path is the names from the root joined by ``/``. Random numbers depend on it and on nothing else of the recipe,
so a step keeps its numbers when others are added, removed or changed.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from augpipe.core.errors import RecipeError, one_line
from augpipe.core.plan import Border
from augpipe.labels.rules import LabelRules
from augpipe.recipe.label_options import FlipPairs, LabelOptions
from augpipe.recipe.messages import fail, listing, nearest, shown, told, validation_messages
from augpipe.recipe.operation.params import (
    MaybeName,
    MaybeWeight,
    Rgb,
    Share,
    WholePair,
    whole,
    whole_between,
)
from augpipe.recipe.ops import OPERATIONS, Operation
from augpipe.recipe.other_names import step_elsewhere
from augpipe.recipe.other_writers import writer_of
from augpipe.recipe.yaml_reader import Document, Path_

VERSION = 1
_DEEPEST = 10
_MOST_MISTAKES = 10
"""That are told of one recipe."""


@dataclass(frozen=True)
class Leaf:
    """One operation of a recipe. ``place`` is where it was written."""

    path: str
    operation: Operation
    weight: float = 1.0
    place: str = field(default="", compare=False)

    @property
    def p(self) -> float:
        return self.operation.p


@dataclass(frozen=True)
class Group:
    """Steps of which ``count`` = (least, most) are chosen by weight; ``all_of`` takes all, each with its own p."""

    path: str
    kind: Literal["one_of", "some_of", "all_of"]
    children: tuple[Node, ...]
    p: float = 1.0
    count: WholePair = (1, 1)
    cut: bool = False
    weight: float = 1.0
    place: str = field(default="", compare=False)

    @functools.cached_property
    def weights(self) -> tuple[float, ...]:
        return tuple(child.weight for child in self.children)


Node: TypeAlias = Leaf | Group


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    ``text`` is the file's, ``overrides`` are those of ``--set``; ``canonical`` is the JSON of both with all defaults,
    ``digest`` the BLAKE2b of that.
    """

    name: str
    text: str
    canonical: str
    digest: str
    rules: LabelRules
    border: Border
    fill: tuple[int, int, int]
    nodes: tuple[Node, ...]
    flip_pairs: FlipPairs = field(default_factory=dict, hash=False)
    overrides: tuple[str, ...] = ()

    def leaves(self) -> Iterator[Leaf]:
        """Every operation, in order."""
        return _leaves(self.nodes, lambda node: True)

    def possible(self) -> Iterator[Leaf]:
        """Every operation that some sample can have, in order."""
        return _leaves(self.nodes, _is_possible)


def _leaves(nodes: Sequence[Node], wanted: Callable[[Node], bool]) -> Iterator[Leaf]:
    for node in filter(wanted, nodes):
        if isinstance(node, Leaf):
            yield node
        else:
            yield from _leaves(node.children, wanted)


def _is_possible(node: Node) -> bool:
    return node.p > 0.0 and node.weight > 0.0 and (isinstance(node, Leaf) or node.count[1] > 0)


class GroupOptions(BaseModel):
    """The options beside the list of a group's steps."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    p: Share = Field(1.0, description="probability that the group takes part")
    id: MaybeName = Field(None, description="a name of its own for its random numbers")
    cut: bool = Field(False, description="end the run behind the group: what this canvas does not show is gone")
    weight: MaybeWeight = Field(None, description="inside one_of and some_of: its share of the choice, 1 if not given")
    n: Any = Field(None, description="some_of only: how many steps to take")


class Head(BaseModel):
    """The options of a recipe, and its steps, which are checked one by one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[int, whole(VERSION, VERSION)] = Field(description="the recipe format")
    description: str = Field("", description="one line for people")
    labels: LabelOptions = LabelOptions()
    border: Border = Field("constant", description="what lies outside the picture: a colour, or invented picture")
    fill: Rgb = Field((0, 0, 0), description="the colour of a constant border")
    steps: list[Any] = Field(description="the operations in order")


GROUPS = ("one_of", "some_of", "all_of")
CHOOSERS = ("one_of", "some_of")
"""Groups whose children take a weight, and no p."""

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
        inside, operation = (*where, name), OPERATIONS[name]
        if not isinstance(arguments, dict):
            message = f"{name}: expected its parameters in braces, as in '{operation.example}', got {shown(arguments)}"
            self._fail(inside, message)
        checked = _validated(operation, arguments, self._document, inside, name, operation.example)
        self._check_share(checked, arguments, where, inside)
        path = prefix + self._name(name, checked.id, inside, siblings)
        return Leaf(path, checked, 1.0 if checked.weight is None else checked.weight, self._document.place(inside))

    def _parts(self, item: Any, where: Path_) -> tuple[str, Any, dict[str, Any]]:
        """(name, arguments, what stands beside) of one item of a list of steps."""
        if isinstance(item, str):
            item = {item: None}
        if not isinstance(item, dict) or not item:
            self._fail(where, f"{_A_STEP}, got {shown(item)}")
        known = [key for key in item if key in OPERATIONS or key in GROUPS]
        others = {key: value for key, value in item.items() if key not in known}
        if len(known) > 1:
            self._fail(where, f"expected one step, got {listing(known)}; begin each with '- '")
        if not known:
            key = next(iter(item))
            near = step_elsewhere(key) or nearest(key, [*OPERATIONS, *GROUPS], "'augpipe recipes operations'")
            self._fail((*where, key), f"unknown operation '{one_line(key, 80)}'{near}")
        name, arguments = known[0], item[known[0]]
        if name in OPERATIONS and others:
            key = next(iter(others))
            message = f"'{one_line(key, 80)}' belongs to {name}: write it in its braces, or indent it more"
            self._fail((*where, key), message)
        return name, {} if arguments is None and name in OPERATIONS else arguments, others

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
        count = self._count(kind, options.n, eligible, where)
        weight = 1.0 if options.weight is None else options.weight
        group_kind: Literal["one_of", "some_of", "all_of"] = kind  # type: ignore[assignment]
        place = self._document.place((*where, kind))
        return Group(path, group_kind, children, options.p, count, options.cut, weight, place)

    def _count(self, kind: str, n: Any, eligible: int, where: Path_) -> WholePair:
        if kind != "some_of":
            if n is not None:
                self._fail((*where, "n"), f"'n' has no meaning in {kind}; it belongs to some_of")
            return (1, 1) if kind == "one_of" else (eligible, eligible)
        if n is None:
            self._fail(where, "some_of needs 'n: 2' or 'n: [1, 3]' beside it: how many steps to take")
        try:
            return TypeAdapter(Annotated[WholePair, whole_between(0, eligible)]).validate_python(n)
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            self._fail((*where, "n"), f"some_of.n: {message}, as that many can be chosen, got {shown(n)}")


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
    return {
        "path": node.path,
        "group": node.kind,
        "p": node.p,
        "n": list(node.count),
        "cut": node.cut,
        "weights": list(node.weights),
        "steps": [_node_json(child) for child in node.children],
    }


# --- names of the steps of a list, for the paths of random numbers and of ``--set`` ----------------------------------


class Siblings:
    """The names in one list of steps, with the document path of each."""

    def __init__(self) -> None:
        self.taken: dict[str, Path_] = {}
        self._counts: Counter[str] = Counter()

    def name(self, kind: str, own: str | None, where: Path_) -> tuple[str, Path_ | None]:
        """(the name of the next step, the path of an earlier step that has it already)."""
        name = own
        if name is None:
            self._counts[kind] += 1
            count = self._counts[kind]
            name = kind if count == 1 else f"{kind}#{count}"
        earlier = self.taken.get(name)
        self.taken[name] = where
        return name, earlier
