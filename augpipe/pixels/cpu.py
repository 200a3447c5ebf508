"""The CPU backend: a plan's steps by OpenCV, with the same bytes on every SIMD level.

What a step does is in its own file, in :mod:`augpipe.pixels.steps`. Only such OpenCV functions are used as compute in
integers, or on a fixed-point map: remap, transform, LUT, resize by whole blocks, GaussianBlur on 8 bits, add, flip, the
JPEG codec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial

from augpipe.core.color import Sums, SumTone, aimed
from augpipe.core.errors import Reject
from augpipe.core.opencv import cv2
from augpipe.core.plan import ColorStage, Pixels, SharedSource, Step
from augpipe.pixels.backend import BackendOptions, PictureJob, Rendered, or_reject
from augpipe.pixels.codec.image import PictureFormat, decode, encode
from augpipe.pixels.resample import SharedMeans
from augpipe.pixels.scaled_decode import by_scale, part_of
from augpipe.pixels.steps.color import sums_behind


class CpuBackend:
    """Fulfils :class:`augpipe.pixels.backend.Backend` one picture at a time."""

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        cv2.setNumThreads(1)  # a worker is one core; threads inside it only get in each other's way

    def render(self, jobs: Iterable[PictureJob]) -> Iterator[Rendered]:
        """Results in the order of the jobs; a picture that cannot be decoded rejects all its outputs."""
        for job in jobs:
            yield self._rendered(job)

    def _rendered(self, job: PictureJob) -> Rendered:
        pictures: dict[int, bytes | Reject] = {}
        for scale_denominator, indexes in by_scale(job).items():
            outputs = self._outputs(part_of(job, scale_denominator, indexes))
            pictures.update(zip(indexes, outputs, strict=True))
        return Rendered(tuple(pictures[i] for i in range(len(job.steps))))

    def _outputs(self, job: PictureJob) -> Sequence[bytes | Reject]:
        """A method of its own, so that a decoded picture is gone before the next one is decoded."""
        keep = self._options.keep_truncated
        picture = or_reject("decode", decode, job.data, job.header, keep, job.scale_denominator)
        if isinstance(picture, Reject):
            return (picture,) * len(job.steps)
        shared, form = Shared(picture), self._options.picture.of(job.header)
        return [or_reject("pixels", self._encoded, picture, steps, shared, form) for steps in job.steps]

    def _encoded(self, picture: Pixels, steps: Sequence[Step], shared: Shared, form: PictureFormat) -> bytes:
        return encode(apply(picture, steps, shared), form)


class Shared:
    """What all copies of a decoded picture may need, made when first asked for: means of blocks, sums of levels."""

    def __init__(self, picture: Pixels) -> None:
        self.source: SharedSource = SharedMeans(picture)
        self.sums_behind: Callable[[tuple[ColorStage, ...]], Sums] = cache(partial(sums_behind, picture))


def apply(picture: Pixels, steps: Iterable[Step], shared: Shared | None = None) -> Pixels:
    """A picture (H, W) or (H, W, 3) in blue, green, red after all steps; the input is left as it is.

    ``shared`` is that of ``picture``, for its other copies, too.
    """
    shared = shared or Shared(picture)
    source, current = shared.source, picture
    for step in aimed(steps, SumTone(shared.sums_behind)):
        current = step.on_cpu(current, source if current is picture else None)
    return current
