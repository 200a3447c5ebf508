"""`kill -9` of a whole run at chosen and random moments, and going on.

    python tests/helpers/killed.py SRC --records 1,4,9 --moments 10

The command line is started with two workers in a process group of its own, which is killed as a whole when so many
records are there, or after some time. The same command goes on, and is killed again, until the moments are used up and
it may finish. Between the calls every shard with a record must be whole; in the end all bytes must be those of an
undisturbed run, and no file of a shard that was finished before a kill may have been written again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos_checks import problems_at_once
from runs import promised

PROGRAM = "from augpipe.cli.main import main; main()"


@dataclass(frozen=True)
class Moment:
    """When to kill: so many seconds after so many records are there, or so many more than at the start of the call."""

    records: int = 0
    more: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        first = f"record {self.records}" if self.records else f"{self.more} more records"
        return f"{first} and {self.seconds:.2f} s" if self.seconds else first


@dataclass
class Killed:
    """What came of it: (moment, records that were there) of each kill, shards kept, and everything that was wrong."""

    kills: list[tuple[Moment, int]] = field(default_factory=list)
    kept: int = 0
    shards: int = 0
    leftovers: int = 0
    problems: list[str] = field(default_factory=list)


def command(source: Path, folder: Path, options: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "augment", str(source), str(folder), *options]


def records(folder: Path) -> list[Path]:
    return sorted(folder.glob("*-??????.json"))


def undisturbed(source: Path, folder: Path, options: Sequence[str]) -> float:
    """Carry out a whole run; gives the seconds that it takes."""
    started = time.monotonic()
    subprocess.run(command(source, folder, options), check=True, capture_output=True)
    return time.monotonic() - started


def killed_at(source: Path, folder: Path, options: Sequence[str], moment: Moment) -> bool:
    """Start a run and kill its whole process group; ``False`` if it had finished before."""
    wanted = moment.records or len(records(folder)) + moment.more
    arguments = command(source, folder, options)
    process = subprocess.Popen(arguments, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(records(folder)) < wanted:
        time.sleep(0.001)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment.seconds)
    finished = process.poll() is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return not finished


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """(inode, time) of the files of every shard that has a record."""
    found = {}
    for record in records(folder):
        for path in (record, record.with_suffix(".tar")):
            if path.exists():
                found[path.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def kill_and_go_on(
    source: Path, folder: Path, options: Sequence[str], moments: Sequence[Moment], wanted: Path
) -> Killed:
    """Kill a run at each of these moments, go on, and compare with an undisturbed run in ``wanted``."""
    out = Killed()
    kept: dict[str, tuple[int, int]] = {}
    for moment in moments:
        if not killed_at(source, folder, options, moment):
            break
        now = files_of(folder)
        out.kills.append((moment, len(records(folder))))
        # A process may be killed between its manifest, over a run that is whole, and its end.
        out.problems += [f"{moment}: {problem}" for problem in problems_at_once(folder, "")]
        out.leftovers += len(list((folder / ".augpipe").glob("*.tmp"))) + len(
            [tar for tar in folder.glob("*.tar") if not tar.with_suffix(".json").exists()]
        )
        kept |= now
    undisturbed(source, folder, options)
    now = files_of(folder)
    out.kept, out.shards = len([name for name in kept if name.endswith(".json")]), len(records(folder))
    out.problems += [f"{name}: was written again" for name, file in kept.items() if now.get(name) != file]
    found, right = promised(folder), promised(wanted)
    out.problems += [f"{what}: differ" for what in found if found[what] != right[what]]
    if {path.name for path in folder.iterdir()} != {path.name for path in wanted.iterdir()}:
        out.problems.append("something is left over")
    return out


def drawn(rng: random.Random, count: int, shards: int, seconds: float) -> list[Moment]:
    """Random moments in a run of so many shards, each of which takes up to so many seconds."""
    most = max(1, 2 * shards // (count + 1) - 1)
    return [Moment(more=rng.randint(0, most), seconds=rng.uniform(0.001, seconds)) for _ in range(count)]


def main() -> int:
    """Kill a run of a dataset, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--records", default="", help="kill first when the N-th record appears, as in 1,4,9")
    parser.add_argument("--moments", type=int, default=10, help="random ones, after those")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--options", default="--recipe detection --copies 4 --seed 7 --workers 2", help="of augment")
    chosen = parser.parse_args()
    options = chosen.options.split()
    with tempfile.TemporaryDirectory() as place:
        wanted = Path(place) / "wanted"
        seconds = undisturbed(chosen.source, wanted, options)
        shards = len(records(wanted))
        print(f"undisturbed: {seconds:.1f} s, {shards} shards")
        at_records = [Moment(records=int(n)) for n in chosen.records.split(",") if n]
        at_random = drawn(random.Random(chosen.seed), chosen.moments, shards, 1.5 * seconds / shards)
        worst = 0
        for number, moments in enumerate(filter(None, (at_records, at_random))):
            out = kill_and_go_on(chosen.source, Path(place) / f"out {number}", options, moments, wanted)
            print(told(out))
            worst |= bool(out.problems) or len(out.kills) < len(moments)
    return worst


def told(out: Killed) -> str:
    """What came of one run that was killed again and again."""
    kills = "killed at " + ", ".join(f"{moment} ({there} records)" for moment, there in out.kills)
    left = f"{out.leftovers} temporaries and tars without a record were left by kills; {out.kept} shards were kept"
    fine = "the same bytes as undisturbed; no finished shard was written again; nothing left"
    return "\n".join([kills, left, *(out.problems or [fine])])


if __name__ == "__main__":
    sys.exit(main())
