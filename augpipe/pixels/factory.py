"""The backend for a device. Made once a process: a device takes a second or more until it is ready.

Several processes share a device, each with its part of the memory: reading, labels and records take the CPU half a
millisecond a sample or more, so one process would be busy before its device is.
"""

from __future__ import annotations

from dataclasses import dataclass

from augpipe.core.machine import cores, memory, processes_that_fit
from augpipe.pixels.backend import Backend, BackendOptions
from augpipe.pixels.cuda.select import Device

_PROCESSES = 4
"""Most processes on a device that are not asked for. Chosen by that reasoning, and not measured on a device yet."""


@dataclass(frozen=True)
class WorkerSlot:
    """One of the processes of a run: ``number`` of ``count``, dealt to its devices in turn."""

    number: int = 0
    count: int = 1


def processes_for(device: Device) -> int:
    """How many processes get the most of a device, or of all cores."""
    count = cores()
    if device.kind == "cpu":
        return processes_that_fit(count)
    each = min(_PROCESSES, max(1, count // len(device.indexes)))
    return each * len(device.indexes)


def remark_on_processes(device: Device) -> str | None:
    """What a user should know of how many processes there are, if memory and not cores decided it."""
    count, wanted = processes_for(device), cores()
    if device.kind != "cpu" or count == wanted:
        return None
    allowed = f"{memory() / 2**30:.1f} GiB"
    return f"{count} worker{'s' * (count > 1)} for {wanted} cores, as memory is {allowed}; --workers N takes others"


def backend_for(device: Device, options: BackendOptions, seat: WorkerSlot | None = None) -> Backend:
    """What turns jobs into encoded pictures, in this process.

    Raises:
        DeviceError: the device does not work, though it did when it was chosen.
    """
    if device.kind == "cpu":
        from augpipe.pixels.cpu import CpuBackend

        return CpuBackend(options)
    from augpipe.pixels.cuda.backend import on_cuda

    seat = seat or WorkerSlot()
    place = seat.number % len(device.indexes)
    sharing = len(range(place, seat.count, len(device.indexes)))
    return on_cuda(device.indexes[place], device.codec, options, sharing)
