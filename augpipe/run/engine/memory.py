"""Memory that a worker has had once, it keeps.

A picture is some megabytes, which the C library asks of the system for every array and gives back right after; each
page of it is then made and cleared anew when it is first touched. That took 40 % of the time of a warp on a virtual
machine. Kept, the same pages are used again, and a worker holds no more at its peak than before.
"""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
_LARGEST_KEPT = 32 << 20  # more than that is not accepted
_MOST_KEPT = 128 << 20


def keep_what_is_freed() -> bool:
    """Tell the C library of this process to keep freed memory; False where it is not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT))
