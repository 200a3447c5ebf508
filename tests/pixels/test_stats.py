"""Tables of a picture's own histograms: the backends alike, Pillow and OpenCV for what is meant."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from contents import noise_picture, smooth_picture
from PIL import Image, ImageOps
from step_cases import SIZES
from step_checks import check_step

from augpipe.pixels import reference
from augpipe.pixels.steps.stats import AdaptiveContrast, Stats

STEPS = [
    Stats(what="equalize", by="channels"),
    Stats(what="equalize", by="luma"),
    Stats(what="autocontrast", by="channels"),
    Stats(what="autocontrast", by="luma", cutoff=20),
    Stats(what="autocontrast", by="channels", cutoff=499),
    AdaptiveContrast(clip=1.0, tiles=8),
    AdaptiveContrast(clip=2.7, tiles=3),
    AdaptiveContrast(clip=40.0, tiles=1),
]


def pictures(channels):
    made = [noise_picture(size, channels, 5) for size in (*SIZES, (1, 1), (16, 16), (64, 48))]
    made += [smooth_picture((150, 100), channels), smooth_picture((150, 100), channels) // 3 + 60]
    return [*made, np.full_like(made[0], 9), np.full_like(made[0], 255)]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_backends_agree(step, channels):
    check_step(step, pictures(channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_equalize_and_autocontrast_are_pillows(channels):
    for picture in pictures(channels):
        image = Image.fromarray(picture)
        made = reference.apply(picture, [Stats(what="equalize", by="channels")])
        assert (made == np.asarray(ImageOps.equalize(image))).all()
        made = reference.apply(picture, [Stats(what="autocontrast", by="channels")])
        assert (made == np.asarray(ImageOps.autocontrast(image))).all()
        made = reference.apply(picture, [Stats(what="autocontrast", by="channels", cutoff=30)])
        assert (made == np.asarray(ImageOps.autocontrast(image, cutoff=3))).all()


@pytest.mark.parametrize(("clip", "tiles"), [(2.0, 8), (4.0, 5), (1.0, 2)])
def test_adaptive_equalization_of_gray_is_opencvs(clip, tiles):
    for picture in pictures(1):
        expected = cv2.createCLAHE(clip, (tiles, tiles)).apply(picture)
        assert (reference.apply(picture, [AdaptiveContrast(clip=clip, tiles=tiles)]) == expected).all()


def test_of_color_luma_gains_what_opencv_gives_it():
    picture = smooth_picture((150, 100), 3) // 3 + 60
    luma = (picture.astype(int) @ [306, 601, 117] + 512) >> 10
    gained = cv2.createCLAHE(2.0, (8, 8)).apply(luma.astype(np.uint8)).astype(int) - luma
    expected = np.clip(picture + gained[:, :, None], 0, 255)
    assert (reference.apply(picture, [AdaptiveContrast(clip=2.0, tiles=8)]) == expected).all()


@pytest.mark.parametrize("step", [Stats(what="equalize", by="luma", cutoff=500), AdaptiveContrast(clip=0, tiles=8)])
def test_what_no_backend_can_do_is_refused(step):
    assert step.fault(10**6)
    assert AdaptiveContrast(clip=2.0, tiles=33).fault(10**6)
