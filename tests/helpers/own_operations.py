"""Files with operations of one's own: the one of docs/own-operations.md, and such as a test makes."""

from __future__ import annotations

from pathlib import Path

from documents import FENCE
from places import ROOT

BLOCKS = dict(pair for pair in FENCE.findall((ROOT / "docs" / "own-operations.md").read_text("utf-8")) if pair[0])
PAGE, RECIPE = BLOCKS["python"], BLOCKS["yaml"]

HEAD = """
import random, time
import numpy as np
from augpipe.custom import *
"""
COUNT = "count = [0]\n"

SPECKS = """
@pixels("specks", count=Whole(1, 50, default=20))
def specks(image, p, rng):
    rows, columns = rng.integers(0, image.shape[0], p.count), rng.integers(0, image.shape[1], p.count)
    image[rows, columns] = 255
    return image
"""


def write_ops(folder: Path, text: str, name: str = "my_ops.py") -> Path:
    """A file of operations with the usual imports."""
    path = folder / name
    path.write_text(HEAD + text, "utf-8")
    return path


def write_recipe(folder: Path, steps: str, name: str = "own.yaml") -> Path:
    """A recipe of steps as YAML text."""
    path = folder / name
    path.write_text(f"version: 1\nsteps:\n{steps}\n", "utf-8")
    return path


def pixel_function(body: str) -> str:
    """The text of a function on pixels called ``odd``; its body is on one line."""
    return f'@pixels("odd")\ndef odd(image, p, rng):\n    {body}\n'


def deciding(body: str, said: str = "label_effects = NOTHING") -> str:
    """The text of a class called ``Odd``; the body of its draw is on one line."""
    return f"class Odd(Operation):\n    {said}\n    def draw(self, rng, canvas):\n        {body}\n"
