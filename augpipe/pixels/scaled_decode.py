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

import msgspec

from augpipe.core.annotations import Header
from augpipe.core.geometry import is_exact, scaling, then
from augpipe.core.plan import AnyStep, Warp
from augpipe.pixels.backend import PictureJob

_BY_DECODER = (8, 4, 2)
_MODES = ("L", "RGB")  # others go another way through the decoder


def share_of(header: Header, steps: Sequence[AnyStep]) -> int:
    """By how much the decoder shrinks the picture for these steps: 1, 2, 4 or 8."""
    if header.format not in ("JPEG", "MPO") or header.mode not in _MODES or not steps:
        return 1
    first = steps[0]
    if not isinstance(first, Warp) or is_exact(first.matrix):
        return 1
    # The last blocks of a picture may be partly beyond its edge. Turned, they would be its first, and all others moved.
    sides = first.reduce if header.orientation == 1 else (*first.reduce, *header.stored_wh)
    return next((share for share in _BY_DECODER if all(side % share == 0 for side in sides)), 1)


def after(steps: Sequence[AnyStep], share: int) -> tuple[AnyStep, ...]:
    """The same steps for a picture that is decoded at 1/``share`` of its size."""
    if share == 1:
        return tuple(steps)
    first = steps[0]
    if not isinstance(first, Warp):
        raise TypeError(f"a picture at 1/{share} of its size for {type(first).__name__}; expected a warp")
    matrix = then(scaling(float(share), float(share)), first.matrix)
    reduce = (first.reduce[0] // share, first.reduce[1] // share)
    return (msgspec.structs.replace(first, matrix=matrix, reduce=reduce), *steps[1:])


def by_size(job: PictureJob) -> dict[int, list[int]]:
    """Share of the decoder → indexes of the outputs that it does so much for; a job that is cut already stays whole."""
    if job.share != 1:
        return {job.share: list(range(len(job.steps)))}
    found: dict[int, list[int]] = {}
    for i, steps in enumerate(job.steps):
        found.setdefault(share_of(job.header, steps), []).append(i)
    return found


def cut(job: PictureJob, share: int, indexes: Sequence[int]) -> PictureJob:
    """The part of a job whose outputs start from the picture at 1/``share`` of its size."""
    if job.share == share != 1:
        return job
    return replace(job, share=share, steps=tuple(after(job.steps[i], share) for i in indexes))
