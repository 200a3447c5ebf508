"""The step itself."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from typing import ClassVar

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.plan import Pixels, SharedSource, Step, register
from augpipe.pixels.steps.custom import functions

_NAME = re.compile(r"custom\.[a-z][a-z0-9_]{0,59}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_PARAMETERS = 100


def needs_other_code(steps: Iterable[Step], digests: Collection[str]) -> bool:
    """Whether a step calls a function of a file that is not among those with these digests."""
    return any(isinstance(step, Custom) and step.digest not in digests for step in steps)


@register
class Custom(Step, frozen=True):
    """What the function ``name``, of the file with the SHA-256 ``digest``, makes of a copy of the picture.

    It gets the drawn ``parameters`` and a NumPy ``Generator`` on Philox with the key ``word``, and returns a picture of
    the same size and type. It always runs on the CPU. There is no reference but the function itself.
    """

    on_host: ClassVar[bool] = True

    name: str
    digest: str
    parameters: dict[str, int | float]
    word: int

    def fault(self, most_pixels: int) -> str | None:
        if not _NAME.fullmatch(self.name) or not _DIGEST.fullmatch(self.digest):
            return "no name of a function, or no SHA-256 of a file"
        if not 0 <= self.word < 2**53:
            return f"the word {self.word}"
        numbers = self.parameters.values()
        sound = len(self.parameters) <= _MOST_PARAMETERS and all(math.isfinite(v) for v in numbers)
        return None if sound else "parameters that are not numbers"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        rgb = picture if picture.ndim == 2 else picture[:, :, ::-1]
        made = self._made(rgb)
        return made if made.ndim == 2 else np.ascontiguousarray(made[:, :, ::-1])

    def reference(self, levels: F64) -> F64:
        pixels = levels.astype(np.uint8)
        made = self._made(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        return made.astype(np.float64).reshape(levels.shape)

    def _made(self, picture_rgb: Pixels) -> Pixels:
        return functions.called(self.name, self.digest, picture_rgb, self.parameters, self.word)
