"""Moves that bend lines, by a mesh: elastic, the cuts of a grid, the lens. The canvas keeps its size."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from augpipe.core.annotations import F64
from augpipe.core.mesh import CONTROL_UNIT, FEWEST, MOST, Mesh
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import MeshEffect, Operation, OpInput, OpResult, values
from augpipe.recipe.operation.label_effects import MAP
from augpipe.recipe.operation.params import Pair, between, span, whole

_PARTS = 16  # of the strength, by which a mesh that folds is weakened
_LENS_NODES = 9  # in a row
_GRID_NODES = 16


class Elastic(Operation):
    """Bend the picture smoothly: control points move at random, with a spline between them."""

    bends = True
    label_effects = MAP
    example = "elastic: {strength: [0.01, 0.03]}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, between(0, 0.2)] = Field(
        (0.01, 0.03), description="how far control points move at most, as a fraction of the shorter side"
    )
    nodes: Annotated[int, whole(FEWEST, MOST)] = Field(7, description="control points in a row")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        strength = rng.uniform("strength", self.strength)
        most, count = strength * min(canvas.size_wh), 2 * self.nodes * self.nodes
        control = np.array([rng.uniform(f"c{i}", (-most, most)) for i in range(count)])
        return _bent(
            canvas, (self.nodes, self.nodes), control.reshape(self.nodes, self.nodes, 2), {"strength": strength}
        )


class GridDistortion(Operation):
    """Widen and narrow strips of columns and of rows, each axis for itself."""

    bends = True
    label_effects = MAP
    example = "grid_distortion: {limit: 0.3}"
    neutral = values(limit=(0.0, 0.0))

    steps: Annotated[int, whole(2, 12)] = Field(5, description="strips across, and down")
    limit: Annotated[Pair, span(0.5)] = Field((-0.3, 0.3), description="change of each strip's width")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        shares = [self._cuts(rng, axis) for axis in "xy"]
        (w, h), n = canvas.size_wh, _GRID_NODES
        x, y = (_moved_by(cuts, _places(n)) for cuts in shares)
        control = np.stack([np.tile(x * w, (n, 1)), np.tile(y[:, None] * h, (1, n))], axis=2)
        drawn = {name: cuts[1].tolist() for name, cuts in zip(("columns", "rows"), shares, strict=True)}
        return _bent(canvas, (n, n), control, drawn)

    def _cuts(self, rng: OpRng, axis: str) -> tuple[F64, F64]:
        """Where the cuts lie on the canvas, and where they lie in the picture, as shares of the side."""
        widths = np.array([1.0 + rng.uniform(f"{axis}{i}", self.limit) for i in range(self.steps)])
        ends = np.concatenate([[0.0], np.cumsum(widths)])
        return np.linspace(0.0, 1.0, self.steps + 1), ends / ends[-1]


class OpticalDistortion(Operation):
    """Bend the picture as a lens does: distance r shows r·(1 + k·r²), in half diagonals; k above 0 makes barrels."""

    bends = True
    label_effects = MAP
    example = "optical_distortion: {k: 0.3}"
    neutral = values(k=(0.0, 0.0))

    k: Annotated[Pair, span(0.6)] = Field((-0.3, 0.3), description="change of the distance at the corners")
    center: Annotated[Pair, span(0.5)] = Field(
        (-0.05, 0.05), description="shift of the lens from the middle, as a fraction of the side, drawn for each axis"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        k, x, y = rng.uniform("k", self.k), rng.uniform("x", self.center), rng.uniform("y", self.center)
        (w, h), n = canvas.size_wh, _LENS_NODES
        square = (w * w + h * h) / 4.0
        # d = (p − c)·k·r² is a sum of products of a power of x and a power of y.
        x1, x2, x3 = (_power(n, 0.5 + x, w, power) for power in (1, 2, 3))
        y1, y2, y3 = (_power(n, 0.5 + y, h, power) for power in (1, 2, 3))
        ones = np.ones(n)
        control = np.stack(
            [np.outer(ones, x3) + np.outer(y2, x1), np.outer(y1, x2) + np.outer(y3, ones)], axis=2
        ) * (k / square)  # fmt: skip
        return _bent(canvas, (n, n), control, {"k": k, "center": [x, y]})


def _places(count: int) -> F64:
    """Where control points lie, as shares of the side; the first and the last lie beyond it."""
    out: F64 = (np.arange(count) - 1.0) / (count - 3)
    return out


def _moved_by(cuts: tuple[F64, F64], places: F64) -> F64:
    """How far the cuts move places, as shares of the side; mirrored at the edges, which stay where they are."""
    inside = np.where(places < 0.0, -places, np.where(places > 1.0, 2.0 - places, places))
    moved: F64 = np.interp(inside, *cuts) - inside
    return np.where(inside == places, moved, -moved)


def _power(count: int, center: float, side: int, power: int) -> F64:
    """Control values (count) whose cubic B-spline is ((t − center)·side)^power, exactly, for powers up to 3.

    By the blossom of a cubic: three neighbouring knots take the places of its variable.
    """
    unit = 1.0 / (count - 3)
    at = _places(count) - center
    powers = (at, at * at - unit * unit / 3.0, at**3 - at * unit * unit)
    out: F64 = powers[power - 1] * float(side) ** power
    return out


def _bent(canvas: OpInput, grid_wh: tuple[int, int], control_xy: F64, drawn: dict[str, object]) -> OpResult:
    """The mesh of control points (down, across, 2) in pixels, weakened by sixteenths until it does not fold."""
    for part in range(_PARTS, 0, -1):
        scaled = np.floor(control_xy * (CONTROL_UNIT * part / _PARTS) + 0.5).astype(int)
        mesh = Mesh(canvas.size_wh, grid_wh, tuple(scaled.ravel().tolist()))
        if scaled.any() and mesh.fault() is None:
            more = {} if part == _PARTS else {"weakened": part / _PARTS}
            return OpResult((MeshEffect(mesh),), {**drawn, **more})
    return OpResult((), {**drawn, "weakened": 0.0})
