"""torchvision, Albumentations and Pillow as outside oracles: which way hue turns, and what contrast is about."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from contents import rendered
from oracles import import_albumentations, import_torchvision, oracle
from PIL import Image
from recipe_tools import plan_of

oracle(import_torchvision)
A = oracle(import_albumentations)

import torch  # noqa: E402
from torchvision.transforms import functional as outside  # noqa: E402

PATCHES = {
    "red": (255, 0, 0), "yellow": (255, 255, 0), "green": (0, 255, 0),
    "cyan": (0, 255, 255), "blue": (0, 0, 255), "magenta": (255, 0, 255),
}  # fmt: skip


def ours(picture, **parameters):
    fixed = {name: [value, value] for name, value in parameters.items()}
    return rendered(picture, plan_of([{"color_jitter": fixed}]).steps)


def tensor(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)


def array(image):
    return image.permute(1, 2, 0).numpy()


def by_torchvision(picture, hue):
    return array(outside.adjust_hue(tensor(picture), hue))


def by_albumentations(picture, hue):
    degrees = 180.0 * hue  # of OpenCV's half circle
    return A.HueSaturationValue((degrees, degrees), 0, 0, p=1)(image=picture)["image"]


def by_pillow(picture, hue):
    hsv = np.array(Image.fromarray(picture).convert("HSV")).astype(int)
    hsv[:, :, 0] = (hsv[:, :, 0] + round(256 * hue)) % 256
    return np.array(Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB"))


def turned(before, after):
    """How far hue went, as a fraction of the circle, positive from red to yellow."""
    a, b = (colorsys.rgb_to_hsv(*(v / 255.0 for v in rgb))[0] for rgb in (before, after))
    return (b - a + 0.5) % 1.0 - 0.5


@pytest.mark.parametrize("theirs", [by_torchvision, by_albumentations, by_pillow])
@pytest.mark.parametrize("hue", [0.06, -0.06])
@pytest.mark.parametrize("name", PATCHES)
def test_hue_turns_the_same_way(name, hue, theirs):
    """Ours turns in YIQ, so it comes elsewhere on the circle of HSV, though on the same side."""
    patch = np.full((4, 4, 3), PATCHES[name], np.uint8)
    here, there = (turned(PATCHES[name], made[0, 0].tolist()) for made in (ours(patch, hue=hue), theirs(patch, hue)))
    assert there == pytest.approx(hue, abs=0.01)
    assert here * there > 0, f"{here:+.3f} where theirs is {there:+.3f}"
    assert abs(here) > 0.015


def photos():
    data = pytest.importorskip("skimage.data")
    for photo in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket()):
        yield photo
        yield (255.0 * (photo / 255.0) ** 2.2 * 0.35).astype(np.uint8)  # as at night


@pytest.mark.parametrize("change", [-0.4, -0.15, 0.15, 0.4])
def test_contrast_of_photographs(change):
    for photo in photos():
        expected = array(outside.adjust_contrast(tensor(photo), 1.0 + change))
        assert np.abs(ours(photo, contrast=change).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("change", [-0.4, -0.15, 0.15, 0.4])
@pytest.mark.parametrize("brightness", [-0.2, 0.2])
def test_contrast_behind_brightness(brightness, change):
    """Theirs cuts at 255 after each operation, ours at the end: they are alike where nothing is cut in between."""
    for photo in photos():
        photo = (photo * 0.8).astype(np.uint8)  # noqa: PLW2901  so that brightness cuts nothing
        bright = outside.adjust_brightness(tensor(photo), 1.0 + brightness)
        expected = array(outside.adjust_contrast(bright, 1.0 + change))
        assert np.abs(ours(photo, brightness=brightness, contrast=change).astype(int) - expected).max() <= 2
