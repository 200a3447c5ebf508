"""Commands with real descriptors in any state, each in a process that is forked from one with everything loaded.

    python tests/helpers/forked_commands.py < cases.json        a list of [words, state, ...] each; prints what came

So one costs a few hundredths of a second, where a new process takes a second to load its libraries. Its first moments
are not disturbed here: chaos_real.py does that.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from typing import Any

SECONDS = 120  # of processor time, or of silence; a case that is stopped has exit code -SIGALRM
STATES: dict[str, dict[int, str]] = {
    "calm": {},
    "stdout closed": {1: "closed"},
    "stdout full": {1: "full"},
    "stdout missing": {1: "missing"},
    "stderr closed": {2: "closed"},
    "stderr full": {2: "full"},
    "stderr missing": {2: "missing"},
    "nothing there": {0: "missing", 1: "missing", 2: "missing"},
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: the exit code as a shell sees it, or minus a signal, and what it printed."""

    code: int
    out: str
    err: str


def forked(words: list[str], state: str = "calm", folder: str | None = None) -> Ended:
    """Carry a command out with its streams in a state, in a working directory."""
    files = {number: tempfile.TemporaryFile() for number in (1, 2)}  # noqa: SIM115 - read in the end
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(SECONDS)
            if folder is not None:
                os.chdir(folder)
            for number in range(3):
                _put(number, STATES[state].get(number, ""), files.get(number))
            os.closerange(3, 256)
            sys.argv = ["augpipe", *words]
            from augpipe.cli.main import main

            main()
        except SystemExit as end:
            _end(end.code)
        except BaseException:
            traceback.print_exc()
            _end(99)
    _, status = os.waitpid(pid, 0)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    texts = [os.pread(files[number].fileno(), 1 << 20, 0).decode("utf-8", "replace") for number in (1, 2)]
    for file in files.values():
        file.close()
    return Ended(code, *texts)


def _put(number: int, how: str, file: Any) -> None:
    """Give a stream its state, as a shell does before it starts the command, and Python when that begins."""
    if how == "missing":
        os.close(number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)
        return
    if how == "closed":
        ours, target = os.pipe()
        os.close(ours)
    elif how == "full":
        target = os.open("/dev/full", os.O_WRONLY)
    else:
        target = os.open(os.devnull, os.O_RDONLY) if file is None else file.fileno()
    os.dup2(target, number)
    if number:
        setattr(sys, ("", "stdout", "stderr")[number], open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _end(code: object) -> None:
    """End as an interpreter does, whose exit functions are called last."""
    import atexit

    atexit._run_exitfuncs()
    os._exit(code if isinstance(code, int) else int(bool(code)))


def main() -> None:
    import importlib

    for name in ("augment", "convert", "dataset", "replay", "inspect", "plan", "preview", "verify", "tile"):
        importlib.import_module(f"augpipe.cli.{name}")
    for name in ("conversion.augmented", "conversion.whole", "replay", "run.runner", "run.engine.local", "run.retry"):
        importlib.import_module(f"augpipe.{name}")
    print(json.dumps([asdict(forked(*case)) for case in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
