"""A mesh that bends a canvas: whole numbers from its control points to every displacement, and the way forward.

A point q of the mesh's canvas shows what lies at q + d(q). d is bilinear between nodes; a node has the value there of
the uniform cubic B-spline of the control points. Outside its canvas the mesh goes on as at its edge.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np

from augpipe.core.annotations import F64, I64

UNIT = 1024
"""Parts of a pixel in which nodes and positions are counted."""

CONTROL_UNIT = 64
"""Parts of a pixel in which control points are counted."""

FEWEST, MOST = 4, 16
"""Control points in a row."""

_SPACINGS = range(3, 11)
_MOST_NODES = 64
_WEIGHT_BITS = 20  # weights of two directions and a control point of 16 bits fit into 64 bits
_MOST_CONTROL = 1 << 16  # 1024 pixels
_LEAST_JACOBIAN = 0.25
_ROUNDS, _NEAR = 60, 1e-9  # pixels


class Mesh(msgspec.Struct, frozen=True):
    """Displacements on a canvas of ``size_wh`` by ``grid_wh`` control points, (x, y) one after the other by rows."""

    size_wh: tuple[int, int]
    grid_wh: tuple[int, int]
    control: tuple[int, ...]

    def fault(self) -> str | None:
        """Why it is no mesh that has one answer for every label, in words; ``None`` if it is."""
        (w, h), (across, down) = self.size_wh, self.grid_wh
        if not (1 <= w <= 1 << 15 and 1 <= h <= 1 << 15):
            return f"a mesh on {w}×{h} pixels"
        if not (FEWEST <= across <= MOST and FEWEST <= down <= MOST) or len(self.control) != 2 * across * down:
            return f"{len(self.control)} numbers for {across}×{down} control points"
        if not all(-_MOST_CONTROL <= v <= _MOST_CONTROL for v in self.control):
            return "a control point that moves too far"
        return None if self.is_one_to_one else "a mesh that folds"

    @property
    def spacing(self) -> int:
        """The nodes lie 2 to the power of this many pixels apart: the least with at most 64 × 64 nodes."""
        return next(s for s in _SPACINGS if max(_counts(self.size_wh, s)) <= _MOST_NODES)

    @property
    def nodes(self) -> I64:
        """The displacements (down, across, 2) of the nodes, in 1/1024 pixel."""
        return _nodes(self)

    @property
    def is_one_to_one(self) -> bool:
        """Whether the Jacobian of q + d(q) is at least 1/4 in every cell, and beyond the canvas."""
        side = float(UNIT << self.spacing)
        across, down = np.diff(self.nodes, axis=1) / side, np.diff(self.nodes, axis=0) / side
        least = min(
            ((1.0 + x[..., 0]) * (1.0 + y[..., 1]) - x[..., 1] * y[..., 0]).min()
            for x in (across[:-1], across[1:])
            for y in (down[:, :-1], down[:, 1:])
        )
        beyond = min(1.0 + across[[0, -1], :, 0].min(), 1.0 + down[:, [0, -1], 1].min())
        return bool(min(least, beyond) >= _LEAST_JACOBIAN)

    def back(self, points_xy: F64) -> F64:
        """What points (..., 2) of the canvas show: q + d(q)."""
        return points_xy + self._bilinear(points_xy)[0]

    def forward(self, points_xy: F64) -> F64:
        """Where the points (..., 2) are shown: the q with q + d(q) = s, to 1e-9 pixels.

        By Newton's rounds in each point's cell, halved where they do not come nearer.
        """
        target = np.asarray(points_xy, np.float64).reshape(-1, 2)
        found = target - self._bilinear(target)[0]
        off, slopes = self._off(found, target)
        size, pace = np.hypot(*off.T), np.ones(len(found))
        for _ in range(_ROUNDS):
            if not (size > _NEAR).any():
                break
            (a, b), (c, d) = slopes
            step = np.stack([d * off[:, 0] - b * off[:, 1], a * off[:, 1] - c * off[:, 0]], axis=1)
            tried = found - step * (pace / (a * d - b * c))[:, None]
            tried_off, tried_slopes = self._off(tried, target)
            tried_size = np.hypot(*tried_off.T)
            better = (tried_size < size) | (pace < 1e-3)  # a tiny step past a kink
            pace = np.where(better, 1.0, pace / 2.0)
            found, off = np.where(better[:, None], tried, found), np.where(better[:, None], tried_off, off)
            slopes, size = np.where(better, tried_slopes, slopes), np.where(better, tried_size, size)
        return found.reshape(np.shape(points_xy))

    def _off(self, points_xy: F64, target_xy: F64) -> tuple[F64, F64]:
        """How far what points show lies from targets (N, 2), and the slopes (2, 2, N) of q + d(q) there."""
        moved, slopes = self._bilinear(points_xy)
        return points_xy + moved - target_xy, slopes + np.eye(2)[:, :, None]

    def _bilinear(self, points_xy: F64) -> tuple[F64, F64]:
        """d (..., 2) of points, and its slopes (2, 2, …): of x and of y, along x and along y."""
        nodes, side = self.nodes / UNIT, float(1 << self.spacing)
        inside = np.clip(np.nan_to_num(points_xy), 0.0, np.array(self.size_wh, np.float64))
        cells = np.minimum(np.floor(inside / side).astype(np.int64), np.array(nodes.shape[1::-1]) - 2)
        share = (inside / side - cells)[..., None]
        u, v = share[..., 0, :], share[..., 1, :]
        column, row = cells[..., 0], cells[..., 1]
        a, b = nodes[row, column], nodes[row, column + 1]
        c, d = nodes[row + 1, column], nodes[row + 1, column + 1]
        free = (inside == points_xy)[..., None]  # beyond the canvas d no longer changes
        along_x = ((b - a) * (1.0 - v) + (d - c) * v) / side * free[..., 0, :]
        along_y = ((c - a) * (1.0 - u) + (d - b) * u) / side * free[..., 1, :]
        moved: F64 = (a * (1.0 - u) + b * u) * (1.0 - v) + (c * (1.0 - u) + d * u) * v
        slopes: F64 = np.array([[along_x[..., 0], along_y[..., 0]], [along_x[..., 1], along_y[..., 1]]])
        return moved, slopes


def _counts(size_wh: tuple[int, int], spacing: int) -> tuple[int, int]:
    """Nodes across and down: the last ones lie at the far edges or beyond."""
    w, h = size_wh
    return ((w - 1) >> spacing) + 2, ((h - 1) >> spacing) + 2


@lru_cache(maxsize=64)
def _nodes(mesh: Mesh) -> I64:
    (w, h), (across, down) = mesh.size_wh, mesh.grid_wh
    columns, rows = _counts(mesh.size_wh, mesh.spacing)
    control = np.array(mesh.control, np.int64).reshape(down, across, 2)
    right, lower = _weights(columns, mesh.spacing, w, across), _weights(rows, mesh.spacing, h, down)
    exact = np.tensordot(np.tensordot(lower, control, 1), right, (1, 1)).transpose(0, 2, 1)
    shift = 2 * _WEIGHT_BITS + CONTROL_UNIT.bit_length() - UNIT.bit_length()
    out: I64 = (exact + (1 << (shift - 1))) >> shift
    out.setflags(write=False)
    return out


def _weights(count: int, spacing: int, length: int, controls: int) -> I64:
    """The B-spline's weights (nodes, control points) in 2⁻²⁰, with one control point beyond each edge.

    They are rounded half up, but for the greatest, which is what the others leave of 1. A node beyond the edge lies on
    the line through the node before it and the edge, so that the edge has its own value.
    """
    out = np.zeros((count, controls), np.int64)
    cells = controls - 3
    for i in range(count):
        place = min(i << spacing, length) * cells  # in 1/length of a cell
        first = min(place // length, cells - 1)
        u, n = place - first * length, length
        parts = (
            (n - u) ** 3,
            3 * u**3 - 6 * u * u * n + 4 * n**3,
            -3 * u**3 + 3 * u * u * n + 3 * u * n * n + n**3,
            u**3,
        )
        shares = [((part << (_WEIGHT_BITS + 1)) + 6 * n**3) // (12 * n**3) for part in parts]
        most = shares.index(max(shares))
        shares[most] += (1 << _WEIGHT_BITS) - sum(shares)
        out[i, first : first + 4] = shares
    inside = length - ((count - 2) << spacing)  # pixels from the node before the edge to the edge
    if inside < 1 << spacing:
        last, edge = out[-2], out[-1].copy()
        out[-1] = (2 * (last * inside + ((edge - last) << spacing)) + inside) // (2 * inside)
        out[-1, out[-1].argmax()] += (1 << _WEIGHT_BITS) - out[-1].sum()
    return out
