"""Labels of photographs: polygons, masks and keypoints that people drew, through the recipes that are shipped.

Every source polygon and mask is painted on a canvas of 4×4 samples a pixel, sent through the plan's map in float64,
and measured there.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from painted import Particles, box_of, enlarged, fill, looked_up, perimeter
from places import SHARED

from augpipe.core import geometry as g
from augpipe.core.annotations import Frame, Rings
from augpipe.core.canvas import follow
from augpipe.formats.base import SourceOptions, read_picture
from augpipe.formats.registry import open_dataset
from augpipe.labels import rle, transform
from augpipe.labels.normalize import aligned
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.load import load
from augpipe.recipe.planner import draw

SETS = {"coco_permissive_kpt": 17, "teacher_occlusion/valid": 20}  # every so many pictures
COPIES = 2


PAINTED = {}


def painted(segmentation, size_wh, name):
    """(samples of an object in its own window, the window's top left pixel), painted once for all copies of it."""
    if name not in PAINTED:
        PAINTED[name] = _painted(segmentation, size_wh)
    return PAINTED[name]


def _painted(segmentation, size_wh):
    if isinstance(segmentation, Rings):
        low = np.floor(np.min([ring.min(axis=0) for ring in segmentation.rings], axis=0))
        high = np.ceil(np.max([ring.max(axis=0) for ring in segmentation.rings], axis=0)) + 1
        return fill([ring - low for ring in segmentation.rings], tuple((high - low).astype(int))), tuple(low)
    whole = rle.rasterise(segmentation, size_wh)
    rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
    window = whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else whole[:1, :1]
    return enlarged(window), (float(columns[0]), float(rows[0])) if rows.size else (0.0, 0.0)


def sharpest(segmentation):
    """The smallest angle between two sides, in radians; of a mask a right one."""
    angles = [math.pi / 2]
    for ring in getattr(segmentation, "rings", ()):
        ahead, back = np.roll(ring, -1, axis=0) - ring, np.roll(ring, 1, axis=0) - ring
        dots, crosses = (ahead * back).sum(axis=1), ahead[:, 0] * back[:, 1] - ahead[:, 1] * back[:, 0]
        angles += np.arctan2(np.abs(crosses), dots)[(np.abs(ahead).sum(1) > 0) & (np.abs(back).sum(1) > 0)].tolist()
    return max(min(angles), 0.02)


def measure(objects, row, out, kept, plan, where, errors):
    """What is wrong with one object goes to ``errors`` by kind: a number, and where."""
    segmentation = objects.segmentation[row]
    canvas, origin = painted(segmentation, plan[0], (where.partition(" copy ")[0], row))
    particles = Particles(canvas, origin=origin).through(plan[1])
    if kept is None:
        errors["missing"].append((particles.area if particles.visible > 0.15 else 0.0, where))
        return
    shape, (w, h) = out.shapes[kept], out.size_wh
    box = out.annotations.objects.boxes_xyxy[kept]
    x0, y0 = np.maximum(np.floor(np.minimum(box, particles.box)[:2]).astype(int) - 3, 0)
    x1, y1 = np.minimum(np.ceil(np.maximum(box, particles.box)[2:]).astype(int) + 3, (w, h))
    matrix = next((step.matrix for step in plan[1] if isinstance(step, Warp)), g.IDENTITY)
    samples = looked_up(canvas, g.then(g.translation(*origin), matrix), (w, h), window=(x0, y0, x1, y1))
    kind = "polygon" if isinstance(segmentation, Rings) else "mask"
    beyond = np.abs(box_of(samples, origin=(x0, y0)) - box).max()
    errors[f"{kind} box"].append((beyond, where))
    # A tip that narrows to less than a sample is not painted; how long that is depends on its angle.
    angle = sharpest(out.annotations.objects.segmentation[kept])
    errors[f"{kind} box beyond its tip"].append((beyond - 0.25 / math.tan(angle / 2) - 0.75, where))
    errors[f"{kind} visible"].append((abs(shape.visible - particles.visible), where))
    errors[f"{kind} area"].append((abs(shape.area - particles.area) / max(particles.area, 30.0), where))
    got = rle.rasterise(out.annotations.objects.segmentation[kept], (w, h)).astype(bool)
    expected = samples.reshape(y1 - y0, 4, x1 - x0, 4).mean(axis=(1, 3)) >= 0.5
    errors["no pixels"].append((0.0 if got.any() else 1.0, where))
    errors["pixels elsewhere"].append((got.sum() - got[y0:y1, x0:x1].sum(), where))
    if expected.sum() > 100:
        errors["mask"].append(((got[y0:y1, x0:x1] != expected).sum() / perimeter(expected), where))
    if objects.keypoints[row] is not None:
        error = keypoint_error(objects.keypoints[row], matrix, out, kept, particles)
        errors["keypoints"].append((error, where))


def keypoint_error(before, matrix, out, kept, particles):
    """How far the nearest pairing of keypoints is off; left and right are told apart by the mirror."""
    m = np.reshape(matrix, (3, 3))
    moved = np.concatenate([before[:, :2], np.ones((len(before), 1))], axis=1) @ m.T
    expected = np.concatenate([moved[:, :2] / moved[:, 2:], before[:, 2:]], axis=1)
    off = (expected[:, :2] < 0).any(axis=1) | (expected[:, :2] > out.size_wh).any(axis=1)
    expected[off | (before[:, 2] <= 0)] = 0.0
    if np.linalg.det(m) < 0:  # COCO's people: the nose, then a left and a right of everything
        expected = expected[[0, *(i + (1 if i % 2 else -1) for i in range(1, 17))]]
    return np.abs(expected - out.annotations.objects.keypoints[kept]).max()


@pytest.mark.parametrize("recipe_name", ["segmentation", "keypoints"])
@pytest.mark.parametrize("name", SETS)
def test_labels_of_photographs(name, recipe_name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not there: real data is not part of the repository")
    dataset = open_dataset(str(SHARED / name), SourceOptions(format="coco"))
    categories = {c.id: c for c in dataset.categories}
    recipe, errors = load(recipe_name), defaultdict(list)
    for entry in dataset.entries[:: SETS[name]]:
        header = read_header(read_picture(entry))
        annotations = aligned(dataset.reader.annotations(entry), header)
        size, objects = header.upright_wh, annotations.objects
        for copy in range(COPIES):
            steps = draw(recipe, Frame(entry.key, size, annotations), 1, copy).steps
            out = transform.apply(annotations, follow(steps, size), recipe.rules, categories)
            kept = {index: k for k, index in enumerate(out.annotations.objects.index.tolist())}
            for row, index in enumerate(objects.index.tolist()):
                if objects.segmentation[row] is not None:
                    where = f"{entry.key} copy {copy} object {index}"
                    measure(objects, row, out, kept.get(index), (size, steps), where, errors)
    worst = {kind: max(found) for kind, found in errors.items()}
    mean = {kind: float(np.mean([value for value, _ in found])) for kind, found in errors.items()}
    print(len(errors["no pixels"]), "objects;", {k: (round(mean[k], 4), round(v, 4)) for k, (v, _) in worst.items()})
    limits = {
        "missing": 20.0, "no pixels": 0.0, "pixels elsewhere": 0.0, "mask": 0.6, "mask box": 1.0, "keypoints": 0.75,
        "polygon box beyond its tip": 0.0, "polygon visible": 0.01, "mask visible": 0.01, "polygon area": 0.05,
        "mask area": 0.05,
    }  # fmt: skip
    assert {kind: worst[kind] for kind in limits if kind in worst and worst[kind][0] > limits[kind]} == {}
    assert len(errors["no pixels"]) >= 8
    assert mean["mask"] < 0.3
    boxes = [value for kind in ("polygon box", "mask box") for value, _ in errors[kind]]
    assert np.mean(boxes) < 0.6
    assert np.quantile(boxes, 0.98) < 1.0
