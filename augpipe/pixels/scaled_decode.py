"""What of a shrinking is left to JPEG's decoder, which reads a large photo in half the time then.

A plan that shrinks a picture has it reduced to means of blocks first. A JPEG holds blocks of 8×8 pixels as
frequencies, of which libjpeg makes 4×4, 2×2 or 1 pixel as well, from the lowest of them: a mean that is a little
sharper, and exactly the mean where one is left. So the blocks' sides are powers of two
(:mod:`augpipe.recipe.fuse`), and the decoder does up to 8 of them.

How much it does is a matter of a file's header and an output's own steps, not of other copies, which may have the same
picture decoded at another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from augpipe.core.annotations import Header
from augpipe.core.step import Step
from augpipe.pixels.backend import PictureJob

_BY_DECODER = (8, 4, 2)
_MODES = ("L", "RGB")  # others go another way through the decoder


def scale_denominator_of(header: Header, steps: Sequence[Step]) -> int:
    """The decoder makes the picture at one part in so many of its size for these steps: 1, 2, 4 or 8."""
    if header.format not in ("JPEG", "MPO") or header.mode not in _MODES or not steps:
        return 1
    sides: tuple[int, ...] = steps[0].reduction()
    if header.orientation != 1:
        # The last blocks may reach beyond the edge. Turned, they would be the first, and move all others.
        sides = (*sides, *header.stored_wh)
    return next((divisor for divisor in _BY_DECODER if all(side % divisor == 0 for side in sides)), 1)


def at_scale(steps: Sequence[Step], scale_denominator: int) -> tuple[Step, ...]:
    """The same steps for a picture that is decoded at 1/``scale_denominator`` of its size."""
    return tuple(steps) if scale_denominator == 1 else (steps[0].at_scale(scale_denominator), *steps[1:])


def by_scale(job: PictureJob) -> dict[int, list[int]]:
    """Scale denominator → indexes of the outputs that start from it; a job that has one already stays whole."""
    if job.scale_denominator != 1:
        return {job.scale_denominator: list(range(len(job.steps)))}
    found: dict[int, list[int]] = {}
    for i, steps in enumerate(job.steps):
        found.setdefault(scale_denominator_of(job.header, steps), []).append(i)
    return found


def part_of(job: PictureJob, scale_denominator: int, indexes: Sequence[int]) -> PictureJob:
    """The part of a job whose outputs start from the picture at 1/``scale_denominator`` of its size."""
    if job.scale_denominator == scale_denominator != 1:
        return job
    steps = tuple(at_scale(job.steps[i], scale_denominator) for i in indexes)
    return replace(job, scale_denominator=scale_denominator, steps=steps)
