"""Runs from servers that fail again and again, and what must hold of them.

    python tests/helpers/chaos_servers.py --runs 100 --seed 1

The sources are archives, a JSON with its pictures, and tar shards on a web server, and a folder and an archive in a
bucket (moto, behind the same server). Of the requests of a run a share, drawn for the run, gets a fault: the connection
is dropped, the body is cut in half, or the answer is 500, 503, or 429, with and without a time to wait. A run may then
end in one or two lines, or go on with rejects that may pass; shards with a record are whole at any time. With a server
that is calm again the same command, and `retry` where pictures were lost, must come to the bytes of an undisturbed run.

No clock decides anything: pauses are counted and not slept.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import datasets
import s3fs
from chaos import _transient, compared, final_problems, problems_at_once
from moto.server import ThreadedMotoServer
from packing import packed
from runs import run
from web import Web, serving

from augpipe.core.errors import AugpipeError
from augpipe.run.config import Execution
from augpipe.run.retry import retry
from augpipe.storage import remote

FAULTS = ("drop", "cut", "500", "503", "429", "busy 503 0 1", "busy 429 2 1")
SOURCES = ("{web}/voc.zip", "{web}/voc.tar", "{web}/coco.zip", "{web}/coco/annotations/instances.json",
           "{web}/shards/all-{{000000..000002}}.tar", "s3://data/VOC2012/", "s3://data/voc.zip")  # fmt: skip
PICTURES_APART = SOURCES[3]
_MOST_CALLS = 6


class Disturbance:
    """Gives a share of the requests a fault, by drawn numbers alone; ``struck`` counts them."""

    worse = False
    """Only pictures, and only 503: what indexes a source would end the run before a picture is lost."""

    def __init__(self, seed: int, share: float) -> None:
        self._rng, self._share, self.struck = random.Random(seed), share, Counter[str]()

    def __call__(self, path: str) -> str:
        if self.worse and not path.endswith(".jpg"):
            return ""
        if self._rng.random() >= self._share:
            return ""
        fault = "503" if self.worse else self._rng.choice(FAULTS)
        self.struck[fault] += 1
        return fault


@dataclass
class Outcome:
    """What came of one run of the schedule."""

    number: int
    source: str
    struck: Counter[str]
    ends: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    compared: tuple[int, int, int] = (0, 0, 0)


@contextmanager
def places(folder: Path) -> Iterator[tuple[Web, Web]]:
    """The web server, and the one before the bucket."""
    site = folder / "site"
    voc = datasets.make_voc(folder / "voc", 6)
    packed(voc, site / "voc.tar", "VOC2012/")
    packed(voc, site / "voc.zip", "VOC2012/")
    packed(datasets.make_coco(site / "coco", 6), site / "coco.zip")
    run(voc, site / "shards", sources_per_shard=2, copies=1, recipe="detection")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with serving(site) as web, serving(site, upstream=f"{host}:{port}") as bucket:
        for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
            os.environ[f"AWS_{name}"] = value
        os.environ["AWS_ENDPOINT_URL"] = bucket.url
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="data")
        for path in (p for p in voc.rglob("*") if p.is_file()):
            client.put_object(Bucket="data", Key=f"VOC2012/{path.relative_to(voc).as_posix()}", Body=path.read_bytes())
        client.put_object(Bucket="data", Key="voc.zip", Body=(site / "voc.zip").read_bytes())
        client.close()
        yield web, bucket
    server.stop()


def one_call(source: str, folder: Path, again: bool) -> str:
    """``done``, the error's lines, or a traceback of what is no error of ours."""
    try:
        if again:
            retry(folder, execution=Execution(workers=0))
        else:
            run(source, folder, seed=7, copies=2, sources_per_shard=2, max_rejects="100%")
    except AugpipeError as error:
        return str(error)
    except BaseException:
        return traceback.format_exc()
    return "done"


def disturbed(number: int, source: str, servers: tuple[Web, Web], seed: int, wanted: Path, folder: Path) -> Outcome:
    """One run from servers that fail, and on from calm ones until it is finished."""
    rng = random.Random(seed * 1_000_003 + number)
    disturbance = Disturbance(rng.randrange(1 << 30), rng.choice([0.1, 0.4, 0.7, 0.9]))
    outcome = Outcome(number, source, disturbance.struck)
    for server in servers:
        server.disturb, server.faults = disturbance, {}
    for attempt in range(_MOST_CALLS):
        again = (folder / "manifest.json").exists()
        remote._windows.clear()
        end = one_call(source.format(web=servers[0].url), folder, again)
        outcome.ends.append(end.splitlines()[0][:200])
        if "Traceback" in end or len(end.splitlines()) > 2:
            outcome.problems.append(" ... ".join(end.strip().splitlines()[-3:]))
        outcome.problems += problems_at_once(folder, "")
        outcome.problems += [f"lost for good: {row}" for row in _transient(folder) if not row["transient"]]
        if (folder / "manifest.json").exists() and not _transient(folder):
            break
        if attempt >= rng.randint(0, 1):
            for server in servers:
                server.disturb, server.faults = None, {}
    else:
        outcome.problems.append(f"not finished after {_MOST_CALLS} calls: {outcome.ends[-1]}")
    outcome.problems += final_problems(folder, wanted)
    if outcome.problems and folder.is_dir():
        outcome.compared = compared(folder, wanted)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def outcomes_of(runs: int, seed: int, place: Path) -> list[Outcome]:
    """The schedule: every source in turn."""
    remote._PAUSE_SECONDS, remote._sleep, s3fs.S3FileSystem.retries = 0.01, lambda seconds: None, 1
    found = []
    with places(place) as servers:
        wanted = {}
        for number in range(runs):
            source = PICTURES_APART if Disturbance.worse else SOURCES[number % len(SOURCES)]
            if source not in wanted:
                wanted[source] = place / "wanted" / str(len(wanted)) / "out"
                for server in servers:
                    server.disturb, server.faults = None, {}
                end = one_call(source.format(web=servers[0].url), wanted[source], False)
                if end != "done":
                    raise SystemExit(f"{source}: undisturbed, and yet {end}")
            found.append(disturbed(number, source, servers, seed, wanted[source], place / "out"))
    return found


def report(outcomes: list[Outcome]) -> str:
    """The figures."""
    struck = sum((o.struck for o in outcomes), Counter[str]())
    ends = Counter("done" if o.ends[0] == "done" else "an error" for o in outcomes)
    lost, duplicated, differing = (sum(o.compared[i] for o in outcomes) for i in range(3))
    told = (
        f"{len(outcomes)} runs from servers, {struck.total()} faults, {sum(len(o.ends) > 1 for o in outcomes)} runs "
        f"resumed; lost {lost}, duplicated {duplicated}, differing {differing}, "
        f"with problems {sum(bool(o.problems) for o in outcomes)}"
    )
    faults = ", ".join(f"{fault.replace('busy', 'wait:')} {struck[fault]}" for fault in FAULTS)
    first = ", ".join(f"{end} {n}" for end, n in ends.most_common())
    return f"faults: {faults}\nthe first end: {first}\n{told}"


def main() -> int:
    """Run the schedule, print figures, and exit with 1 if anything was lost, doubled, different or ugly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worse", action="store_true", help="take 503 for 'not there', to see that it is found")
    options = parser.parse_args()
    if options.worse:
        remote._GONE = (*remote._GONE, 503)  # type: ignore[assignment]
        Disturbance.worse = True
    with tempfile.TemporaryDirectory() as place:
        outcomes = outcomes_of(options.runs, options.seed, Path(place))
    for outcome in (o for o in outcomes if o.problems):
        print(f"run {outcome.number}, {outcome.source}: {outcome.ends}", *outcome.problems, sep="\n    ")
    print(report(outcomes))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
