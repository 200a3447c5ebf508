"""Real processes that are disturbed from outside, and whose exit codes are held against the truth.

    python tests/helpers/chaos_real.py --runs 500 --seed 1

Each run is a command as a shell starts it, with stdout and stderr in some state, and one event at a moment that is
drawn from all of its time, the loading of libraries included, or as soon as there is whom it strikes, or as soon as so
many files are there: Ctrl-C, another one, SIGTERM, SIGHUP, SIGSTOP and SIGCONT, SIGKILL of a worker, of the fork
server, of the resource tracker, of the command alone, or of all of them, also with the same command started again at
once; the same command a second time beside it; and, where strace is there, a system call that fails. What ended well
must have done its work, to the bytes of a calm run; what failed must not have done it; after what did not end well the
same command comes to the same bytes. No traceback is seen, nothing hangs, and no process is left over.
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
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import chaos_checks as checks
import chaos_commands as commands
import chaos_world as world
from chaos_commands import AUGMENT, KINDS, Kind
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
          "parent", "all", "all and again", "twice", "int at files", "all at files", "all at places", "system call",
          "system call")  # fmt: skip
AT_FILES = ("int at files", "all at files", "all at places", "system call", "system call")
FOUND = {"worker": world.workers, "workers": world.workers, "server": world.servers, "tracker": world.trackers}
SIGNALS = {
    "int": signal.SIGINT,
    "int int": signal.SIGINT,
    "int at files": signal.SIGINT,
    "term": signal.SIGTERM,
    "hup": signal.SIGHUP,
}


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
        whom = self.before.rpartition("=trace=")[2] or ("group" if self.to_group else "parent")
        return f"run {self.number}, {self.kind.name}, {self.state}, {self.event} ({whom}) at {self.moment:.2f}"

    @property
    def before(self) -> str:
        """What is before the command's words: a tracer that lets a system call fail, one of the first or a late one."""
        if self.event != "system call":
            return ""
        fault = world.FAULTS[self.number % len(world.FAULTS)]
        return world.injecting(fault, 1 + int(self.moment**3 * 60))


@dataclass
class Outcome:
    """What came of a run; ``flaws`` is what is counted, ``problems`` what is told."""

    plan: Plan
    code: int = 0
    struck: bool = False
    by_overwrite: bool = False
    flaws: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def wrong(self, what: str, told: str) -> None:
        self.flaws[what] += 1
        self.problems.append(f"{what}: {told}")


# --- what is prepared ------------------------------------------------------------------------------------------------


class World:
    """The sets that the commands read, what calm runs come to, and how long they take."""

    def __init__(self, place: Path, kinds: Sequence[Kind]) -> None:
        self.wanted: dict[str, Path] = {}
        self.seconds: dict[str, float] = {}
        self.files: dict[str, int] = {}
        self.paths = commands.sets(place, kinds)
        self._calm(place / "first", AUGMENT.format(out=self.paths["shards"], **self.paths), 0)
        with tarfile.open(self.paths["shards"] / "all-000002.tar") as tar:
            self.key = tar.getnames()[0].partition(".")[0]
        if "retry" in {kind.name for kind in kinds}:
            words = AUGMENT.format(out=self.paths["lossy"], **self.paths)
            self._calm(place / "second", words, 1, LOSING + PROGRAM, "-w 0")
        shutil.copytree(self.paths["shards"], self.paths["spoilt"])
        tar_path = self.paths["spoilt"] / "all-000001.tar"
        tar_path.write_bytes(tar_path.read_bytes()[:-700] + bytes(699) + b"x")
        for kind in kinds:
            folder = place / f"calm {kind.name}"
            commands.begin(kind, folder, self.paths)
            started = time.monotonic()
            self._calm(folder / "log", self.words(kind, folder), kind.code)
            self.seconds[kind.name] = time.monotonic() - started
            self.wanted[kind.name] = kind.out(folder)
            self.files[kind.name] = len(checks.files_of(kind.out(folder)))
        if "retry" in self.wanted:
            self.wanted["retry"] = self.paths["shards"]

    def words(self, kind: Kind, folder: Path) -> str:
        return kind.words.format(out=shlex.quote(str(kind.out(folder))), key=self.key, **self.paths)

    def is_done(self, kind: Kind, folder: Path) -> bool | None:
        return checks.is_done(kind.makes, kind.out(folder), self.wanted[kind.name])

    def _calm(self, log: Path, words: str, code: int, program: str = PROGRAM, more: str = "") -> None:
        log.mkdir(parents=True)
        run = Run(log, f"{words} {more}", "calm", program)
        if not run.ended() or run.process.returncode != code:
            raise SystemExit(f"calm, and yet {run.process.returncode}: {words}\n{run.text()}")


# --- the event -------------------------------------------------------------------------------------------------------


def strike(run: Run, plan: Plan) -> bool:
    """Let the event happen; whether anybody was there to be struck."""
    pid = run.process.pid
    if run.process.poll() is not None or plan.event in ("none", "twice", "system call"):
        return False
    if plan.event in SIGNALS:
        for _ in range(plan.event.count("int") or 1):
            _send(pid, SIGNALS[plan.event], to_group=plan.to_group)
            time.sleep(0.05)
    elif plan.event == "stop":
        _send(pid, signal.SIGSTOP, to_group=plan.to_group)
        time.sleep(0.3)
        _send(pid, signal.SIGCONT, to_group=plan.to_group)
    elif plan.event.startswith("all"):
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
    kind, outcome, folder = plan.kind, Outcome(plan), place / f"run {plan.number}"
    commands.begin(kind, folder, all_.paths)
    run = Run(folder, all_.words(kind, folder), plan.state, before=plan.before)
    if plan.event in AT_FILES:
        share = 1.0 if plan.event == "all at places" else plan.moment
        while run.process.poll() is None and not commands.has_begun(
            kind, kind.out(folder), share, all_.files[kind.name]
        ):
            time.sleep(0.001)
    elif plan.event not in FOUND:
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(plan.moment * all_.seconds[kind.name])
    outcome.struck = strike(run, plan)
    again = None
    if plan.event in ("all and again", "twice"):
        (folder / "again").mkdir()
        again = Run(folder / "again", all_.words(kind, folder), "calm")
    if not run.ended():
        outcome.wrong("hung", run.text()[-300:])
    if left := run.leaves():
        outcome.wrong("left over", f"{left}")
        run.kill()
    outcome.code = run.process.returncode
    if again is None:
        hold(outcome, run.text(), all_.is_done(kind, folder))
    else:
        _hold_both(outcome, run, again, lambda: all_.is_done(kind, folder))
    for problem in checks.at_any_time(kind.makes, kind.out(folder)):
        outcome.wrong("half written", problem)
    _go_on(outcome, folder, all_)
    shutil.rmtree(folder)
    return outcome


def _hold_both(outcome: Outcome, run: Run, again: Run, is_done: Callable[[], bool | None]) -> None:
    """Two of one command: where none was killed, one of them does the work, and the other does it too or is refused."""
    _check_words(outcome, run.text(), outcome.code)
    if not again.ended():
        outcome.wrong("hung", again.text()[-300:])
    _check_words(outcome, again.text(), again.process.returncode)
    codes = {outcome.code, again.process.returncode}
    lost_print = outcome.plan.kind.printed and outcome.plan.state == "stdout full"
    reader_gone = outcome.plan.kind.name == "plan" and outcome.plan.state == "stdout closed"
    if outcome.plan.event != "twice" or lost_print or reader_gone:
        return
    if is_done() is False or outcome.plan.kind.code not in codes or codes - {0, 1, 2}:
        outcome.wrong("lying", f"{codes} of two: {run.text()[-300:]} {again.text()[-300:]}")


def hold(outcome: Outcome, text: str, done: bool | None) -> None:
    """The exit code, and what was said, against the truth: whether the work is done, if it makes anything."""
    plan, code = outcome.plan, outcome.code
    _check_words(outcome, text, code)
    asked = {SIGNALS[plan.event]} if plan.event in SIGNALS else set()
    if plan.event == "parent" or plan.event.startswith("all"):
        asked = {signal.SIGKILL}
    if plan.kind.name == "plan" and plan.state == "stdout closed":
        asked.add(signal.SIGPIPE)
    if code < 0:
        if -code not in asked:
            outcome.wrong("lying", f"ended by {-code}, which nobody sent: {text[-200:]}")
        return
    if plan.event == "system call":  # may fail the work, also of what only looks, or a print
        if (
            code not in (0, 1, 2)
            or (code == 0 and (done is False or plan.kind.code))
            or (code and done and "printed" not in text)
        ):
            outcome.wrong("lying", f"{code}, done: {done}: {text[-300:]}")
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
    """After the event the same command comes to what a calm one comes to; or the one that its refusal names."""
    kind, out = outcome.plan.kind, outcome.plan.kind.out(folder)
    if not kind.makes:
        return
    asked = outcome.plan.event in SIGNALS and outcome.plan.event != "int int"
    if kind.makes == "tree" and asked and out.exists() and not all_.is_done(kind, folder):
        outcome.wrong("half written", f"{sorted(checks.files_of(out))[:3]}")
    more = ""
    for attempt in range(4):
        if all_.is_done(kind, folder) and not (checks.shards_of(kind.makes, out) / ".augpipe").exists():
            break  # one that was killed after its last file leaves a lock, which goes with the next call
        (log := folder / f"on {attempt}").mkdir()
        lossy = commands.is_lossy(kind, folder)
        words = f"retry {shlex.quote(str(out))} -w 0" if lossy else all_.words(kind, folder) + more
        on = Run(log, words, "calm")
        refused = on.ended() and on.process.returncode == 2 and checks.WAY_OUT in on.text()
        if refused and kind.makes == "tree" and not more:
            more = " --overwrite"
            outcome.by_overwrite = True
        elif on.process.returncode not in (0, 1):
            outcome.wrong("does not go on", f"{on.process.returncode}: {on.text()[-300:]}")
            return
    else:
        outcome.wrong("does not go on", "after four calls")
        return
    for what, told, count in checks.unlike(kind.makes, out, all_.wanted[kind.name]):
        outcome.problems.append(f"{what}: {told}")
        outcome.flaws[what] += count


# --- the schedule ----------------------------------------------------------------------------------------------------


def schedule(runs: int, seed: int, kinds: Sequence[Kind] = KINDS, events: Sequence[str] = EVENTS) -> Iterator[Plan]:
    """Kinds and events in turn, states and moments drawn."""
    rng = random.Random(seed)
    can_inject = world.can_inject()
    pairs = [
        (kind, event)
        for kind in kinds
        for event in events
        if (event != "system call" or can_inject)
        and (kind.server or event not in ("server", "tracker"))
        and (kind.in_folder or event not in AT_FILES)
    ]
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
    parser.add_argument("--events", default=",".join(dict.fromkeys(EVENTS)), help="all if not given")
    parser.add_argument("--kinds", default=",".join(kind.name for kind in KINDS), help="of commands, all if not given")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name in options.kinds.split(",")]
    events = [event for event in EVENTS if event in options.events.split(",")]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has jobs in the background ignore it
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(options.jobs) as jobs:
        all_ = World(Path(place), kinds)
        plans = [p for p in schedule(options.runs, options.seed, kinds, events) if options.only in (None, p.number)]
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
        f"commands: {json.dumps(Counter(o.plan.kind.name for o in outcomes))}",
        f"exit codes: {json.dumps(codes)}; went on by --overwrite: {sum(o.by_overwrite for o in outcomes)}",
        f"{len(outcomes)} real runs in {seconds:.0f} s; "
        + ", ".join(f"{name} {flaws[name]}" for name in names)
        + (f"; {others}" if others else ""),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
