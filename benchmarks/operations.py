"""Each operation by itself, in one process and on pixels in memory: augpipe beside the same operation of every library.

    python benchmarks/operations.py [--photos DIR] [--pictures 24] [--rounds 7] [--out OUT]

Ours is drawing a plan, moving the boxes and making the pixels; theirs is the call that does the same. Libraries take
turns on the same pictures; the times are medians of a round's mean, in processor time, which other work on the machine
disturbs least, and all threads are pinned to one. Rows for the codec show what there is to gain. A last section says
where the time of a whole shard goes.

Writes OUT.json and OUT.md.
"""

from __future__ import annotations

import importlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import about

os.environ.update(dict.fromkeys(about.THREADS, "1"))  # before NumPy and torch are loaded

import cv2
import material
import numpy as np
import yaml
from stages import stages_of

from augpipe.core.annotations import Annotations, Category, Frame, ObjectAttributes, Objects
from augpipe.core.canvas import follow
from augpipe.labels.transform import apply as move_labels
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import PictureFormat, decode, encode
from augpipe.pixels.cpu import apply
from augpipe.recipe import yaml_reader
from augpipe.recipe.load import compiled
from augpipe.recipe.planner import draw
from augpipe.run.engine.worker import keep_freed_memory

SIZE_WH = (640, 480)
BOXES = 8
OPERATIONS = {
    "flip": {"horizontal_flip": {}},
    "affine": {"affine": {"rotate": [-10, 10], "scale": [0.8, 1.2], "translate": 0.1}},
    "perspective": {"perspective": {"scale": [0.02, 0.06]}},
    "elastic": {"elastic": {"strength": [0.01, 0.03]}},
    "grid distortion": {"grid_distortion": {"limit": 0.3}},
    "optical distortion": {"optical_distortion": {"k": 0.3}},
    "resize to 320": {"resize": {"longest": 320}},
    "colour": {"color_jitter": {"brightness": 0.25, "contrast": 0.25, "saturation": 0.3, "hue": 0.03}},
    "gamma": {"gamma": {"amount": [0.8, 1.25]}},
    "blur": {"gaussian_blur": {"sigma": [0.5, 1.5]}},
    "noise": {"gaussian_noise": {"std": [4, 12]}},
    "erase": {"erase": {"count": [1, 3], "area": [0.02, 0.06]}},
    "jpeg": {"jpeg": {"quality": [50, 90]}},
}
"""One operation for each kind of step, and the two ways to resample."""

LIBRARIES = {
    "Albumentations": "with_albumentations",
    "torchvision v2": "with_torchvision",
    "imgaug": "with_imgaug",
    "Kornia": "with_kornia",
}


class Ours:
    """augpipe as a call on a picture (H, W, 3) in blue, green, red with its boxes."""

    def __init__(self, step: dict[str, Any], boxes_xyxy: np.ndarray) -> None:
        text = yaml.safe_dump({"version": 1, "labels": {"min_visibility": 0.1}, "steps": [step]})
        self._recipe = compiled(yaml_reader.read("operation.yaml", text), "operation")
        self._labels, self._categories = _annotated(boxes_xyxy), {1: Category(1, 1, "thing")}
        self._turn = 0

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The next copy of a picture."""
        self._turn += 1
        frame = Frame("picture.jpg", (picture.shape[1], picture.shape[0]), self._labels)
        plan = draw(self._recipe, frame, 7, self._turn)
        track = follow(plan.steps, frame.size_wh)
        move_labels(self._labels, track, self._recipe.rules, self._categories, 255)
        return apply(picture, plan.steps)


def _annotated(boxes_xyxy: np.ndarray) -> Annotations:
    count = len(boxes_xyxy)
    nothing, empty, numbers = (None,) * count, ((),) * count, np.arange(count)
    none = np.zeros(count, np.int64)
    columns = (numbers, none + 1, boxes_xyxy, none.astype(np.uint8), none, nothing, nothing, nothing, empty)
    return Annotations(objects=Objects(*columns, facts=(ObjectAttributes(),) * count))


def theirs(library: str, step: dict[str, Any], boxes_xyxy: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A library as a call on a picture in red, green, blue.

    Raises:
        Exception: it cannot be loaded, or has no such thing.
    """
    harness = importlib.import_module("harness")
    module = importlib.import_module(LIBRARIES[library])
    build = getattr(module, "Composed", None) or module.Batched
    augmenter = build([harness.operation(step)])
    augmenter.seed(7)
    labels = harness.Labels(boxes_xyxy.astype(np.float32), np.zeros(len(boxes_xyxy), np.int64))
    return lambda picture: augmenter.copies(picture, labels, 1)[0][0]


def seconds_of(call: Callable[[np.ndarray], object], pictures: list[np.ndarray]) -> float:
    """Mean seconds a picture."""
    started = time.process_time()
    for picture in pictures:
        call(picture)
    return (time.process_time() - started) / len(pictures)


def compare(pictures: list[np.ndarray], rounds: int) -> list[dict[str, Any]]:
    """A row for each operation and library: microseconds a picture, round by round, or why there are none."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 0.6, (BOXES, 2))
    sides = rng.uniform(0.1, 0.3, (BOXES, 2))
    h, w = pictures[0].shape[:2]
    boxes = np.concatenate([corners, corners + sides], axis=1) * [w, h, w, h]
    rows = []
    for name, step in OPERATIONS.items():
        calls: dict[str, Callable[[np.ndarray], object]] = {"augpipe": Ours(step, boxes)}
        for library in LIBRARIES:
            try:
                calls[library] = theirs(library, step, boxes)
            except Exception as error:  # not installed, or it does not work here: a row that says so
                rows.append({"operation": name, "library": library, "why": f"{type(error).__name__}: {error}"[:200]})
        times: dict[str, list[float]] = {library: [] for library in calls}
        for number in range(rounds + 1):
            for library, call in calls.items():
                seconds = seconds_of(call, pictures)
                if number:  # the first one warms up
                    times[library].append(round(1e6 * seconds, 1))
        rows += [{"operation": name, "library": library, "us": values} for library, values in times.items()]
        print(name, {library: round(statistics.median(v)) for library, v in times.items()}, file=sys.stderr, flush=True)
    return rows


def codec(files: list[bytes], rounds: int) -> list[dict[str, Any]]:
    """Decoding and encoding alone, as a run does it."""
    headers = [read_header(data) for data in files]
    pictures = [decode(data, header) for data, header in zip(files, headers, strict=True)]
    form = PictureFormat()
    times: dict[str, list[float]] = {"decode": [], "encode": []}
    for _ in range(rounds):
        started = time.process_time()
        for data, header in zip(files, headers, strict=True):
            decode(data, header)
        halfway = time.process_time()
        for picture in pictures:
            encode(picture, form)
        ended = time.process_time()
        times["decode"].append(round(1e6 * (halfway - started) / len(files), 1))
        times["encode"].append(round(1e6 * (ended - halfway) / len(files), 1))
    return [{"operation": name, "library": "augpipe", "us": values} for name, values in times.items()]


def page(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    libraries = ["augpipe", *LIBRARIES]
    lines = [
        "# Operations, one core",
        "",
        "Microseconds of processor time a picture of 640×480 with eight boxes, drawing and labels",
    ]
    lines += ["included; behind it how many times as long as ours.", ""]
    lines += [f"| | {' | '.join(libraries)} |", "|---" + "|--:" * len(libraries) + "|"]
    found = {(row["operation"], row["library"]): row for row in result["operations"]}
    for name in dict.fromkeys(row["operation"] for row in result["operations"]):
        ours = statistics.median(found[name, "augpipe"]["us"])
        cells = []
        for library in libraries:
            row = found.get((name, library))
            median = statistics.median(row["us"]) if row and "us" in row else None
            ratio = "" if library == "augpipe" or median is None else f" ({median / ours:.1f}×)"
            cells.append("" if median is None else f"{median:.0f}{ratio}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "## Where the time of a shard goes",
        "",
        "Milliseconds of processor time a sample in one process, four copies of a picture.",
        "",
    ]
    names = [stage for stages in result["stages"].values() for stage in stages if stage != "all"]
    names = [*dict.fromkeys(names), "all"]
    lines += [f"| | {' | '.join(result['stages'])} |", "|---" + "|--:" * len(result["stages"]) + "|"]
    for stage in names:
        lines.append(
            f"| {stage} | {' | '.join(f'{stages.get(stage, 0.0):.3f}' for stages in result['stages'].values())} |"
        )
    missing = {f"{row['library']}: {row['why']}" for row in result["operations"] if "why" in row}
    lines += ["", *(f"- not measured: {one}" for one in sorted(missing))]
    lines += [f"- {name}: {value}" for name, value in result["facts"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = about.parser(__doc__, "operations")
    parser.add_argument("--pictures", type=about.at_least_one, default=24)
    parser.add_argument("--rounds", type=about.at_least_one, default=7)
    options = parser.parse_args()
    size_wh = SIZE_WH
    if options.quick:
        options.pictures, options.rounds, size_wh = 2, 1, (96, 72)
    cv2.setNumThreads(1)
    keep_freed_memory()  # as a worker does
    sys.path.append(str(about.HERE / "peers"))
    sys.path.append(str(about.peers_folder()))
    pictures = [np.ascontiguousarray(p) for p in material.photographs(options.photos, size_wh, options.pictures)]
    files = [cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, material.QUALITY])[1].tobytes() for p in pictures]
    with tempfile.TemporaryDirectory() as name:
        stages = stages_of(Path(name), options.photos, options.pictures, size_wh if options.quick else None)
    result = {
        "operations": codec(files, options.rounds) + compare(pictures, options.rounds),
        "stages": stages,
        "facts": about.facts(about.peers_folder()),
    }
    about.write(options.out, result, page)
    print(page(result))


if __name__ == "__main__":
    main()
