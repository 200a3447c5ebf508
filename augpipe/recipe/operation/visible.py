"""An object as operations and conditions see it."""

from __future__ import annotations

import msgspec


class VisibleObject(msgspec.Struct, frozen=True):
    """An object that can be seen on the canvas: its place in the source's list, its class, the box of what shows."""

    index: int
    category: str
    box_xyxy: tuple[float, float, float, float]
    iscrowd: bool = False
