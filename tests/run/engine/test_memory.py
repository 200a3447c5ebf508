"""A worker does not have its memory made anew for every picture."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
