"""OpenCV's optimized code is not part of what an operation means."""

from __future__ import annotations

from itertools import islice

import cv2
import pytest
from contents import noise_picture, smooth_picture
from recipe_tools import frame_of, recipe_of

from augpipe.pixels import cpu
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.planner import draw

SIZE = (83, 61)
PICTURES = (noise_picture(SIZE, 3), smooth_picture(SIZE, 3), noise_picture(SIZE, 1))


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_bytes_with_and_without_optimized_code(name):
    recipe = recipe_of(f"- {OPERATIONS[name].example}")
    drawn = (draw(recipe, frame_of(SIZE, [(9, 9, 40, 50)]), 3, copy).steps for copy in range(200))
    plans = list(islice(filter(None, drawn), 2))
    assert plans
    before = cv2.useOptimized()
    made = []
    try:
        for optimized in (True, False):
            cv2.setUseOptimized(optimized)
            made.append([cpu.apply(picture.copy(), steps).tobytes() for picture in PICTURES for steps in plans])
    finally:
        cv2.setUseOptimized(before)
    assert made[0] == made[1]
