"""Albumentations, DataLoader, ShardWriter: the script that most projects have."""

from __future__ import annotations

import os
import warnings

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # or it asks the network for its newest version

import albumentations as A
import cv2
import harness
import numpy as np
from harness import Cannot, Labels, Operation
from like_albumentations import transform

warnings.filterwarnings("ignore", module="albumentations")


class Composed:
    """See :class:`harness.Augmenter`."""

    def __init__(self, steps: list[Operation]) -> None:
        self._compose = A.Compose([step(one) for one in steps], bbox_params=_boxes())

    def seed(self, number: int) -> None:
        """In each worker, or all would draw the same."""
        self._compose.set_random_seed(number)

    def copies(self, picture: np.ndarray, labels: Labels, count: int) -> list[tuple[np.ndarray, Labels]]:
        """One after the other."""
        return [self._one(picture, labels) for _ in range(count)]

    def _one(self, picture: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        more = {} if labels.masks is None else {"masks": labels.masks}
        out = self._compose(image=picture, bboxes=labels.boxes_xyxy, number=np.arange(len(labels.categories)), **more)
        left = np.asarray(out["number"], np.int64)
        masks = None if labels.masks is None else np.asarray(out["masks"])[left]
        boxes = np.asarray(out["bboxes"], np.float32).reshape(-1, 4)
        return out["image"], Labels(boxes, labels.categories[left], masks)


def _boxes() -> A.BboxParams:
    given = {"label_fields": ["number"], "min_visibility": 0.1}
    try:
        return A.BboxParams("pascal_voc", **given, clip=True)
    except TypeError:  # AlbumentationsX has no such word
        return A.BboxParams("pascal_voc", **given)


def step(one: Operation) -> A.BasicTransform | A.BaseCompose:
    """The closest that the library has to an operation."""
    if one.name == "one_of":
        return A.OneOf([step(child) for child in one.children], p=one.p)
    if one.name not in OPERATIONS:
        return transform(A, A.__name__, one)
    try:
        return OPERATIONS[one.name](one)
    except AttributeError as error:  # of a library that has some of the names
        raise Cannot(f"{A.__name__}: {error}") from None


def _affine(one: Operation) -> A.BasicTransform:
    shift = one.span("translate")
    return A.Affine(
        rotate=one.span("rotate"),
        scale=one.span("scale", 1.0),
        translate_percent={"x": shift, "y": shift},
        shear={"x": one.span("shear"), "y": (0.0, 0.0)},
        interpolation=cv2.INTER_LINEAR,
        p=one.p,
    )


def _jitter(one: Operation) -> A.BasicTransform:
    around = {name: (1.0 - value, 1.0 + value) for name, value in one.parameters.items() if name != "hue"}
    return A.ColorJitter(**around, hue=one.span("hue"), p=one.p)


def _erase(one: Operation) -> A.BasicTransform:
    count = tuple(int(n) for n in one.span("count"))
    side = tuple(float(np.sqrt(share)) for share in one.span("area"))
    return A.CoarseDropout(num_holes_range=count, hole_height_range=side, hole_width_range=side, fill=0, p=one.p)


def _noise(one: Operation) -> A.BasicTransform:
    low, high = one.span("std")
    return A.GaussNoise(std_range=(low / 255, high / 255), p=one.p)


OPERATIONS = {
    "horizontal_flip": lambda one: A.HorizontalFlip(p=one.p),
    "affine": _affine,
    # of the time alone: a smoothed field takes as long however far it moves
    "elastic": lambda one: A.ElasticTransform(alpha=300, sigma=20, p=one.p),
    "grid_distortion": lambda one: A.GridDistortion(distort_limit=one.span("limit"), p=one.p),
    "optical_distortion": lambda one: A.OpticalDistortion(distort_limit=one.span("k"), p=one.p),
    "perspective": lambda one: A.Perspective(scale=one.span("scale"), keep_size=True, p=one.p),
    "resize": lambda one: A.LongestMaxSize(one.parameters["longest"], interpolation=cv2.INTER_AREA, p=one.p),
    "color_jitter": _jitter,
    "gamma": lambda one: A.RandomGamma(gamma_limit=tuple(100 * v for v in one.span("amount")), p=one.p),
    "gaussian_blur": lambda one: A.GaussianBlur(blur_limit=0, sigma_limit=one.span("sigma"), p=one.p),
    "gaussian_noise": _noise,
    "erase": _erase,
    "jpeg": lambda one: A.ImageCompression(quality_range=tuple(map(int, one.span("quality"))), p=one.p),
}

if __name__ == "__main__":
    harness.main(__doc__, Composed)
