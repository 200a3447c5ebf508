"""torchvision v2 on the CPU: 8-bit tensors, boxes and masks as its tv_tensors."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import cv2
import harness
import numpy as np
import torch
from harness import JPEG, Cannot, Labels, Operation


def _import() -> Any:
    """torchvision, also where its compiled operators, which are not used here, are those of another build of torch."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "nms does not exist" not in str(error):
            raise
    for name in ("nms", "qnms"):
        _DEFINED.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    return importlib.import_module("torchvision")


_DEFINED = torch.library.Library("torchvision", "FRAGMENT")
warnings.filterwarnings("ignore", module="torchvision|torch")
_import()

from torchvision import tv_tensors  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

torch.set_num_threads(1)
LINEAR = v2.InterpolationMode.BILINEAR


class Composed:
    """See :class:`harness.Augmenter`."""

    def __init__(self, steps: list[Operation]) -> None:
        tidy = v2.SanitizeBoundingBoxes(min_size=2, labels_getter=lambda inputs: inputs["number"])
        self._effects = v2.Compose([*(step(one) for one in steps), v2.ClampBoundingBoxes(), tidy])

    def seed(self, number: int) -> None:
        """The DataLoader has seeded torch."""

    def copies(self, picture: np.ndarray, labels: Labels, count: int) -> list[tuple[np.ndarray, Labels]]:
        """One after the other."""
        return [self._one(picture, labels) for _ in range(count)]

    def _one(self, picture: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        boxes: Any = tv_tensors.BoundingBoxes(labels.boxes_xyxy, format="XYXY", canvas_size=picture.shape[:2])
        inputs = {
            "image": tv_tensors.Image(torch.from_numpy(picture).permute(2, 0, 1)),
            "boxes": boxes,
            "number": torch.arange(len(labels.categories)),
        }
        if labels.masks is not None:
            inputs["masks"] = tv_tensors.Mask(torch.from_numpy(labels.masks))
        out = self._effects(inputs)
        left = out["number"].numpy()
        masks = out["masks"].numpy() if labels.masks is not None else None  # sanitized like the boxes
        picture = np.ascontiguousarray(out["image"].permute(1, 2, 0).numpy())
        return picture, Labels(out["boxes"].numpy(), labels.categories[left], masks)


def step(one: Operation) -> Any:
    """The closest that the library has to an operation."""
    if one.name == "one_of":
        chosen = v2.RandomChoice([step(child) for child in one.children], p=[child.weight for child in one.children])
        return v2.RandomApply([chosen], one.p)
    if one.name not in OPERATIONS:
        raise Cannot(f"torchvision: nothing like {one.name}")
    made = OPERATIONS[one.name](one)
    return made if one.p == 1.0 or one.name in OF_ITS_OWN else v2.RandomApply([made], one.p)


class Noise(v2.Transform):
    """Gaussian noise on 8 bits, which v2 has for floats alone, and with a fixed strength."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self._range = (low, high)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """On the picture alone."""
        if not isinstance(inpt, tv_tensors.Image):
            return inpt
        noise = torch.randn(inpt.shape) * float(torch.empty(1).uniform_(*self._range))
        return tv_tensors.wrap(noise.add_(inpt).round_().clamp_(0, 255).to(torch.uint8), like=inpt)


class Gamma(v2.Transform):
    """A random exponent, which v2 has as a function alone."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self._range = (low, high)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """One exponent a picture."""
        return {"gamma": float(torch.empty(1).uniform_(*self._range))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """On the picture alone."""
        return self._call_kernel(v2.functional.adjust_gamma, inpt, **params)


class Recompress(v2.Transform):
    """JPEG by OpenCV: v2's own operator is compiled for one build of torch."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self._range = (int(low), int(high) + 1)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """On the picture alone."""
        if not isinstance(inpt, tv_tensors.Image):
            return inpt
        quality = int(torch.randint(*self._range, ()))
        _, data = cv2.imencode(".jpg", inpt.permute(1, 2, 0).numpy(), [JPEG[0], quality, *JPEG[2:]])
        again = torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_COLOR)).permute(2, 0, 1)
        return tv_tensors.wrap(again, like=inpt)


class Erase(v2.Transform):
    """Several rectangles on the picture, as v2 has one."""

    def __init__(self, one: Operation) -> None:
        super().__init__()
        self._count = tuple(int(n) for n in one.span("count"))
        self._erase = v2.RandomErasing(1.0, scale=one.span("area"), value=0)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """On the picture alone."""
        if isinstance(inpt, tv_tensors.Image):
            for _ in range(int(torch.randint(self._count[0], self._count[1] + 1, ()))):
                inpt = self._erase(inpt)
        return inpt


def _affine(one: Operation) -> Any:
    shift = one.span("translate")[1]
    return v2.RandomAffine(
        one.span("rotate"), (shift, shift), one.span("scale", 1.0), one.span("shear"), interpolation=LINEAR
    )


OF_ITS_OWN = ("horizontal_flip", "perspective")  # these take a p themselves
OPERATIONS = {
    "horizontal_flip": lambda one: v2.RandomHorizontalFlip(one.p),
    "affine": _affine,
    "perspective": lambda one: v2.RandomPerspective(2.0 * one.span("scale")[1], one.p, interpolation=LINEAR),
    "resize": lambda one: v2.Resize(None, max_size=one.parameters["longest"]),
    "color_jitter": lambda one: v2.ColorJitter(**one.parameters),
    "gamma": lambda one: Gamma(*one.span("amount")),
    "gaussian_blur": lambda one: v2.GaussianBlur(2 * int(np.ceil(3 * one.span("sigma")[1])) + 1, one.span("sigma")),
    "gaussian_noise": lambda one: Noise(*one.span("std")),
    "erase": Erase,
    "jpeg": lambda one: Recompress(*one.span("quality")),
    "vertical_flip": lambda one: v2.RandomVerticalFlip(one.p),
    "rotate": lambda one: v2.RandomRotation(one.span("degrees"), interpolation=LINEAR),
    "random_crop": lambda one: v2.RandomCrop(320),
    "center_crop": lambda one: v2.CenterCrop(320),
    "random_resized_crop": lambda one: v2.RandomResizedCrop(224, (0.25, 1.0)),
    "photometric_distort": lambda one: v2.RandomPhotometricDistort(p=0.5),
    "channel_shuffle": lambda one: v2.RandomChannelPermutation(),
    "to_gray": lambda one: v2.Grayscale(3),
    "invert": lambda one: v2.RandomInvert(one.p),
    "posterize": lambda one: v2.RandomPosterize(4, one.p),
    "solarize": lambda one: v2.RandomSolarize(160, one.p),
    "equalize": lambda one: v2.RandomEqualize(one.p),
    "autocontrast": lambda one: v2.RandomAutocontrast(one.p),
    "sharpness": lambda one: v2.RandomAdjustSharpness(1.5, one.p),
}

if __name__ == "__main__":
    harness.main(__doc__, Composed)
