"""examples/train.py, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import EXAMPLES
from shard_folder import CATEGORIES, sample, thing, write_folder


def colorful(number: int) -> np.ndarray:
    """Noise with a bright rectangle."""
    pixels = np.random.Generator(np.random.Philox(number)).integers(0, 80, (48, 64, 3), np.uint8)
    pixels[10:30, 20:50] = (40, 60, 220) if number % 2 else (220, 60, 40)
    return pixels


@pytest.mark.parametrize("task", ["detection", "classification"])
def test_the_training_example_runs_and_the_loss_falls(tmp_path: Path, task: str) -> None:
    stored = []
    for number in range(12):
        label = 1 + number % 2
        labels = (
            {"objects": [thing(label, (20, 10, 50, 30))]}
            if task == "detection"
            else {"tags": [CATEGORIES[label - 1]["name"]]}
        )
        stored.append(sample(number, colorful(number), **labels))
    root = write_folder(tmp_path / "dst", stored)
    example = EXAMPLES / "train.py"
    command = [sys.executable, example, root, "--steps", "12"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "first five steps" in done.stdout
