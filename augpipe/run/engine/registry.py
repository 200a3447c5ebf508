"""The engines by name. A further engine is a class (:mod:`augpipe.run.engine.base`) and a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from augpipe.core.errors import UsageError, one_line
from augpipe.pixels.cuda.select import Device
from augpipe.pixels.factory import processes_for
from augpipe.run.config import Execution
from augpipe.run.engine.base import Engine
from augpipe.run.engine.local import InProcess, LocalProcesses


def _local(execution: Execution, device: Device) -> Engine:
    devices = len(device.indexes)
    if execution.workers is not None and execution.workers < devices > 1:
        raise UsageError(
            f"--workers {execution.workers}: {devices} devices need a process each; "
            f"expected {devices} or more, or one device (--device cuda:{device.indexes[0]})"
        )
    if execution.workers == 0:
        return InProcess()
    may_fork = execution.workers is None and device.kind == "cpu"
    return LocalProcesses(execution.workers or processes_for(device), execution.patience, may_fork=may_fork)


ENGINES: Mapping[str, Callable[[Execution, Device], Engine]] = {"local": _local}
"""Name → what makes the engine. ``local``: processes on this machine, or this process with 0 workers."""


def engine_for(engine: Engine | str, execution: Execution, device: Device) -> Engine:
    """The engine of that name for a run; an engine is returned as it is.

    Raises:
        UsageError: there is none of that name, or there are fewer workers than devices.
    """
    if not isinstance(engine, str):
        return engine
    if engine not in ENGINES:
        raise UsageError(f"engine {one_line(engine, 40)}: expected {' or '.join(ENGINES)}, or an object")
    return ENGINES[engine](execution, device)
