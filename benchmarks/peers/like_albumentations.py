"""Operations of the catalogue in the words of Albumentations, of whichever library has its names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cv2
from harness import Cannot, Operation


def _whole(one: Operation, name: str) -> tuple[int, int]:
    low, high = one.span(name)
    return int(low), int(high)


def _made(A: Any, name: str, **given: Any) -> Any:
    """A transform of these parameters, some of which AlbumentationsX calls ranges."""
    kind = getattr(A, name)
    known = inspect.signature(kind.__init__).parameters
    other = {
        word: next((w for w in (word.replace("_limit", "_range"), f"{word}_range") if w in known), word)
        for word in given
    }
    return kind(**{word if word in known else other[word]: value for word, value in given.items()})


def _named(name: str, **fixed: Any) -> Callable[[Any, Operation], Any]:
    """A transform of that name with these parameters."""
    return lambda A, one: _made(A, name, p=one.p, **fixed)


def _ranged(name: str, theirs: str, ours: str, factor: float = 1.0, **fixed: Any) -> Callable[[Any, Operation], Any]:
    """A transform whose range is one of ours times a factor."""
    return lambda A, one: _made(A, name, p=one.p, **{theirs: tuple(factor * v for v in one.span(ours))}, **fixed)


def _counted(name: str, theirs: str, ours: str, **fixed: Any) -> Callable[[Any, Operation], Any]:
    """The same of whole numbers."""
    return lambda A, one: _made(A, name, p=one.p, **{theirs: _whole(one, ours)}, **fixed)


def _contrast(A: Any, one: Operation) -> Any:
    return A.RandomBrightnessContrast(
        brightness_limit=one.span("brightness"), contrast_limit=one.span("contrast"), p=one.p
    )


def _hsv(A: Any, one: Operation) -> Any:
    limits = {"hue_shift_limit": 180 * 0.015, "sat_shift_limit": 128 * 0.7, "val_shift_limit": 128 * 0.4}
    return A.HueSaturationValue(p=one.p, **limits)


def _shift(A: Any, one: Operation) -> Any:
    return A.RGBShift(20, 20, 20, p=one.p)


TRANSFORMS: dict[str, Callable[[Any, Operation], Any]] = {
    "vertical_flip": _named("VerticalFlip"),
    "transpose": _named("Transpose"),
    "rotate90": _named("RandomRotate90"),
    "symmetry": _named("D4"),
    "rotate": _ranged("Rotate", "limit", "degrees"),
    "random_scale": lambda A, one: A.RandomScale(scale_limit=(-0.25, 0.33), p=one.p),
    "random_crop": _named("RandomCrop", height=320, width=320),
    "center_crop": _named("CenterCrop", height=320, width=320),
    "random_resized_crop": _named(
        "RandomResizedCrop", size=(224, 224), scale=(0.25, 1.0), interpolation=cv2.INTER_LINEAR
    ),
    "brightness_contrast": _contrast,
    "hsv": _hsv,
    "photometric_distort": lambda A, one: A.PhotoMetricDistort(p=one.p),
    "rgb_shift": _shift,
    "color_temperature": _named("PlanckianJitter"),
    "channel_shuffle": _named("ChannelShuffle"),
    "channel_dropout": _named("ChannelDropout"),
    "to_gray": _named("ToGray"),
    "sepia": _named("ToSepia"),
    "invert": _named("InvertImg"),
    "posterize": _counted("Posterize", "num_bits", "bits"),
    "solarize": _ranged("Solarize", "threshold_range", "threshold", 1 / 255),
    "tone_curve": _named("RandomToneCurve", scale=0.15),
    "equalize": _named("Equalize", mode="pil"),
    "autocontrast": _named("AutoContrast"),
    "clahe": _ranged("CLAHE", "clip_limit", "clip"),
    "box_blur": _counted("Blur", "blur_limit", "size"),
    "median_blur": _counted("MedianBlur", "blur_limit", "size"),
    "motion_blur": _counted("MotionBlur", "blur_limit", "length"),
    "defocus": _counted("Defocus", "radius", "radius"),
    "sharpen": _named("Sharpen", alpha=(0.2, 0.5)),
    "emboss": _ranged("Emboss", "alpha", "amount"),
    "downscale": lambda A, one: A.Downscale(scale_range=(0.25, 0.5), p=one.p),
    "shot_noise": _ranged("ShotNoise", "scale_range", "strength", 1 / 255),
    "iso_noise": _named("ISONoise"),
    "speckle_noise": lambda A, one: A.MultiplicativeNoise((0.85, 1.15), per_channel=True, elementwise=True, p=one.p),
    "salt_and_pepper": _ranged("SaltAndPepper", "amount", "amount"),
    "pixel_dropout": _named("PixelDropout", dropout_prob=0.0175),
    "grid_dropout": _named("GridDropout"),
    "fog": _ranged("RandomFog", "fog_coef_range", "strength"),
    "rain": _named("RandomRain"),
    "snow": _named("RandomSnow"),
    "shadow": _counted("RandomShadow", "num_shadows_limit", "count"),
    "sun_flare": _named("RandomSunFlare"),
    "vignette": _named("Vignetting"),
    "illumination": _named("Illumination"),
}
"""Name → a function of the library and the operation."""


def transform(A: Any, library: str, one: Operation) -> Any:
    """The closest that a library has.

    Raises:
        Cannot: it has none.
    """
    if one.name not in TRANSFORMS:
        raise Cannot(f"{library}: nothing like {one.name}")
    try:
        return TRANSFORMS[one.name](A, one)
    except AttributeError as error:
        raise Cannot(f"{library}: {error}") from None
