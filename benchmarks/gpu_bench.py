"""What the sections of ``gpu.py`` share: pictures, plans, clocks, and rows of results."""

from __future__ import annotations

import ctypes
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from augpipe.core.annotations import Annotations, Frame, Header  # noqa: E402
from augpipe.pixels.backend import BackendOptions, PictureJob  # noqa: E402
from augpipe.pixels.codec.header import read_header  # noqa: E402
from augpipe.pixels.codec.image import decode, encode  # noqa: E402
from augpipe.recipe.load import load  # noqa: E402
from augpipe.recipe.planner import draw  # noqa: E402

SIZE_WH = (640, 480)
WARM_UP = 2
cv2.setNumThreads(1)  # as in a run


@dataclass(frozen=True)
class Row:
    """Microseconds a picture: the median of so many repeats, and the range."""

    section: str
    name: str
    median_us: float
    least_us: float
    most_us: float
    repeats: int
    pictures: int
    clock: str


@dataclass(frozen=True)
class Agreement:
    """How far two programs agree: share of equal values, greatest and mean difference in levels."""

    name: str
    pictures: int
    equal: float
    greatest: int
    mean: float


@dataclass
class Results:
    """Everything that was found; ``skipped`` says of what was not tried why."""

    rows: list[Row] = field(default_factory=list)
    parity: list[Agreement] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def median(self, section: str, name: str) -> float | None:
        """Of a row, if it is there."""
        return next((r.median_us for r in self.rows if (r.section, r.name) == (section, name)), None)

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        return asdict(self)


class Bench:
    """The pictures, the device, and how time is taken on it.

    Args:
        files: JPEGs in memory.
        batch: pictures that are worked on together.
        repeat: measurements of each row, after two that do not count.
        threads: of the CPU.
        on_cpu: no device: the kernels by the C++ compiler, nvImageCodec's on the host, and clocks of the host.
    """

    def __init__(self, files: Sequence[bytes], batch: int, repeat: int, threads: int, on_cpu: bool) -> None:
        self.files, self.batch, self.repeat, self.threads, self.on_cpu = list(files), batch, repeat, threads, on_cpu
        self.headers = [read_header(data) for data in self.files]
        self.results = Results()
        self.options = BackendOptions()
        self.accelerator = _host_accelerator() if on_cpu else _device()
        self.stream = self.accelerator.stream()
        self.cores = ThreadPoolExecutor(threads)

    def codec(self) -> Any:
        """nvImageCodec on the device, or on the host; ``None`` where it is not installed."""
        from augpipe.pixels.cuda.nvimgcodec import DeviceCodec

        try:
            return DeviceCodec(None if self.on_cpu else 0, self.options.picture, self.threads)
        except ImportError as error:
            self.results.skipped["nvImageCodec"] = str(error)
            return None

    def jobs(self, recipe: str, copies: int) -> list[PictureJob]:
        """The pictures with the plans of a recipe, drawn beforehand."""
        loaded = load(recipe)
        return [
            PictureJob(data, header, tuple(steps_of(loaded, f"{i}.jpg", header, copy) for copy in range(copies)))
            for i, (data, header) in enumerate(zip(self.files, self.headers, strict=True))
        ]

    def uploaded(self, count: int) -> list[Any]:
        """The first pictures on the device."""
        from augpipe.pixels.cuda.batch_codec import uploaded

        pictures = [uploaded(self.accelerator, self.decoded(i), self.stream) for i in range(count)]
        self.stream.synchronize()
        return pictures

    def decoded(self, i: int) -> np.ndarray:
        """A picture by the CPU's codec, in blue, green, red."""
        return decode(self.files[i], self.headers[i])

    def batches(self) -> Iterator[slice]:
        """The pictures, as many at a time as are worked on together."""
        return (slice(i, i + self.batch) for i in range(0, len(self.files), self.batch))

    def on_device(self, section: str, name: str, call: Callable[[], object], pictures: int) -> None:
        """Time what is done in the stream, between two events of the device."""
        self._timed(section, name, call, pictures, self._by_events if not self.on_cpu else self._by_wall)

    def on_the_wall(self, section: str, name: str, call: Callable[[], object], pictures: int) -> None:
        """Time what is done by threads and streams of its own, until the device is idle."""
        self._timed(section, name, call, pictures, self._by_wall)

    def _timed(
        self, section: str, name: str, call: Callable[[], object], pictures: int, clock: Callable[[Any], float]
    ) -> None:
        for _ in range(WARM_UP):
            call()
        self.synchronize()
        times = sorted(clock(call) * 1e6 / pictures for _ in range(self.repeat))
        kind = "events" if clock == self._by_events else "wall"
        row = Row(section, name, statistics.median(times), times[0], times[-1], self.repeat, pictures, kind)
        self.results.rows.append(row)
        print(f"{section:12} {name:44} {row.median_us:10.2f} µs a picture", flush=True)

    def _by_events(self, call: Callable[[], object]) -> float:
        cupy = importlib.import_module("cupy")
        first, last = cupy.cuda.Event(), cupy.cuda.Event()
        self.synchronize()
        first.record(self.stream.stream)
        call()
        last.record(self.stream.stream)
        last.synchronize()
        return float(cupy.cuda.get_elapsed_time(first, last)) / 1e3

    def _by_wall(self, call: Callable[[], object]) -> float:
        self.synchronize()
        started = time.perf_counter()
        call()
        self.synchronize()
        return time.perf_counter() - started

    def synchronize(self) -> None:
        """Wait until the device is idle."""
        self.stream.synchronize()
        if not self.on_cpu:
            importlib.import_module("cupy").cuda.runtime.deviceSynchronize()

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """A copy on the device, the floor under every kernel."""
        if self.on_cpu:
            ctypes.memmove(target, source, nbytes)
            return
        runtime = importlib.import_module("cupy").cuda.runtime
        runtime.memcpyAsync(target, source, nbytes, runtime.memcpyDeviceToDevice, self.stream.pointer)


def _host_accelerator() -> Any:
    from cpu_accelerator import CpuAccelerator

    return CpuAccelerator()


def _device() -> Any:
    from augpipe.pixels.cuda.cupy_device import CudaAccelerator

    return CudaAccelerator(0)


def steps_of(recipe: Any, key: str, header: Header, copy: int) -> tuple[Any, ...]:
    """The steps of one copy."""
    return tuple(draw(recipe, Frame(key, header.upright_wh, Annotations()), 7, copy).steps)


def made(count: int) -> list[bytes]:
    """JPEGs of 640×480 with structure at every scale, some 60 kB each, like photographs of a crowded scene."""
    return [encode(_photo(np.random.default_rng(i)), BackendOptions().picture) for i in range(count)]


def _photo(rng: np.random.Generator) -> np.ndarray:
    w, h = SIZE_WH
    picture = np.full((h, w, 3), 128, np.float32)
    for side, strength in ((2, 5), (4, 9), (8, 13), (16, 16), (32, 19), (64, 22), (128, 33)):
        coarse = rng.standard_normal((h // side + 2, w // side + 2, 3)).astype(np.float32)
        gray = coarse.mean(axis=2, keepdims=True)  # photographs have little colour of their own at fine scales
        picture += strength * cv2.resize(gray + 0.4 * coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def read(folder: Path, count: int) -> list[bytes]:
    """JPEGs of a folder, again from the first where there are too few."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    files = [path.read_bytes() for path in paths[:count]]
    return (files * (count // max(1, len(files)) + 1))[:count] if files else []


def agreement(name: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Agreement:
    """Of pairs of pictures of equal shape."""
    off = [np.abs(a.astype(np.int16) - b.astype(np.int16)) for a, b in pairs]
    values = sum(o.size for o in off)
    return Agreement(
        name,
        len(pairs),
        sum(int((o == 0).sum()) for o in off) / values,
        max(int(o.max()) for o in off),
        sum(float(o.sum()) for o in off) / values,
    )
