"""What the commands that work on a run share: options, progress and the summary."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augpipe.core.errors import UsageError, one_line
from augpipe.core.progress import Progress
from augpipe.formats.catalogue import FORMATS, targets
from augpipe.formats.webdataset.dataset_list import HIDDEN, SHARDS

from . import conversion, progress, shared

if TYPE_CHECKING:
    from augpipe.conversion.delivery import DeliveredDataset
    from augpipe.recipe.nodes import Recipe
    from augpipe.run.augment import Execution, Limits, RunOptions, Summary
    from augpipe.run.folder.manifest import WindowTotals

Workers = Annotated[
    int | None, typer.Option("--workers", "-w", help="Processes; one a core if not given, 0 works in this one.")
]
MaxRejects = Annotated[
    str, typer.Option("--max-rejects", metavar="N|P%", help="Pictures that may be rejected before the run has failed.")
]
MaxDropped = Annotated[
    str | None,
    typer.Option("--max-dropped", metavar="N|P%", help="Objects that may be dropped before the run has failed."),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        help="Time for one picture, after which its worker is stopped; 60 and 2 a copy if not given.",
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Hash the shards that are there; make changed ones again.")]
AcceptVersion = Annotated[
    bool, typer.Option("--accept-version", help="Go on with a run that other versions have begun.")
]


def load_ahead(dst: Path, workers: int | None) -> None:
    """Let the workers' libraries load while this process loads its own, unless there is no work for them."""
    from augpipe.run.engine import fork_server

    with suppress(OSError):  # the command itself refuses an impossible DST
        if any((folder / "manifest.json").exists() for folder in (dst, dst / HIDDEN / SHARDS)):
            return
    if workers != 0:
        fork_server.start()


def carried_out(work: Callable[[Any], Summary]) -> None:
    """Call ``work`` with a watcher that draws a bar, print the summary, and exit with 1 if the run failed."""
    with progress.shown() as terminal:
        summary = work(_watcher(terminal))
    _print(summary)
    if summary.failed:
        shared.say(f"augpipe: {summary.failed}")
        raise typer.Exit(1)


def require_form(to: str, kind: str | None, ids: str) -> None:
    """Raise UsageError if ``--to`` is no target, or ``--kind`` or ``--ids`` says nothing of it."""
    possible = (SHARDS, *targets())
    if to not in possible:
        raise UsageError(f"--to {one_line(to)}: expected {' or '.join(possible)}")
    if kind is not None and (to == SHARDS or not FORMATS[to].kinds):
        raise UsageError(f"--kind says what YOLO's rows hold; --to {to} has none")
    if ids != "keep" and (to == SHARDS or not targets()[to].ids):
        raise UsageError(f"--ids says what ids COCO gets; --to {to} writes none")
    if ids not in ("keep", "sequential"):
        raise UsageError(f"--ids {one_line(ids)}: expected keep or sequential")


def made(
    src: str,
    folder: Path,
    recipe: Recipe,
    options: RunOptions,
    execution: Execution,
    limits: Limits,
    form: tuple[str, str | None, str],
) -> None:
    """Make shards of ``src``, or the dataset that the values of ``--to``, ``--kind`` and ``--ids`` ask for."""
    from augpipe.run.augment import augment

    to, kind, ids = form
    if to == SHARDS:
        carried_out(
            lambda watcher: augment(src, folder, recipe, options, execution=execution, limits=limits, watcher=watcher)
        )
        return
    from augpipe.conversion.augmented import augment_to
    from augpipe.conversion.delivery import DatasetForm

    asked = DatasetForm(to, kind, ids)  # type: ignore[arg-type]
    delivered(
        lambda watcher: augment_to(
            src, folder, recipe, asked, options, execution=execution, limits=limits, watcher=watcher
        )
    )


def delivered(work: Callable[[Any], DeliveredDataset]) -> None:
    """As :func:`carried_out`, of a run whose shards become a dataset."""
    with progress.shown() as terminal:
        watcher = _watcher(terminal)
        watcher.writing = _Writing(terminal)
        made = work(watcher)
    _print(made.summary)
    if made.report is not None:
        conversion.tell(made.report, one_line(made.summary.folder, 4096), made.to)
    if made.summary.failed:
        shared.say(f"augpipe: {made.summary.failed}")
    if made.summary.failed or (made.report is not None and made.report.lost):
        raise typer.Exit(1)


class _Writing(Progress):
    """The progress of writing a dataset, behind that of the run: it begins with the first picture."""

    def __init__(self, terminal: progress.TerminalProgress) -> None:
        self._terminal = terminal

    def begin(self, total: int | None, done: int = 0) -> None:
        self._terminal.close()
        shared.say("writing the dataset")
        self._terminal.begin(total, done)

    def update(self, count: int, rejected: int = 0) -> None:
        self._terminal.update(count, rejected)


def _watcher(terminal: progress.TerminalProgress) -> Any:
    from augpipe.run.augment import Watcher

    class TerminalWatcher(Watcher):
        def started(self, dataset: Any, done: int, pictures: int) -> None:
            classes = len(dataset.categories)
            found = f"{shared.plural(len(dataset.entries), 'picture')}, {classes:,} class{'' if classes == 1 else 'es'}"
            shared.say(f"source: {dataset.format}, {found}")
            shared.say(*(f"note: {one_line(remark)}" for remark in self.remarks))
            if done:
                shared.say(f"going on: {shared.plural(done, 'picture')} {'is' if done == 1 else 'are'} done already")
            terminal.begin(pictures, done)

        def progress(self, pictures: int, rejected: int) -> None:
            terminal.update(pictures, rejected)

        def trouble(self, sentence: str) -> None:
            terminal.say(f"note: {one_line(sentence)}")

    return TerminalWatcher()


def _work(summary: Summary) -> str:
    """What this call made and in what time; the rate counts only these samples."""
    took = f"in {summary.seconds:.1f} s"
    if not summary.made:
        return f"all of them made before; closed {took}" if summary.written else took
    rate = f" ({summary.made / summary.seconds:,.0f} samples/s)" if summary.seconds > 0 else ""
    return f"{took}{rate}" if summary.made == summary.written else f"{summary.made:,} of them now, {took}{rate}"


def _print(summary: Summary) -> None:
    if summary.already_done:
        typer.echo(f"{summary.folder}: nothing to do, the run is finished")
        if summary.rejected:
            typer.echo(
                f"{_rejected(summary)}; after mending files, 'augpipe retry {summary.folder} --all' takes them up"
            )
        return
    if not summary.finished:
        typer.echo(
            f"{summary.shards:,} of {summary.all_shards:,} shards are there; who makes the last one closes the run, "
            f"or augpipe finish {summary.folder}"
        )
    typer.echo(
        f"{shared.plural(summary.written, 'sample')} of {shared.plural(summary.pictures, 'picture')} in "
        f"{shared.plural(summary.shards, 'shard')}, {shared.megabytes(summary.bytes)}, {_work(summary)}"
    )
    if summary.windows:
        typer.echo(_windows(summary.windows))
    dropped = sum(summary.dropped.values())
    cut = f", truncated {summary.truncated:,}" if summary.truncated else ""
    what = "pieces without label" if summary.windows else "dropped"
    cut += f"; {what} {dropped:,}: {shared.counted(summary.dropped)}" if dropped else ""
    typer.echo(f"{shared.plural(summary.objects, 'object')}{cut}")
    notes = {note: n for note, n in summary.notes.items() if note != "original-decoded"}
    if notes:
        typer.echo(f"found while reading: {shared.counted(notes)}")
    if decoded := summary.notes.get("original-decoded"):
        why = "turned, of another format, or not 8-bit gray or RGB"
        typer.echo(f"originals decoded and written like copies: {decoded:,} ({why})")
    if summary.rejected:
        typer.echo(_rejected(summary))
    typer.echo(str(summary.folder))


def _windows(found: WindowTotals) -> str:
    """What became of the objects of pictures that were cut into windows, and of empty windows."""
    told = "each is in a sample" if found.objects else "so windows have none"
    if lost := sum(found.lost.values()):
        told = f"in no sample {lost:,}: {shared.counted(found.lost)}, such as {one_line(found.example)}"
    left_out = f"; {shared.plural(found.left_out, 'empty window')} left out" if found.left_out else ""
    return f"objects of the source: {found.objects:,}, {told}{left_out}"


def _rejected(summary: Summary) -> str:
    lost = f"{shared.plural(summary.rejected, 'sample')} of {shared.plural(summary.rejected_pictures, 'picture')}"
    return f"rejected {lost}: {shared.counted(summary.rejects)}"
