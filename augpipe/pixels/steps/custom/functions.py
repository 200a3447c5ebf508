"""Functions of the user's on pixels: those that are loaded, and calling one so that it can do no harm to a run.

A function is known by its name and the SHA-256 of the file that it came from. The plan names both, so a plan of other
code finds nothing here.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TypeAlias

import numpy as np

from augpipe.core.errors import Reject, of_system, one_line
from augpipe.core.plan import Pixels

PixelFunction: TypeAlias = Callable[[Pixels, SimpleNamespace, np.random.Generator], Pixels]
"""Picture, drawn parameters and random numbers in, picture out."""

_FUNCTIONS: dict[tuple[str, str], tuple[PixelFunction, str]] = {}


def register(name: str, digest: str, function: PixelFunction, file: str) -> None:
    """Let plans call a function; ``file`` is named in messages about what it raises."""
    _FUNCTIONS[name, digest] = function, file


def called(name: str, digest: str, picture: Pixels, parameters: Mapping[str, float | int], word: int) -> Pixels:
    """What a function makes of a picture.

    It gets a copy, and what it returns is copied, so it may write to the one and keep the other.

    Args:
        name: of the function.
        digest: of its file.
        picture: uint8, (H, W, 3) in red, green, blue, or (H, W).
        parameters: as drawn.
        word: the key of its random numbers.

    Raises:
        Reject: ``custom``, where the function is not loaded, raises, or returns no picture of that size and type.
    """
    if (name, digest) not in _FUNCTIONS:
        raise Reject(
            "pixels", "custom", f"{name} of the file with SHA-256 {digest[:12]}… is not loaded; --ops loads it"
        )
    function, file = _FUNCTIONS[name, digest]
    numbers = np.random.Generator(np.random.Philox(key=word))
    try:
        made = function(picture.copy(), SimpleNamespace(**parameters), numbers)
    except (Exception, SystemExit) as error:  # one picture must not end a run
        raise told("pixels", name, error, file) from error
    if not isinstance(made, np.ndarray):
        what = "nothing" if made is None else f"{_a(type(made).__name__)}"
        raise Reject("pixels", "custom", f"{name} returned {what}, expected an array {_kind(picture)}")
    if made.dtype != np.uint8 or made.shape != picture.shape:
        nan = " with NaN" if made.dtype.kind == "f" and np.isnan(made).any() else ""
        raise Reject("pixels", "custom", f"{name} returned {_kind(made)}{nan}, expected {_kind(picture)}")
    return np.array(made, np.uint8, order="C", copy=True, subok=False)


def told(stage: str, name: str, error: BaseException, file: str) -> Reject:
    """The reject of a picture for what an operation of the user's raised, with the line of ``file`` that did."""
    if isinstance(error, Reject):
        return error.bare()
    if isinstance(error, MemoryError):
        return Reject(stage, "memory", f"{name}: not enough memory for this picture", transient=True)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    place = f", line {lines[-1]} of its file" if lines else ""
    message = f"{name}: {type(error).__name__}: {one_line(error, 160)}{place}"
    return Reject(stage, "custom", message, transient=isinstance(error, Exception) and of_system(error))


def _kind(picture: Pixels) -> str:
    return f"{picture.dtype} {picture.shape}"


def _a(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
