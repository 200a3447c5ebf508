"""``augpipe retry`` and ``augpipe finish``: what is left to do in the folder of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from augpipe.core.paths import local_path
from augpipe.formats.webdataset.dataset_list import is_dataset_folder

from . import running, shared

RETRY_EXAMPLE = "Example: augpipe retry shards --all"
FINISH_EXAMPLE = "Example: augpipe finish shards"
Folder = Annotated[str, typer.Argument(metavar="DST", help="Folder of a run.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=RETRY_EXAMPLE)(retry)
    app.command(epilog=FINISH_EXAMPLE)(finish)


@shared.handled
def retry(  # noqa: PLR0913, PLR0917 - one parameter an option
    dst: Folder,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything that was rejected, after files were mended.")
    ] = False,
    source: Annotated[
        str | None, typer.Option("--source", metavar="SRC", help="Where the dataset is now, if it was moved.")
    ] = None,
    workers: running.Workers = None,
    max_rejects: running.MaxRejects = "1%",
    max_dropped: running.MaxDropped = None,
    accept_version: running.AcceptVersion = False,
    time_limit: running.TimeLimit = None,
    debug: shared.Debug = False,
) -> None:
    """Do again what a run lost for reasons that may pass: a crash, a time limit, no memory, a disk that failed.

    Shards with such a reject are made again as a whole, to the bytes that a run without the trouble would have given.
    """
    from augpipe.run.augment import Execution, Limits
    from augpipe.run.retry import retry as run

    execution = Execution(workers=workers, accept_version=accept_version, patience=time_limit)
    limits = Limits(max_rejects, max_dropped)
    if is_dataset_folder(local_path(dst)):
        from augpipe.conversion.augmented import retry_to

        running.delivered(
            lambda watcher: retry_to(
                dst, everything=everything, source=source, execution=execution, limits=limits, watcher=watcher
            )
        )
        return
    running.carried_out(
        lambda watcher: run(
            dst, everything=everything, source=source, execution=execution, limits=limits, watcher=watcher
        )
    )


@shared.handled
def finish(
    dst: Folder,
    max_rejects: running.MaxRejects = "1%",
    max_dropped: running.MaxDropped = None,
    debug: shared.Debug = False,
) -> None:
    """Close a run whose shards are all there, as after --tasks on several machines."""
    from augpipe.run.folder.manifest import Limits
    from augpipe.run.retry import finish as close

    limits = Limits(max_rejects, max_dropped)
    if is_dataset_folder(local_path(dst)):
        from augpipe.conversion.augmented import finish_to

        running.delivered(lambda watcher: finish_to(dst, limits, watcher))
        return
    running.carried_out(lambda watcher: close(dst, limits, watcher))
