"""The command line, called in this process."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from augpipe.cli.main import app


def call(*arguments: object) -> Any:
    """Click's result of a command: exit_code, stdout, stderr, output (both), exception."""
    try:
        runner = CliRunner(mix_stderr=False)  # Click before 8.2
    except TypeError:
        runner = CliRunner()
    return runner.invoke(app, [str(argument) for argument in arguments])


def lines(text: str) -> list[str]:
    """The lines that are not empty."""
    return [line for line in text.splitlines() if line.strip()]
