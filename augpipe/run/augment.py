"""Augment a dataset into a folder of shards: check, plan, run, close.

The same configuration goes on where a run stopped; another one is refused with what differs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augpipe.errors import UsageError
from augpipe.formats import open_dataset
from augpipe.formats.base import Dataset, SourceOptions
from augpipe.formats.tar_index import is_pattern, tar_paths
from augpipe.recipe.model import Recipe
from augpipe.run.config import RunOptions, config_of, differences, digest_of, sources_per_shard
from augpipe.run.engines import Engine, InProcess, LocalProcesses
from augpipe.run.job import Job, plan_tasks
from augpipe.run.keys import require_unique
from augpipe.run.manifest import Limits, Summary, manifest_of, summary_of
from augpipe.run.meeting import met
from augpipe.run.store import Store

__all__ = ["Limits", "RunOptions", "Summary", "Watcher", "augment"]


@dataclass
class Watcher:
    """What a caller may be told while a run goes on; every method may be left as it is.

    ``remarks`` are sentences about the source and the recipe, set before :meth:`started`.
    """

    remarks: list[str] = field(default_factory=list)

    def started(self, dataset: Dataset, done_pictures: int) -> None:
        """The source is indexed and work begins; ``done_pictures`` are finished already."""

    def progress(self, pictures: int, rejected: int) -> None:
        """So many more pictures are done, with so many samples rejected."""


@dataclass(frozen=True)
class _Run:
    """One run that has passed every check."""

    source: str
    dataset: Dataset
    recipe: Recipe
    options: RunOptions
    config: dict[str, Any]
    store: Store


def augment(
    source: str,
    folder: Path,
    recipe: Recipe,
    options: RunOptions,
    *,
    workers: int | None = None,
    limits: Limits | None = None,
    overwrite: bool = False,
    watcher: Watcher | None = None,
) -> Summary:
    """Augment ``source`` into ``folder``.

    Args:
        source: a file, a folder, or a brace pattern of tars.
        folder: where shards, records and the manifest go; made if missing.
        recipe: what may happen to a picture.
        options: everything that decides the bytes.
        workers: processes; ``None`` is one a core, 0 works in this process. Does not change a byte.
        limits: when a complete run has still failed.
        overwrite: delete the run in ``folder`` first.
        watcher: is told how it goes.

    Raises:
        UsageError: the request cannot work; nothing was written.
        RunError: work had begun and cannot go on; the same call goes on later.
    """
    options.check()
    limits, watcher = limits or Limits(), watcher or Watcher()
    limits.check()
    store = Store(folder)
    _require_apart(source, folder, options.source)
    _require_ours(store)
    engine = InProcess() if workers == 0 else LocalProcesses(workers or os.cpu_count() or 1)
    dataset = met(open_dataset(source, options.source), recipe)
    require_unique(entry.key for entry in dataset.entries)
    run = _Run(source, dataset, recipe, options, config_of(dataset, recipe, options), store)
    watcher.remarks = list(dataset.remarks)
    store.lock()
    try:
        seconds = 0.0
        finished = _prepare(run, overwrite)
        if not finished:
            seconds = _work(run, engine, watcher)
        return summary_of(store, seconds, limits, already_done=finished)
    finally:
        store.release()


def _require_apart(source: str, folder: Path, options: SourceOptions) -> None:
    """Neither may lie in the other: writing would change the source, and --overwrite delete it."""
    if not source.strip():
        raise UsageError("SRC is empty; expected a file, a folder, or a pattern of tars")
    dst = folder.resolve()
    named = tar_paths(source) if is_pattern(source) else [Path(source)]
    for path in [*named, *([options.images] if options.images else [])]:
        src = path.resolve()
        if src == dst or src in dst.parents:
            raise UsageError(f"{folder}: lies in the source {path}; choose a DST outside it")
        if dst in src.parents:
            raise UsageError(f"{folder}: holds the source {path}; choose another DST")


def _require_ours(store: Store) -> None:
    if not store.is_empty() and store.run_config() is None:
        raise UsageError(f"{store.folder}: is not empty and holds no run of augpipe; choose another DST")


def _prepare(run: _Run, overwrite: bool) -> bool:
    """Make the folder ready for this configuration; True if its run is finished already."""
    _require_ours(run.store)
    before = run.store.run_config()
    if before is not None and overwrite:
        run.store.clear()
        before = None
    if before is None:
        run.store.begin(run.config, digest_of(run.config))
        return False
    _require_same(run, before)
    return run.store.is_finished()


def _require_same(run: _Run, before: Mapping[str, Any]) -> None:
    changed = differences(before, run.config)
    if changed:
        shown = "; ".join(changed[:3]) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")
        raise UsageError(
            f"{run.store.folder}: holds a run of another configuration ({shown})\n"
            "choose another DST, or --overwrite to delete that run"
        )


def _work(run: _Run, engine: Engine, watcher: Watcher) -> float:
    """Do the tasks that are not done, and close the folder; gives the seconds that it took."""
    started = time.monotonic()
    store, options, entries = run.store, run.options, run.dataset.entries
    store.clean_temporaries()
    done = {name: len(record["task"]["sources"]) for name, record in store.records().items()}
    per_shard = sources_per_shard(options, len(entries))
    tasks = plan_tasks(entries, options.seed, per_shard, options.shard_prefix, frozenset(done))
    watcher.started(run.dataset, sum(done.values()))
    engine.run(_job(run), tasks, watcher.progress)
    seconds = time.monotonic() - started
    manifest = manifest_of(store, run.config, seconds, run.source)
    store.write_rejects(row for record in store.records().values() for row in record["rejects"])
    store.finish(manifest)
    return seconds


def _job(run: _Run) -> Job:
    options = run.options
    return Job(
        folder=run.store.folder.resolve(),
        recipe=run.recipe,
        reader=run.dataset.reader,
        categories=run.dataset.categories,
        seed=options.seed,
        copies=tuple(options.copy_numbers),
        split=options.source.split,
        picture=options.picture,
        exif=options.source.exif,
        void=options.source.void,
        max_pixels=options.max_pixels,
        keep_truncated=options.truncated == "keep",
        strict=options.strict,
        config=digest_of(run.config),
    )
