"""How two datasets differ, such as a source and what was made of it: numbers side by side, and their ratio.

Classes are matched by name, as ids of two sources need not agree, and weighed by their share of each dataset: a folder
with four copies of every picture has the balance of its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from augpipe.core.errors import one_line
from augpipe.survey.report import SurveyReport, weight_of
from augpipe.survey.table import MOST_CLASSES, Table, TableRow, and_more, headline, number, percent, pixels, ratio
from augpipe.survey.tally import Spread, significant

SCHEMA = "augpipe-inspect-diff/1"


@dataclass(frozen=True)
class Pair:
    """One number of both."""

    name: str
    a: float | None
    b: float | None

    @property
    def ratio(self) -> float | None:
        """b / a; ``None`` where one is not known, or a is 0."""
        return None if self.a is None or self.b is None or self.a == 0 else significant(self.b / self.a)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True)
class ClassSide:
    """How much there is of a class, its share of the dataset, and the medians of its boxes."""

    count: int
    share: float
    size_px: float | None
    aspect: float | None


@dataclass(frozen=True)
class ClassPair:
    """One class of both; ``only_in`` is the one that lists it, if the other does not."""

    name: str
    a: ClassSide
    b: ClassSide
    only_in: str | None

    @property
    def share_difference(self) -> float:
        """b's share less a's: 0.05 for five hundredths of the dataset more in b."""
        return significant(self.b.share - self.a.share)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "share_difference": self.share_difference}


@dataclass(frozen=True)
class Difference:
    """Two reports side by side. ``counted`` is what classes are weighed by: objects, tags or pixels."""

    a: SurveyReport
    b: SurveyReport
    counted: str
    numbers: tuple[Pair, ...]
    kinds: tuple[Pair, ...]
    oddities: tuple[Pair, ...]
    classes: tuple[ClassPair, ...]

    def as_json(self) -> dict[str, Any]:
        """The values of docs/inspect.md."""
        pairs: dict[str, Sequence[Pair | ClassPair]]
        pairs = {"numbers": self.numbers, "kinds": self.kinds, "oddities": self.oddities, "classes": self.classes}
        return {
            "schema": SCHEMA,
            "a": self.a.as_json(),
            "b": self.b.as_json(),
            "counted": self.counted,
            **{name: [pair.as_json() for pair in listed] for name, listed in pairs.items()},
        }


def difference_of(a: SurveyReport, b: SurveyReport) -> Difference:
    """What two reports say, side by side."""
    return Difference(
        a,
        b,
        weight_of((a, b)).name,
        tuple(Pair(name, value(a), value(b)) for name, value in _NUMBERS),
        _pairs(a.kinds, b.kinds),
        _pairs({k: o.count for k, o in a.oddities.items()}, {k: o.count for k, o in b.oddities.items()}),
        tuple(_class_pairs(a, b)),
    )


def _median(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


def _share_of(count: int, report: SurveyReport) -> float | None:
    return significant(count / report.every.objects) if report.every.objects else None


_NUMBERS: tuple[tuple[str, Callable[[SurveyReport], float | None]], ...] = (
    ("pictures", lambda r: r.pictures.count),
    ("objects", lambda r: r.every.objects),
    ("pictures without objects", lambda r: r.without_objects),
    ("objects per picture, median", lambda r: _median(r.per_picture)),
    ("objects per picture, most", lambda r: None if r.per_picture is None else r.per_picture.max),
    ("width, median", lambda r: _median(r.pictures.width)),
    ("height, median", lambda r: _median(r.pictures.height)),
    ("megapixels, median", lambda r: _median(r.pictures.megapixels)),
    ("landscape pictures", lambda r: r.pictures.landscape),
    ("portrait pictures", lambda r: r.pictures.portrait),
    ("square pictures", lambda r: r.pictures.square),
    ("gray pictures", lambda r: r.pictures.gray),
    ("box, median px", lambda r: r.every.size_px),
    ("box, median share of picture", lambda r: r.every.share),
    ("box, median aspect", lambda r: r.every.aspect),
    ("small objects, share", lambda r: _share_of(r.every.small, r)),
    ("medium objects, share", lambda r: _share_of(r.every.medium, r)),
    ("large objects, share", lambda r: _share_of(r.every.large, r)),
    ("truncated objects, share", lambda r: r.every.truncated),
    ("difficult objects, share", lambda r: r.every.difficult),
    ("crowds, share", lambda r: r.every.crowd),
)


def _pairs(a: Mapping[str, int], b: Mapping[str, int]) -> tuple[Pair, ...]:
    return tuple(Pair(name, a.get(name, 0), b.get(name, 0)) for name in dict.fromkeys([*a, *b]))


def _class_pairs(a: SurveyReport, b: SurveyReport) -> Iterable[ClassPair]:
    """Classes of both, by name, those first of which there is most."""
    weight = weight_of((a, b))
    counts = weight.by_name(a), weight.by_name(b)
    totals = [sum(column.values()) or 1 for column in counts]
    # Of two classes of one name the medians are those of the one with more objects.
    boxes = [{c.name: c.boxes for c in sorted(r.classes, key=lambda c: c.boxes.objects)} for r in (a, b)]

    def side(k: int, name: str) -> ClassSide:
        count, found = counts[k].get(name, 0), boxes[k].get(name)
        medians = (found.size_px, found.aspect) if found else (None, None)
        return ClassSide(count, significant(count / totals[k]), *medians)

    for name in sorted(dict.fromkeys([*counts[0], *counts[1]]), key=lambda n: -max(c.get(n, 0) for c in counts)):
        only_in = "a" if name not in counts[1] else "b" if name not in counts[0] else None
        yield ClassPair(name, side(0, name), side(1, name), only_in)


# --- lines -----------------------------------------------------------------------------------------------------------


_PAIR_HEADINGS = ("", "A", "B", "B / A")
_HEADINGS = ("class", "A", "B", "share A", "share B", "B − A", "box px A", "box px B", "aspect A", "aspect B", "")


def lines_of(difference: Difference, table: Table) -> list[str]:
    """The comparison for people, without what is nothing in both."""
    out = [f"A  {headline(difference.a)}", f"B  {headline(difference.b)}"]
    out += ["", table([_PAIR_HEADINGS, *(_cells(pair) for pair in difference.numbers if pair.a or pair.b)])]
    for title, pairs in (("labels", difference.kinds), ("odd", difference.oddities)):
        out += ["", title, table([_PAIR_HEADINGS, *map(_cells, pairs)])] if pairs else []
    if difference.classes:
        rows = [_HEADINGS, *map(_class_cells, difference.classes[:MOST_CLASSES])]
        out += ["", f"classes, by {difference.counted}", table(rows), *and_more(len(difference.classes))]
    return out


def _cells(pair: Pair) -> TableRow:
    cell = percent if "share" in pair.name else number
    return pair.name, cell(pair.a), cell(pair.b), "-" if pair.ratio is None else f"{pair.ratio:.3g}×"


def _class_cells(pair: ClassPair) -> TableRow:
    a, b = pair.a, pair.b
    return (
        one_line(pair.name, 40),
        *(f"{side.count:,}" for side in (a, b)),
        *(percent(side.share) for side in (a, b)),
        f"{100 * pair.share_difference:+.1f}%".replace("-0.0%", "+0.0%"),
        *(pixels(side.size_px) for side in (a, b)),
        *(ratio(side.aspect) for side in (a, b)),
        "" if pair.only_in is None else f"only in {pair.only_in.upper()}",
    )
