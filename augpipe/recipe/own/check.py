"""Trying operations of one's own before any work: the same twice, also in another process, and as they declare.

What does not give the same again breaks resuming, replaying and verifying, and no run begins with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.errors import Reject, UsageError
from augpipe.core.geometry import IDENTITY
from augpipe.core.plan import Pixels
from augpipe.core.processes import python_command
from augpipe.core.rng import OpRng, SampleRng
from augpipe.recipe.nodes import Leaf, Recipe
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PadEffect, PixelStep, WarpEffect
from augpipe.recipe.operation.visible import VisibleObject
from augpipe.recipe.own.guard import decided

_SIZES_WH = {"gray": (64, 64), "odd": (31, 17), "color": (96, 64)}
_DRAWS = 4  # of each size


def require_the_same_again(recipe: Recipe, *, elsewhere: bool = False) -> list[str]:
    """Try each operation of one's own twice on small pictures.

    Args:
        recipe: with such operations.
        elsewhere: try them in another process, too, whose hashes are others.

    Returns:
        A sentence for each that fails on some of the pictures.

    Raises:
        UsageError: one gives another result the second time, fails on all of them, or does what it does not declare.
    """
    first = results(recipe)
    _compare(first, results(recipe), "on the same input twice")
    if elsewhere:
        _compare(first, _elsewhere(recipe), "in another process")
    remarks: list[str] = []
    for path in dict.fromkeys(path for path, _ in first):
        failed = {case: told for (name, case), (told, _) in first.items() if name == path and told}
        if len(failed) == sum(name == path for name, _ in first):
            raise UsageError(f"{recipe.name}: {next(iter(failed.values()))}")
        if failed:
            case, told = next(iter(failed.items()))
            remarks.append(f"{told} (tried on a picture that is {case.partition(' ')[0]})")
    return remarks


def _compare(
    first: dict[tuple[str, str], tuple[str, str]], second: dict[tuple[str, str], tuple[str, str]], when: str
) -> None:
    for (path, _), result in first.items():
        if second[path, _] != result:
            raise UsageError(
                f"{path}: did not give the same {when}; a run could not go on with it, nor be replayed or verified\n"
                "take random numbers from the generator that comes in, and keep nothing between two calls"
            )


def _elsewhere(recipe: Recipe) -> dict[tuple[str, str], tuple[str, str]]:
    """The results of a new process, in which texts have other hashes.

    Raises:
        UsageError: it ended without any.
    """
    ours = os.environ.get("PYTHONHASHSEED", "")
    environment = {**os.environ, "PYTHONHASHSEED": "2" if ours == "1" else "1"}
    code = f"from {__name__} import answer; answer()"
    done = subprocess.run(python_command(code), input=pickle.dumps(recipe), env=environment, stdout=-1, check=False)
    try:
        found: list[tuple[list[str], list[str]]] = json.loads(done.stdout)
    except ValueError as error:
        raise UsageError(f"{recipe.name}: the process that tries its operations has ended without a result") from error
    return {(path, case): (told, digest) for (path, case), (told, digest) in found}


def answer() -> None:
    """In that process: the results of the recipe that comes in, as JSON."""
    recipe = pickle.load(sys.stdin.buffer)  # of the process that has started this one
    with contextlib.redirect_stdout(sys.stderr):
        found = results(recipe)
    json.dump(list(found.items()), sys.stdout)


def results(recipe: Recipe) -> dict[tuple[str, str], tuple[str, str]]:
    """(path, case) → (what an operation raised, or "", a digest of what it gave)."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for leaf in recipe.leaves():
        if leaf.operation.origin is None:
            continue
        for kind, size_wh in _SIZES_WH.items():
            for copy in range(_DRAWS):
                try:
                    found[leaf.path, f"{kind} {copy}"] = "", _result(leaf, kind, size_wh, copy)
                except Reject as reject:
                    found[leaf.path, f"{kind} {copy}"] = reject.message, ""
    return found


def _result(leaf: Leaf, kind: str, size_wh: tuple[int, int], copy: int) -> str:
    rng = OpRng(SampleRng(7, f"{kind}.png", copy), leaf.path)
    drawn = decided(leaf.operation, rng, OpInput(size_wh, _boxes(size_wh), _objects(size_wh)))
    for what in _undeclared(leaf.operation, drawn, size_wh):
        raise UsageError(f"{leaf.operation.name()}: {what}")
    whole = hashlib.sha256(repr(drawn).encode())
    for effect in drawn.effects:
        if isinstance(effect, PixelStep) and effect.step.on_host:
            whole.update(effect.step.on_cpu(_picture(kind, size_wh), None).tobytes())
    return whole.hexdigest()


def _undeclared(operation: Operation, drawn: OpResult, size_wh: tuple[int, int]) -> Iterator[str]:
    """What an operation does and does not say of itself."""
    for effect in drawn.effects:
        if isinstance(effect, PixelStep):
            if not operation.ends_run:
                yield "makes a step that needs the pixels made; say ends_run = True in its class"
            if effect.step.canvas_change().covered_xyxy and operation.label_effects.box == "untouched":
                yield "paints over labels; say label_effects = PAINT in its class"
        elif isinstance(effect, WarpEffect | PadEffect):
            a, b, _, d, e = effect.matrix[:5]
            if a * e - b * d < 0.0 and not operation.mirrors:
                yield "mirrors the picture; say mirrors = True in its class"
            if (effect.matrix, effect.size_wh) != (IDENTITY, size_wh) and not operation.label_effects.moves:
                yield "moves the picture; say in its class what becomes of labels, as in label_effects = MAP"


def _picture(kind: str, size_wh: tuple[int, int]) -> Pixels:
    width, height = size_wh
    shape = (height, width) if kind == "gray" else (height, width, 3)
    noise = np.random.Generator(np.random.Philox(key=5)).integers(0, 64, shape, np.uint8)
    ramp = np.linspace(0, 190, width).astype(np.uint8)
    lighter: Pixels = noise + (ramp if kind == "gray" else ramp[:, None])
    return lighter


def _box(size_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    return size_wh[0] * 0.25, size_wh[1] * 0.25, size_wh[0] * 0.75, size_wh[1] * 0.75


def _boxes(size_wh: tuple[int, int]) -> Callable[[], F64]:
    return lambda: np.array([_box(size_wh)])


def _objects(size_wh: tuple[int, int]) -> Callable[[], tuple[VisibleObject, ...]]:
    return lambda: (VisibleObject(0, "object", _box(size_wh)),)
