"""What a conversion came to: what was written, and everything that was not or looked odd."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Report:
    """What a conversion came to.

    Attributes:
        pictures: how many were written.
        objects: how many were written.
        dropped: objects of the source without a box that makes sense.
        losses: what the target cannot hold → how many objects, pictures or classes have it.
        notes: what was found while reading → in how many pictures.
        remarks: sentences about the source and the target.
        lost: a line for each picture that could not be converted.
        unseen: a line for each picture whose file was not found or cannot be read; its labels are converted.
        picture_folder: where the pictures stay, if they are not copied.
    """

    pictures: int = 0
    objects: int = 0
    dropped: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    picture_folder: str | None = None
