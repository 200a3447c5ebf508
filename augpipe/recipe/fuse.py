"""Fusion: the effects of a recipe become a few steps. It defines what a recipe means.

A *run* is a sequence of effects with at most one interpolation. Its warps compose into one map, and the canvases
between them cut nothing. It has at most one mesh, with affine warps before and behind it; another mesh, a projective
warp beside it or a pad before it makes it a run of its own, and what a pad keeps its fill in is picture from then on.
 A pad does cut: its region goes along with later warps, and its bars are painted last, in the
fill that the color effects after it make of its own, or before those effects where they depend on the source's pixels.
With ``fill_after`` they keep its own, and are painted again where a later run or step has changed them. Color effects
never end a run; they are applied after its warp, to the border too. A step that needs the pixels ends the run, and the
canvas cuts there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from augpipe.core.canvas import BentMap, CanvasState, Map, MatrixMap, follow
from augpipe.core.color import merged, recolored
from augpipe.core.geometry import (
    IDENTITY,
    Matrix,
    Region,
    area_of,
    clip_convex,
    in_front,
    inverse,
    move_region,
    rectangle,
    rounded,
    then,
    with_short_sides,
)
from augpipe.core.mesh import Mesh
from augpipe.core.plan import Border, ColorStage, Contrast, Rgb, Step
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.field import Field, can_be_beside
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.nodes import Group, Node, Recipe
from augpipe.recipe.operation.base import Effect, MeshEffect, Operation, PadEffect, PixelStep, WarpEffect

_SHARPEST_REDUCTION = 64
_MOST_ORDERED = 10
"""Steps of a shuffled group whose orders are all looked at."""
_BORDER_STEP = 2.0
"""Pixels of the canvas between points of its outline that are asked for the border."""
_TOUCH = 1 / 32
"""Pixels beyond the picture's edge from which on the border counts as shown. Positions are rounded to this grid, and
rounding a map moves the edge of a picture of thousands of pixels by less."""


class _Frame(msgspec.Struct, frozen=True):
    """What a pad shows the picture in, on the canvas so far.

    ``colors`` is how many of the run's color stages came before it, ``kept`` whether later runs paint its bars again.
    """

    region: Region
    fill: Rgb
    colors: int
    kept: bool

    def moved(self, matrix: Matrix) -> _Frame:
        """The frame after a move; the part that the matrix does not put behind its horizon."""
        return msgspec.structs.replace(self, region=move_region(matrix, in_front(matrix, self.region)))


@dataclass
class Fuser:
    """Takes effects one by one; :meth:`finish` returns the steps. ``size_wh`` is the canvas so far."""

    size_wh: tuple[int, int]
    border: Border = "constant"
    fill: Rgb = (0, 0, 0)
    steps: list[Step] = field(default_factory=list)
    _source_wh: tuple[int, int] = (0, 0)
    _start_wh: tuple[int, int] = (0, 0)
    _matrix: Matrix = IDENTITY
    _mesh: Mesh | None = None
    _after: Matrix = IDENTITY
    """Behind the mesh; ``_matrix`` lies before it."""
    _colors: list[ColorStage] = field(default_factory=list)
    _frames: list[_Frame] = field(default_factory=list)
    _painted: int = 0
    """How many of the first frames have bars that nothing has changed since they were painted."""

    def __post_init__(self) -> None:
        self._source_wh = self._start_wh = self.size_wh

    def add(self, effect: Effect) -> None:
        """One more effect, in recipe order."""
        if isinstance(effect, WarpEffect):
            self._make_room(effect.matrix)
            self._move(effect.matrix, effect.size_wh)
        elif isinstance(effect, MeshEffect):
            self._bend(effect.mesh)
        elif isinstance(effect, PadEffect):
            self._make_room(effect.matrix)
            # What is painted again would cover bars around it, so they are painted again with it.
            kept = effect.fill_after or any(frame.kept for frame in self._frames)
            frame = _Frame(rectangle(self.size_wh), effect.fill, len(self._colors), kept).moved(effect.matrix)
            self._move(effect.matrix, effect.size_wh)
            self._frames.append(frame)
        elif isinstance(effect, PixelStep):
            self.end_run()
            self._append(effect.step)
        else:
            self._colors.append(effect.stage)

    def _make_room(self, matrix: Matrix) -> None:
        """End the run where a warp cannot follow its mesh."""
        if self._mesh is not None and not can_be_beside(_backward(then(self._after, matrix))):
            self.end_run()

    def _bend(self, mesh: Mesh) -> None:
        if self._mesh is not None or self._frames or not can_be_beside(_backward(self._matrix)):
            self.end_run()
        self._frames, self._painted = [], 0  # a bar that is bent is no bar any more
        self._mesh = mesh

    def _move(self, matrix: Matrix, size_wh: tuple[int, int]) -> None:
        if self._mesh is None:
            self._matrix = then(self._matrix, matrix)
        else:
            self._after = then(self._after, matrix)
        self._frames = [frame.moved(matrix) for frame in self._frames]
        self.size_wh = size_wh

    def _append(self, step: Step) -> None:
        self.steps.append(step)
        self._painted = 0

    def end_run(self) -> None:
        """Make the steps of the run so far; later effects start from its canvas."""
        matrix = self._rounded()
        frames = [msgspec.structs.replace(frame, region=_on_grid(frame.region)) for frame in self._frames]
        if self._mesh is not None:
            self._append(self._field(self._mesh, [frame.region for frame in frames]))
        elif matrix != IDENTITY or self.size_wh != self._start_wh:
            self._append(self._warp(matrix, [frame.region for frame in frames]))
        canvas = rectangle(self.size_wh)
        bars = [frame for frame in frames if area_of(clip_convex(canvas, frame.region)) < area_of(canvas) - 1e-9]
        first = [f for f in bars if not f.kept and any(isinstance(c, Contrast) for c in self._colors[f.colors :])]
        done = 0
        for frame in first:  # what is kept comes last, so it is not painted over
            self._recolor(self._colors[done : frame.colors])
            self.steps.append(PadFill(region=frame.region, fill=frame.fill))
            done = frame.colors
        self._recolor(self._colors[done:])
        for frame in frames[self._painted :]:
            if frame in bars and frame not in first:
                later = [] if frame.kept else self._colors[frame.colors :]
                self.steps.append(PadFill(region=frame.region, fill=recolored(merged(later), frame.fill)))
        self._start_wh, self._matrix, self._colors = self.size_wh, IDENTITY, []
        self._mesh, self._after = None, IDENTITY
        self._frames = [frame for frame in frames if frame.kept]
        self._painted = len(self._frames)

    def _recolor(self, colors: list[ColorStage]) -> None:
        if colors:
            self._append(Color(stages=merged(colors)))

    def _rounded(self) -> Matrix:
        return IDENTITY if self._matrix is IDENTITY else rounded(self._matrix)

    def _warp(self, matrix: Matrix, frames: list[Region]) -> Warp:
        map, reduce, border = MatrixMap(matrix), (1, 1), self.border
        if not map.is_exact:
            border, reduce = self._edge(map, frames), _reduction(map, self.size_wh)
        return Warp(matrix=matrix, size_wh=self.size_wh, border=border, fill=self.fill, reduce=reduce)

    def _field(self, mesh: Mesh, frames: list[Region]) -> Field:
        before, after = _backward(self._matrix), _backward(self._after)
        map = BentMap((inverse(before), mesh, inverse(after)))
        return Field(
            mesh_wh=mesh.size_wh,
            grid_wh=mesh.grid_wh,
            control=mesh.control,
            size_wh=self.size_wh,
            before=before,
            after=after,
            border=self._edge(map, frames),
            fill=self.fill,
            reduce=_reduction(map, self.size_wh),
        )

    def _edge(self, map: Map, frames: list[Region]) -> Border:
        """The border of a step whose frames hide what lies outside them."""
        shown = rectangle(self.size_wh)
        for region in frames:
            shown = clip_convex(shown, region)
        # A constant border blends into the picture's edge. Where no border shows there is nothing to blend.
        return "replicate" if _shows_no_border(map, shown, self._start_wh) else self.border

    def canvas_state(self) -> CanvasState:
        """Where the source picture is on the canvas so far, the unfinished run included."""
        state = follow(self.steps, self._source_wh)
        matrix = rounded(self._matrix)
        if self._mesh is not None:
            before, after = inverse(_backward(self._matrix)), inverse(_backward(self._after))
            state = state.bent(before, self._mesh, after, self.size_wh)
        elif matrix != IDENTITY or self.size_wh != self._start_wh:
            state = state.warped(matrix, self.size_wh)
        for frame in self._frames:
            state = state.framed(_on_grid(frame.region))
        return state

    def finish(self) -> tuple[Step, ...]:
        """The steps of everything that was added."""
        self.end_run()
        return tuple(self.steps)


def _on_grid(region: Region) -> Region:
    return tuple((round(x * 2**20) / 2**20 + 0.0, round(y * 2**20) / 2**20 + 0.0) for x, y in region)


def _backward(matrix: Matrix) -> Matrix:
    """The map back, on the grid."""
    return IDENTITY if matrix is IDENTITY else rounded(inverse(matrix))


def _shows_no_border(map: Map, shown: Region, source_wh: tuple[int, int]) -> bool:
    """Whether every corner of the shown region of the canvas, or its outline where lines are bent, has picture."""
    w, h = source_wh[0] + _TOUCH, source_wh[1] + _TOUCH
    outline = np.array(shown).reshape(-1, 2)
    if map.straight_length != math.inf:
        outline = with_short_sides(outline, _BORDER_STEP)
    source: list[list[float]] = map.back(outline).tolist()
    # NaN, which is not within any bounds, behind the horizon.
    return all(-_TOUCH <= x <= w and -_TOUCH <= y <= h for x, y in source)


def _reduction(map: Map, size_wh: tuple[int, int]) -> tuple[int, int]:
    """How many source pixels one output pixel stands for near the middle of the canvas, as block sides.

    Interpolating between neighbours skips pixels when the picture shrinks by more than about 1.5, so it is averaged in
    blocks first. The rule is the same for every backend, from the map alone.
    """
    x, y = map.local_scale((size_wh[0] / 2.0, size_wh[1] / 2.0))
    return _block_side(x), _block_side(y)


def _block_side(scale: float) -> int:
    """The power of two that is nearest by ratio, which JPEG's decoder can make: what is left is at most √2.

    It is 1 for NaN, the scale behind the horizon of a projective map.
    """
    side = 1
    while side < _SHARPEST_REDUCTION and scale * scale >= 2.0 * side * side:
        side *= 2
    return side


# --- cost: how often a picture may be resampled ----------------------------------------------------------------------
# State = 4 · finished warps + that of the open run: nothing is moved, it is moved so that a mesh can follow, or so that
# none can, or it has a mesh. Of two states the higher one costs no less later, so the maximum of several ways suffices.

_MOVED, _PADDED, _BENT, _RUN = 1, 2, 3, 4


def most_warps(recipe: Recipe) -> int:
    """The most warps that one sample of a recipe can take."""
    state = 0
    for node in recipe.nodes:
        state = _after(node, state)
    return -(-state // _RUN)


def _after(node: Node, state: int) -> int:
    if node.p == 0.0:
        return state
    if isinstance(node, Group):
        state, ends = _inside(node, state), node.cut
    else:
        state, ends = _moved(node.operation, state), node.operation.ends_run or node.operation.cut
    return state + -state % _RUN if ends else state


def _moved(operation: Operation, state: int) -> int:
    """The state after an operation that does not end the run behind it."""
    run = state % _RUN
    if operation.bends:
        after = _BENT + _RUN * (run >= _PADDED)
    elif operation.projects:
        after = _PADDED + _RUN * (run == _BENT)
    elif operation.pads:
        after = max(run, _PADDED)
    else:
        after = max(run, _MOVED) if operation.label_effects.moves else run
    return state - run + after


def _inside(group: Group, state: int) -> int:
    """The highest state after the most steps that a group may choose, which are done in recipe order or in any."""
    if group.kind == "shuffled":
        return _in_any_order(group.children, state)
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


def _in_any_order(nodes: Sequence[Node], state: int) -> int:
    """The highest state after all of some steps in the worst order; of many, a bound that is no lower."""
    if len(nodes) > _MOST_ORDERED:
        return state + sum(max(_after(node, before) - before for before in range(_RUN)) for node in nodes)
    highest = {0: state}  # set of steps, as bits → the highest state after them
    for done in range(1, 2 ** len(nodes)):
        ends = [i for i in range(len(nodes)) if done >> i & 1]
        highest[done] = max(_after(nodes[i], highest[done - 2**i]) for i in ends)
    return highest[2 ** len(nodes) - 1]
