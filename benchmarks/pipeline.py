"""`augpipe.Pipeline` beside Albumentations: one picture in memory with boxes, by pipelines that do the like.

    python benchmarks/pipeline.py [--rounds 9] [--calls 40] [--out OUT.json]

Flip, affine, color jitter, and blur or noise on 640×480 with ten boxes. Both take turns on the same pictures, in one
process with all threads pinned to one; a round's time is processor time a call, and of the rounds the median counts.
Albumentations lies in .venv/oracles (`make unit` brings it).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import about

os.environ.update(dict.fromkeys(about.THREADS, "1"), NO_ALBUMENTATIONS_UPDATE="1")  # before NumPy is loaded

import cv2
import numpy as np

import augpipe

SIZE_WH, BOXES = (640, 480), 10
RECIPE = {
    "version": 1,
    "labels": {"min_visibility": 0.1},
    "steps": [
        {"horizontal_flip": {"p": 0.5}},
        {"affine": {"rotate": [-10, 10], "scale": [0.8, 1.2], "translate": 0.1}},
        {"color_jitter": {"brightness": 0.25, "contrast": 0.25, "saturation": 0.3, "hue": 0.03}},
        {"one_of": [{"gaussian_blur": {"sigma": [0.5, 1.5]}}, {"gaussian_noise": {"std": [4, 12]}}], "p": 0.3},
    ],
}


def photo(number: int) -> np.ndarray:
    """Patches of color with a little noise, which compress and move like a photograph."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, SIZE_WH, interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def boxes(number: int) -> np.ndarray:
    """Ten boxes of 20 to 200 pixels inside the picture."""
    rng = np.random.default_rng(number)
    sides = rng.uniform(20, 200, (BOXES, 2))
    corner = rng.uniform(0, 1, (BOXES, 2)) * (np.array(SIZE_WH) - sides)
    return np.concatenate([corner, corner + sides], axis=1)


def ours() -> Callable[[np.ndarray, np.ndarray], Any]:
    """The call of augpipe."""
    pipeline, labels = augpipe.Pipeline(RECIPE, classes=["thing"]), [0] * BOXES
    return lambda picture, boxes_xyxy: pipeline(picture, boxes=boxes_xyxy, labels=labels)


def theirs() -> Callable[[np.ndarray, np.ndarray], Any]:
    """The call of Albumentations."""
    sys.path.append(str(Path(sys.prefix) / "oracles"))
    import albumentations as A

    steps = [
        A.HorizontalFlip(p=0.5),
        A.Affine(rotate=(-10, 10), scale=(0.8, 1.2), translate_percent=(-0.1, 0.1), p=1.0),
        A.ColorJitter(brightness=(0.75, 1.25), contrast=(0.75, 1.25), saturation=(0.7, 1.3), hue=(-0.03, 0.03), p=1.0),
        A.OneOf([A.GaussianBlur(sigma_limit=(0.5, 1.5)), A.GaussNoise(std_range=(4 / 255, 12 / 255))], p=0.3),
    ]
    given = A.BboxParams("pascal_voc", label_fields=["labels"], min_visibility=0.1, clip=True)
    compose, labels = A.Compose(steps, bbox_params=given), [0] * BOXES
    return lambda picture, boxes_xyxy: compose(image=picture, bboxes=boxes_xyxy, labels=labels)


def measured(rounds: int, calls: int) -> dict[str, float]:
    """Milliseconds of processor time a call of each, by turns, and the ratio of ours to theirs."""
    cv2.setNumThreads(1)
    known = {"augpipe": ours(), "albumentations": theirs()}
    pictures = [(photo(i), boxes(i)) for i in range(8)]
    times: dict[str, list[float]] = {name: [] for name in known}
    for turn in range(rounds + 1):
        for name, call in known.items():
            begun = time.process_time()
            for i in range(calls):
                call(*pictures[i % len(pictures)])
            if turn:  # the first is for warming up
                times[name].append(1000.0 * (time.process_time() - begun) / calls)
    found = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return {**found, "ratio": round(found["augpipe"] / found["albumentations"], 3)}


def main() -> None:
    """Print the times, and write them where ``--out`` says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = measured(options.rounds, options.calls)
    print(json.dumps(found))
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
