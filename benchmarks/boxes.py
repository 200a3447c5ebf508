"""How tight boxes are after a rotation: written area / area of the tight box, for each way to a box.

    python benchmarks/boxes.py [--data ../shared/data] [--copies 3] [--seed 7] [--out benchmarks/results/boxes]

Pictures are turned by an angle drawn evenly from -30 to 30 degrees. The tight box is measured from the object itself,
painted on a canvas of 4×4 samples a pixel and turned sample by sample in float64, with nothing of augpipe in it. What
an object is, its polygon or its mask, is known here in every row; the box-only rows just do not hand it over:

- `mask`, `polygon`: the object has them, and the box is taken from them;
- `obb`: the object has an oriented box alone, the smallest rectangle around it;
- `ellipse`, `corners`: the object has a box alone, the tight one of the picture before the turn.

Albumentations' boxes come from the same boxes and angles, where it is installed (`make test` does that).

A ratio of 1 is tight. One box may be too large here and cut off the object there, so the share of the tight box that
the written one does not cover stands beside it. Writes a table (OUT.md) and the numbers (OUT.json).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from oracles import import_albumentations  # noqa: E402
from painted import box_of, enlarged, fill, looked_up  # noqa: E402

from augpipe.core import geometry as g  # noqa: E402
from augpipe.core.annotations import Annotations, Frame, ObjectRow, Rings, Segmentation, objects_of  # noqa: E402
from augpipe.core.canvas import CanvasState, follow  # noqa: E402
from augpipe.formats.base import (  # noqa: E402
    SourceOptions,
    read_picture,
)
from augpipe.formats.registry import open_dataset  # noqa: E402
from augpipe.labels import rle, transform  # noqa: E402
from augpipe.labels.normalize import aligned  # noqa: E402
from augpipe.pixels.codec.header import read_header  # noqa: E402
from augpipe.pixels.steps.warp import Warp  # noqa: E402
from augpipe.recipe.load import compiled  # noqa: E402
from augpipe.recipe.nodes import Recipe  # noqa: E402
from augpipe.recipe.planner import draw  # noqa: E402
from augpipe.recipe.yaml_reader import read  # noqa: E402

SETS = ("teacher_occlusion/valid", "coco_permissive_kpt")
DEGREES = 30
LEAST_SIDE = 8.0
"""Pixels of the tight box: below that a quarter of a pixel, which is what the painting resolves, is several percent."""

RULES = {rule: transform.LabelRules(min_area=0.0, min_side=0.0, box=rule) for rule in ("corners", "ellipse")}
ORDER = ("mask", "polygon", "obb", "ellipse", "corners", "Albumentations ellipse", "Albumentations largest_box")


class Thing(NamedTuple):
    """One object of a picture: what it is, its samples with their place, and its tight box and rectangle."""

    segmentation: Segmentation
    canvas: np.ndarray
    origin: tuple[float, float]
    box: tuple[float, float, float, float]
    obb: np.ndarray


def thing_of(segmentation: Segmentation, size_wh: tuple[int, int]) -> Thing | None:
    """The object of a polygon or mask; ``None`` if nothing of it can be painted."""
    if isinstance(segmentation, Rings):
        points = np.concatenate(segmentation.rings)
        low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1
        canvas = fill([ring - low for ring in segmentation.rings], tuple((high - low).astype(int)))
        edges = points
    else:
        bitmap = rle.rasterise(segmentation, size_wh)
        rows, columns = np.nonzero(bitmap)
        if not rows.size:
            return None
        low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
        canvas = enlarged(bitmap[low[1] : high[1], low[0] : high[0]])
        edges = np.concatenate([np.stack([columns + x, rows + y], axis=1) for x in (0, 1) for y in (0, 1)])
    if not canvas.any():
        return None
    x0, y0, x1, y1 = *edges.min(axis=0).tolist(), *edges.max(axis=0).tolist()
    obb = cv2.boxPoints(cv2.minAreaRect(edges.astype(np.float32))).astype(np.float64)
    return Thing(segmentation, canvas, (float(low[0]), float(low[1])), (x0, y0, x1, y1), obb)


def tight_box(thing: Thing, track: CanvasState) -> np.ndarray | None:
    """What can be seen of an object on the canvas, from its samples."""
    w, h = track.size_wh
    around = g.bounds_of(g.move_points(track.map.matrix, g.corners_of(np.array([thing.box]))))[0]
    x0, y0 = np.maximum(np.floor(around[:2]).astype(int) - 1, 0).tolist()
    x1, y1 = np.minimum(np.ceil(around[2:]).astype(int) + 1, (w, h)).tolist()
    if x0 >= x1 or y0 >= y1:
        return None
    matrix = g.then(g.translation(*thing.origin), track.map.matrix)
    box = box_of(looked_up(thing.canvas, matrix, (w, h), window=(x0, y0, x1, y1)), origin=(x0, y0))
    return None if box is None or min(box[2:] - box[:2]) < LEAST_SIDE else box


def written(things: list[Thing], track: CanvasState) -> Iterator[tuple[str, int, np.ndarray]]:
    """(method, object, box) of augpipe."""
    for method in ("segmentation", "obb", "ellipse", "corners"):
        rows = [
            ObjectRow(
                i,
                1,
                thing.box,
                segmentation=thing.segmentation if method == "segmentation" else None,
                obb=thing.obb if method == "obb" else None,
            )
            for i, thing in enumerate(things)
        ]
        rules = RULES["ellipse" if method == "ellipse" else "corners"]
        out = transform.apply(Annotations(objects=objects_of(rows)), track, rules, {})
        for i, shape in zip(out.annotations.objects.index.tolist(), out.shapes, strict=True):
            # A polygon that is cut so that a hole comes of it goes on as a mask; it is in the row that it came from.
            polygon = method == "segmentation" and isinstance(things[i].segmentation, Rings)
            yield "polygon" if polygon else shape.box_from, i, np.array(shape.box_xyxy)


def outside(library: Any, things: list[Thing], size_wh: tuple[int, int], degrees: float) -> Iterator[Any]:
    """(method, object, box) of Albumentations, which turns the other way round."""
    blank = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    boxes = np.array([thing.box for thing in things])
    for method in ("ellipse", "largest_box"):
        turn = library.Rotate((-degrees, -degrees), rotate_method=method, p=1)
        parameters = library.BboxParams("pascal_voc", label_fields=["number"])
        out = library.Compose([turn], bbox_params=parameters)(image=blank, bboxes=boxes, number=np.arange(len(boxes)))
        for i, box in zip(out["number"], out["bboxes"], strict=True):
            yield f"Albumentations {method}", int(i), np.array(box, np.float64)


def measure(folder: Path, recipe: Recipe, seed: int, copies: int, library: Any) -> dict[str, list[tuple[float, float]]]:
    """Method → (area ratio, share of the tight box that is not covered) of every object and copy."""
    dataset = open_dataset(str(folder), SourceOptions(format="coco"))
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for entry in dataset.entries:
        header = read_header(read_picture(entry))
        annotations = aligned(dataset.reader.annotations(entry), header)
        size = header.upright_wh
        made = (thing_of(s, size) for s in annotations.objects.segmentation if s is not None)
        things = [thing for thing in made if thing is not None]
        for copy in range(copies if things else 0):
            plan = draw(recipe, Frame(entry.key, size, annotations), seed, copy)
            assert [type(step) for step in plan.steps] == [Warp]
            track = follow(plan.steps, size)
            tight = [tight_box(thing, track) for thing in things]
            boxes = list(written(things, track))
            if library is not None:
                boxes += outside(library, things, size, plan.drawn[0].parameters["degrees"])
            for method, i, box in boxes:
                if (truth := tight[i]) is not None:
                    found[method].append(compared(box, truth))
    return found


def compared(box: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(area of a box / that of the true one, share of the true one that it does not cover)."""
    common = np.maximum(np.minimum(box[2:], truth[2:]) - np.maximum(box[:2], truth[:2]), 0.0).prod()
    whole = (truth[2:] - truth[:2]).prod()
    return float((box[2:] - box[:2]).prod() / whole), float(1.0 - common / whole)


def summary(values: list[tuple[float, float]]) -> dict[str, float]:
    ratios, missing = np.array(values).T
    return {
        "boxes": len(values),
        "mean": round(float(ratios.mean()), 4),
        "median": round(float(np.median(ratios)), 4),
        "p95": round(float(np.quantile(ratios, 0.95)), 4),
        "worst": round(float(ratios.max()), 4),
        "cut_off": round(float(missing.mean()), 4),
    }


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [
        "| set | box from | boxes | mean ratio | median | 95 % | worst | cut off |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, methods in results.items():
        for method in (m for m in ORDER if m in methods):
            v = methods[method]
            numbers = " | ".join(f"{v[k]:.3f}" for k in ("mean", "median", "p95", "worst"))
            lines.append(f"| {name} | {method} | {v['boxes']} | {numbers} | {100 * v['cut_off']:.2f} % |")
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
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the sets")
    parser.add_argument("--copies", type=int, default=3, help="rotations of each picture")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "boxes", help="without ending")
    options = parser.parse_args()
    try:
        library = import_albumentations()
    except ImportError as error:
        print(f"without Albumentations: {error}", file=sys.stderr)
        library = None
    recipe = compiled(read("turn.yaml", f"version: 1\nsteps:\n  - rotate: {{degrees: {DEGREES}}}\n"), "turn")
    names = [name for name in SETS if (options.data / name).is_dir()]
    if not names:
        print(f"none of {', '.join(SETS)} in {options.data}", file=sys.stderr)
        return 2
    results = {}
    for name in names:
        found = measure(options.data / name, recipe, options.seed, options.copies, library)
        results[name] = {method: summary(values) for method, values in found.items()}
    packages = ["augpipe", "numpy", "opencv-python-headless", "shapely"]
    document = {
        "degrees": DEGREES,
        "seed": options.seed,
        "copies": options.copies,
        "least_side": LEAST_SIDE,
        "commit": commit(),
        "versions": {p: version(p) for p in packages} | ({"albumentations": library.__version__} if library else {}),
        "results": results,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    text = "# Boxes after a rotation by ±30°\n\n" + table(results) + "\n\n" + notes(document)
    options.out.with_suffix(".md").write_text(text, "utf-8")
    print(table(results))
    return 0


def notes(document: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    return f"""Mean ratio: area of the written box / area of the tight box, which is measured from the object itself,
painted on a canvas of 4×4 samples a pixel. Cut off: the share of the tight box that the written one does not cover. In
the rows of ellipse and corners, and in those of Albumentations, the object comes with a box alone, the tight one before
the turn. In the row of obb it comes with the smallest rectangle around it. Objects whose tight box has a side under
{LEAST_SIDE:g} pixels are left out.

Made by `python benchmarks/boxes.py --copies {document["copies"]} --seed {document["seed"]}` at commit
{document["commit"]}, with
{versions}.
"""


if __name__ == "__main__":
    sys.exit(main())
