"""Shards of a dataset as it is: originals by a run without steps, which goes on, is checked and retried as any run."""

from __future__ import annotations

from augpipe.core.paths import StrPath
from augpipe.formats.base import SourceOptions
from augpipe.recipe import yaml_reader
from augpipe.recipe.load import compiled
from augpipe.run.augment import Execution, Limits, RunOptions, Summary, Watcher, augment

_NAME = "originals"
_TEXT = "version: 1\nsteps: []\n"
_ANY = SourceOptions()


def convert_to_shards(
    source: StrPath,
    folder: StrPath,
    options: SourceOptions = _ANY,
    *,
    overwrite: bool = False,
    strict: bool = False,
    workers: int | None = 0,
    watcher: Watcher | None = None,
) -> Summary:
    """Write ``source`` as shards in ``folder``, each picture once and not changed; or go on where that stopped.

    Args:
        source: a dataset.
        folder: for the shards.
        options: how to read the source.
        overwrite: delete the run in ``folder`` first.
        strict: reject pictures of which labels or pixels are not read as they are.
        workers: processes, ``None`` for one a core.
        watcher: receives progress and remarks.

    Returns:
        The summary of the run, which has failed if one picture was rejected.

    Raises:
        UsageError: the request cannot work; nothing was written.
        RunError: work had begun and cannot go on; the same call goes on later.
    """
    recipe = compiled(yaml_reader.read(f"{_NAME}.yaml", _TEXT), _NAME)
    return augment(
        source,
        folder,
        recipe,
        RunOptions(copies=0, originals=True, source=options, strict=strict),
        execution=Execution(workers=workers, overwrite=overwrite),
        limits=Limits(max_rejects="0"),
        watcher=watcher,
    )
