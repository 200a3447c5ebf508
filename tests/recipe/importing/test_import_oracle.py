"""Albumentations as an outside oracle of what its files become here: names, pixels and statistics."""

from __future__ import annotations

import json

import numpy as np
import pytest
from contents import rendered
from oracles import import_albumentations, oracle
from recipe_tools import frame_of

from augpipe.recipe import yaml_reader
from augpipe.recipe.importing.files import imported
from augpipe.recipe.load import compiled
from augpipe.recipe.planner import draw

A = oracle(import_albumentations)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of theirs, that ShiftScaleRotate is old

SIDES = {"height": 64, "width": 64}
NEEDED = {
    "RandomCrop": SIDES,
    "CenterCrop": SIDES,
    "Resize": SIDES,
    "LongestMaxSize": {"max_size": 64},
    "SmallestMaxSize": {"max_size": 64},
    "RandomResizedCrop": {"size": (64, 64)},
    "RandomSizedCrop": {"min_max_height": (32, 64), "size": (64, 64)},
}
TRANSFORMS = {
    "HorizontalFlip": 46, "RandomBrightnessContrast": 42, "ShiftScaleRotate": 28, "GaussNoise": 27, "CLAHE": 24,
    "Resize": 22, "VerticalFlip": 21, "HueSaturationValue": 18, "Blur": 15, "GaussianBlur": 14, "ColorJitter": 13,
    "RandomGamma": 13, "Rotate": 12, "MotionBlur": 12, "RandomRotate90": 11, "RandomCrop": 9, "PadIfNeeded": 9,
    "ImageCompression": 8, "Affine": 8, "RandomRain": 8, "GridDistortion": 7, "LongestMaxSize": 7,
    "RandomResizedCrop": 7, "CoarseDropout": 6, "MedianBlur": 6, "ToGray": 6, "ElasticTransform": 5, "Downscale": 5,
    "Sharpen": 5, "ChannelShuffle": 5, "RandomShadow": 5, "OpticalDistortion": 4, "RandomScale": 4, "Posterize": 4,
    "RandomFog": 4, "ISONoise": 3, "Transpose": 3, "Perspective": 3, "RandomSunFlare": 3, "CenterCrop": 2, "Emboss":
    2, "RGBShift": 2, "SmallestMaxSize": 1, "PiecewiseAffine": 1, "RandomSizedCrop": 1, "FancyPCA": 1,
    "AdvancedBlur": 1, "MultiplicativeNoise": 1, "Defocus": 1, "PixelDropout": 1, "RandomSnow": 1, "Spatter": 1,
    "ToSepia": 1, "UnsharpMask": 1,
}  # fmt: skip
"""How often each occurs in 70 public pipelines."""
MISSING = {"FancyPCA", "Spatter"}
PICTURE = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
SMOOTH = np.stack([np.add.outer(np.arange(48) * 2.0, np.arange(64) * 2.0) + k for k in (10, 30, 20)], -1).astype(
    np.uint8
)


def document(transform):
    return yaml_reader.read("aug.json", json.dumps(A.to_dict(transform)))


def import_of(transform):
    return imported(document(transform))


def ours(transform, picture=PICTURE, copy=0):
    found = import_of(transform)
    assert [line.status for line in found.lines] == ["exact"], found.lines
    recipe = compiled(yaml_reader.read("my.yaml", found.text), "my")
    plan = draw(recipe, frame_of((picture.shape[1], picture.shape[0])), 5, copy)
    return rendered(picture, plan.steps)


def theirs(transform, picture=PICTURE):
    return transform(image=picture)["image"]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_defaults_of_a_transform_are_imported(name):
    found = import_of(getattr(A, name)(**NEEDED.get(name, {})))
    (line,) = found.lines
    assert (line.status == "missing") == (name in MISSING)
    assert "not carried over" not in line.why
    if name not in MISSING:
        compiled(yaml_reader.read("my.yaml", found.text), "my")


def test_nearly_all_of_what_public_pipelines_hold_is_written_here():
    """471 with one MixUp."""
    assert sum(TRANSFORMS.values()) == 470
    assert sum(count for name, count in TRANSFORMS.items() if name not in MISSING) == 468


SAME = {
    "HorizontalFlip": {},
    "VerticalFlip": {},
    "Transpose": {},
    "Posterize": {"num_bits": (3, 3)},
    "Solarize": {"threshold_range": (0.5, 0.5)},
    "InvertImg": {},
    "CenterCrop": {"height": 20, "width": 30},
    "Crop": {"x_min": 3, "y_min": 5, "x_max": 40, "y_max": 30},
    "PadIfNeeded": {"min_height": 60, "min_width": 80, "fill": (1, 2, 3)},
}


@pytest.mark.parametrize("name", SAME)
def test_the_pixels_are_those_of_albumentations(name):
    transform = getattr(A, name)(**SAME[name], p=1)
    np.testing.assert_array_equal(ours(transform), theirs(transform))


HALF_EIGHTH, HALF, EIGHTH = (0.0625, 0.0625), (0.5, 0.5), {"x": (0.125, 0.125), "y": (0.125, 0.125)}
ROUNDED = [
    ("RandomBrightnessContrast", {"brightness_limit": (0.1, 0.1), "contrast_limit": (-0.3, -0.3)}, PICTURE),
    ("RandomGamma", {"gamma_limit": (150, 150)}, PICTURE),
    ("ToGray", {}, PICTURE),
    ("ToSepia", {}, PICTURE),
    ("RGBShift", {"r_shift_limit": (9, 9), "g_shift_limit": (-20, -20), "b_shift_limit": (3, 3)}, PICTURE),
    ("MultiplicativeNoise", {"multiplier": (1.2, 1.2)}, PICTURE),
    ("Blur", {"blur_limit": (5, 5)}, PICTURE),
    ("MedianBlur", {"blur_limit": (3, 3)}, PICTURE),
    ("Rotate", {"limit": (30, 30)}, SMOOTH),
    ("ShiftScaleRotate", {"shift_limit": HALF_EIGHTH, "scale_limit": (0.2, 0.2), "rotate_limit": (20, 20)}, SMOOTH),
    ("Affine", {"rotate": (20, 20)}, SMOOTH),
    ("OpticalDistortion", {"mode": "fisheye", "distort_limit": (0.3, 0.3)}, SMOOTH),
    ("OpticalDistortion", {"mode": "fisheye", "distort_limit": (-0.2, -0.2)}, SMOOTH),
    ("Affine", {"shear": {"x": (10, 10), "y": (0, 0)}}, SMOOTH),
    ("Affine", {"shear": {"x": (0, 0), "y": (10, 10)}}, SMOOTH),
    ("Affine", {"translate_percent": EIGHTH, "scale": HALF, "keep_ratio": True}, SMOOTH),
]


@pytest.mark.parametrize(("name", "parameters", "picture"), ROUNDED)
def test_the_pixels_are_nearly_those_of_albumentations(name, parameters, picture):
    transform = getattr(A, name)(**parameters, p=1)
    apart = np.abs(ours(transform, picture).astype(int) - theirs(transform, picture))[5:-5, 5:-5]
    assert np.median(apart) <= 1
    assert (apart > 3).mean() < 0.02  # wedges of the border end half a pixel elsewhere


@pytest.mark.parametrize("per_channel", [True, False])
def test_noise_has_the_deviation_of_albumentations(per_channel):
    gray = np.full((120, 160, 3), 128, np.uint8)
    transform = A.GaussNoise(std_range=(0.05, 0.05), per_channel=per_channel, p=1)
    here, there = (made.astype(float) for made in (ours(transform, gray), theirs(transform, gray)))
    assert here.std() == pytest.approx(there.std(), rel=0.05)
    assert here.mean() == pytest.approx(there.mean(), abs=0.3)
    assert np.ptp(here, axis=2).any() == np.ptp(there, axis=2).any() == per_channel


@pytest.mark.parametrize(("alpha", "sigma", "noise"), [(300, 20, "gaussian"), (600, 30, "uniform")])
def test_bent_pictures_move_as_far(alpha, sigma, noise):
    """By a ramp along x, on a picture of the side that the import assumes."""
    ramp = np.repeat(np.tile(np.arange(512) // 2, (512, 1)).astype(np.uint8)[:, :, None], 3, axis=2)
    transform = A.ElasticTransform(alpha, sigma, noise_distribution=noise, p=1)
    transform.set_random_seed(4)
    recipe = compiled(yaml_reader.read("my.yaml", import_of(transform).text), "my")
    made = [rendered(ramp, draw(recipe, frame_of((512, 512)), 1, copy).steps) for copy in range(6)]
    here, there = (
        np.std([one[60:-60, 60:-60, 0] - ramp[60:-60, 60:-60, 0].astype(float) for one in many])
        for many in (made, [theirs(transform, ramp) for _ in range(6)])
    )
    assert there > 0.4
    assert here == pytest.approx(there, rel=0.35)


def test_pixels_drop_out_as_often():
    gray = np.full((200, 200, 3), 128, np.uint8)
    transform = A.PixelDropout(dropout_prob=0.1, p=1)
    here, there = ((made == 0).mean() for made in (ours(transform, gray), theirs(transform, gray)))
    assert here == pytest.approx(there, rel=0.1)


def test_one_of_chooses_as_often_as_albumentations():
    group = A.OneOf([A.InvertImg(p=0.75), A.Solarize(threshold_range=(0, 0), p=0.2), A.NoOp(p=0.05)], p=0.5)
    gray = np.full((4, 4, 3), 100, np.uint8)
    group.set_random_seed(4)
    found = import_of(group)
    recipe = compiled(yaml_reader.read("my.yaml", found.text), "my")
    here = np.mean([bool(draw(recipe, frame_of((4, 4)), 1, copy).steps) for copy in range(600)])
    there = np.mean([(theirs(group, gray) != gray).any() for _ in range(600)])
    assert here == pytest.approx(0.475, abs=0.06)
    assert there == pytest.approx(0.475, abs=0.06)
