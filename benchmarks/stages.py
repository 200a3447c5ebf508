"""Where the time of a run goes: clocks around the functions that a shard is made by, each without those inside it.

They count processor time, so waiting for a disk is not in it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from contest import WORKLOADS

from augpipe.core.plan import Step
from augpipe.pixels import cpu
from augpipe.recipe.load import load
from augpipe.run import task
from augpipe.run.augment import Execution, RunOptions, augment

COPIES = 4
REST = "everything else"


class Clocks:
    """Seconds by stage; time inside another stage is that one's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[str] = []
        self._since = 0.0

    def _turn(self) -> None:
        now = time.process_time()
        if self._inside:
            self.seconds[self._inside[-1]] += now - self._since
        self._since = now

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Time that belongs to a stage."""
        self._turn()
        self._inside.append(stage)
        try:
            yield
        finally:
            self._turn()
            self._inside.pop()

    def around(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function with a clock around it."""

        def clocked(*args: Any, **kwargs: Any) -> Any:
            with self.of(stage):
                return function(*args, **kwargs)

        return clocked


STAGES: tuple[tuple[object, str, str], ...] = (
    (task, "run_task", REST),
    (task, "read_picture", "read the file"),
    (task, "read_header", "header"),
    (task._ShardTask, "_load", "source labels"),
    (task, "draw", "draw"),
    (task, "follow", "move labels"),
    (task, "apply", "move labels"),
    (cpu, "decode", "decode"),
    (cpu, "aimed", "pixels: mean of the source"),
    *((kind, "on_cpu", f"pixels: {kind.__name__.lower()}") for kind in Step.__subclasses__()),
    (cpu, "encode", "encode"),
    (task, "record_of", "record"),
    (task._ShardTask, "_store_samples", "hash, JSON, tar members"),
    (task._ShardTask, "_commit", "tar, flush, commit"),
)


@contextmanager
def clocked(clocks: Clocks) -> Iterator[None]:
    """Clocks in all places; reading goes on in the same thread, so that its time is counted, too."""
    with mock.patch.object(task, "reading_ahead", lambda items, read, _: map(read, items)):
        undo = [mock.patch.object(o, name, clocks.around(getattr(o, name), stage)) for o, name, stage in STAGES]
        for patch in undo:
            patch.start()
        try:
            yield
        finally:
            for patch in undo:
                patch.stop()


def stages_of(
    place: Path, photos: Path | None, pictures: int, size_wh: tuple[int, int] | None = None
) -> dict[str, dict[str, float]]:
    """Workload → stage → milliseconds a sample, of a run in this process with four copies a picture."""
    found = {}
    for workload in WORKLOADS:
        count = max(2, round(pictures * workload.share))
        source = workload.make(place / workload.name, photos, size_wh or workload.size_wh, count)
        for turn in ("warm", "measured"):
            clocks = Clocks()
            with clocked(clocks):
                augment(
                    str(source),
                    place / f"{workload.name}-{turn}",
                    load(str(workload.recipe)),
                    RunOptions(copies=COPIES, seed=7),
                    execution=Execution(workers=0),
                )
        samples = count * COPIES
        found[workload.name] = {stage: 1000 * seconds / samples for stage, seconds in clocks.seconds.items()}
        found[workload.name]["all"] = sum(found[workload.name].values())
    return found
