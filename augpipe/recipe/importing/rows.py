"""What a row of the tables of transforms is, and the arithmetic of ranges that the rows share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from augpipe.recipe.importing.given import ASSUMED_SIDE, Given, Pair

Step: TypeAlias = tuple[str, dict[str, Any]]
"""(operation, its parameters)."""
Value: TypeAlias = Callable[[Given], Any]
"""A parameter of ours from theirs; ``None`` leaves it out."""


@dataclass(frozen=True)
class Row:
    """How one transform is written here.

    Attributes:
        steps: makes the steps of the parameters.
        near: what is different, always; what depends on the parameters is noted while they are read.
        always: whether p is 1 where a file does not say it, and not 0.5.
        moves: whether it asks for a border.
    """

    steps: Callable[[Given], Sequence[Step]]
    near: str = ""
    always: bool = False
    moves: bool = False


def row(
    operation: str,
    near: str = "",
    *,
    always: bool = False,
    moves: bool = False,
    quiet: str = "",
    **values: Value,
) -> Row:
    """A row of one step; ``quiet`` are names of theirs that are not to be told of."""

    def steps(given: Given) -> Sequence[Step]:
        given.quiet(*quiet.split())
        made = {name: value(given) for name, value in values.items()}
        return [(operation, {name: value for name, value in made.items() if value is not None})]

    return Row(steps, near, always, moves)


# --- arithmetic of ranges --------------------------------------------------------------------------------------------


def times(pair: Pair, factor: float) -> Pair:
    """Both ends times a factor; of a negative one they change places."""
    low, high = pair[0] * factor + 0.0, pair[1] * factor + 0.0  # no −0.0
    return (low, high) if low <= high else (high, low)


def plus(pair: Pair, offset: float) -> Pair:
    """Both ends and an offset."""
    return pair[0] + offset, pair[1] + offset


def whole(pair: Pair) -> tuple[int, int]:
    """Both ends rounded."""
    return round(pair[0]), round(pair[1])


def within(given: Given, what: str, pair: Pair, low: float, high: float) -> Pair:
    """The pair cut to what a parameter takes here, and a note if that changed it."""
    cut = (min(max(pair[0], low), high), min(max(pair[1], low), high))
    if cut != pair:
        given.note(f"{what} is {low:g} to {high:g} here")
    return cut


def odd(given: Given, what: str, pair: Pair, most: int) -> tuple[int, int]:
    """Odd sides of kernels; an even one becomes the next one up, and what is beyond ``most`` becomes that."""
    low, high = (int(side) | 1 for side in within(given, what, pair, 1, most))
    return low, high


def shares(given: Given, pair: Pair, *, whole_is_pixels: bool = True) -> Pair:
    """Lengths as shares of a side: those above 1 are pixels, of a side that is assumed."""
    if pair[1] <= 1.0 and not (whole_is_pixels and isinstance(pair[1], int)):
        return pair
    given.note(f"pixels are written as shares of a side of {ASSUMED_SIDE}")
    return min(1.0, pair[0] / ASSUMED_SIDE), min(1.0, pair[1] / ASSUMED_SIDE)


def sigma_of_kernel(side: float) -> float:
    """The standard deviation that OpenCV takes for a Gaussian kernel of that side (cv2.getGaussianKernel)."""
    return 0.3 * ((side - 1.0) * 0.5 - 1.0) + 0.8


def roots(pair: Pair) -> Pair:
    """Standard deviations of variances."""
    return math.sqrt(max(0.0, pair[0])), math.sqrt(max(0.0, pair[1]))
