"""As much of cupy as augpipe/pixels/cuda/cupy_device.py uses, on host memory, strict about what real CUDA is strict
about.

Copies happen when the stream is waited for, not when they are asked for; kernels run in the stream and on the device
that are current in their thread. Device 0 is current in a thread that never chose one; to choose one starts it, as it
does from CUDA 12 on; an event can only be recorded on the device that it was made on. What it calls itself is checked
against real cupy where that is installed.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import deque
from types import SimpleNamespace

import numpy as np
from cpu_accelerator import library

_current = threading.local()


def _stack(name):
    if not hasattr(_current, name):
        setattr(_current, name, [])
    return getattr(_current, name)


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        super().__init__({2: "cudaErrorMemoryAllocation: out of memory"}[status])
        self.status = status


started: set[int] = set()


def current_device():
    return getattr(_current, "device", 0)


class Device:
    def __init__(self, index):
        self.id = index
        self.mem_info = (600_000_000, 1_000_000_000)

    def use(self):
        _current.device = self.id
        started.add(self.id)

    def __enter__(self):
        _stack("devices").append(current_device())
        if self.id != current_device():
            self.use()
        return self

    def __exit__(self, *_):
        Device(_stack("devices").pop()).use()


class Stream:
    def __init__(self, null=False, non_blocking=False):
        self.device_id = current_device()
        self.ptr = id(self)
        self.waiting = deque()
        _streams[self.ptr] = self

    def __enter__(self):
        assert self.device_id == current_device(), "a stream of another device"
        _stack("streams").append(self)
        return self

    def __exit__(self, *_):
        _stack("streams").pop()

    def wait_event(self, event):
        event.synchronize()

    def synchronize(self):
        with _running:  # whoever comes to it while its work is done waits until all of it is
            while self.waiting:
                self.waiting.popleft()()


_FREE = next(sys.getrefcount(block) for block in [object()])  # references to a block that nobody has
_streams: dict[int, Stream] = {}
_running = threading.RLock()


class Event:
    def __init__(self, block=False, disable_timing=False):
        self.stream, self.place = None, 0
        self.device_id = current_device()

    def record(self, stream):
        assert stream.device_id == self.device_id, "cudaErrorInvalidResourceHandle: invalid resource handle"
        self.stream, self.done = stream, False
        stream.waiting.append(self._reached)

    def _reached(self):
        self.done = True

    def synchronize(self):
        self.stream.synchronize()


class _Memory:
    """Given back when the stream is past it."""

    def __init__(self, nbytes, stream):
        self.stream = stream
        self.array = np.full(nbytes + 256, 0x77, np.uint8)
        self.ptr = self.array.ctypes.data + -self.array.ctypes.data % 256

    def __del__(self):
        self.stream.waiting.append(lambda array=self.array: array)


class MemoryPool:
    def __init__(self):
        self.limit = self.taken = self.trimmed = 0
        self.device_id = -1  # cupy has one pool a device; here, that of the device whose limit is set

    def set_limit(self, size=None, fraction=None):
        self.device_id = current_device()
        self.limit = size

    def get_limit(self):
        assert self.device_id == current_device()
        return self.limit

    def total_bytes(self):
        assert self.device_id == current_device()
        return self.taken

    def free_all_blocks(self):
        assert self.device_id in (-1, current_device())
        self.trimmed += 1

    def malloc(self, nbytes):
        assert self.device_id == current_device()
        assert _stack("streams"), "memory of the pool belongs to the stream that is current"
        if self.taken + nbytes > self.limit:
            raise OutOfMemoryError(nbytes)
        self.taken += nbytes
        return _Memory(nbytes, _stack("streams")[-1])


class _Pinned(bytearray):
    @property
    def ptr(self):
        return ctypes.addressof(ctypes.c_char.from_buffer(self))


class PinnedMemoryPool:
    """Hands out memory again as soon as nobody has it, whoever may still read there."""

    def __init__(self):
        self.trimmed = 0
        self._blocks = []

    def malloc(self, nbytes):
        block = next((b for b in self._blocks if len(b) >= nbytes and sys.getrefcount(b) == _FREE), None)
        if block is None:
            self._blocks.append(block := _Pinned(nbytes))
        return block

    def free_all_blocks(self):
        self.trimmed += 1


_default_pool = MemoryPool()


def get_default_memory_pool():
    return _default_pool


class RawModule:
    def __init__(self, *, code, options):
        assert "--fmad=false" in options
        self._library = library()

    def get_function(self, name):
        function = self._library[f"{name}_on_host"]

        def kernel(grid, block, arguments):
            assert [type(a) for a in arguments] == [np.uint64, np.int32, np.uint64, np.uint64]
            passes, count, parameters, bank = (int(a) for a in arguments)
            shape = [ctypes.c_uint(v) for v in (*grid, *block)]
            rest = (ctypes.c_void_p(passes), count, ctypes.c_void_p(parameters), ctypes.c_void_p(bank or None))
            stream = _stack("streams")[-1]
            assert stream.device_id == current_device()
            stream.waiting.append(lambda: function(*shape, *rest))

        return kernel


def _memcpy_async(target, source, nbytes, kind, stream):
    _streams[stream].waiting.append(lambda: ctypes.memmove(target, source, nbytes))


runtime = SimpleNamespace(
    memcpyAsync=_memcpy_async,
    memcpyHostToDevice=1,
    memcpyDeviceToHost=2,
    getDeviceProperties=lambda index: {"name": b"host %d" % index},
)
cuda = SimpleNamespace(
    Device=Device,
    Event=Event,
    MemoryPool=MemoryPool,
    PinnedMemoryPool=PinnedMemoryPool,
    Stream=Stream,
    is_available=lambda: True,
    runtime=runtime,
)
