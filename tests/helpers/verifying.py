"""Verdicts on folders, and damage to their samples that a verdict must tell of."""

from __future__ import annotations

from pathlib import Path

from forge import Samples, forged

from augpipe.verification import Verdict, open_source, verify

STRONG = """
version: 1
labels: {min_visibility: 0.1}
steps:
  - horizontal_flip
  - affine: {rotate: [-40, 40], scale: [0.7, 1.4], translate: 0.2, shear: [-10, 10]}
  - perspective: {scale: [0.02, 0.08]}
  - color_jitter: {brightness: 0.2, contrast: 0.2}
"""
CUTTING = """
version: 1
labels: {erased: cut, min_visibility: 0.3, truncated: drop}
steps:
  - affine: {rotate: [-30, 30], translate: 0.2, p: 0.7}
  - erase: {count: [1, 3], area: [0.05, 0.25]}
"""


def verified(folder: Path, source: Path | None = None, **options) -> Verdict:
    dataset = None if source is None else open_source(str(source), folder)
    return verify(folder, dataset, workers=0, **options)


def problems(verdict: Verdict) -> list[str]:
    rows = [f"{row.kind}: {row.worst:.3f} at {row.where}" for row in verdict.rows if not row.ok]
    return rows + [str(fault) for fault in verdict.faults]


def first(samples, has):
    """A record that has an object of which something holds, and that object."""
    return next((record, row) for record, _ in samples.values() for row in record["objects"] if has(row))


def is_polygon(row):
    return isinstance(row.get("segmentation"), list)


def is_mask(row):
    return isinstance(row.get("segmentation"), dict)


def one_keypoint(samples):
    _, row = first(samples, lambda r: r.get("num_keypoints", 0) > 1)
    row["keypoints"][0] += 1.0


def half_a_pixel(samples):
    """All labels, as by a wrong convention of pixel centres."""
    for record, _ in samples.values():
        for row in record["objects"]:
            row["box_xyxy"] = [v + 0.5 for v in row["box_xyxy"]]
            if is_polygon(row):
                row["segmentation"] = [[v + 0.5 for v in ring] for ring in row["segmentation"]]


def told(source: Path, folder: Path, target: Path, change) -> tuple[list[str], list[str]]:
    """What is said of a forged folder without its source, and with it."""
    forged(folder, target, change)
    return problems(verified(target)), problems(verified(target, source))


def records(samples: Samples):
    return [record for record, _ in samples.values()]


def a_copy(samples: Samples, has=lambda record: record["objects"]):
    return next(record for record in records(samples) if record["copy"] >= 0 and has(record))


def any_object(samples: Samples):
    return a_copy(samples)["objects"][0]


def a_drop(samples: Samples, reason=None):
    rows = [row for record in records(samples) for row in record["dropped"]]
    return next(row for row in rows if reason in (None, row["reason"]))


def with_keypoints(samples: Samples, value: int):
    return first(samples, lambda row: value in row.get("keypoints", ())[2::3])[1]
