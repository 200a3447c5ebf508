"""How two datasets differ, such as a source and what was made of it: numbers side by side, and their ratio.

Classes are matched by name, as ids of two sources need not agree, and weighed by their share of each dataset: a folder
with four copies of every picture has the balance of its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from augpipe.core.errors import one_line
from augpipe.survey.report import SurveyReport, weight_of
from augpipe.survey.table import MOST_CLASSES, Table, TableRow, and_more, headline, number, percent, pixels, ratio
from augpipe.survey.tally import Spread, significant

SCHEMA = "augpipe-inspect-diff/1"

Pair: TypeAlias = Mapping[str, Any]
"""``name``, ``a``, ``b`` and what follows from them, as docs/inspect.md has the rows of a comparison."""


def difference_of(a: SurveyReport, b: SurveyReport) -> dict[str, Any]:
    """Two reports side by side: the JSON of docs/inspect.md."""
    oddities = ({code: oddity.count for code, oddity in report.oddities.items()} for report in (a, b))
    return {
        "schema": SCHEMA,
        "a": a.as_json(),
        "b": b.as_json(),
        "counted": weight_of((a, b)).name,
        "numbers": [_pair(name, value(a), value(b)) for name, value in _NUMBERS],
        "kinds": _pairs(a.kinds, b.kinds),
        "oddities": _pairs(*oddities),
        "classes": list(_class_pairs(a, b)),
    }


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


def _pair(name: str, a: float | None, b: float | None) -> Pair:
    return {"name": name, "a": a, "b": b, "ratio": significant(b / a) if a and b is not None else None}


def _pairs(a: Mapping[str, int], b: Mapping[str, int]) -> list[Pair]:
    return [_pair(name, a.get(name, 0), b.get(name, 0)) for name in dict.fromkeys([*a, *b])]


def _class_pairs(a: SurveyReport, b: SurveyReport) -> Iterable[Pair]:
    """Classes of both, by name, those first of which there is most."""
    weight = weight_of((a, b))
    counts = weight.by_name(a), weight.by_name(b)
    totals = [sum(column.values()) or 1 for column in counts]
    # Of two classes of one name the medians are those of the one with more objects.
    boxes = [{c.name: c.boxes for c in sorted(r.classes, key=lambda c: c.boxes.objects)} for r in (a, b)]
    for name in sorted(dict.fromkeys([*counts[0], *counts[1]]), key=lambda n: -max(c.get(n, 0) for c in counts)):
        sides: list[dict[str, Any]] = []
        for column, total, by_name in zip(counts, totals, boxes, strict=True):
            medians = asdict(by_name[name]) if name in by_name else {}
            side = {"count": column.get(name, 0), "share": significant(column.get(name, 0) / total)}
            sides.append(side | {key: medians.get(key) for key in ("size_px", "aspect")})
        yield {
            "name": name,
            "a": sides[0],
            "b": sides[1],
            "share_difference": significant(sides[1]["share"] - sides[0]["share"]),
            "only_in": "a" if name not in counts[1] else "b" if name not in counts[0] else None,
        }


# --- lines -----------------------------------------------------------------------------------------------------------


_PAIR_HEADINGS = ("", "A", "B", "B / A")
_HEADINGS = ("class", "A", "B", "share A", "share B", "B − A", "box px A", "box px B", "aspect A", "aspect B", "")


def lines_of(a: SurveyReport, b: SurveyReport, difference: Mapping[str, Any], table: Table) -> list[str]:
    """The comparison for people, without what is nothing in both."""
    out = [f"A  {headline(a)}", f"B  {headline(b)}"]
    out += ["", table([_PAIR_HEADINGS, *(_cells(pair) for pair in difference["numbers"] if pair["a"] or pair["b"])])]
    for title, pairs in (("labels", difference["kinds"]), ("odd", difference["oddities"])):
        out += ["", title, table([_PAIR_HEADINGS, *map(_cells, pairs)])] if pairs else []
    if classes := difference["classes"]:
        rows = [_HEADINGS, *map(_class_cells, classes[:MOST_CLASSES])]
        out += ["", f"classes, by {difference['counted']}", table(rows), *and_more(len(classes))]
    return out


def _cells(pair: Pair) -> TableRow:
    cell = percent if "share" in pair["name"] else number
    return pair["name"], cell(pair["a"]), cell(pair["b"]), "-" if pair["ratio"] is None else f"{pair['ratio']:.3g}×"


def _class_cells(pair: Pair) -> TableRow:
    sides = pair["a"], pair["b"]
    return (
        one_line(pair["name"], 40),
        *(f"{side['count']:,}" for side in sides),
        *(percent(side["share"]) for side in sides),
        f"{100 * pair['share_difference']:+.1f}%".replace("-0.0%", "+0.0%"),
        *(pixels(side["size_px"]) for side in sides),
        *(ratio(side["aspect"]) for side in sides),
        "" if pair["only_in"] is None else f"only in {pair['only_in'].upper()}",
    )
