"""A report as lines of text: aligned tables, safe for a terminal, long lists cut with how many more there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from augpipe.core.errors import one_line
from augpipe.formats.base import plural
from augpipe.formats.layout.purposes import shown_split
from augpipe.formats.layout.splits import in_order
from augpipe.survey.issues import Oddity, meaning_of, unit_of
from augpipe.survey.report import ClassRow, Pictures, SurveyReport
from augpipe.survey.tally import Spread

TableRow: TypeAlias = tuple[str, ...]
Table: TypeAlias = Callable[[Iterable[TableRow]], str]
"""Aligns rows of cells, of which the first are headings."""

MOST_CLASSES = 40
_MOST_SIZES = 5
_SHOWN_EXAMPLES = 3
_MOST_REMARKS = 15


def counts_of(report: SurveyReport) -> str:
    """``3 pictures, 5 objects``."""
    return f"{plural(report.pictures.count, 'picture')}, {plural(report.every.objects, 'object')}"


def headline(report: SurveyReport) -> str:
    """``path: format, 3 pictures, 5 objects``."""
    return f"{one_line(report.path)}: {one_line(report.format)}, {counts_of(report)}"


def lines_of(report: SurveyReport, table: Table) -> list[str]:
    """All of a report, for people."""
    used = [c for c in report.classes if c.boxes.objects or c.tags or c.pixels]
    some = f", {len(used):,} used" if len(used) < len(report.classes) else ""
    sections = (
        ("pictures", [("", ""), *_picture_rows(report.pictures)]),
        ("splits", _split_rows(report)),
        ("labels", [("", ""), *((kind, f"{n:,}") for kind, n in report.kinds.items())]),
        ("objects per picture", _object_rows(report)),
        (f"classes ({len(report.classes):,}{some})", _class_rows(used)),
    )
    out = [headline(report)]
    for title, rows in sections:
        out += ["", title, table(rows).lstrip("\n")] if len(rows) > 1 else []
    out += and_more(len(used))
    if report.oddities:
        out += ["", "odd", *_oddity_lines(report.oddities, table)]
    return out + [f"note: {one_line(line)}" for line in report.remarks[:_MOST_REMARKS]]


def and_more(classes: int) -> list[str]:
    """The line below a table of classes that leaves some out."""
    return [f"  and {classes - MOST_CLASSES:,} more"] if classes > MOST_CLASSES else []


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
    sides = {"landscape": pictures.landscape, "portrait": pictures.portrait, "square": pictures.square}
    rows = [
        ("readable", f"{pictures.readable:,} of {pictures.count:,}"),
        ("width, min / median / max", spread(pictures.width)),
        ("height", spread(pictures.height)),
        ("megapixels", spread(pictures.megapixels)),
        ("orientation", _counted(sides)),
        ("turned by EXIF", f"{pictures.turned:,}" if pictures.turned else ""),
        ("colours", _counted({"colour": pictures.colour, "gray": pictures.gray})),
        ("formats", _counted(pictures.formats)),
        ("sizes", _sizes(pictures)),
    ]
    return [row for row in rows if row[1]]


def _split_rows(report: SurveyReport) -> list[TableRow]:
    """A row a split; none if no picture is in one."""
    rows = [(row.name or "in none", f"{row.pictures:,}", f"{row.objects:,}") for row in report.splits]
    return [("split", "pictures", "objects"), *rows] if any(row.name for row in report.splits) else []


def _counted(counts: Mapping[str, int]) -> str:
    """``a 3, b 1``, most first, without zeros."""
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


def _class_rows(classes: Sequence[ClassRow]) -> list[TableRow]:
    """Headings and a row for each class, the most frequent first; columns without a number are left out."""
    ordered = sorted(classes, key=lambda c: (-max(c.boxes.objects, c.tags, c.pixels), c.id))[:MOST_CLASSES]
    boxes = [c.boxes for c in classes]
    has_boxes = any(b.objects for b in boxes)
    columns: list[tuple[str, Callable[[ClassRow], str], bool]] = [
        ("class", lambda c: one_line(c.name, 40), True),
        ("objects", lambda c: f"{c.boxes.objects:,}", has_boxes),
        ("tags", lambda c: f"{c.tags:,}", any(c.tags for c in classes)),
        ("pictures", lambda c: f"{c.boxes.pictures:,}", True),
        ("pixels", lambda c: f"{c.pixels:,}", any(c.pixels for c in classes)),
        ("box px", lambda c: pixels(c.boxes.size_px), has_boxes),
        ("of picture", lambda c: percent(c.boxes.share), has_boxes),
        ("aspect", lambda c: ratio(c.boxes.aspect), has_boxes),
        ("small", lambda c: f"{c.boxes.small:,}", has_boxes),
        ("medium", lambda c: f"{c.boxes.medium:,}", has_boxes),
        ("large", lambda c: f"{c.boxes.large:,}", has_boxes),
        ("truncated", lambda c: percent(c.boxes.truncated), any(b.truncated for b in boxes)),
        ("difficult", lambda c: percent(c.boxes.difficult), any(b.difficult for b in boxes)),
        ("crowd", lambda c: percent(c.boxes.crowd), any(b.crowd for b in boxes)),
    ]
    shown = [(title, cell) for title, cell, is_shown in columns if is_shown]
    return [tuple(title for title, _ in shown), *(tuple(cell(c) for _, cell in shown) for c in ordered)]


# --- oddities --------------------------------------------------------------------------------------------------------


def _oddity_lines(oddities: Mapping[str, Oddity], table: Table) -> list[str]:
    """The table's lines, with a few examples below each."""
    rows = [(code, f"{o.count:,}", _units(code, o.count), meaning_of(code)) for code, o in oddities.items()]
    out = []
    for line, oddity in zip(table([("", "", "", ""), *rows]).split("\n")[1:], oddities.values(), strict=True):
        shown = oddity.examples[:_SHOWN_EXAMPLES]
        out += [line, *(f"      {example}" for example in shown)]
        out += [f"      and {oddity.count - len(shown):,} more"] if oddity.count > len(shown) else []
    return out


def _units(code: str, count: int) -> str:
    unit = unit_of(code)
    return unit if count == 1 else "classes" if unit == "class" else f"{unit}s"


# --- runs ------------------------------------------------------------------------------------------------------------


def lines_of_run(path: str, run: Mapping[str, Any], table: Table) -> list[str]:
    """What a folder of augpipe says of its run, before its statistics."""
    name, shards = one_line(path), plural(run["shards"], "shard")
    if run["state"] == "unfinished":
        broken = ", ".join(f"{one_line(b['name'])} ({one_line(b['why'])})" for b in run["shards_broken"])
        rows = [
            ("recipe", run["recipe"]),
            ("source", run["source"]),
            ("samples", f"{run['samples']:,} of {run['pictures']:,} pictures, {run['copies']} copies each"),
            ("rejected", f"{run['rejected']:,}" + (f": {_counted(run['rejects'])}" if run["rejects"] else "")),
            *([("to be made again", broken)] if broken else []),
            *_splits_of_run(run),
        ]
        head = f"{name}: unfinished run, {run['shards_done']:,} of {shards} done"
        return [head, table(rows), f"next: {one_line(run['next'])}"]
    rows = [
        ("recipe", run["recipe"]),
        ("seed", str(run["seed"])),
        ("copies", f"{run['copies']}{' and originals' if run['originals'] else ''}"),
        ("source", f"{run['source']}{' ' + run['split'] if run['split'] else ''}"),
        ("picture", f"{run['picture']['format']}, quality {run['picture']['quality']}"),
        ("dropped", _counted(run["dropped"]) or "none"),
        ("rejected", f"{run['rejected']:,}"),
        ("notes", _counted(run["notes"]) or "none"),
        ("versions", ", ".join(f"{k} {v}" for k, v in run["versions"].items())),
        *_splits_of_run(run),
    ]
    counts = f"{plural(run['samples'], 'sample')} of {plural(run['pictures'], 'picture')} in {shards}"
    return [f"{name}: finished run, {counts}", table(rows), ""]


def _splits_of_run(run: Mapping[str, Any]) -> list[TableRow]:
    """A row a split, if the run tells them apart."""
    out: list[TableRow] = []
    for name in in_order(run["splits"]):
        row = run["splits"][name]
        what = f"{plural(row['samples'], 'sample')} of {plural(row['pictures'], 'picture')}"
        passed = "" if row["augmented"] else ", passed through"
        out.append((shown_split(name), f"{what} in {plural(row['shards'], 'shard')}{passed}"))
    return out
