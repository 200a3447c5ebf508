"""The vocabulary: every operation that a recipe can name, by name."""

from __future__ import annotations

from augpipe.recipe.ops import effects, frames, moves, tones
from augpipe.recipe.ops.base import COMMON_FIELDS, Operation

_CLASSES: tuple[type[Operation], ...] = (
    moves.HorizontalFlip,
    moves.VerticalFlip,
    moves.Rotate90,
    moves.Rotate,
    moves.Affine,
    moves.Perspective,
    moves.Resize,
    frames.Pad,
    frames.Letterbox,
    frames.RandomCrop,
    frames.RandomResizedCrop,
    frames.BboxSafeCrop,
    tones.BrightnessContrast,
    tones.ColorJitter,
    tones.Gamma,
    tones.ToGray,
    effects.GaussianBlur,
    effects.GaussianNoise,
    effects.Erase,
    effects.Jpeg,
)

OPERATIONS: dict[str, type[Operation]] = {cls.name(): cls for cls in _CLASSES}

__all__ = ["COMMON_FIELDS", "OPERATIONS", "Operation"]
