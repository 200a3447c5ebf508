"""NVIDIA DALI without a GPU: one process, as many threads as others have workers, and OpenCV to encode.

DALI draws nothing for labels, so the parameters of each sample are drawn in NumPy and given to its operators, and boxes
go through the same matrix. All moves of a recipe are one matrix and one warp, which its users do by hand. It decodes
once a copy. JPEG it cannot write on the CPU; threads of the main process do that, as OpenCV lets go of Python.
"""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import harness
import numpy as np
from harness import Cannot, Labels, Operation

warnings.filterwarnings("ignore", module="nvidia")  # that a recipe does not use every number

from nvidia.dali import fn, pipeline_def, types  # noqa: E402

BATCH = 32
MOVES = ("horizontal_flip", "affine", "perspective")
OTHERS = ("resize", "color_jitter", "gaussian_blur", "gaussian_noise", "erase", "one_of")


def checked(steps: list[Operation]) -> list[Operation]:
    """The recipe, if DALI can do it on the CPU."""
    for one in [*steps, *(child for step in steps for child in step.children)]:
        if one.name not in MOVES + OTHERS:
            raise Cannot(f"DALI: no {one.name} on the CPU with a value for each picture")
    return steps


class Drawn:
    """The parameters of one sample, all of them, so that every operator has a value for every sample."""

    def __init__(self, steps: list[Operation], size_wh: tuple[int, int], rng: np.random.Generator) -> None:
        self.matrix = np.eye(3)
        self.color = np.array([1.0, 1.0, 1.0, 0.0], np.float32)  # brightness, contrast, saturation, hue in degrees
        self.blur, self.sigma, self.noise = 1, 0.5, 0.0
        self.anchors, self.holes = np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32)
        for one in steps:
            if rng.random() < one.p:
                self._draw(one, size_wh, rng)

    def _draw(self, one: Operation, size_wh: tuple[int, int], rng: np.random.Generator) -> None:
        if one.name in MOVES:
            self.matrix = _move(one, size_wh, rng) @ self.matrix
        elif one.name == "one_of":
            weights = np.array([child.weight for child in one.children])
            self._draw(one.children[rng.choice(len(weights), p=weights / weights.sum())], size_wh, rng)
        elif one.name == "color_jitter":
            for i, name in enumerate(("brightness", "contrast", "saturation")):
                amount = one.parameters.get(name, 0.0)
                self.color[i] = rng.uniform(1 - amount, 1 + amount)
            self.color[3] = 360 * rng.uniform(*one.span("hue"))
        elif one.name == "gaussian_blur":
            self.sigma = rng.uniform(*one.span("sigma"))
            self.blur = 2 * int(np.ceil(3 * self.sigma)) + 1
        elif one.name == "gaussian_noise":
            self.noise = rng.uniform(*one.span("std"))
        elif one.name == "erase":
            low, high = one.span("count")
            count = int(rng.integers(int(low), int(high) + 1))
            sides = np.sqrt(rng.uniform(*one.span("area"), (count, 1))).astype(np.float32)
            self.holes = np.repeat(sides, 2, axis=1)
            self.anchors = (rng.random((count, 2)) * (1 - self.holes)).astype(np.float32)


def _move(one: Operation, size_wh: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A 3×3 map of points with the origin at the top left corner."""
    w, h = size_wh
    if one.name == "horizontal_flip":
        return np.array([[-1, 0, w], [0, 1, 0], [0, 0, 1.0]])
    if one.name == "affine":
        angle, scale = np.deg2rad(rng.uniform(*one.span("rotate"))), rng.uniform(*one.span("scale", 1.0))
        lean = np.tan(np.deg2rad(rng.uniform(*one.span("shear"))))
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        shift = [rng.uniform(*one.span("translate")) * side for side in size_wh]
        about = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.array([[1, lean, 0], [0, 1, 0], [0, 0, 1]])
        here = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]])
        there = np.array([[1, 0, w / 2 + shift[0]], [0, 1, h / 2 + shift[1]], [0, 0, 1]])
        return there @ about @ here
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    pulled = corners + inwards * rng.uniform(*one.span("scale"), (4, 2)) * [w, h]
    return cv2.getPerspectiveTransform(corners, pulled.astype(np.float32))


def pipeline(steps: list[Operation], give: Any, threads: int) -> Any:
    """DALI's graph: decode, resize, one warp, then the rest in the order of the recipe."""
    names = [one.name for one in steps] + [child.name for one in steps for child in one.children]
    moves = [name for name in names if name in MOVES]

    @pipeline_def(
        batch_size=BATCH, num_threads=threads, device_id=None, prefetch_queue_depth=2, enable_conditionals=True
    )
    def graph() -> Any:
        file, matrix, flip, color, soft, blur, sigma, rough, noise, anchors, holes = fn.external_source(
            give, num_outputs=11, batch=False
        )
        picture = fn.decoders.image(file, device="cpu", output_type=types.RGB)
        if "resize" in names:
            longest = next(one.parameters["longest"] for one in steps if one.name == "resize")
            picture = fn.resize(picture, resize_longer=longest, interp_type=types.INTERP_LINEAR, antialias=True)
        if moves == ["horizontal_flip"]:
            picture = fn.flip(picture, horizontal=flip)
        elif moves:
            warp = fn.experimental.warp_perspective if "perspective" in moves else fn.warp_affine
            picture = warp(picture, matrix, inverse_map=False, fill_value=0, interp_type=types.INTERP_LINEAR)
        if "color_jitter" in names:
            values = {name: color[i] for i, name in enumerate(("brightness", "contrast", "saturation", "hue"))}
            picture = fn.color_twist(picture, **values)
        if "gaussian_blur" in names:
            if soft:  # DALI's own: only the samples for which it is true
                picture = fn.gaussian_blur(picture, window_size=blur, sigma=sigma)
        if "gaussian_noise" in names:
            if rough:
                picture = fn.noise.gaussian(picture, stddev=noise)
        if "erase" in names:
            picture = fn.erase(picture, anchor=anchors, shape=holes, normalized=True, fill_value=0, axes=(0, 1))
        return picture

    return graph()


class Source:
    """Gives DALI one sample after the other, and keeps the labels until their picture comes out."""

    def __init__(self, items: list[harness.Item], steps: list[Operation], copies: int) -> None:
        self._items, self._steps, self._copies = items, steps, copies
        self._longest = next((one.parameters["longest"] for one in steps if one.name == "resize"), None)
        self._rng = np.random.default_rng(7)
        self.waiting: deque[tuple[harness.Item, int, Labels]] = deque()

    def __call__(self, info: Any) -> tuple[np.ndarray, ...]:
        """One sample: its file and all of its numbers."""
        last = len(self._items) * self._copies - 1
        if info.idx_in_epoch > last and info.idx_in_batch == 0:
            raise StopIteration
        # A batch that is not filled is thrown away, so the last one is filled with what is thrown away later.
        place, copy = divmod(min(info.idx_in_epoch, last), self._copies)
        item = self._items[place]
        data = np.fromfile(item.path, np.uint8)
        size_wh = _size_of(data)
        labels = harness.labels_of(item, size_wh)
        if self._longest:
            scale = self._longest / max(size_wh)
            size_wh = (round(size_wh[0] * scale), round(size_wh[1] * scale))
            labels = Labels(labels.boxes_xyxy * scale, labels.categories)
        drawn = Drawn(self._steps, size_wh, self._rng)
        if info.idx_in_epoch <= last:
            self.waiting.append((item, copy, _moved(labels, drawn.matrix, size_wh)))
        affine = all(one.name != "perspective" for one in self._steps)
        matrix = np.float32(drawn.matrix[:2] if affine else drawn.matrix)
        flip = np.int32(drawn.matrix[0, 0] < 0)
        soft = (np.bool_(drawn.blur > 1), np.int32(drawn.blur), np.float32(drawn.sigma))
        rough = (np.bool_(drawn.noise > 0.0), np.float32(drawn.noise))
        return data, matrix, flip, drawn.color, *soft, *rough, drawn.anchors, drawn.holes


def _size_of(data: np.ndarray) -> tuple[int, int]:
    """Width and height, from the frame header of a JPEG (ITU T.81, B.2.2)."""
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int(data[at + 2]) * 256 + int(data[at + 3])
    height, width = (int(data[at + k]) * 256 + int(data[at + k + 1]) for k in (5, 7))
    return width, height


def _moved(labels: Labels, matrix: np.ndarray, size_wh: tuple[int, int]) -> Labels:
    """Boxes by their corners, cut at the frame."""
    x0, y0, x1, y1 = labels.boxes_xyxy.T
    corners = np.stack([x0, y0, x1, y0, x1, y1, x0, y1], axis=1).reshape(-1, 4, 2)
    moved = cv2.perspectiveTransform(corners.reshape(-1, 1, 2), matrix).reshape(-1, 4, 2)
    boxes = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1).clip(0, [*size_wh, *size_wh])
    inside = (boxes[:, 2:] - boxes[:, :2] >= 2).all(axis=1)
    return Labels(boxes, labels.categories).kept(np.flatnonzero(inside))


def samples(pipe: Any, source: Source, names: list[str], threads: int) -> Iterator[dict[str, Any]]:
    """Encoded by threads while DALI makes the next batch."""
    with ThreadPoolExecutor(threads) as pool:
        before: list[Future[dict[str, Any]]] = []
        while True:
            try:
                batch = pipe.run()[0]
            except StopIteration:
                break
            # What comes out is overwritten by a later batch, while this one is still being encoded.
            now = [
                pool.submit(_sample, source.waiting.popleft(), np.array(batch.at(i)), names)
                for i in range(min(len(batch), len(source.waiting)))
            ]
            yield from (one.result() for one in before)
            before = now
        yield from (one.result() for one in before)


def _sample(waited: tuple[harness.Item, int, Labels], picture: np.ndarray, names: list[str]) -> dict[str, Any]:
    item, copy, labels = waited
    return harness.sample(item, copy, picture, labels, names)


def main() -> None:
    options = harness.arguments(__doc__)
    cv2.setNumThreads(1)
    steps = harness.built(checked, options.recipe)
    items, names = harness.read_source(options.source)
    if any(item.shapes for item in items):
        harness.built(_no_shapes, options.recipe)
    source = Source(items, steps, options.copies)
    pipe = pipeline(steps, source, options.workers)
    pipe.build()
    made = harness.write(samples(pipe, source, names, options.workers), options.out)
    print(json.dumps(made))


def _no_shapes(steps: list[Operation]) -> None:
    raise Cannot("DALI: no masks of objects")


if __name__ == "__main__":
    main()
