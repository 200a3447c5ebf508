"""Real processes that are disturbed from outside, and whose exit codes are held against the truth.

    python tests/helpers/chaos_real.py --runs 500 --seed 1

Each run is a command as a shell starts it, with stdout and stderr in some state, and one event at a moment that is
drawn from all of its time, the loading of libraries included, or as soon as there is whom it strikes: Ctrl-C, another
one, SIGTERM, SIGHUP, SIGSTOP and SIGCONT, SIGKILL of a worker, of the fork server, of the resource tracker, of the
command alone, or of all of them with the same command started again at once. What ended well must have done its work,
to the bytes of a calm run; what failed must not have done it; after what did not end well the same command comes to
the same bytes. No traceback is seen, nothing hangs, and no process is left over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import chaos_world as world
import datasets
from chaos import compared, final_problems, problems_at_once
from chaos_world import PROGRAM, STATES, Run

LOSING = """
from augpipe.run import task
real = task.read_picture
def scarce(entry):
    if entry.key in ("img_002.jpg", "img_005.jpg"):
        raise MemoryError
    return real(entry)
task.read_picture = scarce
"""
EVENTS = ("none", "int", "int", "int int", "term", "hup", "stop", "worker", "worker", "workers", "server", "tracker",
          "parent", "all", "all and again")  # fmt: skip
FOUND = {"worker": world.workers, "workers": world.workers, "server": world.servers, "tracker": world.trackers}
SIGNALS = {"int": signal.SIGINT, "int int": signal.SIGINT, "term": signal.SIGTERM, "hup": signal.SIGHUP}


@dataclass(frozen=True)
class Kind:
    """A command: its words, the exit code of the calm one, and whether it may be killed and called again."""

    name: str
    words: str
    code: int = 0
    printed: bool = False
    makes: str = ""  # shards, a tree, or a file; nothing for commands that only look

    @property
    def server(self) -> bool:
        return self.makes == "shards"


KINDS = (
    Kind("augment", "augment {voc} {out} -r gentle -n 30 --seed 7 -w 3 --sources-per-shard 1", makes="shards"),
    Kind("augment alone", "augment {voc} {out} -r gentle -n 15 --seed 7 -w 0 --sources-per-shard 1", makes="shards"),
    Kind("retry", "retry {out} -w 2", makes="shards"),
    Kind("convert", "convert voc-to-coco {voc} {out} -w 2", makes="tree"),
    Kind("verify", "verify {shards} --against {voc} -w 2"),
    Kind("verify damaged", "verify {spoilt} -w 2", code=1),
    Kind("inspect", "inspect {voc} -w 2", printed=True),
    Kind("preview", "preview {voc} -r gentle -o {out}.png --limit 4", makes="file"),
)


@dataclass(frozen=True)
class Plan:
    """One run of the schedule; ``moment`` is a share of the time that a calm one takes."""

    number: int
    kind: Kind
    state: str
    event: str
    moment: float
    to_group: bool

    def __str__(self) -> str:
        whom = "group" if self.to_group else "parent"
        return f"run {self.number}, {self.kind.name}, {self.state}, {self.event} ({whom}) at {self.moment:.2f}"


@dataclass
class Outcome:
    """What came of a run; ``flaws`` is what is counted, ``problems`` what is told."""

    plan: Plan
    code: int = 0
    struck: bool = False
    flaws: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def wrong(self, what: str, told: str) -> None:
        self.flaws[what] += 1
        self.problems.append(f"{what}: {told}")


# --- what is prepared ------------------------------------------------------------------------------------------------


class World:
    """The sets that the commands read, what calm runs come to, and how long they take."""

    def __init__(self, place: Path, kinds: Sequence[Kind]) -> None:
        self.place, self.wanted, self.seconds = place, {}, {}  # type: ignore[var-annotated]
        self.paths = {name: place / name for name in ("voc", "shards", "spoilt", "lossy")}
        datasets.make_voc(self.paths["voc"], 8)
        base = KINDS[0].words
        self._calm(place / "first", base.format(out=self.paths["shards"], **self.paths), 0)
        if "retry" in {kind.name for kind in kinds}:
            self._calm(
                place / "second", base.format(out=self.paths["lossy"], **self.paths), 1, LOSING + PROGRAM, "-w 0"
            )
        shutil.copytree(self.paths["shards"], self.paths["spoilt"])
        tar = self.paths["spoilt"] / "all-000001.tar"
        tar.write_bytes(tar.read_bytes()[:-700] + bytes(699) + b"x")
        for kind in kinds:
            folder = place / f"calm {kind.name}"
            self.begin(kind, folder)
            started = time.monotonic()
            self._calm(folder / "log", self.words(kind, folder), kind.code)
            self.seconds[kind.name] = time.monotonic() - started
            self.wanted[kind.name] = folder / "out"
        self.wanted["retry"] = self.paths["shards"]

    def begin(self, kind: Kind, folder: Path) -> None:
        folder.mkdir()
        if kind.name == "retry":
            shutil.copytree(self.paths["lossy"], folder / "out")

    def words(self, kind: Kind, folder: Path) -> str:
        return kind.words.format(out=shlex.quote(str(folder / "out")), **self.paths)

    def _calm(self, log: Path, words: str, code: int, program: str = PROGRAM, more: str = "") -> None:
        log.mkdir(parents=True)
        run = Run(log, f"{words} {more}", "calm", program)
        if not run.ended() or run.process.returncode != code:
            raise SystemExit(f"calm, and yet {run.process.returncode}: {words}\n{run.text()}")


# --- the event -------------------------------------------------------------------------------------------------------


def strike(run: Run, plan: Plan) -> bool:
    """Let the event happen; whether anybody was there to be struck."""
    pid = run.process.pid
    if run.process.poll() is not None or plan.event == "none":
        return False
    if plan.event in SIGNALS:
        for _ in plan.event.split():
            _send(pid, SIGNALS[plan.event], to_group=plan.to_group)
            time.sleep(0.05)
    elif plan.event == "stop":
        _send(pid, signal.SIGSTOP, to_group=plan.to_group)
        time.sleep(0.3)
        _send(pid, signal.SIGCONT, to_group=plan.to_group)
    elif plan.event in ("all", "all and again"):
        _send(pid, signal.SIGKILL, to_group=True)
    elif plan.event == "parent":
        _send(pid, signal.SIGKILL, to_group=False)
    else:
        while not FOUND[plan.event](pid) and run.process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.3 * plan.moment)
        found = FOUND[plan.event](pid)[: 1 if plan.event == "worker" else None]
        for each in found:
            _send(each, signal.SIGKILL, to_group=False)
        return bool(found)
    return True


def _send(pid: int, number: signal.Signals, *, to_group: bool) -> None:
    with suppress(ProcessLookupError):
        (os.killpg if to_group else os.kill)(pid, number)


# --- what must hold --------------------------------------------------------------------------------------------------


def disturbed(plan: Plan, all_: World, place: Path) -> Outcome:
    """One run with its event, and on until its work is done."""
    outcome, folder = Outcome(plan), place / f"run {plan.number}"
    all_.begin(plan.kind, folder)
    run = Run(folder, all_.words(plan.kind, folder), plan.state)
    if plan.event not in FOUND:
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(plan.moment * all_.seconds[plan.kind.name])
    outcome.struck = strike(run, plan)
    again = None
    if plan.event == "all and again":
        (folder / "again").mkdir()
        again = Run(folder / "again", all_.words(plan.kind, folder), "calm")
    if not run.ended():
        outcome.wrong("hung", run.text()[-300:])
    if left := run.leaves():
        outcome.wrong("left over", f"{left}")
        run.kill()
    outcome.code = run.process.returncode
    hold(outcome, run.text(), done=_is_done(plan.kind, folder, all_) if again is None else None)
    if again is not None:
        if not again.ended():
            outcome.wrong("hung", again.text()[-300:])
        _check_words(outcome, again.text(), again.process.returncode)
    _go_on(outcome, folder, all_)
    shutil.rmtree(folder)
    return outcome


def _is_done(kind: Kind, folder: Path, all_: World) -> bool | None:
    """Whether the work of a command is done; ``None`` for one that makes nothing."""
    out = folder / "out"
    if kind.makes == "shards":
        rejects = out / "rejects.jsonl"
        return (out / "manifest.json").exists() and rejects.exists() and not rejects.read_text()
    if kind.makes == "tree":
        return (out / "annotations").is_dir() or (out / "instances.json").exists() or out.is_dir()
    return out.with_suffix(".png").exists() if kind.makes == "file" else None


def hold(outcome: Outcome, text: str, done: bool | None) -> None:
    """The exit code, and what was said, against the truth: whether the work is done, if it makes anything."""
    plan, code = outcome.plan, outcome.code
    _check_words(outcome, text, code)
    asked = {SIGNALS[plan.event]} if plan.event in SIGNALS else set()
    if plan.event in ("all", "parent", "all and again"):
        asked = {signal.SIGKILL}
    if code < 0:
        if -code not in asked:
            outcome.wrong("lying", f"ended by {-code}, which nobody sent: {text[-200:]}")
        return
    lost_print = plan.kind.printed and plan.state == "stdout full"
    if code == 0 and (done is False or plan.kind.code or lost_print):
        outcome.wrong("lying", f"0, and it is not done: {text[-200:]}")
    if code == 1 and (done or (done is None and not plan.kind.code and not lost_print)):
        outcome.wrong("lying", f"1, and nothing is wrong: {text[-300:]}")
    if code > 1:
        outcome.wrong("lying", f"{code}, of a command that can work: {text[-300:]}")


def _check_words(outcome: Outcome, text: str, code: int) -> None:
    """No traceback, but of Python itself that is interrupted before its first line of ours."""
    if "please report" in text:
        outcome.wrong("please report", text[-300:])
    begun = "/cli/" in text or "/augpipe/core" in text or "/augpipe/run" in text
    if "Traceback" in text and (begun or code not in (-signal.SIGINT, 1) or "KeyboardInterrupt" not in text):
        outcome.wrong("traceback", text[-600:])


def _go_on(outcome: Outcome, folder: Path, all_: World) -> None:
    """After the event the same command comes to what a calm one comes to."""
    kind, out = outcome.plan.kind, folder / "out"
    if not kind.makes:
        return
    if kind.makes == "shards":
        for problem in problems_at_once(out, ""):
            outcome.wrong("half written", problem)
    for attempt in range(4):
        if _is_done(kind, folder, all_):
            break
        (log := folder / f"on {attempt}").mkdir()
        lossy = kind.makes == "shards" and (out / "rejects.jsonl").exists()
        words = f"retry {shlex.quote(str(out))} -w 0" if lossy else all_.words(kind, folder)
        on = Run(log, words, "calm")
        if not on.ended() or on.process.returncode not in (0, 1):
            outcome.wrong("does not go on", f"{on.process.returncode}: {on.text()[-300:]}")
            return
    else:
        outcome.wrong("does not go on", "after four calls")
        return
    wanted = all_.wanted[kind.name]
    if kind.makes == "shards":
        for problem in final_problems(out, wanted):
            outcome.wrong("not the same", problem)
        for what, count in zip(("lost", "doubled", "differing"), compared(out, wanted), strict=True):
            outcome.flaws[what] += count
    elif _files(out if out.exists() else out.parent) != _files(wanted if wanted.exists() else wanted.parent):
        outcome.wrong("differing", f"{out} from {wanted}")


def _files(folder: Path) -> dict[str, bytes]:
    inside = folder.name == "out"
    paths = [p for p in folder.rglob("*") if p.is_file() and (inside or p.suffix == ".png")]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


# --- the schedule ----------------------------------------------------------------------------------------------------


def schedule(runs: int, seed: int, kinds: Sequence[Kind] = KINDS) -> Iterator[Plan]:
    """Kinds and events in turn, states and moments drawn."""
    rng = random.Random(seed)
    pairs = [(kind, event) for kind in kinds for event in EVENTS if kind.server or event not in ("server", "tracker")]
    chosen: list[tuple[Kind, str]] = []
    while len(chosen) < runs:
        rng.shuffle(pairs)
        chosen += pairs
    for number, (kind, event) in enumerate(chosen[:runs]):
        state = rng.choice(list(STATES)) if rng.random() < 0.7 else "calm"
        moment = rng.uniform(0.0, 0.4) if rng.random() < 0.3 else rng.uniform(0.2, 1.0)
        yield Plan(number, kind, state, event, moment, rng.random() < 0.5)


def main() -> int:
    """Run the schedule, print figures, and exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--only", type=int, help="one run of the schedule, by its number")
    parser.add_argument("--kinds", default=",".join(kind.name for kind in KINDS), help="of commands, all if not given")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name in options.kinds.split(",")]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has jobs in the background ignore it
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(options.jobs) as jobs:
        all_ = World(Path(place), kinds)
        plans = [p for p in schedule(options.runs, options.seed, kinds) if options.only in (None, p.number)]
        started, outcomes = time.monotonic(), []
        for outcome in jobs.map(lambda plan: disturbed(plan, all_, Path(place)), plans):
            outcomes.append(outcome)
            if outcome.problems:
                print("\n    ".join([f"{outcome.plan}: {outcome.code}", *outcome.problems]), flush=True)
        seconds = time.monotonic() - started
    print(report(outcomes, seconds))
    return 1 if any(o.problems or +o.flaws for o in outcomes) else 0


def report(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The figures."""
    flaws = sum((o.flaws for o in outcomes), Counter[str]())
    struck = Counter(o.plan.event for o in outcomes if o.struck)
    codes = Counter(o.code for o in outcomes)
    names = ("lost", "doubled", "differing", "lying", "please report", "traceback", "hung", "left over")
    others = {name: count for name, count in flaws.items() if name not in names and count}
    return "\n".join([
        f"struck: {json.dumps(struck)}",
        f"states: {json.dumps(Counter(o.plan.state for o in outcomes))}",
        f"exit codes: {json.dumps(codes)}",
        f"{len(outcomes)} real runs in {seconds:.0f} s; "
        + ", ".join(f"{name} {flaws[name]}" for name in names)
        + (f"; {others}" if others else ""),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
