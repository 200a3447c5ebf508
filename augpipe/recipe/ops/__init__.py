"""The vocabulary: every operation that a recipe can name, by name."""

from __future__ import annotations

from augpipe.recipe.ops import color, crop_pad, geometric, pixel
from augpipe.recipe.ops.base import COMMON_FIELDS, Operation

_CLASSES: tuple[type[Operation], ...] = (
    geometric.HorizontalFlip,
    geometric.VerticalFlip,
    geometric.Rotate90,
    geometric.Rotate,
    geometric.Affine,
    geometric.Perspective,
    geometric.Resize,
    crop_pad.Pad,
    crop_pad.Letterbox,
    crop_pad.RandomCrop,
    crop_pad.RandomResizedCrop,
    crop_pad.BboxSafeCrop,
    color.BrightnessContrast,
    color.ColorJitter,
    color.Gamma,
    color.ToGray,
    pixel.GaussianBlur,
    pixel.GaussianNoise,
    pixel.Erase,
    pixel.Jpeg,
)

OPERATIONS: dict[str, type[Operation]] = {cls.name(): cls for cls in _CLASSES}

__all__ = ["COMMON_FIELDS", "OPERATIONS", "Operation"]
