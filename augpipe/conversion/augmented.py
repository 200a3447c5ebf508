"""Augment a dataset into a dataset: shards are made in a hidden folder of it, and written in another format.

So a run that stops goes on, rejects are kept and made again, and bytes do not depend on workers, by the code that does
it for shards.
"""

from __future__ import annotations

import os

from augpipe.conversion.dataset_folder import DatasetFolder, HiddenStore
from augpipe.conversion.delivery import DatasetForm, DeliveredDataset, Delivery
from augpipe.conversion.run import target_named
from augpipe.core.errors import UsageError
from augpipe.core.paths import StrPath, local_path
from augpipe.formats.webdataset.dataset_list import is_dataset_folder, read_list
from augpipe.recipe.nodes import Recipe
from augpipe.run.augment import Execution, Limits, RunOptions, Summary, Watcher, augment
from augpipe.run.retry import finish, retry
from augpipe.run.source_guard import require_apart, roots_of


def augment_to(
    source: StrPath,
    folder: StrPath,
    recipe: Recipe | StrPath,
    form: DatasetForm | str,
    options: RunOptions | None = None,
    *,
    execution: Execution | None = None,
    limits: Limits | None = None,
    watcher: Watcher | None = None,
) -> DeliveredDataset:
    """Augment ``source`` into a dataset of another format in ``folder``.

    Args:
        source: as of :func:`augpipe.augment`, which says of the rest, too, what is not said here.
        folder: for the dataset; one that this function has begun is finished.
        recipe: what may happen to a picture.
        form: the format, one of :func:`augpipe.formats.catalogue.targets`, or that and what is asked of it.
        options: everything else that decides the bytes.
        execution: how; its workers write the dataset, too.
        limits: when a complete run has still failed.
        watcher: receives progress and remarks.

    Raises:
        UsageError: the request cannot work, or the format cannot hold the source; nothing was written.
        RunError: work had begun and cannot go on; the same call goes on later.
    """
    form = form if isinstance(form, DatasetForm) else DatasetForm(form)
    target_named(form.to, form.write)
    options, execution = options or RunOptions(), execution or Execution()
    place = DatasetFolder(local_path(folder))
    require_apart(roots_of(os.fspath(source), options.source), place.folder)
    place.require_ours()

    def make(store: HiddenStore, heard: Watcher, how: Execution) -> Summary:
        return augment(source, store, recipe, options, execution=how, limits=limits, watcher=heard)

    return Delivery(place, form, execution, watcher or Watcher()).carry_out(make)


def retry_to(
    folder: StrPath,
    *,
    everything: bool = False,
    source: StrPath | None = None,
    execution: Execution | None = None,
    limits: Limits | None = None,
    watcher: Watcher | None = None,
) -> DeliveredDataset:
    """As :func:`augpipe.run.retry.retry`, of a dataset folder, whose dataset is then written again.

    Raises:
        UsageError: there is no such dataset, or its source is another one now.
        RunError: work had begun and cannot go on; the same call goes on later.
    """
    place, form = _begun(folder)

    def make(store: HiddenStore, heard: Watcher, how: Execution) -> Summary:
        return retry(store, everything=everything, source=source, execution=how, limits=limits, watcher=heard)

    how = execution or Execution()
    return Delivery(place, form, how, watcher or Watcher()).carry_out(make)


def finish_to(folder: StrPath, limits: Limits | None = None, watcher: Watcher | None = None) -> DeliveredDataset:
    """Close a run whose shards several machines have made, and write its dataset.

    Raises:
        UsageError: there is no such dataset, or a shard is missing.
        RunError: it cannot be written; the same call goes on later.
    """
    place, form = _begun(folder)

    def make(store: HiddenStore, heard: Watcher, how: Execution) -> Summary:
        return finish(store, limits, heard)

    how = Execution(workers=0)
    return Delivery(place, form, how, watcher or Watcher(), makes=False).carry_out(make)


def holds_dataset(folder: StrPath) -> bool:
    """Whether :func:`augment_to` has written, or begun to write, a dataset there."""
    return is_dataset_folder(local_path(folder))


def _begun(folder: StrPath) -> tuple[DatasetFolder, DatasetForm]:
    place = DatasetFolder(local_path(folder))
    listed = read_list(place.folder)
    if listed is None:
        raise UsageError(
            f"{place.folder}: does not say what dataset it is to become; run the same augment command again"
        )
    return place, DatasetForm(listed.record.to, listed.record.kind, listed.record.ids)
