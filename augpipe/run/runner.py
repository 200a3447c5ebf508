"""The work on a prepared folder: make the shards that are missing, and close the run when all are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from augpipe.core.errors import RunError
from augpipe.core.paths import real_path
from augpipe.core.progress import Progress
from augpipe.formats.base import Dataset
from augpipe.formats.webdataset.schema import REJECTS
from augpipe.recipe.nodes import Recipe
from augpipe.run.config import Execution, RunOptions
from augpipe.run.dry_run import bytes_of_samples, remark_on_space
from augpipe.run.engine.base import Engine, Listener
from augpipe.run.folder.books import faults_of_books
from augpipe.run.folder.inventory import Inventory, Record, take_stock
from augpipe.run.folder.local import LocalStore
from augpipe.run.folder.lock import WHOLE
from augpipe.run.folder.manifest import Limits, Summary, manifest_of, summary_of
from augpipe.run.folder.overlap import remarks_on_overlap
from augpipe.run.folder.run_folder import RunFolder, place_of, sha256_of
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import Store
from augpipe.run.job import Job, Task, plan_tasks
from augpipe.run.outputs import Outputs, outputs_of
from augpipe.run.source_guard import roots_of
from augpipe.run.source_state import SourceChanges, source_changes

_MOST_REMARKS = 3


@dataclass
class Watcher(Listener):
    """The listener of a caller; each method may be overridden.

    ``remarks`` are sentences about the source, the recipe and the folder, complete when :meth:`started` is called.
    ``writing`` receives the progress of a dataset that is written of finished shards.
    """

    remarks: list[str] = field(default_factory=list)
    writing: Progress = field(default_factory=Progress)

    def opened(self, dataset: Dataset) -> None:
        """The source is known, and nothing was written; a :class:`UsageError` refuses it."""

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
            return self._summary(stock, limits, already_done=True)
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
            for remark in remarks_on_overlap(state, stock.done):
                self.watcher.trouble(remark)
        summary = self._summary(stock, limits, seconds=seconds, made=wanted, finished=finished)
        changes = source_changes(stock.done, self.input.dataset.entries, store)
        return replace(summary, failed=_changed_meanwhile(store.folder, changes)) if changes else summary

    def _summary(self, stock: Inventory, limits: Limits, **how: Any) -> Summary:
        store = self.output.store
        return summary_of(store.folder, self.state, stock.done, limits, rejects=place_of(store, REJECTS), **how)

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
                f"{store.folder}: {self.state.name_of(missing[0])} was made, but {why}\n"
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
            yield f"{self.state.name_of(index)}: {stock.broken[index]}; it is made again"
        if len(broken) > _MOST_REMARKS:
            yield f"{len(broken) - _MOST_REMARKS} more shards are made again for such reasons"

    def _make(self, engine: Engine, stock: Inventory, wanted: frozenset[int]) -> None:
        dataset, state, options = self.input.dataset, self.state, self.input.options
        size = int(state.config["sources_per_shard"])
        parts = {index: part for part in state.parts for index in part.tasks}

        def pictures(index: int) -> int:
            return min(size, parts[index].pictures - (index - parts[index].start) * size)

        passed = {name for name in state.splits if name not in state.augmented}
        samples = sum(pictures(i) * len(parts[i].copies) for i in wanted if parts[i].split not in passed)
        needed = bytes_of_samples(dataset, self.input.recipe, options.seed, options.picture, samples)
        needed += sum(entry.size for entry in dataset.entries if entry.split in passed)
        remark = remark_on_space(self.output.store, needed)
        self.watcher.remarks += [remark] if remark else []
        total = sum(map(pictures, _existing(self.tasks, state)))
        self.watcher.started(dataset, total - sum(map(pictures, wanted)), total)
        tasks = map(self._with_replaced, plan_tasks(state, dataset.entries, wanted.__contains__))
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
        versions, made_of = self.input.config["versions"], self.input
        outputs = outputs_of(made_of.recipe, made_of.options, made_of.dataset.categories)
        return job_of(
            made_of, self.output.store, outputs, None if versions == self.state.config.get("versions") else versions
        )


def job_of(made_of: RunInput, store: Store, outputs: Outputs, versions: Mapping[str, str] | None = None) -> Job:
    """What workers need to know to make ``outputs`` of a source; ``versions`` are those to put into their records."""
    dataset, options = made_of.dataset, made_of.options
    root = [real_path(dataset.root)] if isinstance(dataset.root, Path) else []
    return Job(
        store=store,
        recipe=made_of.recipe,
        outputs=outputs,
        reader=dataset.reader,
        categories=dataset.categories,
        seed=options.seed,
        picture=options.picture,
        exif=options.source.exif,
        void=options.source.void,
        max_pixels=options.max_pixels,
        keep_truncated=options.truncated == "keep",
        strict=options.strict,
        reading=options.reading,
        roots=(*roots_of(made_of.source, options.source), *root),
        device=options.device,
        versions=versions,
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
