"""Which of the objects that can be seen on the canvas an operation takes."""

from __future__ import annotations

from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import OpInput
from augpipe.recipe.operation.visible import VisibleObject


def choose_object(rng: OpRng, canvas: OpInput, classes: tuple[str, ...] | str | None) -> VisibleObject | None:
    """One of the visible objects that are no crowds, each as likely, or each class; ``None`` if there is none."""
    found = eligible(canvas, classes)
    if classes == "balanced" and found:
        names = sorted({one.category for one in found})
        name = names[rng.integer("class", 0, len(names) - 1)]
        found = [one for one in found if one.category == name]
    return found[rng.integer("object", 0, len(found) - 1)] if found else None


def eligible(canvas: OpInput, classes: tuple[str, ...] | str | None) -> list[VisibleObject]:
    """The visible objects of some classes, or of all, that are no crowds."""
    found = [one for one in canvas.objects() if not one.iscrowd]
    return [one for one in found if one.category in classes] if isinstance(classes, tuple) else found
