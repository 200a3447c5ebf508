"""A CUDA device by CuPy: the one file that imports it.

CuPy's pool gives memory back to the stream that it was asked for in, so a temporary may be dropped as soon as the
kernels that use it are launched in that stream. Nothing but :func:`is_there` may be called where it says no: without a
driver, CuPy raises from nearly everything, and some of it prints besides.
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
from augpipe.pixels.cuda.device_api import Argument, DeviceMemory, Event, Stream

POOL_SHARE = 0.75
"""Of the device's memory: codecs allocate outside the pool."""

_NO_MEMORY = 2  # cudaErrorMemoryAllocation, and the driver's CUDA_ERROR_OUT_OF_MEMORY


def is_there() -> bool:
    """Whether CuPy finds a driver and a device. It does not look for a compiler of kernels."""
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
        """Wait, without holding a core."""
        self.event.synchronize()


class CudaStream:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Stream`; one that does not wait for CUDA's default stream."""

    def __init__(self) -> None:
        self.stream = cupy.cuda.Stream(non_blocking=True)

    @property
    def pointer(self) -> int:
        """The stream as a number."""
        return int(self.stream.ptr)

    def record(self) -> CudaEvent:
        """The point behind all work so far."""
        event = cupy.cuda.Event(block=True, disable_timing=True)
        event.record(self.stream)
        return CudaEvent(event)

    def wait(self, event: Event) -> None:
        """Later work waits for ``event``."""
        assert isinstance(event, CudaEvent)
        self.stream.wait_event(event.event)

    def synchronize(self) -> None:
        """Wait until all work is done."""
        self.stream.synchronize()


class CudaAccelerator:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Accelerator` for one device.

    It is the current one of the thread that makes it, and of those that call :meth:`bind`.

    Args:
        device: its number.
        sharing: processes that use it, each of which takes its part of :data:`POOL_SHARE`.
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
        """What the driver calls the device."""
        return self._name

    def bind(self) -> None:
        """Make it the current device of this thread for good.

        In a thread that has not chosen, device 0 is. Events are made on the current device, and can be recorded there
        alone; and to go back to device 0, as a ``with`` does, starts that one, with the memory that this takes.
        """
        self._device.use()

    def stream(self) -> CudaStream:
        """A new stream."""
        with self._device:
            return CudaStream()

    def allocate(self, nbytes: int, stream: Stream) -> CudaMemory:
        """Memory of the pool; cupy's OutOfMemoryError is a MemoryError."""
        with self._device, _cuda(stream).stream:
            return CudaMemory(self._pool.malloc(max(1, nbytes)), nbytes)

    def upload(self, data: U8 | NDArray[np.int16], stream: Stream) -> CudaMemory:
        """By way of page-locked memory, so that nobody waits for the copy."""
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
        """The pool would hand page-locked memory out again while a copy still reads it."""
        read = cupy.cuda.Event(disable_timing=True)
        read.record(queue)
        with self._lock:
            while self._staged and self._staged[0][0].done:
                self._staged.popleft()
            self._staged.append((read, staged))

    def download(self, address: int, nbytes: int, stream: Stream) -> U8:
        """Waits for the stream and copies."""
        out = np.empty(nbytes, np.uint8)
        queue = _cuda(stream).stream
        with self._device:
            cupy.cuda.runtime.memcpyAsync(
                out.ctypes.data, address, nbytes, cupy.cuda.runtime.memcpyDeviceToHost, queue.ptr
            )
            queue.synchronize()
        return out

    def resident(self, name: str, make: Callable[[], NDArray[np.int16]], stream: Stream) -> int:
        """Uploaded once; complete for every stream when this returns."""
        with self._lock:
            if name not in self._resident:
                self._resident[name] = self.upload(make(), stream)
                stream.synchronize()
            return self._resident[name].address

    def launch(
        self, kernel: str, blocks: int, threads_xy: tuple[int, int], arguments: tuple[Argument, ...], stream: Stream
    ) -> None:
        """Run a kernel on a row of blocks."""
        with _memory_errors(), self._device, _cuda(stream).stream:
            self._kernels[kernel]((blocks,), threads_xy, arguments)

    def memory(self) -> DeviceMemory:
        """What the driver and the pool say."""
        with self._device:
            free, total = self._device.mem_info
            return DeviceMemory(free, total, self._pool.total_bytes(), self._pool.get_limit())

    def trim(self) -> None:
        """Give back what nobody uses."""
        with self._device:
            self._pool.free_all_blocks()
            cupy.get_default_memory_pool().free_all_blocks()  # where pictures are that the codec turned
            self._pinned.free_all_blocks()


@contextmanager
def _memory_errors() -> Iterator[None]:
    """CuPy has a MemoryError for its pool alone, not for page-locked memory or what the driver loads a kernel into."""
    try:
        yield
    except RuntimeError as error:
        if getattr(error, "status", None) == _NO_MEMORY:
            raise MemoryError(str(error)) from error
        raise


def _cuda(stream: Stream) -> CudaStream:
    assert isinstance(stream, CudaStream)
    return stream
