"""Shrinking by JPEG's decoder: which outputs get it, that nothing moves by it, and that copies stay apart."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from builders import encoded, exif
from pictures import by_pillow
from places import HELPERS

from augpipe.core import geometry as g
from augpipe.core.annotations import Header
from augpipe.core.errors import Reject
from augpipe.core.opencv import cv2
from augpipe.core.plan import Matrix3x4
from augpipe.pixels import cpu
from augpipe.pixels.backend import BackendOptions, PictureJob
from augpipe.pixels.codec import image
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import PictureFormat, decode
from augpipe.pixels.cpu import CpuBackend
from augpipe.pixels.resample import block_means
from augpipe.pixels.scaled_decode import at_scale, by_scale, part_of, scale_denominator_of
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.warp import Warp

LOSSLESS = BackendOptions(PictureFormat("png"))
TONE = Color(stages=(Matrix3x4((0.9, 0.1, 0.0, 2.0, 0.0, 0.8, 0.0, 0.0, 0.1, 0.0, 1.1, -3.0)),))
ODD_WH, EVEN_WH = (203, 157), (208, 160)


def shrink(size_wh: tuple[int, int], by: float, reduce: tuple[int, int]) -> Warp:
    """A turned picture at 1/``by`` of its size, which shows no border."""
    w, h = (max(1, int(side / by)) for side in size_wh)
    centre = (size_wh[0] / 2, size_wh[1] / 2)
    matrix = g.then(g.about(centre, g.then(g.rotation(7.0), g.scaling(1.2, 1.2))), g.scaling(1 / by, 1 / by))
    return Warp(matrix=g.rounded(matrix), size_wh=(w, h), border="replicate", reduce=reduce)


def detailed(size_wh: tuple[int, int]) -> np.ndarray:
    """Disks of all sizes with sharp edges (H, W, 3): what is a pixel off shows."""
    rng, (w, h) = np.random.default_rng(3), size_wh
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    out = np.full((h, w, 3), 120.0)
    for _ in range(60):
        inside = (x - rng.uniform(0, w)) ** 2 + (y - rng.uniform(0, h)) ** 2 < rng.uniform(3, 30) ** 2
        out[inside] = rng.uniform(20, 235, 3)
    return cv2.GaussianBlur(out, (5, 5), 1.0).astype(np.uint8)


def jpeg(size_wh: tuple[int, int], orientation: int = 1, gray: bool = False) -> bytes:
    picture = detailed(size_wh)
    return encoded(picture[:, :, 1] if gray else picture, "JPEG", quality=95, exif=exif(orientation))


def outputs(job: PictureJob) -> list[np.ndarray]:
    """What the CPU backend makes of a job, decoded."""
    (rendered,) = CpuBackend(LOSSLESS).render([job])
    assert not any(isinstance(p, Reject) for p in rendered.pictures), rendered.pictures
    return [cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_UNCHANGED) for p in rendered.pictures]


def job_of(data: bytes, *steps) -> PictureJob:
    return PictureJob(data, read_header(data), tuple((step,) for step in steps))


# --- which outputs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [((1, 1), 1), ((1, 4), 1), ((2, 2), 2), ((2, 8), 2), ((4, 4), 4), ((8, 8), 8), ((64, 16), 8), ((3, 3), 1),
     ((6, 2), 2)],
)  # fmt: skip
def test_the_decoder_makes_what_both_sides_share(reduce, expected):
    assert scale_denominator_of(Header("JPEG", ODD_WH), [shrink(ODD_WH, 4, reduce), TONE]) == expected


@pytest.mark.parametrize(
    "header",
    [Header("PNG", EVEN_WH), Header("WEBP", EVEN_WH), Header("TIFF", EVEN_WH), Header("JPEG2000", EVEN_WH),
     Header("JPEG", EVEN_WH, mode="CMYK")],
    ids=lambda header: f"{header.format} {header.mode}",
)  # fmt: skip
def test_other_files_are_decoded_whole(header):
    assert scale_denominator_of(header, [shrink(EVEN_WH, 4, (4, 4))]) == 1


@pytest.mark.parametrize(
    "steps",
    [(), (TONE,), (TONE, shrink(EVEN_WH, 4, (4, 4))), (Warp(matrix=g.IDENTITY, size_wh=EVEN_WH),)],
    ids=["none", "colour", "colour first", "copy"],
)
def test_steps_that_need_every_pixel_get_it(steps):
    assert scale_denominator_of(Header("JPEG", EVEN_WH), steps) == 1


@pytest.mark.parametrize(
    ("size_wh", "expected"), [((208, 160), 8), ((204, 160), 4), ((160, 202), 2), ((203, 160), 1), ((160, 157), 1)]
)
def test_a_turned_picture_is_shrunk_by_whole_blocks_alone(size_wh, expected):
    steps = [shrink(size_wh, 8, (8, 8))]
    assert scale_denominator_of(Header("JPEG", size_wh, 1), steps) == 8
    assert {scale_denominator_of(Header("JPEG", size_wh, turn), steps) for turn in range(2, 9)} == {expected}


# --- what comes of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [2, 4, 8])
def test_the_steps_after_it_are_the_same_steps(share):
    """On a picture that is reduced to the same means, they give the same pixels."""
    picture = detailed(ODD_WH)
    steps = (shrink(ODD_WH, share * 1.2, (share, share)), TONE)
    assert np.array_equal(
        cpu.apply(block_means(picture, (share, share)), at_scale(steps, share)), cpu.apply(picture, steps)
    )


def test_a_reduction_that_the_decoder_ends_exactly_is_a_copy():
    step = Warp(matrix=g.scaling(0.25, 0.25), size_wh=(52, 40), border="replicate", reduce=(4, 4))
    (same,) = at_scale([step], 4)
    assert g.is_exact(same.matrix)
    assert same.reduce == (1, 1)
    data = jpeg(EVEN_WH)
    assert np.array_equal(outputs(job_of(data, step))[0], cv2.imdecode(np.frombuffer(data, np.uint8), 33))


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("size_wh", [ODD_WH, EVEN_WH])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("by", [2, 4, 8])
def test_nothing_moves(by, orientation, size_wh, gray):
    """The judge shrinks Pillow's whole upright picture by means; an eighth of an output pixel beside it is worse."""
    data = jpeg(size_wh, orientation, gray)
    whole = by_pillow(data)
    whole = whole if gray else np.ascontiguousarray(whole[:, :, ::-1])
    upright_wh = whole.shape[1::-1]
    step = shrink(upright_wh, by * 1.1, (by, by))
    got = outputs(job_of(data, step))[0].astype(float)

    def distance(x: float, y: float) -> float:
        moved = Warp(
            matrix=g.then(step.matrix, g.translation(x, y)), size_wh=step.size_wh, border="replicate", reduce=(by, by)
        )
        return float(np.square(cpu.apply(whole, [moved]) - got).mean())

    beside = [distance(x, y) for x, y in product((-0.125, 0.0, 0.125), repeat=2) if (x, y) != (0.0, 0.0)]
    assert distance(0.0, 0.0) < min(beside)
    assert distance(0.0, 0.0) < 6.0  # halves of chroma are not made smooth first


def test_what_the_decoder_leaves_is_averaged_afterwards():
    data = jpeg(EVEN_WH)
    step = shrink(EVEN_WH, 17, (16, 16))
    whole = np.ascontiguousarray(by_pillow(data)[:, :, ::-1])
    assert scale_denominator_of(read_header(data), [step]) == 8
    assert np.abs(outputs(job_of(data, step))[0].astype(int) - cpu.apply(whole, [step])).max() <= 3


def test_another_decoder_that_steps_in_gives_the_same_size(monkeypatch):
    data = jpeg(ODD_WH)
    small = decode(data, read_header(data), scale_denominator=4)
    monkeypatch.setattr(image, "_by_opencv", lambda *_: (None, ""))
    other = decode(data, read_header(data), scale_denominator=4)
    assert small.shape == other.shape == (40, 51, 3)
    assert np.abs(small.astype(int) - other).mean() < 2.0


def test_a_jpeg_that_is_cut_short_is_rejected_at_any_size():
    data = jpeg(EVEN_WH)
    header = read_header(data)
    for share in (1, 2, 4, 8):
        with pytest.raises(Reject) as caught:
            decode(data[: len(data) * 2 // 3], header, scale_denominator=share)
        assert caught.value.code == "truncated"
        assert decode(data[: len(data) * 2 // 3], header, True, share).shape == (160 // share, 208 // share, 3)


# --- copies ----------------------------------------------------------------------------------------------------------

MANY = [
    shrink(EVEN_WH, by, (side, side)) for by, side in ((1, 1), (2, 2), (4, 4), (2.2, 2), (1.1, 1), (9, 8), (4.4, 4))
]


def test_copies_do_not_know_of_each_other():
    data = jpeg(EVEN_WH)
    together = outputs(job_of(data, *MANY))
    for step, picture in zip(MANY, together, strict=True):
        assert np.array_equal(outputs(job_of(data, step))[0], picture)


def test_each_size_is_decoded_once(monkeypatch):
    job, flags = job_of(jpeg(EVEN_WH), *MANY), []
    original = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flag: flags.append(flag & 0x7F) or original(data, flag))
    list(CpuBackend(LOSSLESS).render([job]))
    reduced = [cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_COLOR_8]
    assert sorted(flags) == sorted(reduced)


def test_a_part_of_a_job_is_not_cut_again():
    job = job_of(jpeg(EVEN_WH), *MANY)
    assert by_scale(job) == {1: [0, 4], 2: [1, 3], 4: [2, 6], 8: [5]}
    part = part_of(job, 2, [1, 3])
    assert part.scale_denominator == 2
    assert by_scale(part) == {2: [0, 1]}
    assert part_of(part, 2, [0, 1]) is part


BYTES = """
import hashlib, sys
import numpy as np
sys.path.insert(0, {tests!r})
from test_scaled_decode import EVEN_WH, ODD_WH, MANY, job_of, jpeg, outputs
digest = hashlib.sha256()
for size_wh in (EVEN_WH, ODD_WH):
    for picture in outputs(job_of(jpeg(size_wh), *MANY)):
        digest.update(np.ascontiguousarray(picture).tobytes())
print(digest.hexdigest())
"""


def test_the_pixels_are_the_same_without_simd():
    def digest(**environment: str) -> str:
        command = [sys.executable, "-c", BYTES.format(tests=os.path.dirname(__file__))]
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(HELPERS), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert digest() == digest(JSIMD_FORCENONE="1") == digest(JSIMD_FORCESSE2="1")
