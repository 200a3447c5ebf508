"""variopinta: compiled pipelines on single pictures. It moves no boxes, so it is timed for the picture alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import variopinta as v
from harness import Cannot, Labels, Operation


class Composed:
    """See :class:`harness.Augmenter`."""

    def __init__(self, steps: list[Operation]) -> None:
        self._pipeline = v.Pipeline([_step(one) for one in steps], seed=7).compile()
        self._turn = 0

    def seed(self, number: int) -> None:
        """The pipeline has its own."""

    def copies(self, picture: np.ndarray, labels: Labels, count: int) -> list[tuple[np.ndarray, Labels]]:
        """One after the other."""
        return [(self._next(picture), labels) for _ in range(count)]

    def _next(self, picture: np.ndarray) -> np.ndarray:
        self._turn += 1
        return np.asarray(self._pipeline(picture, key=self._turn))


def _step(one: Operation) -> Any:
    if one.name not in OPERATIONS:
        raise Cannot(f"variopinta: nothing like {one.name}")
    return OPERATIONS[one.name](one)


def _around(one: Operation, name: str) -> tuple[float, float]:
    low, high = one.span(name)
    return 1.0 + low, 1.0 + high


def _jitter(one: Operation) -> Any:
    around = {f"{name}_range": _around(one, name) for name in ("brightness", "contrast", "saturation")}
    return v.ColorJitter(**around, hue_range=one.span("hue"), p=one.p)


def _erase(one: Operation) -> Any:
    low, high = (float(np.sqrt(share)) for share in one.span("area"))
    count = tuple(int(n) for n in one.span("count"))
    return v.CoarseDropout(
        num_holes_range=count, hole_height_range=(low, high), hole_width_range=(low, high), p=one.p
    )  # fmt: skip


def _affine(one: Operation) -> Any:
    shift = one.span("translate")[1]
    return v.Affine(
        degrees_range=one.span("rotate"),
        translate_max_fraction=(shift, shift),
        scale_range=one.span("scale", 1.0),
        p=one.p,
    )


OPERATIONS: dict[str, Callable[[Operation], Any]] = {
    "horizontal_flip": lambda one: v.HorizontalFlip(p=one.p),
    "vertical_flip": lambda one: v.VerticalFlip(p=one.p),
    "affine": _affine,
    "rotate": lambda one: v.RandomRotation(one.span("degrees"), p=one.p),
    "perspective": lambda one: v.Perspective(distortion_scale_range=one.span("scale"), p=one.p),
    "resize": lambda one: v.LongestMaxSize(one.parameters["longest"], antialias=True, p=one.p),
    "random_crop": lambda one: v.RandomCrop(320, 320, p=one.p),
    "center_crop": lambda one: v.CenterCrop(320, 320, p=one.p),
    "random_resized_crop": lambda one: v.RandomResizedCrop(224, 224, area_range=(0.25, 1.0), antialias=True, p=one.p),
    "color_jitter": _jitter,
    "to_gray": lambda one: v.Grayscale(p=one.p),
    "invert": lambda one: v.Invert(p=one.p),
    "posterize": lambda one: v.Posterize(4, p=one.p),
    "solarize": lambda one: v.Solarize(160, p=one.p),
    "gaussian_blur": lambda one: v.GaussianBlur(kernel_size=7, sigma_range=one.span("sigma"), p=one.p),
    "gaussian_noise": lambda one: v.GaussianNoise(std_range=one.span("std"), p=one.p),
    "sharpen": lambda one: v.Sharpen(blend_weight_range=(0.2, 0.5), p=one.p),
    "erase": _erase,
}
