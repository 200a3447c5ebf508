"""Points through meshes by the definition alone: the textbook's B-spline at the nodes, linear between them."""

from __future__ import annotations

import functools

import numpy as np

from augpipe.pixels.steps.field import Field
from augpipe.pixels.steps.warp import Warp


@functools.cache
def _nodes(step):
    side, sizes = 8, step.mesh_wh
    while max(-(-w // side) + 1 for w in sizes) > 64:
        side *= 2
    weights = []
    for length, count in zip(sizes, step.grid_wh, strict=True):
        t = np.minimum(np.arange(-(-length // side) + 1) * side, length) * (count - 3) / length
        s = np.abs(t[:, None] - (np.arange(count) - 1))
        own = np.where(s < 1, (4 - 6 * s**2 + 3 * s**3) / 6, np.clip(2 - s, 0, None) ** 3 / 6)
        own[-1] = own[-2] + (own[-1] - own[-2]) * side / (length - (len(own) - 2) * side)
        weights.append(own)
    control = np.reshape(step.control, (step.grid_wh[1], step.grid_wh[0], 2)) / 64
    nodes = np.einsum("jb,ia,bak->jik", weights[1], weights[0], control)
    return np.floor(nodes * 1024 + 0.5) / 1024, side


def shown_at(step, points):
    """q + d(q) for points (N, 2) of the mesh's canvas."""
    nodes, side = _nodes(step)
    x, y = np.clip(points, 0, step.mesh_wh).T / side
    i, j = np.minimum(x.astype(int), nodes.shape[1] - 2), np.minimum(y.astype(int), nodes.shape[0] - 2)
    u, v = (x - i)[:, None], (y - j)[:, None]
    upper = nodes[j, i] + (nodes[j, i + 1] - nodes[j, i]) * u
    lower = nodes[j + 1, i] + (nodes[j + 1, i + 1] - nodes[j + 1, i]) * u
    return points + upper + (lower - upper) * v


def _through(matrix, points):
    x, y, w = np.reshape(matrix, (3, 3)) @ np.concatenate([points, np.ones((len(points), 1))], axis=1).T
    return np.stack([x / w, y / w], axis=1)


def back_through(steps, points):
    """Where points (N, 2) of the result lie in the source."""
    for step in reversed(steps):
        if isinstance(step, Field):
            points = _through(step.before, shown_at(step, _through(step.after, points)))
        elif isinstance(step, Warp):
            points = _through(np.linalg.inv(np.reshape(step.matrix, (3, 3))), points)
    return points


def moved_through(steps, points):
    """Where points (N, 2) of the source lie in the result: for meshes by small careful paces towards it."""
    points = np.asarray(points, float)
    for step in steps:
        if isinstance(step, Warp):
            points = _through(step.matrix, points)
        elif isinstance(step, Field):
            target = _through(np.linalg.inv(np.reshape(step.before, (3, 3))), points)
            found = target.copy()
            for _ in range(400):
                off = shown_at(step, found) - target
                found -= 0.7 * off
                if np.abs(off).max(initial=0) < 1e-8:
                    break
            assert np.abs(off).max(initial=0) < 1e-7
            points = _through(np.linalg.inv(np.reshape(step.after, (3, 3))), found)
    return points


def mirrors(steps):
    """Whether the moves turn left into right."""
    matrices = [
        m
        for s in steps
        for m in ([s.matrix] if isinstance(s, Warp) else [s.before, s.after] if isinstance(s, Field) else [])
    ]
    return sum(np.linalg.det(np.reshape(m, (3, 3))) < 0 for m in matrices) % 2 == 1


def dense(ring, apart=0.5):
    """A ring with points along its sides."""
    ring = np.asarray(ring, float)
    sides = zip(ring, np.roll(ring, -1, axis=0), strict=True)
    return np.concatenate([np.linspace(a, b, int(np.hypot(*(b - a)) / apart) + 1, endpoint=False) for a, b in sides])
