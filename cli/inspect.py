"""``augpipe inspect``: what is in a dataset or a finished folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augpipe.errors import one_line

from . import shared

if TYPE_CHECKING:
    from augpipe.overview import Overview

EXAMPLE = "Example: augpipe inspect data/voc"
_SHOWN = 15


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(inspect)


@shared.handled
def inspect(  # noqa: PLR0913, PLR0917 - one parameter an option
    path: Annotated[str, typer.Argument(metavar="PATH", help="A dataset, or a folder that augment has made.")],
    format: shared.From = None,
    split: shared.Split = None,
    classes: shared.Classes = None,
    images: shared.Images = None,
    limit: shared.Limit = None,
    exif: shared.Exif = "upright",
    voc_origin: shared.VocOrigin = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: shared.Debug = False,
) -> None:
    """Count pictures, objects, classes and label kinds, and list what is odd."""
    from augpipe.overview import overview

    source = shared.source_options(format, split, classes, images, limit, exif=exif, voc_origin=voc_origin)
    with shared.progress_bar(None) as bar:
        found = overview(path, source, bar.update)
    if as_json:
        typer.echo(json.dumps(found if isinstance(found, dict) else found.as_json(), indent=2, sort_keys=True))
    elif isinstance(found, dict):
        _print_manifest(path, found)
    else:
        _print(found)


def _print(found: Overview) -> None:
    typer.echo(f"{found.path}: {found.format}, {shared.plural(found.pictures, 'picture')}, "
               f"{shared.plural(found.objects, 'object')}")  # fmt: skip
    sections = (
        ("labels", {k: n for k, n in found.kinds.items() if n}),
        ("classes", found.classes),
        ("sizes", found.sizes),
        ("dropped at reading", found.dropped),
        ("odd", found.oddities),
    )
    for title, counts in sections:
        _section(title, counts)
    for line in (*found.remarks, *found.faults[:_SHOWN]):
        typer.echo(f"note: {one_line(line)}")


def _section(title: str, counts: Any) -> None:
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not rows:
        return
    typer.echo(f"\n{title}" + (f" ({len(rows)})" if len(rows) > _SHOWN else ""))
    typer.echo(shared.table([("", ""), *((one_line(name), f"{n:,}") for name, n in rows[:_SHOWN])]).lstrip("\n"))


def _print_manifest(path: str, manifest: dict[str, Any]) -> None:
    totals, config = manifest["totals"], manifest["config"]
    typer.echo(
        f"{path}: finished run, {shared.plural(totals['written'], 'sample')} of "
        f"{shared.plural(totals['pictures'], 'picture')} in {shared.plural(len(manifest['shards']), 'shard')}"
    )
    typer.echo(
        shared.table(
            [
                ("recipe", config["recipe"]["name"]),
                ("seed", str(config["seed"])),
                ("copies", f"{config['copies']}{' and originals' if config['originals'] else ''}"),
                ("source", f"{config['source']['format']}{' ' + config['split'] if config['split'] else ''}"),
                ("picture", f"{config['picture']['format']}, quality {config['picture']['quality']}"),
                ("objects", f"{totals['objects']:,}"),
                ("dropped", shared.counted(totals["dropped"]) or "none"),
                ("rejected", f"{totals['rejected']:,}"),
                ("versions", ", ".join(f"{k} {v}" for k, v in config["versions"].items())),
            ]
        )
    )
    _section("labels", totals.get("label_kinds", {}))
    typer.echo(f"\nclasses: {', '.join(one_line(c['name']) for c in config['categories'][:_SHOWN])}"
               f"{' …' if len(config['categories']) > _SHOWN else ''}")  # fmt: skip
