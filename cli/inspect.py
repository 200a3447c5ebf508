"""``augpipe inspect``: what is in a dataset or a finished folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augpipe.errors import DatasetError, one_line

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
    typer.echo(f"{one_line(found.path)}: {found.format}, {shared.plural(found.pictures, 'picture')}, "
               f"{shared.plural(found.objects, 'object')}")  # fmt: skip
    sections = (
        ("labels", {k: n for k, n in found.kinds.items() if n}),
        ("classes", found.classes),
        ("sizes", found.sizes),
        ("dropped at reading", found.dropped),
        ("odd", found.oddities),
    )
    for title, counts in sections:
        for line in _section(title, counts):
            typer.echo(line)
    for line in (*found.remarks, *found.faults[:_SHOWN]):
        typer.echo(f"note: {one_line(line)}")


def _section(title: str, counts: Any) -> list[str]:
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not rows:
        return []
    return [
        f"\n{title}" + (f" ({len(rows)})" if len(rows) > _SHOWN else ""),
        shared.table([("", ""), *((name, f"{n:,}") for name, n in rows[:_SHOWN])]).lstrip("\n"),
    ]


def _print_manifest(path: str, manifest: dict[str, Any]) -> None:
    try:
        lines = _about(path, manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"{Path(path) / 'manifest.json'}: not as docs/format.md has it: {one_line(repr(error), 100)}; "
            "copy the folder again, or make it again"
        ) from error
    typer.echo("\n".join(lines))


def _about(path: str, manifest: dict[str, Any]) -> list[str]:
    """What the manifest of a finished folder says, as lines."""
    totals, config = manifest["totals"], manifest["config"]
    written, pictures = shared.plural(totals["written"], "sample"), shared.plural(totals["pictures"], "picture")
    names = ", ".join(one_line(c["name"]) for c in config["categories"][:_SHOWN])
    return [
        f"{one_line(path)}: finished run, {written} of {pictures} in {shared.plural(len(manifest['shards']), 'shard')}",
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
        ),
        *_section("labels", totals.get("label_kinds", {})),
        f"\nclasses: {names}{' …' if len(config['categories']) > _SHOWN else ''}",
    ]
