"""Work that one process has done before a fork server has loaded its libraries. Imports nothing that takes long."""

from __future__ import annotations

import os

MOST_BYTES = 2 << 20
"""Of pictures, times copies: some twenty samples of 640×480 pixels, a tenth of a second."""

_MOST_FILES = 200


def looks_little(source: str, copies: int, workers: int | None) -> bool:
    """Whether no number of workers was asked for, and the source is a local folder of a few small files."""
    if workers is not None:
        return False
    size = files = 0
    folders = [source]
    try:
        while folders:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        size += entry.stat().st_size
                    if files > _MOST_FILES or size * max(1, copies) > MOST_BYTES:
                        return False
    except (OSError, ValueError):  # no folder, or none that may be read
        return False
    return True
