"""Make shards with rejects again, and close a run whose shards several machines have made.

``retry`` makes whole shards again: those with a transient reject, or with any reject after the user has mended files. A
shard is a pure function of its sources, so the new ones have the bytes of a run without the trouble. Mended files
change the fingerprint of the source, and so the digest in every record; where a shard's own sources are the same, only
its record is written again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from augpipe.core.errors import UsageError, one_line, refusals_told
from augpipe.core.paths import StrPath
from augpipe.formats.base import fingerprint_of
from augpipe.formats.webdataset.schema import REJECTS
from augpipe.run.augment import continued, open_run
from augpipe.run.config import Execution, patient
from augpipe.run.devices import kept_device
from augpipe.run.engine.base import Engine
from augpipe.run.engine.registry import engine_for
from augpipe.run.folder.books import faults_of_books
from augpipe.run.folder.inventory import Inventory, Record, take_stock
from augpipe.run.folder.lock import WHOLE
from augpipe.run.folder.manifest import Limits, Summary, summary_of
from augpipe.run.folder.overlap import remarks_on_overlap
from augpipe.run.folder.run_folder import RunFolder, place_of, put_json
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import Store, open_store
from augpipe.run.job import Task, plan_tasks
from augpipe.run.request import read_request
from augpipe.run.runner import PendingWork, RunInput, Watcher, close
from augpipe.run.source_guard import require_apart, roots_of
from augpipe.run.source_state import UNCHANGED, source_changes


def retry(
    folder: StrPath | Store,
    *,
    everything: bool = False,
    source: StrPath | None = None,
    engine: Engine | str = "local",
    execution: Execution | None = None,
    limits: Limits | None = None,
    watcher: Watcher | None = None,
) -> Summary:
    """Make the shards again that have lost pictures for transient reasons.

    Args:
        folder: of a run, finished or not.
        everything: all shards that have lost pictures, after files were mended; the source may have changed.
        source: where the source is now, if it was moved.
        engine: see :func:`augpipe.augment`, as for the rest.
        execution: how it is carried out.
        limits: when a complete run has still failed.
        watcher: receives progress and remarks.

    Raises:
        UsageError: there is no run, or its source is another one now.
        RunError: work had begun and cannot go on; the same call goes on later.
    """
    output, source = RunFolder(open_store(folder)), None if source is None else os.fspath(source)
    execution, limits, watcher = execution or Execution(), limits or Limits(), watcher or Watcher()
    execution.require_possible()
    limits.check()
    store = output.store
    with refusals_told(store.folder):
        state = _run_in(output)
        device = kept_device(state.config, store.folder)
        place, recipe, options = read_request(state.config, state.request, source, device)
        require_apart(roots_of(place, options.source), store.folder)
        made_of = open_run(place, recipe, options)
        watcher.opened(made_of.dataset)
        watcher.remarks = list(made_of.dataset.remarks)
        again = _has_lost if everything else _has_transient
        # Before the folder is locked, since it may take long.
        records = take_stock(store, state).done
        whole = len(records) == state.shards
        changes = source_changes(records, made_of.dataset.entries, store, contents=again, whole=whole)
        # The copies are those of the folder, so nothing is added; but they may be those of several parts.
        as_it_is = replace(execution, extend=True)
        with output:
            with store.preparing():
                output.lock()
                before = _run_in(output)
                config = _with_fingerprints(before.config, made_of.config)
                changed = bool(changes) or config != before.config
                if changed and not everything:
                    what = changes.told if changes else "pictures or labels have changed"
                    way = "--all takes them up" if changes.in_place else "it is another run: choose another DST for it"
                    raise UsageError(f"{place}: {what} since the run; {way}")
                now = replace(before, config=config)
                other = made_of.config["source"]["pictures"] != before.config["source"]["pictures"]
                named = changes if other else UNCHANGED
                state = continued(now, made_of.config, as_it_is, store.folder, shard_size_asked=True, changes=named)
                if changed:
                    watcher.remarks.append(_take_over(output, before, state, made_of, changes.shards))

            def is_wanted(record: Record) -> bool:
                return again(record) or record["task"]["index"] in changes.shards

            # Before a run was closed for the first time, what is missing may be the part of another machine.
            was_closed = output.is_finished() or store.size(REJECTS) >= 0
            work = PendingWork(made_of, output, state, WHOLE, execution, watcher, is_wanted, "retry", was_closed)
            return work.execute(engine_for(engine, patient(execution, options), options.device), limits)


def _run_in(output: RunFolder) -> RunState:
    state = output.state()
    if state is None:
        raise UsageError(f"{one_line(output.store.folder)}: holds no run of augpipe")
    return state


def _with_fingerprints(config: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with what pictures and labels of the source and its splits are now, not how many there are."""
    out = {**config, "source": {**config["source"], "fingerprint": now["source"]["fingerprint"]}}
    if "splits" in config:
        there = now.get("splits", {})
        out["splits"] = {
            name: {**split, "fingerprint": there[name]["fingerprint"]} if name in there else split
            for name, split in config["splits"].items()
        }
    return out


def _has_lost(record: Record) -> bool:
    return bool(record["rejects"])


def _has_transient(record: Record) -> bool:
    return any(row.get("transient") for row in record["rejects"])


def _take_over(output: RunFolder, before: RunState, state: RunState, made_of: RunInput, changed: frozenset[int]) -> str:
    """Adapt the run to the changed source: shards whose own sources are the same get a record with the new digest.

    Interrupted anywhere, the same call does the rest: records of both digests are taken over, and run.json, which says
    which one counts, is written last. Returns a remark.
    """
    store, entries = output.store, made_of.dataset.entries
    old, new = take_stock(store, before), take_stock(store, state)
    records = {**old.done, **new.done}
    there = plan_tasks(state, entries, lambda index: index in records and index not in changed)
    same = [task for task in there if _is_same(task, records[task.index])]
    output.reopen()
    for task in same:
        put_json(store, f"{task.name}.json", {**records[task.index], "config": task.config})
    output.begin(state)
    return f"the source has changed; {len(same)} of {state.shards} shards are as they would be made now, and stay"


def _is_same(task: Task, record: Mapping[str, Any]) -> bool:
    """Whether a shard was made of its present sources."""
    sources = [entry.key for entry in task.entries]
    then = record["task"]
    return bool(then["sources"] == sources and then.get("fingerprint") == fingerprint_of(task.entries))


def finish(folder: StrPath | Store, limits: Limits | None = None, watcher: Watcher | None = None) -> Summary:
    """Close a run of which all shards are there, as after ``--tasks`` on several machines.

    Of a finished one it makes a manifest or rejects again that are not what the records say, and tells ``watcher``.

    Raises:
        UsageError: there is no run, or a shard is missing.
    """
    output, limits = RunFolder(open_store(folder)), limits or Limits()
    limits.check()
    name = output.store.folder
    with refusals_told(name):
        _run_in(output)
        with output:
            output.lock()
            state = _run_in(output)
            stock = take_stock(output.store, state)
            missing = [index for index in range(state.shards) if index not in stock.done]
            if missing:
                raise UsageError(_missing_shards(name, state, missing, stock))
            faults = faults_of_books(output, stock)
            finished = output.is_finished() and not faults
            if not finished:
                for fault in faults:
                    (watcher or Watcher()).trouble(f"{fault}; it is made again")
                output.reopen()
                output.clean(state, WHOLE, stock.done)
                close(output, state, stock, 0.0, "finish")
                for remark in remarks_on_overlap(state, stock.done):
                    (watcher or Watcher()).trouble(remark)
            rejects = place_of(output.store, REJECTS)
            return summary_of(name, state, stock.done, limits, already_done=finished, rejects=rejects)


def _missing_shards(folder: Path | str, state: RunState, missing: list[int], stock: Inventory) -> str:
    first = state.name_of(missing[0])
    why = stock.broken.get(missing[0], "is not there yet")
    return (
        f"{folder}: {len(missing)} of {state.shards} shards are missing; {first}: {why}\n"
        "copy those of other machines here, with their records; or augment into this folder again, which makes them"
    )
