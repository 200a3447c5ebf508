"""Augment a dataset into a folder of shards: check the request, prepare the folder, do the work.

The same configuration goes on where a run stopped; another one is refused with what differs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from augpipe.core.errors import UsageError, one_line, refusals_told
from augpipe.core.paths import StrPath
from augpipe.formats.base import Dataset
from augpipe.formats.layout.purposes import NONE, shown_split
from augpipe.formats.layout.splits import known_split
from augpipe.formats.registry import open_dataset
from augpipe.formats.significant_bits import found_levels, remark_on
from augpipe.pixels.codec.pixel_reading import levels_of
from augpipe.pixels.factory import remark_on_processes
from augpipe.recipe.load import load
from augpipe.recipe.nodes import Recipe
from augpipe.run.compatibility import checked
from augpipe.run.config import SOURCE_CHANGED, Execution, RunOptions, config_of, differences, patient
from augpipe.run.engine.base import Engine
from augpipe.run.engine.registry import engine_for
from augpipe.run.folder.inventory import take_stock
from augpipe.run.folder.lock import WHOLE
from augpipe.run.folder.manifest import Limits, Summary
from augpipe.run.folder.run_folder import RunFolder
from augpipe.run.folder.samples import require_unique
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import Store, open_store
from augpipe.run.request import request_of
from augpipe.run.runner import PendingWork, RunInput, Watcher
from augpipe.run.source_guard import require_apart, roots_of
from augpipe.run.source_state import UNCHANGED, SourceChanges, source_changes

__all__ = ["Execution", "Limits", "RunOptions", "Summary", "Watcher", "augment", "open_run"]


def augment(
    source: StrPath,
    folder: StrPath | Store,
    recipe: Recipe | StrPath,
    options: RunOptions | None = None,
    *,
    engine: Engine | str = "local",
    execution: Execution | None = None,
    limits: Limits | None = None,
    watcher: Watcher | None = None,
) -> Summary:
    """Augment ``source`` into ``folder``.

    Args:
        source: a file, a folder, an archive, a URL of one, or a brace pattern of tars.
        folder: for shards, records and the manifest: a local folder, made if missing, or a store.
        recipe: what may happen to a picture: a recipe, the name of a shipped one, or a YAML file.
        options: everything else that decides the bytes; one copy a picture with seed 0 if not given.
        engine: what carries out the tasks: the name of an engine, or an engine.
        execution: how it is carried out, which changes no byte.
        limits: when a complete run has still failed.
        watcher: receives progress and remarks.

    Raises:
        UsageError: the request cannot work; nothing was written.
        RunError: work had begun and cannot go on; the same call goes on later.
    """
    source, output = os.fspath(source), RunFolder(open_store(folder))
    recipe = recipe if isinstance(recipe, Recipe) else load(recipe)
    options, execution = options or RunOptions(), execution or Execution()
    limits, watcher = limits or Limits(), watcher or Watcher()
    options.check()
    execution.require_possible()
    limits.check()
    if options.window is not None and recipe.nodes:
        raise UsageError(f"{recipe.name}: windows are cut out without steps; augment the folder that comes of it")
    with refusals_told(output.store.folder):
        require_apart(roots_of(source, options.source), output.store.folder)
        _require_ours(output)
        engine = engine_for(engine, patient(execution, options), options.device)
        if not output.is_finished():
            engine.get_ready()  # while the source is looked through
        if not execution.overwrite and (started := output.state()) is not None:
            options = _with_levels_of(started, options, output.store.folder)
        made_of = open_run(source, recipe, options)
        watcher.opened(made_of.dataset)
        watcher.remarks = [*made_of.dataset.remarks, *_purposes(made_of.dataset, options)]
        if execution.workers is None and (remark := remark_on_processes(options.device)):
            watcher.remarks.append(remark)
        changes = _changes(output, made_of, execution)  # before the folder is locked, since it may take long
        with output:
            with output.store.preparing():
                before = output.state()
                state = _state(before, made_of, execution, output.store.folder, changes)
                tasks = WHOLE if execution.tasks is None else execution.tasks.of(state.shards)
                output.lock(tasks)
                if before is None:
                    _require_ours(output)  # nobody has put anything there meanwhile
                    output.begin(state)
                elif execution.overwrite:
                    output.clear(before)
                    output.begin(state)
                elif state.ends != before.ends:
                    output.reopen()
                    output.begin(state)
            if execution.extend:
                watcher.remarks.append(
                    f"copies from {state.ends[-2] if len(state.ends) > 1 else 0} on have shards of their own; "
                    f"the samples are those of one run with --copies {state.ends[-1]}, the shards are not"
                )
            return PendingWork(made_of, output, state, tasks, execution, watcher).execute(engine, limits)


def _purposes(dataset: Dataset, options: RunOptions) -> list[str]:
    """A remark on what becomes of each split, if there are any."""
    splits = dataset.splits
    if dataset.options.split is not None or set(splits) == {""}:
        return []
    augmented = options.augmented(splits)
    made = f"× {options.copies} augmented{' and as they are' if options.originals else ''}"
    if options.window is not None:
        made = "cut into windows"
    elif options.copies == 0:
        made = "as they are"
    parts = [f"{shown_split(name)} {splits[name]:,} {made}" for name in augmented]
    passed = [name for name in splits if name not in augmented]
    parts += [f"{shown_split(name)} {splits[name]:,} passed through" for name in passed]
    unsure = [name for name in passed if known_split(name) is None]
    way = f" (--augment-split {one_line(unsure[0], 40) or NONE} augments them, too)" if unsure else ""
    return [f"splits: {'; '.join(parts)}{way}"]


def _require_ours(output: RunFolder) -> None:
    if not output.is_empty() and output.state() is None:
        raise UsageError(f"{output.store.folder}: is not empty and holds no run of augpipe; choose another DST")


def _changes(output: RunFolder, made_of: RunInput, execution: Execution) -> SourceChanges:
    """What has become of the sources of the shards that are there."""
    before = output.state()
    if before is None or execution.overwrite:
        return UNCHANGED
    records, entries = take_stock(output.store, before).done, made_of.dataset.entries
    whole = len(records) == before.shards
    return source_changes(records, entries, output.store, contents=lambda record: execution.check, whole=whole)


def _state(
    before: RunState | None, made_of: RunInput, execution: Execution, folder: Path | str, changes: SourceChanges
) -> RunState:
    """The run that the folder is to hold."""
    if before is None or execution.overwrite:
        if execution.extend:
            raise UsageError(f"{folder}: holds no run that --extend could add copies to; use --copies")
        return begun(made_of.config, request_of(made_of.source, made_of.recipe, made_of.options.source))
    asked = made_of.options.sources_per_shard is not None
    return continued(before, made_of.config, execution, folder, shard_size_asked=asked, changes=changes)


def open_run(source: str, recipe: Recipe, options: RunOptions) -> RunInput:
    """Index the source, check that the recipe suits it, and find the range of its samples where that is not given.

    Raises:
        UsageError: it cannot be read, or the recipe does not suit it.
    """
    dataset = checked(open_dataset(source, options.source), recipe)
    require_unique(entry.key for entry in dataset.entries)
    if options.reading.levels is None:
        levels = found_levels(source, dataset, options.reading, options.max_pixels)
        options = _with_levels(options, levels)
        if remark := remark_on(levels):
            dataset = replace(dataset, remarks=(*dataset.remarks, remark))
    return RunInput(source, dataset, recipe, options, config_of(dataset, recipe, options))


def _with_levels(options: RunOptions, levels: tuple[int, int]) -> RunOptions:
    return replace(options, reading=replace(options.reading, levels=levels))


def _with_levels_of(state: RunState, options: RunOptions, folder: Path | str) -> RunOptions:
    """The options with the range of 16-bit samples that a run has found; without one it took all 16 bits."""
    if options.reading.levels is not None:
        return options
    try:
        return _with_levels(options, levels_of(state.config["picture"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{folder}/run.json: picture is not as docs/format.md has it; choose another DST, or remove the folder"
        ) from error


# --- resuming ---------------------------------------------------------------------------------------------------------


_OF_PARTS = ("copies:", "sources_per_shard:")  # where an extended run differs from one run with as many copies


def begun(config: Mapping[str, Any], request: Mapping[str, Any]) -> RunState:
    """A new run."""
    return RunState(config, (config["copies"],), request)


def continued(
    before: RunState,
    config: Mapping[str, Any],
    how: Execution,
    folder: Path | str,
    *,
    shard_size_asked: bool,
    changes: SourceChanges = UNCHANGED,
) -> RunState:
    """The run in ``folder`` as it goes on.

    Args:
        before: the run as it is.
        config: the configuration that is asked for.
        how: may ask for more copies, or accept other versions.
        folder: named in errors.
        shard_size_asked: whether the user gave the size of shards in ``config``.
        changes: of the sources of its shards.

    Raises:
        UsageError: it is a run of another configuration.
    """
    state = before
    wanted = dict(config)
    if how.extend:
        if not shard_size_asked:
            wanted["sources_per_shard"] = before.config["sources_per_shard"]
        if wanted["copies"] < before.config["copies"]:
            have = before.config["copies"]
            raise UsageError(f"{folder}: has {have} copies already; --extend expects {have} or more")
        compared = {**before.config, "copies": wanted["copies"]}
    else:
        compared = dict(before.config)
    if compared.get("versions") != wanted["versions"] and (how.accept_version or wanted["versions"] in before.accepted):
        if wanted["versions"] not in before.accepted:
            state = replace(state, accepted=(*state.accepted, wanted["versions"]))
        wanted["versions"] = compared.get("versions")
    changed = differences(compared, wanted)
    if changes:
        others = [change for change in changed if change != SOURCE_CHANGED]
        if changes.in_place and not others:
            raise _other_source(folder, changes)
        changed = [f"source: {changes.told}", *others]
    if len(before.ends) > 1 and not how.extend and all(c.startswith(_OF_PARTS) for c in changed):
        raise UsageError(
            f"{folder}: holds a run that was extended to {before.ends[-1]} copies, which are not those of one run\n"
            f"--extend {before.ends[-1]} goes on with it; or choose another DST"
        )
    if changed:
        raise _other(folder, changed, only_versions=all(c.startswith("versions.") for c in changed))
    return state.extended(wanted) if wanted["copies"] > before.config["copies"] else state


def _other_source(folder: Path | str, changes: SourceChanges) -> UsageError:
    return UsageError(
        f"{folder}: its source is not what it was made of: {changes.told}\n"
        f"--overwrite makes all of it anew, 'augpipe retry {folder} --all' what has changed; or choose another DST"
    )


def _other(folder: Path | str, changed: list[str], *, only_versions: bool) -> UsageError:
    shown = "; ".join(changed[:3]) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")
    if only_versions:
        return UsageError(
            f"{folder}: was begun by other versions ({shown})\n"
            "--accept-version goes on with these, and the folder is then not the same bytes as either would give"
        )
    return UsageError(
        f"{folder}: holds a run of another configuration ({shown})\n"
        "choose another DST, or --overwrite to delete that run"
    )
