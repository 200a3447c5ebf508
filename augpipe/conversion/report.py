"""What a conversion came to: what was written, and everything that was not or looked odd."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from augpipe.core.errors import one_line
from augpipe.formats.writer import Encoded


@dataclass
class ConversionReport:
    """What a conversion came to.

    Attributes:
        pictures: how many were written.
        objects: how many were written.
        read: how many objects the source has in the pictures that were read, dropped ones among them.
        dropped: objects of the source without a box that makes sense.
        losses: what the target cannot hold → how many objects, pictures or classes have it.
        examples: a place for each loss that an object or picture has: file, and number of the object.
        notes: what was found while reading → in how many pictures.
        remarks: sentences about the source and the target.
        lost: a line for each picture that could not be converted.
        unseen: a line for each picture whose file was not found or cannot be read; its labels are converted.
        picture_folder: where the pictures stay, if they are not copied.
    """

    pictures: int = 0
    objects: int = 0
    read: int = 0
    dropped: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    picture_folder: str | None = None

    def count(self, encoded: Encoded, file: str) -> None:
        """Count one written picture; the first loss of a kind is its example."""
        self.pictures += 1
        self.objects += encoded.objects
        for loss in encoded.losses:
            self.losses[loss.what] += loss.count
            if loss.what not in self.examples:
                place = one_line(file)
                self.examples[loss.what] = place if loss.index is None else f"{place}, object {loss.index + 1}"

    def add(self, other: ConversionReport) -> None:
        """Add what was counted of later pictures."""
        self.pictures += other.pictures
        self.objects += other.objects
        self.read += other.read
        self.dropped += other.dropped
        self.losses.update(other.losses)
        self.examples = {**other.examples, **self.examples}
        self.notes.update(other.notes)
        self.lost += other.lost
        self.unseen += other.unseen

    def oddities(self) -> list[str]:
        """Everything that is lost or odd, in words; nothing if the target says all that the source says."""
        lines = [f"{what} {n:,}" + self._as_in(what) for what, n in self.losses.most_common()]
        lines += [f"{note} {n:,}" for note, n in self.notes.most_common()]
        lines += [f"objects without a box that makes sense {self.dropped:,}"] if self.dropped else []
        return [*self.lost, *self.unseen, *lines]

    def _as_in(self, what: str) -> str:
        return f" (as in {self.examples[what]})" if what in self.examples else ""
