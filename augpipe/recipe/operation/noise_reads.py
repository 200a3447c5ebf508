"""Where in the noise bank an operation reads."""

from __future__ import annotations

from augpipe.core.rng import OpRng
from augpipe.pixels.steps.noise import LENGTH, Read

_LAST = LENGTH - 1


def drawn_reads(rng: OpRng, suffix: str = "") -> tuple[Read, ...]:
    """Two reads; ``suffix`` stands behind the names of the numbers that are drawn for them."""
    return tuple(
        (
            rng.integer(f"place{i}{suffix}", 0, _LAST),
            rng.integer(f"step{i}{suffix}", 0, _LAST),
            rng.integer(f"growth{i}{suffix}", 1, _LAST),
        )
        for i in range(2)
    )
