"""The accelerators that tests run the kernels on, and pictures brought to them and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from cpu_accelerator import CpuAccelerator

from augpipe.core.annotations import U8
from augpipe.core.errors import Reject
from augpipe.core.plan import Step
from augpipe.pixels.cuda.device_api import Accelerator, DevicePicture
from augpipe.pixels.cuda.launch import OutputJob, run_batch

NAMES = ["c++", pytest.param("cuda", marks=pytest.mark.gpu)]


def make(name: str) -> Accelerator:
    """An accelerator by name; the test is skipped where it cannot be."""
    if name == "c++":
        return CpuAccelerator()
    pytest.importorskip("cupy", reason="needs a CUDA device; cupy is not installed")
    from augpipe.pixels.cuda import cupy_device

    if not cupy_device.is_there():
        pytest.skip("needs a CUDA device; cupy finds no driver or no device")
    assert cupy_device.cupy.__name__ == "cupy", "a stand-in"
    return cupy_device.CudaAccelerator()


def uploaded(accelerator: Accelerator, picture_rgb: U8, gap: int = 0) -> DevicePicture:
    """A picture on the device, with ``gap`` bytes behind each row."""
    h, w = picture_rgb.shape[:2]
    channels = 1 if picture_rgb.ndim == 2 else 3
    rows = np.full((h, w * channels + gap), 255, np.uint8)
    rows[:, : w * channels] = picture_rgb.reshape(h, -1)
    stream = accelerator.stream()
    memory = accelerator.upload(rows, stream)
    stream.synchronize()  # so that it is there for every stream
    return DevicePicture(memory.address, (w, h), channels, rows.shape[1], memory)


def downloaded(accelerator: Accelerator, picture: DevicePicture, stream=None) -> U8:
    """(H, W) or (H, W, 3) red, green, blue."""
    (w, h), c = picture.size_wh, picture.channels
    flat = accelerator.download(picture.address, h * picture.pitch, stream or accelerator.stream())
    out = flat.reshape(h, picture.pitch)[:, : w * c]
    return out.reshape((h, w) if c == 1 else (h, w, c))


def rendered_on(accelerator: Accelerator, cases: Sequence[tuple[U8, Sequence[Step]]]) -> list[U8 | Reject]:
    """What a device makes of pictures, all in one batch."""
    stream = accelerator.stream()
    works = [OutputJob(uploaded(accelerator, picture), tuple(steps)) for picture, steps in cases]
    outputs = run_batch(accelerator, works, stream)
    return [o if isinstance(o, Reject) else downloaded(accelerator, o, stream) for o in outputs]
