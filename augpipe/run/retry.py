"""Do again what was rejected, and close a run whose shards several machines have made.

``retry`` makes whole shards again, since that is what a run is made of: those with a reject that may pass, or with any
after the user has mended files. As every shard is a pure function of its sources, the new ones have the bytes that a
run without the trouble would have given. Mended files change the fingerprint of the source, and so the digest in every
record; of shards whose own sources are the same only the record is written again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from augpipe.core.errors import UsageError, one_line, refusals_told
from augpipe.core.paths import StrPath, local_path
from augpipe.formats.base import fingerprint_of
from augpipe.run.augment import continued, open_run
from augpipe.run.config import Execution
from augpipe.run.devices import kept_device
from augpipe.run.folder.inventory import Inventory, Record, take_stock
from augpipe.run.folder.lock import WHOLE
from augpipe.run.folder.manifest import Limits, Summary, summary_of
from augpipe.run.folder.state import RunState, shard_name
from augpipe.run.folder.store import REJECTS, Store, write_json
from augpipe.run.job import Task, plan_tasks
from augpipe.run.request import asked
from augpipe.run.runner import Opened, PendingWork, Watcher, close, engine_for
from augpipe.run.source_guard import require_apart, roots_of


def retry(
    folder: StrPath,
    *,
    everything: bool = False,
    source: StrPath | None = None,
    execution: Execution | None = None,
    limits: Limits | None = None,
    watcher: Watcher | None = None,
) -> Summary:
    """Make the shards again that have lost pictures for reasons that may pass.

    Args:
        folder: of a run, finished or not.
        everything: all shards that have lost pictures, after files were mended; the source may have changed.
        source: where the source is now, if it was moved.
        execution: how it is carried out.
        limits: when a complete run has still failed.
        watcher: is told how it goes.

    Raises:
        UsageError: there is no run, or its source is another one now.
        RunError: work had begun and cannot go on; the same call goes on later.
    """
    folder, source = local_path(folder), None if source is None else os.fspath(source)
    execution, limits, watcher = execution or Execution(), limits or Limits(), watcher or Watcher()
    execution.require_possible()
    limits.check()
    with refusals_told(folder):
        store = Store(folder)
        state = _run_in(store)
        place, recipe, options = asked(state.config, state.request, source, kept_device(state.config, folder))
        require_apart(roots_of(place, options.source), folder)
        run = open_run(place, recipe, options)
        watcher.remarks = list(run.dataset.remarks)
        # The copies are those of the folder, so nothing is added; but they may be those of several parts.
        as_it_is = replace(execution, extend=True)
        with store:
            with store.preparing():
                store.take()
                before = _run_in(store)
                changed = run.config["source"]["fingerprint"] != before.config["source"]["fingerprint"]
                if changed and not everything:
                    raise UsageError(f"{place}: pictures or labels have changed since the run; --all takes them up")
                now = _with_fingerprint(before, run.config["source"]["fingerprint"])
                state = continued(now, run.config, as_it_is, folder, shard_size_asked=True)
                if changed:
                    watcher.remarks.append(_taken_over(store, before, state, run))
            again = _has_lost if everything else _may_pass
            # Before a run was closed for the first time, what is missing may be the part of another machine.
            closed_before = (folder / REJECTS).exists()
            work = PendingWork(run, store, state, WHOLE, execution, watcher, again, "retry", closed_before)
            return work.done(engine_for(execution, options.device), limits)


def _run_in(store: Store) -> RunState:
    state = store.state() if store.folder.is_dir() else None
    if state is None:
        raise UsageError(f"{one_line(store.folder)}: holds no run of augpipe")
    return state


def _with_fingerprint(state: RunState, fingerprint: str) -> RunState:
    return replace(state, config={**state.config, "source": {**state.config["source"], "fingerprint": fingerprint}})


def _has_lost(record: Record) -> bool:
    """Whether pictures are missing from a shard."""
    return bool(record["rejects"])


def _may_pass(record: Record) -> bool:
    """Whether pictures are missing for reasons that may pass."""
    return any(row.get("transient") for row in record["rejects"])


def _taken_over(store: Store, before: RunState, state: RunState, run: Opened) -> str:
    """Make the run that of the changed source: shards whose own sources are the same stay, with a new digest.

    Cut short anywhere, the same call does the rest: a record of either digest is taken over, and run.json, which says
    which one counts, is written last. Gives a remark.
    """
    entries = run.dataset.entries
    old, new = take_stock(store.folder, before), take_stock(store.folder, state)
    records = {**old.done, **new.done}
    same = [task for task in plan_tasks(state, entries, records.__contains__) if _is_same(task, records[task.index])]
    store.reopen()
    for task in same:
        name = shard_name(state.prefix, task.index)
        write_json(store.folder / f"{name}.json", store.work, {**records[task.index], "config": task.config})
    store.begin(state)
    return f"the source has changed; {len(same)} of {state.shards} shards are as they would be made now, and stay"


def _is_same(task: Task, record: Mapping[str, Any]) -> bool:
    """Whether a shard was made of what its sources are now."""
    sources = [entry.key for entry in task.entries]
    then = record["task"]
    return bool(then["sources"] == sources and then.get("fingerprint") == fingerprint_of(task.entries))


def finish(folder: StrPath, limits: Limits | None = None) -> Summary:
    """Close a run of which all shards are there, as after ``--tasks`` on several machines.

    Raises:
        UsageError: there is no run, or a shard is missing.
    """
    folder, limits = local_path(folder), limits or Limits()
    limits.check()
    with refusals_told(folder):
        store = Store(folder)
        _run_in(store)
        with store:
            store.take()
            state = _run_in(store)
            stock = take_stock(folder, state)
            missing = [index for index in range(state.shards) if index not in stock.done]
            if missing:
                raise UsageError(_not_there(folder, state, missing, stock))
            finished = store.is_finished()
            if not finished:
                store.clean(state, WHOLE, stock.done)
                close(store, state, stock, 0.0, "finish")
            return summary_of(folder, state, stock.done, limits, already_done=finished)


def _not_there(folder: Path, state: RunState, missing: list[int], stock: Inventory) -> str:
    first = shard_name(state.prefix, missing[0])
    why = stock.broken.get(missing[0], "is not there yet")
    return (
        f"{folder}: {len(missing)} of {state.shards} shards are missing; {first}: {why}\n"
        "copy those of other machines here, with their records; or augment into this folder again, which makes them"
    )
