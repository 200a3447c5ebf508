"""``augpipe doctor``: what this installation consists of, and whether it works."""

from __future__ import annotations

import typer

from augpipe.core.errors import RunError

from . import shared

EXAMPLE = "Example: augpipe doctor"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(doctor)


@shared.handled
def doctor(debug: shared.Debug = False) -> None:
    """Print versions, the device and the result of a few self-checks."""
    from augpipe.doctor import checks, facts

    results, codec = checks()
    typer.echo(shared.table([*facts(), ("codec", codec)], ""))
    typer.echo("")
    typer.echo(shared.table([(check.name, "fine" if check.fault is None else check.fault) for check in results], ""))
    faulty = [check.name for check in results if check.fault is not None]
    if faulty:
        raise RunError(f"{', '.join(faulty)}: not as expected on this machine")
