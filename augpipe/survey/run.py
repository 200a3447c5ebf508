"""A dataset looked through in one pass, by several processes where that pays; the result is the same for any number.

Entries go in parts, and the counts of the parts are added in their order, so also the first examples are the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice

from augpipe.errors import RunError, one_line
from augpipe.formats import open_dataset
from augpipe.formats.base import Dataset, Entry, SourceOptions
from augpipe.survey.classes import odd_classes
from augpipe.survey.lines import with_lines
from augpipe.survey.look import View, look
from augpipe.survey.oddity import merge
from augpipe.survey.report import Report, report_of
from augpipe.survey.tally import Tally
from augpipe.survey.twins import twins_among, unlisted

_PART = 250
WORTH_PROCESSES = 3000
"""Pictures from which on other processes are worth the second that they take to start."""


@dataclass(frozen=True)
class _Part:
    view: View
    entries: Sequence[Entry]
    first: int


def survey(
    source: str, options: SourceOptions, workers: int | None = None, progress: Callable[[int], object] = lambda n: None
) -> Report:
    """Look through a dataset.

    Args:
        source: a folder, a COCO JSON, a tar or a pattern.
        options: how it is read.
        workers: processes beside this one; 0 for none, ``None`` for as many as it pays to have.
        progress: called with how many more pictures are done.

    Raises:
        UsageError: nothing there that is known.
        RunError: a process died, as for want of memory.
    """
    return survey_of(open_dataset(source, options), source, workers, progress)


def survey_of(
    dataset: Dataset, name: str, workers: int | None = None, progress: Callable[[int], object] = lambda n: None
) -> Report:
    """As :func:`survey`, of a dataset that is open; ``name`` is what the report calls it."""
    sizes = Counter(entry.size for entry in dataset.entries if entry.picture is not None and entry.size > 0)
    view = View(
        dataset.reader,
        dataset.options,
        {c.name: c.id for c in dataset.categories},
        frozenset(c.id for c in dataset.categories),
        frozenset(size for size, count in sizes.items() if count > 1),
    )
    total = Tally()
    for tally in _each(dataset.entries, view, _processes(len(dataset.entries), workers)):
        total.add(tally)
        progress(tally.pictures)
    for more in (twins_among(dataset.entries, total.prints), unlisted(dataset), odd_classes(dataset.categories, total)):
        merge(total.oddities, more)
    total.oddities = with_lines(dataset.root, total.oddities)
    return report_of(dataset, name, total)


def _processes(pictures: int, workers: int | None) -> int:
    if workers is not None:
        return workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if pictures >= WORTH_PROCESSES and cores > 1 else 0


def _each(entries: Sequence[Entry], view: View, workers: int) -> Iterator[Tally]:
    firsts = range(0, len(entries), _PART)
    parts = (_Part(_without(view, entries[i : i + _PART]), entries[i : i + _PART], i) for i in firsts)
    if workers == 0 or len(entries) <= _PART:
        yield from map(tally_of, parts)
        return
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    try:
        with ProcessPoolExecutor(min(workers, len(firsts)), context, initializer=_be_quiet) as pool:
            # A few parts ahead: all of them at once would be the whole index once more.
            waiting = deque(pool.submit(tally_of, part) for part in islice(parts, 4 * workers))
            while waiting:
                tally = waiting.popleft().result()
                waiting.extend(pool.submit(tally_of, part) for part in islice(parts, 1))
                yield tally
    except BrokenProcessPool as error:
        raise RunError(
            f"a process died while it looked at pictures ({one_line(error, 80)}); try --workers 0"
        ) from error


def _be_quiet() -> None:
    """Ctrl-C goes to every process of the terminal; the parent alone tells of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _without(view: View, entries: Sequence[Entry]) -> View:
    """The view with only the twins of some entries, so that little goes to another process."""
    return replace(view, twins=frozenset(e.size for e in entries if e.size in view.twins))


def tally_of(part: _Part) -> Tally:
    """The counts of one part."""
    out = Tally()
    for number, entry in enumerate(part.entries, start=part.first):
        look(part.view, entry, number, out)
    return out
