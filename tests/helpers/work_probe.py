"""How much work a run is, in numbers that do not depend on how busy a machine is: calls, pixels and bytes.

    python tests/helpers/work_probe.py FOLDER

A run of the recipe ``detection`` on four made pictures of 640×480, four copies each, in one process and one thread.
Prints as JSON what the run took as it is, and what runs took that are made worse on purpose, by name:

- ``decodes``, ``encodes``: calls of OpenCV's codec;
- ``warps``: pixels that OpenCV's remap made, in pictures as they were written;
- ``labels``: how often labels were moved;
- ``copies``: how often memory for a whole picture was asked for by NumPy and OpenCV. Between two calls the peak of the
  traced memory is what was asked for since the first of them;
- ``calls``: of functions of augpipe, for the eye: they change whenever the code does.

A process of its own: what other tests have loaded and patched would be counted, too.
"""

from __future__ import annotations

import json
import shutil
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import datasets

import augpipe
from augpipe.core.opencv import cv2
from augpipe.labels import transform
from augpipe.pixels import cpu
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.load import load
from augpipe.run import outputs, task
from augpipe.run.augment import Execution, RunOptions, augment

SIZE_WH, PICTURES, COPIES = (640, 480), 4, 4
SAMPLES = PICTURES * COPIES
PICTURE_BYTES = SIZE_WH[0] * SIZE_WH[1] * 3
PACKAGE = str(Path(augpipe.__file__).parent)


class Counts:
    """A profile function: calls by name, and the memory between them."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.warped = self.written = 0
        self._last = 0

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        current, peak = tracemalloc.get_traced_memory()
        self.found["copies"] += (peak - self._last) // PICTURE_BYTES
        tracemalloc.reset_peak()
        self._last = current
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.found["calls"] += 1
            self.found["labels"] += frame.f_code is transform.apply.__code__
        elif event == "c_call" and called is cv2.imdecode:
            self.found["decodes"] += 1

    def _remapped(self, *args: Any, remap: Callable[..., Any] = cv2.remap, **more: Any) -> Any:
        made = remap(*args, **more)
        self.warped += made.shape[0] * made.shape[1]
        return made

    def _encoded(self, form: str, pixels: Any, *args: Any, encode: Callable[..., Any] = cv2.imencode) -> Any:
        self.found["encodes"] += 1
        self.written += pixels.shape[0] * pixels.shape[1]
        return encode(form, pixels, *args)

    @contextmanager
    def counting(self) -> Iterator[None]:
        with (
            mock.patch.object(cv2, "remap", self._remapped),
            mock.patch.object(cv2, "imencode", self._encoded),
        ):
            tracemalloc.start()
            self._last = tracemalloc.get_traced_memory()[0]
            sys.setprofile(self)
            try:
                yield
            finally:
                sys.setprofile(None)
                tracemalloc.stop()

    def all(self) -> dict[str, float]:
        return {**self.found, "warps": SAMPLES * self.warped / max(1, self.written)}


class Run:
    """Runs of one dataset, each into a folder of its own."""

    def __init__(self, place: Path) -> None:
        self._place = place
        with mock.patch.object(datasets, "size_of", return_value=SIZE_WH):
            self._source = datasets.make_voc(place / "voc", PICTURES, 8)

    def __call__(self, watched: Callable[[], Any]) -> None:
        """One run, and what makes its shard within ``watched()``."""
        make = task.run_task

        def make_watched(*args: Any, **more: Any) -> None:
            with watched():
                make(*args, **more)

        out = self._place / "out"
        shutil.rmtree(out, ignore_errors=True)
        with (
            mock.patch.object(task, "run_task", make_watched),
            mock.patch.object(task, "reading_ahead", lambda items, read, _: map(read, items)),
        ):
            options = RunOptions(copies=COPIES, seed=7, sources_per_shard=PICTURES)
            augment(str(self._source), out, load("detection"), options, execution=Execution(workers=0))

    def counts(self) -> dict[str, float]:
        """What the run takes."""
        counts = Counts()
        self(nullcontext)  # what is loaded, made or kept once
        self(counts.counting)
        return counts.all()


# --- what a careless change would do ---------------------------------------------------------------------------------


def _twice(function: Callable[..., Any]) -> Callable[..., Any]:
    def done_twice(*args: Any, **more: Any) -> Any:
        function(*args, **more)
        return function(*args, **more)

    return done_twice


def _second_warp(warp: Callable[..., Any]) -> Callable[..., Any]:
    return lambda step, picture, source: warp(step, warp(step, picture, source), None)


def _copied(encode: Callable[..., Any]) -> Callable[..., Any]:
    return lambda pixels, form: encode(pixels.copy(), form)


WORSE: dict[str, Callable[[], Any]] = {
    "a second decode": lambda: mock.patch.object(cpu, "decode", _twice(cpu.decode)),
    "a second encode": lambda: mock.patch.object(cpu, "encode", _twice(cpu.encode)),
    "a second warp": lambda: mock.patch.object(Warp, "on_cpu", _second_warp(Warp.on_cpu)),
    "a copy of the picture": lambda: mock.patch.object(cpu, "encode", _copied(cpu.encode)),
    "labels moved twice": lambda: mock.patch.object(outputs, "apply", _twice(outputs.apply)),
}


def main() -> None:
    run = Run(Path(sys.argv[1]))
    found = {"as it is": run.counts(), "again": run.counts()}
    for name, worse in WORSE.items():
        with worse():
            found[name] = run.counts()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
