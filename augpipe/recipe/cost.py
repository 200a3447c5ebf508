"""What a recipe can cost: how often a picture may be resampled.

A sample's state is one number. It is even while the run in progress has no interpolation and odd once it has one; a
move lifts an even state by one, the end of a run an odd one. No step ever lowers it, and a higher state before a step
is never a lower one behind it, so whatever may take part does, and of a choice the highest outcome counts.
"""

from __future__ import annotations

from augpipe.recipe.model import Group, Node, Recipe


def most_warps(recipe: Recipe) -> int:
    """The most warps that one sample of a recipe can take; one is the usual."""
    state = 0
    for node in recipe.nodes:
        state = _after(node, state)
    return (state + 1) // 2


def _after(node: Node, state: int) -> int:
    if node.p == 0.0:
        return state
    if isinstance(node, Group):
        state, ends = _inside(node, state), node.cut
    else:
        operation = node.operation
        state, ends = (state | 1) if operation.moves else state, operation.ends_run or operation.cut
    return state + state % 2 if ends else state


def _inside(group: Group, state: int) -> int:
    """The highest state behind the most steps that a group may choose, which are done in recipe order."""
    most = group.count[1]
    by_count: list[int | None] = [state] + [None] * most
    for child in group.children:
        if child.weight == 0.0:
            continue
        for chosen in reversed(range(most)):
            before, other = by_count[chosen], by_count[chosen + 1]
            if before is not None:
                by_count[chosen + 1] = max(_after(child, before), other or 0)
    highest = by_count[most]
    return state if highest is None else highest
