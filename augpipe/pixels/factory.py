"""The backend for a device, made once a process, since a device takes a second or more to start.

Several processes share a device and its memory: reading, labels and records take half a millisecond of CPU a sample or
more, so one process would be busy before the device is.
"""

from __future__ import annotations

from dataclasses import dataclass

from augpipe.core.machine import cores, memory, processes_that_fit
from augpipe.pixels.backend import Backend, BackendOptions
from augpipe.pixels.cuda.select import Device

_PROCESSES = 4  # on a device by default; not measured on a device yet


@dataclass(frozen=True)
class WorkerSlot:
    """One of the processes of a run: ``number`` of ``count``, dealt to its devices in turn."""

    number: int = 0
    count: int = 1


def processes_for(device: Device) -> int:
    """Number of processes that use a device, or all cores, fully."""
    count = cores()
    if device.kind == "cpu":
        return processes_that_fit(count)
    each = min(_PROCESSES, max(1, count // len(device.indexes)))
    return each * len(device.indexes)


def remark_on_processes(device: Device) -> str | None:
    """A remark for the user if memory and not cores limits the number of processes."""
    count, wanted = processes_for(device), cores()
    if device.kind != "cpu" or count == wanted:
        return None
    allowed = f"{memory() / 2**30:.1f} GiB"
    return f"{count} worker{'s' * (count > 1)} for {wanted} cores, as memory is {allowed}; --workers N takes others"


def backend_for(device: Device, options: BackendOptions, slot: WorkerSlot | None = None) -> Backend:
    """The backend of this process.

    Raises:
        DeviceError: the device does not work any more.
    """
    if device.kind == "cpu":
        from augpipe.pixels.cpu import CpuBackend

        return CpuBackend(options)
    from augpipe.pixels.cuda.backend import on_cuda

    slot = slot or WorkerSlot()
    place = slot.number % len(device.indexes)
    sharing = len(range(place, slot.count, len(device.indexes)))
    return on_cuda(device.indexes[place], device.codec, options, sharing)
