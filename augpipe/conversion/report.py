"""What a conversion came to: what was written, and everything that was not or looked odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from augpipe.core.errors import one_line
from augpipe.formats.losses import COUNTED
from augpipe.formats.writer import Encoded


@dataclass
class ConversionReport:
    """What a conversion came to.

    Attributes:
        pictures_in: how many were looked at.
        objects_in: how many were in them.
        aside: pictures and objects that were not wanted, in words → how many.
        unwanted: a place for each of those.
        format: the format that was written.
        pictures: how many were written.
        objects: how many were written.
        kinds_in: kind of label besides boxes → how many objects or pictures had it.
        kinds: the same of what was written.
        dropped: objects of the source without a box that makes sense.
        losses: what the target cannot hold → how many objects, pictures or classes have it.
        examples: a place for each loss that an object or picture has: file, and number of the object.
        notes: what was found while reading → in how many pictures.
        remarks: sentences about the source and the target.
        lost: a line for each picture that could not be converted.
        unseen: a line for each picture whose file was not found or cannot be read; its labels are converted.
        picture_folder: where the pictures stay, if they are not copied.
    """

    pictures_in: int = 0
    objects_in: int = 0
    aside: Counter[str] = field(default_factory=Counter)
    unwanted: dict[str, str] = field(default_factory=dict)
    format: str = ""
    pictures: int = 0
    objects: int = 0
    kinds_in: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    picture_folder: str | None = None

    def count(self, encoded: Encoded, file: str, kinds: Mapping[str, int]) -> None:
        """Count one written picture that had ``kinds`` of labels; the first loss of a kind is its example."""
        self.pictures += 1
        self.objects += encoded.objects
        lost = Counter(encoded.left_out)
        for loss in encoded.losses:
            if loss.what in kinds:
                lost[loss.what] += loss.count
        self.kinds.update({kind: n - lost[kind] for kind, n in kinds.items()})
        for loss in encoded.losses:
            self.losses[loss.what] += loss.count
            if loss.what not in self.examples:
                place = one_line(file)
                self.examples[loss.what] = place if loss.index is None else f"{place}, object {loss.index + 1}"

    def set_apart(self, what: str, file: str, index: int | None = None, count: int = 1) -> None:
        """Count what was not wanted; the first of a kind is its example."""
        self.aside[what] += count
        self.unwanted.setdefault(what, one_line(file) if index is None else f"{one_line(file)}, object {index + 1}")

    def set_aside(self) -> list[str]:
        """What was not wanted, in words."""
        ordered = sorted(self.aside.items(), key=lambda item: (not item[0].startswith("pictures"), -item[1]))
        return [f"{what} {n:,} (as in {self.unwanted[what]})" for what, n in ordered]

    def add(self, other: ConversionReport) -> None:
        """Add what was counted of later pictures."""
        self.pictures_in += other.pictures_in
        self.objects_in += other.objects_in
        self.aside.update(other.aside)
        self.unwanted = {**other.unwanted, **self.unwanted}
        self.pictures += other.pictures
        self.objects += other.objects
        self.kinds_in.update(other.kinds_in)
        self.kinds.update(other.kinds)
        self.dropped += other.dropped
        self.losses.update(other.losses)
        self.examples = {**other.examples, **self.examples}
        self.notes.update(other.notes)
        self.lost += other.lost
        self.unseen += other.unseen

    def flow(self) -> list[str]:
        """What came in and what was written, a kind of label each; nothing where it was not counted."""
        if not self.pictures_in:
            return []
        rows = [("pictures", self.pictures_in, self.pictures), ("objects", self.objects_in, self.objects)]
        rows += [(kind, self.kinds_in[kind], self.kinds[kind]) for kind in COUNTED if self.kinds_in[kind]]
        return [f"{kind} {came:,} → {went:,}" for kind, came, went in rows]

    def oddities(self) -> list[str]:
        """Everything that is lost or odd, in words; nothing if the target says all that the source says."""
        lines = [f"{what} {n:,}" + self._as_in(what) for what, n in self.losses.most_common()]
        lines += [f"{note} {n:,}" for note, n in self.notes.most_common()]
        lines += [f"objects without a box that makes sense {self.dropped:,}"] if self.dropped else []
        return [*self.lost, *self.unseen, *lines]

    def _as_in(self, what: str) -> str:
        return f" (as in {self.examples[what]})" if what in self.examples else ""
