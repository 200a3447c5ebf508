"""Samples a second of ``augpipe augment`` beside decoding and encoding alone, in one run on the same pictures.

    python benchmarks/throughput.py [FOLDER_OF_JPEGS] [--copies 4] [--workers 2] [--recipe detection]

The floor decodes each picture once and encodes it as often as there are copies, with as many processes and nothing
else. Both are run in turn, several times; medians and their ratio are printed. The times of one machine mean little,
the ratio a good deal. Without a folder, photographs of scikit-image are cut into 640×480 pieces.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

SIZE_WH = (640, 480)


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEGs of 640×480 cut from scikit-image's photographs at seeded places."""
    import skimage.data

    sources = [getattr(skimage.data, name)() for name in ("astronaut", "coffee", "chelsea", "retina")]
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    paths = []
    for i in range(count):
        picture = sources[i % len(sources)]
        h, w = picture.shape[:2]
        side = rng.uniform(0.6, 1.0)
        ch, cw = int(side * min(h, w * 3 / 4)), int(side * min(w, h * 4 / 3))
        y, x = rng.integers(0, h - ch + 1), rng.integers(0, w - cw + 1)
        piece = cv2.resize(picture[y : y + ch, x : x + cw, ::-1], SIZE_WH, interpolation=cv2.INTER_AREA)
        paths.append(folder / f"{i:05d}.jpg")
        cv2.imwrite(str(paths[-1]), piece, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def dataset(pictures: list[Path], folder: Path, boxes: int = 8) -> Path:
    """A Pascal VOC dataset of those pictures with boxes at seeded places."""
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    rng = np.random.default_rng(1)
    for i, path in enumerate(pictures):
        shutil.copy(path, folder / "JPEGImages" / f"{i:05d}.jpg")
        height, width = cv2.imread(str(path)).shape[:2]
        objects = ""
        for _ in range(boxes):
            x, y = int(rng.integers(1, width - 60)), int(rng.integers(1, height - 60))
            box = f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + 50}</xmax><ymax>{y + 40}</ymax>"
            objects += f"<object><name>thing</name><bndbox>{box}</bndbox></object>"
        size = f"<size><width>{width}</width><height>{height}</height></size>"
        (folder / "Annotations" / f"{i:05d}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    return folder


def transcode(job: tuple[list[Path], int]) -> None:
    """Decode each picture once and encode it ``copies`` times."""
    paths, copies = job
    cv2.setNumThreads(1)
    for path in paths:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        for _ in range(copies):
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


def floor(paths: list[Path], copies: int, workers: int) -> float:
    """Seconds of decoding and encoding alone."""
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(transcode, [(paths[i::workers], copies) for i in range(workers)])
    return time.perf_counter() - started


def augment(source: Path, out: Path, copies: int, workers: int, recipe: str) -> float:
    """Seconds of the whole command, start-up included."""
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("augpipe")), "augment", str(source), str(out)]
    command += ["--recipe", recipe, "--copies", str(copies), "--workers", str(workers)]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recipe", default="detection")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if options.folder is None:
            paths = photographs(work / "jpg", options.pictures)
        else:
            paths = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
            paths = paths[: options.pictures]
        source = dataset(paths, work / "voc")
        samples = len(paths) * options.copies
        seconds: dict[str, list[float]] = {"floor": [], "augment": []}
        for _ in range(options.runs):
            seconds["floor"].append(floor(paths, options.copies, options.workers))
            seconds["augment"].append(augment(source, work / "out", options.copies, options.workers, options.recipe))
        print(f"{len(paths)} pictures, {options.copies} copies, {options.workers} workers, recipe {options.recipe}")
        for name_, times in seconds.items():
            rates = sorted(samples / t for t in times)
            print(f"{name_:8} {statistics.median(rates):7.0f} samples/s  ({rates[0]:.0f} to {rates[-1]:.0f})")
        ratio = statistics.median(seconds["floor"]) / statistics.median(seconds["augment"])
        print(f"augment runs at {ratio:.2f} of the rate of decoding and encoding alone, start-up included")


if __name__ == "__main__":
    main()
