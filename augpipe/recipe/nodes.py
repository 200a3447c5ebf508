"""A checked recipe as frozen data: operations, groups of them, and what holds for all.

A step's path is the names from the root joined by ``/``. Random numbers depend on it and on nothing else of the recipe,
so a step keeps its numbers when others are added, removed or changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from augpipe.core.plan import Border
from augpipe.labels.rules import LabelRules
from augpipe.recipe.label_options import FlipPairs
from augpipe.recipe.operation.condition import When
from augpipe.recipe.operation.params import WholePair
from augpipe.recipe.ops import Operation

GroupKind: TypeAlias = Literal["one_of", "some_of", "all_of", "shuffled"]


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

    @property
    def when(self) -> When | None:
        return self.operation.when


@dataclass(frozen=True)
class Group:
    """Steps of which ``count`` = (least, most) are chosen by weight; ``all_of`` and ``shuffled`` take all,
    each with its own p, ``shuffled`` in a drawn order."""

    path: str
    kind: GroupKind
    children: tuple[Node, ...]
    p: float = 1.0
    count: WholePair = (1, 1)
    cut: bool = False
    weight: float = 1.0
    place: str = field(default="", compare=False)
    when: When | None = None

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

    def conditions(self) -> Iterator[tuple[str, When]]:
        """(path, condition) of every step and group that some sample can have and that has one."""
        return _conditions(self.nodes)

    def possible(self) -> Iterator[Leaf]:
        """Every operation that some sample can have, in order."""
        return _leaves(self.nodes, _is_possible)


def _leaves(nodes: Sequence[Node], wanted: Callable[[Node], bool]) -> Iterator[Leaf]:
    for node in filter(wanted, nodes):
        if isinstance(node, Leaf):
            yield node
        else:
            yield from _leaves(node.children, wanted)


def _conditions(nodes: Sequence[Node]) -> Iterator[tuple[str, When]]:
    for node in filter(_is_possible, nodes):
        if node.when is not None:
            yield node.path, node.when
        if isinstance(node, Group):
            yield from _conditions(node.children)


def _is_possible(node: Node) -> bool:
    return node.p > 0.0 and node.weight > 0.0 and (isinstance(node, Leaf) or node.count[1] > 0)
