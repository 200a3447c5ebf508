"""The labels of some pictures through one operation, as the table "label × operation" is tried with."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from recipe_tools import recipe_of
from scenes import CATEGORIES, SIZE, scene

from augpipe.core.annotations import Annotations, Frame
from augpipe.core.canvas import follow
from augpipe.core.plan import Plan
from augpipe.labels import transform
from augpipe.labels.transform import Labelled, LabelRules
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.planner import draw

KEEP = LabelRules(min_area=0.0, min_side=0.0)
SEEDS = range(12)

PARAMETERS = {
    "rotate": {"degrees": [35, 55]},
    "affine": {"rotate": 30, "scale": [0.8, 1.4], "translate": 0.2, "shear": [8, 15]},
    "perspective": {"scale": [0.2, 0.24]},
    "resize": {"size": [80, 33]},
    "pad": {"sides": [3, 5, 7, 2]},
    "letterbox": {"size": [101, 50]},
    "random_crop": {"size": [30, 26]},
    "random_resized_crop": {"size": [40, 44], "scale": [0.2, 0.6]},
    "bbox_safe_crop": {"size": [50, 60]},
    "brightness_contrast": {"brightness": 0.4},
    "gamma": {"amount": 2},
    "gaussian_blur": {"sigma": 1.5},
    "gaussian_noise": {"std": 9},
    "erase": {"count": [2, 4], "area": [0.05, 0.25]},
    "jpeg": {"quality": 30},
    "random_scale": {"scale": [0.6, 1.7]},
    "center_crop": {"size": [30, 26]},
    "crop": {"box_xyxy": [5, 4, 50, 40]},
    "scale_jitter": {"size": [60, 50], "scale": [1.1, 1.8]},
    "grid_dropout": {"unit": [0.4, 0.6]},
    "shear": {"x": [0.2, 0.4]},
    "translate": {"x": [0.2, 0.2], "y": [0.2, 0.2]},
    "iou_crop": {"least": [0, 0.3], "size": [50, 60]},
    "object_crop": {"size": [40, 44], "margin": [0, 0.3]},
}


class Run(NamedTuple):
    """One picture's labels before and after an operation."""

    source: Annotations
    plan: Plan
    out: Labelled

    @property
    def matrix(self):
        out = np.eye(3)
        for step in self.plan.steps:
            if isinstance(step, Warp):
                out = np.reshape(step.matrix, (3, 3)) @ out
        return out

    @property
    def erased(self):
        return [box for step in self.plan.steps if isinstance(step, Cutout) for box in step.boxes_xyxy]

    def moved(self, points):
        """Points through the map, by numpy alone."""
        x, y, w = self.matrix @ np.concatenate([points[:, :2], np.ones((len(points), 1))], axis=1).T
        return np.stack([x / w, y / w], axis=1)

    def pairs(self, wanted):
        """(source row, result row or None) of the objects of a kind."""
        rows = {index: i for i, index in enumerate(self.out.annotations.objects.index.tolist())}
        for row, index in enumerate(self.source.objects.index.tolist()):
            if wanted(self.source.objects, row):
                yield row, rows.get(index)


@functools.cache
def runs(name, rules=KEEP):
    """The labels of some pictures through one operation."""
    found = []
    recipe = recipe_of([{name: PARAMETERS.get(name, {})}])
    for seed in SEEDS:
        source = transform.apply(scene(seed), follow([], SIZE), KEEP, CATEGORIES).annotations
        plan = draw(recipe, Frame(f"{seed}.jpg", SIZE, source), 7, 0)
        found.append(Run(source, plan, transform.apply(source, follow(plan.steps, SIZE), rules, CATEGORIES)))
    return found
