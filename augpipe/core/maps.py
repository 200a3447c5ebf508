"""Where the points of a picture go on a canvas.

Labels and fusion use a map by its protocol; :class:`MatrixMap` is the one there is. A map that bends lines needs no
other code in them: they cut straight sides into pieces of its ``straight_length``.
"""

from __future__ import annotations

import math
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.geometry import (
    IDENTITY,
    NEAREST,
    Matrix,
    Point,
    Region,
    depth,
    determinant,
    in_front,
    inverse,
    is_affine,
    is_exact,
    move_points,
    then,
)


class Map(Protocol):
    """A map of the plane, from source points to canvas points."""

    @property
    def is_exact(self) -> bool:
        """Whether it only flips, turns by quarters and moves by whole pixels, so that pixels can be copied."""

    @property
    def is_similar(self) -> bool:
        """Whether rectangles stay rectangles of the same shape."""

    @property
    def is_affine(self) -> bool:
        """Whether parallel lines stay parallel; every point then has an image."""

    @property
    def straight_length(self) -> float:
        """Pixels of the longest source line whose image may be taken as straight; infinite if all are."""

    @property
    def mirrors(self) -> bool:
        """Whether it turns left into right."""

    def then(self, matrix: Matrix) -> Map:
        """This map, and ``matrix`` after it."""

    def has_image(self, points_xy: F64) -> NDArray[np.bool_]:
        """Which source points (..., 2) have an image."""

    def part_with_image(self, region: Region) -> Region:
        """The part of a convex region of the source that has an image."""

    def forward(self, points_xy: F64) -> F64:
        """Source points (..., 2) on the canvas. Each must have an image."""

    def back(self, points_xy: F64) -> F64:
        """Canvas points (..., 2) in the source; NaN where a point is no image of any.

        Raises:
            ZeroDivisionError: the map has no inverse.
        """

    def local_scale(self, at: Point) -> tuple[float, float]:
        """How far the source moves, in its x and its y, when a canvas point near ``at`` moves by one pixel.

        Values above 1 mean that the picture shrinks; NaN where ``at`` is no image of any point.

        Raises:
            ZeroDivisionError: the map has no inverse.
        """


class MatrixMap(msgspec.Struct, frozen=True):
    """A projective map by its matrix. Points behind its horizon have no image."""

    matrix: Matrix = IDENTITY

    @property
    def is_exact(self) -> bool:
        return is_exact(self.matrix)

    @property
    def is_similar(self) -> bool:
        a, b, _, d, e, _ = self.matrix[:6]
        size = a * a + d * d
        same_shape = math.isclose(size, b * b + e * e, rel_tol=1e-5) and abs(a * b + d * e) <= 1e-5 * size
        return self.is_affine and same_shape

    @property
    def is_affine(self) -> bool:
        return is_affine(self.matrix)

    @property
    def straight_length(self) -> float:
        return math.inf

    @property
    def mirrors(self) -> bool:
        return determinant(self.matrix) < 0.0

    def then(self, matrix: Matrix) -> MatrixMap:
        return MatrixMap(then(self.matrix, matrix))

    def has_image(self, points_xy: F64) -> NDArray[np.bool_]:
        return depth(self.matrix, points_xy) >= NEAREST

    def part_with_image(self, region: Region) -> Region:
        return in_front(self.matrix, region)

    def forward(self, points_xy: F64) -> F64:
        return move_points(self.matrix, points_xy)

    def back(self, points_xy: F64) -> F64:
        matrix = inverse(self.matrix)
        if is_affine(matrix):
            return move_points(matrix, points_xy)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(depth(matrix, points_xy)[..., None] > 0.0, move_points(matrix, points_xy), np.nan)

    def local_scale(self, at: Point) -> tuple[float, float]:
        back = inverse(self.matrix)
        w = back[6] * at[0] + back[7] * at[1] + back[8]
        if w <= 0.0:
            return math.nan, math.nan
        x, y = move_points(back, np.array(at)).tolist()
        dx = ((back[0] - x * back[6]) / w, (back[1] - x * back[7]) / w)
        dy = ((back[3] - y * back[6]) / w, (back[4] - y * back[7]) / w)
        return math.hypot(*dx), math.hypot(*dy)


UNMOVED = MatrixMap()
