"""The floor: decoding and encoding alone, with as many processes as augpipe has workers, and nothing written.

With ``--cached`` each picture is decoded once for all its copies, as augpipe does; without, once a copy. A recipe that
makes pictures smaller is followed in that, by the nearest pixels, so that as much is encoded; decoding is in full.
"""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import cv2
import harness
import numpy as np


def transcode(job: tuple[list[Path], int, bool, int | None]) -> tuple[int, int]:
    """(samples, bytes) of some pictures."""
    paths, copies, cached, longest = job
    cv2.setNumThreads(1)
    count = size = 0
    for path in paths:
        for turn in range(copies):
            if turn == 0 or not cached:
                picture = _decoded(path, longest)
            size += len(cv2.imencode(".jpg", picture, harness.JPEG)[1])
            count += 1
    return count, size


def _decoded(path: Path, longest: int | None) -> np.ndarray:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    height, width = picture.shape[:2]
    if longest is None:
        return picture
    scale = longest / max(width, height)
    return cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_NEAREST)


def main() -> None:
    options = harness.arguments(__doc__)
    recipe = harness.recipe_of(options.recipe)
    longest = next((one.parameters["longest"] for one in recipe if one.name == "resize"), None)
    paths = sorted(path for path in options.source.rglob("*.jpg"))
    jobs = [(paths[i :: options.workers], options.copies, options.cached, longest) for i in range(options.workers)]
    with multiprocessing.get_context("fork").Pool(options.workers) as pool:
        made = pool.map(transcode, jobs, chunksize=1)
    print(json.dumps({"samples": sum(n for n, _ in made), "bytes": sum(size for _, size in made)}))


if __name__ == "__main__":
    main()
