"""An accelerator that is none: the same kernels by the C++ compiler, on host memory, with a limit to run out of.

Every piece of memory lies between guard bytes, which are looked at when it is given back, so a kernel that writes
beside its picture is caught.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from places import HELPERS

from augpipe.core.annotations import U8
from augpipe.pixels.cuda import kernel_source
from augpipe.pixels.cuda.device_api import Argument

SHIM = HELPERS / "cuda_shim.h"
_GUARD, _GUARD_BYTE, _FRESH_BYTE = 256, 0xA5, 0x77
_OPTIONS = ("-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-w")


def compiler() -> str | None:
    """The C++ compiler of this machine."""
    return next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)


@cache
def library(text: str = "") -> ctypes.CDLL:
    """The kernels, compiled once for each text, however many test processes ask at a time.

    Args:
        text: other kernels than the program's own, for tests that break them.
    """
    program = compiler()
    if program is None:
        pytest.skip("no C++ compiler (c++, g++ or clang++) to build the kernels with")
    # Broken kernels are run once, so that compiling them quickly is what counts.
    options = (*_OPTIONS, "-O0" if text else "-O2")
    text = text or kernel_source.source()
    digest = hashlib.blake2b(f"{program}{options}{SHIM.read_text()}{text}".encode(), digest_size=12).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"augpipe-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else")
    built = folder / f"{digest}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=folder) as own:
            source, target = Path(own) / "kernels.cpp", Path(own) / "kernels.so"
            source.write_text(text)
            command = [program, *options, "-include", str(SHIM), str(source), "-o", str(target)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            target.replace(built)
    return ctypes.CDLL(str(built))


class HostMemory:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Memory`."""

    def __init__(self, nbytes: int, owner: CpuAccelerator) -> None:
        self.nbytes = nbytes
        self._owner = owner
        owner.count(nbytes)
        self._buffer = np.full(nbytes + 3 * _GUARD, _GUARD_BYTE, np.uint8)
        self._start = _GUARD + -self._buffer.ctypes.data % _GUARD
        self.data[:] = _FRESH_BYTE

    @property
    def address(self) -> int:
        return self._buffer.ctypes.data + self._start

    @property
    def data(self) -> U8:
        return self._buffer[self._start : self._start + self.nbytes]

    def __del__(self) -> None:
        if hasattr(self, "_start"):
            self._owner.count(-self.nbytes)
            beside = np.r_[self._buffer[: self._start], self._buffer[self._start + self.nbytes :]]
            if (beside != _GUARD_BYTE).any():
                self._owner.damaged.append(self.nbytes)


class HostStream:
    """Fulfils Stream and Event: everything is done at once."""

    pointer = 0

    def record(self) -> HostStream:
        return self

    def wait(self, event: object) -> None:
        """Nothing to wait for."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


class CpuAccelerator:
    """Fulfils :class:`augpipe.pixels.cuda.device_api.Accelerator`.

    ``launched`` are the kernels in order, ``most`` the most bytes held at a time, ``damaged`` the sizes of memory that
    was written beside, ``trimmed`` the bytes that were held whenever it was trimmed.
    """

    name = "C++ build"

    def __init__(self, limit: int = 1 << 40, text: str = "") -> None:
        self.limit = limit
        self.held = self.most = 0
        self._counting = threading.RLock()  # re-entrant, as memory may be given back by the garbage collector
        self.launched: list[str] = []
        self.damaged: list[int] = []
        self.trimmed: list[int] = []
        self._library = library(text)
        self._resident: dict[str, HostMemory] = {}

    def count(self, nbytes: int) -> None:
        """So many bytes more are held, or fewer; stages of a pipeline say so at the same time."""
        with self._counting:
            self.held += nbytes
            self.most = max(self.most, self.held)

    def bind(self) -> None:
        """Nothing to choose from."""

    def stream(self) -> HostStream:
        return HostStream()

    def allocate(self, nbytes: int, stream: object) -> HostMemory:
        if self.held + nbytes > self.limit:
            raise MemoryError(f"{nbytes} bytes; {self.limit - self.held} of {self.limit} are left")
        return HostMemory(nbytes, self)

    def upload(self, data: np.ndarray, stream: object) -> HostMemory:
        memory = self.allocate(data.nbytes, stream)
        memory.data[:] = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        return memory

    def download(self, address: int, nbytes: int, stream: object) -> U8:
        return np.frombuffer(ctypes.string_at(address, nbytes), np.uint8)

    def resident(self, name: str, make: Callable[[], np.ndarray], stream: object) -> int:
        if name not in self._resident:
            data = make()
            self.count(-data.nbytes)  # does not count: it is there before any batch
            self._resident[name] = self.upload(data, stream)
        return self._resident[name].address

    def launch(
        self, kernel: str, blocks: int, threads_xy: tuple[int, int], arguments: tuple[Argument, ...], stream: object
    ) -> None:
        assert [type(a) for a in arguments] == [np.uint64, np.int32, np.uint64, np.uint64]  # what a device would get
        passes, count, parameters, bank = (int(a) for a in arguments)
        self.launched.append(kernel)
        self._library[f"{kernel}_on_host"](
            *(ctypes.c_uint(v) for v in (blocks, *threads_xy)),
            ctypes.c_void_p(passes),
            ctypes.c_int(count),
            ctypes.c_void_p(parameters),
            ctypes.c_void_p(bank or None),
        )

    def memory_limit(self) -> int:
        return self.limit

    def trim(self) -> None:
        """Nothing is pooled; that it was asked for is noted."""
        self.trimmed.append(self.held)
