"""Samples as torchvision's tv_tensors, which transforms of torchvision.transforms.v2 move together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from augpipe.core.errors import MissingLibrary, UsageError, one_line
from augpipe.train.targets import COLUMNS, Target

_OF_V2 = "torchvision.transforms.v2"


def require_tv_tensors_for(transform: object) -> None:
    """Raise :class:`UsageError` for a transform of torchvision's v2, which would move plain pictures alone."""
    if any(cls.__module__.startswith(_OF_V2) for cls in type(transform).__mro__):
        name = type(transform).__name__
        raise UsageError(f"transform {name} of {_OF_V2} moves labels only with tv_tensors=True, which is not given")


def tv_sample(image: torch.Tensor, target: Target) -> tuple[torch.Tensor, Target]:
    """The same sample, its geometric values as tv_tensors.

    Boxes and oriented boxes are ``BoundingBoxes`` (XYXY and XYXYXYXY), masks and rasters ``Mask``, the points of
    keypoints ``KeyPoints`` (N, K, 2), with their v as ``visibility`` (N, K).
    """
    tv = require_tv_tensors()
    size_hw = tuple(image.shape[-2:])
    out = dict(target)
    if "boxes" in target:
        out["boxes"] = tv.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=size_hw)
    if "obb" in target:
        out["obb"] = tv.BoundingBoxes(target["obb"].reshape(-1, 8), format="XYXYXYXY", canvas_size=size_hw)
    if "keypoints" in target:
        out["keypoints"] = tv.KeyPoints(target["keypoints"][..., :2].contiguous(), canvas_size=size_hw)
        out["visibility"] = target["keypoints"][..., 2].to(torch.int64)
    for name in ("masks", "semantic", "panoptic"):
        if name in target:
            out[name] = tv.Mask(target[name])
    return tv.Image(image), out


def require_tv_tensors() -> Any:
    """The module, or the error that says how to install it."""
    try:
        from torchvision import tv_tensors as module
    except ImportError as error:
        why = one_line(error, 160)
        raise MissingLibrary(f"tv_tensors=True needs torchvision: {why}\npip install torchvision") from error
    if not hasattr(module, "KeyPoints"):
        raise UsageError("tv_tensors=True needs torchvision 0.23 or newer, whose tv_tensors have KeyPoints")
    return module


def objects_where(target: Target, kept: torch.Tensor | Sequence[bool]) -> Target:
    """The target with those of its objects alone for which ``kept``, one truth value an object, is true.

    All keys that have an entry for each object (:data:`COLUMNS`) are cut alike; tv_tensors stay tv_tensors.

    Raises:
        UsageError: ``kept`` is not as long as there are objects.
    """
    truth = torch.as_tensor(kept, dtype=torch.bool).reshape(-1)
    out = dict(target)
    for name in COLUMNS:
        if name in target and not (name == "labels" and "boxes" not in target):
            out[name] = _rows_where(name, target[name], truth)
    return out


def _rows_where(name: str, column: Any, truth: torch.Tensor) -> Any:
    if len(column) != len(truth):
        raise UsageError(f"objects_where: {len(truth)} truth values for {name} of {len(column)} objects")
    if not isinstance(column, torch.Tensor):
        return [value for value, kept in zip(column, truth.tolist(), strict=True) if kept]
    rows = column.as_subclass(torch.Tensor)[truth]
    return rows if type(column) is torch.Tensor else require_tv_tensors().wrap(rows, like=column)
