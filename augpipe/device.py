"""Which device moves the pixels, decided once a run and said in one line with the reason."""

from __future__ import annotations

import re

from augpipe.errors import UsageError, one_line

NO_CUDA = "this version has no CUDA backend"


def resolve(device: str, codec: str = "auto") -> str:
    """The device to use, with the reason where a better one was passed over.

    Args:
        device: auto, cpu, cuda, cuda:N or cuda:all.
        codec: auto, cpu or gpu.

    Raises:
        UsageError: a device or codec that is asked for by name and cannot work, or is none.
    """
    if codec not in ("auto", "cpu", "gpu"):
        raise UsageError(f"--codec {one_line(codec)}: expected auto, cpu or gpu")
    if device in ("cpu", "auto"):
        if codec == "gpu":
            raise UsageError(f"--codec gpu: cannot work, {NO_CUDA}; use --codec cpu")
        return "cpu" if device == "cpu" else f"cpu (cuda not used: {NO_CUDA})"
    if re.fullmatch(r"cuda(:(\d+|all))?", device):
        raise UsageError(f"--device {device}: cannot work, {NO_CUDA}; use --device cpu or auto")
    raise UsageError(f"--device {one_line(device)}: expected auto, cpu, cuda, cuda:N or cuda:all")
