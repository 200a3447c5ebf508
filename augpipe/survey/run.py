"""A dataset counted in one pass, by several processes where that pays.

The counts of parts are added in their order, so the result, first examples included, is the same for any number.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from augpipe.core.parallel import parallel_map, worker_pool
from augpipe.core.paths import StrPath
from augpipe.core.progress import Progress
from augpipe.formats.base import Dataset, Entry, SourceOptions
from augpipe.formats.registry import open_dataset
from augpipe.survey.count import View, count_picture
from augpipe.survey.dataset_checks import duplicates_among, odd_classes, unlisted
from augpipe.survey.issues import with_lines
from augpipe.survey.report import SurveyReport, report_of
from augpipe.survey.tally import PictureCounts

_PART = 250
_SILENT = Progress()


@dataclass(frozen=True)
class _Part:
    view: View
    entries: Sequence[Entry]
    first: int


def survey(
    source: StrPath,
    options: SourceOptions | None = None,
    workers: int | None = None,
    progress: Progress = _SILENT,
) -> SurveyReport:
    """Look through a dataset.

    Args:
        source: a folder, a COCO JSON, a tar or a pattern.
        options: how it is read.
        workers: processes beside this one; 0 for none, ``None`` for as many as it pays to have.
        progress: counts pictures.

    Raises:
        UsageError: nothing there that is known.
        RunError: a process died, as for want of memory.
    """
    return survey_of(open_dataset(source, options), os.fspath(source), workers, progress)


def survey_of(dataset: Dataset, name: str, workers: int | None = None, progress: Progress = _SILENT) -> SurveyReport:
    """As :func:`survey`, of a dataset that is open; ``name`` is what the report calls it."""
    entries, categories = dataset.entries, dataset.categories
    view = View(
        dataset.reader, dataset.options, {c.name: c.id for c in categories}, frozenset(c.id for c in categories)
    )
    sizes = Counter(entry.size for entry in entries if entry.picture is not None and entry.size > 0)
    shared = {size for size, count in sizes.items() if count > 1}
    firsts = range(0, len(entries), _PART)
    parts = (_part_of(view, entries[first : first + _PART], first, shared) for first in firsts)
    size = len(entries) if workers is None or len(entries) <= _PART else None  # processes that are asked for are used
    total = PictureCounts()
    progress.begin(len(entries))
    with worker_pool(workers):
        for counts in parallel_map(counts_of, parts, size):
            total.add(counts)
            progress.update(counts.pictures)
    whole = duplicates_among(entries, total.heads) | unlisted(dataset) | odd_classes(categories, total.classes)
    total.oddities = with_lines(dataset.root, total.oddities | whole)
    return report_of(dataset, name, total)


def _part_of(view: View, entries: Sequence[Entry], first: int, shared: Container[int]) -> _Part:
    """Some entries, with only their own of the shared sizes, so that little is sent to a process."""
    sizes = frozenset(entry.size for entry in entries if entry.size in shared)
    return _Part(replace(view, shared_sizes=sizes), entries, first)


def counts_of(part: _Part) -> PictureCounts:
    """The counts of one part."""
    out = PictureCounts()
    for number, entry in enumerate(part.entries, start=part.first):
        count_picture(part.view, entry, number, out)
    return out
