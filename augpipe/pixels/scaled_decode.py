"""The part of a reduction that a JPEG decoder makes, which halves the time of reading a large photo.

A plan that shrinks a picture reduces it to means of blocks first. A JPEG stores blocks of 8×8 pixels as frequencies,
and libjpeg decodes them as 4×4, 2×2 or 1 pixel from the lowest: a slightly sharper mean, and the exact one for 1 pixel.
So the sides of blocks are powers of two (:mod:`augpipe.recipe.fuse`), and the decoder makes a factor of up to 8.

The factor depends on the file's header and the output's own steps, not on other copies of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from augpipe.core.annotations import Header
from augpipe.core.plan import Step
from augpipe.pixels.backend import PictureJob

_BY_DECODER = (8, 4, 2)
_MODES = ("L", "RGB")  # others go another way through the decoder


def scale_denominator_of(header: Header, steps: Sequence[Step]) -> int:
    """The scale at which these steps have the picture decoded, as 1, 2, 4 or 8 for 1/1 to 1/8."""
    if header.format not in ("JPEG", "MPO") or header.mode not in _MODES or not steps:
        return 1
    sides: tuple[int, ...] = steps[0].reduction()
    if header.orientation != 1:
        # The last blocks may reach beyond the edge. Turned, they would come first and move all others.
        sides = (*sides, *header.stored_wh)
    return next((divisor for divisor in _BY_DECODER if all(side % divisor == 0 for side in sides)), 1)


def at_scale(steps: Sequence[Step], scale_denominator: int) -> tuple[Step, ...]:
    """The same steps for a picture that is decoded at 1/``scale_denominator`` of its size."""
    return tuple(steps) if scale_denominator == 1 else (steps[0].at_scale(scale_denominator), *steps[1:])


def by_scale(job: PictureJob) -> dict[int, list[int]]:
    """Scale denominator → indexes of the outputs that need it; a job that has one already stays whole."""
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
