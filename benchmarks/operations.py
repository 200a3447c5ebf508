"""Each operation by itself on pixels in memory: augpipe beside the same operation of every library.

    python benchmarks/operations.py [--photos DIR] [--pictures 24] [--rounds 7] [--out OUT]

Ours is drawing a plan, moving the boxes and making the pixels; theirs is the call that does the same, in a process of
its own for each library (peers/timed.py). Libraries take turns on the same pictures; the times are medians of a round's
mean, in processor time, which other work on the machine disturbs least, and all threads are pinned to one. Rows for the
codec show what there is to gain. A last section says where the time of a whole shard goes.

Writes OUT.json and OUT.md.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
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
from augpipe.recipe.ops import COMMON_FIELDS
from augpipe.recipe.ops import OPERATIONS as REGISTERED
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
    "random_crop": {"random_crop": {"size": 320}},
    "center_crop": {"center_crop": {"size": 320}},
    "random_resized_crop": {"random_resized_crop": {"size": 224, "scale": [0.25, 1.0]}},
    **{name: {name: dict[str, Any]()} for name in (
        "vertical_flip", "transpose", "rotate90", "symmetry", "rotate", "random_scale",
        "brightness_contrast", "hsv", "photometric_distort", "rgb_shift", "color_temperature",
        "channel_shuffle", "channel_dropout", "to_gray", "sepia", "invert", "posterize", "solarize",
        "tone_curve", "equalize", "autocontrast", "clahe", "box_blur", "median_blur", "motion_blur",
        "defocus", "sharpen", "sharpness", "emboss", "downscale", "shot_noise", "iso_noise",
        "speckle_noise", "salt_and_pepper", "pixel_dropout", "grid_dropout", "fog", "rain", "snow",
        "shadow", "sun_flare", "vignette", "illumination",
    )},
}  # fmt: skip
"""The kinds of step and the two ways to resample with numbers that all libraries have; others with their defaults."""

LIBRARIES = {
    "Albumentations": ("with_albumentations", "peers"),
    "AlbumentationsX": ("with_albumentations", "peers-albumentationsx"),
    "augrs": ("with_augrs", "peers-augrs"),
    "variopinta": ("with_variopinta", "peers-variopinta"),
    "torchvision v2": ("with_torchvision", "peers"),
    "imgaug": ("with_imgaug", "peers"),
    "Kornia": ("with_kornia", "peers"),
}
"""Name → (script, folder of `make peers` that is searched before the others)."""


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


class Theirs:
    """A library in a process of its own; what it is asked for, it says in microseconds a picture, or why not."""

    def __init__(self, library: str, pictures: Path, boxes_xyxy: np.ndarray) -> None:
        script, folder = LIBRARIES[library]
        searched = [about.HERE / "peers", Path(sys.prefix) / folder, about.peers_folder(), about.ROOT]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, searched))}
        command = [sys.executable, about.HERE / "peers" / "timed.py", script, pictures]
        self._process = subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._boxes = boxes_xyxy.tolist()

    def ask(self, step: dict[str, Any]) -> dict[str, Any]:
        """One round of an operation."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"step": step, "boxes": self._boxes}) + "\n")
            self._process.stdin.flush()
            return dict(json.loads(self._process.stdout.readline()))
        except (OSError, ValueError):
            return {"why": "it is not installed, or its process has ended"}

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pictures.npy")
        np.save(path, np.stack([picture[:, :, ::-1] for picture in pictures]))
        peers = {library: Theirs(library, path, boxes) for library in LIBRARIES}
        try:
            return [row for name in OPERATIONS for row in _rows(name, pictures, rounds, boxes, peers)]
        finally:
            for peer in peers.values():
                peer.close()


def _rows(
    name: str, pictures: list[np.ndarray], rounds: int, boxes: np.ndarray, peers: dict[str, Theirs]
) -> list[dict[str, Any]]:
    """The rows of one operation."""
    step = OPERATIONS[name]
    ours, written = Ours(step, boxes), {kind: _written_out(kind, given) for kind, given in step.items()}
    times: dict[str, list[float]] = {"augpipe": []}
    missing = {}
    for number in range(rounds + 1):
        seconds = seconds_of(ours, pictures)
        answers = {library: peer.ask(written) for library, peer in peers.items() if library not in missing}
        missing |= {library: answer["why"] for library, answer in answers.items() if "why" in answer}
        if number:  # the first one warms up
            times["augpipe"].append(round(1e6 * seconds, 1))
            for library, answer in answers.items():
                if "us" in answer:
                    times.setdefault(library, []).append(answer["us"])
    print(name, {library: round(statistics.median(v)) for library, v in times.items()}, file=sys.stderr, flush=True)
    rows: list[dict[str, Any]] = [{"operation": name, "library": library, "us": us} for library, us in times.items()]
    return rows + [{"operation": name, "library": library, "why": why} for library, why in missing.items()]


def _written_out(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an operation with its defaults, as pairs are written."""
    checked = REGISTERED[kind].model_validate(given).model_dump(mode="json", exclude_none=True)
    return given or {name: value for name, value in checked.items() if name not in COMMON_FIELDS}


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
    missing = {f"{row['library']}: {row['why']}" for row in result["operations"] if _is_odd(row)}
    lines += ["", *(f"- not measured: {one}" for one in sorted(missing))]
    lines += [f"- {name}: {value}" for name, value in result["facts"].items()]
    return "\n".join(lines) + "\n"


def _is_odd(row: dict[str, Any]) -> bool:
    """Whether there is no number for another reason than that the library has no such operation."""
    return "why" in row and not row["why"].startswith("Cannot: ")


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
