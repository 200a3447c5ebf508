"""Runs that are disturbed at any operation, and what must hold of them.

    python tests/helpers/chaos.py --runs 500 --seed 1

For each kind of run the operations of an undisturbed one are counted. Then every run of the schedule gets a fault at
the n-th operation of some place, n drawn, and often a second one while it goes on: an errno, no memory, half a write,
SIGKILL, a loss of power (names and content that were not flushed go back to what they were), SIGTERM or Ctrl-C. Right
after it every shard with a record must be whole, and no manifest may stand over less than the whole run. Called again,
and with `retry` where pictures were lost, it must come to the bytes of the undisturbed run, and leave nothing over.

Processes are forked from this one, which has everything imported, so a run takes a fraction of a second.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import pickle
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import chaos_books
import chaos_checks as checks
import cv2
import datasets
from chaos_runs import KINDS, Call, End, Kind, augmented, forked, spoil, worded
from faults import PLACES, Fault, Meter
from format_checker import check_folder

_MOST_CALLS = 6
_CHECKED = 10  # the format checker looks at every so many-th folder


# --- undisturbed -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """A kind of run with its folders, and the operations of the undisturbed run."""

    kind: Kind
    source: Path
    before: Path
    wanted: Path
    counts: Mapping[str, int]


def prepare(kind: Kind, place: Path) -> Prepared:
    source, before, wanted = place / kind.source, place / f"{kind.name} before", place / f"{kind.name} wanted"
    if not source.exists():
        datasets.make_coco(source, 6) if kind.source == "coco" else datasets.make_voc(source, 8)
    before.mkdir()
    if kind.spoilt in ("changed", "changing"):
        shutil.copytree(source, original := place / f"{kind.source} original")
        chaos_books.repaint(source)
    # What a folder says of its source must not name the folder that it was prepared in, so all are called the same.
    folder = place / "out"
    by_line = is_worded(kind)
    for call in kind.wanted or [c for c in kind.calls if by_line or c.command == "augment"] or (augmented(),):
        _must(forked([call], source, folder, None, by_line=by_line))
    folder.rename(wanted)
    picture = source / "JPEGImages" / "img_002.jpg"
    whole = picture.read_bytes() if kind.spoilt == "damaged" else b""
    if kind.spoilt == "damaged":
        picture.write_bytes(whole[: len(whole) // 2])
    if kind.spoilt == "changed":
        changed = Path(shutil.move(source, place / "changed now"))
        shutil.copytree(original, source)
    lost = Fault("read picture", 3, "EIO") if kind.spoilt == "transient" else None
    for call in kind.before:
        _must(forked([call], source, folder, lost))
    if kind.spoilt == "damaged":
        picture.write_bytes(whole)
    if kind.spoilt == "changed":
        shutil.rmtree(source)
        shutil.move(changed, source)
    if kind.before:
        spoil(folder, kind.spoilt)
        before.rmdir()
        folder.rename(before)
    meter = Meter()
    shutil.copytree(before, folder)
    _must(forked(kind.calls, source, folder, None, meter, held=kind.held, by_line=by_line))
    problems = _final(kind, folder, wanted) + ([] if by_line else check_folder(folder))
    if problems:
        raise SystemExit(f"{kind.name}: undisturbed, and yet {problems[0]}")
    shutil.rmtree(folder)
    if kind.spoilt == "changing":
        shutil.rmtree(source)
        shutil.move(original, source)
    return Prepared(kind, source, before, wanted, meter.counts())


def is_worded(kind: Kind) -> bool:
    """Whether a kind is called by the command line alone."""
    return any(call.command == "words" for call in kind.calls)


def _final(kind: Kind, folder: Path, wanted: Path) -> list[str]:
    if kind.makes == "shards":
        return checks.final_problems(folder, wanted)
    return [f"{what}: {told}" for what, told, _ in checks.unlike(kind.makes, folder, wanted)]


def _must(end: End) -> None:
    if end.how != "done":
        raise SystemExit(f"undisturbed, and yet {end.how}: {end.said}")


Plan: TypeAlias = "tuple[Prepared, list[Fault], bool]"
"""A kind of run, the faults of its calls one after the other, and whether they are made by the command line."""


# --- one disturbed run -----------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of one run of the schedule."""

    number: int
    kind: str
    faults: list[Fault]
    ends: list[End] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    compared: tuple[int, int, int] = (0, 0, 0)

    def told(self) -> str:
        ends = ", ".join(end.how + (f" ({end.said.splitlines()[-1][:200]})" if end.said else "") for end in self.ends)
        first = f"run {self.number}, {self.kind}, {' then '.join(map(str, self.faults))}: {ends}"
        return "\n    ".join([first, *self.problems])


def disturbed(number: int, plan: Plan, place: Path) -> Outcome:
    """One run with its faults, and on until it is finished."""
    prepared, faults, by_line = plan
    kind, folder = prepared.kind, place / "out"
    outcome = Outcome(number, kind.name, faults)
    shutil.copytree(prepared.before, folder)
    source = chaos_books.own_source(kind, prepared.source, place / "source")
    damage = chaos_books.Damage(kind, number, folder)
    calls: Sequence[Call] = kind.calls
    exempt = "all-000003.tar" if kind.spoilt == "tar" else ""
    for attempt in range(_MOST_CALLS):
        fault = faults[attempt] if attempt < len(faults) else None
        end = forked(calls, source, folder, fault, by_line=by_line or is_worded(kind), held=kind.held)
        outcome.ends.append(end)
        if end.how in ("raw", "hung"):
            outcome.problems.append(f"{end.how}: {_tail(end.said)}")
        outcome.problems += [] if damage.is_there() else checks.at_any_time(kind.makes, folder, exempt)
        if kind.spoilt == "changing" and attempt == 0:
            chaos_books.repaint(source)
            calls = kind.calls
            if end.how == "done":
                continue  # the fault did not end it; now the same command has another source
        if (way_out := chaos_books.calls_after(kind, end)) is not None:
            calls = way_out
            continue
        if kind.makes == "tree":
            told = any(checks.WAY_OUT in end.said for end in outcome.ends)  # what is left of one command, by any since
            outcome.problems += _of_tree(kind, end, folder, prepared.wanted, told=told)
            if end.how == "done":
                break
            calls = _overwriting(kind) if checks.WAY_OUT in end.said else calls
            continue
        shards = checks.shards_of(kind.makes, folder)
        if end.how == "done" and not (shards / "manifest.json").exists():
            outcome.problems.append("says that it is done, and is not finished")
        elif end.how == "done" and (lost := _transient(shards)):
            calls, exempt = (Call("retry"),), ""
            outcome.problems += [f"lost for good: {row}" for row in lost if not row["transient"]]
        elif end.how == "done" and not (shards / ".augpipe").exists() and checks.is_done(kind.makes, folder, None):
            break
    else:
        outcome.problems.append(f"not finished after {_MOST_CALLS} calls")
    outcome.problems += _final(kind, folder, prepared.wanted)
    if not is_worded(kind) and (number % _CHECKED == 0 or outcome.problems):
        outcome.problems += check_folder(folder)
    if outcome.problems:
        outcome.compared = _compared(kind, folder, prepared.wanted)
    shutil.rmtree(folder)
    return outcome


def _of_tree(kind: Kind, end: End, folder: Path, wanted: Path, *, told: bool) -> Iterator[str]:
    """What is wrong of a conversion: its word against what is there."""
    seen = checks.files_of(folder)
    is_whole = checks.is_done(kind.makes, folder, wanted)
    if end.how == "done" and not is_whole:
        yield "says that it is done, and something is missing"
    left = [path.name for path in folder.glob(f"{checks.PART}*")]
    if end.how == "done" and left and not end.struck:
        yield f"left over: {left}"
    if seen and not is_whole and end.how in ("error", "stopped") and not told:
        yield f"a part is left and not told of: {sorted(seen)[:3]}, {end.said}"


def _overwriting(kind: Kind) -> tuple[Call, ...]:
    return tuple(worded(f"{call.options['words']} {checks.WAY_OUT}") for call in kind.calls)


def _compared(kind: Kind, folder: Path, wanted: Path) -> tuple[int, int, int]:
    if kind.makes == "shards":
        return checks.compared(folder, wanted)
    flaws: Counter[str] = Counter()
    for what, _, count in checks.unlike(kind.makes, folder, wanted):
        flaws[what] += count
    return flaws["lost"], flaws["doubled"], flaws["differing"]


def _tail(text: str) -> str:
    """The last place of ours in a traceback, and its last line."""
    lines = [line.strip() for line in text.strip().splitlines()]
    places = [line for line in lines if "/augpipe/" in line or "/cli/" in line]
    return " ... ".join([*places[-2:], *lines[-1:]])


def _transient(folder: Path) -> list[dict[str, Any]]:
    path = folder / "rejects.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


# --- the schedule ----------------------------------------------------------------------------------------------------


def schedule(runs: int, seed: int, kinds: Sequence[Prepared]) -> Iterator[Plan]:
    """Every (place, kind of fault) in turn, each in some kind of run in which the place occurs."""
    rng = random.Random(seed)
    there = {place for prepared in kinds for place in prepared.counts}
    pairs = [(place, what) for place in PLACES if place in there for what in PLACES[place]]
    rng.shuffle(pairs)
    for place, what in itertools.islice(itertools.cycle(pairs), runs):
        prepared = rng.choice([p for p in kinds if place in p.counts])
        faults = [_drawn(rng, prepared, place, what)]
        if rng.random() < 0.4:
            second = rng.choice(list(prepared.counts))
            faults.append(_drawn(rng, prepared, second, rng.choice(PLACES[second])))
        yield prepared, faults, rng.random() < 0.3


def _drawn(rng: random.Random, prepared: Prepared, place: str, what: str) -> Fault:
    number = rng.randint(1, prepared.counts[place])
    if what == "power" and (prepared.kind.name == "workers" or prepared.kind.makes == "tree"):
        what = "kill"  # the power does not go off for one process; and no conversion promises to outlast it
    lasting = what not in ("kill", "power", "term", "int") and rng.random() < 0.3
    return Fault(place, number, what, lasting, 10**9 if lasting else 1)


def main() -> int:
    """Run the schedule, print figures, and exit with 1 if anything was lost, doubled, different or ugly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes that each take a share of the runs")
    parser.add_argument("--only", type=int, help="one run of the schedule, by its number")
    parser.add_argument("--kinds", help="of runs, all if not given")
    parser.add_argument("--verbose", action="store_true", help="a line a run")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    gc.disable()  # collecting would touch every page that a forked process shares
    os.environ["COLUMNS"] = "200"
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as place:
        wanted = [k for k in (*KINDS, *chaos_books.KINDS) if not options.kinds or k.name in options.kinds.split(",")]
        kinds = [prepare(kind, Path(place)) for kind in wanted]
        unreached = set(PLACES) - {name for prepared in kinds for name in prepared.counts}
        if unreached and not options.kinds:
            print(f"no kind of run comes to {', '.join(sorted(unreached))}")
            return 1
        plans = list(enumerate(schedule(options.runs, options.seed, kinds)))
        chosen = plans if options.only is None else plans[options.only : options.only + 1]
        started = time.monotonic()
        pieces = [Path(place) / f"piece {job}" for job in range(options.jobs)]
        for job, piece in enumerate(pieces):
            _in_the_background(chosen[job :: options.jobs], piece, options.verbose)
        for _ in pieces:
            os.wait()
        outcomes = sorted((o for p in pieces for o in pickle.loads((p / "outcomes").read_bytes())), key=_number)
        seconds = time.monotonic() - started
    print(report(outcomes, seconds))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def _in_the_background(plans: Sequence[tuple[int, Plan]], place: Path, verbose: bool) -> None:
    """Carry out a share of the schedule in a process of its own, which leaves what came of it in a file."""
    place.mkdir()
    if os.fork():
        return
    try:
        outcomes = []
        for number, plan in plans:
            outcomes.append(disturbed(number, plan, place))
            if outcomes[-1].problems or verbose:
                print(outcomes[-1].told(), flush=True)
        (place / "outcomes").write_bytes(pickle.dumps(outcomes))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _number(outcome: Outcome) -> int:
    return outcome.number


def report(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The figures."""
    table = Counter((f.place, f.kind) for o in outcomes for f, end in zip(o.faults, o.ends, strict=False) if end.struck)
    kinds = sorted({kind for _, kind in table}, key=lambda kind: (kind not in PLACES["write"], kind))
    rows = [["", *kinds], *([place, *(str(table[place, k] or "") for k in kinds)] for place in PLACES)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    first = Counter(o.ends[0].how for o in outcomes if o.ends[0].struck)
    by_kind = Counter(o.kind for o in outcomes)
    again = sum(len(o.ends) > 1 for o in outcomes)
    lost, duplicated, differing = (sum(o.compared[i] for o in outcomes) for i in range(3))
    struck = sum(end.struck for o in outcomes for end in o.ends)
    told = (
        f"{len(outcomes)} runs in {seconds:.0f} s ({len(outcomes) / seconds:.1f} a second), {struck} faults, "
        f"{again} runs resumed; lost {lost}, duplicated {duplicated}, differing {differing}, "
        f"with problems {sum(bool(o.problems) for o in outcomes)}"
    )
    kinds_told = "runs: " + ", ".join(f"{name} {n}" for name, n in by_kind.items())
    ends_told = "the first fault's end: " + ", ".join(f"{name} {n}" for name, n in first.most_common())
    return "\n".join([*lines, "", kinds_told, ends_told, told])


if __name__ == "__main__":
    sys.exit(main())
