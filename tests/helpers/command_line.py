"""The command line, called in this process."""

from __future__ import annotations

from functools import cache
from typing import Any

from typer import testing
from typer.main import get_command

from augpipe.cli.main import app

# Typer puts all commands together for each call, which takes ten times as long as the call of a small one.
testing._get_command = cache(get_command)


def call(*arguments: object) -> Any:
    """Click's result of a command: exit_code, stdout, stderr, output (both), exception."""
    try:
        runner = testing.CliRunner(mix_stderr=False)  # Click before 8.2
    except TypeError:
        runner = testing.CliRunner()
    return runner.invoke(app, [str(argument) for argument in arguments])


def lines(text: str) -> list[str]:
    """The lines that are not empty."""
    return [line for line in text.splitlines() if line.strip()]
