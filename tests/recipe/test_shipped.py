"""The recipes that come along: each runs on every kind of label, and its samples verify."""

from __future__ import annotations

import pytest
from builders import panoptic_set
from conversions import dota_of
from datasets import make_classes, make_coco, make_masks, make_voc
from recipe_tools import frame_of
from runs import records, run
from verifying import problems, verified

from augpipe.recipe.idle import idle_steps
from augpipe.recipe.load import load, shipped
from augpipe.recipe.planner import draw

LATER = (
    "aerial",
    "cells",
    "classification-trivial",
    "detection-lsj",
    "documents",
    "driving-weather",
    "keypoints-strong",
)
KINDS = {
    "boxes": lambda folder: make_voc(folder, 2),
    "polygons, masks, crowds, keypoints, captions": lambda folder: make_coco(folder, 2),
    "semantic": lambda folder: make_masks(folder, 2),
    "panoptic": panoptic_set,
    "oriented": lambda folder: dota_of(
        folder, a="4.0 3.0 14.0 5.0 13.0 10.0 3.0 8.0 plane 0\n20 4 30 4 30 12 20 12 small-vehicle 1\n"
    ),
    "tags": lambda folder: make_classes(folder, 1),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for number, make in enumerate(KINDS.values()):
        make(root / str(number))
    return {kind: root / str(number) for number, kind in enumerate(KINDS)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LATER)
def test_it_runs_on_every_kind_of_label(name, kind, sets, tmp_path):
    size = 48 if kind == "panoptic" else 128  # near the size of the pictures, as in use
    overrides = [f"steps.scale_jitter.size={size}"] if "scale_jitter" in shipped()[name] else []
    run(sets[kind], tmp_path / "out", load(name, overrides), copies=2, limit=2)
    assert len(records(tmp_path / "out")) == (2 if kind in ("panoptic", "oriented") else 4)  # sets of one picture
    assert problems(verified(tmp_path / "out", sets[kind])) == []


@pytest.mark.parametrize("name", LATER)
def test_their_operations_take_part(name):
    """Nothing in them is idle or never chosen: all that they name is drawn by some of many samples."""
    recipe = load(name)
    assert list(idle_steps(recipe.nodes)) == []
    drawn = {
        d.name for copy in range(400) for d in draw(recipe, frame_of((160, 120), [(20, 20, 90, 90)]), 3, copy).drawn
    }
    assert {leaf.path for leaf in recipe.leaves()} == drawn
