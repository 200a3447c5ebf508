"""Whole conversions beside those of globox, Datumaro and supervision: time, memory, and whether a known box is right.

    python benchmarks/convert.py /tmp/large [--pictures 20000] [--rounds 5] [--peers DIR] [--only voc-to-coco]

Every run is a process of its own, from its start to its end, on the same input, and the tools take turns, so that what
else the machine does falls on all of them. A first turn warms the caches and is watched for memory, which takes time
that is not counted; who takes more than half a minute has only that one. Each run writes to a folder of its own, as
creating files where many were deleted just now takes longer. Each tool lives in a virtual environment below
``--peers``, made on the first call; one that cannot be installed or fails is a row that says so.

- ``voc-to-coco``: an XML and a picture each, five objects, VOC's twenty classes. augpipe also reads every picture's
  header, to tell sizes that do not agree; the others take the XML at its word, or decode the picture.
- ``coco-to-yolo``: the same pictures and boxes as a JSON, with polygons, and no picture files. All write rows of boxes.

The memory is that of all processes of a tool together: the most that was seen of their proportional set sizes, in
which a page that two of them share counts once. The first picture has a box from pixel 1 to 10, inclusive, both ways.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))

from convert_peers import CODE  # noqa: E402
from survey import boxes, jpeg  # noqa: E402

PEERS = ("globox", "datumaro", "supervision")
TWENTY = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
OBJECTS = 5
GOALS = {"globox": 3.0, "datumaro": 5.0}
PAIRS = ("voc-to-coco", "coco-to-yolo")
RIGHT = [0.0, 0.0, 10.0, 10.0]
_POLL = 0.05
_LIMIT = 120.0  # seconds, after which a run is stopped
_PATIENCE = 30.0  # seconds; what takes longer runs once

# --- input -----------------------------------------------------------------------------------------------------------


def make(folder: Path, pictures: int) -> None:
    """The same boxes as Pascal VOC and as COCO."""
    voc, coco = folder / "voc", folder / "coco"
    for path in (voc / "Annotations", voc / "JPEGImages", voc / "ImageSets" / "Main", coco / "annotations"):
        path.mkdir(parents=True)
    (coco / "images").mkdir()
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for i in range(pictures):
        rng, size = random.Random(i), (500, 375) if i % 3 else (375, 500)
        name = f"{i:06d}.jpg"
        found = [(0, 0, 10, 10), *boxes(rng, size, OBJECTS - 1)] if i == 0 else boxes(rng, size, OBJECTS)
        labels = [rng.randrange(len(TWENTY)) for _ in found]
        (voc / "Annotations" / f"{i:06d}.xml").write_text(xml_of(name, size, labels, found))
        (voc / "JPEGImages" / name).write_bytes(jpeg(size, i))
        images.append({"id": i + 1, "file_name": name, "width": size[0], "height": size[1]})
        for label, (x0, y0, x1, y1) in zip(labels, found, strict=True):
            ring = [x0, y0, x1, y0, x1, y1, (x0 + x1) / 2, y1, x0, y1]
            area = (x1 - x0) * (y1 - y0)
            rows.append({"id": len(rows) + 1, "image_id": i + 1, "category_id": label + 1, "iscrowd": 0, "area": area,
                         "bbox": [x0, y0, x1 - x0, y1 - y0], "segmentation": [ring]})  # fmt: skip
    (voc / "ImageSets" / "Main" / "train.txt").write_text("".join(f"{i:06d}\n" for i in range(pictures)))
    categories = [{"id": k + 1, "name": name, "supercategory": "thing"} for k, name in enumerate(TWENTY)]
    document = {"info": {}, "licenses": [], "images": images, "annotations": rows, "categories": categories}
    (coco / "annotations" / "instances_train.json").write_text(json.dumps(document))


def xml_of(name: str, size: tuple[int, int], labels: list[int], found: list[tuple[int, int, int, int]]) -> str:
    """As LabelImg writes it."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{TWENTY[label]}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{x0 + 1}</xmin>\n\t\t\t<ymin>{y0 + 1}</ymin>\n"
        f"\t\t\t<xmax>{x1}</xmax>\n\t\t\t<ymax>{y1}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for label, (x0, y0, x1, y1) in zip(labels, found, strict=True)
    )
    return (
        f"<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{name}</filename>\n\t<source>\n"
        f"\t\t<database>Unknown</database>\n\t</source>\n\t<size>\n\t\t<width>{size[0]}</width>\n"
        f"\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
        f"{objects}</annotation>\n"
    )


# --- one run ---------------------------------------------------------------------------------------------------------


@dataclass
class Tool:
    """A tool, what starts it, and what came of its runs. ``trouble`` says why there are none."""

    name: str
    python: Path
    version: str = ""
    trouble: str = ""
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    megabytes: int = 0
    largest: int = 0
    is_slow: bool = False
    box: list[float] | None = None


def command_of(tool: Tool, pair: str, source: Path, target: Path) -> list[str]:
    if tool.name.startswith("augpipe"):
        kind = ["--kind", "detect"] if pair == "coco-to-yolo" else []
        workers = ["--workers", "0"] if tool.name.endswith("one process") else []
        out = target / "out.json" if pair == "voc-to-coco" else target
        script = Path(sys.executable).with_name("augpipe")
        return [str(script), "convert", pair, str(source), str(out), "--split", "train", *kind, *workers]
    code = CODE[tool.name, pair].format(src=str(source), dst=str(target), classes=list(TWENTY))
    return [str(tool.python), "-c", code]


@dataclass(frozen=True)
class Run:
    """Seconds, CPU seconds of all processes, and where it was watched the most MB of all together, and of one."""

    seconds: float
    cpu_seconds: float
    megabytes: float = 0.0
    largest: float = 0.0


def run(command: list[str], log: Path, watched: bool) -> Run:
    """A whole process; what it says goes to ``log``.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles the libraries anew for each call
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(log, "wb") as words:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=words, stderr=subprocess.STDOUT, env=environment, cwd=log.parent)
        late = threading.Timer(_LIMIT, process.kill)
        late.start()
        megabytes, largest = _watch(process) if watched else (0.0, 0.0)
        process.wait()
        seconds = time.perf_counter() - started
        late.cancel()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if seconds > _LIMIT:
        raise RuntimeError(f"not done after {_LIMIT:.0f} s")
    if process.returncode:
        last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise RuntimeError(f"exit code {process.returncode}: {' '.join(last)[:200]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu, megabytes, largest)


def _watch(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """(most MB of all its processes together, most of one) until it ends."""
    most, peaks = 0.0, dict[int, float]()
    while process.poll() is None:
        tree = [process.pid, *descendants(process.pid)]
        most = max(most, sum(_kilobytes(pid, "smaps_rollup", "Pss:") for pid in tree) / 1024)
        for pid in tree:
            peaks[pid] = max(peaks.get(pid, 0.0), _kilobytes(pid, "status", "VmHWM:") / 1024)
        time.sleep(_POLL)
    return most, max(peaks.values(), default=0.0)


def descendants(pid: int) -> list[int]:
    """All processes below one, whoever started them."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, level = list[int](), [pid]
    while level:
        level = [child for parent in level for child in parents.get(parent, ())]
        found += level
    return found


def _kilobytes(pid: int, file: str, name: str) -> float:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0.0)


# --- whether it is right ---------------------------------------------------------------------------------------------


def known_box(pair: str, target: Path) -> list[float] | None:
    """[x, y, width, height] in pixels: of the first picture's boxes the one that is nearest to what is right."""
    found = _coco_boxes(target) if pair == "voc-to-coco" else _yolo_boxes(target)
    rounded = [[round(v, 3) + 0.0 for v in box] for box in found]
    return min(rounded, key=lambda box: sum(abs(a - b) for a, b in zip(box, RIGHT, strict=True)), default=None)


def _coco_boxes(target: Path) -> list[list[float]]:
    document = json.loads(min(target.rglob("*.json")).read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in document["images"]}
    return [row["bbox"] for row in document["annotations"] if names[row["image_id"]] == "000000"]


def _yolo_boxes(target: Path) -> list[list[float]]:
    w, h = 375, 500
    lines = min(target.rglob("000000.txt")).read_text().splitlines()
    rows = (map(float, line.split()[1:5]) for line in lines)
    return [[(cx - bw / 2) * w, (cy - bh / 2) * h, bw * w, bh * h] for cx, cy, bw, bh in rows]


# --- tools -----------------------------------------------------------------------------------------------------------


def installed(name: str, folder: Path) -> Tool:
    """A peer in a virtual environment of its own."""
    place = folder / name
    python = place / "bin" / "python"
    tool = Tool(name, python)
    if not python.exists():
        venv.create(place, with_pip=True)
    ask = [str(python), "-c", f"from importlib.metadata import version; print(version({name!r}))"]
    for attempt in (0, 1):
        found = subprocess.run(ask, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            tool.version = found.stdout.strip()
            return tool
        if attempt == 0:
            pip = [str(python), "-m", "pip", "install", "--quiet", name]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode:
                tool.trouble = f"not installed: {done.stderr.strip().splitlines()[-1][:150]}"
                return tool
    tool.trouble = "not installed"
    return tool


def measure(pair: str, tools: list[Tool], folder: Path, rounds: int, say: Callable[[str], None]) -> None:
    """Turn by turn, the first of them watched; a tool that fails is left out from then on."""
    source = folder / pair.partition("-")[0]
    for number in range(rounds + 1):
        for tool in (t for t in tools if not t.trouble and not (number and t.is_slow)):
            target = folder / "out" / f"{pair}-{number}-{tool.name.replace(', ', '-').replace(' ', '-')}"
            target.mkdir(parents=True)
            try:
                found = run(command_of(tool, pair, source, target), folder / "log.txt", watched=number == 0)
                tool.box = known_box(pair, target)
            except (RuntimeError, StopIteration, KeyError, ValueError) as error:
                tool.trouble = f"fails: {error}" if isinstance(error, RuntimeError) else "fails: writes nothing known"
                say(f"{pair} {tool.name}: {tool.trouble}")
                continue
            if number == 0:
                tool.megabytes, tool.largest = round(found.megabytes), round(found.largest)
                tool.is_slow = found.seconds > _PATIENCE
            if number or tool.is_slow:
                tool.seconds.append(round(found.seconds, 3))
                tool.cpu_seconds.append(round(found.cpu_seconds, 3))
            say(f"{pair} turn {number}: {tool.name:22} {found.seconds:7.2f} s, CPU {found.cpu_seconds:6.2f} s")
    shutil.rmtree(folder / "out", ignore_errors=True)


# --- results ---------------------------------------------------------------------------------------------------------


def row_of(tool: Tool, ours: Tool) -> dict[str, Any]:
    if tool.trouble or not tool.seconds:
        return {"tool": tool.name, "version": tool.version, "trouble": tool.trouble or "no run"}
    ratios = [theirs / own for theirs, own in zip(tool.seconds, ours.seconds, strict=False)]
    return {
        "tool": tool.name,
        "version": tool.version,
        "seconds": tool.seconds,
        "median_seconds": round(statistics.median(tool.seconds), 2),
        "cpu_seconds": round(statistics.median(tool.cpu_seconds), 2),
        "megabytes": tool.megabytes,
        "largest_process_megabytes": tool.largest,
        "times_ours": round(statistics.median(ratios), 2) if ratios else None,
        "box": tool.box,
        "box_is_right": tool.box == RIGHT,
    }


def table(rows: list[Mapping[str, Any]]) -> str:
    lines = [
        "| tool | seconds (median, range) | × ours | CPU s | MB, all processes | box 1..10 |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        name = f"{row['tool']} {row['version']}"
        if "trouble" in row:
            lines.append(f"| {name} | {row['trouble']} | | | | |")
            continue
        low, high = min(row["seconds"]), max(row["seconds"])
        box = "missing" if row["box"] is None else ", ".join(f"{v:g}" for v in row["box"])
        right = "right" if row["box_is_right"] else "wrong"
        lines.append(
            f"| {name} | {row['median_seconds']:.2f} ({low:.2f}–{high:.2f}) | {row['times_ours']:.2f} | "
            f"{row['cpu_seconds']:.2f} | {row['megabytes']} | {box}: {right} |"
        )
    return "\n".join(lines)


def commit() -> str:
    """The checkout that this was measured with."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        state = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + (" and changes" if state.stdout.strip() else "")


def main() -> int:
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the input is, or is made")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments; FOLDER/peers if not given")
    parser.add_argument("--only", choices=PAIRS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "convert", help="without ending")
    options = parser.parse_args()
    folder = options.folder / f"convert-{options.pictures}"
    if not folder.exists():
        make(folder, options.pictures)
    results: dict[str, list[dict[str, Any]]] = {}
    for pair in [options.only] if options.only else PAIRS:
        ours = Tool("augpipe", Path(sys.executable), version("augpipe"))
        alone = Tool("augpipe, one process", Path(sys.executable), version("augpipe"))
        tools = [ours, alone, *(installed(name, options.peers or options.folder / "peers") for name in PEERS)]
        measure(pair, tools, folder, options.rounds, lambda line: print(line, flush=True))
        results[pair] = [row_of(tool, ours) for tool in tools]
    document = {
        "pictures": options.pictures,
        "objects": options.pictures * OBJECTS,
        "rounds": options.rounds,
        "commit": commit(),
        "python": platform.python_version(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()},
        "goals": GOALS,
        "results": results,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    text = "# Conversions beside other tools\n\n" + "".join(f"{p}\n\n{table(r)}\n\n" for p, r in results.items())
    options.out.with_suffix(".md").write_text(text + notes(document), "utf-8")
    print(text)
    return 0


def notes(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    load = ", ".join(f"{v:.1f}" for v in machine["load"])
    return f"""{document["pictures"]:,} pictures with {document["objects"]:,} objects. Each run is a whole process, and
the tools take turns, {document["rounds"]} times; who takes over {_PATIENCE:.0f} s runs once. `× ours` is the median
of the ratios within a turn: how many times as long as augpipe a tool took. CPU s adds up all processes of a tool, so
other work on the machine weighs less on it. MB is the most memory of all of them together, pages that they share
counted once, in a run of its own. The box is the one from pixel 1 to 10, of which a tool's nearest is shown.

Made by `python benchmarks/convert.py` at commit {document["commit"]} with Python {document["python"]} on
{machine["cores"]} cores with a load of {load} at its end (1, 5, 15 minutes): {machine["system"]}.
"""


if __name__ == "__main__":
    sys.exit(main())
