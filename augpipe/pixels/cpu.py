"""The CPU backend: a plan's steps by OpenCV, with the same bytes on every SIMD level.

Only such OpenCV functions are used as compute in integers, or on a fixed-point map: remap, transform, LUT, resize by
whole blocks, GaussianBlur on 8 bits, add, flip, the JPEG codec.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from augpipe.core.color import Linear, Stage, Table, apply_integers, compiled, gray_table, luma
from augpipe.core.errors import Reject, fault
from augpipe.core.geometry import Region, is_exact
from augpipe.core.opencv import cv2
from augpipe.core.plan import LONGEST_SIDE, AnyStep, Blur, Color, Cutout, JpegCompress, Noise, PadFill, Rgb, Warp
from augpipe.pixels import noise
from augpipe.pixels.backend import BackendOptions, PictureJob, Rendered
from augpipe.pixels.codec.image import as_memory_error, decode, encode, jpeg_options
from augpipe.pixels.resample import Means, Pixels, region_mask, resample
from augpipe.pixels.scaled_decode import by_size, cut

_BGR = [2, 1, 0]
_PIECE = 1 << 16  # pixels that are coloured together; blocks of 64, see recolour
_BAND_ROWS = 256
_SCALAR = 4  # cv2 takes an array of up to so many numbers for one scalar


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
        for share, indexes in by_size(job).items():
            pictures.update(zip(indexes, self._outputs(cut(job, share, indexes)), strict=True))
        return Rendered(tuple(pictures[i] for i in range(len(job.steps))))

    def _outputs(self, job: PictureJob) -> Sequence[bytes | Reject]:
        """A method of its own, so that a decoded picture is gone before the next one is decoded."""
        try:
            picture = decode(job.data, job.header, self._options.keep_truncated, job.share)
        except Reject as reject:
            return (reject,) * len(job.steps)
        except Exception as error:  # no memory, no descriptor; one picture must not end the run
            return (fault("decode", error),) * len(job.steps)
        means = Means()
        return [self._one(picture, steps, means) for steps in job.steps]

    def _one(self, picture: Pixels, steps: Sequence[AnyStep], means: Means) -> bytes | Reject:
        try:
            return encode(apply(picture, steps, means), self._options.picture)
        except Reject as reject:
            return reject
        except Exception as error:  # OpenCV's own, mostly; one picture must not end the run
            return fault("pixels", as_memory_error(error))


def apply(picture: Pixels, steps: Iterable[AnyStep], means: Means | None = None) -> Pixels:
    """A picture (H, W) or (H, W, 3) in blue, green, red after all steps; the input is left as it is.

    ``means`` are those of ``picture`` that are made already, and gain what is made now.
    """
    current = picture
    for step in steps:
        if isinstance(step, Warp):
            current = _warp(current, step, means if current is picture else None)
        else:
            current = _apply(current, step, current is picture)
    return current


def _apply(picture: Pixels, step: PadFill | Color | Cutout | Blur | Noise | JpegCompress, shared: bool) -> Pixels:
    """One step that is no warp. A ``shared`` picture must not be painted on."""
    # What can be is done in the picture itself: of a large one there is no memory for a third beside the source.
    if isinstance(step, Color):
        return _recolor_by_pieces(picture, step, np.empty_like(picture) if shared else picture)
    if isinstance(step, Blur):
        return _blur_by_bands(picture, step, np.empty_like(picture) if shared else picture)
    if isinstance(step, Noise):
        return _add_noise(picture, step, np.empty_like(picture) if shared else picture)
    if isinstance(step, JpegCompress):
        _, data = cv2.imencode(".jpg", picture, jpeg_options(step.quality))
        again = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR)
        assert again is not None
        return again
    canvas = picture.copy() if shared else picture
    fill = _fill(step.fill, picture)
    if isinstance(step, Cutout):
        for x0, y0, x1, y1 in step.boxes_xyxy:
            canvas[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = fill
        return canvas
    return _paint_bars(canvas, step, fill)


def _fill(color: Rgb, picture: Pixels) -> int | tuple[int, ...]:
    return luma(color) if picture.ndim == 2 else color[::-1]


def _warp(picture: Pixels, step: Warp, means: Means | None) -> Pixels:
    require_warpable(max(picture.shape[:2]), step)
    fill = _fill(step.fill, picture)
    color = (fill,) * 3 if isinstance(fill, int) else fill
    return resample(picture, step.matrix, step.size_wh, step.border, color, step.reduce, means)


def require_warpable(longest_side: int, step: Warp) -> None:
    """Every backend refuses what the CPU's 16-bit positions cannot reach.

    Raises:
        Reject: ``too-large``.
    """
    if longest_side > LONGEST_SIDE and not is_exact(step.matrix):
        message = f"a side of {longest_side} pixels; expected at most {LONGEST_SIDE} for a warp"
        raise Reject("pixels", "too-large", message)


def _paint_bars(canvas: Pixels, step: PadFill, fill: int | tuple[int, ...]) -> Pixels:
    box_xyxy = upright_box(step.region)
    if box_xyxy:  # upright bars are slices
        x0, y0, x1, y1 = box_xyxy
        canvas[:y0], canvas[y1:] = fill, fill
        canvas[y0:y1, :x0], canvas[y0:y1, x1:] = fill, fill
    else:
        h, w = canvas.shape[:2]
        canvas[~region_mask(step.region, (0, 0, w, h))] = fill
    return canvas


def upright_box(region: Region) -> tuple[int, int, int, int] | None:
    """The pixels in an upright rectangle, as a half-open box; None for every other region.

    A pixel belongs to the region if its centre does; one on the edge does.
    """
    xs, ys = {x for x, _ in region}, {y for _, y in region}
    if len(region) != 4 or len(xs) != 2 or len(ys) != 2:
        return None
    x0, y0 = (max(0, math.ceil(v - 0.5)) for v in (min(xs), min(ys)))
    x1, y1 = (max(0, math.floor(v - 0.5) + 1) for v in (max(xs), max(ys)))
    return x0, y0, x1, y1


def filter_radius(sigma: float) -> int:
    """Pixels on either side that a blur reads."""
    return max(1, math.ceil(3.0 * sigma))


def _blur_by_bands(picture: Pixels, step: Blur, out: Pixels) -> Pixels:
    """Blur into ``out``, which may be the picture itself: each band with the rows above and below that it needs."""
    radius = filter_radius(step.sigma)
    side, height = 2 * radius + 1, picture.shape[0]
    rows = max(_BAND_ROWS, 2 * radius)
    above = picture[:0]  # the last rows before the band, as they were
    for top in range(0, height, rows):
        # The last band takes what is left, so that none is too thin to be reflected.
        end = height if height - top < 2 * rows else top + rows
        band = np.concatenate([above, picture[top : min(end + radius, height)]])
        above = picture[max(end - radius, 0) : end].copy()
        blurred = cv2.GaussianBlur(band, (side, side), step.sigma, None, step.sigma, cv2.BORDER_REFLECT_101)
        first = min(radius, top)
        out[top:end] = blurred[first : first + end - top]
        if end == height:
            break
    return out


def _add_noise(picture: Pixels, step: Noise, out: Pixels) -> Pixels:
    source, target = picture.reshape(-1), out.reshape(-1)
    scale = np.int32(noise.scale_of(step.std))
    for where, numbers in noise.stretches(step.offset, source.size):
        levels = np.multiply(numbers, scale, dtype=np.int32)
        levels += 1 << 15
        levels >>= 16
        if levels.size > _SCALAR:
            cv2.add(source[where], levels.astype(np.int16), dst=target[where], dtype=cv2.CV_8U)
        else:
            target[where] = np.clip(levels + source[where], 0, 255)
    return out


def _recolor_by_pieces(picture: Pixels, step: Color, out: Pixels) -> Pixels:
    """All stages on one piece after the other, which stays in the cache, into ``out``."""
    ways = [_way_of(stage, picture.ndim == 2) for stage in compiled(step.stages)]
    if not ways:
        np.copyto(out, picture)
    channels = picture.shape[2:]
    source, target = picture.reshape(1, -1, *channels), out.reshape(1, -1, *channels)
    for start in range(0, source.shape[1], _PIECE):
        piece, made = source[:, start : start + _PIECE], target[:, start : start + _PIECE]
        for way in ways:
            way(piece, made)
            piece = made
    return out


def recolor(picture: Pixels, stage: Stage) -> Pixels:
    """One colour stage, by tables and ``cv2.transform``; to the bit what :func:`apply_integers` defines."""
    out = np.empty_like(picture)
    channels = picture.shape[2:]
    _way_of(stage, picture.ndim == 2)(picture.reshape(1, -1, *channels), out.reshape(1, -1, *channels))
    return out


def _way_of(stage: Stage, gray: bool) -> Callable[[Pixels, Pixels], None]:
    """What does a stage to a row of pixels, into another one or into itself."""
    if gray:
        return partial(_look_up, gray_table(stage))
    if isinstance(stage, Table):
        return partial(_look_up, stage.levels)
    q = stage.q[_BGR][:, [*_BGR, 3]]
    if np.abs(q[:, :3]).max() >= 31 * 1024 or np.abs(q[:, 3]).max() >= 7000 * 1024:
        return partial(_compute, Linear(q))
    return partial(_transform, q / 1024.0)


def _look_up(levels: Pixels, row: Pixels, out: Pixels) -> None:
    cv2.LUT(row, levels, dst=out)


def _compute(stage: Linear, row: Pixels, out: Pixels) -> None:
    out[:] = apply_integers(stage, row)


def _transform(matrix: NDArray[np.float64], row: Pixels, out: Pixels) -> None:
    """By cv2.transform, which computes in 1/1024 while weights fit in 16 bits, and by blocks of up to 64 pixels.

    What is left over at the end of its array it computes in another way, so the array is cut to whole blocks.
    """
    whole = row.shape[1] // 64 * 64
    if whole:
        cv2.transform(row[:, :whole], matrix, dst=out[:, :whole])
    if whole < row.shape[1]:
        rest = np.zeros((1, 64, 3), np.uint8)
        rest[:, : row.shape[1] - whole] = row[:, whole:]
        out[:, whole:] = cv2.transform(rest, matrix)[:, : row.shape[1] - whole]
