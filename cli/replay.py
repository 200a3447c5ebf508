"""``augpipe replay``: one sample made again, and whether it has the bytes of its shard."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augpipe.core.errors import UsageError, one_line

from . import shared

if TYPE_CHECKING:
    from augpipe.replay import Replayed

EXAMPLE = "Example: augpipe replay shards cat_01-3f2a9c7b10-c003 -o again.jpg"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(replay)


@shared.handled
def replay(
    dst: Annotated[str, typer.Argument(metavar="DST", help="A folder that augment has made or is making.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The name of a sample's files in its tar, up to the dot.")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the picture there, or to a .tar all of its files."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="SRC", help="Where the source is now, if it was moved.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", metavar="FILE", help="Where its file of class names is now, if moved.")
    ] = None,
    images: shared.Images = None,
    debug: shared.Debug = False,
) -> None:
    """Make one sample again from its plan and its source, and say whether its bytes are the shard's.

    The exit code is 1 when a file differs.
    """
    from augpipe.core.paths import local_path
    from augpipe.replay import replay as run

    folder = local_path(dst)
    place = None if output is None else shared.place_outside(output, "--output", dst, against, images)
    made = run(folder, key, against, classes=classes, images=images)
    if place is not None:
        _write(shared.place_outside(str(place), "--output", made.place), made)
    _print(made, place)
    if not made.is_same:
        raise typer.Exit(1)


def _write(place: Path, made: Replayed) -> None:
    ending, picture = next(iter(made.members.items()))
    if place.suffix.lower() == ".tar":
        with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in made.members.items():
                member = tarfile.TarInfo(f"{made.key}.{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return
    if place.suffix.lower().removeprefix(".") != ending:
        raise UsageError(
            f"{one_line(place, 4096)}: the picture is .{ending}; give a name that ends so, or in .tar for all files"
        )
    place.write_bytes(picture)


def _print(made: Replayed, place: Path | None) -> None:
    which = "the original" if made.copy < 0 else f"copy {made.copy}"
    typer.echo(f"{made.key} in {made.shard}.tar: {which} of {one_line(made.source)}")
    sizes = {ending: f"{len(data):,} bytes" for ending, data in made.members.items()}
    typer.echo(shared.table((ending, sizes.get(ending, "-"), what) for ending, what in made.outcomes.items()))
    shared.say(*(f"note: {one_line(remark)}" for remark in made.remarks))
    if place is not None:
        typer.echo(one_line(place, 4096))
    if made.is_same:
        typer.echo("made again: the same bytes as in the shard")
    else:
        differ = [ending for ending, what in made.outcomes.items() if what != "same"]
        typer.echo(f"made again: {', '.join(differ)} not as in the shard")
