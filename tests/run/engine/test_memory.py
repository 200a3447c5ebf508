"""A worker does not have its memory made anew for every picture."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import datasets
import pytest
from places import HELPERS

from augpipe.formats.registry import open_dataset
from augpipe.run.folder.samples import require_unique
from augpipe.run.folder.state import RunState
from augpipe.run.job import plan_tasks

FAULTS = """
import cv2, resource, numpy as np
from augpipe.core.geometry import about, rotation, rounded
from augpipe.pixels.backend import BackendOptions, PictureJob
from augpipe.pixels.cpu import CpuBackend
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.steps.warp import Warp
from augpipe.run.engine.worker import keep_freed_memory
kept = {keep}
picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
data = cv2.imencode(".jpg", picture)[1].tobytes()
turn = Warp(matrix=rounded(about((320, 240), rotation(7.0))), size_wh=(640, 480))
job = PictureJob(data, read_header(data), ((turn,),) * 2)
list(CpuBackend(BackendOptions()).render([job] * 3))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in CpuBackend(BackendOptions()).render([job] * 10):
    pass
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


def faults(keep: str) -> tuple[str, float]:
    """Pages that are made for one turned copy of two of a picture of 640×480."""
    done = subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True, text=True, check=True)
    kept, pages = done.stdout.split()
    return kept, float(pages)


def test_pages_are_used_again():
    kept, pages = faults("keep_freed_memory()")
    if kept == "False":
        pytest.skip("the C library is not glibc")
    assert pages < 4
    assert faults("None")[1] > 8, "without it they are not, or there is nothing to gain here any more"


def held_by_parent(source: Path) -> int:
    """Bytes that the parent holds once the source is indexed and its tasks are planned."""
    tracemalloc.start()
    dataset = open_dataset(str(source))
    require_unique(entry.key for entry in dataset.entries)
    config = {"source": {"pictures": len(dataset.entries)}, "sources_per_shard": 10, "split": None}
    state = RunState({**config, "seed": 0, "copies": 1, "originals": False}, (1,))
    tasks = plan_tasks(state, dataset.entries, lambda index: True)
    next(tasks)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


# Of VOC it holds what the XML says, too, up to 64 MB in all.
@pytest.mark.parametrize(("make", "most"), [(datasets.make_voc, 1536), (datasets.make_coco, 1024)])
def test_the_parent_grows_by_little_a_picture(tmp_path, make, most):
    few, many = 30, 200
    small, large = make(tmp_path / "small", few), make(tmp_path / "large", many)
    held_by_parent(small)  # imports and caches do not count
    # The least of three: what another thread or a cache holds by chance is not of the pictures.
    least = [min(held_by_parent(source) for _ in range(3)) for source in (small, large)]
    growth = (least[1] - least[0]) / (many - few)
    assert growth < most, f"{growth:.0f} bytes a picture"


def test_a_worker_stays_under_600_megabytes(tmp_path):
    """VOC-sized pictures, hundreds of samples a shard; everything in one process, so the parent's share counts too."""
    source = tmp_path / "set"
    code = f"""
import sys; sys.path.insert(0, {str(HELPERS)!r})
from pathlib import Path
import datasets, re
from runs import run
datasets.size_of = lambda i: (500, 375)
datasets.make_voc(Path({str(source)!r}), 24)
run(Path({str(source)!r}), Path({str(tmp_path / "out")!r}), "segmentation", copies=6, sources_per_shard=24)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
    # Not ru_maxrss: a new program inherits that of the process which started it.
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 50 * 1024 < int(done.stdout) < 600 * 1024
