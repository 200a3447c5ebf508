"""Drawing: a recipe and a frame become a Plan, without pixels and without state.

What an operation draws depends on its path, the canvas and, where it asks for them, the objects' boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from augpipe.core.annotations import F64, Frame
from augpipe.core.errors import Reject
from augpipe.core.plan import LONGEST_SIDE, Drawn, Plan
from augpipe.core.rng import OpRng, SampleRng, race, smallest
from augpipe.labels.shapes import shape_of
from augpipe.recipe.fuse import Fuser
from augpipe.recipe.nodes import Group, Leaf, Node, Recipe
from augpipe.recipe.operation.base import OpInput
from augpipe.recipe.operation.condition import When
from augpipe.recipe.operation.visible import VisibleObject

ORIGINAL = -1
"""The copy number of a picture that is written as it is."""

MOST_PIXELS = 64_000_000
"""Canvases beyond this are refused: a worker keeps to its memory."""


def draw(recipe: Recipe, frame: Frame, seed: int, copy: int) -> Plan:
    """The plan of one copy of one picture.

    Args:
        recipe: what may happen.
        frame: key, upright size and labels of the picture.
        seed: of the run.
        copy: 0, 1, …; :data:`ORIGINAL` gives an empty plan.

    Raises:
        Reject: if the canvas grows beyond what can be handled, or shrinks to nothing.
    """
    if copy == ORIGINAL:
        return Plan(seed)
    drawing = _Drawing(recipe, frame, SampleRng(seed, frame.key, copy))
    try:
        for node in recipe.nodes:
            drawing.visit(node)
        steps = drawing.fuser.finish()
    except ZeroDivisionError as error:  # the map has no inverse: rounding left a line or a point
        raise Reject("plan", "degenerate", f"the moves of '{recipe.name}' shrink the picture to nothing") from error
    return Plan(seed, steps, tuple(drawing.drawn))


class _Drawing:
    """One sample being drawn."""

    def __init__(self, recipe: Recipe, frame: Frame, rng: SampleRng) -> None:
        self.fuser = Fuser(frame.size_wh, recipe.border, recipe.fill)
        self.drawn: list[Drawn] = []
        self._frame = frame
        self._rng = rng

    def visit(self, node: Node) -> None:
        rng = OpRng(self._rng, node.path)
        if not rng.chance(node.p) or (node.when is not None and not self._holds(node.when)):
            return
        if isinstance(node, Leaf):
            self._perform(node, rng)
            return
        for child in self._chosen(node, rng):
            self.visit(child)
        if node.cut:
            self.fuser.end_run()

    def _holds(self, when: When) -> bool:
        """Whether the picture, and what can be seen on the canvas so far, are as a condition says."""
        frame = self._frame
        if not when.suits_picture(frame.annotations.tags, frame.split):
            return False
        return not when.asks_for_objects or when.suits_objects(self._objects())

    def _chosen(self, group: Group, rng: OpRng) -> Sequence[Node]:
        if group.kind == "all_of":
            return group.children
        uniforms = [self._rng.unit(child.path, "chosen") for child in group.children]
        if group.kind == "shuffled":
            return [group.children[i] for i in race(uniforms, group.weights)]
        n = rng.integer("n", *group.count)
        return [group.children[i] for i in smallest(uniforms, group.weights, n)]

    def _perform(self, leaf: Leaf, rng: OpRng) -> None:
        operation, fuser = leaf.operation, self.fuser
        before = fuser.size_wh
        result = operation.draw(rng, OpInput(before, self._boxes, self._objects))
        for effect in result.effects:
            fuser.add(effect)
        _check_canvas(leaf.path, before, fuser.size_wh)
        if operation.cut:
            fuser.end_run()
        self.drawn.append(Drawn(leaf.path, {name: _rounded(v) for name, v in result.parameters.items()}))

    def _boxes(self) -> F64:
        """The boxes (N, 4) of the visible parts of the objects on the canvas so far."""
        state = self.fuser.canvas_state()
        annotations = self._frame.annotations
        sources = list(annotations.objects.boxes_xyxy)
        if not sources and annotations.semantic is not None:
            sources = _raster_box(annotations.semantic)
        boxes = [shape_of(box, None, None, state).box_xyxy for box in sources]
        return np.array([box for box in boxes if box is not None], np.float64).reshape(-1, 4)

    def _objects(self) -> tuple[VisibleObject, ...]:
        """The objects of which something can be seen on the canvas so far."""
        state, objects, names = self.fuser.canvas_state(), self._frame.annotations.objects, self._frame.class_names
        shown = []
        for i, box in enumerate(objects.boxes_xyxy):
            if (visible := shape_of(box, None, None, state).box_xyxy) is not None:
                x0, y0, x1, y1 = map(float, visible)
                name = names.get(int(objects.category_id[i]), "")
                shown.append(VisibleObject(int(objects.index[i]), name, (x0, y0, x1, y1), bool(objects.iscrowd[i])))
        return tuple(shown)


def _raster_box(semantic: np.ndarray[Any, Any]) -> list[F64]:
    """The tight box of everything in a semantic raster that is neither background nor void."""
    marked = (semantic != 0) & (semantic != np.iinfo(semantic.dtype).max)
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not rows.size:
        return []
    return [np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)]


def _check_canvas(path: str, before_wh: tuple[int, int], after_wh: tuple[int, int]) -> None:
    w, h = after_wh
    grown = after_wh != before_wh and w * h > MOST_PIXELS  # a source of any size may keep it
    if grown or w > LONGEST_SIDE or h > LONGEST_SIDE:
        most = f"{MOST_PIXELS // 10**6} megapixels and sides of {LONGEST_SIDE}"
        raise Reject("plan", "too-large", f"{path} makes a canvas of {w}×{h}; expected at most {most}")


def _rounded(value: Any) -> Any:
    """A drawn parameter for the record, with six decimals."""
    if isinstance(value, float):
        return round(value * 1e6) / 1e6
    return [_rounded(v) for v in value] if isinstance(value, (list, tuple)) else value
