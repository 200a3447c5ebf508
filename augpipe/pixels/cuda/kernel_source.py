"""The kernels' text and names: all ``kernels/*.cu`` one after the other are one translation unit for every compiler.

No parameter is ever written into the text, so it is compiled once for a device and not once for a picture.
"""

from __future__ import annotations

import re
from importlib.resources import files

OPTIONS = ("--std=c++17", "--fmad=false")
"""For NVRTC. A fused multiply-add rounds once where the map of ``pixels/resample.py`` rounds twice."""

_SHARED = ("picture.cu", "points.cu")  # what the kernels stand on
_KERNEL = re.compile(r"^(?:EXPORT|PICTURE_KERNEL)\((\w+)", re.MULTILINE)


def source() -> str:
    """The whole text; ``#line`` keeps each file's own numbers in a compiler's messages."""
    folder = files("augpipe.pixels.cuda") / "kernels"
    kernels = sorted(file.name for file in folder.iterdir() if file.name.endswith(".cu") and file.name not in _SHARED)
    return "\n".join(
        f'#line 1 "{name}"\n{(folder / name).read_text(encoding="utf-8")}' for name in (*_SHARED, *kernels)
    )


def names() -> list[str]:
    """The kernels in :func:`source`."""
    return _KERNEL.findall(source())
