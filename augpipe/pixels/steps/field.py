"""Resampling through a mesh that bends the picture."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.color import fill_levels
from augpipe.core.errors import Reject
from augpipe.core.geometry import IDENTITY, Matrix, inverse, is_affine
from augpipe.core.mesh import Mesh
from augpipe.core.plan import (
    LONGEST_SIDE,
    Border,
    CanvasChange,
    Pass,
    Pixels,
    Rgb,
    SharedSource,
    Step,
    fault_of_fill,
    register,
)
from augpipe.pixels.reference import color_for, rounded
from augpipe.pixels.steps.warp import BORDERS, interpolated, means_of_blocks

MOST_SLOPE, MOST_OFFSET = 127, 1 << 20
"""Bounds of the numbers of an affine map before or behind a mesh; with them all positions fit into 64 bits."""

_MOST_REDUCED = 64


@register
class Field(Step, frozen=True):
    """Resample the picture through a mesh, once, with the affine moves before and behind it.

    ``before`` and ``after`` are backward maps on the grid of 2⁻²⁰, affine. An output pixel's centre p goes to q =
    ``after``·p on the canvas of the mesh, rounded to 1/1024 pixel, then to q + d(q), with d bilinear between the nodes
    of the mesh and rounded to 1/1024, then to ``before``·(q + d(q)) in the source, rounded to 1/32 pixel; all half up.
    The mesh is that of :class:`augpipe.core.mesh.Mesh`; it does not fold. There the picture is interpolated as by
    :class:`augpipe.pixels.steps.warp.Warp`, of which ``border``, ``fill`` and ``reduce`` are; the sides of blocks are
    powers of two, and no decoder makes them.
    """

    since: ClassVar[int] = 2

    mesh_wh: tuple[int, int]
    grid_wh: tuple[int, int]
    control: tuple[int, ...]
    size_wh: tuple[int, int]
    before: Matrix = IDENTITY
    after: Matrix = IDENTITY
    border: Border = "constant"
    fill: Rgb = (0, 0, 0)
    reduce: tuple[int, int] = (1, 1)

    @property
    def mesh(self) -> Mesh:
        """Its mesh."""
        return Mesh(self.mesh_wh, self.grid_wh, self.control)

    def fault(self, most_pixels: int) -> str | None:
        w, h = self.size_wh
        if not (1 <= w <= LONGEST_SIDE and 1 <= h <= LONGEST_SIDE and w * h <= most_pixels):
            return f"a canvas of {w}×{h}"
        if not all(1 <= k <= _MOST_REDUCED and k & (k - 1) == 0 for k in self.reduce):
            return f"reduced by {self.reduce}"
        for matrix in (self.before, self.after):
            if not can_be_beside(matrix):
                return "a matrix that is none for a mesh"
        return self.mesh.fault() or fault_of_fill(self.fill)

    def canvas_change(self) -> CanvasChange:
        return CanvasChange(inverse(self.before), self.size_wh, mesh=self.mesh, after=inverse(self.after))

    def _require_reachable(self, size_wh: tuple[int, int]) -> None:
        longest = max(size_wh)
        if longest > LONGEST_SIDE:
            message = f"a side of {longest} pixels; expected at most {LONGEST_SIDE} for a warp"
            raise Reject("pixels", "too-large", message)

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        from augpipe.pixels.bend import bent
        from augpipe.pixels.resample import block_means

        self._require_reachable(picture.shape[1::-1])
        fill = fill_levels(self.fill, 1 if picture.ndim == 2 else 3)[::-1]
        if self.reduce != (1, 1):
            picture = block_means(picture, self.reduce) if source is None else source.means(self.reduce)
        return bent(picture, self.before, self.mesh, self.after, self.size_wh, self.border, fill, self.reduce)

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        from augpipe.pixels.bend import on_grid

        self._require_reachable(size_wh)
        if self.reduce != (1, 1):
            (w, h), (kx, ky) = size_wh, self.reduce
            source_wh, size_wh = size_wh, (-(-w // kx), -(-h // ky))
            yield Pass("means", source_wh, size_wh, channels, head=struct.pack("<iif", kx, ky, 1.0 / (kx * ky)))
        mesh = self.mesh
        down, across = mesh.nodes.shape[:2]
        shifts = [side.bit_length() - 1 for side in self.reduce]
        numbers = struct.pack("<12q", *on_grid(self.after), *on_grid(self.before))
        yield Pass(
            "warp_mesh",
            size_wh,
            self.size_wh,
            channels,
            head=struct.pack("<7i", mesh.spacing, across, down, *mesh.size_wh, *shifts),
            table=numbers + mesh.nodes.astype("<i4").tobytes(),
            border=BORDERS[self.border],
            fill=fill_levels(self.fill, channels),
        )

    def reference(self, levels: F64) -> F64:
        x, y = _source_places(self)
        kx, ky = self.reduce
        # Half a pixel from points to indexes of pixel centres, then half a step of the grid of 1/32 to round.
        x, y = np.floor((x / kx - 0.5) * 32.0 + 0.5) / 32.0, np.floor((y / ky - 0.5) * 32.0 + 0.5) / 32.0
        everywhere = np.ones(x.shape, bool)
        fill = color_for(levels, self.fill)
        return rounded(interpolated(means_of_blocks(levels, kx, ky), x, y, everywhere, self.border, fill))


def can_be_beside(matrix: Matrix) -> bool:
    """Whether a backward map can stand before or behind a mesh: affine, on the grid, within bounds, with an inverse."""
    if len(matrix) != 9 or not all(map(math.isfinite, matrix)) or not is_affine(matrix):
        return False
    a, b, c, d, e, f = matrix[:6]
    bounded = max(map(abs, (a, b, d, e))) <= MOST_SLOPE and max(abs(c), abs(f)) <= MOST_OFFSET
    return bounded and all((v * 2**20).is_integer() for v in matrix[:6]) and a * e - b * d != 0.0


# --- reference -------------------------------------------------------------------------------------------------------


def _source_places(field: Field) -> tuple[F64, F64]:
    """Where each pixel centre of the canvas comes from: x and y (H, W), in float64, in which all but sums are exact."""
    width, height = field.size_wh
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    a, b, c, d, e, f = field.after[:6]
    x, y = _to_1024ths(a * x + b * y + c), _to_1024ths(d * x + e * y + f)
    nodes, side = _spline_nodes(field), 2.0**field.mesh.spacing
    u, v = np.clip(x, 0, field.mesh_wh[0]) / side, np.clip(y, 0, field.mesh_wh[1]) / side
    column, row = np.minimum(u.astype(int), nodes.shape[1] - 2), np.minimum(v.astype(int), nodes.shape[0] - 2)
    u, v = (u - column)[..., None], (v - row)[..., None]
    moved = (
        nodes[row, column] * (1 - u) * (1 - v)
        + nodes[row, column + 1] * u * (1 - v)
        + nodes[row + 1, column] * (1 - u) * v
        + nodes[row + 1, column + 1] * u * v
    )
    x, y = x + _to_1024ths(moved[..., 0]), y + _to_1024ths(moved[..., 1])
    a, b, c, d, e, f = field.before[:6]
    return a * x + b * y + c, d * x + e * y + f


def _to_1024ths(values: F64) -> F64:
    out: F64 = np.floor(values * 1024.0 + 0.5) / 1024.0
    return out


def _spline_nodes(field: Field) -> F64:
    """The nodes (down, across, 2) in pixels: a sum over the control points around each, by their weights."""
    across, down = field.grid_wh
    control = np.array(field.control, object).reshape(down, across, 2)
    step = 2**field.mesh.spacing
    columns, rows = (_node_weights(length, step, n) for length, n in zip(field.mesh_wh, field.grid_wh, strict=True))
    out = np.zeros((len(rows), len(columns), 2))
    for j, lower in enumerate(rows):
        for i, right in enumerate(columns):
            total = sum(wy * wx * control[n, m] for n, wy in lower.items() for m, wx in right.items())
            out[j, i] = [(value + 2**35) // 2**36 / 1024.0 for value in total]  # from 1/64 · 2⁻⁴⁰ pixel
    return out


def _node_weights(length: int, step: int, controls: int) -> list[dict[int, int]]:
    """For each node the weights of four control points in 2⁻²⁰, rounded half up; the first greatest fills up to 1."""
    found = []
    for i in range((length - 1) // step + 2):
        place = Fraction(min(i * step, length) * (controls - 3), length)  # control point k lies at k − 1
        first = min(int(place), controls - 4)
        weights = {k: math.floor(_spline(place - (k - 1)) * 2**20 + Fraction(1, 2)) for k in range(first, first + 4)}
        weights[max(weights, key=weights.__getitem__)] += 2**20 - sum(weights.values())
        found.append(weights)
    inside = length - (len(found) - 2) * step  # to the edge, from which the last node lies on a line
    if inside < step:
        last, edge = ([weights.get(k, 0) for k in range(controls)] for weights in found[-2:])
        line = [p + Fraction((e - p) * step, inside) for p, e in zip(last, edge, strict=True)]
        beyond = {k: math.floor(value + Fraction(1, 2)) for k, value in enumerate(line)}
        beyond[max(beyond, key=beyond.__getitem__)] += 2**20 - sum(beyond.values())
        found[-1] = beyond
    return found


def _spline(apart: Fraction) -> Fraction:
    """The cubic B-spline at a distance from its middle."""
    t = abs(apart)
    return (4 - 6 * t * t + 3 * t**3) / 6 if t < 1 else max(2 - t, Fraction(0)) ** 3 / 6
