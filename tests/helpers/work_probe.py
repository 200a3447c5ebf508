"""How much work a sample is, in numbers that do not depend on how busy a machine is: calls, bytes and pages.

    python tests/helpers/work_probe.py FOLDER

A run of the recipe ``detection`` on four made pictures of 640×480, four copies each, in one process and one thread.
Prints what a sample took as JSON, of the run as it is and of runs that are made worse on purpose, by name:

- ``decodes``, ``encodes``, ``remaps``, ``opencv``: calls of OpenCV's codec, of its remap, and of all of it;
- ``python``: calls of functions of augpipe;
- ``pictures``: what NumPy and OpenCV asked memory for in pieces of 16 kB and more, in pictures (W·H·3 bytes). Between
  two calls the peak of the traced memory is what was asked for since the first of them;
- ``pages``: pages of memory that the system had to make (minor faults), in a run of its own that nobody watches.

A process of its own: what other tests have loaded and patched would be counted, too.
"""

from __future__ import annotations

import json
import mmap
import resource
import shutil
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any
from unittest import mock

import cv2
import datasets
import numpy as np

import augpipe
from augpipe.pixels import cpu
from augpipe.recipe.load import load
from augpipe.run import task
from augpipe.run.augment import Execution, RunOptions, augment
from augpipe.run.engine.worker import keep_freed_memory

SIZE_WH, PICTURES, COPIES = (640, 480), 4, 4
SAMPLES = PICTURES * COPIES
LARGE = 1 << 14
OPENCV = frozenset(value for value in vars(cv2).values() if isinstance(value, BuiltinFunctionType))
PACKAGE = str(Path(augpipe.__file__).parent)


class Counts:
    """A profile function: calls by name, and the bytes between them."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.python = self.bytes = 0
        self._last = 0

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        current, peak = tracemalloc.get_traced_memory()
        if peak - self._last >= LARGE:
            self.bytes += peak - self._last
        tracemalloc.reset_peak()
        self._last = current
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.python += 1
        elif event == "c_call" and called in OPENCV:
            self.calls[called.__name__] += 1

    @contextmanager
    def counting(self) -> Iterator[None]:
        tracemalloc.start()
        self._last = tracemalloc.get_traced_memory()[0]
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            tracemalloc.stop()

    def each(self) -> dict[str, float]:
        """By sample."""
        decoded = self.calls["imdecode"], self.calls["imencode"], self.calls["remap"], self.calls.total()
        values = dict(zip(("decodes", "encodes", "remaps", "opencv"), decoded, strict=True))
        values |= {"python": self.python, "pictures": self.bytes / (SIZE_WH[0] * SIZE_WH[1] * 3)}
        return {name: value / SAMPLES for name, value in values.items()}


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
        """What a sample takes."""
        counts, faults = Counts(), [0]

        @contextmanager
        def paging() -> Iterator[None]:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            yield
            faults[0] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        self(nullcontext)  # what is loaded, made or kept once
        self(paging)
        self(counts.counting)
        return {**counts.each(), "pages": faults[0] / SAMPLES}


# --- what a careless change would do ---------------------------------------------------------------------------------


def _twice(function: Callable[..., Any]) -> Callable[..., Any]:
    def done_twice(*args: Any, **more: Any) -> Any:
        function(*args, **more)
        return function(*args, **more)

    return done_twice


def _second_warp(warp: Callable[..., Any]) -> Callable[..., Any]:
    return lambda picture, step, means: warp(warp(picture, step, means), step, None)


def _copied(encode: Callable[..., Any]) -> Callable[..., Any]:
    return lambda pixels, form: encode(pixels.copy(), form)


def _in_new_pages(encode: Callable[..., Any]) -> Callable[..., Any]:
    def encoded(pixels: Any, form: Any) -> Any:
        fresh = np.frombuffer(mmap.mmap(-1, pixels.nbytes), np.uint8).reshape(pixels.shape)
        fresh[:] = pixels
        return encode(fresh, form)

    return encoded


WORSE: dict[str, Callable[[], Any]] = {
    "a second decode": lambda: mock.patch.object(cpu, "decode", _twice(cpu.decode)),
    "a second encode": lambda: mock.patch.object(cpu, "encode", _twice(cpu.encode)),
    "a second warp": lambda: mock.patch.object(cpu, "_warp", _second_warp(cpu._warp)),
    "a copy of the picture": lambda: mock.patch.object(cpu, "encode", _copied(cpu.encode)),
    "labels moved twice": lambda: mock.patch.object(task, "apply", _twice(task.apply)),
    "memory asked of the system": lambda: mock.patch.object(cpu, "encode", _in_new_pages(cpu.encode)),
}


def main() -> None:
    keep_freed_memory()  # as a worker does
    run = Run(Path(sys.argv[1]))
    found = {"as it is": run.counts(), "again": run.counts()}
    for name, worse in WORSE.items():
        with worse():
            found[name] = run.counts()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
