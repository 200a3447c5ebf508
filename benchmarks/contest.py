"""What ``cpu.py`` measures, and with whom: workloads, contenders, and one run of one of them as a whole process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import material
from about import HERE, ROOT, THREADS

CANNOT = 3  # peers/harness.py
_LONGEST = 900.0
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


@dataclass(frozen=True)
class Workload:
    """A recipe on a dataset; ``share`` of the pictures that are asked for are made of it."""

    name: str
    recipe: Path
    make: Callable[[Path, Path | None, tuple[int, int], int], Path]
    size_wh: tuple[int, int] = (640, 480)
    share: float = 1.0


WORKLOADS = (
    Workload("detection", ROOT / "recipes" / "detection.yaml", material.voc),
    Workload("segmentation", ROOT / "recipes" / "segmentation.yaml", material.coco, share=0.5),
    Workload("colour", HERE / "recipes" / "colour.yaml", material.voc),
    Workload("flip", HERE / "recipes" / "flip.yaml", material.voc),
    Workload("heavy", HERE / "recipes" / "heavy.yaml", material.voc, share=0.5),
    Workload("large", HERE / "recipes" / "large.yaml", material.voc, (4000, 3000), share=0.08),
)


@dataclass(frozen=True)
class Task:
    """What one run is asked for."""

    source: Path
    recipe: Path
    copies: int
    workers: int


@dataclass(frozen=True)
class Contender:
    """A program that turns a dataset into shards; ``writes`` whether it leaves shards that can be counted."""

    name: str
    command: Callable[[Task, Path], list[str]]
    writes: bool = True
    kind: str = "peer"


def _augpipe(task: Task, out: Path) -> list[str]:
    program = [sys.executable, "-c", "from augpipe.cli.main import main; main()"]
    options = ["--recipe", str(task.recipe), "--copies", str(task.copies), "--workers", str(task.workers)]
    return [*program, "augment", str(task.source), str(out), *options, "--seed", "7", "--device", "cpu"]


def _script(name: str, *more: str) -> Callable[[Task, Path], list[str]]:
    def command(task: Task, out: Path) -> list[str]:
        options = ["--recipe", str(task.recipe), "--copies", str(task.copies), "--workers", str(task.workers), *more]
        return [sys.executable, str(HERE / "peers" / f"{name}.py"), str(task.source), str(out), *options]

    return command


CONTENDERS = (
    Contender("Albumentations", _script("with_albumentations")),
    Contender("augpipe", _augpipe, kind="augpipe"),
    Contender("decode once + encode", _script("floor", "--cached"), writes=False, kind="floor"),
    Contender("Albumentations (cached)", _script("with_albumentations", "--cached")),
    Contender("decode + encode", _script("floor"), writes=False, kind="floor"),
    Contender("torchvision v2", _script("with_torchvision")),
    Contender("imgaug", _script("with_imgaug")),
    Contender("Kornia", _script("with_kornia")),
    Contender("DALI", _script("with_dali")),
)


def by_name(names: str, among: Sequence[Any]) -> list[Any]:
    """Those of a list with commas, in their own order.

    Raises:
        SystemExit: there is no such.
    """
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in {one.name for one in among}]
    if unknown:
        raise SystemExit(f"{unknown[0]}: expected some of {', '.join(one.name for one in among)}")
    return [one for one in among if one.name in wanted]


# --- one run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """One run: seconds on the wall, and of the processor by all processes; or why there is none.

    ``cannot``: the library has no such thing, or is not installed, so that trying again is of no use.
    """

    wall: float = 0.0
    processor: float = 0.0
    why: str = ""
    cannot: bool = False


def environment(peers: Path | None = None) -> dict[str, str]:
    """Of every contender: one thread a process, no GPU; of peers their libraries, too."""
    hidden = {"CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": ""}
    found = {} if peers is None else {"PYTHONPATH": str(peers)}
    return {**os.environ, **dict.fromkeys(THREADS, "1"), **hidden, **found}


def adopt() -> bool:
    """Become the parent of processes that lose theirs, so that their processor time is counted; False if not Linux."""
    try:
        return ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False


def run(
    contender: Contender, task: Task, out: Path, peers: Path, samples: int | None = None, adopting: bool = False
) -> Measured:
    """One run as a process of its own, on as many cores as there are workers.

    Args:
        contender: who.
        task: what is asked for.
        out: folder for its shards; removed before and after.
        peers: where the peers' libraries lie.
        samples: that must be in the shards; not counted if not given.
        adopting: this process gets the children of those that end, and has none of its own; see :func:`adopt`.
    """
    shutil.rmtree(out, ignore_errors=True)
    cores = set(sorted(os.sched_getaffinity(0))[: task.workers])
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        started = time.perf_counter()
        process = subprocess.Popen(
            contender.command(task, out),
            stdout=said,
            stderr=complained,
            env=environment(peers if contender.kind == "peer" else None),
            cwd=ROOT,
        )
        os.sched_setaffinity(process.pid, cores)
        code, usages = _waited(process, started)
        wall = time.perf_counter() - started
        usages += _orphans() if adopting else []
        complained.seek(0)
        complaint = complained.read().decode("utf-8", "replace").strip().splitlines()
    try:
        if code != 0:
            last = complaint[-1] if complaint else f"exit code {code}"
            return Measured(why=last[:300], cannot=code == CANNOT or "ModuleNotFoundError" in last)
        if samples is not None and contender.writes and (found := count_samples(out)) != samples:
            return Measured(why=f"made {found} samples of {samples}")
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return Measured(wall, sum(usage.ru_utime + usage.ru_stime for usage in usages))


def _waited(process: subprocess.Popen[bytes], started: float) -> tuple[int, list[Any]]:
    """Exit code and what was used, by the process and those that it has waited for."""
    while time.perf_counter() - started < _LONGEST:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, [usage]
        time.sleep(0.002)
    process.kill()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = -9
    return -9, [usage]


def _orphans() -> list[Any]:
    """What processes have used that were left behind, such as a fork server; waits a moment for their end."""
    usages = []
    with suppress(ChildProcessError):
        for _ in range(500):
            pid, _, usage = os.wait4(-1, os.WNOHANG)
            if pid:
                usages.append(usage)
            else:
                time.sleep(0.01)
    return usages


def count_samples(folder: Path) -> int:
    """Pictures with a record in the shards of a folder."""
    names: set[str] = set()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            names.update(tar.getnames())
    return sum(name.endswith(".jpg") and f"{name[:-4]}.json" in names for name in names)
