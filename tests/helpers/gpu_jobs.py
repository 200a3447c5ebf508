"""Jobs for a device, and the CPU's answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from builders import encoded, photo

from augpipe.core.errors import Reject
from augpipe.core.geometry import about, rotation, rounded, scaling
from augpipe.core.plan import Contrast, Curve, Matrix3x4, Step
from augpipe.pixels.backend import BackendOptions, PictureJob, Rendered
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.cpu import CpuBackend
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.warp import Warp

OPTIONS = BackendOptions()
HALVED = Warp(matrix=rounded(scaling(0.45, 0.45)), size_wh=(20, 14), reduce=(2, 2))
QUARTERED = Warp(matrix=rounded(scaling(0.25, 0.2)), size_wh=(11, 7), border="replicate", reduce=(4, 4))
SPREAD = Color(stages=(Curve("gamma", 0.8), Contrast(0.6)))
WARMER = Matrix3x4((1.1, 0.0, 0.0, 4.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.9, -3.0))


def turned(size_wh: tuple[int, int], degrees: float) -> Warp:
    w, h = size_wh
    return Warp(matrix=rounded(about((w / 2, h / 2), rotation(degrees))), size_wh=(w + 3, h))


def chains(size_wh: tuple[int, int], count: int) -> tuple[tuple[Step, ...], ...]:
    """Steps of ``count`` outputs: some passes, none, and all kinds that end a pass."""
    kinds: list[tuple[Step, ...]] = [
        (turned(size_wh, 10.0), Color(stages=(WARMER, Contrast(1.3))), Noise(std=6.0, reads=((9, 8, 7), (6, 5, 4)))),
        (),
        (Blur(sigma=1.2), turned(size_wh, -25.0), JpegCompress(quality=60)),
        (Cutout(boxes_xyxy=((1, 2, 9, 8),), fill=(1, 2, 3)), Blur(sigma=0.7), SPREAD, Noise(std=3.0, offset=5)),
    ]
    return tuple(kinds[i % len(kinds)] for i in range(count))


def shrinking(number: int, form: str = "JPEG") -> PictureJob:
    """A job whose outputs start from the whole picture, a half and a quarter of it, by turns."""
    whole = job(number, 4, form)
    return replace(
        whole, steps=((HALVED,), *whole.steps[:2], (QUARTERED, *whole.steps[0][1:]), (HALVED,), (QUARTERED,))
    )


def job(number: int, outputs: int = 3, form: str = "JPEG", gray: bool = False) -> PictureJob:
    size_wh = (40 + 7 * (number % 5), 31 + 3 * (number % 4))
    picture = photo(size_wh, number)
    data = encoded(picture[:, :, 0] if gray else picture, form)
    return PictureJob(data, read_header(data), chains(size_wh, outputs))


def broken() -> PictureJob:
    good = job(1)
    return PictureJob(good.data[: len(good.data) // 2], good.header, good.steps)


JOBS = [job(0), job(1, gray=True), job(2, 1), broken(), job(3, 9), job(4, form="PNG"), job(5, 4), job(6)]
JOBS += [shrinking(0), shrinking(2, "PNG"), shrinking(3)]


def answers(jobs: Sequence[PictureJob]) -> list[Rendered]:
    return list(CpuBackend(OPTIONS).render(jobs))


def same(found: Sequence[Rendered], wanted: Sequence[Rendered]) -> None:
    """Equal files; rejects have no equality of their own."""

    def plain(rendered: Rendered) -> list[Any]:
        return [(p.stage, p.code, p.message) if isinstance(p, Reject) else p for p in rendered.pictures]

    assert [plain(r) for r in found] == [plain(r) for r in wanted]
