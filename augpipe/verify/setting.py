"""What is the same for all objects of a sample, and what is seen of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from augpipe.labels import LabelRules
from augpipe.plan import AnyStep
from augpipe.sample import F64, Category, Objects
from augpipe.verify.truth import Painted, Seen, best_of, cuts_of, seen_of

SHARE = 0.02
"""A share of an object that sampling may be off by."""

TRUNCATED_BELOW = 0.999


@dataclass(frozen=True)
class Setting:
    """What is the same for all objects of a sample."""

    key: str
    steps: Sequence[AnyStep]
    size_wh: tuple[int, int]
    out_wh: tuple[int, int]
    rules: LabelRules
    shapes: dict[tuple[int, str], tuple[str, Painted]] = field(default_factory=dict)
    """Painted shapes by (object, rule), kept for the other copies of the source."""
    cuts: dict[bool, F64] = field(default_factory=dict)
    """Where shapes can end, by whether what is painted over cuts them."""

    @property
    def cuts_erased(self) -> bool:
        """Whether masks and polygons lose what was painted over."""
        return self.rules.erased == "cut"

    def cuts_xy(self, cut_erased: bool) -> F64:
        """Points of the source at which shapes can be cut: (N, 2)."""
        if cut_erased not in self.cuts:
            self.cuts[cut_erased] = cuts_of(self.steps, self.size_wh, cut_erased)
        return self.cuts[cut_erased]

    def of(self, category: Category) -> Setting:
        """The setting of one class's objects, which may have rules of their own."""
        return replace(self, rules=self.rules.classes.get(category.name, self.rules))


def seen_in(objects: Objects, i: int, setting: Setting) -> tuple[str, Painted, Seen]:
    """(where its box comes from, the painted shape, what is seen of it) of one object."""
    rule = setting.rules.box
    if (i, rule) not in setting.shapes:
        setting.shapes[i, rule] = best_of(objects, i, rule)
    method, shape = setting.shapes[i, rule]
    cut_erased = setting.cuts_erased and method in ("mask", "polygon")
    cuts = setting.cuts_xy(cut_erased)
    return method, shape, seen_of(shape, setting.steps, setting.size_wh, method == "obb", cut_erased, cuts)
