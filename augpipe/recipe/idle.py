"""Steps of a recipe that can never change a picture, which is hardly what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from augpipe.recipe.nodes import Group, Leaf, Node
from augpipe.recipe.ops import COMMON_FIELDS
from augpipe.recipe.reference_docs import as_written, usual_step


def idle_steps(nodes: Sequence[Node]) -> Iterator[str]:
    """A sentence for each step that can only leave the picture as it is: place, step, why, and the way out.

    Steps inside a group that never takes part are not told one by one.
    """
    for node in nodes:
        name = node.path.rpartition("/")[2]
        why = _never(node) or (_identity(node) if isinstance(node, Leaf) else "")
        if why:
            yield f"{node.place}: {name} {why}"
        elif isinstance(node, Group):
            yield from idle_steps(node.children)


def _never(node: Node) -> str:
    """Why a step cannot take part; empty if it can."""
    if node.p == 0.0:
        return "never takes part (p: 0); give p a value above 0, or leave the step out"
    if node.weight == 0.0:
        return "is never chosen (weight: 0); give weight a value above 0, or leave the step out"
    if isinstance(node, Group) and node.count[1] == 0:
        return "takes none of its steps (n: 0); give n a higher value, or leave the group out"
    return ""


def _identity(leaf: Leaf) -> str:
    """Why a step that takes part changes nothing; empty if it may change something."""
    operation, name = leaf.operation, leaf.operation.name()
    if operation.cut or not operation.is_identity():  # a cut may be all that is wanted of it
        return ""
    given = operation.model_fields_set - COMMON_FIELDS
    said = ", ".join(
        f"{key}: {as_written(getattr(operation, key))}" for key in type(operation).model_fields if key in given
    )
    usual = usual_step(name)
    way_out = f"; '- {name}' alone means {usual}" if usual else "; leave it out"
    return f"changes nothing ({said}){way_out}"
