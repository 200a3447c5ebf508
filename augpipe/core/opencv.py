"""OpenCV, loaded when it is first used, and the way out where it cannot be loaded. Only this file imports ``cv2``.

Several packages bring the same folder ``cv2``: ``opencv-python-headless``, on which augpipe depends since it needs no
libraries of a desktop, ``opencv-python``, and two of more modules. augpipe works with any of them; installed together,
the last one wins, and removing one removes files of the others.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING, Any

from augpipe.core.errors import MissingLibrary, one_line

BUILDS = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")


def installed_builds() -> dict[str, str]:
    """The packages of OpenCV that are installed, with their versions."""
    found = {}
    for name in BUILDS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


_NO_MEMORY = ("failed to map segment", "cannot allocate memory", "memoryerror")  # of the dynamic linker, and of Python


def way_out(why: str) -> str:
    """The command that repairs ``import cv2``, in one line; for want of address space none does."""
    if any(sign in why.lower() for sign in _NO_MEMORY):
        return "give it more memory (ulimit -v), and run the same command again"
    others = [name for name in installed_builds() if name != BUILDS[0]]
    remove = f"pip uninstall --yes {' '.join(others)}; " if others else ""
    needs_desktop = any(name in why for name in (".so", "libGL", "libgthread"))
    reason = "that build needs libraries of a desktop: " if others and needs_desktop else ""
    return f"{reason}{remove}pip install --force-reinstall --no-deps {BUILDS[0]}"


def _load() -> ModuleType:
    """The module ``cv2``.

    Raises:
        MissingLibrary: it is not installed, does not load, or lacks files that another build's removal took with it.
    """
    try:
        module = importlib.import_module("cv2")
        _ = module.remap
    except Exception as error:  # of a library built for another machine, whatever it raises
        why = one_line(error, 160) or type(error).__name__
        raise MissingLibrary(f"OpenCV cannot be loaded: {why}\n{way_out(why)}") from error
    return module


class _LazyModule(ModuleType):
    """Loads ``cv2`` with its first attribute, and keeps each attribute that was used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":  # asked of every module by inspect, doctest and pickle
            raise AttributeError(name)
        value = getattr(_load(), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import cv2
else:
    cv2 = _LazyModule("cv2")
__all__ = ["BUILDS", "cv2", "installed_builds", "way_out"]
