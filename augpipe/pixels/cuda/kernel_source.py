"""The kernels' text and names: ``kernels/*.cu`` one after the other are one translation unit, the same for every
compiler.

No parameter is ever written into the text, so it is compiled once for a device and not once for a picture.
"""

from __future__ import annotations

from importlib.resources import files

NAMES = ("copy", "means", "warp", "matrix", "blur_rows", "blur_columns", "jpeg_blocks", "jpeg_pixels")
FILES = ("picture.cu", "points.cu", "warp.cu", "blur.cu", "jpeg.cu")
OPTIONS = ("--std=c++17", "--fmad=false")
"""For NVRTC. A fused multiply-add rounds once where the map of ``sampling`` rounds twice."""


def source() -> str:
    """The whole text; ``#line`` keeps each file's own numbers in a compiler's messages."""
    folder = files("augpipe.pixels.cuda") / "kernels"
    return "\n".join(f'#line 1 "{name}"\n{(folder / name).read_text(encoding="utf-8")}' for name in FILES)
