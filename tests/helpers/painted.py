"""Labels painted on a fine canvas and moved point by point in float64: slow and plain, with nothing of the product.

Two ways to the same truth. *Painting* fills a canvas of 4×4 samples a pixel and looks every output sample up in it.
*Particles* are the same samples sent forward, with the area that each stands for, so that what leaves the frame, is
cut by bars or painted over can be counted.
"""

from __future__ import annotations

import numpy as np

from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.warp import Warp

FINE = 4


def fill(rings, size_wh, fine=FINE):
    """The union of rings, each by the even-odd rule at sample centres: bool (H·fine, W·fine)."""
    w, h = np.multiply(size_wh, fine)
    out = np.zeros((h, w), bool)
    for ring in rings:
        points = np.asarray(ring, float) * fine - 0.5  # in indexes of samples
        x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int), 0, (w, h))
        x1, y1 = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, (w, h))
        if x1 > x0 and y1 > y0:
            out[y0:y1, x0:x1] |= _inside(points, np.arange(x0, x1), np.arange(y0, y1)[:, None])
    return out


def _inside(points, x, y):
    """Whether a ray to the right crosses an odd number of edges (W. R. Franklin, PNPOLY), for each point of a grid."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    for one, other in zip(points, np.roll(points, -1, axis=0), strict=True):
        (x0, y0), (x1, y1) = sorted((tuple(one), tuple(other)), key=lambda point: point[::-1])  # so that a line cancels
        if y0 < y1:
            rows = slice(*np.searchsorted(y[:, 0], (y0, y1)))
            inside[rows] ^= x < x0 + (y[rows] - y0) / (y1 - y0) * (x1 - x0)
    return inside


def enlarged(bitmap, fine=FINE):
    """A pixel mask on the fine canvas."""
    return np.kron(np.asarray(bitmap, bool), np.ones((fine, fine), bool))


def looked_up(canvas, matrix, size_wh, fine=FINE, window=None):
    """A fine canvas through a map by inverse mapping: the sample that each output sample's source point lies in."""
    x0, y0, x1, y1 = window or (0, 0, *size_wh)
    xs, ys = (np.arange(x0 * fine, x1 * fine) + 0.5) / fine, (np.arange(y0 * fine, y1 * fine) + 0.5) / fine
    x, y = np.meshgrid(xs, ys)
    # A matrix that is negative as a whole is the same map, but its sign says what lies in front.
    back = np.linalg.inv(np.reshape(matrix, (3, 3)))
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in back)
    front = w > 1e-9
    column, row = (np.floor(np.where(front, q / np.where(front, w, 1.0), -1.0) * fine) for q in (u, v))
    inside = front & (column >= 0) & (column < canvas.shape[1]) & (row >= 0) & (row < canvas.shape[0])
    out = np.zeros(x.shape, canvas.dtype)
    out[inside] = canvas[row[inside].astype(int), column[inside].astype(int)]
    return out


def in_convex(points_xy, region):
    """Which points lie in a convex region."""
    region = np.asarray(region, float).reshape(-1, 2)
    if len(region) < 3:
        return np.zeros(len(points_xy), bool)
    x, y = points_xy.T
    sides = []
    for (ax, ay), (bx, by) in zip(region, np.roll(region, -1, axis=0), strict=True):
        sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
    return np.all(np.array(sides) >= 0, axis=0) | np.all(np.array(sides) <= 0, axis=0)


class Particles:
    """Samples of a source mask on their way through the steps of a plan.

    ``xy`` are canvas points, ``weight`` the canvas area that each stands for, ``shown`` those that no canvas and no
    bar has cut so far, ``bare`` those of them that nothing was painted over.
    """

    def __init__(self, canvas, fine=FINE, origin=(0, 0)):
        rows, columns = np.nonzero(canvas)
        self.xy = (np.stack([columns, rows], axis=1) + 0.5) / fine + np.array(origin)
        self.weight = np.full(len(rows), 1.0 / fine**2)
        self.shown = np.ones(len(rows), bool)
        self.bare = np.ones(len(rows), bool)

    def through(self, steps):
        for step in steps:
            if isinstance(step, Warp):
                self._move(step.matrix, step.size_wh)
            elif isinstance(step, PadFill):
                self.shown &= in_convex(self.xy, step.region)
            elif isinstance(step, Cutout):
                for x0, y0, x1, y1 in step.boxes_xyxy:
                    x, y = self.xy.T
                    self.bare &= ~((x >= x0) & (x < x1) & (y >= y0) & (y < y1))
        return self

    def _move(self, matrix, size_wh):
        m = np.reshape(matrix, (3, 3))
        x, y, depth = (row[0] * self.xy[:, 0] + row[1] * self.xy[:, 1] + row[2] for row in m)
        front = depth > 1e-3  # what is behind has no image and no area
        depth = np.where(front, depth, 1.0)
        self.xy = np.stack([x, y], axis=1) / depth[:, None]
        self.weight = np.where(front, self.weight * abs(np.linalg.det(m)) / depth**3, 0.0)
        x, y = self.xy.T
        self.shown &= front & (x >= 0) & (x < size_wh[0]) & (y >= 0) & (y < size_wh[1])

    @property
    def in_frame(self):
        return self.weight[self.shown].sum() / self.weight.sum()

    @property
    def visible(self):
        return self.weight[self.shown & self.bare].sum() / self.weight.sum()

    @property
    def area(self):
        return self.weight[self.shown].sum()

    @property
    def box(self):
        """Around what is shown; ``None`` if nothing is."""
        seen = self.xy[self.shown]
        return np.concatenate([seen.min(axis=0), seen.max(axis=0)]) if len(seen) else None


def box_of(canvas, fine=FINE, origin=(0, 0)):
    """The box of a fine canvas in pixels; ``None`` if it is empty."""
    rows, columns = np.flatnonzero(canvas.any(axis=1)), np.flatnonzero(canvas.any(axis=0))
    if not rows.size:
        return None
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / fine
    return box + np.array([*origin, *origin])


def perimeter(mask):
    """Number of pixel sides between a mask and the rest."""
    padded = np.pad(np.asarray(mask, bool), 1)
    return int((padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum())
