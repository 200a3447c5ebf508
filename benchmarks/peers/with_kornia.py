"""Kornia on the CPU: float tensors, all copies of a picture as one batch, which is how it is meant to be used."""

from __future__ import annotations

import warnings
from typing import Any

import harness
import kornia.augmentation as K
import numpy as np
import torch
from harness import Cannot, Labels, Operation

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


class Batched:
    """See :class:`harness.Augmenter`."""

    def __init__(self, steps: list[Operation]) -> None:
        made = [part for one in steps for part in parts(one)]
        nearest = {"mask": {"resample": "nearest"}}
        self._boxes = K.AugmentationSequential(*made, data_keys=["input", "bbox_xyxy"])
        self._all = K.AugmentationSequential(*made, data_keys=["input", "bbox_xyxy", "mask"], extra_args=nearest)

    def seed(self, number: int) -> None:
        """The DataLoader has seeded torch."""

    def copies(self, picture: np.ndarray, labels: Labels, count: int) -> list[tuple[np.ndarray, Labels]]:
        """Together."""
        with torch.inference_mode():
            tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float().div_(255).expand(count, -1, -1, -1)
            given: list[Any] = [tensor, torch.from_numpy(labels.boxes_xyxy).expand(count, -1, -1)]
            if labels.masks is not None:
                given.append(torch.from_numpy(labels.masks).float().expand(count, -1, -1, -1))
            out = (self._boxes if labels.masks is None else self._all)(*given)
            pictures = (out[0] * 255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
            masks = (out[2] > 0.5).to(torch.uint8).numpy() if labels.masks is not None else [None] * count
        boxes = _clipped(out[1].numpy(), pictures.shape[1:3])
        return [_left(*one, labels.categories) for one in zip(pictures, boxes, masks, strict=True)]


def _clipped(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape
    return np.clip(boxes, 0, [width, height, width, height])


def _left(
    picture: np.ndarray, boxes: np.ndarray, masks: np.ndarray | None, categories: np.ndarray
) -> tuple[np.ndarray, Labels]:
    """Without what has left the frame, which Kornia keeps."""
    inside = (boxes[:, 2:] - boxes[:, :2] >= 2).all(axis=1)
    return picture, Labels(boxes, categories, masks).kept(np.flatnonzero(inside))


def parts(one: Operation) -> list[Any]:
    """The closest that the library has to an operation; of a group each child by itself, with its share of the p."""
    if one.name == "one_of":
        return [_made(child, share) for child, share in one.shares()]
    return [_made(one, one.p)]


def _made(one: Operation, p: float) -> Any:
    if one.name not in OPERATIONS:
        raise Cannot(f"Kornia: nothing like {one.name}")
    return OPERATIONS[one.name](one, p)


def _affine(one: Operation, p: float) -> Any:
    shift = one.span("translate")[1]
    return K.RandomAffine(one.span("rotate"), (shift, shift), one.span("scale", 1.0), one.span("shear"), p=p)


def _blur(one: Operation, p: float) -> Any:
    side = 2 * int(np.ceil(3 * one.span("sigma")[1])) + 1
    return K.RandomGaussianBlur((side, side), one.span("sigma"), p=p)


OPERATIONS = {
    "horizontal_flip": lambda one, p: K.RandomHorizontalFlip(p=p),
    "affine": _affine,
    "perspective": lambda one, p: K.RandomPerspective(2.0 * one.span("scale")[1], p=p),
    "resize": lambda one, p: K.LongestMaxSize(one.parameters["longest"], p=p),
    "color_jitter": lambda one, p: K.ColorJitter(**one.parameters, p=p),
    "gamma": lambda one, p: K.RandomGamma(one.span("amount"), p=p),
    "gaussian_blur": _blur,
    "gaussian_noise": lambda one, p: K.RandomGaussianNoise(std=sum(one.span("std")) / 2 / 255, p=p),
    "erase": lambda one, p: K.RandomErasing(one.span("area"), p=p),
    "jpeg": lambda one, p: K.RandomJPEG(one.span("quality"), p=p),
}

if __name__ == "__main__":
    harness.main(__doc__, Batched, batched=True)
