"""Small sets with splits, and what the manifest of a folder says."""

from __future__ import annotations

import json

import cv2
import datasets

STILL = "version: 1\nsteps:\n- horizontal_flip: {p: 1}\n- brightness_contrast: {brightness: 0.1, contrast: 1.2}\n"


def flow(folder, splits=("train", "train", "val")):
    """YOLO: pictures with one box each, by split; the box of picture i has the width (i + 1) / 20."""
    folder.mkdir(parents=True)
    (folder / "classes.txt").write_text("thing\n")
    for i, split in enumerate(splits):
        for name in ("images", "labels"):
            (folder / name / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / split / f"p{i}.jpg"), datasets.picture(97, 75, i))
        (folder / "labels" / split / f"p{i}.txt").write_text(f"0 0.5 0.5 {(i + 1) / 20} 0.25\n")
    return folder


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())
