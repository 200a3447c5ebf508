"""One step on pictures by the reference, the CPU and the kernels' C++ build, which must agree to the bit."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from cpu_accelerator import CpuAccelerator
from devices import rendered_on

from augpipe.core.annotations import U8
from augpipe.core.plan import Step, step_from_json
from augpipe.pixels import cpu, reference


def check_step(step: Step, pictures_rgb: Iterable[U8], apart: int = 0) -> None:
    """Raise if the ways differ, by more than ``apart`` levels where the reference has that freedom."""
    assert step.fault(10**9) is None
    assert step_from_json(msgspec.to_builtins(step)) == step
    pictures = list(pictures_rgb)
    on_device = rendered_on(CpuAccelerator(), [(picture, (step,)) for picture in pictures])
    for picture, kernel in zip(pictures, on_device, strict=True):
        before, expected = picture.copy(), reference.apply(picture, [step])
        bgr = np.ascontiguousarray(picture[:, :, ::-1]) if picture.ndim == 3 else picture
        made = cpu.apply(bgr, [step])
        made = made[:, :, ::-1] if made.ndim == 3 else made
        assert (made == kernel).all(), f"CPU and kernel differ on {picture.shape}"
        off = np.abs(made.astype(int) - expected.astype(int)).max(initial=0)
        assert off <= apart, f"CPU and reference differ by {off} on {picture.shape}"
        assert (picture == before).all(), "the source was changed"
