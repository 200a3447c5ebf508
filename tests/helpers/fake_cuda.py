"""What stands in for CuPy, a driver and devices, so that every way of not having them can be met without one."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np

from augpipe.pixels.cuda import probe
from augpipe.pixels.cuda.probe import Gpu, Probe

H200 = Gpu(0, "NVIDIA H200", 150_000_000_000, "9.0")


class CUDARuntimeError(RuntimeError):
    """As CuPy's: a status, and its name in the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def fails(error: BaseException) -> Any:
    def raise_it(*arguments: Any, **options: Any) -> Any:
        raise error

    return raise_it


def line_kernel(grid: tuple[int], block: tuple[int], arguments: tuple[np.ndarray, np.int32, np.ndarray]) -> None:
    """The probe kernel as plain Python, one number after the other."""
    line, count, out = arguments
    for i in range(min(int(count), grid[0] * block[0])):
        out[i] = _number(np.float32(line[0] + np.float32(np.float32(i) * line[1])), i)


def fused_kernel(grid: tuple[int], block: tuple[int], arguments: tuple[np.ndarray, np.int32, np.ndarray]) -> None:
    """The same with one rounding where two are asked for, as a compiler does that fuses multiply and add."""
    line, count, out = arguments
    for i in range(int(count)):
        out[i] = _number(np.float32(float(line[0]) + i * float(line[1])), i)


def _number(at: np.float32, i: int) -> int:
    bits = struct.unpack("<i", struct.pack("<f", at))[0]
    return bits ^ (round(float(np.float32(at * np.float32(32)))) * 3 + ((i * 2654435769 >> 16) & 255))


def cupy(devices: int = 1, kernel: Any = line_kernel, **changed: Any) -> SimpleNamespace:
    """A CuPy of so many devices; ``changed`` are functions of its runtime."""
    runtime = {
        "runtimeGetVersion": lambda: 12090,
        "getDeviceCount": lambda: devices,
        "getDeviceProperties": lambda i: {
            "name": f"Fake {i}".encode(), "totalGlobalMem": 8 << 30, "major": 9, "minor": 0
        },
    }  # fmt: skip
    return SimpleNamespace(
        __version__="14.2.0",
        cuda=SimpleNamespace(
            runtime=SimpleNamespace(**{**runtime, **changed}),
            nvrtc=SimpleNamespace(getVersion=lambda: (12, 9)),
            Device=lambda index: nullcontext(),
        ),
        RawKernel=lambda code, name, options: kernel,
        zeros=np.zeros,
        asarray=np.asarray,
        asnumpy=np.asarray,
    )


def with_driver(monkeypatch: Any, cuda: int | None = 12080) -> None:
    """As if there were a driver that knows this CUDA."""
    monkeypatch.setattr(probe, "_driver_cuda", lambda: cuda)
    monkeypatch.setattr(probe, "_driver", lambda: None if cuda is None else "570.86.15")


def working(*gpus: Gpu, **changed: Any) -> Probe:
    """A machine where everything works."""
    parts: dict[str, Any] = {
        "driver": "570.86.15", "cuda": 12080, "cupy": "14.2.0", "runtime": 12090, "nvrtc": "12.9",
        "nvimgcodec": "0.9.0", "nvjpeg": "12.4.0.76",
    }  # fmt: skip
    return Probe(gpus=gpus or (H200,), **{**parts, **changed})
