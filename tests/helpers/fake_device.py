"""A CUDA device that is none, in this process and in workers, with faults that come at a chosen picture.

What a worker gets of it travels with the job's reader, which puts it in place when it arrives.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cpu_accelerator import CpuAccelerator

from augpipe.core.errors import DeviceError
from augpipe.pixels.backend import BackendOptions, PictureJob
from augpipe.pixels.cuda import backend as on_cuda
from augpipe.pixels.cuda.backend import GpuBackend
from augpipe.pixels.cuda.batch_codec import HostCodec
from augpipe.pixels.cuda.select import Device
from augpipe.run import runner


def device(*indexes: int) -> Device:
    return Device("cuda", indexes or (0,), ("C++ build",) * len(indexes or (0,)), "cpu", "cuda:0 (C++ build)")


@dataclass(frozen=True)
class Fake:
    """What stands for :func:`augpipe.pixels.cuda.backend.on_cuda`.

    ``seats`` is a folder in which each process leaves which device it got. The victim is a picture by the size of its
    file; its first ``times`` decodings do ``how``, counted in the folder ``marks``.
    """

    limit: int = 1 << 40
    budget: int = 1 << 30
    seats: Path | None = None
    victim: int = -1
    times: int = 0
    how: str = ""
    marks: Path | None = None

    def __call__(self, index: int, codec: str, options: BackendOptions, sharing: int = 1) -> GpuBackend:
        if self.how == "dead":
            raise DeviceError(f"cuda:{index} does not work: it fell off the bus")
        if self.seats is not None:
            (self.seats / f"cuda {index} of {sharing}, process {os.getpid()}").touch()
        accelerator = CpuAccelerator(self.limit)
        return GpuBackend(accelerator, Failing(accelerator, options, self), options, self.budget)


class Failing(HostCodec):
    """The CPU's codec on a device that fails at one picture."""

    def __init__(self, accelerator: CpuAccelerator, options: BackendOptions, fake: Fake) -> None:
        super().__init__(accelerator, options)
        self._fake = fake

    def decode(self, jobs: Sequence[PictureJob], stream: Any) -> Any:
        fake = self._fake
        if fake.marks is not None and any(len(job.data) == fake.victim for job in jobs):
            done = len(os.listdir(fake.marks))
            if done < fake.times:
                (fake.marks / str(done)).touch()
                if fake.how == "hang":
                    time.sleep(1000)
                raise RuntimeError("an illegal memory access was encountered")
        return super().decode(jobs, stream)


@dataclass
class Carrier:
    """A reader that brings the fake along."""

    reader: Any
    fake: Fake

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        on_cuda.on_cuda = self.fake  # type: ignore[assignment]

    def annotations(self, entry: Any) -> Any:
        return self.reader.annotations(entry)


def put_in_place(monkeypatch: Any, fake: Fake) -> None:
    """Here and in the workers of every run."""
    monkeypatch.setattr(on_cuda, "on_cuda", fake)
    real = runner.PendingWork._job

    def job(self: Any) -> Any:
        made = real(self)
        return replace(made, reader=Carrier(made.reader, fake))

    monkeypatch.setattr(runner.PendingWork, "_job", job)
