"""A report as lines of text: aligned tables, safe for a terminal, long lists cut with how many more there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from augpipe.core.errors import one_line
from augpipe.formats.base import plural
from augpipe.survey.issues import Oddity, meaning_of, unit_of
from augpipe.survey.report import Boxes, ClassRow, Pictures, SurveyReport
from augpipe.survey.tally import Spread

TableRow = tuple[str, ...]
MOST_CLASSES = 40
_MOST_SIZES = 5
_SHOWN_EXAMPLES = 3
_MOST_REMARKS = 15


def lines_of(report: SurveyReport, table: Callable[[Iterable[TableRow]], str]) -> list[str]:
    """All of a report, for people. ``table`` aligns rows of cells, of which the first are headings."""
    counts = f"{plural(report.pictures.count, 'picture')}, {plural(report.every.objects, 'object')}"
    out = [
        f"{one_line(report.path)}: {one_line(report.format)}, {counts}",
    ]
    out += _section("pictures", [("", ""), *_picture_rows(report.pictures)], table)
    out += _section("labels", [("", ""), *((k, f"{n:,}") for k, n in report.kinds.items())], table)
    out += _section("objects per picture", _object_rows(report), table)
    used = [c for c in report.classes if c.boxes.objects or c.tags or c.pixels]
    some = f", {len(used):,} used" if len(used) < len(report.classes) else ""
    out += _section(f"classes ({len(report.classes):,}{some})", class_rows(used), table)
    out += _cut(len(used), MOST_CLASSES)
    if report.oddities:
        out += ["", "odd", *_oddity_lines(report.oddities, table)]
    out += [f"note: {one_line(line)}" for line in report.remarks[:_MOST_REMARKS]]
    return out


def _section(title: str, rows: Sequence[TableRow], table: Callable[[Iterable[TableRow]], str]) -> list[str]:
    return ["", title, table(rows).lstrip("\n")] if len(rows) > 1 else []


def _cut(count: int, most: int) -> list[str]:
    return [f"  and {count - most:,} more"] if count > most else []


# --- cells -----------------------------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    """Four digits for people: ``1,024``, ``38.46``, ``0.0345``; a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.4g}"


def percent(value: float | None) -> str:
    """A share, with enough digits that a small one is not 0."""
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if value >= 0.001 or value == 0 else f"{100 * value:.2g}%"


def pixels(value: float | None) -> str:
    """A side in pixels."""
    return "-" if value is None else f"{value:,.1f}"


def ratio(value: float | None) -> str:
    """Width by height."""
    return "-" if value is None else f"{value:.2f}"


def spread(value: Spread | None) -> str:
    """``min / median / max``."""
    return "-" if value is None else " / ".join(map(number, (value.min, value.median, value.max)))


def _picture_rows(pictures: Pictures) -> list[TableRow]:
    rows = [
        ("readable", f"{pictures.readable:,} of {pictures.count:,}"),
        ("width, min / median / max", spread(pictures.width)),
        ("height", spread(pictures.height)),
        ("megapixels", spread(pictures.megapixels)),
        ("orientation", _told(landscape=pictures.landscape, portrait=pictures.portrait, square=pictures.square)),
        ("turned by EXIF", f"{pictures.turned:,}" if pictures.turned else ""),
        ("colours", _told(colour=pictures.colour, gray=pictures.gray)),
        ("formats", _told(**pictures.formats)),
        ("sizes", _sizes(pictures)),
    ]
    return [row for row in rows if row[1]]


def _told(**counts: int) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,}" for name, count in ordered if count)


def _sizes(pictures: Pictures) -> str:
    shown = ", ".join(f"{w}×{h} {n:,}" for w, h, n in pictures.sizes[:_MOST_SIZES])
    more = len(pictures.sizes[_MOST_SIZES:]) + pictures.other_sizes
    return f"{shown} and {more:,} more" if more else shown


def _object_rows(report: SurveyReport) -> list[TableRow]:
    if not report.every.objects:
        return []
    every = report.every
    return [
        ("", ""),
        ("min / median / max", spread(report.per_picture)),
        ("pictures without", f"{report.without_objects:,}"),
        ("median box", f"{pixels(every.size_px)} px, {percent(every.share)} of the picture"),
        ("median aspect", ratio(every.aspect)),
        ("small / medium / large", f"{every.small:,} / {every.medium:,} / {every.large:,}"),
    ]


def class_rows(classes: Sequence[ClassRow], most: int = MOST_CLASSES) -> list[TableRow]:
    """Headings and a row for each class, the most frequent first; columns that say nothing are left out."""
    ordered = sorted(classes, key=lambda c: (-max(c.boxes.objects, c.tags, c.pixels), c.id))[:most]
    columns: list[tuple[str, Callable[[ClassRow], str], bool]] = [
        ("class", lambda c: one_line(c.name, 40), True),
        ("objects", lambda c: f"{c.boxes.objects:,}", any(c.boxes.objects for c in classes)),
        ("tags", lambda c: f"{c.tags:,}", any(c.tags for c in classes)),
        ("pictures", lambda c: f"{c.boxes.pictures:,}", True),
        ("pixels", lambda c: f"{c.pixels:,}", any(c.pixels for c in classes)),
        *_box_columns([c.boxes for c in classes]),
    ]
    shown = [(title, cell) for title, cell, is_shown in columns if is_shown]
    return [tuple(title for title, _ in shown), *(tuple(cell(c) for _, cell in shown) for c in ordered)]


def _box_columns(boxes: Sequence[Boxes]) -> list[tuple[str, Callable[[ClassRow], str], bool]]:
    there = any(b.objects for b in boxes)
    return [
        ("box px", lambda c: pixels(c.boxes.size_px), there),
        ("of picture", lambda c: percent(c.boxes.share), there),
        ("aspect", lambda c: ratio(c.boxes.aspect), there),
        ("small", lambda c: f"{c.boxes.small:,}", there),
        ("medium", lambda c: f"{c.boxes.medium:,}", there),
        ("large", lambda c: f"{c.boxes.large:,}", there),
        ("truncated", lambda c: percent(c.boxes.truncated), any(b.truncated for b in boxes)),
        ("difficult", lambda c: percent(c.boxes.difficult), any(b.difficult for b in boxes)),
        ("crowd", lambda c: percent(c.boxes.crowd), any(b.crowd for b in boxes)),
    ]


# --- oddities --------------------------------------------------------------------------------------------------------


def _oddity_lines(oddities: Mapping[str, Oddity], table: Callable[[Iterable[TableRow]], str]) -> list[str]:
    """The table's lines, with a few examples below each."""
    rows = [("", "", "", "")] + [
        (code, f"{oddity.count:,}", _units(code, oddity.count), meaning_of(code)) for code, oddity in oddities.items()
    ]
    out = []
    for line, oddity in zip(table(rows).split("\n")[1:], oddities.values(), strict=True):
        out.append(line)
        out += [f"      {example.told()}" for example in oddity.examples[:_SHOWN_EXAMPLES]]
        more = oddity.count - len(oddity.examples[:_SHOWN_EXAMPLES])
        out += [f"      and {more:,} more"] if more > 0 else []
    return out


def _units(code: str, count: int) -> str:
    unit = unit_of(code)
    plurals = {"class": "classes"}
    return unit if count == 1 else plurals.get(unit, f"{unit}s")


# --- runs ------------------------------------------------------------------------------------------------------------


def lines_of_run(path: str, run: Mapping[str, Any], table: Callable[[Iterable[TableRow]], str]) -> list[str]:
    """What is told of a folder of augpipe before its statistics."""
    if run["state"] == "unfinished":
        return _unfinished(path, run, table)
    written, pictures = plural(run["samples"], "sample"), plural(run["pictures"], "picture")
    split = f" {run['split']}" if run["split"] else ""
    return [
        f"{one_line(path)}: finished run, {written} of {pictures} in {plural(run['shards'], 'shard')}",
        table(
            [
                ("recipe", run["recipe"]),
                ("seed", str(run["seed"])),
                ("copies", f"{run['copies']}{' and originals' if run['originals'] else ''}"),
                ("source", f"{run['source']}{split}"),
                ("picture", f"{run['picture']['format']}, quality {run['picture']['quality']}"),
                ("dropped", _told(**run["dropped"]) or "none"),
                ("rejected", f"{run['rejected']:,}"),
                ("notes", _told(**run["notes"]) or "none"),
                ("versions", ", ".join(f"{k} {v}" for k, v in run["versions"].items())),
            ]
        ),
        "",
    ]


def _unfinished(path: str, run: Mapping[str, Any], table: Callable[[Iterable[TableRow]], str]) -> list[str]:
    broken = ", ".join(f"{one_line(b['name'])} ({one_line(b['why'])})" for b in run["shards_broken"])
    rows = [
        ("recipe", run["recipe"]),
        ("source", run["source"]),
        ("samples", f"{run['samples']:,} of {run['pictures']:,} pictures, {run['copies']} copies each"),
        ("rejected", f"{run['rejected']:,}" + (f": {_told(**run['rejects'])}" if run["rejects"] else "")),
    ]
    rows += [("to be made again", broken)] if broken else []
    return [
        f"{one_line(path)}: unfinished run, {run['shards_done']:,} of {plural(run['shards'], 'shard')} done",
        table(rows),
        f"next: {one_line(run['next'])}",
    ]
