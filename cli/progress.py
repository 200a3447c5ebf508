"""Progress of a command on stderr: a bar on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import typer

from augpipe.core.progress import Progress

from . import interrupts

if TYPE_CHECKING:
    from tqdm import tqdm

EVERY = 30.0
"""Seconds between two lines."""


class TerminalProgress(Progress):
    """Shows progress while :func:`shown` is active. The bar appears when the work begins."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._total: int | None = None
        self._done = self._done_before = self._rejected = 0
        self._started = time.monotonic()
        self._began = self._started
        self._bar: tqdm[Any] | None = None

    def begin(self, total: int | None, done: int = 0) -> None:
        interrupts.check()
        self._total, self._done, self._done_before, self._began = total, done, done, time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            tqdm.monitor_interval = 0  # its thread would keep this process from forking
            sized = all(os.get_terminal_size(sys.stderr.fileno()))  # tqdm shows nothing without a size
            self._bar = tqdm(
                total=total,
                initial=done,
                unit=f" {self._unit}s",
                leave=False,
                smoothing=0.1,
                ncols=None if sized else 79,
                nrows=None if sized else 24,
            )

    def update(self, count: int, rejected: int = 0) -> None:
        interrupts.check()
        self._done += count
        self._rejected += rejected
        if self._bar is not None:
            if self._rejected:
                self._bar.set_postfix(rejected=self._rejected, refresh=False)
            self._bar.update(count)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        with self._bar.external_write_mode() if self._bar is not None else nullcontext():
            typer.echo(line, err=True)

    def line(self) -> str:
        """The state of the work, for a log."""
        now = time.monotonic()
        if self._done == self._done_before:
            return f"still at work after {now - self._started:.0f} s"
        rate = (self._done - self._done_before) / max(now - self._began, 1e-9)
        parts = [f"{self._done:,} {self._unit}{'' if self._done == 1 else 's'}", f"{rate:,.1f}/s"]
        if self._total:
            parts[0] = f"{self._done:,} of {self._total:,} {self._unit}s ({self._done * 100 // self._total} %)"
            if rate > 0:
                parts.append(f"about {(self._total - self._done) / rate:,.0f} s left")
        if self._rejected:
            parts.append(f"{self._rejected:,} samples rejected")
        return ", ".join(parts)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def shown(unit: str = "picture") -> Iterator[TerminalProgress]:
    """Progress of this command. Without a terminal a system timer triggers the lines, so that they come while nothing
    is done, too; a thread would keep this process from forking."""
    progress = TerminalProgress(unit)
    with _lines_of(progress) if not sys.stderr.isatty() else nullcontext():
        try:
            yield progress
        finally:
            progress.close()


@contextmanager
def _lines_of(progress: TerminalProgress) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # signals arrive there only
        yield
        return

    def print_line(number: int, frame: object) -> None:
        with suppress(RuntimeError, OSError):  # this process is just writing a line, or stderr is closed
            typer.echo(f"augpipe: {progress.line()}", err=True)

    before = signal.signal(signal.SIGALRM, print_line)
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
