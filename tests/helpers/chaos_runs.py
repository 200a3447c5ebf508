"""Kinds of runs that are disturbed, and one process that carries a run out, forked for it: see chaos.py."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faults
from faults import Fault, Injector, Meter
from runs import run

from augpipe.cli.main import app
from augpipe.core.errors import AugpipeError
from augpipe.run import task
from augpipe.run.config import Execution, parse_slice
from augpipe.run.engine import local
from augpipe.run.retry import finish, retry

SEED = 7
_SIGNALED = (130, 143)  # stopped by Ctrl-C or SIGTERM
_PATIENCE = 60  # seconds until a run counts as hung


# --- kinds of runs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One call of augpipe on a folder: the command, and its options as Python has them."""

    command: str = "augment"
    options: Mapping[str, Any] = field(default_factory=dict)

    def by_library(self, source: Path, folder: Path) -> None:
        given = dict(self.options)
        if self.command == "words":
            raise ValueError(f"{given['words']}: is called by the command line alone")
        if self.command == "finish":
            finish(folder)
        elif self.command == "retry":
            retry(folder, everything="all" in given, execution=Execution(workers=0))
        else:
            recipe = given.pop("recipe", "detection")
            if "extend" in given:
                given = {**given, "copies": given["extend"], "extend": True}
            if "tasks" in given:
                given["tasks"] = parse_slice(given["tasks"])
            run(source, folder, recipe, **{"seed": SEED, "copies": 2, **given})

    def by_command_line(self, source: Path, folder: Path) -> int:
        """Gives the exit code."""
        if self.command == "words":
            return self._code_of([word.format(src=source, out=folder) for word in str(self.options["words"]).split()])
        words = [self.command, *([str(source)] if self.command == "augment" else []), str(folder)]
        given = dict(self.options)
        if self.command == "augment":
            given = {"recipe": "detection", "seed": SEED, "workers": 0, **given}
            if "extend" not in given:
                given.setdefault("copies", 2)
        elif self.command == "retry":
            given["workers"] = 0
        for name, value in given.items():
            words += [f"--{name}", *([] if value is True else [str(value)])]
        return self._code_of(words)

    def _code_of(self, words: list[str]) -> int:
        try:
            app(words)
        except SystemExit as end:
            return int(end.code or 0)
        return 0


@dataclass(frozen=True)
class Kind:
    """A kind of run: ``before`` prepares the folder, ``calls`` are disturbed, ``wanted`` is what they must come to."""

    name: str
    calls: tuple[Call, ...]
    before: tuple[Call, ...] = ()
    wanted: tuple[Call, ...] | None = None
    source: str = "voc"
    spoilt: str = ""
    held: int | None = None
    makes: str = "shards"  # see chaos_checks.py


def worded(words: str) -> Call:
    """A call by its words, with ``{src}`` and ``{out}`` in them."""
    return Call("words", {"words": words})


def augmented(**options: Any) -> Call:
    return Call("augment", options)


_TO = "{src} {out} -w 0"
KINDS = (
    Kind("fresh", (augmented(),)),
    Kind("originals", (augmented(copies=1, originals=True),)),
    Kind("coco", (augmented(recipe="segmentation"),), source="coco"),
    Kind("spooled", (augmented(),), held=3000),
    Kind("workers", (augmented(workers=2),)),
    Kind("going on", (augmented(),), before=(augmented(),), spoilt="interrupted"),
    Kind("extend", (augmented(extend=2),), (augmented(copies=1),), (augmented(copies=1), augmented(extend=2))),
    Kind("tasks", (augmented(tasks="1..2/2"), augmented(tasks="0..1/2"), Call("finish"))),
    Kind("finish", (Call("finish"),), before=(augmented(),), spoilt="open"),
    Kind("overwrite", (augmented(overwrite=True),), before=(augmented(seed=9, copies=1),)),
    Kind("retry", (Call("retry"),), before=(augmented(),), spoilt="transient"),
    Kind("mended", (Call("retry", {"all": True}),), before=(augmented(),), source="mended", spoilt="damaged"),
    Kind("check", (augmented(check=True),), before=(augmented(),), spoilt="tar"),
    Kind("parted", (worded(f"augment {_TO} -r detection -n 2 --val 40% --group-by _([0-9]+)"),)),
    Kind("tile", (worded(f"tile {_TO} --size 48"),)),
    Kind("crops", (worded(f"crops {_TO} --margin 16px"),)),
    Kind("to shards", (worded(f"convert voc-to-shards {_TO}"),)),
    Kind("to yolo", (worded(f"augment {_TO} -r detection -n 2 --to yolo"),), makes="dataset"),
    Kind("tile to coco", (worded(f"tile {_TO} --size 64 --to coco"),), makes="dataset"),
    Kind("crops to voc", (worded(f"crops {_TO} --to voc"),), makes="dataset"),
    Kind("convert", (worded(f"convert voc-to-coco {_TO}"),), makes="tree"),
    Kind("filter", (worded(f"dataset filter {_TO} --classes cat,dog"),), makes="tree"),
    Kind("split", (worded(f"dataset split {_TO} --val 40% --to yolo"),), makes="tree"),
)


def spoil(folder: Path, how: str) -> None:
    if how in ("interrupted", "open"):
        (folder / "manifest.json").unlink()
        (folder / "rejects.jsonl").unlink()
    if how == "interrupted":
        for name in ("all-000002.json", "all-000005.json", "all-000005.tar"):
            (folder / name).unlink()
        (folder / ".augpipe").mkdir()
        (folder / ".augpipe" / "all-000005.tar.host.99.1.tmp").write_bytes(b"half")
    if how == "tar":
        data = bytearray((folder / "all-000003.tar").read_bytes())
        data[700] ^= 1
        (folder / "all-000003.tar").write_bytes(data)


# --- one process -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """How a process ended: done, error (one of augpipe's), stopped, killed, hung, or raw: what no user should see."""

    how: str
    said: str = ""
    struck: bool = False


def forked(
    calls: Sequence[Call],
    source: Path,
    folder: Path,
    fault: Fault | None,
    meter: Meter | None = None,
    *,
    by_line: bool = False,
    held: int | None = None,
) -> End:
    """Carry out calls in a process of their own, up to the first that ends otherwise than well."""
    meter = meter or Meter()
    stash = Path(tempfile.mkdtemp(dir=folder.parent))
    report = stash / "end"
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has jobs in the background ignore it
        signal.alarm(_PATIENCE)
        end = End("raw", "nothing was said")
        main = os.getpid()
        try:
            if held is not None:
                task.HELD_BYTES = held
            _fork_workers()
            Injector(meter, fault, folder, source, stash).install()
            end = _line(calls, source, folder) if by_line else _library(calls, source, folder)
        except BaseException:
            end = End("raw", traceback.format_exc())
        finally:
            if os.getpid() == main:
                with faults._Real.open(report, "w") as file:
                    file.write(json.dumps([end.how, end.said]))
            os._exit(0)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if os.WIFSIGNALED(status):
        end = End("hung" if os.WTERMSIG(status) == signal.SIGALRM else "killed")
    else:
        end = End(*json.loads(report.read_text()))
    shutil.rmtree(stash)
    return End(end.how, end.said, meter.strikes > 0)


def _fork_workers() -> None:
    """Workers are forked, not started anew: quicker, and they have the faults."""
    local.context = lambda: multiprocessing.get_context("fork")  # type: ignore[assignment]
    local.fork_server.start = lambda: None  # type: ignore[assignment]


def _library(calls: Sequence[Call], source: Path, folder: Path) -> End:
    try:
        for call in calls:
            call.by_library(source, folder)
    except AugpipeError as error:
        return End("error", f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return End("stopped")
    return End("done")


def _line(calls: Sequence[Call], source: Path, folder: Path) -> End:
    """By the command line, whose last words must be a sentence."""
    sys.stdout = io.StringIO()
    for call in calls:
        sys.stderr = said = io.StringIO()  # what the call before has said says nothing of this one
        code = call.by_command_line(source, folder)
        text = said.getvalue()
        if "Traceback" in text or code not in (0, 1, 2, *_SIGNALED):
            return End("raw", f"exit code {code}: {text}")
        if "augpipe: stopped" in text or code in _SIGNALED:
            return End("stopped", text)
        if code and "may pass" not in text:
            return End("error", text)
    return End("done")
