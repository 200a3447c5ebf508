"""What :mod:`augpipe.pixels.cuda.launch` needs of a machine that runs the kernels: memory, order, launches.

The array library that reaches a device stays behind these protocols: CuPy is one implementation
(:mod:`augpipe.pixels.cuda.cupy_device`), a C++ compiler another (the tests), a third would be one file.

Work is asynchronous and in order within a stream. What one stream made, another may use after it waits for an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import U8

Argument = np.uint64 | np.int32


@dataclass(frozen=True)
class DevicePicture:
    """An upright picture on the device: uint8, interleaved red, green, blue or gray, ``pitch`` bytes from row to row.

    ``owner`` keeps the memory alive. It may be shared with other pictures of the batch.
    """

    address: int
    size_wh: tuple[int, int]
    channels: int
    pitch: int
    owner: object

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """For array libraries and encoders, without a copy: (H, W, C); see CUDA Array Interface, version 3."""
        w, h = self.size_wh
        return {
            "shape": (h, w, self.channels),
            "typestr": "|u1",
            "data": (self.address, False),
            "strides": None if self.pitch == w * self.channels else (self.pitch, self.channels, 1),
            "version": 3,
        }


class Memory(Protocol):
    """Bytes on the device, given back when the last reference is gone and the stream they were asked for is past it."""

    address: int
    nbytes: int


class Event(Protocol):
    """A point in a stream's work."""

    def synchronize(self) -> None:
        """Wait until the work before it is done."""


class Stream(Protocol):
    """Work in order."""

    @property
    def pointer(self) -> int:
        """The CUDA stream as a number, for other libraries; 0 where there is none."""

    def record(self) -> Event:
        """The point behind all work so far."""

    def wait(self, event: Event) -> None:
        """Let what comes next in this stream wait for ``event``; the caller does not wait."""

    def synchronize(self) -> None:
        """Wait until all work is done."""


class Accelerator(Protocol):
    """A device that runs the kernels of :mod:`augpipe.pixels.cuda.kernel_source`."""

    @property
    def name(self) -> str:
        """For people, such as ``NVIDIA H200``."""

    def bind(self) -> None:
        """Called by a thread before all else that it does with the device."""

    def stream(self) -> Stream:
        """A new stream."""

    def allocate(self, nbytes: int, stream: Stream) -> Memory:
        """Memory for use in ``stream``, aligned to 256 bytes.

        Raises:
            MemoryError: if there is none; nothing is left half done.
        """

    def upload(self, data: U8 | NDArray[np.int16], stream: Stream) -> Memory:
        """A copy of a contiguous array on the device. The array may be changed at once.

        Raises:
            MemoryError: as :meth:`allocate`.
        """

    def download(self, address: int, nbytes: int, stream: Stream) -> U8:
        """A copy of ``nbytes`` from the device, after all work in ``stream`` so far; waits for it."""

    def resident(self, name: str, make: Callable[[], NDArray[np.int16]], stream: Stream) -> int:
        """The address of a constant that is made and uploaded when first asked for, and stays."""

    def launch(
        self, kernel: str, blocks: int, threads_xy: tuple[int, int], arguments: tuple[Argument, ...], stream: Stream
    ) -> None:
        """Run a kernel on a row of ``blocks`` blocks."""

    def memory_limit(self) -> int:
        """Bytes that this process may take on the device."""

    def trim(self) -> None:
        """Give back to the device what the pool holds and nobody uses, before trying a smaller batch."""


def import_cupy() -> Any:
    """The module ``cupy``, as :mod:`augpipe.pixels.cuda.cupy_device` has it, which alone imports it.

    Raises:
        ImportError: it is not there, or does not load.
    """
    return import_module("augpipe.pixels.cuda.cupy_device").cupy
