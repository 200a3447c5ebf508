"""A CUDA device by CuPy: the one file that imports it.

CuPy's pool gives memory back to the stream that it was asked for in, so a temporary may be dropped as soon as the
kernels that use it are launched in that stream. Call nothing else where :func:`is_there` is false: without a driver,
CuPy raises from nearly everything, and prints from some.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import U8
from augpipe.pixels.cuda import kernel_source
from augpipe.pixels.cuda.device_api import Argument, Event, Stream

POOL_SHARE = 0.75
"""Of the device's memory: codecs allocate outside the pool."""

_NO_MEMORY = 2  # cudaErrorMemoryAllocation, and the driver's CUDA_ERROR_OUT_OF_MEMORY


def is_there() -> bool:
    """Whether CuPy finds a driver and a device; a compiler of kernels may still be missing."""
    return bool(cupy.cuda.is_available())


class CudaMemory:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Memory`."""

    def __init__(self, pointer: Any, nbytes: int) -> None:
        self._pointer = pointer  # gives the memory back when it goes
        self.address = int(pointer.ptr)
        self.nbytes = nbytes


class CudaEvent:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Event`."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def synchronize(self) -> None:
        self.event.synchronize()


class CudaStream:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Stream`; one that does not wait for CUDA's default stream."""

    def __init__(self) -> None:
        self.stream = cupy.cuda.Stream(non_blocking=True)

    @property
    def pointer(self) -> int:
        return int(self.stream.ptr)

    def record(self) -> CudaEvent:
        event = cupy.cuda.Event(block=True, disable_timing=True)
        event.record(self.stream)
        return CudaEvent(event)

    def wait(self, event: Event) -> None:
        assert isinstance(event, CudaEvent)
        self.stream.wait_event(event.event)

    def synchronize(self) -> None:
        self.stream.synchronize()


class CudaAccelerator:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Accelerator` for one device.

    It is the current device of the thread that makes it, and of those that call :meth:`bind`.

    Args:
        device: its number.
        sharing: number of processes that use it, among which :data:`POOL_SHARE` is divided.
    """

    def __init__(self, device: int = 0, sharing: int = 1) -> None:
        self._device = cupy.cuda.Device(device)
        self._lock = threading.RLock()  # a resident array is uploaded while it is held
        self._resident: dict[str, CudaMemory] = {}
        self._staged: deque[tuple[Any, Any]] = deque()
        self.bind()
        with self._device:
            self._pool = cupy.cuda.MemoryPool()
            self._pool.set_limit(size=int(self._device.mem_info[1] * POOL_SHARE / sharing))
            self._pinned = cupy.cuda.PinnedMemoryPool()
            module = cupy.RawModule(code=kernel_source.source(), options=kernel_source.OPTIONS)
            self._kernels = {name: module.get_function(name) for name in kernel_source.names()}
            self._name: str = cupy.cuda.runtime.getDeviceProperties(device)["name"].decode()

    @property
    def name(self) -> str:
        return self._name

    def bind(self) -> None:
        """Make it the current device of this thread for good.

        A ``with`` would return to device 0 and so start it, which takes memory. Events can be recorded on the device
        alone on which they are made.
        """
        self._device.use()

    def stream(self) -> CudaStream:
        with self._device:
            return CudaStream()

    def allocate(self, nbytes: int, stream: Stream) -> CudaMemory:
        with self._device, _cuda(stream).stream:
            return CudaMemory(self._pool.malloc(max(1, nbytes)), nbytes)

    def upload(self, data: U8 | NDArray[np.int16], stream: Stream) -> CudaMemory:
        """Copies by way of page-locked memory, which does not block."""
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        memory = self.allocate(flat.nbytes, stream)
        queue = _cuda(stream).stream
        with _memory_errors(), self._device:
            staged = self._pinned.malloc(max(1, flat.nbytes))
            np.frombuffer(staged, np.uint8, flat.nbytes)[:] = flat
            cupy.cuda.runtime.memcpyAsync(
                memory.address, staged.ptr, flat.nbytes, cupy.cuda.runtime.memcpyHostToDevice, queue.ptr
            )
            self._keep_until_read(staged, queue)
        return memory

    def _keep_until_read(self, staged: Any, queue: Any) -> None:
        """Keep page-locked memory from its pool while a copy reads it."""
        read = cupy.cuda.Event(disable_timing=True)
        read.record(queue)
        with self._lock:
            while self._staged and self._staged[0][0].done:
                self._staged.popleft()
            self._staged.append((read, staged))

    def download(self, address: int, nbytes: int, stream: Stream) -> U8:
        out = np.empty(nbytes, np.uint8)
        queue = _cuda(stream).stream
        with self._device:
            cupy.cuda.runtime.memcpyAsync(
                out.ctypes.data, address, nbytes, cupy.cuda.runtime.memcpyDeviceToHost, queue.ptr
            )
            queue.synchronize()
        return out

    def resident(self, name: str, make: Callable[[], NDArray[np.int16]], stream: Stream) -> int:
        with self._lock:
            if name not in self._resident:
                self._resident[name] = self.upload(make(), stream)
                stream.synchronize()
            return self._resident[name].address

    def launch(
        self, kernel: str, blocks: int, threads_xy: tuple[int, int], arguments: tuple[Argument, ...], stream: Stream
    ) -> None:
        with _memory_errors(), self._device, _cuda(stream).stream:
            self._kernels[kernel]((blocks,), threads_xy, arguments)

    def memory_limit(self) -> int:
        return int(self._pool.get_limit())

    def trim(self) -> None:
        with self._device:
            self._pool.free_all_blocks()
            cupy.get_default_memory_pool().free_all_blocks()  # which has the pictures that the codec turned
            self._pinned.free_all_blocks()


@contextmanager
def _memory_errors() -> Iterator[None]:
    """MemoryError also for page-locked memory and for kernels that are loaded; CuPy raises it for its pool alone."""
    try:
        yield
    except RuntimeError as error:
        if getattr(error, "status", None) == _NO_MEMORY:
            raise MemoryError(str(error)) from error
        raise


def _cuda(stream: Stream) -> CudaStream:
    assert isinstance(stream, CudaStream)
    return stream
