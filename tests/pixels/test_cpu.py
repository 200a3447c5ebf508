"""The CPU backend's promises besides parity: its input stays as it is, its bytes do not depend on the processor."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import weakref

import cv2
import numpy as np
import pytest
from contents import noise_picture, photo, rendered
from msgspec.structs import replace
from places import HELPERS

from augpipe.core import color
from augpipe.core import geometry as g
from augpipe.core.errors import Reject
from augpipe.core.plan import Curve, Matrix3x4
from augpipe.pixels import cpu, resample
from augpipe.pixels.backend import BackendOptions, PictureJob
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import PictureFormat, encode
from augpipe.pixels.steps.blur import Blur, radius_of
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.field import Field
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.level_noise import Impulses, LevelNoise
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.overlay import Overlay
from augpipe.pixels.steps.overlay_shapes import Marks, Region, Surface
from augpipe.pixels.steps.pad_fill import PadFill
from augpipe.pixels.steps.pixelate import Pixelate
from augpipe.pixels.steps.stats import AdaptiveContrast, Stats
from augpipe.pixels.steps.taps import Taps
from augpipe.pixels.steps.warp import Warp
from augpipe.pixels.steps.window_filters import WindowMean, WindowMedian

WARMER = Matrix3x4((1.125, 0.0625, 0.0, 3.5, 0.0, 1.0, -0.125, 0.0, -0.25, 0.0, 0.875, -7.0))


def kinds(size_wh):
    """One plan for every step kind, and for every way that a warp can go; canvases keep their size."""
    w, h = size_wh
    turn = g.rounded(g.about((w / 2, h / 2), g.rotation(17.0)))
    tilt = g.rounded(g.then(g.scaling(1 / w, 1 / h), g.square_to_quad([(0.1 * w, 0), (w, 9), (0.9 * w, h), (-5, h)])))
    warps = {b: (Warp(matrix=turn, size_wh=size_wh, border=b),) for b in ("constant", "replicate", "reflect", "wrap")}
    return {
        **warps,
        "perspective": (Warp(matrix=tilt, size_wh=size_wh, fill=(9, 99, 199)),),
        "reduced": (Warp(matrix=g.scaling(0.3, 0.45), size_wh=size_wh, reduce=(3, 2)),),
        "halved": (Warp(matrix=g.scaling(0.5, 0.5), size_wh=size_wh, reduce=(2, 2)),),
        "flip": (Warp(matrix=g.mirror_x(w), size_wh=size_wh),),
        "nothing": (Warp(matrix=g.IDENTITY, size_wh=size_wh),),
        "bars": (PadFill(region=((5.0, 1.0), (60.0, 9.0), (22.0, 40.0)), fill=(1, 2, 3)),),
        "colour": (Color(stages=(WARMER, Curve("gamma", 0.7))),),
        "sharp filter": (Blur(sigma=0.7),),
        "wide filter": (Blur(sigma=9.0),),
        "noise": (Noise(std=11.5, offset=1234),),
        "erase": (Cutout(boxes_xyxy=((2, 3, 20, 30),), fill=(200, 100, 50)),),
        "recode": (JpegCompress(quality=60),),
    }


KINDS = kinds((120, 90))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3], ids=["gray", "rgb"])
def test_input_is_never_painted_on(kind, channels):
    """Also by a step that follows, since some steps may hand on a view of what they got."""
    picture = noise_picture((120, 90), channels)
    before = picture.copy()
    paint = (
        Cutout(boxes_xyxy=((0, 0, 50, 50),), fill=(0, 0, 0)),
        PadFill(region=KINDS["bars"][0].region, fill=(9, 9, 9)),
    )
    for steps in (KINDS[kind], (*KINDS[kind], paint[0]), (*KINDS[kind], paint[1])):
        cpu.apply(picture, steps)
        assert (picture == before).all()


def test_a_crop_of_whole_rows_is_not_a_window_on_the_shared_picture():
    """Such a crop is contiguous already, so a copy is easily forgotten; other outputs would see the paint."""
    picture = noise_picture((30, 20), 3)
    before = picture.copy()
    crop = Warp(matrix=g.translation(0.0, -4.0), size_wh=(30, 12))
    cpu.apply(picture, [crop, Cutout(boxes_xyxy=((0, 0, 9, 9),), fill=(0, 0, 0))])
    assert (picture == before).all()


def test_no_steps_give_the_picture_itself():
    picture = noise_picture((5, 4), 3)
    assert (cpu.apply(picture, []) == picture).all()


def test_copies_of_one_picture_do_not_see_each_other():
    picture = noise_picture((120, 90), 3)
    alone = [rendered(picture.copy(), steps) for steps in KINDS.values()]
    together = [rendered(picture, steps) for steps in KINDS.values()]
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("border", ["constant", "replicate", "reflect", "wrap"])
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_exact_moves_make_no_new_values(border, times):
    picture = (noise_picture((37, 23), 1) // 100 * 100).astype(np.uint8)  # 0, 100 and 200 only
    matrix = g.then(g.quarter_turns(times, (37, 23)), g.translation(-7.0, 9.0))
    out = rendered(picture, [Warp(matrix=matrix, size_wh=(50, 60), border=border, fill=(33, 33, 33))])
    assert set(np.unique(out)) <= {0, 100, 200} | ({33} if border == "constant" else set())


LUMA = {(9, 99, 199): 83, (1, 2, 3): 2, (200, 100, 50): 124}  # 0.299 red + 0.587 green + 0.114 blue


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("colour", "noise", "recode")])
def test_gray_is_what_color_does_to_three_like_channels(kind):
    """Except where channels mix or have noise of their own; and where a colour is painted, gray takes its luma."""
    picture = noise_picture((120, 90), 1)
    like = [replace(s, fill=(LUMA[s.fill],) * 3) if getattr(s, "fill", None) in LUMA else s for s in KINDS[kind]]
    expected = rendered(np.repeat(picture[:, :, None], 3, axis=2), like)
    out = rendered(picture, KINDS[kind])
    assert out.ndim == 2
    assert (out[:, :, None] == expected).all()


def test_a_side_too_long_for_remap_is_a_reject_and_not_a_crash():
    picture = np.zeros((2, 32_767), np.uint8)
    with pytest.raises(Reject, match="32766"):
        cpu.apply(picture, [Warp(matrix=g.scaling(0.5, 0.5), size_wh=(5, 5))])
    copied = cpu.apply(picture, [Warp(matrix=g.mirror_x(32_767), size_wh=(32_767, 2))])
    assert copied.shape == (2, 32_767)


def test_filter_reads_three_standard_deviations():
    assert [radius_of(s) for s in (0.1, 1 / 3, 0.34, 1.0, 50.0)] == [1, 1, 2, 3, 150]


# --- the same bytes --------------------------------------------------------------------------------------------------

FEATURES = "SSSE3,SSE4.1,SSE4_1,POPCNT,SSE4.2,SSE4_2,AVX,FP16,AVX2,FMA3,AVX512F,AVX512-COMMON,AVX512-SKX"
SETTINGS = {
    "as it is": {},
    "no AVX2": {"OPENCV_CPU_DISABLE": "AVX2,AVX512-SKX"},
    # OpenCV mutters about spellings that a version does not know, and goes on.
    "bare": {"OPENCV_CPU_DISABLE": FEATURES, "OPENCV_IPP": "disabled"},
}


READS = ((5, 1_234_567, 3_000_001), (77, 717_171, 99))
BY_THE_PICTURE = {
    "mean of small windows": WindowMean(size_wh=(3, 5)),
    "mean of windows": WindowMean(size_wh=(31, 7)),
    "mean of large windows": WindowMean(size_wh=(63, 63)),
    "median of windows": WindowMedian(side=7),
    "taps": Taps(taps=tuple((x, 2 * x, 273 + (x == 0)) for x in range(-7, 8))),
    "equalize": Stats(what="equalize", by="channels"),
    "equalize by luma": Stats(what="equalize", by="luma"),
    "autocontrast": Stats(what="autocontrast", by="luma", cutoff=20),
    "clahe": AdaptiveContrast(clip=2.7, tiles=8),
    "level noise": LevelNoise(spread=(4.0, 0.5, 0.01), reads=READS),
    "impulses": Impulses(low=-500, high=600, dark=0, light=255, reads=READS),
    "blocks": Pixelate(factor=3, smooth=True),
    "mesh": Field(
        mesh_wh=(90, 70), grid_wh=(4, 5), control=tuple(range(-200, 200, 10)), size_wh=(80, 75), border="reflect"
    ),
    "surface": Overlay(
        mode="screen", color=(9, 99, 199), strength=900, shape=Surface((4, 5), tuple(range(0, 1000, 50)))
    ),
    "marks": Overlay(mode="mix", color=(9, 99, 199), strength=900, shape=Marks("streak", 12, (30, 75), (), 40, 7)),
    "region": Overlay(
        mode="gain", color=(0, 0, 0), strength=-700, shape=Region(((0, 0), (400, 80), (300, 300)), soft=48)
    ),
}


def digests():
    """SHA-256 of what every step kind makes of a photo and of noise, and of the encoded results."""
    out = {}
    for name, picture in (
        ("photo", photo()),
        ("noise", noise_picture((121, 87), 3)),
        ("gray", photo()[:, :, 0].copy()),
    ):
        for kind, steps in kinds(picture.shape[1::-1]).items():
            pixels = cpu.apply(picture, steps)
            encoded = encode(pixels, PictureFormat()) + encode(pixels, PictureFormat("png"))
            out[f"{name}, {kind}"] = hashlib.sha256(pixels.tobytes() + encoded).hexdigest()
        for kind, step in BY_THE_PICTURE.items():
            out[f"{name}, {kind}"] = hashlib.sha256(cpu.apply(picture, (step,)).tobytes()).hexdigest()
    return out


def _in_a_process(setting):
    environment = (
        {k: v for k, v in os.environ.items() if not k.startswith("OPENCV_")} | setting | {"PYTHONPATH": str(HELPERS)}
    )
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_curve_without_bounds_is_refused():
    """0 to a negative power is infinite."""
    assert Color(stages=(Curve("gamma", -0.5),)).fault(10**6)
    assert Color(stages=(Curve("gamma", float("nan")),)).fault(10**6)
    assert Color(stages=(Curve("gamma", 0.0),)).fault(10**6) is None


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ((Curve("posterize", 3),), lambda v: v // 32 * 32),
        ((Curve("posterize", 8),), lambda v: v),
        ((Curve("solarize", 0),), lambda v: 255 - v),
        ((Curve("solarize", 129),), lambda v: np.where(v < 129, v, 255 - v)),
    ],
    ids=["posterize", "all bits", "invert", "solarize"],
)
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 1, 3), (3, 5), (5, 4, 3), (40, 33, 3)],
    ids=["a gray pixel", "a pixel", "gray", "small", "some"],
)
def test_curves_by_plain_numbers(stages, expected, shape):
    """Also those that are done by bits."""
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert (cpu.apply(picture, [Color(stages=stages)]) == expected(picture)).all()


@pytest.mark.parametrize("fill", [0, 17, 255])
@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3)], ids=["a pixel", "some"])
def test_a_channel_of_one_level(fill, shape):
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    rows = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, float(fill), 0.0, 0.0, 1.0, 0.0)
    expected = picture.copy()
    expected[..., 1] = fill  # green is in the middle of either order
    assert (cpu.apply(picture, [Color(stages=(Matrix3x4(rows),))]) == expected).all()


def test_the_same_bytes_at_every_simd_level():
    pytest.importorskip("skimage.data")  # for the photo, which the processes cannot skip
    results = {name: _in_a_process(setting) for name, setting in SETTINGS.items()}
    expected = results["as it is"]["digests"]
    for name in ("no AVX2", "bare"):
        off = [f for f in results[name]["features"].split() if f.endswith("?")]
        assert off or "AVX2" not in results["as it is"]["features"], "the setting had no effect"
        assert results[name]["digests"] == expected, name


def test_the_same_bytes_without_optimized_code():
    pytest.importorskip("skimage.data")
    before, with_it = cv2.useOptimized(), digests()
    cv2.setUseOptimized(False)
    try:
        assert digests() == with_it
    finally:
        cv2.setUseOptimized(before)


if __name__ == "__main__":
    print(json.dumps({"features": cv2.getCPUFeaturesLine(), "digests": digests()}))


# --- large pictures, which are changed in themselves and by pieces ---------------------------------------------------


def mirror(picture):
    return Warp(matrix=g.mirror_x(picture.shape[1]), size_wh=picture.shape[1::-1])


@pytest.mark.parametrize("shape", [(1300, 61), (1024, 61, 3), (511, 300, 3), (257, 7), (3, 900, 3)])
@pytest.mark.parametrize("sigma", [0.4, 1.7, 60.0])
def test_a_blur_by_bands_is_the_blur_of_the_whole(shape, sigma):
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    side = 2 * radius_of(sigma) + 1
    whole = cv2.GaussianBlur(picture, (side, side), sigma, None, sigma, cv2.BORDER_REFLECT_101)
    before = picture.copy()
    assert np.array_equal(cpu.apply(picture, [Blur(sigma=sigma)]), whole)
    assert np.array_equal(picture, before), "the source is shared by all copies"
    flipped = cpu.apply(picture, [mirror(picture), Blur(sigma=sigma)])  # here the blur works in the picture itself
    assert np.array_equal(
        flipped, cv2.GaussianBlur(np.ascontiguousarray(picture[:, ::-1]), (side, side), sigma, None, sigma, 4)
    )


BRIGHTER = Matrix3x4(color.brightness(1.2))


@pytest.mark.parametrize("stages", [(), (WARMER,), (WARMER, Curve("gamma", 0.8), BRIGHTER)], ids=len)
@pytest.mark.parametrize("gray", [False, True])
def test_color_by_pieces_is_that_of_the_whole(gray, stages):
    """More pixels than a piece, and no multiple of a block."""
    picture = np.random.default_rng(2).integers(0, 256, (400, 503) if gray else (400, 503, 3), np.uint8)
    step = Color(stages=stages)
    expected = picture if gray else picture[:, :, ::-1]
    for stage in color.compiled(step.stages):
        expected = color.gray_table(stage)[expected] if gray else color.apply_integers(stage, expected)
    expected = expected if gray else expected[:, :, ::-1]
    before = picture.copy()
    assert np.array_equal(cpu.apply(picture, [step]), expected)
    assert np.array_equal(picture, before)
    twice = [mirror(picture), mirror(picture), step]
    assert np.array_equal(cpu.apply(picture, twice), expected)


def test_noise_is_the_same_in_the_picture_itself():
    picture = np.random.default_rng(3).integers(0, 256, (300, 301, 3), np.uint8)
    before = picture.copy()
    alone = cpu.apply(picture, [Noise(std=9.0, offset=12345)])
    assert np.array_equal(picture, before)
    assert np.array_equal(cpu.apply(picture, [mirror(picture), mirror(picture), Noise(std=9.0, offset=12345)]), alone)


def test_no_decoded_picture_is_held_while_the_next_is_decoded(monkeypatch):
    held: list[weakref.ref[np.ndarray]] = []
    real = cpu.decode

    def watched(data, header, keep):
        assert [ref for ref in held if ref() is not None] == []
        picture = real(data, header, keep)
        held.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(cpu, "decode", watched)
    data = cv2.imencode(".png", np.zeros((8, 9, 3), np.uint8))[1].tobytes()
    gc.disable()
    try:
        job = PictureJob(data, read_header(data), ((), ()))
        assert len(list(cpu.CpuBackend(BackendOptions()).render([job] * 3))) == 3
    finally:
        gc.enable()


def test_copies_share_the_means_of_a_large_picture(monkeypatch):
    picture = np.random.default_rng(5).integers(0, 256, (120, 160, 3), np.uint8)
    data = encode(picture, PictureFormat("png"))
    shrunk = tuple(
        (
            Warp(matrix=g.rounded(g.then(g.rotation(a), g.scaling(0.3, 0.3))), size_wh=(50, 40), reduce=by),
            Blur(sigma=0.5),
        )
        for a, by in ((2.0, (3, 3)), (4.0, (3, 3)), (6.0, (2, 3)), (8.0, (3, 3)))
    )
    # The second warp of a copy is of another picture, however alike its blocks are.
    twice = ((*shrunk[0], Warp(matrix=g.rounded(g.scaling(0.31, 0.31)), size_wh=(20, 20), reduce=(3, 3))),)
    alone = [encode(cpu.apply(picture, steps), PictureFormat()) for steps in shrunk + twice]
    made = []
    real = resample.block_means
    monkeypatch.setattr(resample, "block_means", lambda p, by: made.append((p.shape, by)) or real(p, by))
    (rendered,) = cpu.CpuBackend(BackendOptions()).render([PictureJob(data, read_header(data), shrunk + twice)])
    assert list(rendered.pictures) == alone
    assert made == [((120, 160, 3), (3, 3)), ((120, 160, 3), (2, 3)), ((40, 50, 3), (3, 3))]


def test_means_of_very_large_pictures_are_not_held(monkeypatch):
    monkeypatch.setattr(resample, "_MOST_HELD", 100)
    source = resample.SharedMeans(np.arange(400, dtype=np.uint8).reshape(20, 20))
    assert source.means((2, 2)) is source.means((2, 2))
    assert source.means((1, 2)) is not source.means((1, 2))
