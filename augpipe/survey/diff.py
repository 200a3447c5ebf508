"""How two datasets differ, as a source and what was made of it: numbers side by side, and by how much.

Classes are matched by name, as ids of two sources need not agree, and weighed by their share of each dataset: a folder
with four copies of every picture has the balance of its source, not four times of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from augpipe.core.errors import one_line
from augpipe.formats.base import plural
from augpipe.survey.report import Boxes, ClassRow, SurveyReport, weight_of
from augpipe.survey.table import MOST_CLASSES, TableRow, number, percent, pixels, ratio
from augpipe.survey.tally import Spread, significant

SCHEMA = "augpipe-inspect-diff/1"


@dataclass(frozen=True)
class Pair:
    """One number of both; ``ratio`` is b / a, ``None`` where that means nothing."""

    name: str
    a: float | None
    b: float | None

    @property
    def ratio(self) -> float | None:
        """How many times a is b."""
        return None if self.a is None or self.b is None or self.a == 0 else significant(self.b / self.a)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True)
class ClassPair:
    """One class of both: how much there is of it, its share of each dataset, and the median size and aspect of boxes.

    ``share_difference`` is in shares, 0.05 for five hundredths of the dataset more in b.
    """

    name: str
    count: tuple[int, int]
    share: tuple[float, float]
    size_px: tuple[float | None, float | None]
    aspect: tuple[float | None, float | None]
    only_in: str | None

    @property
    def share_difference(self) -> float:
        """b's share less a's."""
        return significant(self.share[1] - self.share[0])

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        sides = [
            {"count": self.count[k], "share": self.share[k], "size_px": self.size_px[k], "aspect": self.aspect[k]}
            for k in (0, 1)
        ]
        return {
            "name": self.name,
            "a": sides[0],
            "b": sides[1],
            "share_difference": self.share_difference,
            "only_in": self.only_in,
        }


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
        return {
            "schema": SCHEMA,
            "a": self.a.as_json(),
            "b": self.b.as_json(),
            "counted": self.counted,
            "numbers": [pair.as_json() for pair in self.numbers],
            "kinds": [pair.as_json() for pair in self.kinds],
            "oddities": [pair.as_json() for pair in self.oddities],
            "classes": [pair.as_json() for pair in self.classes],
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


def _pairs(a: Any, b: Any) -> tuple[Pair, ...]:
    return tuple(Pair(name, a.get(name, 0), b.get(name, 0)) for name in dict.fromkeys([*a, *b]))


def _class_pairs(a: SurveyReport, b: SurveyReport) -> Iterable[ClassPair]:
    """Classes of both, by name, those first of which there is most."""
    weight = weight_of((a, b))
    counts = weight.by_name(a), weight.by_name(b)
    totals = [sum(column.values()) or 1 for column in counts]
    rows = _boxes_by_name(a.classes), _boxes_by_name(b.classes)
    names = sorted(dict.fromkeys([*counts[0], *counts[1]]), key=lambda n: -max(c.get(n, 0) for c in counts))
    for name in names:
        boxes = [side.get(name) for side in rows]
        yield ClassPair(
            name,
            (counts[0].get(name, 0), counts[1].get(name, 0)),
            (significant(counts[0].get(name, 0) / totals[0]), significant(counts[1].get(name, 0) / totals[1])),
            (boxes[0].size_px if boxes[0] else None, boxes[1].size_px if boxes[1] else None),
            (boxes[0].aspect if boxes[0] else None, boxes[1].aspect if boxes[1] else None),
            "a" if name not in counts[1] else "b" if name not in counts[0] else None,
        )


def _boxes_by_name(classes: Sequence[ClassRow]) -> dict[str, Boxes]:
    """Of two classes of one name the medians are those of the one with more objects."""
    return {c.name: c.boxes for c in sorted(classes, key=lambda c: c.boxes.objects)}


# --- lines -----------------------------------------------------------------------------------------------------------


def lines_of(difference: Difference, table: Callable[[Iterable[TableRow]], str]) -> list[str]:
    """The comparison for people: what is the same in both, and nothing in either, is left out."""
    out = []
    for letter, report in (("A", difference.a), ("B", difference.b)):
        counts = f"{plural(report.pictures.count, 'picture')}, {plural(report.every.objects, 'object')}"
        out.append(f"{letter}  {one_line(report.path)}: {one_line(report.format)}, {counts}")
    rows = [_cells(pair) for pair in difference.numbers if pair.a or pair.b]
    out += ["", table([("", "A", "B", "B / A"), *rows])]
    for title, pairs in (("labels", difference.kinds), ("odd", difference.oddities)):
        if pairs:
            out += ["", title, table([("", "A", "B", "B / A"), *map(_cells, pairs)])]
    if difference.classes:
        out += ["", f"classes, by {difference.counted}", table([_HEADINGS, *map(_class_cells, _shown(difference))])]
        more = len(difference.classes) - MOST_CLASSES
        out += [f"  and {more:,} more"] if more > 0 else []
    return out


_HEADINGS = ("class", "A", "B", "share A", "share B", "B − A", "box px A", "box px B", "aspect A", "aspect B", "")


def _shown(difference: Difference) -> tuple[ClassPair, ...]:
    return difference.classes[:MOST_CLASSES]


def _cells(pair: Pair) -> TableRow:
    say = percent if "share" in pair.name else number
    return pair.name, say(pair.a), say(pair.b), "-" if pair.ratio is None else f"{pair.ratio:.3g}×"


def _class_cells(pair: ClassPair) -> TableRow:
    return (
        one_line(pair.name, 40),
        *(f"{n:,}" for n in pair.count),
        *map(percent, pair.share),
        f"{100 * pair.share_difference:+.1f}%".replace("-0.0%", "+0.0%"),
        *map(pixels, pair.size_px),
        *map(ratio, pair.aspect),
        "" if pair.only_in is None else f"only in {pair.only_in.upper()}",
    )
