"""An accelerator that does nothing until somebody waits: as late as a device may, where the other one is at once.

Work stands in the queue of its stream until that stream is synchronized, or another one comes to an event of it. So a
stage that does not wait for the one before reads memory that was never written; and memory that is given back too early
is overwritten as soon as the queue of its stream comes to that place, which the pool of a device may do.

Some of its streams may be eager, as nothing says that all of a device's are equally late: what one of those gives back
is overwritten while another has still to read it.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cpu_accelerator import CpuAccelerator, HostMemory

_GIVEN_BACK = 0xEE


class LazyStream:
    """Fulfils Stream; ``lock`` is that of the accelerator, as a queue is emptied by whoever comes to need it."""

    pointer = 0

    def __init__(self, lock: threading.RLock, eager: bool = False) -> None:
        self._lock, self._eager = lock, eager
        self._queue: deque[Callable[[], object]] = deque()
        self._done = self._asked = 0

    def put(self, work: Callable[[], object]) -> None:
        with self._lock:
            self._queue.append(work)
            self._asked += 1
            if self._eager:
                self.run_to(self._asked)

    def record(self) -> LazyEvent:
        return LazyEvent(self, self._asked)

    def wait(self, event: LazyEvent) -> None:
        self.put(event.synchronize)

    def synchronize(self) -> None:
        self.run_to(self._asked)

    def run_to(self, place: int) -> None:
        with self._lock:
            while self._done < place:
                self._done += 1
                self._queue.popleft()()


@dataclass(frozen=True)
class LazyEvent:
    """Fulfils Event."""

    stream: LazyStream
    place: int

    def synchronize(self) -> None:
        self.stream.run_to(self.place)


class LazyMemory(HostMemory):
    """Host memory that is overwritten after it was given back, when its stream comes to it."""

    def __init__(self, nbytes: int, owner: LazyAccelerator, stream: LazyStream) -> None:
        super().__init__(nbytes, owner)
        self._stream = stream

    def __del__(self) -> None:
        if hasattr(self, "_stream"):
            data = self.data
            self._stream.put(lambda: data.fill(_GIVEN_BACK))
            super().__del__()


class LazyAccelerator(CpuAccelerator):
    """Fulfils Accelerator; ``eager`` are the numbers of its eager streams, in the order in which they are made."""

    def __init__(self, limit: int = 1 << 40, eager: tuple[int, ...] = ()) -> None:
        super().__init__(limit)
        self._lock = threading.RLock()
        self._eager, self._made = eager, 0

    def stream(self) -> LazyStream:
        self._made += 1
        return LazyStream(self._lock, self._made - 1 in self._eager)

    def allocate(self, nbytes: int, stream: LazyStream) -> LazyMemory:
        if self.held + nbytes > self.limit:
            raise MemoryError(f"{nbytes} bytes; {self.limit - self.held} of {self.limit} are left")
        return LazyMemory(nbytes, self, stream)

    def upload(self, data: np.ndarray, stream: LazyStream) -> LazyMemory:
        memory = self.allocate(data.nbytes, stream)
        target, staged = memory.data, np.ascontiguousarray(data).reshape(-1).view(np.uint8).copy()
        stream.put(lambda: np.copyto(target, staged))
        return memory

    def download(self, address: int, nbytes: int, stream: LazyStream) -> np.ndarray:
        stream.synchronize()
        return np.frombuffer(ctypes.string_at(address, nbytes), np.uint8)

    def resident(self, name: str, make: Callable[[], np.ndarray], stream: LazyStream) -> int:
        there = name in self._resident
        address = super().resident(name, make, stream)
        if not there:
            stream.synchronize()
        return address

    def launch(self, *work: object) -> None:
        stream = work[-1]
        assert isinstance(stream, LazyStream)
        stream.put(lambda: super(LazyAccelerator, self).launch(*work))  # type: ignore[arg-type]
