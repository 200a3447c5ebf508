"""How long ``augpipe inspect`` takes on large sets, and its memory: 20,000 VOC XML, a COCO JSON of 118,000 pictures.

    python benchmarks/survey.py /tmp/large --workers 0 2

The sets are made on the first call and kept. Pictures are tiny, so what is measured is reading labels and headers.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

CLASSES = 80


def jpeg(size_wh: tuple[int, int], seed: int) -> bytes:
    """A small file; bytes behind the picture, which mean nothing, make files of many sizes."""
    buffer = io.BytesIO()
    Image.new("RGB", size_wh, (seed % 256, seed // 256 % 256, 90)).save(buffer, "JPEG")
    return buffer.getvalue() + seed.to_bytes(4, "big") + bytes(seed % 5000)


def boxes(rng: random.Random, size_wh: tuple[int, int], count: int) -> list[tuple[int, int, int, int]]:
    """Boxes (x0, y0, x1, y1) from a few pixels to most of the picture, whole numbers."""
    out = []
    for _ in range(count):
        w, h = (max(2, int(side * rng.random() ** 3 * 0.9)) for side in size_wh)
        x, y = rng.randrange(size_wh[0] - w), rng.randrange(size_wh[1] - h)
        out.append((x, y, x + w, y + h))
    return out


def make_voc(folder: Path, pictures: int) -> Path:
    """VOC with five objects a picture."""
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    for i in range(pictures):
        rng, size = random.Random(i), (500, 375) if i % 3 else (375, 500)
        objects = "".join(
            f"<object>\n<name>class {rng.randrange(CLASSES)}</name>\n<truncated>0</truncated><difficult>0</difficult>\n"
            f"<bndbox><xmin>{a + 1}</xmin><ymin>{b + 1}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>\n</object>\n"
            for a, b, c, d in boxes(rng, size, 5)
        )
        (folder / "Annotations" / f"{i:06d}.xml").write_text(
            f"<annotation>\n<filename>{i:06d}.jpg</filename>\n<size><width>{size[0]}</width><height>{size[1]}</height>"
            f"<depth>3</depth></size>\n{objects}</annotation>\n"
        )
        (folder / "JPEGImages" / f"{i:06d}.jpg").write_bytes(jpeg((size[0], size[1]), i))
    return folder


def make_coco(folder: Path, pictures: int, files: bool) -> Path:
    """COCO as train2017 is: of 118,000 pictures 860,000 polygons in 450 MB; with or without its picture files."""
    folder.mkdir(parents=True)
    images, rows = [], []
    for i in range(pictures):
        rng, (w, h) = random.Random(i), (640, 480) if i % 4 else (427, 640)
        images.append({"id": i, "file_name": f"{i:012d}.jpg", "width": w, "height": h})
        for a, b, c, d in boxes(rng, (w, h), 8 if i % 7 < 2 else 7):
            ring = [v for _ in range(25) for v in (round(rng.uniform(a, c), 2), round(rng.uniform(b, d), 2))]
            rows.append({"id": len(rows), "image_id": i, "category_id": rng.randrange(CLASSES) + 1,
                         "bbox": [a, b, c - a, d - b], "area": (c - a) * (d - b) * 0.6, "iscrowd": 0,
                         "segmentation": [ring]})  # fmt: skip
        if files:
            (folder / f"{i:012d}.jpg").write_bytes(jpeg((w, h), i))
    categories = [{"id": k + 1, "name": f"class {k}"} for k in range(CLASSES)]
    document = {"images": images, "annotations": rows, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


def measured(source: Path, workers: int) -> tuple[float, float, str]:
    """(seconds, the most MB of the process and of one of its children, digest of what it printed)."""
    code = (
        "import hashlib, resource, sys\nfrom typer.testing import CliRunner\nfrom augpipe.cli.main import app\n"
        f"out = CliRunner().invoke(app, ['inspect', {str(source)!r}, '--json', '-w', '{workers}'])\n"
        "most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))\n"
        "print(out.exit_code, most / 1024, hashlib.sha256(out.stdout.encode()).hexdigest()[:12])\n"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, peak, digest = done.stdout.split()
    if exit_code != "0":
        raise SystemExit(f"{source}: exit code {exit_code}")
    return time.perf_counter() - started, float(peak), digest


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the sets are, or are made")
    parser.add_argument("--voc", type=int, default=20_000, help="pictures of the VOC set")
    parser.add_argument("--coco", type=int, default=118_000, help="pictures of the COCO set")
    parser.add_argument("--files", action="store_true", help="make the picture files of the COCO set, too")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    options = parser.parse_args()
    sets = {
        f"voc-{options.voc}": lambda folder: make_voc(folder, options.voc),
        f"coco-{options.coco}{'-files' if options.files else ''}": lambda folder: make_coco(
            folder, options.coco, options.files
        ),
    }
    for name, make in sets.items():
        folder = options.folder / name
        if not folder.exists():
            make(folder)
        for workers in options.workers:
            seconds, peak, digest = measured(folder, workers)
            print(f"{name:20} workers {workers}: {seconds:6.1f} s, {peak:5.0f} MB, result {digest}", flush=True)


if __name__ == "__main__":
    main()
