"""The result of a survey: frozen, JSON-ready, the same for every format. docs/inspect.md describes every field.

The table, the plots and the comparison of two datasets are made of this alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from augpipe.core.annotations import Category
from augpipe.formats.base import Dataset
from augpipe.formats.layout.splits import in_order
from augpipe.survey.issues import KNOWN, Oddity, meaning_of, unit_of
from augpipe.survey.tally import ClassCounts, PictureCounts, Spread, histogram, median_of, significant, spread_of

SCHEMA = "augpipe-inspect/1"
MOST_SIZES = 20

BOX_EDGES = tuple(significant(2.0 ** (i / 2.0)) for i in range(25))
"""Half octaves from 1 to 4096 pixels."""
ASPECT_EDGES = tuple(significant(2.0 ** ((2 * i - 25) / 8.0)) for i in range(26))
"""Quarter octaves from 1:8 to 8:1, with one around 1."""


@dataclass(frozen=True)
class Pictures:
    """Sizes are upright, in pixels; ``sizes`` are (width, height, pictures), the most frequent first."""

    count: int
    readable: int
    width: Spread | None
    height: Spread | None
    megapixels: Spread | None
    portrait: int
    landscape: int
    square: int
    turned: int
    gray: int
    colour: int
    formats: Mapping[str, int]
    sizes: tuple[tuple[int, int, int], ...]
    other_sizes: int


@dataclass(frozen=True)
class Boxes:
    """Boxes of a class or of all.

    Medians: ``size_px`` of √(w·h), ``share`` of w·h by the picture's area, ``aspect`` of w/h. ``truncated``,
    ``difficult`` and ``crowd`` are shares of the objects, ``None`` where no object says.
    """

    objects: int
    pictures: int
    size_px: float | None
    share: float | None
    small: int
    medium: int
    large: int
    aspect: float | None
    truncated: float | None
    difficult: float | None
    crowd: float | None


@dataclass(frozen=True)
class ClassRow:
    """One class: ``tags`` are pictures that it is said of as a whole, ``pixels`` those of class and panoptic masks."""

    id: int
    name: str
    boxes: Boxes
    tags: int
    pixels: int


@dataclass(frozen=True)
class SplitRow:
    """The pictures and objects of one split; ``name`` is "" for those in none."""

    name: str
    pictures: int
    objects: int


@dataclass(frozen=True)
class Plots:
    """Counts to draw: ``edges`` has one number more than ``counts``; ``centres`` rows from the top, left to right."""

    box_edges: tuple[float, ...]
    box_counts: tuple[int, ...]
    aspect_edges: tuple[float, ...]
    aspect_counts: tuple[int, ...]
    per_picture: tuple[tuple[int, int], ...]
    centres: tuple[tuple[int, ...], ...]
    picture_sizes: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class SurveyReport:
    """Everything about one dataset."""

    path: str
    format: str
    pictures: Pictures
    per_picture: Spread | None
    without_objects: int
    every: Boxes
    kinds: Mapping[str, int]
    classes: tuple[ClassRow, ...]
    oddities: Mapping[str, Oddity]
    remarks: tuple[str, ...]
    plots: Plots
    splits: tuple[SplitRow, ...] = ()
    run: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The values of docs/inspect.md."""
        pictures = asdict(self.pictures)
        count = pictures.pop("count")
        pictures["sizes"] = [{"width": w, "height": h, "pictures": n} for w, h, n in self.pictures.sizes]
        return {
            "schema": SCHEMA,
            "path": self.path,
            "format": self.format,
            "pictures": count,
            "objects": self.every.objects,
            "picture_sizes": pictures,
            "objects_per_picture": None if self.per_picture is None else asdict(self.per_picture),
            "pictures_without_objects": self.without_objects,
            "boxes": asdict(self.every),
            "kinds": dict(self.kinds),
            "splits": [asdict(row) for row in self.splits],
            "classes": [
                {"id": c.id, "name": c.name, **asdict(c.boxes), "tags": c.tags, "pixels": c.pixels}
                for c in self.classes
            ],
            "oddities": {code: _oddity_json(code, oddity) for code, oddity in self.oddities.items()},
            "remarks": list(self.remarks),
            "histograms": {name: _listed(value) for name, value in asdict(self.plots).items()},
            "run": None if self.run is None else dict(self.run),
        }


def _listed(value: Any) -> Any:
    return [_listed(v) for v in value] if isinstance(value, tuple) else value


def _oddity_json(code: str, oddity: Oddity) -> dict[str, Any]:
    examples = [{k: v for k, v in asdict(e).items() if v not in (None, "")} for e in oddity.examples]
    return {"count": oddity.count, "unit": unit_of(code), "means": meaning_of(code), "examples": examples}


_WEIGHTS: Mapping[str, Callable[[ClassRow], int]] = {
    "objects": lambda row: row.boxes.objects,
    "tags": lambda row: row.tags,
    "pixels": lambda row: row.pixels,
}


@dataclass(frozen=True)
class Weight:
    """What classes are weighed by: ``objects``, ``tags`` or ``pixels``."""

    name: str

    def of(self, row: ClassRow) -> int:
        """The number of one class."""
        return _WEIGHTS[self.name](row)

    def by_name(self, report: SurveyReport) -> dict[str, int]:
        """Class name → number; classes of one name together."""
        out: Counter[str] = Counter()
        for row in report.classes:
            out[row.name] += self.of(row)
        return dict(out)


def weight_of(reports: Sequence[SurveyReport]) -> Weight:
    """Objects where there are any, else tags, else pixels of masks."""
    rows = [row for report in reports for row in report.classes]
    return Weight(next((name for name, of in _WEIGHTS.items() if any(map(of, rows))), "objects"))


# --- making it -------------------------------------------------------------------------------------------------------


def report_of(dataset: Dataset, name: str, counts: PictureCounts) -> SurveyReport:
    """The report of a dataset whose pictures were all counted."""
    order = {code: i for i, code in enumerate(KNOWN)}
    oddities = sorted(counts.oddities.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    every = counts.every()
    return SurveyReport(
        path=name,
        format=dataset.format,
        pictures=_pictures(counts),
        per_picture=spread_of(counts.per_picture),
        without_objects=counts.per_picture[0],
        every=_boxes(every, sum(n for count, n in counts.per_picture.items() if count)),
        kinds=dict(sorted((kind, n) for kind, n in counts.kinds.items())),
        classes=tuple(_class_rows(dataset.categories, counts.classes)),
        oddities=dict(oddities),
        remarks=dataset.remarks,
        plots=Plots(
            BOX_EDGES,
            histogram(every.sizes_px, BOX_EDGES),
            ASPECT_EDGES,
            histogram(every.aspects, ASPECT_EDGES),
            tuple(sorted(counts.per_picture.items())),
            tuple(map(tuple, counts.heat.tolist())),
            _grouped_sizes(counts.sizes),
        ),
        splits=tuple(SplitRow(n, counts.of_splits[n], counts.objects_of_splits[n]) for n in in_order(counts.of_splits)),
    )


def _pictures(counts: PictureCounts) -> Pictures:
    widths, heights, megapixels = Counter[float](), Counter[float](), Counter[float]()
    for (w, h), count in counts.sizes.items():
        widths[w] += count
        heights[h] += count
        megapixels[significant(w * h / 1e6)] += count
    sizes = sorted(((w, h, n) for (w, h), n in counts.sizes.items()), key=lambda row: (-row[2], row[:2]))
    return Pictures(
        count=counts.pictures,
        readable=counts.readable,
        width=spread_of(widths),
        height=spread_of(heights),
        megapixels=spread_of(megapixels),
        portrait=sum(n for w, h, n in sizes if h > w),
        landscape=sum(n for w, h, n in sizes if w > h),
        square=sum(n for w, h, n in sizes if w == h),
        turned=counts.turned,
        gray=counts.colours["gray"],
        colour=counts.colours["colour"],
        formats=dict(sorted(counts.formats.items())),
        sizes=tuple(sizes[:MOST_SIZES]),
        other_sizes=len(sizes[MOST_SIZES:]),
    )


def _grouped_sizes(sizes: Mapping[tuple[int, int], int]) -> tuple[tuple[int, int, int], ...]:
    """(width, height, pictures) for a plot: sizes within a fiftieth of the largest side count as one."""
    step = max(1, max((max(size) for size in sizes), default=1) // 50)
    groups = Counter[tuple[int, int]]()
    for (w, h), count in sizes.items():
        groups[w // step, h // step] += count
    middle = step // 2
    return tuple((w * step + middle, h * step + middle, n) for (w, h), n in sorted(groups.items()))


def _boxes(counts: ClassCounts, pictures: int) -> Boxes:
    """Medians and shares of a class, or of all together."""
    return Boxes(
        objects=counts.objects,
        pictures=pictures,
        size_px=median_of(counts.sizes_px),
        share=median_of(counts.shares),
        small=counts.areas["small"],
        medium=counts.areas["medium"],
        large=counts.areas["large"],
        aspect=median_of(counts.aspects),
        truncated=_share(counts.truncated, counts.objects),
        difficult=_share(counts.difficult, counts.objects),
        crowd=significant(counts.crowd / counts.objects) if counts.objects else None,
    )


def _share(flags: Mapping[int, int], objects: int) -> float | None:
    """Share of the objects whose flag is set; ``None`` if no object has the flag."""
    known = sum(flags.values())
    return significant((known - flags.get(0, 0)) / objects) if known else None


def _class_rows(categories: Iterable[Category], counts: Mapping[int, ClassCounts]) -> Iterable[ClassRow]:
    """A row for each class, unused ones too, in the order of the class list."""
    for category in categories:
        found = counts.get(category.id, ClassCounts())
        yield ClassRow(category.id, category.name, _boxes(found, found.pictures), found.tags, found.pixels)
