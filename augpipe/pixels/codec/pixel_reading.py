"""How the samples of a picture become 8-bit gray or RGB, where the file itself does not say it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from augpipe.core.errors import UsageError, one_line

FULL = (0, 65535)
"""The levels of samples that use all 16 bits."""

CHANNELS = ("source", "rgb")

_NUMBER = re.compile(r"\d{1,5}")
_RANGE = "auto, full, or LOW,HIGH, two values from 0 to 65535 of which the first becomes black and the second white"
_BANDS = "three numbers from 1 on, as in 4,3,2: the bands that become red, green and blue"


@dataclass(frozen=True)
class PixelReading:
    """The options of reading pixels.

    Attributes:
        levels: values of 16-bit samples that become 0 and 255; ``None`` is not known yet, and counts as all 16 bits.
        bands: numbers from 1 on of the bands of a TIFF that become red, green and blue; ``None`` takes the first ones.
        channels: ``rgb`` reads gray pictures as three equal channels.
    """

    levels: tuple[int, int] | None = None
    bands: tuple[int, int, int] | None = None
    channels: Literal["source", "rgb"] = "source"

    def check(self) -> None:
        """Raise :class:`UsageError` for values that make no sense."""
        if self.levels is not None and not 0 <= self.levels[0] < self.levels[1] <= FULL[1]:
            raise UsageError(f"--range {self.levels[0]},{self.levels[1]}: expected {_RANGE}")
        if self.bands is not None and (len(tuple(self.bands)) != 3 or not all(1 <= b <= 65535 for b in self.bands)):
            raise UsageError(f"--bands {','.join(map(str, self.bands))}: expected {_BANDS}")
        if self.channels not in CHANNELS:
            raise UsageError(f"--channels {one_line(self.channels)}: expected {' or '.join(CHANNELS)}")

    def to_json(self) -> dict[str, Any]:
        """The fields of ``config.picture`` in run.json, each only where it is not what versions before had."""
        found: dict[str, Any] = {}
        if self.levels is not None and self.levels != FULL:
            found["range"] = list(self.levels)
        if self.bands is not None:
            found["bands"] = list(self.bands)
        if self.channels != "source":
            found["channels"] = self.channels
        return found


def parsed(levels: str = "auto", bands: str | None = None, channels: str = "source") -> PixelReading:
    """The reading that ``--range``, ``--bands`` and ``--channels`` ask for; raises :class:`UsageError`.

    >>> parsed("0,4095", "4,3,2").levels
    (0, 4095)
    """
    if levels not in ("auto", "full") and len(_numbers(levels)) != 2:
        raise UsageError(f"--range {one_line(levels, 40)}: expected {_RANGE}")
    if bands is not None and len(_numbers(bands)) != 3:
        raise UsageError(f"--bands {one_line(bands, 40)}: expected {_BANDS}")
    low_high = None if levels == "auto" else FULL if levels == "full" else _numbers(levels)
    reading = PixelReading(low_high, None if bands is None else _numbers(bands), channels)  # type: ignore[arg-type]
    reading.check()
    return reading


def _numbers(text: str) -> tuple[int, ...]:
    """Whole numbers between commas; none if it is anything else."""
    parts = [part.strip() for part in text.split(",")]
    return tuple(map(int, parts)) if all(_NUMBER.fullmatch(part) for part in parts) else ()


def levels_of(picture: Mapping[str, Any]) -> tuple[int, int]:
    """The levels in ``config.picture`` of a run.json or manifest."""
    low, high = picture.get("range", FULL)
    return int(low), int(high)


def _three(bands: Sequence[Any]) -> tuple[int, int, int]:
    red, green, blue = bands
    return int(red), int(green), int(blue)


def from_json(picture: Mapping[str, Any]) -> PixelReading:
    """The reading in ``config.picture`` of a run.json or manifest.

    Raises:
        TypeError, ValueError: it is not as :meth:`PixelReading.to_json` writes it.
    """
    bands = picture.get("bands")
    reading = PixelReading(
        levels_of(picture), None if bands is None else _three(bands), picture.get("channels", "source")
    )
    try:
        reading.check()
    except UsageError as error:
        raise ValueError(str(error)) from error
    return reading
