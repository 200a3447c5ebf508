"""A dataset looked through in one pass, by several processes where that pays; the result is the same for any number.

Entries go in parts, and the counts of the parts are added in their order, so also the first examples are the same.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from augpipe.core.parallel import parallel_map, worker_pool
from augpipe.core.paths import StrPath
from augpipe.core.progress import Progress
from augpipe.formats.base import Dataset, Entry, SourceOptions
from augpipe.formats.registry import open_dataset
from augpipe.survey.count import View, look
from augpipe.survey.dataset_checks import odd_classes, twins_among, unlisted
from augpipe.survey.issues import merge, with_lines
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
        progress: is told how it goes.

    Raises:
        UsageError: nothing there that is known.
        RunError: a process died, as for want of memory.
    """
    return survey_of(open_dataset(source, options), os.fspath(source), workers, progress)


def survey_of(dataset: Dataset, name: str, workers: int | None = None, progress: Progress = _SILENT) -> SurveyReport:
    """As :func:`survey`, of a dataset that is open; ``name`` is what the report calls it."""
    sizes = Counter(entry.size for entry in dataset.entries if entry.picture is not None and entry.size > 0)
    view = View(
        dataset.reader,
        dataset.options,
        {c.name: c.id for c in dataset.categories},
        frozenset(c.id for c in dataset.categories),
        frozenset(size for size, count in sizes.items() if count > 1),
    )
    total = PictureCounts()
    entries = dataset.entries
    firsts = range(0, len(entries), _PART)
    parts = (_Part(_without(view, entries[i : i + _PART]), entries[i : i + _PART], i) for i in firsts)
    size = len(entries) if workers is None or len(entries) <= _PART else None  # processes that are asked for are used
    progress.begin(len(entries))
    with worker_pool(workers):
        for tally in parallel_map(tally_of, parts, size):
            total.add(tally)
            progress.update(tally.pictures)
    for more in (twins_among(dataset.entries, total.prints), unlisted(dataset), odd_classes(dataset.categories, total)):
        merge(total.oddities, more)
    total.oddities = with_lines(dataset.root, total.oddities)
    return report_of(dataset, name, total)


def _without(view: View, entries: Sequence[Entry]) -> View:
    """The view with only the twins of some entries, so that little goes to another process."""
    return replace(view, twins=frozenset(e.size for e in entries if e.size in view.twins))


def tally_of(part: _Part) -> PictureCounts:
    """The counts of one part."""
    out = PictureCounts()
    for number, entry in enumerate(part.entries, start=part.first):
        look(part.view, entry, number, out)
    return out
