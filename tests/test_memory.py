"""A worker does not have its memory made anew for every picture."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, numpy as np
from augpipe.geometry import about, rotation, rounded
from augpipe.run.memory import keep_what_is_freed
from augpipe.sampling import resample
kept = {keep}
picture = np.zeros((480, 640, 3), np.uint8)
turn = rounded(about((320, 240), rotation(7.0)))
for _ in range(3):
    resample(picture, turn, (640, 480))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    resample(picture, turn, (640, 480))
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10)
"""


def faults(keep: str) -> tuple[str, float]:
    """Pages that are made for one warp of 640×480."""
    done = subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True, text=True, check=True)
    kept, pages = done.stdout.split()
    return kept, float(pages)


def test_pages_are_used_again():
    kept, pages = faults("keep_what_is_freed()")
    if kept == "False":
        pytest.skip("the C library is not glibc")
    assert pages < 20
    assert faults("None")[1] > 200, "without it they are not, or there is nothing to gain here any more"
