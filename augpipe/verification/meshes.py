"""Meshes of displacements in float64, by no code of what is checked: the way back by the spline, forward by trying."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.mesh import Mesh

_MOST_NODES = 64
_TRIES = 80
_NEAR = 1e-7  # pixels
_STEP = 1e-3  # pixels, between the points whose difference is a slope


@lru_cache(maxsize=16)
def _nodes(mesh: Mesh) -> tuple[F64, float]:
    """(displacements of the nodes in pixels, to 1/1024; pixels between nodes)."""
    side = 8
    while max((length - 1) // side + 2 for length in mesh.size_wh) > _MOST_NODES:
        side *= 2
    weights = []
    for length, count in zip(mesh.size_wh, mesh.grid_wh, strict=True):
        places = np.minimum(np.arange((length - 1) // side + 2) * side, length) / length * (count - 3)
        apart = np.abs(places[:, None] + 1.0 - np.arange(count))
        near, far = 2.0 / 3.0 - apart**2 + apart**3 / 2.0, np.maximum(2.0 - apart, 0.0) ** 3 / 6.0
        own = np.where(apart < 1.0, near, far)
        own[-1] = own[-2] + (own[-1] - own[-2]) * side / (length - (len(own) - 2) * side)  # a line through the edge
        weights.append(own)
    control = np.array(mesh.control, np.float64).reshape(mesh.grid_wh[1], mesh.grid_wh[0], 2) / 64.0
    nodes = np.stack([weights[1] @ control[:, :, k] @ weights[0].T for k in (0, 1)], axis=2)
    return np.rint(nodes * 1024.0) / 1024.0, float(side)


def shown_at(mesh: Mesh, points_xy: F64) -> F64:
    """What points (N, 2) of the bent canvas show of the canvas before."""
    nodes, side = _nodes(mesh)
    u, v = (np.clip(points_xy[:, k], 0.0, mesh.size_wh[k]) / side for k in (0, 1))
    i, j = np.minimum(u.astype(int), nodes.shape[1] - 2), np.minimum(v.astype(int), nodes.shape[0] - 2)
    moved = np.zeros(points_xy.shape)
    for right in (0, 1):
        for lower in (0, 1):
            share = (1.0 - np.abs(u - i - right)) * (1.0 - np.abs(v - j - lower))
            moved += nodes[j + lower, i + right] * share[:, None]
    out: F64 = points_xy + moved
    return out


def _slopes(mesh: Mesh, points_xy: F64) -> F64:
    """How what points show moves as they move: (N, 2, 2), a column for each axis."""
    steps = ((_STEP, 0.0), (0.0, _STEP))
    ways = [(shown_at(mesh, points_xy + step) - shown_at(mesh, points_xy - step)) / (2 * _STEP) for step in steps]
    return np.stack(ways, axis=2)


def placed(mesh: Mesh, points_xy: F64) -> tuple[F64, F64]:
    """(where points (N, 2) are shown on the bent canvas, how much an area about each grows)."""
    found = points_xy - (shown_at(mesh, points_xy) - points_xy)
    best, least = found, np.full(len(found), np.inf)
    pace = np.ones(len(found))
    for _ in range(_TRIES):
        off = shown_at(mesh, found) - points_xy
        size = np.abs(off).max(axis=1, initial=0.0)
        nearer = size < least
        best, least = np.where(nearer[:, None], found, best), np.where(nearer, size, least)
        if not (least > _NEAR).any():
            break
        pace = np.where(nearer, 1.0, pace / 2.0)
        off = shown_at(mesh, best) - points_xy
        (a, b), (c, d) = np.moveaxis(_slopes(mesh, best), 0, -1)
        step = np.stack([d * off[:, 0] - b * off[:, 1], a * off[:, 1] - c * off[:, 0]], axis=1)
        found = best - step * (pace / (a * d - b * c))[:, None]
    (a, b), (c, d) = np.moveaxis(_slopes(mesh, best), 0, -1)
    return best, 1.0 / np.abs(a * d - b * c)
