"""Runs every case of hostile.py, each in a process of its own, and measures it; writes the table of docs/hostile.md.

    python tests/helpers/hostile_table.py docs/hostile.md      write the page
    python tests/helpers/hostile_table.py --json               print the results, for tests

A process is forked from one that has the libraries loaded, as a run's workers are. Its peak is VmHWM of
/proc/self/status, which begins anew with a fork; ``ru_maxrss`` does not, and is handed on.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from places import ROOT

ODD = ROOT.parent / "shared" / "data" / "odd_images"

MOST_SECONDS, MOST_BYTES = 300, 4 << 30  # beyond these a case is stopped; the test's own limits are lower


@dataclass(frozen=True)
class Result:
    """What came of one case: exit code, reject codes, what was said, seconds and peak in MB."""

    exit_code: int
    rejects: list[str]
    written: int
    out: str
    err: str
    seconds: float
    peak: int
    added: int

    @property
    def outcome(self) -> str:
        """As :attr:`hostile.Case.outcome` says it."""
        if self.exit_code == 2:
            return "error"
        if self.exit_code not in (0, 1):
            return f"exit {self.exit_code}"
        return f"reject {' '.join(self.rejects)}" if self.rejects else "read"


def forked(work: Callable[[], Any], most_bytes: int = MOST_BYTES) -> Any:
    """``work()`` in a process of its own; ``None`` if that dies or takes too long."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read)
            signal.alarm(MOST_SECONDS)
            resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
            with os.fdopen(write, "wb") as file:
                pickle.dump(work(), file)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    return pickle.loads(data) if data else None


def memory(field: str) -> int:
    """A line of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{field}:"))


def cpu_seconds() -> float:
    """Of this process and its children: how busy the machine is does not enter."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@cache
def the_command() -> Callable[[list[str]], Any]:
    """The command line, which Typer puts together once, before processes are forked."""
    from typer.main import get_command

    from augpipe.cli.main import app

    return get_command(app)


def call(arguments: list[str]) -> Result:
    """One command in this process, with what it and the C libraries below it say."""
    command = the_command()
    before, started = memory("VmRSS"), cpu_seconds()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        code: Any = 0
        try:
            command(arguments)
        except SystemExit as exit_:
            code = exit_.code
        except BaseException:
            traceback.print_exc()
            code = 3
        sys.stdout.flush()
        sys.stderr.flush()
        seconds, peak = cpu_seconds() - started, memory("VmHWM")
        said = [os.pread(file.fileno(), 1 << 20, 0).decode("utf-8", "replace") for file in (out, err)]
    return Result(int(code or 0), [], 0, said[0], said[1], round(seconds, 2), peak, peak - before)


def run(case: Any) -> Result:
    """One case: written by one process, read by another."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        arguments = forked(lambda: case.build(folder), 2 * MOST_BYTES)  # of a Pillow that writes what is asked
        if arguments is None:
            raise RuntimeError(f"{case.name}: cannot be built")
        found = forked(lambda: call(arguments))
        if found is None:
            return Result(-1, [], 0, "", "the process died", 0.0, 0, 0)
        out, err = (text.replace(str(folder), "…") for text in (found.out, found.err))
        rejects, written = _of_run(folder / "DST")
        rejects = rejects or _of_inspect(out)
        return replace(found, out=out, err=err, rejects=rejects, written=written)
    finally:
        shutil.rmtree(folder)


def _of_run(folder: Path) -> tuple[list[str], int]:
    """(reject codes, samples written) of a run."""
    if not (folder / "rejects.jsonl").exists():
        return [], 0
    rows = [json.loads(line) for line in (folder / "rejects.jsonl").read_text("utf-8").splitlines()]
    total = json.loads((folder / "manifest.json").read_text("utf-8"))["totals"]
    return sorted({row["error"] for row in rows}), total["written"]


def _of_inspect(out: str) -> list[str]:
    """Reject codes among the oddities of ``inspect``, which are words in a table."""
    from hostile_cases import CASES

    codes = {c.outcome.removeprefix("reject ") for c in CASES if c.outcome.startswith("reject ")}
    return sorted({line.split()[0] for line in out.splitlines() if line.startswith("  ") and line.split()[0] in codes})


# --- odd pictures of other projects ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Odd:
    """One odd picture file: ``read`` or its reject code, seconds, peak in MB, and what was said on stderr."""

    file: str
    outcome: str
    seconds: float
    peak: int
    err: str


def odd_pictures() -> list[Odd]:
    """Every picture file of the collection, each in a process of its own."""
    files = sorted(p for p in ODD.rglob("*") if p.is_file() and p.name != "MANIFEST.tsv")
    return [forked(lambda path=path: _odd(path)) or _died(path) for path in files]


def _died(path: Path) -> Odd:
    return Odd(str(path.relative_to(ODD)), "the process died", 0.0, 0, "")


def _odd(path: Path) -> Odd:
    from augpipe.core.errors import Reject
    from augpipe.pixels.codec.header import read_header
    from augpipe.pixels.codec.image import decode

    started = cpu_seconds()
    with tempfile.TemporaryFile() as err:
        os.dup2(err.fileno(), 2)
        outcome = "read"
        try:
            data = path.read_bytes()
            decode(data, read_header(data))
        except Reject as reject:
            outcome = f"reject {reject.code}"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        seconds, said = cpu_seconds() - started, os.pread(err.fileno(), 1 << 16, 0).decode("utf-8", "replace")
    return Odd(str(path.relative_to(ODD)), outcome, round(seconds, 2), memory("VmHWM"), said)


# --- the page --------------------------------------------------------------------------------------------------------

PRELOADED = (
    "augpipe.run.engine.preload",
    "augpipe.cli.main",
    "augpipe.cli.augment",
    "augpipe.survey",
    "augpipe.conversion",
    *(f"augpipe.formats.{name}.read" for name in ("voc", "coco", "yolo", "dota", "masks", "imagefolder", "webdataset")),
    *(f"augpipe.formats.{name}.index" for name in ("coco", "csv", "cvat", "labelme", "via", "voc", "yolo")),
    *(f"augpipe.formats.{name}.read" for name in ("kitti", "visdrone")),
    *(
        f"augpipe.cli.{name}"
        for name in ("convert", "doctor", "inspect", "plan", "preview", "recipes", "retry", "verify")
    ),
    "augpipe.run.augment",
    "augpipe.pixels.cpu",
)
"""What a fork server has loaded, and the commands; each case is forked, and would load them anew."""

HEAD = """# Hostile input

What is read may have been made to do harm. None of it is believed, unpacked, fetched or executed: every input below
ends as a picture, as a reject that costs this one picture, or as an error of a line or two, in bounded time and memory.

This page is made by `python tests/helpers/hostile_table.py docs/hostile.md`, which builds every input and runs augpipe
on it, in a process of its own that is forked as a run's workers are. `tests/run/test_hostile.py` does it all again.
Seconds are of one core; the peak is `VmHWM`, of which about {base} MB are the libraries.

- **Pictures** are judged by their header, before anything is decoded: at most `--max-pixels` pixels (64 million), and
  at most the memory that so many pixels of a usual picture take, with its file (416 MB). So 16 bits a channel, alpha,
  CMYK, progressive JPEG without subsampling, TIFF, PNM, JPEG 2000 and files that hardly pack may have fewer pixels.
  A file has at most 256 MiB, a progressive JPEG 50 scans.
- **Names in annotations** never lead out of the dataset: of `../../x/a.jpg` and `/x/a.jpg` no more is looked for than
  what is left of it below the picture folder.
- **Links** that lie in a folder are part of it: one to a file is followed, wherever it leads, as datasets are often
  put together so. Those to folders are followed only where the folder has a meaning of its own (`images`, a class),
  and deeper down are left out with a note, as they could lead round in circles. Do not read folders of strangers that
  hold links.
- **Members of tars and zips** are never unpacked, so their names are only names. Links, devices and sparse files are
  left out, and counted in a note. Of a deflated member no more is made than its zip says, and at most 256 MiB; members
  that lie in one another, as bombs have them, are refused ([reading.md](reading.md#places)).
- **Servers** are asked only for what `SRC` and `--images` name, and what lies beside it. No request waits for ever, no
  answer is kept beyond 256 MiB, no name in annotations can lead to another server, and no redirect is followed to
  another host, port or scheme than the one asked (http to https is), nor more than ten. A server that asks for patience
  gets 30 seconds a request.
- **Labels** of one picture have at most 32 MiB, 500,000 values and 100,000 objects, in however many rows and files they
  lie. These are counts and not times, so every machine rejects the same pictures. Labels are read by one function in
  all commands and processes; an error in it that nobody has foreseen is a reject, too. A polygon that crosses itself
  thousands of times, or is too long to be drawn, is left out; its box stays. A dataset has at most 100,000 classes, a
  class 10,000 keypoints, and a VIA file and a tag of CVAT's 10,000 attributes.
- **What is no file** among the pictures, a pipe, a socket, a device or a link that leads to itself, is a reject that is
  not tried again; as `SRC` it is an error. No pipe is waited for.
- **Names** that are one in Unicode's composed form are an error before the run. A brace pattern is counted before it is
  expanded, and stands for 100,000 tars at most.
- **Recipes** name operations of a fixed list. There are no tags, no modules and no code in them.
- **Text** from files is printed on one line, with everything that could steer a terminal escaped.
"""


def page(results: list[tuple[Any, Result]], odd: list[Odd], base: int) -> str:
    """docs/hostile.md."""
    parts = [HEAD.format(base=base)]
    for group in dict.fromkeys(c.group for c, _ in results):
        parts.append(f"\n## {group}\n\n| input | outcome | s | MB |\n|---|---|---|---|\n")
        parts += [row_of(c, f"{r.seconds:.1f}", str(r.peak)) for c, r in results if c.group == group]
    if odd:
        parts.append(_odd_section(odd))
    return "".join(parts)


def row_of(case: Any, seconds: str, peak: str) -> str:
    """A row of the table; its first two cells are what the case declares."""
    kind, _, code = case.outcome.partition(" ")
    outcome = f"{kind} `{code}`" if code else kind
    told = f": {case.says}" if case.says else ""
    cells = [cell.replace("|", "/").replace("<", "&lt;") for cell in (case.name, f"{outcome}{told}")]
    return f"| {cells[0]} | {cells[1]} | {seconds} | {peak} |\n"


def _odd_section(odd: list[Odd]) -> str:
    groups = defaultdict(list)
    for one in odd:
        groups[(one.outcome, one.file.split("/", maxsplit=1)[0])].append(one)
    rows = [
        f"| {project} | {outcome} | {len(found)} | {max(o.seconds for o in found):.1f} | "
        f"{max(o.peak for o in found)} |\n"
        for (outcome, project), found in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    total = f"\n## Odd pictures of other projects\n\n{len(odd)} files from the tests of image libraries, by outcome,"
    head = "| from | outcome | files | most s | most MB |\n|---|---|---|---|---|\n"
    silent = f"and {sum(bool(o.err) for o in odd)} of them made a C library write to stderr."
    return f"{total}\n{silent}\n\n{head}{''.join(rows)}"


def main(arguments: list[str]) -> None:
    """See the top of this file."""
    from hostile_cases import CASES

    for name in PRELOADED:
        import_module(name)
    the_command()
    base = forked(lambda: memory("VmRSS"))
    results = [(c, run(c)) for c in CASES]
    if arguments == ["--json"]:
        print(json.dumps({"cases": [asdict(r) | {"outcome": r.outcome} for _, r in results]}))
        return
    odd = odd_pictures() if ODD.exists() else []
    Path(arguments[0]).write_text(page(results, odd, base), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or ["docs/hostile.md"])
