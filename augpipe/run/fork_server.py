"""The fork server, a process that has the libraries loaded and that workers are forked from.

Loading takes it half a second, as it takes this process. So it is begun before this process loads anything itself, and
this file imports nothing that takes long.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence

AVAILABLE = "forkserver" in multiprocessing.get_all_start_methods()
_LOADED = "augpipe.run.task"


def start(more: Sequence[str] = ()) -> None:
    """Let it load what makes shards, and the modules ``more``; nothing happens where it runs, or where there is none.

    Ctrl-C is held back from it, and so from the workers: the parent alone decides what that means.
    """
    if not AVAILABLE:
        return
    from multiprocessing import forkserver, resource_tracker

    forkserver.set_forkserver_preload([_LOADED, *more])
    resource_tracker.ensure_running()  # first, as starting it lets Ctrl-C through again
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
