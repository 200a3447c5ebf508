"""imgaug 0.4.0, the last one, of 2020: with the names that NumPy 2 has taken away put back."""

from __future__ import annotations

import warnings
from typing import Any

import harness
import numpy as np
from harness import Cannot, Labels, Operation

warnings.filterwarnings("ignore")
if not hasattr(np, "sctypes"):
    np.sctypes = {  # type: ignore[attr-defined]
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64],
        "complex": [np.complex64, np.complex128],
        "others": [bool, object, bytes, str, np.void],
    }

import imgaug  # noqa: E402
import imgaug.augmenters as iaa  # noqa: E402
from imgaug.augmentables import BoundingBox, BoundingBoxesOnImage, SegmentationMapsOnImage  # noqa: E402

HUE = 255  # imgaug counts a whole turn of hue as 255
QUALITY = 100  # and compression from 0, none, to 100


class Composed:
    """See :class:`harness.Augmenter`."""

    def __init__(self, steps: list[Operation]) -> None:
        self._effects = iaa.Sequential([step(one) for one in steps])

    def seed(self, number: int) -> None:
        """In each worker, or all would draw the same."""
        imgaug.seed(number)
        self._effects.seed_(number)

    def copies(self, picture: np.ndarray, labels: Labels, count: int) -> list[tuple[np.ndarray, Labels]]:
        """One after the other."""
        return [self._one(picture, labels) for _ in range(count)]

    def _one(self, picture: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        boxes = [BoundingBox(*box, label=i) for i, box in enumerate(labels.boxes_xyxy.tolist())]
        given: dict[str, Any] = {"bounding_boxes": BoundingBoxesOnImage(boxes, picture.shape)}
        if labels.masks is not None:
            stack = np.ascontiguousarray(labels.masks.transpose(1, 2, 0)).astype(np.int32)
            given["segmentation_maps"] = SegmentationMapsOnImage(stack, picture.shape)
        out = self._effects(image=picture, **given)
        picture, inside = out[0], out[1].remove_out_of_image().clip_out_of_image()
        left = np.array([box.label for box in inside], np.int64)
        masks = None
        if labels.masks is not None:
            masks = np.ascontiguousarray(out[2].arr.transpose(2, 0, 1)[left]).astype(np.uint8)
        return picture, Labels(inside.to_xyxy_array(np.float32), labels.categories[left], masks)


def step(one: Operation) -> Any:
    """The closest that the library has to an operation."""
    if one.name == "one_of":
        made: Any = iaa.OneOf([step(child) for child in one.children])
    elif one.name in OPERATIONS:
        made = OPERATIONS[one.name](one)
    else:
        raise Cannot(f"imgaug: nothing like {one.name}")
    return made if one.p == 1.0 else iaa.Sometimes(one.p, made)


def _affine(one: Operation) -> Any:
    shift = one.span("translate")
    return iaa.Affine(
        rotate=one.span("rotate"),
        scale=one.span("scale", 1.0),
        translate_percent={"x": shift, "y": shift},
        shear={"x": one.span("shear"), "y": 0},
        order=1,
        backend="cv2",
    )


def _jitter(one: Operation) -> Any:
    amounts = {name: (1.0 - value, 1.0 + value) for name, value in one.parameters.items()}
    hue = tuple(int(v * HUE) for v in one.span("hue"))
    return iaa.Sequential([
        iaa.Multiply(amounts["brightness"]),  # MultiplyBrightness tries three colour spaces, and takes 20 times as long
        iaa.LinearContrast(amounts["contrast"]),
        iaa.MultiplySaturation(amounts["saturation"]),
        iaa.AddToHue(hue),
    ])  # fmt: skip


def _erase(one: Operation) -> Any:
    count = tuple(int(n) for n in one.span("count"))
    side = tuple(float(np.sqrt(share)) for share in one.span("area"))
    return iaa.Cutout(nb_iterations=count, size=side, squared=False, fill_mode="constant", cval=0)


def _resize(one: Operation) -> Any:
    sides = {"longer-side": one.parameters["longest"], "shorter-side": "keep-aspect-ratio"}
    return iaa.Resize(sides, interpolation="area")


OPERATIONS = {
    "horizontal_flip": lambda one: iaa.Fliplr(1.0),
    "affine": _affine,
    "perspective": lambda one: iaa.PerspectiveTransform(one.span("scale"), keep_size=True),
    "resize": _resize,
    "color_jitter": _jitter,
    "gamma": lambda one: iaa.GammaContrast(one.span("amount")),
    "gaussian_blur": lambda one: iaa.GaussianBlur(one.span("sigma")),
    "gaussian_noise": lambda one: iaa.AdditiveGaussianNoise(scale=one.span("std"), per_channel=True),
    "erase": _erase,
    "jpeg": lambda one: iaa.JpegCompression(tuple(QUALITY - int(v) for v in reversed(one.span("quality")))),
}

if __name__ == "__main__":
    harness.main(__doc__, Composed)
