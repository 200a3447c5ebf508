"""The work on a prepared folder: make the shards that are missing, and close the run when all are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from augpipe.core.errors import RunError
from augpipe.core.paths import real_path
from augpipe.formats.base import Dataset
from augpipe.recipe.nodes import Recipe
from augpipe.run.config import Execution, RunOptions
from augpipe.run.dry_run import bytes_of_samples, remark_on_space
from augpipe.run.engine.base import Engine, Listener
from augpipe.run.folder.books import faults_of_books
from augpipe.run.folder.inventory import Inventory, Record, take_stock
from augpipe.run.folder.local import LocalStore
from augpipe.run.folder.lock import WHOLE
from augpipe.run.folder.manifest import Limits, Summary, manifest_of, summary_of
from augpipe.run.folder.run_folder import RunFolder, sha256_of
from augpipe.run.folder.state import RunState, shard_name
from augpipe.run.job import Job, Task, plan_tasks
from augpipe.run.source_guard import roots_of
from augpipe.run.source_state import SourceChanges, source_changes

_MOST_REMARKS = 3


@dataclass
class Watcher(Listener):
    """The listener of a caller; each method may be overridden.

    ``remarks`` are sentences about the source, the recipe and the folder, complete when :meth:`started` is called.
    """

    remarks: list[str] = field(default_factory=list)

    def started(self, dataset: Dataset, done: int, pictures: int) -> None:
        """Work begins on so many pictures, of which some are done already."""


@dataclass(frozen=True)
class RunInput:
    """A source and a recipe that suit each other, the options and the configuration."""

    source: str
    dataset: Dataset
    recipe: Recipe
    options: RunOptions
    config: dict[str, Any]


def _keep(record: Record) -> bool:
    return False


@dataclass(frozen=True)
class PendingWork:
    """The work to do in a locked folder.

    Attributes:
        input: what the shards are made of.
        output: the locked folder.
        state: the run.
        tasks: numbers of the tasks to consider.
        execution: how to carry them out.
        watcher: receives progress and remarks.
        again: whether to make a shard again, by its valid record.
        command: for the manifest.
        missing: whether to make shards without a record.
    """

    input: RunInput
    output: RunFolder
    state: RunState
    tasks: range
    execution: Execution
    watcher: Watcher
    again: Callable[[Record], bool] = _keep
    command: str = "augment"
    missing: bool = True

    def execute(self, engine: Engine, limits: Limits) -> Summary:
        """Make the shards that are missing, and close the run if all are there.

        Raises:
            RunError: it cannot go on; the same call goes on later.
        """
        started, store, state = monotonic(), self.output.store, self.state
        stock = take_stock(store, state, check=self.execution.check)
        wanted = [i for i in _existing(self.tasks, state) if self._is_wanted(i, stock)]
        faults = [] if wanted else faults_of_books(self.output, stock)
        if not wanted and not faults and self.output.is_finished():
            return summary_of(store.folder, state, stock.done, limits, already_done=True)
        for fault in faults:
            self.watcher.trouble(f"{fault}; it is made again")
        if wanted or faults:
            self._reopen(stock)
        if wanted:
            self._make(engine, stock, frozenset(wanted))
        self._lock_all()
        stock = take_stock(store, state)
        self._require_made(stock, wanted)
        seconds = monotonic() - started
        finished = len(stock.done) == state.shards
        if finished and not self.output.is_finished():
            close(self.output, state, stock, seconds, self.command)
        summary = summary_of(store.folder, state, stock.done, limits, seconds=seconds, made=wanted, finished=finished)
        changes = source_changes(stock.done, self.input.dataset.entries, store)
        return replace(summary, failed=_changed_meanwhile(store.folder, changes)) if changes else summary

    def _is_wanted(self, index: int, stock: Inventory) -> bool:
        if index in stock.done:
            return self.again(stock.done[index])
        return self.missing or index in stock.broken

    def _require_made(self, stock: Inventory, wanted: Sequence[int]) -> None:
        """Raise :class:`RunError` if a shard of this call is not there: a failing disk may lose what it took."""
        asked = _existing(self.tasks, self.state) if self.missing else wanted
        missing = [index for index in asked if index not in stock.done]
        if missing:
            why = stock.broken.get(missing[0], "its record is gone")
            store = self.output.store
            check = (
                "see whether the disk is sound"
                if isinstance(store, LocalStore)
                else "see whether the engine's processes reach the store"
            )
            raise RunError(
                f"{store.folder}: {shard_name(self.state.prefix, missing[0])} was made, but {why}\n"
                f"what is finished is kept; {check}, and run the same command to go on"
            )

    def _reopen(self, stock: Inventory) -> None:
        """Make the run unfinished, with the present run.json."""
        self.watcher.remarks += self._remarks(stock)
        with self.output.store.preparing():
            before = self.output.state()
            self.output.reopen()
            if before != self.state:
                self.output.begin(self.state)
        self.output.clean(self.state, self.tasks, {*stock.done, *stock.broken})

    def _remarks(self, stock: Inventory) -> Iterator[str]:
        """Which shards have a record and are made again all the same."""
        broken = [index for index in stock.broken if index in self.tasks]
        for index in broken[:_MOST_REMARKS]:
            yield f"{shard_name(self.state.prefix, index)}: {stock.broken[index]}; it is made again"
        if len(broken) > _MOST_REMARKS:
            yield f"{len(broken) - _MOST_REMARKS} more shards are made again for such reasons"

    def _make(self, engine: Engine, stock: Inventory, wanted: frozenset[int]) -> None:
        dataset, state, options = self.input.dataset, self.state, self.input.options
        entries, size = dataset.entries, int(state.config["sources_per_shard"])

        def pictures(index: int) -> int:
            return min(size, len(entries) - index % state.shards_a_part * size)

        samples = sum(pictures(i) * len(state.parts[i // state.shards_a_part].copies) for i in wanted)
        needed = bytes_of_samples(dataset, self.input.recipe, options.seed, options.picture, samples)
        remark = remark_on_space(self.output.store, needed)
        self.watcher.remarks += [remark] if remark else []
        total = sum(map(pictures, _existing(self.tasks, state)))
        self.watcher.started(dataset, total - sum(map(pictures, wanted)), total)
        tasks = map(self._with_replaced, plan_tasks(state, entries, wanted.__contains__))
        engine.run(self._job(), tasks, self.watcher)

    def _with_replaced(self, task: Task) -> Task:
        """The task with the record that is there now, which is not that of another attempt at it."""
        try:
            return replace(task, replaces=sha256_of(self.output.store, f"{task.name}.json"))
        except OSError:
            return task

    def _lock_all(self) -> None:
        """Lock all tasks, to close the run, if this is the last of several runs that share the folder."""
        if self.tasks != WHOLE:
            self.output.store.unlock()
            self.output.try_lock()

    def _job(self) -> Job:
        dataset, options = self.input.dataset, self.input.options
        versions: Mapping[str, str] | None = self.input.config["versions"]
        root = [real_path(dataset.root)] if isinstance(dataset.root, Path) else []
        return Job(
            store=self.output.store,
            recipe=self.input.recipe,
            reader=dataset.reader,
            categories=dataset.categories,
            seed=options.seed,
            split=options.source.split,
            picture=options.picture,
            exif=options.source.exif,
            void=options.source.void,
            max_pixels=options.max_pixels,
            keep_truncated=options.truncated == "keep",
            strict=options.strict,
            reading=options.reading,
            roots=(*roots_of(self.input.source, options.source), *root),
            device=options.device,
            versions=None if versions == self.state.config.get("versions") else versions,
        )


def _changed_meanwhile(folder: Path | str, changes: SourceChanges) -> str:
    return (
        f"the source has changed while the run was at work: {changes.told}; the shards have it as it was read; "
        f"'augpipe retry {folder} --all' takes it up"
    )


def _existing(tasks: range, state: RunState) -> range:
    return range(max(tasks.start, 0), min(tasks.stop, state.shards))


def close(output: RunFolder, state: RunState, stock: Inventory, seconds: float, command: str) -> None:
    """Write rejects and manifest, which makes the run finished.

    Raises:
        RunError: samples are missing from the sum, or it cannot be written.
    """
    records = [stock.done[index] for index in range(state.shards)]
    manifest = manifest_of(output.store.folder, state, records, seconds, command)
    output.finish(manifest, (row for record in records for row in record["rejects"]))
