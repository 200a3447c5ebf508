"""The fork server of a run, a process that has the libraries loaded and that workers are forked from.

Loading them takes it half a second, as it takes this process. So it is started before this process loads anything
itself, and this file imports nothing that takes long.
"""

from __future__ import annotations

from augpipe.core.processes import start_fork_server

_LOADED = ("augpipe.run.engine.preload",)


def start() -> None:
    """Let it load what makes shards; nothing happens where it runs."""
    start_fork_server(_LOADED)
