"""The work on a folder that is prepared: make the shards that are not there, and close the run when all are."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from augpipe.core.errors import RunError, UsageError
from augpipe.formats.base import Dataset
from augpipe.pixels.cuda.select import Device
from augpipe.pixels.factory import processes_for
from augpipe.recipe.compile import Recipe
from augpipe.run.config import Execution, RunOptions
from augpipe.run.dry_run import bytes_of_samples, remark_on_space
from augpipe.run.engine.local import Engine, InProcess, LocalProcesses
from augpipe.run.folder.inventory import Inventory, Record, take_stock
from augpipe.run.folder.lock import WHOLE
from augpipe.run.folder.manifest import Limits, Summary, manifest_of, summary_of
from augpipe.run.folder.state import RunState, shard_name
from augpipe.run.folder.store import Store
from augpipe.run.job import Job, Task, plan_tasks
from augpipe.run.source_guard import roots_of

_FEW = 3


@dataclass
class Watcher:
    """What a caller may be told while a run goes on; every method may be left as it is.

    ``remarks`` are sentences about the source, the recipe and the folder, set before :meth:`started`.
    """

    remarks: list[str] = field(default_factory=list)

    def started(self, dataset: Dataset, done: int, pictures: int) -> None:
        """The source is looked through and work begins on so many pictures, of which some are done already."""

    def progress(self, pictures: int, rejected: int) -> None:
        """So many more pictures are done, with so many samples rejected; fewer than none if work was lost."""

    def trouble(self, sentence: str) -> None:
        """Something that the run goes on after, such as a worker that was killed."""


@dataclass(frozen=True)
class Opened:
    """A source and a recipe that suit each other, and what of it decides the bytes."""

    source: str
    dataset: Dataset
    recipe: Recipe
    options: RunOptions
    config: dict[str, Any]


def engine_for(execution: Execution, device: Device) -> Engine:
    """What carries out the tasks.

    Raises:
        UsageError: there are fewer workers than devices.
    """
    devices = len(device.indexes)
    if execution.workers is not None and execution.workers < devices > 1:
        raise UsageError(
            f"--workers {execution.workers}: {devices} devices need a process each; "
            f"expected {devices} or more, or one device (--device cuda:{device.indexes[0]})"
        )
    if execution.workers == 0:
        return InProcess()
    return LocalProcesses(execution.workers or processes_for(device), execution.patience)


def _root_of(dataset: Dataset) -> list[Path]:
    return [dataset.root.resolve()] if isinstance(dataset.root, Path) else []


def _never(record: Record) -> bool:
    return False


@dataclass(frozen=True)
class PendingWork:
    """What is to be done in a folder that is held: ``tasks`` of the run ``state``.

    ``again`` says of the record of a shard that is there whether it is made again all the same, ``missing`` whether
    shards without a record are made.
    """

    run: Opened
    store: Store
    state: RunState
    tasks: range
    execution: Execution
    watcher: Watcher
    again: Callable[[Record], bool] = _never
    command: str = "augment"
    missing: bool = True

    def done(self, engine: Engine, limits: Limits) -> Summary:
        """Make the shards that are not there, and close the run if none is missing.

        Raises:
            RunError: it cannot go on; the same call goes on later.
        """
        started = time.monotonic()
        stock = take_stock(self.store.folder, self.state, check=self.execution.check)
        wanted = [i for i in _each(self.tasks, self.state) if self._is_wanted(i, stock)]
        if not wanted and self.store.is_finished():
            return summary_of(self.store.folder, self.state, stock.done, limits, already_done=True)
        if wanted:
            self._reopen(stock)
            self._make(engine, stock, frozenset(wanted))
        stock = self._all_there() or take_stock(self.store.folder, self.state)
        self._require_made(stock, wanted)
        seconds = time.monotonic() - started
        finished = len(stock.done) == self.state.shards
        if finished and not self.store.is_finished():
            close(self.store, self.state, stock, seconds, self.command)
        return summary_of(
            self.store.folder, self.state, stock.done, limits, seconds=seconds, made=wanted, finished=finished
        )

    def _is_wanted(self, index: int, stock: Inventory) -> bool:
        if index in stock.done:
            return self.again(stock.done[index])
        return self.missing or index in stock.broken

    def _require_made(self, stock: Inventory, wanted: Sequence[int]) -> None:
        """Make sure that all of this call's shards are there, as a disk that fails may not give back what it took.

        Raises:
            RunError: naming the first that is not.
        """
        asked = _each(self.tasks, self.state) if self.missing else wanted
        missing = [index for index in asked if index not in stock.done]
        if missing:
            why = stock.broken.get(missing[0], "its record is gone")
            raise RunError(
                f"{self.store.folder}: {shard_name(self.state.prefix, missing[0])} was made, but {why}\n"
                "what is finished is kept; see whether the disk is sound, and run the same command to go on"
            )

    def _reopen(self, stock: Inventory) -> None:
        """Make the run unfinished, with what its run.json has to say now."""
        self.watcher.remarks += list(self._remarks(stock))
        with self.store.preparing():
            before = self.store.state()
            if self.store.is_finished():
                self.store.reopen()
            if before != self.state:
                self.store.begin(self.state)
        self.store.clean(self.state, self.tasks, {*stock.done, *stock.broken})

    def _remarks(self, stock: Inventory) -> Iterator[str]:
        """On shards that have a record and are made again all the same."""
        broken = [index for index in stock.broken if index in self.tasks]
        for index in broken[:_FEW]:
            yield f"{shard_name(self.state.prefix, index)}: {stock.broken[index]}; it is made again"
        if len(broken) > _FEW:
            yield f"{len(broken) - _FEW} more shards are made again for such reasons"

    def _make(self, engine: Engine, stock: Inventory, wanted: frozenset[int]) -> None:
        run, state = self.run, self.state
        entries = run.dataset.entries
        size = int(state.config["sources_per_shard"])

        def pictures(index: int) -> int:
            return min(size, len(entries) - index % state.shards_a_part * size)

        to_do = sum(map(pictures, wanted))
        samples = sum(pictures(i) * len(state.parts[i // state.shards_a_part].copies) for i in wanted)
        needed = bytes_of_samples(run.dataset, run.recipe, run.options.seed, run.options.picture, samples)
        remark = remark_on_space(self.store.folder, needed)
        self.watcher.remarks += [remark] if remark else []
        total = sum(map(pictures, _each(self.tasks, state)))
        self.watcher.started(run.dataset, total - to_do, total)
        tasks = map(self._replacing, plan_tasks(state, entries, wanted.__contains__))
        engine.run(self._job(), tasks, self.watcher)

    def _replacing(self, task: Task) -> Task:
        """The task with the record that is there now, which is not that of another attempt at it."""
        try:
            data = (self.store.folder / f"{task.name}.json").read_bytes()
        except OSError:
            return task
        return replace(task, replaces=hashlib.sha256(data).hexdigest())

    def _all_there(self) -> Inventory | None:
        """What there is, if the run can be closed: one of several that share the folder does so, the last."""
        if self.tasks != WHOLE:
            self.store.let_go()
            if not self.store.taken():
                return None
        return take_stock(self.store.folder, self.state)

    def _job(self) -> Job:
        run, options = self.run, self.run.options
        versions: Mapping[str, str] | None = run.config["versions"]
        return Job(
            folder=self.store.folder.resolve(),
            recipe=run.recipe,
            reader=run.dataset.reader,
            categories=run.dataset.categories,
            seed=options.seed,
            split=options.source.split,
            picture=options.picture,
            exif=options.source.exif,
            void=options.source.void,
            max_pixels=options.max_pixels,
            keep_truncated=options.truncated == "keep",
            strict=options.strict,
            roots=(*roots_of(run.source, options.source), *_root_of(run.dataset)),
            device=options.device,
            versions=None if versions == self.state.config.get("versions") else versions,
        )


def _each(tasks: range, state: RunState) -> range:
    """The tasks that there are."""
    return range(max(tasks.start, 0), min(tasks.stop, state.shards))


def close(store: Store, state: RunState, stock: Inventory, seconds: float, command: str) -> None:
    """Write rejects and manifest, which makes the run finished.

    Raises:
        RunError: samples are missing from the sum, or it cannot be written.
    """
    records = [stock.done[index] for index in range(state.shards)]
    manifest = manifest_of(store.folder, state, records, seconds, command)
    store.write_rejects(row for record in records for row in record["rejects"])
    store.finish(manifest)
