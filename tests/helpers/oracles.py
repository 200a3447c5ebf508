"""Other libraries as outside oracles, and one drawn picture's labels to send through them and through augpipe.

`make test` puts them into .venv/oracles, beside the environment and not in it: see the Makefile for why. Where they
are not there, or cannot be imported, the tests that need them are skipped and say so; under CI that is a failure.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipe_tools import frame_of, recipe_of

from augpipe.core.annotations import Annotations, Category, ObjectRow, Rings, objects_of
from augpipe.core.canvas import follow
from augpipe.core.geometry import Matrix
from augpipe.core.plan import Plan
from augpipe.labels import rle, transform
from augpipe.labels.transform import LabelRules
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.planner import draw

SIZE = (64, 48)
RULES = LabelRules(min_area=0.0, min_side=0.0)

# --- importing -------------------------------------------------------------------------------------------------------


def import_albumentations() -> Any:
    """Albumentations.

    Raises:
        ImportError: if it is not there.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else it asks the network for a newer version
    return _import("albumentations")


def import_torchvision() -> Any:
    """torchvision, whose transforms need none of its compiled operators.

    Raises:
        ImportError: if it is not there.
    """
    try:
        return _import("torchvision")
    except RuntimeError as error:
        if "nms does not exist" not in str(error):
            raise
    # The wheel is built for CUDA, so beside a CPU build of torch its operators cannot be loaded, and describing two of
    # them fails while it is imported. Their names are all that it takes.
    torch = importlib.import_module("torch")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    return _import("torchvision")


def import_ultralytics() -> Any:
    """Ultralytics, in a process of its own: it turns off threads of OpenCV, and writes settings to YOLO_CONFIG_DIR.

    Raises:
        ImportError: if it is not there.
    """
    return _import("ultralytics")


_kept: list[Any] = []  # definitions end with their library


def _import(name: str) -> Any:
    folder = str(Path(sys.prefix) / "oracles")
    with contextlib.suppress(ModuleNotFoundError):  # the user's own goes first
        return importlib.import_module(name)
    sys.path.append(folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


def oracle(importer: Callable[[], Any]) -> Any:
    """A library for a test module, which is skipped without it."""
    try:
        return importer()
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{importer.__name__}: {error} (`make test` brings it)", allow_module_level=True)


def oracle_is_there(folder: str) -> pytest.MarkDecorator:
    """A mark for tests that run a library in a process of its own; under CI they are not skipped but fail."""
    there = importlib.util.find_spec(folder) is not None or (Path(sys.prefix) / "oracles" / folder).is_dir()
    return pytest.mark.skipif(
        not there and not os.environ.get("CI"), reason=f"{folder} is not there (`make test` brings it)"
    )


# --- the picture -----------------------------------------------------------------------------------------------------

# Fractions of a pixel that floats of 32 bits hold exactly, since Albumentations computes in those.
BOXES = np.array([[20.0, 14.0, 33.5, 25.0], [30.25, 18.0, 44.0, 36.0], [27.0, 30.0, 29.0, 33.5]])
POINTS = np.array([[21.5, 16.0], [31.0, 24.25], [40.0, 30.5], [28.0, 31.0], [24.75, 20.0]])
RING = np.array([[22.0, 15.0], [41.5, 17.0], [36.0, 27.0], [38.0, 34.0], [25.0, 31.5], [29.0, 24.0]])
OBB = np.array([[24.0, 20.0], [34.0, 15.0], [40.0, 27.0], [30.0, 32.0]])  # a rectangle, clockwise
FACE = Category(1, 1, "face", keypoints=("a", "b", "c", "d", "e"))  # no pairs: the outside knows none


def semantic() -> np.ndarray:
    """Four classes in patches of several shapes, and void."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    out = ((x // 9 + y // 7) % 3).astype(np.uint8)
    out[(x - 40) ** 2 + (y - 20) ** 2 < 90] = 3
    out[:2] = 255
    return out


def disc() -> np.ndarray:
    """One object, away from the edges."""
    x, y = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    return (((x - 33) / 10) ** 2 + ((y - 23) / 7) ** 2 < 1).astype(np.uint8)


def annotations(boxes: np.ndarray = BOXES) -> Annotations:
    """The boxes, then one object each of a polygon, an oriented box and a mask; the first box has the keypoints."""
    keypoints = np.concatenate([POINTS, np.full((len(POINTS), 1), 2.0)], axis=1)
    rows = [ObjectRow(i, 1, tuple(box), keypoints=None if i else keypoints) for i, box in enumerate(boxes.tolist())]
    mask = disc()
    ys, xs = np.nonzero(mask)
    around = (float(xs.min()), float(ys.min()), xs.max() + 1.0, ys.max() + 1.0)
    n = len(rows)
    rows.append(ObjectRow(n, 1, (*RING.min(axis=0), *RING.max(axis=0)), segmentation=Rings((RING,))))
    rows.append(ObjectRow(n + 1, 1, (*OBB.min(axis=0), *OBB.max(axis=0)), obb=OBB))
    rows.append(ObjectRow(n + 2, 1, around, segmentation=rle.rle_of(mask)))
    return Annotations(objects=objects_of(rows), semantic=semantic())


class Moved:
    """What augpipe makes of the picture with a recipe."""

    def __init__(self, steps: str, source: Annotations | None = None, box: str = "corners") -> None:
        source = source or annotations()
        frame = frame_of(SIZE)
        self.plan: Plan = draw(recipe_of(steps), frame, 5, 0)
        rules = LabelRules(min_area=0.0, min_side=0.0, box=box)
        self.out = transform.apply(source, follow(self.plan.steps, SIZE), rules, {1: FACE})
        self.size_wh = self.out.size_wh
        self.objects = self.out.annotations.objects
        self.kept = self.objects.index.tolist()
        self.boxes = self.objects.boxes_xyxy[: len(BOXES)]
        self.semantic = self.out.annotations.semantic

    @property
    def drawn(self) -> dict[str, Any]:
        """The parameters of the one operation."""
        return self.plan.drawn[0].parameters

    @property
    def matrix(self) -> Matrix:
        """The one map."""
        (warp,) = [step for step in self.plan.steps if isinstance(step, Warp)]
        return warp.matrix

    @property
    def points(self) -> np.ndarray:
        keypoints = self.objects.keypoints[0]
        assert (keypoints[:, 2] == 2).all()
        return keypoints[:, :2]

    @property
    def ring(self) -> np.ndarray:
        (ring,) = self.objects.segmentation[len(BOXES)].rings
        return ring

    @property
    def obb(self) -> np.ndarray:
        return self.objects.obb[len(BOXES) + 1]

    @property
    def mask(self) -> np.ndarray:
        return rle.rasterise(self.objects.segmentation[len(BOXES) + 2], self.size_wh)


def same_ring(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    """Whether two rings have the same points in the same cyclic order, whichever way round."""
    return any(
        np.abs(np.roll(way, shift, axis=0) - theirs).max() <= tolerance
        for way in (ours, ours[::-1])
        for shift in range(len(ours))
    )
