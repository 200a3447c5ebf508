"""Runs over a few picture files, for the tests of what becomes of pixels."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from builders import photo
from PIL import Image
from runs import recipe_of, run, samples

STILL = recipe_of("version: 1\nsteps:\n- horizontal_flip: {p: 0}\n")
FLIP = recipe_of("version: 1\nsteps:\n- horizontal_flip\n")
PHOTO = photo((40, 24))
GRAY = Image.fromarray(PHOTO).convert("L")


def source(folder: Path, files: dict[str, bytes]) -> Path:
    (folder / "set" / "class").mkdir(parents=True)
    for name, data in files.items():
        (folder / "set" / "class" / name).write_bytes(data)
    return folder / "set"


def made(folder: Path, files: dict[str, bytes], recipe: Any = STILL, **options: Any) -> dict[str, dict[str, bytes]]:
    """Source key → ending → member of its only sample."""
    options = {"max_rejects": "100%", **options}
    run(source(folder, files), folder / "out", recipe, format="imagefolder", **options)
    return {json.loads(sample["json"])["source"]["key"][6:]: sample for sample in samples(folder / "out").values()}


def pixels(member: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(member)))


def deep(most: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    shape = (24, 40) if channels == 1 else (24, 40, channels)
    values = np.random.default_rng(seed).integers(0, most + 1, shape).astype(np.uint16)
    values.flat[0] = most
    return values


def deep_png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values if values.ndim == 2 else values[:, :, ::-1])[1].tobytes()


def notes(folder: Path) -> dict[str, int]:
    return json.loads((folder / "out" / "manifest.json").read_bytes())["totals"]["notes"]
